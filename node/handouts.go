package node

import (
	"maps"
	"slices"
	"sync/atomic"

	"throng/wire"
	"throng/wire/pack"
)

// handouts are the events of a link that this node's loops have handed out. The owner is told how
// many those are, so that it knows how far its guild is behind: without that a flood fills the
// queue to a node that is slower, and the end of that is the end of everything between the two.
//
// A number of all events since the link follows this owner, and not one message for each: it is
// told when there are many, or when some time has gone by, and a later one stands for those before.
type handouts struct {
	// Static after construction.
	shard *shard
	guild wire.Snowflake

	// Atomic: added to by loops. Written by the shard.
	done atomic.Uint64
	said atomic.Uint64

	// Atomic: raised by loops, lowered by the shard. What the shard has been told to do.
	rung atomic.Int32
}

const (
	sayNothing = iota
	saySoon
	sayNow
)

func newHandouts(s *shard, guild wire.Snowflake) *handouts {
	return &handouts{shard: s, guild: guild}
}

// one counts one more, on whatever loop was the last to hand it out.
func (h *handouts) one() {
	want := int32(saySoon)
	if h.done.Add(1)-h.said.Load() >= uint64(h.shard.core.limits.handoutsMax) {
		want = sayNow
	}
	for {
		rung := h.rung.Load()
		if rung >= want {
			return
		}
		if h.rung.CompareAndSwap(rung, want) {
			h.shard.inbox.push(&handedOut{shardCall{guildCall{h.guild}}, h})
			return
		}
	}
}

// handedOut says that there is something to tell a guild's owner. There are two on their way at
// most for each link.
type handedOut struct {
	shardCall
	handouts *handouts
}

func (m *handedOut) do(s *shard) {
	p := s.guilds[m.guild]
	if p == nil || p.link == nil || p.link.handouts != m.handouts {
		return // The link has ended, and what the owner counted for it too.
	}
	if m.handouts.rung.Load() == sayNow {
		s.say(p.link)
		return
	}
	s.unsaid[m.guild] = struct{}{}
	s.wantTick(s.core.wall())
}

// sayHandouts tells owners what they have not been told.
func (s *shard) sayHandouts() {
	for _, guild := range slices.Sorted(maps.Keys(s.unsaid)) {
		if p := s.guilds[guild]; p != nil && p.link != nil {
			s.say(p.link)
		}
	}
	clear(s.unsaid)
}

// say tells a guild's owner how many of its events have been handed out.
func (s *shard) say(k *link) {
	h := k.handouts
	h.rung.Store(sayNothing) // First: whoever counts one more from here on rings again.
	done := h.done.Load()
	if k.to == nil || done == h.said.Swap(done) {
		return
	}
	item := pack.AppendUint(s.begin(itemHandedOut, h.guild), k.number)
	s.send(k.to, pack.AppendUint(item, done))
}

// handedOut takes the word of a remote of how many events of its link it has handed out.
func (s *shard) handedOut(m *farItem) error {
	number, done := m.rest.Uint(numberMax), m.rest.Uint(numberMax)
	if !m.rest.Done() {
		return errItem
	}
	p := s.guilds[m.guild]
	if p == nil || p.guild == nil {
		return nil
	}
	f := p.far[m.remote.number]
	if f == nil || f.number != number {
		return nil
	}
	if done > f.sent {
		return errItem
	}
	if done > f.handed {
		p.guild.AddBehind(-int(done - f.handed))
		f.handed = done
	}
	return nil
}

// sentFar counts an event that goes to a remote.
func (s *shard) sentFar(guild wire.Snowflake, f *farLink) {
	f.sent++
	if p := s.guilds[guild]; p != nil && p.guild != nil {
		p.guild.AddBehind(1)
	} else {
		f.handed++ // It is the last word of a guild that is no more.
	}
}

// settleFar counts what went to a remote as handed out when nobody there is left to wait for it:
// its link may have ended, and what of it was on its way is not counted there.
func (s *shard) settleFar(guild wire.Snowflake, number int) {
	p := s.guilds[guild]
	if p == nil || p.guild == nil || p.far[number] == nil || p.guild.OnLoop(number) {
		return
	}
	f := p.far[number]
	p.guild.AddBehind(-int(f.sent - f.handed))
	f.handed = f.sent
}
