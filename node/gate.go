package node

import (
	"errors"
	"maps"
	"net"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/panjf2000/gnet/v2/pkg/netpoll"
	"github.com/panjf2000/gnet/v2/pkg/queue"
	"golang.org/x/sys/unix"

	"throng/tuning"
	"throng/wire"
)

// gate is where connections come in: the listeners, and what is asked of a connection before
// anything is allocated for it.
//
// Each loop accepts for itself, on a listener of its own, so many at a time and then serves its
// sockets. accept(2) fails for many reasons that are nobody's fault and pass: no descriptor is
// left to the process or to the host, no memory, a firewall's rule. None of them ends anything. The
// poller would report the listener again at once, as often as it is asked, so the listener is taken
// from it, for 5 ms at first and twice as long each time up to a second: who waits in the backlog
// is served then. Meanwhile the node is not ready, and says why.
type gate struct {
	// Static after construction.
	core     *core
	refusals map[CloseReason][]byte // what who may not come in is told

	// Set before the loops run.
	address string
	opened  []int // listeners that another process has opened

	// Guarded by mu.
	mu        sync.Mutex
	listeners []*listener
	failing   map[*listener]error // since when each has accepted nobody
	failures  map[string]uint64   // by name of the error
}

// listener is one of a loop's listeners.
type listener struct {
	// Static after construction.
	fd int

	// Owned by the loop goroutine.
	pause time.Duration // the last one, 0 = the last accept has not failed
}

func newGate(c *core) *gate {
	return &gate{
		core: c, failing: map[*listener]error{}, failures: map[string]uint64{},
		refusals: map[CloseReason][]byte{
			NodeFull: wire.AppendHandshakeRefusal(nil, &wire.HandshakeError{Status: 503,
				Reason: "The node holds as many connections as it may."}),
			NodeShort: wire.AppendHandshakeRefusal(nil, &wire.HandshakeError{Status: 503,
				Reason: shortOfMemory}),
			AddressRefused: wire.AppendHandshakeRefusal(nil, errAddress),
		},
	}
}

// open makes a listener for each loop, but for those that there are already.
func (g *gate) open(cfg Config, drivers []*driver) error {
	for len(g.opened) < len(drivers) {
		fd, err := listen(g.address, cfg)
		if err != nil {
			return err
		}
		g.opened = append(g.opened, fd)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, fd := range g.opened {
		l := &listener{fd: fd}
		g.listeners = append(g.listeners, l)
		drivers[i%len(drivers)].listeners[fd] = l
	}
	return nil
}

func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, fd := range g.opened {
		_ = unix.Close(fd)
	}
	g.opened, g.listeners = nil, nil
	clear(g.failing)
}

// files are duplicates of the listeners, for a process that goes on accepting where this one
// stops: what waits in their backlogs waits for both.
func (g *gate) files() (files []*os.File, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, l := range g.listeners {
		fd, failed := duplicate(l.fd)
		if failed != nil {
			err = errors.Join(err, failed)
			continue
		}
		files = append(files, os.NewFile(uintptr(fd), "listener"+strconv.Itoa(i)))
	}
	return files, err
}

// inherit takes listeners that another process has opened, in place of an address.
func (g *gate) inherit(files []*os.File) error {
	for _, f := range files {
		l, err := net.FileListener(f)
		if err != nil {
			return err
		}
		g.address = l.Addr().String()
		fd, err := descriptorOf(l)
		if err != nil {
			return err
		}
		g.opened = append(g.opened, fd)
	}
	return nil
}

// fault is an error of accepting that lasts, nil when connections come in.
func (g *gate) fault() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, err := range g.failing {
		return err
	}
	return nil
}

func (g *gate) failuresByName() map[string]uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return maps.Clone(g.failures)
}

// failed notes that a listener accepts nobody. It is logged once, however often it is tried.
func (g *gate) failed(l *listener, err error) {
	name := "other"
	if errno, ok := err.(unix.Errno); ok {
		name = unix.ErrnoName(errno)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.failures[name]++
	if g.failing[l] == nil {
		g.core.log.Warn("no connection can be accepted, those that come wait", "error", err)
	}
	g.failing[l] = err
}

func (g *gate) recovered(l *listener) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.failing, l)
	if len(g.failing) == 0 {
		g.core.log.Info("connections are accepted again")
	}
}

// acceptVerdict is what an accept leads to.
type acceptVerdict uint8

const (
	acceptTaken acceptVerdict = iota
	acceptEmpty               // nobody waits
	acceptNext                // who came has gone
	acceptPause
)

// judgeAccept sorts accept's errors. Those of a network that failed under a connection which was
// not accepted yet are that connection's: accept(2), "Error handling".
func judgeAccept(err error) acceptVerdict {
	switch err {
	case nil:
		return acceptTaken
	case unix.EAGAIN:
		return acceptEmpty
	case unix.EINTR, unix.ECONNABORTED, unix.ECONNRESET, unix.EPROTO, unix.ENOPROTOOPT,
		unix.ENETDOWN, unix.ENETUNREACH, unix.EHOSTDOWN, unix.EHOSTUNREACH, unix.EOPNOTSUPP:
		return acceptNext
	}
	return acceptPause
}

// accept takes in who waits at a listener.
func (d *driver) accept(l *listener) {
	for range tuning.AcceptPassMax {
		fd, from, err := d.accepting(l.fd)
		verdict := judgeAccept(err)
		if verdict == acceptPause {
			d.pauseAccept(l, err)
			return
		}
		// NB: the kernel looks for a descriptor before it looks whether anybody waits.
		if l.pause != 0 {
			l.pause = 0
			d.engine.gate.recovered(l)
		}
		switch verdict {
		case acceptEmpty:
			return
		case acceptTaken:
			d.welcome(fd, from)
		}
	}
}

// pauseAccept has a listener that fails rest for a while.
func (d *driver) pauseAccept(l *listener, err error) {
	d.engine.gate.failed(l, err)
	_ = d.poller.Delete(l.fd)
	l.pause = min(max(2*l.pause, tuning.AcceptPauseMin), tuning.AcceptPauseMax)
	time.AfterFunc(l.pause, func() {
		d.trigger(queue.LowPriority, func(any) error {
			if d.listeners[l.fd] != l {
				return nil // Another process accepts there.
			}
			if err := d.poller.AddRead(&netpoll.PollAttachment{FD: l.fd}, false); err != nil {
				d.pauseAccept(l, err)
				return nil
			}
			d.accept(l)
			return nil
		})
	})
}

// welcome asks whether a connection may come in, and takes it.
func (d *driver) welcome(fd int, from endpoint) {
	e := d.engine
	front := e.frontOf(from)
	g, reason, ok := e.admit(from, front)
	if !ok {
		e.core.closes[reason].Add(1)
		if front&frontTLS == 0 {
			_, _ = send(fd, e.gate.refusals[reason])
		}
		_ = unix.Close(fd)
		return
	}
	x := &connection{driver: d, fd: int32(fd), guest: g, front: front}
	if err := d.register(x); err != nil {
		e.core.log.Debug("a connection cannot be watched", "error", err)
		e.core.closes[NodeBusy].Add(1)
		e.left(g)
		return
	}
	d.guard(x, func() {
		d.loop.stats.on(kindOpened, 0)
		x.socket = d.loop.opened(x)
	})
	d.settle(x)
}
