package node

import (
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// capped is a listener of HTTP that serves only so many connections at a time, so that HTTP cannot
// use up the gateway's descriptors. The next one is taken from the kernel and waits.
//
// Clients keep connections open that they have no use for at the moment, up to two minutes. If
// these counted like all others, a pool as large as the cap would keep everybody else waiting for
// so long, its own further requests among them. So while somebody waits the connection that has
// been idle for longest is closed, and each that becomes idle.
type capped struct {
	net.Listener
	slots  chan struct{}
	closed chan struct{}
	once   sync.Once

	// Guarded by mu.
	mu      sync.Mutex
	idle    []net.Conn             // longest first
	waiting bool                   // a connection waits for a slot
	silent  map[net.Conn]time.Time // since when those are there that have brought nothing yet
	owing   map[net.Conn]time.Time // since when the node waits for those in a request, see owes
}

func listenCapped(address string, connections int) (*capped, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	return newCapped(l, connections), nil
}

func newCapped(l net.Listener, connections int) *capped {
	return &capped{Listener: l, slots: make(chan struct{}, connections),
		closed: make(chan struct{}), silent: map[net.Conn]time.Time{},
		owing: map[net.Conn]time.Time{}}
}

// Accept returns the next connection once there is a slot for it.
func (l *capped) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	select {
	case l.slots <- struct{}{}:
		return &cappedConn{Conn: c, slots: l.slots}, nil
	default:
	}
	l.makeRoom()
	defer l.roomMade()
	select {
	case l.slots <- struct{}{}:
		return &cappedConn{Conn: c, slots: l.slots}, nil
	case <-l.closed:
		_ = c.Close()
		return nil, net.ErrClosed
	}
}

func (l *capped) makeRoom() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waiting = len(l.idle) == 0; !l.waiting {
		_ = l.idle[0].Close()
		l.idle = l.idle[1:]
	}
}

func (l *capped) roomMade() {
	l.mu.Lock()
	l.waiting = false
	l.mu.Unlock()
}

// follow is the server's http.Server.ConnState.
func (l *capped) follow(c net.Conn, s http.ConnState) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.idle = slices.DeleteFunc(l.idle, func(o net.Conn) bool { return o == c })
	if s == http.StateNew {
		l.silent[c] = time.Now()
	} else {
		delete(l.silent, c)
	}
	delete(l.owing, c)
	if s == http.StateActive {
		l.owing[c] = time.Now()
	}
	switch {
	case s != http.StateIdle:
	case l.waiting:
		l.waiting = false // One is enough.
		_ = c.Close()
	default:
		l.idle = append(l.idle, c)
	}
}

// open is how many connections there are.
func (l *capped) open() int { return len(l.slots) }

// closeSilent closes connections that have brought nothing for as long since they were opened.
func (l *capped) closeSilent(span time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c, since := range l.silent {
		if time.Since(since) > span {
			_ = c.Close()
		}
	}
}

// owes notes whether it is for the client that a request goes on: its head or body has not all
// come, or its answer, which is made, has not all been taken.
func (l *capped) owes(c net.Conn, owes bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if delete(l.owing, c); owes {
		l.owing[c] = time.Now()
	}
}

// closeOwing closes connections whose clients have been waited for as long, behind began.
func (l *capped) closeOwing(began time.Time, span time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Since(began) <= span {
		return
	}
	for c, since := range l.owing {
		if time.Since(since) > span {
			_ = c.Close()
		}
	}
}

func (l *capped) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

type cappedConn struct {
	net.Conn
	slots chan struct{}
	once  sync.Once
}

func (c *cappedConn) Close() error {
	c.once.Do(func() { <-c.slots })
	return c.Conn.Close()
}
