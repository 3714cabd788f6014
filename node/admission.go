package node

import "sync/atomic"

// rate admits so many a second on the average, and a burst on top: a token bucket in one word.
//
// The word is the moment at which the bucket would be full again (the generic cell rate
// algorithm): admitting moves it on by one interval, and refuses when it lies further ahead than
// the burst reaches. Nothing has to be refilled, and any loop may ask at any time.
type rate struct {
	// Static after construction.
	perSecond int64 // 0 = no limit
	burst     int64

	// Atomic: written by all loops. Microseconds of the core's clock.
	full atomic.Int64
}

// take admits one at now, in milliseconds, or reports that it is too many.
func (r *rate) take(now int64) bool {
	if r.perSecond == 0 {
		return true
	}
	const micros = 1_000_000
	step, reach := micros/r.perSecond, r.burst*micros/r.perSecond
	for {
		old := r.full.Load()
		next := max(old, now*1000) + step
		if next-now*1000 > reach {
			return false
		}
		if r.full.CompareAndSwap(old, next) {
			return true
		}
	}
}
