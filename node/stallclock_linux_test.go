package node

import (
	"runtime"
	"testing"
	"time"
)

// spin works for as long, by the thread's own account.
func spin(work time.Duration) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before, _ := threadTime()
	for used := before; used-before < work; {
		used, _ = threadTime()
	}
}

// TestStallClockDoesNotCountWaiting has a shard wait, which is no work, and then work.
func TestStallClockDoesNotCountWaiting(t *testing.T) {
	var c stallClock
	start := nanos()
	c.start(start)
	defer c.stop()
	const waited = 50 * time.Millisecond
	time.Sleep(waited)
	if work := c.worked(nanos()-start, nanos()); work >= int64(waited) {
		t.Errorf("waiting counts as %v of work", time.Duration(work))
	}
	start = nanos()
	spin(2 * stallLook)
	if work := c.worked(nanos()-start, nanos()); work < int64(2*stallLook) {
		t.Errorf("%v of work count as %v", 2*stallLook, time.Duration(work))
	}
	if work := c.worked(nanos()-start, c.at+int64(stallLook/2)); work != 0 {
		t.Errorf("the clock is read again at once, and says %v", time.Duration(work))
	}
}

// TestStallClockDoesNotCountOthers has a shard wait while another goroutine works, on the only
// thread that may run Go but for the shard's.
func TestStallClockDoesNotCountOthers(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	var c stallClock
	start := nanos()
	c.start(start)
	const others = 20 * time.Millisecond
	done := make(chan struct{})
	go func() {
		defer close(done)
		spin(others)
	}()
	<-done
	if work := c.worked(nanos()-start, nanos()); work >= int64(others) {
		t.Errorf("another's work counts as %v", time.Duration(work))
	}
	c.stop()
}
