package node

import (
	"context"
	"slices"
	"time"

	"throng/node/cluster"
	"throng/tuning"
	"throng/wire"
)

// Drain starts what SIGTERM starts, and returns at once.
func (n *Node) Drain() {
	n.drainOnce.Do(func() {
		n.log.Info("draining", "grace", n.cfg.DrainGrace, "spread", n.cfg.DrainSpread)
		n.state.Store(stateDraining)
		close(n.drainNow)
	})
}

// drain sends everybody away: readiness goes off at once, so that balancers look elsewhere; after
// the grace new handshakes are refused and sessions are told to reconnect, evenly over the spread;
// it ends when nobody is left, and at the hard limit in any case.
//
// Sessions are not closed all at once because whoever takes them over must take them in: a million
// identifies in one second are a second outage.
func (n *Node) drain() {
	n.Drain()
	n.endBy = time.Now().Add(n.cfg.DrainHard)
	hard := time.NewTimer(n.cfg.DrainHard)
	defer hard.Stop()
	n.leaveRing()
	// A demo has no balancer that would have to notice.
	if !n.cfg.Demo && !n.pause(n.cfg.DrainGrace, hard.C) {
		return
	}
	n.giveGuilds(hard.C)
	n.core.draining.Store(true)
	n.sendAllAway(n.cfg.DrainSpread, hard.C)
}

// sendAllAway sends sessions away evenly over the spread, and returns when nobody is left.
func (n *Node) sendAllAway(spread time.Duration, hard <-chan time.Time) {
	const steps = 100
	for step := range steps {
		for _, l := range n.core.loops {
			l.calls.push(&sendAway{share: step + 1, of: steps})
		}
		n.core.tunnels.sendAway(step+1, steps)
		if n.core.connections.Load() == 0 {
			return
		}
		if !n.pause(spread/steps, hard) {
			return
		}
	}
	for n.core.connections.Load() > 0 {
		for _, l := range n.core.loops {
			l.calls.push(&sendAway{share: 1, of: 1})
		}
		n.core.tunnels.sendAway(1, 1)
		if !n.pause(drainPoll, hard) {
			return
		}
	}
}

// leaveRing has the guilds of a node that is one of many go to the others, while all its sessions
// are still there.
func (n *Node) leaveRing() {
	if n.others == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), tuning.EtcdTimeout)
	defer cancel()
	if err := n.others.members.SetDraining(ctx, true); err != nil {
		n.log.Warn("drain: the others do not know of it", "error", err)
	}
}

// giveGuilds waits until this node has no guild, for a part of the time that the drain has.
func (n *Node) giveGuilds(hard <-chan time.Time) {
	if n.others == nil {
		return
	}
	const share = 4
	end := time.Now().Add(n.cfg.DrainHard / share)
	for n.totals().guilds > 0 && n.others.heirs() && time.Now().Before(end) {
		if !n.pause(drainPoll, hard) {
			return
		}
	}
	if left := n.totals().guilds; left > 0 {
		n.log.Warn("drain: guilds are left, whose sessions will join them anew", "count", left)
	}
}

// heirs says whether there is a node that could take the guilds of this one.
func (c *clustered) heirs() bool {
	m := c.node.core.mesh
	return slices.ContainsFunc(m.view.Load().Nodes, func(n cluster.Node) bool {
		return n.Name != m.self && !n.Draining
	})
}

// drainPoll is how often the end of a drain looks whether everybody has gone.
const drainPoll = 100 * time.Millisecond

// pause waits; it reports false when the drain must end now.
func (n *Node) pause(d time.Duration, hard <-chan time.Time) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-hard:
	case <-n.abort:
	}
	return false
}

// sendAway tells a loop's sockets to reconnect until this share of all has been told.
type sendAway struct{ share, of int }

func (m *sendAway) kind() messageKind { return kindOperate }

func (m *sendAway) do(l *loop) {
	open := 0
	for _, k := range l.sockets {
		if mayLeave(k) {
			open++
		}
	}
	due := (open+l.sentAway)*m.share/m.of - l.sentAway
	for _, k := range l.sockets {
		if due <= 0 {
			return
		}
		if mayLeave(k) {
			due--
			l.sentAway++
			l.sendAway(k)
		}
	}
}

// mayLeave says whether a drain still has to send the socket away.
//
// Whoever has come to a process that is no more the one to come to, and has not said what for, is
// answered first.
func mayLeave(k *socket) bool {
	return k != nil && !k.told && k.state < socketClosing &&
		!(k.loop.parted && k.state == socketHandshaking)
}

// sendAway asks a client to reconnect, and closes the connection when it has not done so in time.
// A client without a session is closed at once: some libraries cannot take op 7 before READY.
func (l *loop) sendAway(k *socket) {
	if k.state != socketLive {
		l.closeSocket(k, NodeDraining, "The node is shutting down.")
		return
	}
	k.told = true
	k.say(wire.AppendReconnect)
	l.due(k, l.time+l.core.limits.lingerMilli)
	l.write(k)
}
