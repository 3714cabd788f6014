package node

import "runtime/debug"

// workers run jobs that may wait for a disk or walk many members, and own nothing.
type workers struct {
	// Static after construction.
	core *core
	jobs chan func()
}

func newWorkers(c *core, queueMax int) *workers {
	return &workers{core: c, jobs: make(chan func(), queueMax)}
}

// submit lines a job up; false means that too many wait.
func (w *workers) submit(job func()) bool {
	select {
	case w.jobs <- job:
		return true
	default:
		return false
	}
}

// work does jobs until stop is closed.
func (w *workers) work(stop <-chan struct{}) {
	for {
		select {
		case job := <-w.jobs:
			w.do(job)
		case <-stop:
			return
		}
	}
}

func (w *workers) do(job func()) {
	defer func() {
		if r := recover(); r != nil {
			w.core.panicked("worker", r, debug.Stack())
		}
	}()
	job()
}
