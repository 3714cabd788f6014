package node

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	gneterrors "github.com/panjf2000/gnet/v2/pkg/errors"
	"github.com/panjf2000/gnet/v2/pkg/logging"
	"github.com/panjf2000/gnet/v2/pkg/netpoll"
	"github.com/panjf2000/gnet/v2/pkg/queue"

	"throng/tuning"
)

// engine drives the loops on gnet's poller: an epoll or kqueue descriptor for each loop, with a
// queue of tasks that wakes it.
//
// Of gnet it is the poller alone. What gnet builds above that, listeners and connections, would
// have to be worked around: an accept that fails for anything but an aborted connection (no
// descriptors, no memory, a firewall's rule) ends all loops and every connection with them; an
// accepted socket is allocated before anybody is asked whether it may come in; there is no way to
// stop accepting, to accept on a listener that another process has opened, or to give a loop a
// descriptor, but Enroll, which duplicates one of Go's connections by way of a goroutine. What it
// buffers we write past (flush.go), and what it keeps of a connection is 384 bytes.
//
// A connection that is accepted and reset costs 27 µs of processor time on gnet's own listeners,
// 41 µs when it comes from a listener of ours and is enrolled, and 24 µs on the poller alone
// (medians of 15 times 32,000, two loops). See BenchmarkAccept.
//
// What the poller does not do is done here: it has no recover, so every callback and every task is
// wrapped; it has no timers, so a ticker rings; its queue of tasks reorders under load, so of what
// has an order the only task is a doorbell for our own inbox.
type engine struct {
	// Static after construction.
	core         *core
	gate         *gate
	drivers      []*driver
	addresses    *addresses
	certificates *certificates // nil: no TLS
	handshakes   *handshakes
	inside       inside // of what crypto/tls has for a connection
	recordBytes  int    // of TLS
	// opened is told when the gateway is listened at; nil: nobody.
	opened func(door, address string)
}

// driver is one loop on one poller, and the connections of it.
type driver struct {
	// Static after construction.
	engine  *engine
	loop    *loop
	more    chan struct{} // asks for another pass after the sockets have been served
	passing queue.Func    // made once, so that to ring allocates nothing
	ticks   queue.Func

	// Set by open. What calls the poller holds mu, so that it is not closed meanwhile.
	mu     sync.RWMutex
	poller *netpoll.Poller // nil: the loop does not run

	// Atomic: a tick is on its way.
	ticking atomic.Bool

	// Owned by the loop goroutine.
	current     *connection         // whose callback is running
	connections map[int]*connection // by descriptor
	listeners   map[int]*listener   // by descriptor
	received    []byte              // what a read takes in
	raw, plain  []byte              // of TLS: records, and what was in one
	accepting   func(listener int) (fd int, from endpoint, err error)
}

func newEngine(c *core, cfg Config) (*engine, error) {
	e := &engine{core: c, gate: newGate(c), addresses: newAddresses(c.limits),
		handshakes:  newHandshakes(c, max(runtime.GOMAXPROCS(0)/2, 1), tuning.TLSHandshakesMax),
		inside:      lookInside(),
		recordBytes: min(int(cfg.WriteBuffer), tuning.TLSRecordBytesMax)}
	var err error
	e.certificates, err = openCertificates(cfg.TLSCert, cfg.TLSKey)
	return e, err
}

// addLoop makes loop number index with its driver.
func (e *engine) addLoop(index int, cfg Config) *loop {
	d := &driver{engine: e, more: make(chan struct{}, 1), connections: map[int]*connection{},
		listeners: map[int]*listener{}, received: make([]byte, cfg.ReadBuffer), accepting: accept}
	if e.certificates != nil {
		d.raw, d.plain = make([]byte, rawBytes), make([]byte, tuning.TLSRecordBytesMax)
	}
	d.passing = func(any) error { return d.pass() }
	d.ticks = func(any) error { return d.tick() }
	d.loop = newLoop(e.core, index, d.ring, d.again)
	e.drivers = append(e.drivers, d)
	return d.loop
}

// run serves until stopped. It returns when all loops have ended.
func (e *engine) run(cfg Config, stop <-chan struct{}) error {
	// Whoever waits for room in a loop's inbox would wait for ever once nobody drives the loop.
	defer e.closeInboxes()
	defer close(e.core.over)
	defer e.closePollers()
	if err := e.gate.open(cfg, e.drivers); err != nil {
		return err
	}
	setPollerLog(e.core.log)
	ended := make(chan struct{})
	failed := make(chan error, len(e.drivers))
	var loops, helpers sync.WaitGroup
	for _, d := range e.drivers {
		if err := d.open(); err != nil {
			return err
		}
	}
	for _, d := range e.drivers {
		loops.Go(func() { failed <- d.serve() })
		helpers.Go(func() { d.keepGoing(ended) })
		d.ring() // For what has come before it ran.
	}
	helpers.Go(func() { e.tick(ended) })
	e.core.log.Info("listening", "door", "gateway", "addr", e.gate.address)
	if e.opened != nil {
		e.opened("gateway", e.gate.address)
	}
	var err error
	select {
	case err = <-failed:
	case <-stop:
	}
	for _, d := range e.drivers {
		d.trigger(queue.HighPriority, func(any) error { return gneterrors.ErrEngineShutdown })
	}
	loops.Wait()
	close(ended)
	helpers.Wait()
	return err
}

