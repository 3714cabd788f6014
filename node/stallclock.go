package node

import (
	"runtime"
	"time"
)

// stallClock tells the time that a shard took for something from the time in which it stood in line
// for a processor. By the clock both are the same: on a machine with much other work, a message was
// seen to take 128 ms, of which the scheduler's account has 119 as waiting.
//
// What a shard has used is what its thread has, as long as no other goroutine runs on that: Go
// preempts a shard to collect garbage, and a collector or a keeper then has the thread for up to
// ten milliseconds. So a pass keeps its thread, which costs nothing unless it is preempted: then
// its thread must be woken for it, where it could have gone on with another's. To keep the thread
// for ever would cost two such wakes a message.
//
// To ask for a thread's processor time is a system call, half of what handling a presence takes. So
// the clock is read once a pass, and again when a millisecond has gone by since: what is handled
// after that is charged with less than a millisecond of what came before. Only what takes longer
// than that is measured.
type stallClock struct {
	// Owned by the shard goroutine.
	used  time.Duration
	known bool // Not every system tells.
	at    int64
}

// stallLook is the shortest handling that is looked at.
const stallLook = time.Millisecond

// start keeps the thread, until stop, and reads the clock.
func (c *stallClock) start(now int64) {
	runtime.LockOSThread()
	c.read(now)
}

func (c *stallClock) stop() { runtime.UnlockOSThread() }

func (c *stallClock) read(now int64) {
	c.used, c.known = threadTime()
	c.at = now
}

// worked returns how much of a handling that has ended now and took so long was work, at most; 0
// is that it was too short to look at.
func (c *stallClock) worked(took, now int64) (work int64) {
	if now-c.at < int64(stallLook) {
		return 0
	}
	before := c.used
	c.read(now)
	switch {
	case took < int64(stallLook):
		return 0
	case !c.known:
		return took
	}
	return min(took, int64(c.used-before))
}
