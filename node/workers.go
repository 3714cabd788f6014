package node

import (
	"runtime/debug"
	"sync"
	"sync/atomic"
)

// workers run jobs that may wait for a disk or walk many members, and own nothing.
type workers struct {
	// Static after construction.
	core *core
	jobs chan job

	// Atomic: written by whoever takes a job: for how long that had waited, in nanoseconds.
	waited atomic.Int64

	// Atomic: jobs that are lined up or under way.
	busy atomic.Int64

	ledger ledger
}

// job is one, and when it was lined up.
type job struct {
	what messageKind
	run  func()
	at   int64
}

func newWorkers(c *core, queueMax int) *workers {
	return &workers{core: c, jobs: make(chan job, queueMax)}
}

// submit lines a job up; false means that too many wait.
func (w *workers) submit(what messageKind, run func()) bool {
	w.busy.Add(1)
	select {
	case w.jobs <- job{what, run, nanos()}:
		return true
	default:
		w.busy.Add(-1)
		return false
	}
}

// work does jobs until stop is closed.
func (w *workers) work(stop <-chan struct{}) {
	label("workers")
	for {
		select {
		case j := <-w.jobs:
			w.do(j)
		case <-stop:
			return
		}
	}
}

func (w *workers) do(j job) {
	began := nanos()
	w.waited.Store(began - j.at)
	defer w.busy.Add(-1)
	defer func() {
		w.ledger.took(j.what, nanos()-began)
		if r := recover(); r != nil {
			w.core.panicked("worker", r, debug.Stack())
		}
	}()
	j.run()
}

// ledger is the timings of those who share them. What they time is long, and waits for a lock.
type ledger struct {
	// Guarded by mu.
	mu      sync.Mutex
	timings timings
}

func (l *ledger) took(k messageKind, span int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.timings[k].add(1, span)
}

func (l *ledger) copy() *timings {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.timings
	return &t
}
