package cluster

import (
	"sync/atomic"
	"time"
)

// lease is until when this node may act as an owner, by its own clock alone.
//
// A node that was stopped, or cut off, cannot be told that its lease is gone and that others own
// its guilds now; it has to know by itself, and before they do. The server counts the time from
// when a renewal reached it, and this node from when it began to send it, which is earlier. Less a
// margin, for clocks that do not run alike and for the time between a look at the lease and what
// is done then, this node's deadline comes first whatever was delayed.
//
// NB: the monotonic clock stands still while a whole virtual machine does. Such a node takes
// itself for an owner for a moment when it wakes. That is what tokens are for: the receivers know
// a later owner, and do not hear the earlier one.
type lease struct {
	// Static after construction.
	base time.Time

	// Atomic: written by the renewing goroutine, read by anyone. Nanoseconds after base.
	until atomic.Int64
}

func newLease(base time.Time) *lease { return &lease{base: base} }

// renew moves the deadline after a renewal that was begun at start and granted ttl.
func (l *lease) renew(start time.Time, ttl, margin time.Duration) {
	l.until.Store(int64(start.Sub(l.base) + ttl - margin))
}

// end makes the lease one that is over.
func (l *lease) end() { l.until.Store(0) }

// held says whether the lease holds at a time.
func (l *lease) held(now time.Time) bool { return int64(now.Sub(l.base)) < l.until.Load() }

// left is how long it holds from a time on; not more than zero when it does not.
func (l *lease) left(now time.Time) time.Duration {
	return time.Duration(l.until.Load()) - now.Sub(l.base)
}
