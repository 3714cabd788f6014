package load

import (
	"context"
	"fmt"
	"time"

	"throng/tuning"
)

// glance is what the progress line is made of. Counts begin anew with each phase.
type glance struct {
	phase    string
	conns    int // Open or opening.
	live     int
	messages uint64
	bytes    uint64
	closes   uint64
	p50, p99 float64
}

// show prints a line now and then until ctx ends.
func (r *run) show(ctx context.Context) {
	var before glance
	last := r.start
	closes := uint64(0)
	for sleepUntil(ctx, last.Add(r.config.ProgressEvery)) {
		if r.stopping.Load() {
			return
		}
		now := time.Now()
		g := r.glance()
		if g.phase != before.phase {
			closes += before.closes
			before = glance{phase: g.phase}
		}
		seconds := now.Sub(last).Seconds()
		rate := float64(g.messages-min(before.messages, g.messages)) / seconds
		volume := float64(g.bytes-min(before.bytes, g.bytes)) / seconds / 1e6
		fmt.Fprintf(r.progress, "%4.0fs %-8s conns %s ready %s  frames/s %s  %.1f MB/s  "+
			"p50 %.1f ms p99 %.1f ms  closes %s\n", now.Sub(r.start).Seconds(), g.phase,
			grouped(g.conns), grouped(g.live), grouped(int(rate)), volume, g.p50, g.p99,
			grouped(int(closes+g.closes)))
		before, last = g, now
	}
}

func grouped(n int) string { return tuning.Grouped(int64(n)) }

func (r *run) glance() glance {
	var g glance
	var event stats
	for _, l := range r.loops {
		l.mu.Lock()
		g.conns += l.live + l.opening
		g.live += l.live
		g.messages += l.stats.Messages
		g.bytes += l.stats.Bytes
		for _, n := range l.stats.Closes {
			g.closes += n
		}
		one := stats{}
		one.histograms[measureEvent] = l.stats.histograms[measureEvent]
		event.add(&one)
		l.mu.Unlock()
	}
	q := event.quantiles(measureEvent)
	g.p50, g.p99 = q.P50, q.P99
	r.mu.Lock()
	g.phase = r.now.name
	r.mu.Unlock()
	return g
}
