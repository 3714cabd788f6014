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
	at      int64     // the bucket, counted from time zero, that is due next
	spare   [][]timer // of buckets that have been worked on, empty
}

// wheelBuckets of a quarter of a second reach 256 s ahead, beyond the default resume window. What
// is later is looked at when the wheel has come round, and put back.
const wheelBuckets = 1024

// A bucket that has been worked on leaves its room to the next that needs some. Each of the 1,024
// would else keep for good what it had at most: a soak of 2,000 sessions that come and go grew by
// half a megabyte a minute. wheelSpareMax are kept, none of more than wheelSpareTimers.
const (
	wheelSpareMax    = 16
	wheelSpareTimers = 8 << 10
)

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
	w.put(t, due)
}

func (w *wheel) put(t timer, due int64) {
	b := &w.buckets[due%wheelBuckets]
	if last := len(w.spare) - 1; *b == nil && last >= 0 {
		*b, w.spare[last] = w.spare[last], nil
		w.spare = w.spare[:last]
	}
	*b = append(*b, t)
}

// advance looks at every entry whose bucket has passed. fire returns the entry's deadline when
// that has moved, 0 when the entry is done with.
func (w *wheel) advance(now int64, fire func(timer) (deadline int64)) {
	for ; w.at <= now/w.step; w.at++ {
		b := &w.buckets[w.at%wheelBuckets]
		firing := *b
		*b = nil
		for _, t := range firing {
			if next := fire(t); next != 0 {
				// Not before the bucket after this one: this one is being worked on.
				due := max(next/w.step+1, w.at+1)
				due = min(due, w.at+wheelBuckets-1)
				w.put(t, due)
			}
		}
		if n := cap(firing); 0 < n && n <= wheelSpareTimers && len(w.spare) < wheelSpareMax {
			w.spare = append(w.spare, firing[:0])
		}
	}
}
