package node

import "throng/fanout"

// Sweeps go from worker to shard to keeper and round again, so that a guild of a million members
// is at most one message, and one write, at it. See fanout/sweep.go.

// sweepOn begins the sweep that a change has made due. When the workers have too much to do, the
// guild's next message asks again.
func (s *shard) sweepOn(g *fanout.Guild) {
	if p := s.guilds[g.ID()]; p == nil || p.guild != g {
		return
	}
	if sweep := g.Sweep(); sweep != nil && !s.sweepNext(g, sweep) {
		g.SweepLater(sweep)
	}
}

// sweepNext has a worker look for the next members. It may be called from any goroutine.
func (s *shard) sweepNext(g *fanout.Guild, sweep *fanout.Sweep) bool {
	return s.core.submit(func() {
		m := &sweepStep{guildCall: guildCall{g.ID()}, of: g, sweep: sweep, failed: true}
		defer func() { s.inbox.push(m) }()
		m.users = sweep.Next(s.core.limits.membersPassMax)
		m.failed = false
	})
}

// sweepStep brings a guild the members that a worker has found.
type sweepStep struct {
	guildCall
	of     *fanout.Guild
	sweep  *fanout.Sweep
	users  []uint64
	failed bool // It cannot go on.
	later  bool // There was no room at the workers.
}

func (m *sweepStep) kind() messageKind    { return kindSweep }
func (m *sweepStep) refuse(*shard, error) { m.of.SweepFailed(m.sweep) }

func (m *sweepStep) apply(s *shard, g *fanout.Guild) {
	switch {
	case g != m.of: // It was deleted, and perhaps made anew.
		return
	case m.failed:
		g.SweepFailed(m.sweep)
		return
	case m.later:
		g.SweepLater(m.sweep)
		return
	}
	change := g.Swept(m.sweep, m.users, s.core.wall())
	last := len(m.users) == 0
	s.settle(g, &change, func(err error) {
		if last || err == nil && s.sweepNext(g, m.sweep) {
			return
		}
		// Here, on the keeper's goroutine, the guild is not to be touched.
		s.inbox.push(&sweepStep{guildCall: m.guildCall, of: g, sweep: m.sweep,
			failed: err != nil, later: err == nil})
	})
}
