package node

import "time"

// stallClock tells the time that a shard took for something from the time that its thread stood in
// line for a processor. By the clock both are the same: on a machine with much other work, a
// message was seen to take 128 ms, of which the scheduler's account has 119 as waiting.
//
// To ask for a thread's processor time is two system calls, as much as handling a presence. So the
// clock is read once a pass, and again when a millisecond has gone by since: what is handled after
// that is charged with less than a millisecond of what came before. Only what takes longer than
// that is measured. Go may move a goroutine to another thread meanwhile, whose time says nothing;
// then all of it counts as work.
type stallClock struct {
	// Owned by the shard goroutine.
	thread int
	used   time.Duration
	at     time.Time
}

// stallLook is the shortest handling that is looked at.
const stallLook = time.Millisecond

// start reads the clock.
func (c *stallClock) start(now time.Time) {
	c.thread, c.used = threadTime()
	c.at = now
}

// worked returns how much of a handling that began at start and has ended now was work, at most; 0
// is that it was too short to look at.
func (c *stallClock) worked(start, now time.Time) (work time.Duration) {
	if now.Sub(c.at) < stallLook {
		return 0
	}
	before := *c
	c.start(now)
	took := now.Sub(start)
	switch {
	case took < stallLook:
		return 0
	case c.thread == 0 || c.thread != before.thread:
		return took
	}
	return min(took, c.used-before.used)
}
