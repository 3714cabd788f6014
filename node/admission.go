package node

import "sync/atomic"

// rate admits so many a second on the average, and a burst on top: a token bucket in one word.
//
// The word is the moment at which the bucket would be full again (the generic cell rate
// algorithm): admitting moves it on by one interval, and refuses when it lies further ahead than
// the burst reaches. Nothing has to be refilled, and any loop may ask at any time.
//
// A node that has just joined others is cold: no guild is read, and no memory is its own yet. It
// would be sent all that a lost node had, since it has the most room, so it begins with a tenth of
// what it may admit and comes to all of it evenly.
type rate struct {
	// Atomic: written by the operator, read by all loops.
	perSecond, burst atomic.Int64 // 0 a second = no limit

	// Atomic: set when the node joins a cluster. Milliseconds of the core's clock.
	coldFrom, coldFor atomic.Int64

	// Atomic: written by all loops. Microseconds of the core's clock.
	full atomic.Int64
}

// set changes what is admitted from now on.
func (r *rate) set(perSecond, burst int64) {
	r.perSecond.Store(perSecond)
	r.burst.Store(burst)
}

// take admits one at now, in milliseconds, or reports that it is too many.
func (r *rate) take(now int64) bool {
	perSecond := r.perSecond.Load()
	if perSecond == 0 {
		return true
	}
	step, reach := r.bucket(now, perSecond)
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

// bucket is how far one that is admitted moves the word, and how far ahead it may lie: for one at
// least, since however small the burst is beside the rate, an empty bucket admits somebody.
func (r *rate) bucket(now, perSecond int64) (step, reach int64) {
	const micros = 1_000_000
	share := r.warmth(now)
	step = max(micros*warm/(perSecond*share), 1)
	return step, max(step, r.burst.Load()*micros/perSecond*share/warm)
}

// warm is the whole of what a node may admit, and cold what it begins with.
const (
	warm = 1000
	cold = warm / 10
)

func (r *rate) warmth(now int64) int64 {
	span := r.coldFor.Load()
	if span == 0 || now-r.coldFrom.Load() >= span {
		return warm
	}
	return max(warm*(now-r.coldFrom.Load())/span, cold)
}

// cool makes the rate that of a cold node for so many milliseconds.
func (r *rate) cool(now, span int64) {
	r.coldFrom.Store(now)
	r.coldFor.Store(span)
}

// left is how many would be admitted at now, and after how many milliseconds the next is, when it
// is none.
func (r *rate) left(now int64) (count, wait int64) {
	perSecond := r.perSecond.Load()
	if perSecond == 0 {
		return 1 << 30, 0
	}
	step, reach := r.bucket(now, perSecond)
	ahead := max(r.full.Load()-now*1000, 0)
	if ahead+step > reach {
		return 0, (ahead+step-reach)/1000 + 1
	}
	return (reach - ahead) / step, 0
}
