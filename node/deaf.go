package node

import (
	"context"
	"time"

	"throng/tuning"
)

// A node without NATS can tell the sessions of other nodes nothing, and keep nothing, and its lease
// in etcd holds all the same. When it is the only one, it gives the lease back, and the others own
// its guilds at once. When NATS is away for all, nobody could own them better: each goes on with
// what it has, for its own sessions. Which of the two it is, the nodes tell each other by their
// records in etcd, and wait for those a moment: all lose one server at almost the same time.
func (c *clustered) listen() {
	look := time.NewTicker(tuning.DeafLookInterval)
	defer look.Stop()
	var since, said time.Time // When NATS went away, and when that was written down.
	for {
		select {
		case <-look.C:
		case <-c.stopped.Done():
			return
		}
		now := time.Now()
		if c.node.core.mesh.behind() {
			c.members.Refresh()
		}
		switch {
		case c.bus.Connected():
			if !said.IsZero() {
				c.setDeaf(false)
			}
			since, said = time.Time{}, time.Time{}
		case since.IsZero():
			since = now
		case said.IsZero() && now.Sub(since) >= tuning.DeafAfter:
			if c.setDeaf(true) {
				said = now
			}
		case !said.IsZero() && now.Sub(said) >= tuning.DeafPatience:
			if c.members.Owning(now) && c.members.View().Hears(c.node.cfg.Node) {
				c.node.log.Error("cluster: NATS is away for this node and not for others, " +
					"which take over its guilds")
				c.members.Resign(c.bus.Connected)
				since, said = time.Time{}, time.Time{}
			}
		}
	}
}

func (c *clustered) setDeaf(deaf bool) bool {
	ctx, cancel := context.WithTimeout(c.stopped, tuning.EtcdTimeout)
	defer cancel()
	err := c.members.SetDeaf(ctx, deaf)
	if err != nil {
		c.node.log.Warn("cluster: the others do not know whether this node hears them",
			"error", err)
	}
	return err == nil
}
