// Command fire measures what bad peers cost those who behave.
//
//	go run ./bench/fire
//
// A node has 1,000 sessions in a guild with 20 events a second. They are timed for a while, and
// then again while somebody is at the node: clients that stop to read or read a kilobyte a second,
// 10,000 connections that send a request octet by octet, floods of pings and of commands, and
// sessions that vanish all at once. It needs 14,000 descriptors, writes bench/results/fire.json,
// and ends by itself after some ten minutes.
package main

import (
	"context"
	"fmt"
	"time"

	"throng/bench/internal/crowd"
	"throng/bench/internal/server"
	"throng/bench/internal/trial"
)

const (
	good      = 1000
	eventRate = 20
	// dialRate is of connections that are opened meanwhile, each up to HELLO.
	dialRate   = 20
	smallBytes = 300
	// largeBytes are such that what is not read is more than the kernel takes in some seconds.
	largeBytes = 4 << 10
	quietSpan  = 6 * time.Second
	// quietReads is before others stop to read: of as many events that p99 is not the slowest.
	quietReads = 24 * time.Second
	settleSpan = time.Second
)

const goodGuild = 0

type bench struct{ *trial.Trial }

// scene is one run.
type scene struct {
	*bench
	node *server.Throng
	good crowd.Crowd
	base server.Metrics // with those who behave alone
}

func main() {
	trial.Main("fire", "What do bad peers cost those who behave?", trial.Options{},
		func(ctx context.Context, t *trial.Trial) error {
			b := &bench{t}
			err := b.EachRun(ctx, func(int) error { return b.run(ctx) })
			if err == nil {
				b.conclude()
			}
			return err
		})
}

func (b *bench) run(ctx context.Context) error {
	node, err := b.Throng(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = node.Stop() }()
	s := &scene{bench: b, node: node}
	defer s.good.Stop()
	if err := node.PutGuild(ctx, goodGuild, 1); err != nil {
		return err
	}
	g := crowd.Group{Name: "good", Connections: good}
	if err := g.Provision(ctx, node, goodGuild); err != nil {
		return err
	}
	if err := s.good.Join(ctx, node, g); err != nil {
		return err
	}
	if s.base, err = node.Metrics(ctx); err != nil {
		return err
	}
	for _, a := range attacks {
		if err := s.withstand(ctx, a); err != nil {
			return fmt.Errorf("%s: %w", a.name, err)
		}
	}
	return node.Check(ctx)
}

// withstand times the good sessions without an attack and with it.
func (s *scene) withstand(ctx context.Context, a attack) error {
	begin, err := a.prepare(ctx, s)
	if err != nil {
		return err
	}
	quiet := quietSpan
	if a.large {
		quiet = quietReads
	}
	if err := s.time(ctx, a, "quiet", quiet); err != nil {
		return err
	}
	attacking, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- begin(attacking) }()
	err = s.time(ctx, a, "attacked", a.span)
	stop()
	if ended := <-ended; err == nil {
		err = ended
	}
	if err == nil {
		err = s.cleared(ctx, a)
	}
	s.Samples.Add(a.name+" cost %", last(s.Samples[a.name+" attacked cpu %"])-
		last(s.Samples[a.name+" quiet cpu %"]))
	s.Note("%s: p99 %.1f ms, attacked %.1f", a.name, last(s.Samples[a.name+" quiet p99 ms"]),
		last(s.Samples[a.name+" attacked p99 ms"]))
	return err
}

func last(of []float64) float64 {
	if len(of) == 0 {
		return 0
	}
	return of[len(of)-1]
}

// time publishes and dials for a while and keeps how long that took.
func (s *scene) time(ctx context.Context, a attack, phase string, span time.Duration) error {
	if err := trial.Pause(ctx, settleSpan); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, span+time.Minute)
	defer cancel()
	s.good.Take()
	received := s.good.Received()
	before, err := s.usage(ctx)
	if err != nil {
		return err
	}
	began := time.Now()
	dials := make(chan []float64, 1)
	go func() { dials <- s.dial(ctx, span) }()
	bytes := smallBytes
	if a.large {
		bytes = largeBytes
	}
	tick := time.NewTicker(time.Second / eventRate)
	defer tick.Stop()
	events := 0
	for ; time.Since(began) < span; events++ {
		now := <-tick.C
		event := crowd.Event(goodGuild, bytes, now)
		if err := s.node.Publish(ctx, goodGuild, event); err != nil {
			return err
		}
	}
	opened := <-dials
	want := received + uint64(events*good)
	err = trial.Until(ctx, time.Minute, "all events", func() (bool, error) {
		if live := s.good.Live(); live < good {
			return false, fmt.Errorf("%d of those who behave were lost", good-live)
		}
		return s.good.Received() >= want, nil
	})
	if err != nil {
		return fmt.Errorf("%s: %w", phase, err)
	}
	got := s.good.Take()
	after, err := s.usage(ctx)
	if err != nil {
		return err
	}
	name := a.name + " " + phase
	s.Samples.Add(name+" p50 ms", got.Event.P50)
	s.Samples.Add(name+" p99 ms", got.Event.P99)
	s.Samples.Add(name+" dial p99 ms", quantile(opened, 0.99))
	s.Samples.Add(name+" cpu %", (after.cpu-before.cpu).Seconds()/time.Since(began).Seconds()*100)
	if phase == "attacked" {
		all := 0.0
		for _, reason := range a.closes {
			closed := after.closes(reason) - before.closes(reason)
			s.Samples.Add(name+" closed "+reason, closed)
			all += closed
		}
		s.Samples.Add("closed of the most spared kind", all)
	}
	return nil
}

// usage is what the node has used and closed so far.
type usage struct {
	server.Metrics
	cpu time.Duration
}

func (u usage) closes(reason string) float64 {
	return u.Metrics[`throng_closes_total{reason="`+reason+`"}`]
}

func (s *scene) usage(ctx context.Context) (u usage, err error) {
	if u.Metrics, err = s.node.Metrics(ctx); err == nil {
		u.cpu, err = s.node.CPU()
	}
	return u, err
}
