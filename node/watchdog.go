package node

import (
	"bytes"
	"context"
	"runtime/pprof"
	"strings"
	"time"

	"throng/tuning"
)

// watchdog looks at what owners are at, and takes the stack of one that has been at it for most of
// the stall limit: when the message has ended there is nothing to be seen any more, and before that
// nobody knows that it is going to be long. Three quarters of the limit and a look each quarter
// have the stack of all that passes the limit.
//
// A stack is taken from the profile of all goroutines, in which owners have their names as labels.
// That stops the world for 20 µs; to print the stacks of all, as for a panic, stops it for 10 µs a
// goroutine, and of those there may be thousands, one for each request.
type watchdog struct {
	// Static after construction.
	core   *core
	flight *flight

	// Owned by the watchdog's goroutine.
	seen map[*stopwatch]uint64 // what has been dealt with
}

func newWatchdog(c *core, f *flight) *watchdog {
	return &watchdog{core: c, flight: f, seen: map[*stopwatch]uint64{}}
}

// run looks until stop is closed.
func (d *watchdog) run(stop <-chan struct{}) {
	for {
		limit := time.Duration(d.core.stalls.limit.Load())
		next := max(tuning.WatchIntervalMin, min(limit/4, tuning.WatchIntervalMax))
		select {
		case <-time.After(next):
			d.pass(nanos())
		case <-stop:
			return
		}
	}
}

// pass looks at all owners once.
func (d *watchdog) pass(now int64) {
	for _, l := range d.core.loops {
		d.look(&l.stats.stopwatch, now)
	}
	for _, s := range d.core.shards {
		d.look(&s.stats.stopwatch, now)
	}
	if d.core.stalls.report(now); d.core.stalls.unflown() && d.flight.due(now) {
		number, err := d.flight.record(now)
		if err != nil {
			d.core.log.Warn("the flight recorder could not be written down", "error", err)
		}
		d.core.stalls.flew(number)
	}
}

// look takes an owner's stack if it has been at one thing for long, and writes it down if it may
// never come to its end.
func (d *watchdog) look(w *stopwatch, now int64) {
	at := w.at.Load()
	began, kind, guild, ok := w.doing()
	limit := d.core.stalls.limit.Load()
	if !ok || now-began < limit/4*3 {
		return
	}
	s := d.core.stalls
	if d.seen[w] != at {
		d.seen[w] = at
		stack := w.stack()
		if w.at.Load() != at {
			return // It is over, and the stack is that of what came after.
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.caught[w] = caught{at: at, stack: stack}
		return
	}
	if now-began < limit*tuning.StallStuck {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.caught[w]; c.at == at && !c.noted {
		c.noted = true
		s.caught[w] = c
		s.add(stall{at: time.Now(), owner: w.name, kind: kind, guild: guild, messages: 1,
			span: now - began, worked: -1, stack: c.stack, running: true})
	}
}

// ownerLabel is the label that owners' goroutines have in profiles: a profile of the processor can
// be told by owner too.
const ownerLabel = "owner"

// watchLabel tells owners of the same name apart, of nodes in one process.
const watchLabel = "watch"

// label names the caller's goroutine.
func label(owner string) {
	pprof.SetGoroutineLabels(pprof.WithLabels(context.Background(),
		pprof.Labels(ownerLabel, owner)))
}

// label names the caller's goroutine, which is the owner's.
func (w *stopwatch) label() {
	pprof.SetGoroutineLabels(pprof.WithLabels(context.Background(),
		pprof.Labels(ownerLabel, w.name, watchLabel, w.serial)))
}

// stack is the stack of the owner's goroutine, "" when that has none of its own.
func (w *stopwatch) stack() string {
	var profile bytes.Buffer
	if pprof.Lookup("goroutine").WriteTo(&profile, 1) != nil {
		return ""
	}
	mark := `"` + watchLabel + `":"` + w.serial + `"`
	for entry := range strings.SplitSeq(profile.String(), "\n\n") {
		head, frames, _ := strings.Cut(entry, "\n#\t")
		if !strings.Contains(head, mark) {
			continue
		}
		stack := strings.ReplaceAll(frames, "\n#\t", "\n")
		return stack[:min(len(stack), tuning.StallStackBytesMax)]
	}
	return ""
}
