package node

import "throng/fanout"

// Walks go from worker to shard to keeper and round again, so that a guild of a million members is
// at most one message, and one write, at each of them. See fanout/walk.go.

// walkOn begins the walks that a change has made due. When the workers have too much to do, the
// guild's next message asks again, or its tick.
func (s *shard) walkOn(g *fanout.Guild) {
	if p := s.guilds[g.ID()]; p == nil || p.guild != g {
		return
	}
	for w := g.Walk(); w != nil; w = g.Walk() {
		if !s.walkNext(g, w) {
			g.WalkLater(w, s.core.wall())
			s.schedule(g)
			return
		}
	}
}

// walkNext has a worker look for the next members. It may be called from any goroutine.
func (s *shard) walkNext(g *fanout.Guild, w fanout.Walk) bool {
	return s.core.submit(kindJobWalk, func() {
		m := &walkStep{guildCall: guildCall{g.ID()}, of: g, walk: w, failed: true}
		defer func() { s.inbox.push(m) }()
		m.users = w.Next(s.core.limits.membersPassMax)
		m.failed = false
	})
}

// walkStep brings a guild the members that a worker has found.
type walkStep struct {
	guildCall
	of     *fanout.Guild
	walk   fanout.Walk
	users  []uint64
	failed bool // It cannot go on.
	later  bool // There was no room at the workers, or for what it finds.
}

func (m *walkStep) kind() messageKind        { return kindWalk }
func (m *walkStep) refuse(s *shard, _ error) { m.fail(s) }

func (m *walkStep) fail(s *shard) {
	m.of.WalkFailed(m.walk, m.users, s.core.wall())
	s.schedule(m.of)
}

func (m *walkStep) apply(s *shard, g *fanout.Guild) {
	switch {
	case g != m.of: // It was deleted, and perhaps made anew.
		return
	case m.failed:
		m.fail(s)
		return
	case m.later:
		g.WalkLater(m.walk, s.core.wall())
		return
	}
	change := g.Walked(m.walk, m.users, s.core.wall())
	last := len(m.users) == 0
	pushes := len(change.Pushes) > 0
	s.settle(g, &change, func(err error) {
		if last {
			return
		}
		if later := pushes && s.core.pushFull(); err == nil && !later && s.walkNext(g, m.walk) {
			return
		}
		// Here, on the keeper's goroutine, the guild is not to be touched.
		step := &walkStep{guildCall: m.guildCall, of: g, walk: m.walk, later: true}
		if err != nil {
			step.users, step.failed, step.later = m.users, true, false
		}
		s.inbox.push(step)
	})
}
