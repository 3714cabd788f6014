package node

import "math/bits"

// timing is what an owner knows of its handling of one kind of message, in nanoseconds.
type timing struct {
	count, sum     int64
	least, longest int64
	// worked is the longest without what the thread spent waiting for a processor; see stallClock.
	worked int64
	spread [spreadBuckets]uint64
}

// timings are an owner's handling times, by kind of message: 23 KB. They are the owner's own, plain
// numbers without atomics, and who wants to see them asks the owner for a copy; see aside.
type timings [kindCount]timing

// spreadBuckets: bucket i has what took less than 2^i ns, and not less than half of that. The last
// also has what took longer than its 34 s.
const spreadBuckets = 36

func bucketOf(span int64) int {
	return min(bits.Len64(uint64(max(span, 0))), spreadBuckets-1)
}

// add takes note of a run: so many calls, which took so long together. It returns how long the
// longest of them was, or all of it when none is counted.
//
// What each took is not known, and the calls are taken to have been alike, until the run is longer
// than twice what so many have cost on the average so far. Then all but one are taken to have been
// average and one to have taken the rest: a call that stands out by less cannot be told from its
// neighbours, and one that stands out by more is seen in full. The sum is exact either way.
func (t *timing) add(count, span int64) (longest int64) {
	if count == 0 {
		t.sum += span // Of something that was begun here and is counted where it is done.
		return span
	}
	usual := span / count
	longest = usual
	if count > 1 && t.count > 0 {
		if mean := t.sum / t.count; span > 2*count*mean {
			usual, longest = mean, span-(count-1)*mean
		}
	}
	if t.count == 0 || usual < t.least {
		t.least = usual
	}
	t.count += count
	t.sum += span
	t.longest = max(t.longest, longest)
	t.spread[bucketOf(usual)] += uint64(count - 1)
	t.spread[bucketOf(longest)]++
	return longest
}

// brief says whether a call usually takes no longer than that: false before there was one. It is
// asked for each run, and a division would be a tenth of what that costs.
func (t *timing) brief(span int64) bool {
	return t.count > 0 && float64(t.sum) <= float64(t.count)*float64(span)
}

// merge adds another owner's.
func (t *timing) merge(o *timing) {
	if o.count > 0 && (t.count == 0 || o.least < t.least) {
		t.least = o.least
	}
	t.count += o.count
	t.sum += o.sum
	t.longest = max(t.longest, o.longest)
	t.worked = max(t.worked, o.worked)
	for i, n := range o.spread {
		t.spread[i] += n
	}
}

// quantile is what so large a part of the calls took no longer than: the upper end of its bucket,
// or the longest call if that is less.
func (t *timing) quantile(q float64) int64 {
	rank := uint64(q * float64(t.count))
	for i, n := range t.spread {
		if rank < n {
			return min(int64(1)<<i, t.longest)
		}
		rank -= n
	}
	return t.longest
}
