package node

import (
	"context"
	"fmt"

	"throng/fanout"
	"throng/wire"
)

// Check looks at the invariants over live state, owner by owner, and returns the first that does
// not hold. Owners go on between the looks, so what two owners hold of each other is only compared
// where an owner can be sure of its side.
func (n *Node) Check(ctx context.Context) error {
	for i := range n.core.loops {
		if err := n.onLoop(ctx, i, (*loop).check); err != nil {
			return fmt.Errorf("loop %d: %w", i, err)
		}
	}
	var first error
	err := n.eachGuild(ctx, func(g *fanout.Guild) {
		if err := g.Check(); err != nil && first == nil {
			first = err
		}
	})
	if err != nil {
		return err
	}
	return first
}

// check looks at a loop's own state.
func (l *loop) check() error {
	if err := l.board.Check(); err != nil {
		return err
	}
	var live, detached int64
	joining := 0
	for slot, s := range l.sessions {
		if s == nil {
			continue
		}
		if !l.out.Live(uint32(slot), s.gen) {
			return fmt.Errorf("session %s: its slot belongs to another", s.id)
		}
		seq, sent, acked := l.out.Seqs(s.slot)
		if acked > sent || sent > seq {
			return fmt.Errorf("session %s: acknowledged %d, sent %d, given %d", s.id, acked, sent,
				seq)
		}
		if s.asked > len(s.guilds) || s.joining > s.asked || s.joining < 0 {
			return fmt.Errorf("session %s: %d joins, %d of %d guilds asked", s.id, s.joining,
				s.asked, len(s.guilds))
		}
		joining += s.joining
		switch {
		case s.socket == nil:
			detached++
		case s.socket.session != s:
			return fmt.Errorf("session %s: its socket belongs to another", s.id)
		default:
			live++
		}
		if err := l.checkGuilds(s); err != nil {
			return err
		}
	}
	if live != l.stats.live || detached != l.stats.detached {
		return fmt.Errorf("%d live and %d detached sessions are counted, %d and %d are there",
			l.stats.live, l.stats.detached, live, detached)
	}
	if joining != l.joining {
		return fmt.Errorf("%d joins are counted, %d are under way", l.joining, joining)
	}
	return l.checkSockets()
}

// checkGuilds looks for relays that a session is in without having asked.
func (l *loop) checkGuilds(s *session) (err error) {
	asked := make(map[wire.Snowflake]bool, s.asked)
	for _, g := range s.guilds[:s.asked] {
		asked[g] = true
	}
	l.board.Guilds(s.slot, func(g wire.Snowflake) {
		if !asked[g] {
			err = fmt.Errorf("session %s: it receives guild %s and has not asked for it", s.id, g)
		}
	})
	return err
}

func (l *loop) checkSockets() error {
	for i, k := range l.sockets {
		switch {
		case k == nil:
		case k.index != uint32(i) || k.gen != l.gens[i] || k.state == socketClosed:
			return fmt.Errorf("socket %d is in the table and closed", i)
		case k.session != nil && k.session.socket != k:
			return fmt.Errorf("socket %d: its session has another", i)
		}
	}
	return nil
}
