// Package faulttest is a bad network for tests: a TCP proxy between a client and a node that is
// late, narrow, cuts what it carries into pieces, stalls, loses everything, or resets.
//
// Each direction has a fault of its own, which may change at any time and holds for what is carried
// from then on. What it does to the sockets is real: a way that stalls or is narrow is not read
// from, so the kernel's buffers fill until whoever sends cannot, and Reset sends RSTs. A way with a
// hole acknowledges and forgets; a peer that does not even acknowledge is made with Deafen. The
// proxy changes no octet. Nothing but tests imports this package.
//
// Start reading at Listen and Fault.
package faulttest

import (
	"net"
	"sync"
	"testing"
	"time"
)

// Way is a direction.
type Way int

// Up is from the client to the node, Down the other way.
const (
	Up Way = iota
	Down
)

// Fault is what is wrong with a direction; the zero value is nothing.
type Fault struct {
	Latency        time.Duration // Before each piece.
	BytesPerSecond int           // 0: as many as come.
	PieceMax       int           // Octets that are carried at a time; 0: as many as come.
	Stall          bool          // Nothing is read, until it ends.
	Hole           bool          // What is read is forgotten.
}

// pieceMax is what is read at a time. A narrow way is given a piece fifty times a second.
const (
	pieceMax        = 32 << 10
	piecesPerSecond = 50
)

// Proxy carries connections to one address.
type Proxy struct {
	// Static after construction.
	target   string
	listener net.Listener
	dialer   net.Dialer

	// Guarded by mu.
	mu     sync.Mutex
	turned sync.Cond // A fault has changed, or the proxy ends.
	faults [2]Fault
	ended  bool
	conns  map[*net.TCPConn]struct{}
}

// Listen begins to carry connections to target, until the test ends. dialer opens them; with a
// small receive buffer less is on its way while a way stalls.
func Listen(t testing.TB, target string, dialer net.Dialer) *Proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{target: target, listener: listener, dialer: dialer,
		conns: map[*net.TCPConn]struct{}{}}
	p.turned.L = &p.mu
	var all sync.WaitGroup
	all.Go(func() { p.accept(&all) })
	t.Cleanup(func() {
		_ = listener.Close()
		p.mu.Lock()
		p.ended = true
		p.mu.Unlock()
		p.turned.Broadcast()
		p.Reset()
		all.Wait()
	})
	return p
}

// Address is where it listens.
func (p *Proxy) Address() string { return p.listener.Addr().String() }

// Set changes what is wrong with a direction.
func (p *Proxy) Set(w Way, f Fault) {
	p.mu.Lock()
	p.faults[w] = f
	p.mu.Unlock()
	p.turned.Broadcast()
}

// Reset ends all connections at once with RSTs, to both sides.
func (p *Proxy) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.SetLinger(0)
		_ = c.Close()
	}
	clear(p.conns)
}

func (p *Proxy) accept(all *sync.WaitGroup) {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		node, err := p.dialer.Dial("tcp", p.target)
		if err != nil {
			_ = client.Close()
			continue
		}
		a, b := client.(*net.TCPConn), node.(*net.TCPConn)
		p.mu.Lock()
		p.conns[a], p.conns[b] = struct{}{}, struct{}{}
		ended := p.ended
		p.mu.Unlock()
		if ended {
			p.end(a, b)
		}
		all.Go(func() { p.carry(a, b, Up) })
		all.Go(func() { p.carry(b, a, Down) })
	}
}

// carry copies one direction until either side ends, and then ends the other.
func (p *Proxy) carry(from, to *net.TCPConn, w Way) {
	buf := make([]byte, pieceMax)
	for {
		n, err := from.Read(buf[:p.fault(w).piece()])
		f := p.fault(w) // It may have changed while nothing came.
		if n > 0 {
			f.wait(n)
			if !f.Hole {
				if _, err := to.Write(buf[:n]); err != nil {
					p.end(from, to)
					return
				}
			}
		}
		if err != nil {
			if !f.Hole {
				p.end(to, from)
			}
			return
		}
	}
}

// fault is what is wrong with a direction, once it does not stall.
func (p *Proxy) fault(w Way) Fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.faults[w].Stall && !p.ended {
		p.turned.Wait()
	}
	return p.faults[w]
}

// end closes both sides of a connection.
func (p *Proxy) end(sides ...*net.TCPConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range sides {
		_ = c.Close()
		delete(p.conns, c)
	}
}

// piece is how much is read at a time.
func (f Fault) piece() int {
	n := pieceMax
	if f.PieceMax > 0 {
		n = min(n, f.PieceMax)
	}
	if f.BytesPerSecond > 0 {
		n = min(n, max(f.BytesPerSecond/piecesPerSecond, 1))
	}
	return n
}

// wait takes as long as so many octets do.
func (f Fault) wait(octets int) {
	d := f.Latency
	if f.BytesPerSecond > 0 {
		d += time.Duration(octets) * time.Second / time.Duration(f.BytesPerSecond)
	}
	if d > 0 {
		time.Sleep(d)
	}
}
