// Command collector measures what -gc-percent and -memory-limit cost and save.
//
//	go run ./bench/collector
//
// A node with full journals takes a storm of 9,000 identifies, then delivers at a steady rate to
// these sessions, then has nothing to do, once with each setting: -gc-percent 50 to 400, and 100
// with a memory limit that binds, which is taken from what the node needed without one in the same
// run. It needs 10,000 descriptors, writes bench/results/collector.json, and ends by itself after
// some twelve minutes.
package main

import (
	"context"
	"flag"
	"fmt"
	"strconv"
	"time"

	"throng/bench/internal/crowd"
	"throng/bench/internal/server"
	"throng/bench/internal/trial"
	"throng/bench/load"
	"throng/tuning"
)

const (
	frameBytes = 300
	channels   = 100
	// eventRate to 9,000 sessions is about half a processor of the node's: nothing is pending, and
	// nothing that the collector takes is hidden by idling.
	eventRate   = 5
	deliverSpan = 15 * time.Second
	deliverMax  = 30 * time.Second
	idleSpan    = 15 * time.Second
	// settle is so long that a node gives back what it has no use for, before there is any session
	// and thus from the same point with every setting.
	settle       = 2*tuning.TrimInterval + time.Second
	benchTimeout = 40 * time.Minute
	// limitPercent of the heap in use once all are there is the memory limit that binds: less than
	// -gc-percent 100 wants to let it grow to, and more than is in use.
	limitPercent = 125
)

// setting is one side of the comparison.
type setting struct {
	name    string
	percent int
	limited bool
}

var settings = []setting{
	{"-gc-percent 50", 50, false}, {base, 100, false}, {"-gc-percent 200", 200, false},
	{"-gc-percent 400", 400, false}, {"100, with a limit", 100, true},
}

// base is the setting that the others are compared with, and that the limit is taken from.
const base = "-gc-percent 100"

type bench struct {
	*trial.Trial
	sessions int
	inUse    int64 // of the heap, on the node of base, once all are there
}

func main() {
	sessions := flag.Int("sessions", 9000, "sessions of one guild")
	trial.Main("collector", "What do -gc-percent and -memory-limit cost and save?",
		trial.Options{Timeout: benchTimeout}, func(ctx context.Context, t *trial.Trial) error {
			b := &bench{Trial: t, sessions: *sessions}
			err := b.EachRun(ctx, func(int) error {
				for _, s := range settings {
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

// side measures one setting on a node of its own.
func (b *bench) side(ctx context.Context, s setting) error {
	flags := []string{"-gc-percent", strconv.Itoa(s.percent)}
	if s.limited {
		flags = append(flags, "-memory-limit", strconv.FormatInt(b.inUse/100*limitPercent, 10))
	}
	b.Result.Servers[s.name] = server.ThrongFlags(flags...)
	node, err := server.StartThrong(ctx, b.Program("throng"), flags...)
	if err != nil {
		return err
	}
	defer func() { _ = node.Stop() }()
	group := crowd.Group{Name: "all", Connections: b.sessions,
		Clients: load.Config{OpeningMax: b.sessions, NoReturn: true}}
	if err := node.PutGuild(ctx, 0, channels); err != nil {
		return err
	}
	if err := group.Provision(ctx, node, 0); err != nil {
		return err
	}
	err = crowd.FillJournals(ctx, node, group.Clients, crowd.JournalBytes)
	if err != nil {
		return err
	}
	if err := node.CollectGarbage(ctx); err != nil {
		return err
	}
	if err := trial.Pause(ctx, settle); err != nil {
		return err
	}
	before, err := node.Resident()
	if err != nil {
		return err
	}
	b.Samples.Add(s.name+" before MB", float64(before)/(1<<20))
	var c crowd.Crowd
	defer c.Stop()
	storm := func() error { return c.Join(ctx, node, group) }
	if err := b.window(node, s, "storm", float64(b.sessions), storm); err != nil {
		return err
	}
	if err := b.memory(node, s.name+" storm", before); err != nil {
		return err
	}
	events := int(deliverSpan.Seconds() * eventRate)
	deliver := func() error { return b.deliver(ctx, node, &c, events) }
	if err := b.window(node, s, "steady", float64(events*b.sessions), deliver); err != nil {
		return err
	}
	idle := func() error { return trial.Pause(ctx, idleSpan) }
	if err := b.window(node, s, "idle", idleSpan.Seconds(), idle); err != nil {
		return err
	}
	if err := b.memory(node, s.name+" idle", before); err != nil {
		return err
	}
	if s.name != base {
		return nil
	}
	if err := node.CollectGarbage(ctx); err != nil {
		return err
	}
	metrics, err := node.Metrics(ctx)
	b.inUse = int64(metrics["go_memstats_heap_alloc_bytes"])
	return err
}

// deliver publishes at the rate and waits until everybody has everything.
func (b *bench) deliver(ctx context.Context, node *server.Throng, c *crowd.Crowd,
	events int) error {
	began, live := time.Now(), c.Live()
	want := c.Received() + uint64(events*b.sessions)
	for i := range events {
		due := began.Add(time.Duration(i) * time.Second / eventRate)
		if err := trial.Pause(ctx, time.Until(due)); err != nil {
			return err
		}
		if err := node.Publish(ctx, 0, crowd.Event(0, frameBytes, due)); err != nil {
			return err
		}
	}
	return trial.Until(ctx, deliverMax, "delivery to everybody", func() (bool, error) {
		if now := c.Live(); now < live {
			return false, fmt.Errorf("%d of %d connections were lost", live-now, live)
		}
		return c.Received() >= want, node.Alive()
	})
}

// window does something and keeps what it cost, per unit and in collections.
func (b *bench) window(node *server.Throng, s setting, what string, units float64,
	do func() error) error {
	seen := len(node.Collections())
	cpu, err := node.CPU()
	if err != nil {
		return err
	}
	began := time.Now()
	if err := do(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	took := time.Since(began)
	after, err := node.CPU()
	if err != nil {
		return err
	}
	var pause, mark time.Duration
	collections := node.Collections()[seen:]
	for _, c := range collections {
		pause, mark = max(pause, c.Pause), mark+c.MarkCPU
	}
	name := s.name + " " + what
	b.Samples.Add(name+" µs/unit", (after-cpu).Seconds()*1e6/units)
	b.Samples.Add(name+" CPU %", (after-cpu).Seconds()/took.Seconds()*100)
	b.Samples.Add(name+" GC %", mark.Seconds()/(after-cpu).Seconds()*100)
	b.Samples.Add(name+" collections", float64(len(collections)))
	b.Samples.Add(name+" pause ms", pause.Seconds()*1e3)
	b.Note("%s: %.2f s of %.1f, %d collections", name, (after - cpu).Seconds(), took.Seconds(),
		len(collections))
	return nil
}

// memory keeps what a session takes of resident memory now, above what there was before any.
func (b *bench) memory(node *server.Throng, name string, before int64) error {
	now, err := node.Resident()
	b.Samples.Add(name+" B/session", float64(now-before)/float64(b.sessions))
	b.Samples.Add(name+" MB", float64(now)/(1<<20))
	return err
}
