package push

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"throng/tuning"
)

// conn is one connection to the sink, and the credits that it has.
//
// A flight is a batch on its way: it holds credits from the moment at which it leaves the buffer
// until its last try is answered or too late. Waiting for the next try it keeps them, so a sink
// that fails gets fewer pushes and not the same ones beside new ones.
//
// A lost answer must not cost a credit for ever: that is how a pipeline with credits stands still
// after a week. So the pipeline's own timer ends each try, whether or not the connection obeys; a
// flight is a goroutine of which credits are returned by defer; and an answer that comes after its
// try ended goes to a channel that nobody reads, and can return nothing twice.
type conn struct {
	// Static after construction.
	p        *Pipeline
	out      Conn
	batchMax int
	credits  chan struct{} // One for each flight under way.

	// Owned by run.
	flights sync.WaitGroup

	// Atomic: written by flights, read by run.
	pauseUntil atomic.Int64 // The pipeline's milliseconds; nothing new is sent before.
}

// newConn divides the credits into flights of the size that the sink takes.
func newConn(p *Pipeline, out Conn) *conn {
	batch := min(max(p.sink.BatchMax(), 1), p.limits.InFlightMax)
	return &conn{
		p: p, out: out, batchMax: batch,
		credits: make(chan struct{}, p.limits.InFlightMax/batch),
	}
}

// run sends until the end. It takes pushes out of the buffer only when it has the credits to send
// them.
func (c *conn) run() {
	defer c.flights.Wait()
	for {
		select {
		case c.credits <- struct{}{}:
		case <-c.p.ctx.Done():
			return
		}
		if !c.rest() {
			return
		}
		batch := c.p.next(c.batchMax)
		if len(batch) == 0 {
			return
		}
		c.flights.Go(func() {
			defer func() { <-c.credits }()
			defer c.p.landed.Add(uint64(len(batch)))
			c.fly(batch)
		})
	}
}

// rest waits while the sink wants a pause.
func (c *conn) rest() bool {
	for {
		left := c.pauseUntil.Load() - c.p.now()
		if left <= 0 {
			return c.p.ctx.Err() == nil
		}
		if !sleep(c.p.ctx, time.Duration(left)*time.Millisecond) {
			return false
		}
	}
}

// pauseTo lets nothing new out before a time; of several the last counts.
func (c *conn) pauseTo(until int64) {
	for {
		old := c.pauseUntil.Load()
		if until <= old || c.pauseUntil.CompareAndSwap(old, until) {
			return
		}
	}
}

// fly tries until the batch is taken, refused, too old, or has failed too often.
func (c *conn) fly(batch []Push) {
	for try := 1; ; try++ {
		a := c.try(batch)
		c.p.answers[a.Result].Add(1)
		if a.Result == Sent {
			c.p.sent.Add(uint64(len(batch)))
			return
		}
		c.p.complain(a)
		switch {
		case c.p.ctx.Err() != nil:
			c.p.drop(DropEnded, len(batch))
			return
		case a.Result == Refused:
			c.p.drop(DropRefused, len(batch))
			return
		case try >= c.p.limits.TriesMax:
			c.p.drop(DropFailed, len(batch))
			return
		}
		wait := c.p.pause(try, a)
		if a.Result == Later {
			c.pauseTo(c.p.now() + wait.Milliseconds())
		}
		if !sleep(c.p.ctx, wait) {
			c.p.drop(DropEnded, len(batch))
			return
		}
		if batch = c.fresh(batch); len(batch) == 0 {
			return
		}
	}
}

// fresh is what is still worth a try. The batch itself stays as it is: a connection that does not
// obey may still be reading it.
func (c *conn) fresh(batch []Push) []Push {
	now, ageMax := c.p.now(), c.p.limits.AgeMax.Milliseconds()
	var kept []Push
	for i := range batch {
		if now-batch[i].offered <= ageMax {
			kept = append(kept, batch[i])
		}
	}
	c.p.drop(DropExpired, len(batch)-len(kept))
	return kept
}

// try sends once. A connection that obeys has returned when this does, so that what is in flight is
// no more than it says; one that does not obey is left behind after a grace.
func (c *conn) try(batch []Push) Answer {
	ctx, cancel := context.WithTimeout(c.p.ctx, c.p.limits.TryTimeout)
	defer cancel()
	answer := make(chan Answer, 1)
	go func() {
		defer func() {
			if r := recover(); r != nil {
				c.p.panics(r, debug.Stack())
				answer <- Answer{Result: Failed, Err: fmt.Errorf("panic: %v", r)}
			}
		}()
		answer <- c.out.Send(ctx, batch)
	}()
	select {
	case a := <-answer:
		return a
	case <-ctx.Done():
	}
	grace := time.NewTimer(tuning.PushTryGrace)
	defer grace.Stop()
	select {
	case a := <-answer:
		return a
	case <-grace.C:
		return Answer{Result: Failed, Err: ctx.Err()}
	}
}

// sleep waits; it reports false when ctx ended meanwhile.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
