package node

// wheel is one loop's timers: for each socket and each detached session one entry in the bucket
// of its deadline.
//
// A timer per session in a heap or in the runtime would move at every heartbeat. Here a heartbeat
// only writes the socket's deadline; when the old entry's bucket comes, the entry finds that its
// deadline has moved and goes to the bucket of the new one. Each socket costs eight bytes and one
// look per heartbeat interval, and the collector sees no pointer.
type wheel struct {
	// Static after construction.
	step int64 // milliseconds per bucket

	// Owned by the loop goroutine.
	buckets [wheelBuckets][]timer
	at      int64 // the bucket, counted from time zero, that is due next
	firing  []timer
}

// wheelBuckets of a quarter of a second reach 256 s ahead, beyond the default resume window. What
// is later is looked at when the wheel has come round, and put back.
const wheelBuckets = 1024

// timer names what a deadline is of: a socket or a session, by index and generation.
type timer struct {
	index   uint32
	gen     uint32
	session bool
}

func newWheel(now, stepMilli int64) wheel {
	return wheel{step: stepMilli, at: now/stepMilli + 1}
}

// add puts an entry where it is looked at as soon as deadline has passed.
func (w *wheel) add(t timer, deadline int64) {
	due := max(deadline/w.step+1, w.at)
	due = min(due, w.at+wheelBuckets-1)
	b := &w.buckets[due%wheelBuckets]
	*b = append(*b, t)
}

// advance looks at every entry whose bucket has passed. fire returns the entry's deadline when
// that has moved, 0 when the entry is done with.
func (w *wheel) advance(now int64, fire func(timer) (deadline int64)) {
	for ; w.at <= now/w.step; w.at++ {
		b := &w.buckets[w.at%wheelBuckets]
		w.firing, *b = *b, w.firing[:0]
		for _, t := range w.firing {
			if next := fire(t); next != 0 {
				// Not before the bucket after this one: this one is being worked on.
				due := max(next/w.step+1, w.at+1)
				due = min(due, w.at+wheelBuckets-1)
				to := &w.buckets[due%wheelBuckets]
				*to = append(*to, t)
			}
		}
	}
}
