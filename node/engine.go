package node

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/panjf2000/gnet/v2"

	"throng/tuning"
	"throng/wire"
)

// engine drives the loops on gnet.
//
// What gnet does not do is done here: it has no recover, so every callback and every task is
// wrapped; an accept that fails for want of descriptors stops the whole engine, so connections are
// capped below the limit, each loop accepts for itself (one at a time, so that refusing keeps up
// with accepting), and what is above the cap is refused at once; it has no timers, so a ticker
// rings; its queue of tasks reorders under load, so the only task is a doorbell for our own inbox.
type engine struct {
	gnet.BuiltinEventEngine

	// Static after construction.
	core    *core
	address string
	refusal []byte
	drivers []*driver

	booted chan gnet.Engine
	moves  chan move

	// Guarded by mu.
	mu    sync.Mutex
	bound map[gnet.EventLoop]*driver
}

// driver is one of our loops on one of gnet's.
type driver struct {
	// Static after construction.
	engine *engine
	loop   *loop
	more   chan struct{} // asks for another pass after the sockets have been served

	// Atomic: written when gnet's loop shows itself by its first connection.
	events atomic.Pointer[gnet.EventLoop]

	// Held by whoever drives the loop while it has no loop of gnet's.
	unbound sync.Mutex

	// Atomic: a tick is on its way.
	ticking atomic.Bool

	// Owned by the loop goroutine.
	current *connection // whose callback is running
}

func newEngine(c *core, address string) *engine {
	e := &engine{
		core: c, address: address, booted: make(chan gnet.Engine, 1),
		moves: make(chan move, tuning.MovesMax), bound: map[gnet.EventLoop]*driver{},
		refusal: wire.AppendHandshakeRefusal(nil, &wire.HandshakeError{Status: 503,
			Reason: "The node holds as many connections as it may."}),
	}
	return e
}

// addLoop makes loop number index with its driver.
func (e *engine) addLoop(index int) *loop {
	d := &driver{engine: e, more: make(chan struct{}, 1)}
	d.loop = newLoop(e.core, index, d.ring, d.again)
	e.drivers = append(e.drivers, d)
	return d.loop
}

// run serves until stopped. It returns when all loops have ended.
func (e *engine) run(cfg Config, stop <-chan struct{}) error {
	ended := make(chan struct{})
	defer close(ended)
	// Whoever waits for room in a loop's inbox would wait for ever once nobody drives the loop.
	defer e.closeInboxes()
	for _, d := range e.drivers {
		go d.keepGoing(ended)
	}
	for range tuning.MoversMax {
		go e.move(ended)
	}
	go e.tick(ended)
	go func() {
		select {
		case running := <-e.booted:
			<-stop
			ctx, cancel := context.WithTimeout(context.Background(), cfg.DrainHard)
			defer cancel()
			_ = running.Stop(ctx)
		case <-ended:
		}
	}()
	return gnet.Run(e, "tcp://"+e.address,
		gnet.WithNumEventLoop(len(e.drivers)),
		gnet.WithReusePort(true),
		gnet.WithReuseAddr(true), // or a restart waits a minute for the connections of before
		gnet.WithReadBufferCap(int(cfg.ReadBuffer)),
		gnet.WithWriteBufferCap(int(cfg.WriteBuffer)),
		gnet.WithSocketSendBuffer(int(cfg.SocketSendBuffer)),
		gnet.WithSocketRecvBuffer(int(cfg.SocketReceiveBuffer)),
		gnet.WithLogger(gnetLog{e.core.log}),
	)
}

func (e *engine) closeInboxes() {
	for _, d := range e.drivers {
		d.loop.inbox.close()
	}
}

// OnBoot is called when the listeners are open.
func (e *engine) OnBoot(running gnet.Engine) gnet.Action {
	e.core.log.Info("listening", "door", "gateway", "addr", e.address)
	e.booted <- running
	return gnet.None
}

// driver finds the driver of one of gnet's loops. gnet does not list its loops: each is known from
// its first connection on.
func (e *engine) driver(l gnet.EventLoop) *driver {
	e.mu.Lock()
	defer e.mu.Unlock()
	d, ok := e.bound[l]
	if !ok {
		d = e.drivers[len(e.bound)]
		e.bound[l] = d
		d.unbound.Lock()
		d.events.Store(&l)
		d.unbound.Unlock()
		d.loop.stats.label() // A callback of that loop is what calls.
	}
	return d
}

// OnOpen takes a new connection, or one that another loop has handed over.
func (e *engine) OnOpen(c gnet.Conn) (out []byte, action gnet.Action) {
	d := e.driver(c.EventLoop())
	x := &connection{conn: c, driver: d}
	moved, _ := c.Context().(*movedSocket)
	if moved != nil {
		moved.arrived = true // It was let in, and has been counted since.
		x.remote = moved.remote
	} else if e.core.connections.Add(1) > e.core.limits.connectionsMax {
		e.core.closes[NodeFull].Add(1)
		return e.refusal, gnet.Close
	}
	c.SetContext(x)
	d.guard(x, func() {
		d.loop.stats.on(kindOpened, 0)
		if moved == nil {
			setUserTimeout(c.Fd(), tuning.TCPUserTimeout)
			x.socket = d.loop.opened(x)
			return
		}
		var consumed int
		x.socket, consumed = d.loop.adopted(x, moved)
		if rest := moved.rest[consumed:]; len(rest) > 0 {
			x.early = &rest
		}
		d.loop.afterTraffic()
	})
	return nil, x.action()
}

