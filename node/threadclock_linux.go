package node

import (
	"time"

	"golang.org/x/sys/unix"
)

// threadTime is the thread that the caller runs on, and the processor time that it has used.
func threadTime() (thread int, used time.Duration) {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t) != nil {
		return 0, 0
	}
	return unix.Gettid(), time.Duration(t.Nano())
}