func (e *engine) closeInboxes() {
	for _, d := range e.drivers {
		d.loop.inbox.close()
	}
}

// closePollers closes them, and listeners that no loop has closed.
func (e *engine) closePollers() {
	for _, d := range e.drivers {
		d.mu.Lock()
		if d.poller != nil {
			_ = d.poller.Close()
			d.poller = nil
		}
		d.mu.Unlock()
	}
	e.gate.close()
}

// open makes the poller and has it watch the loop's listeners.
func (d *driver) open() error {
	p, err := netpoll.OpenPoller()
	if err != nil {
		return err
	}
	for _, l := range d.listeners {
		if err := p.AddRead(&netpoll.PollAttachment{FD: l.fd}, false); err != nil {
			_ = p.Close()
			return err
		}
	}
	d.mu.Lock()
	d.poller = p
	d.mu.Unlock()
	return nil
}

// serve is the loop's goroutine.
func (d *driver) serve() error {
	d.loop.stats.label()
	err := d.poller.Polling(d.ready)
	if errors.Is(err, gneterrors.ErrEngineShutdown) {
		err = nil
	}
	for _, x := range d.connections {
		d.drop(x)
	}
	return err
}

// ready serves a descriptor that has something to read, has ended or has failed: a read says which.
func (d *driver) ready(fd int, _ netpoll.IOEvent, _ netpoll.IOFlags) error {
	if x := d.connections[fd]; x != nil {
		d.read(x)
	} else if l := d.listeners[fd]; l != nil {
		d.accept(l)
	} else {
		// Of a descriptor that was closed in the same round.
		_ = d.poller.Delete(fd)
	}
	return nil
}

// guard runs a callback of a connection; a panic costs that connection and is counted.
func (d *driver) guard(x *connection, f func()) {
	outer, nested := d.current, d.loop.stats.running
	d.current = x
	defer func() {
		d.current = outer
		if !nested {
			d.loop.stats.rest()
		}
		if r := recover(); r != nil {
			d.engine.core.panicked("connection", r, debug.Stack())
			switch {
			case x == nil:
			case x.socket == nil:
				x.closing = true
			default:
				d.current = x
				d.loop.abandon(x.socket)
				d.current = outer
			}
		}
	}()
	f()
}

// trigger has a task run on the loop's goroutine. It reports false when the loop does not run.
func (d *driver) trigger(p queue.EventPriority, task queue.Func) bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.poller != nil && d.poller.Trigger(p, task, nil) == nil
}

// ring wakes the loop for its inbox. Before the loop runs nobody has to: it begins with a look.
func (d *driver) ring() { d.trigger(queue.LowPriority, d.passing) }

// again asks for a pass that begins after the sockets have been served: a task that the loop gives
// itself would run before them, and a loop that always has work would serve nobody.
func (d *driver) again() {
	select {
	case d.more <- struct{}{}:
	default:
	}
}

func (d *driver) keepGoing(ended <-chan struct{}) {
	for {
		select {
		case <-d.more:
			d.ring()
		case <-ended:
			return
		}
	}
}

func (d *driver) pass() error {
	// The poller looks at its sockets when it finds no task in line. So nobody may have put the
	// next pass there before this one is over: what was asked for is done now.
	select {
	case <-d.more:
	default:
	}
	// A loop that has much to do makes no system call that the scheduler sees, and would be put
	// aside only after 10 ms. Shards and the doors, of which each event passes two, wait for that.
	runtime.Gosched()
	through := false
	d.guard(nil, func() {
		d.loop.pass()
		through = true
	})
	if !through {
		// The inbox may hold more, and rings only after it was found empty.
		d.again()
	}
	return nil
}

func (d *driver) tick() error {
	d.ticking.Store(false)
	d.guard(nil, d.loop.tick)
	return nil
}

// tick rings each loop every tick interval, and those with blocked sockets ten times as often.
func (e *engine) tick(ended <-chan struct{}) {
	const often = 10
	t := time.NewTicker(tuning.TickInterval / often)
	defer t.Stop()
	for n := 0; ; n++ {
		select {
		case <-ended:
			return
		case <-t.C:
		}
		e.handshakes.hurry()
		for _, d := range e.drivers {
			if n%often != 0 && d.loop.stats.blocked.Load() == 0 {
				continue
			}
			if d.ticking.CompareAndSwap(false, true) {
				d.trigger(queue.LowPriority, d.ticks)
			}
		}
	}
}

// setPollerLog has the poller say what it has to say where the node does.
func setPollerLog(log *slog.Logger) {
	logging.SetDefaultLoggerAndFlusher(pollerLog{log}, nil)
}

// pollerLog passes on what an operator may want to hear.
type pollerLog struct{ log *slog.Logger }

func (pollerLog) Debugf(string, ...any) {}
func (pollerLog) Infof(string, ...any)  {}
func (p pollerLog) Warnf(format string, args ...any) {
	p.log.Warn("gnet: " + fmt.Sprintf(format, args...))
}
func (p pollerLog) Errorf(format string, args ...any) {
	p.log.Error("gnet: " + fmt.Sprintf(format, args...))
}
func (p pollerLog) Fatalf(format string, args ...any) { p.Errorf(format, args...) }
