// Command growth measures what grows with the number of receivers in one guild, and with the
// number of guilds of two.
//
//	go run ./bench/growth
//
// One guild grows from 1,000 to 18,000 sessions, and on a node of their own 1 to 9,000 guilds of
// two. The time of a guild shard and of an event loop is the node's own account; processor time is
// the scheduler's. It needs 20,000 descriptors, writes bench/results/growth.json, and ends by
// itself after some three minutes.
package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"throng/bench/internal/crowd"
	"throng/bench/internal/report"
	"throng/bench/internal/server"
	"throng/bench/internal/trial"
)

const (
	frameBytes = 300
	// oneEvents are published per size of the one guild, one when the last has been read.
	oneEvents = 20
	// closeEvents are looked at one by one, for the shard's time of each: now and then it is
	// interrupted by the loops that it has just woken, and a mean would be of that.
	closeEvents = 15
	// onceEvents are then published in one request.
	onceEvents = 30
	// manyEvents are published per number of guilds, at least; publishers at a time.
	manyEvents = 2000
	publishers = 4
)

var (
	sizes  = []int{1000, 2000, 4500, 9000, 18_000}
	counts = []int{1, 10, 100, 1000, 9000}
)

type bench struct{ *trial.Trial }

func main() {
	trial.Main("growth", "What grows with the number of receivers, and of guilds?",
		trial.Options{}, func(ctx context.Context, t *trial.Trial) error {
			b := &bench{t}
			err := b.EachRun(ctx, func(int) error {
				if err := b.one(ctx); err != nil {
					return fmt.Errorf("one guild: %w", err)
				}
				if err := b.many(ctx); err != nil {
					return fmt.Errorf("many guilds: %w", err)
				}
				return nil
			})
			if err == nil {
				b.conclude()
			}
			return err
		})
}

// one lets one guild grow.
func (b *bench) one(ctx context.Context) error {
	node, err := b.Throng(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = node.Stop() }()
	if err := node.PutGuild(ctx, 0, 1); err != nil {
		return err
	}
	var c crowd.Crowd
	defer c.Stop()
	have := 0
	for _, size := range sizes {
		group := crowd.Group{Name: fmt.Sprint(size), First: have, Connections: size - have}
		if err := group.Provision(ctx, node, 0); err != nil {
			return err
		}
		if err := c.Join(ctx, node, group); err != nil {
			return err
		}
		have = size
		deliver := func(events int) error {
			for range events {
				_, err := c.Deliver(ctx, uint64(size), func() error {
					return node.Publish(ctx, 0, crowd.Events(0, frameBytes, 1))
				})
				if err != nil {
					return err
				}
			}
			return nil
		}
		if err := deliver(2); err != nil {
			return err
		}
		name := fmt.Sprintf("one guild of %d", size)
		err := b.account(ctx, node, name, oneEvents, oneEvents*size, func() error {
			return deliver(oneEvents)
		})
		if err != nil {
			return err
		}
		if err := b.each(ctx, node, name, deliver); err != nil {
			return err
		}
		err = b.account(ctx, node, name+" at once", onceEvents, onceEvents*size, func() error {
			_, err := c.Deliver(ctx, uint64(onceEvents*size), func() error {
				return node.Publish(ctx, 0, crowd.Events(0, frameBytes, onceEvents))
			})
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// each takes the shard's time of one publish after the other, and keeps the median.
func (b *bench) each(ctx context.Context, node *server.Throng, name string,
	deliver func(events int) error) error {
	var times []float64
	before, err := node.Metrics(ctx)
	for range closeEvents {
		if err == nil {
			err = deliver(1)
		}
		if err != nil {
			return err
		}
		var after server.Metrics
		after, err = node.Metrics(ctx)
		mean, _ := after.Since(before).Handled("publish")
		times = append(times, mean*1e6)
		before = after
	}
	b.Samples.Add(name+" shard median µs/publish", report.Median(times))
	return err
}

// many lets the number of guilds of two grow.
func (b *bench) many(ctx context.Context) error {
	node, err := b.Throng(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = node.Stop() }()
	var c crowd.Crowd
	defer c.Stop()
	have := 0
	for _, count := range counts {
		group := crowd.Group{Name: fmt.Sprint(count), First: 2 * have,
			Connections: 2 * (count - have)}
		if err := node.PutUsers(ctx, group.Name, group.First, 2*count); err != nil {
			return err
		}
		err := together(count-have, func(i int) error {
			guild := have + i
			if err := node.PutGuild(ctx, guild, 1); err != nil {
				return err
			}
			return node.PutMembers(ctx, guild, 2*guild, 2*guild+2)
		})
		if err != nil {
			return err
		}
		if err := c.Join(ctx, node, group); err != nil {
			return err
		}
		have = count
		rounds := max(manyEvents/count, 1)
		name := fmt.Sprintf("%d guilds of 2", count)
		events := rounds * count
		err = b.account(ctx, node, name, events, 2*events, func() error {
			_, err := c.Deliver(ctx, uint64(2*events), func() error {
				return together(events, func(i int) error {
					return node.Publish(ctx, i%count, crowd.Events(i%count, frameBytes, 1))
				})
			})
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// together does n jobs, a few at a time, and gives back the first fault.
func together(n int, job func(i int) error) error {
	var all sync.WaitGroup
	faults := make(chan error, publishers)
	for p := range publishers {
		all.Go(func() {
			for i := p; i < n; i += publishers {
				if err := job(i); err != nil {
					faults <- err
					return
				}
			}
		})
	}
	all.Wait()
	select {
	case err := <-faults:
		return err
	default:
		return nil
	}
}

// account does something that publishes events and delivers frames, and keeps what it cost.
func (b *bench) account(ctx context.Context, node *server.Throng, name string, events, frames int,
	do func() error) error {
	before, err := node.Metrics(ctx)
	if err != nil {
		return err
	}
	cpu, err := node.CPU()
	if err != nil {
		return err
	}
	began := time.Now()
	if err := do(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	took := time.Since(began)
	after, err := node.CPU()
	if err != nil {
		return err
	}
	metrics, err := node.Metrics(ctx)
	if err != nil {
		return err
	}
	d := metrics.Since(before)
	publish, published := d.Handled("publish")
	publish *= published / float64(events)
	relay, relayed := d.Handled("relay_publish")
	if published < 1 || relayed < 1 {
		return fmt.Errorf("%s: the node accounts for no publish", name)
	}
	b.Samples.Add(name+" shard µs/publish", publish*1e6)
	b.Samples.Add(name+" relay ns/receiver", relay*relayed*1e9/float64(frames))
	b.Samples.Add(name+" CPU µs/frame", (after-cpu).Seconds()*1e6/float64(frames))
	b.Samples.Add(name+" events/s", float64(events)/took.Seconds())
	b.Note("%s: shard %s µs, relay %s ns", name, report.Number(publish*1e6),
		report.Number(relay*relayed*1e9/float64(frames)))
	return nil
}
