package node

import (
	"slices"
	"time"

	"throng/fanout"
	"throng/tuning"
	"throng/wire"
)

// A guild says when it wants to be called again (fanout.Guild.NextTick), and most never do: the
// shard keeps a list of those that do, and looks through it when the first of them is due.

// schedule takes note of when the guild wants its tick.
func (s *shard) schedule(g *fanout.Guild) {
	at := g.NextTick()
	if at == 0 {
		return
	}
	if due, ok := s.due[g.ID()]; !ok || at < due {
		s.due[g.ID()] = at
		s.wantTick(at)
	}
}

// wantTick has the shard tick at a time.
func (s *shard) wantTick(at int64) {
	if soonest := s.soonest.Load(); soonest == 0 || at < soonest {
		s.soonest.Store(at)
	}
}

// shardTick lets time pass on a shard.
type shardTick struct{}

func (m *shardTick) id() wire.Snowflake          { return 0 }
func (*shardTick) from() fanout.Handle           { return fanout.Handle{} }
func (m *shardTick) kind() messageKind           { return kindTick }
func (m *shardTick) refuse(*shard, error)        {}
func (m *shardTick) apply(*shard, *fanout.Guild) {}

// tick asks for the ticks that are due, each as a message of its own: a guild that fails in its
// tick takes no other along.
func (s *shard) tick() {
	s.ticking.Store(false)
	now := s.core.wall()
	var due []wire.Snowflake
	soonest := int64(0)
	for id, at := range s.due {
		if at <= now {
			due = append(due, id)
		} else if soonest == 0 || at < soonest {
			soonest = at
		}
	}
	if at := s.tickHandings(now); at != 0 && (soonest == 0 || at < soonest) {
		soonest = at
	}
	s.soonest.Store(soonest)
	s.tickAdrift()
	s.sayHandouts()
	slices.Sort(due)
	for _, id := range due {
		delete(s.due, id)
		if p := s.guilds[id]; p != nil && p.guild != nil {
			s.inbox.push(&tickGuild{guildCall: guildCall{id}})
		}
	}
}

// ringTick asks the shard for a tick when the time of a guild has come, unless the one before waits
// yet.
func (s *shard) ringTick() {
	if at := s.soonest.Load(); at == 0 || at > s.core.wall() {
		return
	}
	if s.ticking.CompareAndSwap(false, true) {
		s.inbox.push(&shardTick{})
	}
}

// tickGuild lets time pass in a guild.
type tickGuild struct {
	guildCall
	goesOn bool // Its place waits for this one.
}

func (m *tickGuild) kind() messageKind    { return kindTick }
func (m *tickGuild) refuse(*shard, error) {}

func (m *tickGuild) apply(s *shard, g *fanout.Guild) {
	if g == nil {
		return
	}
	if p := s.guilds[m.guild]; p != nil && m.goesOn {
		p.goesOn = false
	}
	change := g.Tick(s.core.wall())
	s.emit(g, &change)
}

// tickShards rings the shards' ticks, and keeps the calendar, until stop is closed.
func (n *Node) tickShards(stop <-chan struct{}) {
	t := time.NewTicker(tuning.ShardTickInterval)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			n.core.calendar.follow()
			for _, s := range n.core.shards {
				s.ringTick()
			}
		case <-stop:
			return
		}
	}
}
