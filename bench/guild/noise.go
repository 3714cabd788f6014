package main

import (
	"sync/atomic"
	"time"
)

// noise is what the machine does to a thread that only counts. The node's account of a handling is
// by the wall clock, so a processor that was given to somebody else meanwhile is in it: a stall
// that is no longer than the noise of the same time is the machine's.
type noise struct {
	stop    atomic.Bool
	done    chan struct{}
	longest time.Duration
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
		for !n.stop.Load() {
			began := time.Now()
			last := began
			for last.Sub(began) < noiseWork {
				now := time.Now()
				n.longest = max(n.longest, now.Sub(last))
				last = now
			}
			time.Sleep(noisePause)
		}
	}()
	return n
}

// end returns for how long the thread was held up at most.
func (n *noise) end() time.Duration {
	n.stop.Store(true)
	<-n.done
	return n.longest
}
