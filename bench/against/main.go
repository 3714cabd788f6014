// Command against puts the node beside servers that others use for the same: nats-server, the
// centrifuge library, and a hub of goroutines on coder/websocket.
//
//	go run ./bench/against
//
// Each serves 9,000 receivers of one room: a burst of 60 events of 300 bytes, 5 events a second,
// and silence for the memory of a connection. The peers are in bench/peers and come from the Go
// module proxy. It writes bench/results/against.json and ends by itself after some six minutes.
package main

import (
	"context"
	"flag"
	"fmt"
	"time"

	"throng/bench/internal/crowd"
	"throng/bench/internal/trial"
)

const (
	frameBytes  = 300
	burstEvents = 60
	pacedRate   = 5
	// firstShare of the receivers connect first, for the slope of memory.
	firstShare = 9
	settle     = 2 * time.Second
	// stallTimeout is how long nothing may arrive of a burst before the rest is given up.
	stallTimeout = 10 * time.Second
)

type bench struct {
	*trial.Trial
	receivers int
	paced     time.Duration
}

func main() {
	receivers := flag.Int("receivers", 9000, "connections in the room")
	paced := flag.Duration("paced", 8*time.Second, "how long 5 events a second are published")
	trial.Main("against", "How do others do at the same?", trial.Options{},
		func(ctx context.Context, t *trial.Trial) error {
			b := &bench{Trial: t, receivers: *receivers, paced: *paced}
			if err := b.build(ctx); err != nil {
				return err
			}
			err := b.EachRun(ctx, func(int) error {
				for _, s := range sides {
					if err := b.side(ctx, s); err != nil {
						return fmt.Errorf("%s: %w", s.name, err)
					}
				}
				return nil
			})
			if err == nil {
				b.conclude()
			}
			return err
		})
}

// side measures one server from its start to its end.
func (b *bench) side(ctx context.Context, s side) error {
	r, err := s.start(ctx, b)
	if err != nil {
		return err
	}
	defer func() { _ = r.process.Stop() }()
	var c crowd.Crowd
	defer c.Stop()
	if err := b.memory(ctx, s, r, &c); err != nil {
		return err
	}
	if err := b.pace(ctx, s, r, &c); err != nil {
		return err
	}
	return b.burst(ctx, s, r, &c)
}

// memory connects everybody, in two groups, and takes the slope of resident memory between them.
func (b *bench) memory(ctx context.Context, s side, r *running, c *crowd.Crowd) error {
	first := b.receivers / firstShare
	groups := []crowd.Group{{Name: "first", Connections: first},
		{Name: "rest", First: first, Connections: b.receivers - first}}
	for _, g := range groups {
		if r.prepare == nil {
			break
		}
		if err := r.prepare(ctx, g); err != nil {
			return err
		}
	}
	var resident [2]int64
	for i, g := range groups {
		if err := r.join(ctx, c, g); err != nil {
			return err
		}
		if err := trial.Pause(ctx, settle); err != nil {
			return err
		}
		var err error
		if resident[i], err = r.process.Resident(); err != nil {
			return err
		}
	}
	b.Samples.Add(s.name+" resident B/connection",
		float64(resident[1]-resident[0])/float64(b.receivers-first))
	return nil
}

// pace publishes at a rate. An event bears the time at which it was due.
func (b *bench) pace(ctx context.Context, s side, r *running, c *crowd.Crowd) error {
	events := int(b.paced.Seconds() * pacedRate)
	c.Take()
	cpu, err := r.process.CPU()
	if err != nil {
		return err
	}
	began := time.Now()
	_, err = c.Deliver(ctx, uint64(events*b.receivers), func() error {
		for i := range events {
			due := began.Add(time.Duration(i) * time.Second / pacedRate)
			if err := trial.Pause(ctx, time.Until(due)); err != nil {
				return err
			}
			if err := r.publish(ctx, [][]byte{s.event(due)}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	after, err := r.process.CPU()
	if err != nil {
		return err
	}
	latency := c.Take().Event
	b.Samples.Add(s.name+" paced p50 ms", latency.P50)
	b.Samples.Add(s.name+" paced p99 ms", latency.P99)
	b.Samples.Add(s.name+" paced µs/frame",
		(after-cpu).Seconds()*1e6/float64(events*b.receivers))
	b.Note("%s: p50 %.0f ms, p99 %.0f ms", s.name, latency.P50, latency.P99)
	return nil
}

// burst publishes many events at once and takes the time until all is received, or until nothing
// more comes because the server has given receivers up.
func (b *bench) burst(ctx context.Context, s side, r *running, c *crowd.Crowd) error {
	var events [][]byte
	for range burstEvents {
		events = append(events, s.event(time.Now()))
	}
	live, from := c.Live(), c.Received()
	cpu, err := r.process.CPU()
	if err != nil {
		return err
	}
	began, published := time.Now(), make(chan error, 1)
	go func() { published <- r.publish(ctx, events) }()
	got, last, moved := uint64(0), began, began
	for got < uint64(burstEvents*b.receivers) && time.Since(moved) < stallTimeout {
		select {
		case err := <-published:
			if err != nil {
				return err
			}
			moved = time.Now()
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
		if now := c.Received() - from; now > got {
			got, last, moved = now, time.Now(), time.Now()
		}
	}
	after, err := r.process.CPU()
	if err != nil {
		return err
	}
	if got == 0 {
		return fmt.Errorf("nothing of a burst has come")
	}
	rate := float64(got) / last.Sub(began).Seconds()
	b.Samples.Add(s.name+" burst frames/s", rate)
	b.Samples.Add(s.name+" burst µs/frame", (after-cpu).Seconds()*1e6/float64(got))
	b.Samples.Add(s.name+" burst lost frames", float64(burstEvents*b.receivers)-float64(got))
	b.Samples.Add(s.name+" burst disconnected", float64(live-c.Live()))
	b.Note("%s: %.0f frames/s, %d disconnected", s.name, rate, live-c.Live())
	return nil
}
