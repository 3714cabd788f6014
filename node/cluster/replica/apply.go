package replica

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"throng/node/cluster"
	"throng/store"
)

// Apply writes ops to the log, and returns when the log has stored them and this node's store has
// them. Guilds in them must be this node's own.
//
// They are stored all or not at all as far as a batch of the log goes, and one after the other
// beyond: of ten thousand ops, or of members on a thousand pages, the first may be done when the
// rest fails. Users that are only added are stored first, each for itself. To do ops again changes
// nothing, and is right: cluster.ErrLogUnknown and ErrNotApplied say that they may be done, any
// other error that what has failed is not. After ErrFenced nothing is done before Join.
func (d *Directory) Apply(ops []store.Op) error {
	for i := range ops {
		if err := ops[i].Validate(); err != nil {
			return fmt.Errorf("op %d of %d: %w", i+1, len(ops), err)
		}
	}
	if err := d.begin(d.stopped); err != nil {
		return store.ErrClosed
	}
	defer d.end()
	for len(ops) > 0 {
		count := d.chunk(ops)
		if err := d.write(ops[:count]); err != nil {
			return err
		}
		ops = ops[count:]
	}
	return nil
}

// chunk returns how many of the ops to plan together. A page that all of them fall in must still
// fit into one batch, with all that it is split into.
func (d *Directory) chunk(ops []store.Op) int {
	bytes := 0
	for i := range ops {
		bytes += len(ops[i].Doc) + len(ops[i].Member.Extra)
		if u := ops[i].UserRecord; u != nil {
			bytes += len(u.Doc)
		}
		if i > 0 && (i >= d.limits.chunkOpsMax || bytes > d.limits.chunkBytesMax) {
			return i
		}
	}
	return len(ops)
}

// write plans ops and has the plan stored and applied. What was in the way of a plan is in the
// store when the next one is made.
func (d *Directory) write(ops []store.Op) error {
	ctx, cancel := context.WithTimeout(d.stopped, d.limits.applyTimeout)
	defer cancel()
	var unknown, err error
	for try := range d.limits.triesMax {
		token, unready := d.settle(ctx)
		if unready != nil {
			return failure(unknown, unready)
		}
		p := newPlan(d.Replica, &d.limits, d.Applied(), try > 0)
		if err := planOps(p, ops); err != nil {
			return err
		}
		if err = d.storeAdds(ctx, p.adds); err == nil {
			err = d.storeAll(ctx, p.batches(), token)
		}
		switch {
		case err == nil:
			return d.Wait(ctx, d.writing.floor)
		case errors.Is(err, cluster.ErrLogUnknown):
			unknown = err
		case errors.Is(err, cluster.ErrLogConflict):
			if unready := d.Sync(ctx); unready != nil {
				return failure(unknown, unready)
			}
		default:
			return failure(unknown, err)
		}
	}
	return failure(unknown, err)
}

// storeAdds has users stored that are to be added. Who finds one that was added or put meanwhile
// has what it wanted, once its own store has it too.
func (d *Directory) storeAdds(ctx context.Context, adds []cluster.Write) error {
	conflict := false
	for some := range slices.Chunk(adds, d.limits.batchMessagesMax) {
		answers := make(chan answer, len(some))
		var failed error
		sent := 0
		for i := range some {
			failed = d.publish(cluster.Batch{
				Writes: some[i : i+1], Fence: some[i].Subject,
			}, answers)
			if failed != nil {
				break
			}
			sent++
		}
		for range sent {
			seq, err := d.hear(ctx, answers)
			switch {
			case err == nil:
				d.writing.floor = max(d.writing.floor, seq)
			case errors.Is(err, cluster.ErrLogConflict) && !errors.Is(err, cluster.ErrLogUnknown):
				conflict = true
			default:
				failed = err
			}
		}
		if failed != nil {
			return failed
		}
	}
	if conflict {
		return d.Sync(ctx)
	}
	return nil
}

// storeAll has batches stored, one after the other.
func (d *Directory) storeAll(ctx context.Context, batches [][]cluster.Write, token uint64) error {
	if len(batches) == 0 {
		// All of it is so already, if this node is still the one to say so. The log knows that.
		batches = [][]cluster.Write{{{Subject: syncSubject(d.cfg.Node), Data: empty()}}}
	}
	for _, writes := range batches {
		seq, err := d.send(ctx, cluster.Batch{
			Writes: writes, Fence: nodeSubject(d.cfg.Node), Token: token,
		})
		if errors.Is(err, cluster.ErrLogUnknown) {
			d.writing.doubt = token
		}
		if err != nil {
			return err
		}
		d.writing.floor = max(d.writing.floor, seq)
	}
	return nil
}

// failure is the error for the caller: of a batch of which it is not known whether it is stored,
// nil when there is none, and of what is in the way of going on.
func failure(unknown, err error) error {
	switch {
	case unknown != nil && errors.Is(err, cluster.ErrLogUnknown):
		return err
	case unknown != nil:
		return fmt.Errorf("%w: %w", unknown, err)
	case errors.Is(err, store.ErrClosed), errors.Is(err, ErrFenced),
		errors.Is(err, ErrUnavailable):
		return err
	}
	return fmt.Errorf("%w: %v", ErrUnavailable, err)
}
