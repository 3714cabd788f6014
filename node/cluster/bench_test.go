package cluster

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"throng/node/cluster/enginetest"
)

// BenchmarkBus is the cost of an item from one node to another and of the server in between, which
// is another process.
func BenchmarkBus(b *testing.B) {
	for _, size := range []int{100, 500, 5000} {
		b.Run(fmt.Sprintf("%d bytes", size), func(b *testing.B) {
			c := NATSConfig{Servers: enginetest.NATS(b).Address()}
			var count atomic.Int64
			got := make(chan struct{}, 1)
			open := func(name string) *Bus {
				bus, err := NewBus(BusConfig{
					NATS: c, Cluster: "test", Node: name, OnReset: func(*Peer, uint64, ResetReason) {
						b.Error("something was lost")
					},
					Receive: func(_ *Peer, _ uint64, items [][]byte) {
						count.Add(int64(len(items)))
						ringBell(got)
					},
				})
				if err != nil {
					b.Fatal(err)
				}
				b.Cleanup(bus.Close)
				bus.Update(&View{Generation: 9, Nodes: []Node{
					{Name: "a", Incarnation: 1}, {Name: "b", Incarnation: 2},
				}}, map[string]uint64{"a": 1, "b": 2}[name])
				return bus
			}
			from := open("a")
			open("b")
			p := from.Peer("b")
			epoch, item := p.Epoch(), make([]byte, size)
			sent := int64(0)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				for sent-count.Load() >= 10_000 {
					<-got
				}
				if !p.Send(epoch, item) {
					b.Fatal("an item is refused")
				}
				sent++
			}
			for count.Load() < sent {
				<-got
			}
			b.ReportMetric(float64(sent)/float64(from.Stats().BatchesSent), "items/batch")
		})
	}
}

// BenchmarkLog is how many writes a stream stores, of pages of members, by how safely it does.
func BenchmarkLog(b *testing.B) {
	for _, c := range []struct {
		name     string
		replicas int
		flags    []string
	}{
		{"one", 1, nil}, {"one that flushes", 1, []string{"-sync-always"}},
		{"three", 3, nil}, {"three that flush", 3, []string{"-sync-always"}},
	} {
		b.Run(c.name, func(b *testing.B) {
			var server *enginetest.Engine
			if c.replicas == 1 {
				server = enginetest.NATS(b, c.flags...)
			} else {
				server = enginetest.NATSCluster(b, c.replicas, c.flags...)[0]
			}
			ctx, cancel := context.WithTimeout(b.Context(), patience)
			defer cancel()
			l, err := OpenLog(ctx, LogConfig{
				NATS: NATSConfig{Servers: server.Address()}, Cluster: "test",
				Replicas: c.replicas, Apply: func(Entry) {},
			})
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(l.Close)
			const outstanding = 1000
			page, free := make([]byte, 4000), make(chan struct{}, outstanding)
			for range outstanding {
				free <- struct{}{}
			}
			subject := 0
			b.SetBytes(int64(len(page)))
			for b.Loop() {
				<-free
				subject++
				if err := l.Publish(Write{
					Subject: fmt.Sprintf("g.1.m.%d", subject%10_000), Data: page,
					Done: func(_ uint64, err error) {
						if err != nil {
							b.Error(err)
						}
						free <- struct{}{}
					},
				}); err != nil {
					b.Fatal(err)
				}
			}
			for range outstanding {
				<-free
			}
		})
	}
}
