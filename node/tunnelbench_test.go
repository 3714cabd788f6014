package node

import (
	"io"
	"net"
	"runtime"
	"testing"
)

// tcpPair are the two ends of a connection.
func tcpPair(t testing.TB) (near, far net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if near, err = net.Dial("tcp", l.Addr().String()); err == nil {
		far, err = l.Accept()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close(); far.Close() })
	return near, far
}

// BenchmarkTunnel is how long an event of 300 bytes takes to the client and its answer back:
// without a tunnel, with one, and with one that splices.
func BenchmarkTunnel(b *testing.B) {
	rounds := func(b *testing.B, client, session net.Conn) {
		event, answer := make([]byte, 300), make([]byte, 40)
		b.ReportAllocs()
		for b.Loop() {
			_, err := session.Write(event)
			if err == nil {
				_, err = io.ReadFull(client, event)
			}
			if err == nil {
				_, err = client.Write(answer)
			}
			if err == nil {
				_, err = io.ReadFull(session, answer)
			}
			if err != nil {
				b.Fatal(err)
			}
		}
	}
	b.Run("none", func(b *testing.B) {
		client, session := tcpPair(b)
		rounds(b, client, session)
	})
	b.Run("pump", func(b *testing.B) {
		client, near := tcpPair(b)
		peer, session := tcpPair(b)
		x := newTunnels(&core{})
		go x.run(&tunnel{near, peer})
		defer x.close()
		rounds(b, client, session)
	})
	b.Run("splice", func(b *testing.B) {
		client, near := tcpPair(b)
		peer, session := tcpPair(b)
		go func() { _, _ = io.Copy(near, peer) }()
		go func() { _, _ = io.Copy(peer, near) }()
		rounds(b, client, session)
	})
}

// BenchmarkTunnelMemory is what a tunnel on which nothing flows takes of this process.
func BenchmarkTunnelMemory(b *testing.B) {
	const tunnelsN = 1000
	used := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapInuse + m.StackInuse
	}
	for b.Loop() {
		x := newTunnels(&core{})
		var all []*tunnel
		for range tunnelsN {
			_, near := tcpPair(b)
			peer, _ := tcpPair(b)
			all = append(all, &tunnel{near, peer})
		}
		before := used()
		for _, t := range all {
			go x.run(t)
		}
		until(b, "all run", func() bool {
			x.mu.Lock()
			defer x.mu.Unlock()
			return len(x.open) == tunnelsN
		})
		b.ReportMetric(float64(used()-before)/tunnelsN, "B/tunnel")
		x.close()
	}
}
