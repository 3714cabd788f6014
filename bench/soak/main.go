// Command soak has sessions, members and guilds come and go at one node for a long time, and looks
// whether anything of it stays.
//
//	go run ./bench/soak -for 20m
//
// Every minute the coming and going pauses; when all who are to be there are, the node's collector
// runs, and heap, resident memory, descriptors and goroutines are read. The last third of what was
// read is compared with the second; the first is for tables to grow to what they need. Each time
// the node checks its invariants. A fault ends the bench, and what grows fails it. It needs 8,000
// descriptors, writes bench/results/soak.json, and ends by itself when its time is over, however
// long that is.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	"throng/bench/internal/report"
	"throng/bench/internal/trial"
)

const (
	// readings there are of each third at least.
	readingsMin = 4
	everyMax    = time.Minute
	// timeoutMost is for a bench that hangs: no soak is meant to be longer.
	timeoutMost = 15 * 24 * time.Hour
)

type bench struct {
	*trial.Trial
	span     time.Duration
	sessions int
	rounds   int
}

func main() {
	b := &bench{}
	flag.DurationVar(&b.span, "for", 20*time.Minute, "how long it lasts")
	flag.IntVar(&b.sessions, "sessions", 2000, "sessions that are there when it pauses")
	trial.Main("soak", "Does anything stay of what comes and goes?",
		trial.Options{Runs: 1, Timeout: timeoutMost},
		func(ctx context.Context, t *trial.Trial) error {
			b.Trial = t
			err := b.EachRun(ctx, func(int) error { return b.run(ctx) })
			if err == nil {
				b.conclude()
			}
			return err
		})
}

// reading is what the node holds at one moment.
type reading struct{ heap, resident, descriptors, goroutines float64 }

func (b *bench) run(ctx context.Context) error {
	node, err := b.Throng(ctx, "-journal", "8M", "-resume-window", "3s")
	if err != nil {
		return err
	}
	defer func() { _ = node.Stop() }()
	c := &churn{node: node, sessions: b.sessions}
	defer c.stop()
	if err := c.begin(ctx); err != nil {
		return err
	}
	every := min(everyMax, b.span/(3*readingsMin))
	var all []reading
	for began := time.Now(); time.Since(began) < b.span; {
		for end := time.Now().Add(every); time.Now().Before(end); b.rounds++ {
			if err := c.round(ctx); err != nil {
				return errors.Join(err, node.Alive())
			}
		}
		r, err := c.read(ctx)
		if err != nil {
			return err
		}
		all = append(all, r)
		b.Note("%3.0f %%: heap %.1f MB, resident %.1f MB, %.0f descriptors, %.0f goroutines",
			min(time.Since(began).Seconds()/b.span.Seconds(), 1)*100, r.heap/(1<<20),
			r.resident/(1<<20), r.descriptors, r.goroutines)
	}
	return b.compare(all)
}

// Bounds of what may come on top, of the last third over the second. One reading of the heap
// differs from the next by 2 %, with how full tables happen to be; one of resident memory by 12 %,
// with what the collector has not given back yet.
const (
	heapLimit     = 1.03
	residentLimit = 1.15
	fewLimit      = 4 // descriptors and goroutines: of requests that are just ending
)

// compare holds the last third against the second. It fails when something grows.
func (b *bench) compare(all []reading) (err error) {
	third := len(all) / 3
	if third < 2 {
		return fmt.Errorf("-for: %v is too short for %d readings", b.span, 3*readingsMin)
	}
	for _, m := range []struct {
		name       string
		of         func(reading) float64
		times, few float64
	}{
		{"heap", func(r reading) float64 { return r.heap }, heapLimit, 0},
		{"resident", func(r reading) float64 { return r.resident }, residentLimit, 0},
		{"descriptors", func(r reading) float64 { return r.descriptors }, 1, fewLimit},
		{"goroutines", func(r reading) float64 { return r.goroutines }, 1, fewLimit},
	} {
		middle := func(of []reading) float64 {
			var values []float64
			for _, r := range of {
				values = append(values, m.of(r))
			}
			return report.Median(values)
		}
		second := middle(all[len(all)-2*third : len(all)-third])
		last := middle(all[len(all)-third:])
		b.Samples.Add(m.name+" second", second)
		b.Samples.Add(m.name+" last", last)
		if last > second*m.times+m.few {
			err = errors.Join(err, fmt.Errorf("%s: %.0f in the last third, %.0f in the second",
				m.name, last, second))
		}
	}
	b.Samples.Add("readings", float64(len(all)))
	b.Samples.Add("rounds", float64(b.rounds))
	return err
}

// read takes a reading when all who are to be there are.
func (c *churn) read(ctx context.Context) (r reading, err error) {
	if err := c.settle(ctx); err != nil {
		return r, err
	}
	if err := c.node.Check(ctx); err != nil {
		return r, err
	}
	if err := c.node.CollectGarbage(ctx); err != nil {
		return r, err
	}
	m, err := c.node.Metrics(ctx)
	if err != nil {
		return r, err
	}
	if panics := m["throng_panics_total"]; panics > 0 {
		return r, fmt.Errorf("the node has had %.0f panics", panics)
	}
	resident, err := c.node.Resident()
	if err != nil {
		return r, err
	}
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", c.node.PID))
	return reading{heap: m["go_memstats_heap_alloc_bytes"], resident: float64(resident),
		descriptors: float64(len(open)), goroutines: m["go_goroutines"]}, err
}

func (b *bench) conclude() {
	r, s := b.Result, b.Samples
	row := func(what, name string, unit float64) []string {
		return []string{what, report.Number(s.Median(name+" second") / unit),
			report.Number(s.Median(name+" last") / unit)}
	}
	r.Table(fmt.Sprintf("%v with %s sessions", b.span, report.Number(float64(b.sessions))),
		[]string{"after a collection", "second third", "last third"}, [][]string{
			row("heap, MB", "heap", 1<<20), row("resident memory, MB", "resident", 1<<20),
			row("descriptors", "descriptors", 1), row("goroutines", "goroutines", 1)})
	r.Say("%.0f rounds and %.0f readings; before each the node's invariants held.",
		s.Median("rounds"), s.Median("readings"))
	for _, f := range []struct {
		what, name string
		limit      float64
	}{
		{"heap, the last third of a soak over the second", "heap", heapLimit},
		{"resident memory, the last third of a soak over the second", "resident", residentLimit},
	} {
		r.Reach(report.Figure{What: f.what, Measured: s.Ratio(f.name+" last", f.name+" second"),
			Unit: "×", Limit: f.limit})
	}
	for _, f := range []struct{ what, name string }{
		{"descriptors that the last third of a soak has more", "descriptors"},
		{"goroutines that the last third of a soak has more", "goroutines"},
	} {
		r.Reach(report.Figure{What: f.what, Limit: fewLimit,
			Measured: s.Median(f.name+" last") - s.Median(f.name+" second")})
	}
}

// guild is the one that all are in.
const guild = 0
