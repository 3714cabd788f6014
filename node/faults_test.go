package node

import (
	"fmt"
	"net"
	"testing"
	"time"

	"throng/node/faulttest"
	"throng/wire"
)

// behind is a node as it is seen from behind a bad network.
func behind(t *testing.T, r *rig, receiveBuffer int) (*faulttest.Proxy, *rig) {
	t.Helper()
	p := faulttest.Listen(t, r.doors["gateway"],
		net.Dialer{Control: receiveBufferControl(receiveBuffer)})
	return p, &rig{Node: r.Node, t: t, doors: map[string]string{"gateway": p.Address()}}
}

func filled(n, size int) string {
	return fmt.Sprintf(`{"n":%d,"big":"%s"}`, n, repeat("f", size))
}

// TestSessionOverABadNetwork: a session whose way is late, in pieces, stalls and is reset gets what
// one on a good way gets.
func TestSessionOverABadNetwork(t *testing.T) {
	t.Parallel()
	r := startRig(t, Config{})
	p, far := behind(t, r, 0)
	p.Set(faulttest.Up, faulttest.Fault{PieceMax: 1})
	p.Set(faulttest.Down, faulttest.Fault{PieceMax: 7, Latency: 50 * time.Microsecond})
	r.user(1, true)
	r.guild(100, 1)
	c := far.login(1)
	c.joined(1)
	n := 0
	publish := func(count int) {
		for range count {
			n++
			r.publishEvent(100, namedEvent("TEST_EVENT", filled(n, 100)))
		}
	}
	publish(20)
	for i := range 20 {
		c.wantNumber(i + 1)
	}
	p.Set(faulttest.Down, faulttest.Fault{Stall: true})
	publish(20)
	p.Set(faulttest.Down, faulttest.Fault{})
	for i := range 20 {
		c.wantNumber(20 + i + 1)
	}
	p.Reset()
	r.until("the session is left", func() bool { return r.totals().detached == 1 })
	publish(20)
	next := c.again()
	for i := range 20 {
		next.wantNumber(40 + i + 1)
	}
	next.wantEvent("RESUMED")
	next.send(1, "null")
	next.wantOp(wire.OpHeartbeatAck)
}

// TestNarrowReader is row 3 of the matrix: a burst that takes a narrow way some time does no harm,
// and what comes faster for good ends the connection before the session has missed anything,
// although the reader never stops.
func TestNarrowReader(t *testing.T) {
	t.Parallel()
	const rate, size, burst = 100_000, 1000, 30
	r := startRig(t, Config{Journal: 1 << 20, SocketSendBuffer: 4 << 10},
		func(c *core) { c.limits.lagMilli = 3_600_000 })
	p, far := behind(t, r, 2<<10)
	r.user(1, true)
	r.user(2, true)
	r.guild(100, 1, 2)
	witness, narrow := r.login(1), far.login(2)
	witness.joined(1)
	narrow.joined(1)
	p.Set(faulttest.Down, faulttest.Fault{BytesPerSecond: rate})
	n := 0
	publish := func(size int) {
		n++
		r.publishEvent(100, namedEvent("TEST_EVENT", filled(n, size)))
		witness.wantNumber(n)
	}
	for range burst {
		publish(size)
	}
	for i := range burst {
		narrow.wantNumber(i + 1)
	}
	if got := r.closes(SlowReader); got != 0 {
		t.Fatalf("a burst of %d KB closed %d", burst*size/1000, got)
	}
	narrow.number = burst
	for r.closes(SlowReader) == 0 {
		if publish(20 * size); n > 1000 {
			t.Fatal("the journal has come round often, and the reader is still there")
		}
	}
	p.Set(faulttest.Down, faulttest.Fault{})
	narrow.tail('f')
	next := narrow.again()
	for at := int(narrow.number); at < n; at++ {
		next.wantNumber(at + 1)
	}
	next.wantEvent("RESUMED")
}

// TestTenthStopsReading is row 2 of the matrix: those who stop reading in a burst are closed, each
// counted once, and the others get all of it. What is held for them is one copy a loop, and what
// little their sockets take.
func TestTenthStopsReading(t *testing.T) {
	t.Parallel()
	const clients, frozen, size, burst = 50, 5, 20_000, 10
	r := startRig(t, Config{Journal: 1 << 20, SocketSendBuffer: 4 << 10},
		func(c *core) { c.limits.lagMilli = 3_600_000 })
	r.user(1, true)
	r.guild(100, 1)
	var all []*wsClient
	for i := range clients {
		buffer := 0
		if i < frozen {
			buffer = 2 << 10
		}
		c := r.loginNarrow(1, buffer)
		c.joined(1)
		all = append(all, c)
	}
	n := 0
	publish := func() {
		n++
		r.publishEvent(100, namedEvent("TEST_EVENT", filled(n, size)))
		for _, c := range all[frozen:] {
			c.wantNumber(n)
		}
	}
	for range burst {
		publish()
	}
	var queued, written int64
	r.until("who reads nothing is stuck, and counted", func() bool {
		stuck := 0
		queued, written = 0, 0
		for i := range r.core.loops {
			r.onLoop(i, func(l *loop) {
				l.countQueued()
				l.stats.publish(l)
				stuck += len(l.blocked)
				queued += l.stats.queued.Load()
				written += l.stats.journalBytes.Load()
			})
		}
		return stuck == frozen && queued > 0 || r.closes(SlowReader) > 0
	})
	if got := r.closes(SlowReader); got != 0 {
		t.Fatalf("a burst of %d KB closed %d", burst*size/1000, got)
	}
	if most := int64(len(r.core.loops)) * 2 * burst * size; written > most {
		t.Errorf("the journals hold %d bytes for all, more than %d: not one copy a loop", written,
			most)
	}
	if queued > frozen*burst*size/2 {
		t.Errorf("%d bytes are in the sockets of %d, half of what was sent to them", queued, frozen)
	}
	// The kernel gives up on one too, when it has taken nothing for long: see TCPUserTimeout.
	gone := func() uint64 { return r.closes(SlowReader) + r.closes(ConnectionLost) }
	for gone() < frozen {
		if publish(); n > 1000 {
			t.Fatal("the journal has come round often, and who reads nothing is still there")
		}
	}
	publish()
	if got := gone(); got != frozen {
		t.Errorf("%d were closed, want %d", got, frozen)
	}
}

// TestHalfIsReset is row 20 of the matrix: half of all connections are reset at one moment. Nothing
// stays of them but their sessions, which can be resumed, and the others notice nothing.
func TestHalfIsReset(t *testing.T) {
	t.Parallel()
	const half = 50
	r := startRig(t, Config{})
	p, far := behind(t, r, 0)
	r.user(1, true)
	r.guild(100, 1)
	var near, gone []*wsClient
	for range half {
		near, gone = append(near, r.login(1)), append(gone, far.login(1))
		near[len(near)-1].joined(1)
		gone[len(gone)-1].joined(1)
	}
	p.Reset()
	r.until("the other half is left", func() bool { return r.core.connections.Load() == half })
	sockets := 0
	r.eachSocket(func(*loop, *socket) { sockets++ })
	if sockets != half {
		t.Errorf("the loops have %d sockets, want %d", sockets, half)
	}
	r.publish(100, 1)
	for _, c := range near {
		c.wantNumber(1)
	}
	for _, c := range gone {
		next := c.again()
		next.wantNumber(1)
		next.wantEvent("RESUMED")
	}
	r.sound()
}
