// Command fairness measures whether a flood in one guild holds up another.
//
//	go run ./bench/fairness
//
// Some sessions of small guilds are timed while a guild of 15,000 sessions is idle, while it has
// 40 events a second, and while it is flooded as fast as the node takes it. The large guild's
// clients are a process of their own, so that what is timed is not the reading of the flood. It
// needs 16,000 descriptors, writes bench/results/fairness.json, and ends by itself after some
// three minutes.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"throng/bench/internal/crowd"
	"throng/bench/internal/server"
	"throng/bench/internal/trial"
)

const (
	frameBytes = 300
	bigGuild   = 0
	// smallGuilds are so many that each guild shard has some of them with near certainty, the one
	// of the large guild too.
	smallGuilds   = 4
	smallSessions = 5
	// probeRate is of all small guilds together, one after the other, for so long a phase.
	probeRate = 100
	probeSpan = 12 * time.Second
	probes    = int(probeRate * probeSpan / time.Second)
	settle    = 3 * time.Second
	pacedRate = 40
	// singles are events to the large guild that are timed one by one.
	singles = 5
	// drainMax is how long what the paced phase has left may take.
	drainMax = time.Minute
)

// phases are what the large guild does while the small ones are timed.
var phases = []string{"idle", "paced", "flood"}

type bench struct {
	*trial.Trial
	big int
}

func main() {
	if len(os.Args) == 4 && os.Args[1] == receiversMode {
		receive(os.Args[2], os.Args[3])
		return
	}
	big := flag.Int("sessions", 15_000, "sessions of the large guild")
	trial.Main("fairness", "Does a flood in one guild hold up another?", trial.Options{},
		func(ctx context.Context, t *trial.Trial) error {
			b := &bench{t, *big}
			err := b.EachRun(ctx, func(int) error { return b.run(ctx) })
			if err == nil {
				b.conclude()
			}
			return err
		})
}

// run is one run: a node, its two kinds of guilds, and the phases.
func (b *bench) run(ctx context.Context) error {
	node, err := b.Throng(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = node.Stop() }()
	large := crowd.Group{Name: "large", First: smallGuilds * smallSessions, Connections: b.big}
	if err := node.PutGuild(ctx, bigGuild, 1); err != nil {
		return err
	}
	if err := large.Provision(ctx, node, bigGuild); err != nil {
		return err
	}
	stop, err := startReceivers(ctx, node.Gateway, b.big)
	if err != nil {
		return err
	}
	defer stop()
	var small crowd.Crowd
	defer small.Stop()
	for i := range smallGuilds {
		group := crowd.Group{Name: fmt.Sprint("small", i), First: i * smallSessions,
			Connections: smallSessions}
		if err := node.PutGuild(ctx, smallGuild(i), 1); err != nil {
			return err
		}
		if err := group.Provision(ctx, node, smallGuild(i)); err != nil {
			return err
		}
		if err := small.Join(ctx, node, group); err != nil {
			return err
		}
	}
	b.Note("%d sessions of one guild are there, and %d small guilds", b.big, smallGuilds)
	if err := b.written(ctx, node); err != nil {
		return err
	}
	for _, phase := range phases {
		if err := b.phase(ctx, node, &small, phase); err != nil {
			return fmt.Errorf("%s: %w", phase, err)
		}
	}
	return nil
}

func smallGuild(i int) int { return bigGuild + 1 + i }

// phase times the small guilds while the large one does what the phase says.
func (b *bench) phase(ctx context.Context, node *server.Throng, small *crowd.Crowd,
	name string) error {
	flooding, stop := context.WithCancel(ctx)
	defer stop()
	var f flood
	switch name {
	case "paced":
		f.start(flooding, node, 1, 1, time.Second/pacedRate)
	case "flood":
		f.start(flooding, node, floodPublishers, floodEvents, 0)
	}
	if err := trial.Pause(ctx, settle); err != nil {
		return err
	}
	before, err := node.Metrics(ctx)
	if err != nil {
		return err
	}
	small.Take()
	began := time.Now()
	missing, err := b.probe(ctx, node, small)
	if err != nil {
		return err
	}
	took := time.Since(began)
	after, err := node.Metrics(ctx)
	if err != nil {
		return err
	}
	stop()
	if err := f.wait(); err != nil {
		return err
	}
	if err := unbroken(after.Since(before)); err != nil {
		return err
	}
	b.account(name, after.Since(before), took, small.Take(), missing)
	if name == "flood" {
		return nil // What is left of it dies with the node.
	}
	return trial.Drain(ctx, node, settle, drainMax)
}

// unbroken fails when connections were closed: a figure from which receivers are missing is none.
func unbroken(d server.Metrics) error {
	for name, closed := range d {
		if closed > 0 && strings.HasPrefix(name, "throng_closes_total") {
			return fmt.Errorf("%.0f connections were lost, %s", closed, name)
		}
	}
	return nil
}
