// Command fire measures what bad peers cost those who behave.
//
//	go run ./bench/fire
//
// Two nodes have 1,000 sessions each in a guild with 20 events a second. Somebody is at one of
// them: clients that stop to read or read a kilobyte a second, 10,000 connections that send a
// request octet by octet, floods of pings and of commands, and sessions that vanish all at once.
// The other is left alone, and timed at the same time: what the machine does to one it does to
// both, so that what is left between them is the attack's. It needs 15,000 descriptors, writes
// bench/results/fire.json, and ends by itself after some eight minutes.
package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
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
	settleSpan = time.Second
)

const goodGuild = 0

type bench struct{ *trial.Trial }

// scene is one run.
type scene struct {
	*bench
	side   // where the attack is
	beside side
	base   server.Metrics // of the first, with those who behave alone
}

// side is a node with those who behave.
type side struct {
	node *server.Throng
	good crowd.Crowd
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
	s := &scene{bench: b}
	for _, at := range []*side{&s.side, &s.beside} {
		defer at.stop()
		if err := b.start(ctx, at); err != nil {
			return err
		}
	}
	var err error
	if s.base, err = s.node.Metrics(ctx); err != nil {
		return err
	}
	for _, a := range attacks {
		if err := s.withstand(ctx, a); err != nil {
			return fmt.Errorf("%s: %w", a.name, err)
		}
	}
	return errors.Join(s.node.Check(ctx), s.beside.node.Check(ctx))
}

// start has those who behave at a node of their own.
func (b *bench) start(ctx context.Context, at *side) (err error) {
	if at.node, err = b.Throng(ctx); err != nil {
		return err
	}
	if err := at.node.PutGuild(ctx, goodGuild, 1); err != nil {
		return err
	}
	g := crowd.Group{Name: "good", Connections: good}
	if err := g.Provision(ctx, at.node, goodGuild); err != nil {
		return err
	}
	return at.good.Join(ctx, at.node, g)
}

func (at *side) stop() {
	at.good.Stop()
	if at.node != nil {
		_ = at.node.Stop()
	}
}

// withstand times the good sessions of both nodes while one is attacked.
func (s *scene) withstand(ctx context.Context, a attack) error {
	begin, err := a.prepare(ctx, s)
	if err != nil {
		return err
	}
	attacking, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- begin(attacking) }()
	err = s.time(ctx, a)
	stop()
	if ended := <-ended; err == nil {
		err = ended
	}
	if err == nil {
		err = s.cleared(ctx, a)
	}
	return err
}

// time has both nodes used for a while and keeps how long that took.
func (s *scene) time(ctx context.Context, a attack) error {
	if err := trial.Pause(ctx, settleSpan); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, a.span+time.Minute)
	defer cancel()
	before, err := s.closes(ctx, a)
	if err != nil {
		return err
	}
	var both sync.WaitGroup
	var there, beside timed
	var errThere, errBeside error
	both.Go(func() { there, errThere = s.side.use(ctx, a) })
	both.Go(func() {
		// Events go to each in the middle between those of the other.
		if errBeside = trial.Pause(ctx, time.Second/eventRate/2); errBeside == nil {
			beside, errBeside = s.beside.use(ctx, a)
		}
	})
	both.Wait()
	if err := errors.Join(errThere, errBeside); err != nil {
		return err
	}
	there.keep(s.Samples, a.name)
	beside.keep(s.Samples, a.name+" beside")
	s.Samples.Add(a.name+" cost %", there.cpu-beside.cpu)
	s.Note("%s: p99 %.1f ms, beside %.1f", a.name, there.events.P99, beside.events.P99)
	after, err := s.closes(ctx, a)
	all := 0.0
	for i, reason := range a.closes {
		s.Samples.Add(a.name+" closed "+reason, after[i]-before[i])
		all += after[i] - before[i]
	}
	s.Samples.Add("closed of the most spared kind", all)
	return err
}

// closes is how many the attacked node has closed so far, by the reasons of an attack.
func (s *scene) closes(ctx context.Context, a attack) (counts []float64, err error) {
	m, err := s.node.Metrics(ctx)
	for _, reason := range a.closes {
		counts = append(counts, m[`throng_closes_total{reason="`+reason+`"}`])
	}
	return counts, err
}
