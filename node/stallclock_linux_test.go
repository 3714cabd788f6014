package node

import (
	"runtime"
	"testing"
	"time"
)

// TestStallClockDoesNotCountWaiting has a thread wait, which is no work, and then work.
func TestStallClockDoesNotCountWaiting(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var c stallClock
	start := time.Now()
	c.start(start)
	const waited = 50 * time.Millisecond
	time.Sleep(waited)
	if work := c.worked(start, time.Now()); work >= waited {
		t.Errorf("waiting counts as %v of work", work)
	}
	start = time.Now()
	_, before := threadTime()
	for used := before; used-before < 2*stallLook; {
		_, used = threadTime()
	}
	if work := c.worked(start, time.Now()); work < 2*stallLook {
		t.Errorf("%v of work count as %v", 2*stallLook, work)
	}
	if work := c.worked(start, c.at.Add(stallLook/2)); work != 0 {
		t.Errorf("the clock is read again at once, and says %v", work)
	}
}

// TestStallClockCountsAllWhenTheThreadIsAnother: another thread's time says nothing.
func TestStallClockCountsAllWhenTheThreadIsAnother(t *testing.T) {
	start := time.Now()
	c := stallClock{thread: -1, at: start}
	if work := c.worked(start, start.Add(time.Second)); work != time.Second {
		t.Errorf("%v of a second count as work", work)
	}
}
