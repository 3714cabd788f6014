package node

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"time"

	"throng/fanout"
	"throng/node/api"
	"throng/store"
	"throng/tuning"
	"throng/wire"
)

// Guild is what the node knows of a guild.
func (n *Node) Guild(ctx context.Context, guild wire.Snowflake) (info api.GuildInfo, err error) {
	err = n.look(ctx, guild, func(g *fanout.Guild, _ int64) error {
		if g == nil {
			return api.UnknownGuild
		}
		info = n.guildInfo(g)
		info.Doc = g.Object()
		return nil
	})
	return info, err
}

func (n *Node) guildInfo(g *fanout.Guild) api.GuildInfo {
	i := g.Info()
	return api.GuildInfo{
		ID: i.ID, Name: i.Name, MemberCount: i.MemberCount, SessionCount: i.SessionCount,
		ActiveCount: i.ActiveCount, PassiveCount: i.PassiveCount, EventIndex: i.EventIndex,
		OwnerNode: n.core.limits.node,
	}
}

// TopGuilds is the loaded guilds with the most sessions.
func (n *Node) TopGuilds(ctx context.Context, limit int) ([]api.GuildInfo, error) {
	var all []api.GuildInfo
	err := n.eachGuild(ctx, func(g *fanout.Guild) { all = append(all, n.guildInfo(g)) })
	if err != nil {
		return nil, err
	}
	sort.Slice(all, func(i, j int) bool {
		if all[i].SessionCount != all[j].SessionCount {
			return all[i].SessionCount > all[j].SessionCount
		}
		return all[i].ID < all[j].ID
	})
	return all[:min(limit, len(all))], nil
}

// eachGuild looks at every loaded guild, one shard after the other.
func (n *Node) eachGuild(ctx context.Context, run func(*fanout.Guild)) error {
	for _, s := range n.core.shards {
		m := &eachGuild{callerOf(ctx), run, make(chan error, 1)}
		s.inbox.push(m)
		if err := m.by.await(m.reply); err != nil {
			return err
		}
	}
	return nil
}

// askLoop is a question of the operator's to a loop; the reply channel has room for the answer.
type askLoop struct {
	run   func(l *loop) error
	reply chan error
}

func (m *askLoop) kind() messageKind { return kindOperate }

func (m *askLoop) do(l *loop) {
	err := errInternal
	defer func() { m.reply <- err }()
	err = m.run(l)
}

func (n *Node) onLoop(ctx context.Context, index int, run func(l *loop) error) error {
	m := &askLoop{run, make(chan error, 1)}
	n.core.loops[index].calls.push(m)
	select {
	case err := <-m.reply:
		return refusal(err)
	case <-n.core.over:
		return refusal(store.ErrClosed)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// onSession runs a question on the loop of the session with this id.
func (n *Node) onSession(ctx context.Context, id string, run func(l *loop, s *session)) error {
	parsed, ok := parseSessionID(id)
	if !ok {
		return api.UnknownSession
	}
	home, _ := placeOf(parsed)
	if home >= len(n.core.loops) {
		return api.UnknownSession
	}
	return n.onLoop(ctx, home, func(l *loop) error {
		s := l.byID(parsed)
		if s == nil {
			return api.UnknownSession
		}
		run(l, s)
		return nil
	})
}

// Session is what the node knows of a session.
func (n *Node) Session(ctx context.Context, id string) (info api.SessionInfo, err error) {
	err = n.onSession(ctx, id, func(l *loop, s *session) { info = l.info(s) })
	return info, err
}

// SessionsOf is all sessions of a user.
func (n *Node) SessionsOf(ctx context.Context, user wire.Snowflake) ([]api.SessionInfo, error) {
	all := []api.SessionInfo{}
	for _, h := range n.core.sessionsOf(user) {
		err := n.onLoop(ctx, int(h.Loop), func(l *loop) error {
			if s := l.session(h); s != nil {
				all = append(all, l.info(s))
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// CloseSession ends a session for good.
func (n *Node) CloseSession(ctx context.Context, id string) error {
	return n.onSession(ctx, id, func(l *loop, s *session) { l.endSession(s, EndedByOperator) })
}

// ReconnectSession asks a session's client to reconnect and resume.
func (n *Node) ReconnectSession(ctx context.Context, id string) error {
	return n.onSession(ctx, id, func(l *loop, s *session) {
		if s.socket != nil && s.socket.state == socketLive {
			l.sendAway(s.socket)
		}
	})
}

func (l *loop) info(s *session) api.SessionInfo {
	_, sent, acked := l.out.Seqs(s.slot)
	lag, _ := l.out.Lag(s.slot)
	i := api.SessionInfo{
		ID: s.id.String(), User: s.user, State: "detached", Loop: l.index, Intents: s.intents,
		Shard: s.shardPair(), Encoding: s.variant.Encoding().String(),
		Compression: s.compression.String(), SeqSent: sent, SeqAcked: acked,
		LagFrames: l.out.Unsent(s.slot), LagBytes: int64(lag), SentBytes: s.sentBytes,
		AgeSeconds: float64(l.core.clock()-s.began) / 1000, Guilds: []wire.Snowflake{},
	}
	l.board.Guilds(s.slot, func(g wire.Snowflake) { i.Guilds = append(i.Guilds, g) })
	if s.socket != nil {
		i.State, i.Remote = "live", s.socket.io.Remote()
	}
	return i
}

// Info is what the node says of itself.
func (n *Node) Info(context.Context) (api.NodeInfo, error) {
	t := n.totals()
	s := n.core.limits
	n.panel.mu.Lock()
	d := n.panel.now
	n.panel.mu.Unlock()
	return api.NodeInfo{
		Node: s.node, Version: n.cfg.Version, State: stateNames[n.state.Load()],
		UptimeSeconds: time.Since(n.began).Seconds(), Loops: len(n.core.loops),
		Limits: map[string]int64{
			"connections_max": s.connectionsMax, "journal_bytes": int64(s.journalBytes),
			"pending_max": int64(s.pendingMax), "resume_window_ms": s.resumeMilli,
			"heartbeat_interval_ms": s.heartbeatMilli, "commands_max": int64(s.commandsMax),
			"message_bytes_max":    int64(s.wire.MessageBytes),
			"relay_pass_max":       d.relayPass,
			"gc_percent":           d.gcPercent,
			"memory_limit_bytes":   d.memoryLimit,
			"identify_concurrency": int64(s.identifyBuckets),
		},
		Counts: map[string]int64{
			"connections": n.core.connections.Load(), "sessions_live": t.live,
			"sessions_detached": t.detached, "guilds": t.guilds, "members": n.core.members.Load(),
			"users": int64(n.core.users.Len()), "deliveries": int64(t.deliveries),
			"links": t.links, "claims": t.claims, "guilds_leaving": t.leaving,
			"guilds_coming": t.coming,
		},
		Tuned: n.tuned(),
	}, nil
}

// Ready is nil while the node takes new sessions.
func (n *Node) Ready() error {
	switch n.state.Load() {
	case stateStarting:
		return errors.New("the node is starting")
	case stateDraining:
		return errors.New("the node is draining")
	}
	if c := n.core; c.connections.Load() >= c.limits.connectionsMax {
		return fmt.Errorf("the node is full: %d connections", c.limits.connectionsMax)
	}
	if n.core.pressure() >= tuning.PressureNew {
		return errors.New("the node is short of memory")
	}
	if err := n.engine.gate.fault(); err != nil {
		return fmt.Errorf("the node is full, no connection can be accepted: %w", err)
	}
	return nil
}
