package node

import (
	"errors"
	"runtime/debug"

	"throng/store"
)

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

// keeper writes to the directory: one goroutine that takes everything that has gathered while the
// last batch went to the disk and writes it as one. One flush then serves everyone who waits, and
// the busier the node, the fewer flushes a write costs.
type keeper struct {
	// Static after construction.
	core  *core
	queue chan kept
}

type kept struct {
	ops  []store.Op
	done func(error)
}

func newKeeper(c *core, queueMax int) *keeper {
	return &keeper{core: c, queue: make(chan kept, queueMax)}
}

// keep lines ops up and calls done, on the keeper's goroutine, once they are durable or have
// failed. It waits while the queue is full: a disk that is behind holds back who writes to it.
func (k *keeper) keep(ops []store.Op, done func(error)) { k.queue <- kept{ops, done} }

// keeperBatchOps is how many ops one batch may hold, not to keep the first waiting too long.
const keeperBatchOps = 10_000

// run writes until stop is closed and nothing waits.
func (k *keeper) run(stop <-chan struct{}) {
	for {
		select {
		case first := <-k.queue:
			k.write(k.gather(first))
		case <-stop:
			select {
			case first := <-k.queue:
				k.write(k.gather(first))
			default:
				return
			}
		}
	}
}

func (k *keeper) gather(first kept) []kept {
	batch, count := []kept{first}, len(first.ops)
	for count < keeperBatchOps {
		select {
		case next := <-k.queue:
			batch = append(batch, next)
			count += len(next.ops)
		default:
			return batch
		}
	}
	return batch
}

// write writes a batch. When it fails, each part is tried alone, so that one bad request does not
// fail those who came with it; when the disk is at fault all of them fail.
func (k *keeper) write(batch []kept) {
	var all []store.Op
	for _, b := range batch {
		all = append(all, b.ops...)
	}
	err := k.apply(all)
	if err == nil || len(batch) == 1 {
		for _, b := range batch {
			b.done(err)
		}
		return
	}
	for _, b := range batch {
		b.done(k.apply(b.ops))
	}
}

func (k *keeper) apply(ops []store.Op) (err error) {
	defer func() {
		if r := recover(); r != nil {
			k.core.panicked("keeper", r, debug.Stack())
			err = errInternal
		}
	}()
	err = k.core.dir.Apply(ops)
	if err != nil && !errors.Is(err, store.ErrClosed) {
		k.core.log.Error("keep: the directory refused a batch", "ops", len(ops), "error", err)
	}
	return err
}
