package node

import (
	"errors"
	"time"

	"throng/tuning"
	"throng/wire"
)

var errEndAsked = errors.New("the node is to end")

// askEnd is called once, when the node is to end. A takeover that has not got to its last step is
// given up; behind that step it is the other process that ends, see bequeathEnd.
func (n *Node) askEnd() {
	n.parting.Lock()
	defer n.parting.Unlock()
	close(n.endAsked)
}

func (n *Node) isEndAsked() bool {
	select {
	case <-n.endAsked:
		return true
	default:
		return false
	}
}

// dropOnEnd ends the process that is to take over, when the node is to end before it has: nobody
// waits for a takeover that comes to nothing.
func (n *Node) dropOnEnd(to *successor, stop <-chan struct{}) {
	select {
	case <-n.endAsked:
	case <-stop:
		return
	}
	n.parting.Lock()
	defer n.parting.Unlock()
	if !n.parted {
		_ = to.cmd.Process.Kill()
	}
}

// bequeathEnd has the process that has taken over end, if that was asked of this one before it was
// known that another serves. It goes by the pipe: as a signal it would be a second one to a process
// that a supervisor tells the same, and that one ends without a drain.
func (n *Node) bequeathEnd() {
	p := n.heir.pipe
	defer p.conn.Close()
	if !n.isEndAsked() {
		return
	}
	err := p.conn.SetDeadline(time.Time{})
	if err == nil {
		err = p.say(legacyDrain, nil)
	}
	if err != nil {
		n.log.Error("the process that has taken over was not told to end", "error", err)
	}
}

// part is the moment from which on the sessions are another process's: shards never go on, loops
// do for their sockets' sake, and accept nobody. It fails before anything has changed.
func (n *Node) part(still *stillness) error {
	n.parting.Lock()
	defer n.parting.Unlock()
	if n.isEndAsked() {
		return errEndAsked
	}
	if err := still.eachLoop(func(*driver) error { return nil }); err != nil {
		return err
	}
	n.parted = true
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
