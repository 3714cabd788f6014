package node

import "sync/atomic"

// calendar is the time of day that guilds go by: what they do by themselves is due at such a time,
// and ids of messages are made of it.
//
// The system's own clock would do until somebody sets it: put back by an hour, it leaves what was
// due in a second for an hour later. The process's own clock alone never stands still, and is wrong
// for good when the system's was wrong as the node began. So this one goes by the process's, is put
// forward when the system's is ahead, and when that was put back goes half as fast until it has
// been caught up with: nothing that is due waits for more than twice its time.
type calendar struct {
	// Static after construction.
	system  func() int64 // Unix milliseconds, which may jump.
	elapsed func() int64 // Milliseconds that only grow.

	// Owned by who calls follow.
	followed int64 // elapsed at the last call.

	// Atomic: written by follow, read by everybody.
	ahead atomic.Int64 // of elapsed.
}

func newCalendar(system, elapsed func() int64) *calendar {
	c := &calendar{system: system, elapsed: elapsed, followed: elapsed()}
	c.ahead.Store(system() - c.followed)
	return c
}

// now is in Unix milliseconds. From one call to the next it goes back by no more than half the time
// between two calls of follow.
func (c *calendar) now() int64 { return c.elapsed() + c.ahead.Load() }

// follow looks at the system's clock. It is to be called now and then.
func (c *calendar) follow() {
	at := c.elapsed()
	c.ahead.Store(max(c.system()-at, c.ahead.Load()-(at-c.followed)/2))
	c.followed = at
}
