package enginetest

import (
	"io"
	"net"
	"sync"
	"testing"
)

// proxyChunkBytes are carried at a time.
const proxyChunkBytes = 32 << 10

// Proxy carries connections to an engine, unless it is frozen.
type Proxy struct {
	// Static after construction.
	listener net.Listener
	target   string

	// Guarded by mu.
	mu     sync.Mutex
	moved  sync.Cond
	frozen bool
	muted  bool
	closed bool
	conns  map[net.Conn]struct{}
}

// NewProxy listens at an address of its own and carries connections to target, a host and port.
func NewProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{listener: l, target: target, conns: map[net.Conn]struct{}{}}
	p.moved.L = &p.mu
	var serving sync.WaitGroup
	serving.Go(func() { p.accept(&serving) })
	t.Cleanup(func() {
		p.mu.Lock()
		p.closed = true
		p.moved.Broadcast()
		p.mu.Unlock()
		_ = l.Close()
		p.Cut()
		serving.Wait()
	})
	return p
}

// Address is where the proxy listens.
func (p *Proxy) Address() string { return p.listener.Addr().String() }

// Freeze holds back everything in both directions: to both ends it is as if the other had stopped.
func (p *Proxy) Freeze() { p.set(true, true) }

// Mute holds back what comes from the engine: it gets everything, and its answers stay away.
func (p *Proxy) Mute() { p.set(false, true) }

// Thaw lets what was held back go on.
func (p *Proxy) Thaw() { p.set(false, false) }

func (p *Proxy) set(frozen, muted bool) {
	p.mu.Lock()
	p.frozen, p.muted = frozen, muted
	p.moved.Broadcast()
	p.mu.Unlock()
}

// Cut closes all connections; what was on its way is lost.
func (p *Proxy) Cut() {
	p.mu.Lock()
	for c := range p.conns {
		_ = c.Close()
	}
	p.mu.Unlock()
}

func (p *Proxy) accept(serving *sync.WaitGroup) {
	for {
		near, err := p.listener.Accept()
		if err != nil {
			return
		}
		serving.Go(func() { p.carry(near) })
	}
}

func (p *Proxy) carry(near net.Conn) {
	defer p.drop(near)
	if !p.keep(near) || !p.pass(&p.frozen) {
		return
	}
	far, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	defer p.drop(far)
	if !p.keep(far) {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { p.copy(far, near, &p.frozen) })
	p.copy(near, far, &p.muted)
	both.Wait()
}

func (p *Proxy) keep(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns[c] = struct{}{}
	return !p.closed
}

func (p *Proxy) drop(c net.Conn) {
	_ = c.Close()
	p.mu.Lock()
	delete(p.conns, c)
	p.mu.Unlock()
}

// pass waits while held says so, which mu guards; it reports false at the end.
func (p *Proxy) pass(held *bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for *held && !p.closed {
		p.moved.Wait()
	}
	return !p.closed
}

func (p *Proxy) copy(to, from net.Conn, held *bool) {
	buffer := make([]byte, proxyChunkBytes)
	for {
		n, err := from.Read(buffer)
		if n > 0 && p.pass(held) {
			_, writeErr := to.Write(buffer[:n])
			if writeErr != nil {
				err = writeErr
			}
		}
		if err != nil {
			_ = to.Close()
			if err != io.EOF {
				_ = from.Close()
			}
			return
		}
	}
}
