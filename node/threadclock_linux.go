package node

import (
	"time"

	"golang.org/x/sys/unix"
)

// threadTime is the processor time that the caller's thread has used.
func threadTime() (used time.Duration, known bool) {
	var t unix.Timespec
	err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t)
	return time.Duration(t.Nano()), err == nil
}
