package node

import (
	"sync/atomic"

	"throng/fanout"
	"throng/store"
	"throng/wire"
)

// keeping counts what a guild has given to the keeper, and says when the last of it is kept.
//
// The shard adds to it, and the keeper's goroutine takes from it.
type keeping struct {
	// Owned by the shard goroutine.
	before *keeping // What was given to it before; see beginHanding.

	// Atomic, all the others.
	count   atomic.Int32
	leaving atomic.Bool // The shard waits for the end.
}

// giving is a guild on its way to another owner.
type giving struct {
	to *remote // Who has claimed it, and by which generation; nil: nobody yet.
	by uint64
}

// parks says whether a message to a guild here has to wait: the guild is on its way elsewhere, or
// this node does not know whether it owns anything.
func (s *shard) parks(p *place) bool {
	if !s.core.mesh.many() {
		return false
	}
	now := s.core.mesh.owning()
	frozen := p.handing != nil && p.handing.frozen
	return frozen || p.giving != nil || now == 0 || now != s.incarnation
}

// park has a message wait until it is known where the guild is.
func (s *shard) park(p *place, m guildMessage) {
	if len(p.parked) >= s.core.limits.guildWaitMax && m.kind() != kindLeave {
		m.refuse(s, errGuildBusy)
		return
	}
	p.parked = append(p.parked, m)
	s.parked[m.id()] = p
}

// unpark handles what waits, which may have to wait again.
func (s *shard) unpark(id wire.Snowflake, p *place) {
	delete(s.parked, id)
	waiting := p.parked
	p.parked = nil
	for _, m := range waiting {
		if far := farOf(m); far != nil && s.guilds[id] == nil {
			far.refuse(s, errElsewhere)
		} else {
			s.handleGuild(m)
		}
	}
}

// give gives a guild up, to who has claimed it, once all that it has changed is kept. Its sessions,
// here and elsewhere, join it anew at the new owner.
func (s *shard) give(p *place, id wire.Snowflake, to *remote, by uint64) {
	p.giving = &giving{to, by}
	s.serves(id)
	s.giveOn(id, p)
}

// giveOn gives a guild up unless something is still to be waited for.
func (s *shard) giveOn(id wire.Snowflake, p *place) {
	if p.giving == nil || p.guild == nil || s.guilds[id] != p {
		return
	}
	if now := p.kept(p.keeping); !p.kept(p.earlier) || !now {
		return
	}
	g := p.giving
	s.release(id, p)
	if g.to != nil {
		s.answer(g.to, id, g.by, claimFree, s.core.mesh.stored())
	}
	s.unpark(id, p)
}

// release drops a guild that this node does not own any more.
func (s *shard) release(id wire.Snowflake, p *place) {
	for _, loop := range p.guild.Loops() {
		if loop < len(s.core.loops) {
			s.tell(loop, &relayStep{fanout.Msg{Kind: fanout.MsgAdrift, Loop: loop, Guild: id}})
		} else if r, f := s.core.mesh.numbered(loop), p.far[loop]; r != nil && f != nil {
			s.turnAway(r, id, f.number)
		}
	}
	for key, h := range p.holds {
		if key == ownHold {
			s.retry(id, p.own)
		}
		p.parked = append(p.parked, h.asks...)
	}
	p.guild.Close()
	s.unlistChannels(id, p.channels, nil)
	s.core.members.Add(-int64(p.guild.Info().MemberCount))
	delete(s.guilds, id)
	delete(s.due, id)
	s.serves(id)
}

// keep is core.keep for what a guild has changed.
func (s *shard) keep(guild wire.Snowflake, ops []store.Op, done func(error)) {
	p := s.guilds[guild]
	if p.keeping == nil {
		p.keeping = &keeping{}
	}
	k := p.keeping
	k.count.Add(1)
	s.core.keep(ops, func(err error) {
		done(err)
		if k.count.Add(-1) == 0 && k.leaving.Load() {
			s.inbox.push(&allKept{guildCall{guild}})
		}
	})
}

// allKept says that everything that a guild has changed is kept.
type allKept struct{ guildCall }

func (m *allKept) kind() messageKind           { return kindMesh }
func (m *allKept) refuse(*shard, error)        {}
func (m *allKept) apply(*shard, *fanout.Guild) {}

func (m *allKept) do(s *shard) {
	if p := s.guilds[m.guild]; p != nil {
		s.giveOn(m.guild, p)
		s.handOn(m.guild, p)
	}
}
