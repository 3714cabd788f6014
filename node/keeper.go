package node

import (
	"errors"
	"runtime/debug"

	"throng/node/cluster"
	"throng/node/cluster/replica"
	"throng/store"
)

// keeper writes to the directory: one goroutine that takes everything that has gathered while the
// last batch went to the disk and writes it as one. One flush then serves everyone who waits, and
// the busier the node, the fewer flushes a write costs.
//
// A disk may stand still for seconds, and who has something to keep may be a shard, with all its
// guilds. So keep never waits. What bounds the queue is that the doors, which is where all writes
// come from, ask full first and send their callers away: beyond the limit there is what shards
// have been asked already.
type keeper struct {
	// Static after construction.
	core  *core
	queue *inbox[kept]
	wake  chan struct{}

	// Owned by run.
	taken []kept

	ledger ledger
}

type kept struct {
	ops  []store.Op
	done func(error)
}

func newKeeper(c *core, queueMax int) *keeper {
	k := &keeper{core: c, wake: make(chan struct{}, 1)}
	k.queue = newInbox[kept](queueMax, func() {
		select {
		case k.wake <- struct{}{}:
		default:
		}
	})
	return k
}

// keep lines ops up and calls done, on the keeper's goroutine, once they are durable or have
// failed.
func (k *keeper) keep(ops []store.Op, done func(error)) { k.queue.push(kept{ops, done}) }

// full says whether as much waits as may.
func (k *keeper) full() bool { return k.queue.full() }

// keeperBatchOps is how many ops one batch may hold, not to keep the first waiting too long.
const keeperBatchOps = 10_000

// run writes until stop is closed and nothing waits.
func (k *keeper) run(stop <-chan struct{}) {
	label("keeper")
	for {
		if k.pass() {
			continue
		}
		select {
		case <-k.wake:
		case <-stop:
			for k.pass() {
			}
			return
		}
	}
}

// pass writes what waits; it reports false when there was nothing.
func (k *keeper) pass() bool {
	k.taken = k.queue.take(k.taken)
	for rest := k.taken; len(rest) > 0; {
		batch := gather(rest)
		k.write(batch)
		rest = rest[len(batch):]
	}
	return len(k.taken) > 0
}

// gather returns as many of the first as make a batch.
func gather(waiting []kept) []kept {
	count := 0
	for i := range waiting {
		if count += len(waiting[i].ops); count >= keeperBatchOps {
			return waiting[:i+1]
		}
	}
	return waiting
}

// write writes a batch. When it fails, each part is tried alone, so that one bad request does not
// fail those who came with it; when the disk is at fault all of them fail.
func (k *keeper) write(batch []kept) {
	var all []store.Op
	for _, b := range batch {
		all = append(all, b.ops...)
	}
	err := k.apply(all)
	if err == nil || len(batch) == 1 || logAway(err) {
		for _, b := range batch {
			b.done(err)
		}
		return
	}
	for _, b := range batch {
		b.done(k.apply(b.ops))
	}
}

// logAway says that the log takes nothing now, or has not said what it took: what each part alone
// would be told too, one after the other and after a long time.
func logAway(err error) bool {
	return errors.Is(err, replica.ErrUnavailable) || errors.Is(err, replica.ErrFenced) ||
		errors.Is(err, replica.ErrNotApplied) || errors.Is(err, cluster.ErrLogUnknown)
}

func (k *keeper) apply(ops []store.Op) (err error) {
	defer func() {
		if r := recover(); r != nil {
			k.core.panicked("keeper", r, debug.Stack())
			err = errInternal
		}
	}()
	began := nanos()
	err = k.core.dir.Apply(ops)
	k.ledger.took(kindKeep, nanos()-began)
	if err != nil && !errors.Is(err, store.ErrClosed) {
		k.core.log.Error("keep: the directory refused a batch", "ops", len(ops), "error", err)
	}
	return err
}
