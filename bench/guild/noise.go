package main

import (
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// noise is what the machine does to a thread that only counts. The node's account of a handling is
// by the wall clock, so a processor that was given to somebody else meanwhile is in it: a stall
// that is no longer than the noise of the same time is the machine's. That of work is by the
// thread's own clock, which goes on where a hypervisor takes the processor away and does not say
// so at once.
type noise struct {
	stop    atomic.Bool
	done    chan struct{}
	longest time.Duration // By the wall clock,
	jump    time.Duration // and by the thread's.
}

// A count takes noiseWork on a quiet machine, about as long as a handling, once per noisePause.
const (
	noiseWork  = 500 * time.Microsecond
	noisePause = 2 * time.Millisecond
)

func startNoise() *noise {
	n := &noise{done: make(chan struct{})}
	go func() {
		defer close(n.done)
		runtime.LockOSThread()
		for !n.stop.Load() {
			began := time.Now()
			last, lastUsed := began, threadTime()
			for last.Sub(began) < noiseWork {
				now, used := time.Now(), threadTime()
				n.longest, n.jump = max(n.longest, now.Sub(last)), max(n.jump, used-lastUsed)
				last, lastUsed = now, used
			}
			time.Sleep(noisePause)
		}
	}()
	return n
}

// threadTime is the processor time that this thread has used.
func threadTime() time.Duration {
	var used unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &used); err != nil {
		panic(err)
	}
	return time.Duration(used.Nano())
}

// end returns for how long the thread was held up at most, and how far its own clock has jumped.
func (n *noise) end() (longest, jump time.Duration) {
	n.stop.Store(true)
	<-n.done
	return n.longest, n.jump
}
