package cluster

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

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

// openBenchLog opens a log on as many servers as it has replicas.
func openBenchLog(b *testing.B, replicas int, flags ...string) *Log {
	var server *enginetest.Engine
	if replicas == 1 {
		server = enginetest.NATS(b, flags...)
	} else {
		server = enginetest.NATSCluster(b, replicas, flags...)[0]
	}
	ctx, cancel := context.WithTimeout(b.Context(), patience)
	defer cancel()
	l, err := OpenLog(ctx, LogConfig{
		NATS: NATSConfig{Servers: server.Address()}, Cluster: "test",
		Replicas: replicas, Apply: func(Entry) {},
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(l.Close)
	return l
}

// publishAll publishes batches, so many at a time, until the benchmark ends.
func publishAll(b *testing.B, l *Log, outstanding int, next func(i int) Batch) {
	free := make(chan struct{}, outstanding)
	for range outstanding {
		free <- struct{}{}
	}
	done := func(_ uint64, err error) {
		if err != nil {
			b.Error(err)
		}
		free <- struct{}{}
	}
	i := 0
	for b.Loop() {
		<-free
		batch := next(i)
		batch.Done = done
		if err := l.Publish(batch); err != nil {
			b.Fatal(err)
		}
		i++
	}
	for range outstanding {
		<-free
	}
}

// flights is how many there have been.
func (w *logWriter) flights() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last
}

const pageBytes = 4000

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
			l, page := openBenchLog(b, c.replicas, c.flags...), make([]byte, pageBytes)
			b.SetBytes(pageBytes)
			publishAll(b, l, 1000, func(i int) Batch {
				return Batch{Writes: []Write{{fmt.Sprintf("g.1.m.%d", i%10_000), page}}}
			})
		})
	}
}

// BenchmarkLogFence is how many pages are stored of 64 writers who each wait for their batch, of
// one guild or of 64, by how many pages a batch has.
func BenchmarkLogFence(b *testing.B) {
	const writers = 64
	for _, replicas := range []int{1, 3} {
		for _, guilds := range []int{1, writers} {
			for _, pages := range []int{1, 10, 100} {
				name := fmt.Sprintf("replicas=%d/guilds=%d/pages=%d", replicas, guilds, pages)
				b.Run(name, func(b *testing.B) { benchFence(b, replicas, guilds, pages, writers) })
			}
		}
	}
}

func benchFence(b *testing.B, replicas, guilds, pages, writers int) {
	l, page := openBenchLog(b, replicas), make([]byte, pageBytes)
	tokens := make([]uint64, guilds)
	for i := range tokens {
		claimed := make(chan struct{})
		own := fmt.Sprintf("g.%d.own", i)
		if err := l.Publish(Batch{
			Writes: []Write{{own, nil}}, Fence: own, Done: func(last uint64, err error) {
				if err != nil {
					b.Error(err)
				}
				tokens[i] = last
				close(claimed)
			},
		}); err != nil {
			b.Fatal(err)
		}
		<-claimed
	}
	flights, start := l.writer.flights(), time.Now()
	batches := 0
	publishAll(b, l, writers, func(i int) Batch {
		batches++
		guild := i % guilds
		batch := Batch{Fence: fmt.Sprintf("g.%d.own", guild), Token: tokens[guild]}
		for p := range pages {
			batch.Writes = append(batch.Writes, Write{
				fmt.Sprintf("g.%d.m.%d", guild, (i+p)%1000), page,
			})
		}
		return batch
	})
	b.ReportMetric(float64(batches*pages)/time.Since(start).Seconds(), "pages/s")
	b.ReportMetric(float64(batches)/float64(l.writer.flights()-flights), "batches/flight")
}