// OnTraffic offers what has arrived.
func (e *engine) OnTraffic(c gnet.Conn) gnet.Action {
	x, ok := c.Context().(*connection)
	if !ok {
		return gnet.Close
	}
	x.driver.guard(x, func() {
		x.driver.loop.stats.on(kindTraffic, 0)
		buf, err := c.Peek(-1)
		if err != nil {
			return
		}
		if x.early != nil {
			x.readEarly(buf)
			return
		}
		// NB: gnet takes Discard(0) for everything.
		if n := x.driver.loop.traffic(x.socket, buf); n > 0 {
			_, _ = c.Discard(n)
		}
		x.driver.loop.afterTraffic()
	})
	return x.action()
}

// OnClose is called when a connection is gone, whoever ended it.
func (e *engine) OnClose(c gnet.Conn, _ error) gnet.Action {
	e.core.connections.Add(-1)
	if x, ok := c.Context().(*connection); ok && x.socket != nil && !x.moved {
		x.closing = true
		x.driver.guard(nil, func() {
			x.driver.loop.stats.within(kindEnded)
			x.driver.loop.ended(x.socket)
		})
	}
	return gnet.None
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
			if x == nil || x.socket == nil {
				return
			}
			d.current = x
			d.loop.abandon(x.socket)
			d.current = outer
		}
	}()
	f()
}

// ring wakes the loop for its inbox. A loop that has never had a connection has nobody to wake and
// nothing that could wait: it is driven by whoever rings.
func (d *driver) ring() {
	if d.events.Load() == nil {
		d.unbound.Lock()
		defer d.unbound.Unlock()
		if d.events.Load() == nil {
			_ = d.pass(context.Background())
			return
		}
	}
	_ = (*d.events.Load()).Execute(context.Background(), gnet.RunnableFunc(d.pass))
}

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

func (d *driver) pass(context.Context) error {
	// gnet looks at its sockets when it finds no task in line. So nobody may have put the next pass
	// there before this one is over: what was asked for is done now.
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

func (d *driver) tick(context.Context) error {
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
		for _, d := range e.drivers {
			l := d.events.Load()
			if l == nil || n%often != 0 && d.loop.stats.blocked.Load() == 0 {
				continue
			}
			if d.ticking.CompareAndSwap(false, true) {
				_ = (*l).Execute(context.Background(), gnet.RunnableFunc(d.tick))
			}
		}
	}
}

// connection is a socket's transport on gnet.
type connection struct {
	conn    gnet.Conn
	driver  *driver
	socket  *socket
	early   *[]byte // of a moved socket: bytes that gnet does not have
	remote  string  // of a socket from another node: its client's address
	closing bool
	moved   bool
}

// readEarly puts what a moved socket had brought before what has arrived since.
func (x *connection) readEarly(buf []byte) {
	all := append(*x.early, buf...)
	_, _ = x.conn.Discard(len(buf))
	n := x.driver.loop.traffic(x.socket, all)
	x.early = nil
	if rest := all[n:]; len(rest) > 0 {
		x.early = &rest
	}
	x.driver.loop.afterTraffic()
}

func (x *connection) action() gnet.Action {
	if x.closing || x.moved {
		return gnet.Close
	}
	return gnet.None
}

// Write writes past gnet's outbound buffer; see flush.go.
func (x *connection) Write(b []byte) (n int, err error) {
	if x.closing || x.moved {
		return 0, net.ErrClosed
	}
	return send(x.conn.Fd(), b)
}

// Close ends the connection: within one of its own callbacks by the callback's result, since gnet
// goes on with the connection after the callback, and at once otherwise.
func (x *connection) Close() {
	if x.closing || x.moved {
		return
	}
	x.closing = true
	if x.driver.current != x {
		_ = x.conn.EventLoop().Close(x.conn)
	}
}

// Remote is the peer's address.
func (x *connection) Remote() string {
	if x.remote != "" {
		return x.remote
	}
	if a := x.conn.RemoteAddr(); a != nil {
		return a.String()
	}
	return ""
}

// gnetLog passes on what gnet has to say that an operator may want to hear.
type gnetLog struct{ log *slog.Logger }

func (g gnetLog) Debugf(string, ...any) {}
func (g gnetLog) Infof(string, ...any)  {}
func (g gnetLog) Warnf(format string, args ...any) {
	g.log.Warn("gnet: " + fmt.Sprintf(format, args...))
}
func (g gnetLog) Errorf(format string, args ...any) {
	g.log.Error("gnet: " + fmt.Sprintf(format, args...))
}
func (g gnetLog) Fatalf(format string, args ...any) { g.Errorf(format, args...) }
