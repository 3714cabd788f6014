package node

import (
	"time"

	"throng/tuning"
	"throng/wire"
)

// part is the moment from which on the sessions are another process's: shards never go on, loops
// do for their sockets' sake, and accept nobody. It fails before anything has changed.
func (n *Node) part(still *stillness) error {
	if err := still.eachLoop(func(*driver) error { return nil }); err != nil {
		return err
	}
	n.state.Store(stateDraining)
	_ = still.eachShard(func(s *shard) error {
		s.guilds = map[wire.Snowflake]*place{} // It may be most of the memory, which two now have.
		return nil
	})
	_ = still.eachLoop(func(d *driver) error {
		d.loop.parted = true
		d.refuseAll()
		return nil
	})
	n.engine.gate.close()
	still.loopsGoOn()
	return nil
}

// refuseAll has the loop accept nobody. Who waits in the backlog is another process's.
func (d *driver) refuseAll() {
	for fd := range d.listeners {
		_ = d.poller.Delete(fd)
	}
	clear(d.listeners)
}

// depart sends everybody to the process that has taken over, and returns when nobody is left.
func (n *Node) depart() {
	n.endBy = time.Now().Add(n.cfg.DrainHard)
	hard := time.NewTimer(n.cfg.DrainHard)
	defer hard.Stop()
	spread := time.Duration(n.core.connections.Load()) * time.Second / tuning.TakeoverRate
	n.sendAllAway(min(spread, n.cfg.DrainSpread), hard.C)
}
