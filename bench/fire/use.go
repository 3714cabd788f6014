package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"throng/bench/internal/client"
	"throng/bench/internal/crowd"
	"throng/bench/internal/report"
	"throng/bench/internal/trial"
	"throng/bench/load"
)

// timed is what a node was for those who behave, over some time.
type timed struct {
	events load.Quantiles
	dial   float64 // p99, ms
	cpu    float64 // % of a processor
}

func (t timed) keep(s report.Samples, name string) {
	s.Add(name+" p50 ms", t.events.P50)
	s.Add(name+" p99 ms", t.events.P99)
	s.Add(name+" dial p99 ms", t.dial)
	s.Add(name+" cpu %", t.cpu)
}

// use publishes to a node and dials it for as long as an attack takes.
func (at *side) use(ctx context.Context, a attack) (t timed, err error) {
	bytes := smallBytes
	if a.large {
		bytes = largeBytes
	}
	at.good.Take()
	received := at.good.Received()
	before, err := at.node.CPU()
	if err != nil {
		return t, err
	}
	began := time.Now()
	dials := make(chan []float64, 1)
	go func() { dials <- at.dial(ctx, a.span) }()
	tick := time.NewTicker(time.Second / eventRate)
	defer tick.Stop()
	events := 0
	for ; time.Since(began) < a.span; events++ {
		now := <-tick.C
		err := at.node.Publish(ctx, goodGuild, crowd.Event(goodGuild, bytes, now))
		if err != nil {
			return t, err
		}
	}
	t.dial = quantile(<-dials, 0.99)
	want := received + uint64(events*good)
	err = trial.Until(ctx, time.Minute, "all events", func() (bool, error) {
		if live := at.good.Live(); live < good {
			return false, fmt.Errorf("%d of those who behave were lost", good-live)
		}
		return at.good.Received() >= want, nil
	})
	if err != nil {
		return t, err
	}
	t.events = at.good.Take().Event
	after, err := at.node.CPU()
	t.cpu = (after - before).Seconds() / time.Since(began).Seconds() * 100
	return t, err
}

// dialTimeout is also what a connection counts as that was not let in.
const dialTimeout = 5 * time.Second

// dial opens connections one after the other, and says how many ms each took up to HELLO.
func (at *side) dial(ctx context.Context, span time.Duration) (took []float64) {
	tick := time.NewTicker(time.Second / dialRate)
	defer tick.Stop()
	for began := time.Now(); time.Since(began) < span && ctx.Err() == nil; <-tick.C {
		dialed := time.Now()
		conn, err := client.Hello(ctx, at.node.Gateway, dialTimeout)
		took = append(took, time.Since(dialed).Seconds()*1e3)
		if err == nil {
			// Said, so that it does not count among those that were lost.
			_, _ = conn.Write([]byte{0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8})
			conn.Close()
		} else if ctx.Err() == nil {
			took[len(took)-1] = dialTimeout.Seconds() * 1e3
		}
	}
	return took
}

// quantile of values in any order; 0 of none.
func quantile(of []float64, q float64) float64 {
	if len(of) == 0 {
		return 0
	}
	slices.Sort(of)
	return of[min(int(q*float64(len(of))), len(of)-1)]
}
