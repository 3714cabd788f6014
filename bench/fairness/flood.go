package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"throng/bench/internal/crowd"
	"throng/bench/internal/server"
	"throng/bench/internal/trial"
)

const (
	// A flood is requests of so many events, and so many requests at a time: the next when the
	// last was answered.
	floodPublishers = 4
	floodEvents     = 50
	// busyPause is how long whoever was told to come again waits; probes have their own.
	busyPause      = 20 * time.Millisecond
	probeBusyPause = 5 * time.Millisecond
	// probesMax of probes may be on their way to the node at once. Each that waits is one whose
	// time has come while an earlier one is not answered.
	probesMax = 64
	// deliverMax is how long the last of them may take to their sessions. What takes longer is not
	// waited for, and counts as if it had taken so long.
	deliverMax = 15 * time.Second
)

// flood is what publishes to the large guild.
type flood struct {
	all     sync.WaitGroup
	refused atomic.Int64
	faults  chan error
}

// start publishes until ctx ends: at a pace, or the next when the last was answered.
func (f *flood) start(ctx context.Context, node *server.Throng, publishers, events int,
	pace time.Duration) {
	f.faults = make(chan error, publishers)
	began := time.Now()
	for range publishers {
		f.all.Go(func() {
			for i := 1; ctx.Err() == nil; i++ {
				err := node.Publish(ctx, bigGuild, crowd.Events(bigGuild, frameBytes, events))
				switch {
				case ctx.Err() != nil:
				case busy(err):
					f.refused.Add(1)
					_ = trial.Pause(ctx, busyPause)
				case err != nil:
					f.faults <- fmt.Errorf("publish to the large guild: %w", err)
					return
				case pace > 0:
					_ = trial.Pause(ctx, time.Until(began.Add(time.Duration(i)*pace)))
				}
			}
		})
	}
}

// wait waits until nobody publishes any more.
func (f *flood) wait() error {
	f.all.Wait()
	select {
	case err := <-f.faults:
		return err
	default:
		return nil
	}
}

// busy says whether the node has asked to come again, or has given up the request after a while.
func busy(err error) bool {
	return err != nil && (strings.Contains(err.Error(), ": 429 ") ||
		strings.Contains(err.Error(), ": 503 "))
}

// probe publishes to the small guilds in turn, each event at its time whatever has become of the
// earlier ones, and marked with that time: an answer that is late, or a node that says to come
// again, counts as part of the latency and delays no other event. It returns when all have come,
// or with the number of deliveries that have not within deliverMax of the last event's time.
func (b *bench) probe(ctx context.Context, node *server.Throng, small *crowd.Crowd) (
	missing int, err error) {
	probing, stop := context.WithTimeout(ctx, probeSpan+deliverMax)
	defer stop()
	var all sync.WaitGroup
	var fault atomic.Pointer[error]
	slots := make(chan struct{}, probesMax)
	want := small.Received() + uint64(probes*smallSessions)
	began := time.Now()
	for i := range probes {
		due := began.Add(time.Duration(i) * time.Second / probeRate)
		select {
		case <-time.After(time.Until(due)):
		case <-probing.Done():
		}
		select {
		case slots <- struct{}{}:
		case <-probing.Done():
			continue
		}
		guild := smallGuild(i % smallGuilds)
		event := crowd.Event(guild, frameBytes, due)
		all.Go(func() {
			defer func() { <-slots }()
			err := node.Publish(probing, guild, event)
			for busy(err) && trial.Pause(probing, probeBusyPause) == nil {
				err = node.Publish(probing, guild, event)
			}
			if err != nil && probing.Err() == nil {
				fault.CompareAndSwap(nil, &err)
			}
		})
	}
	all.Wait()
	if p := fault.Load(); p != nil {
		return 0, fmt.Errorf("publish to a small guild: %w", *p)
	}
	for small.Received() < want && trial.Pause(probing, time.Millisecond) == nil {
		if err := node.Alive(); err != nil {
			return 0, err
		}
	}
	return int(want - min(want, small.Received())), ctx.Err()
}
