package store

import "sync/atomic"

// ringSeparator stands between a node's name and the number of a point, and in no name. Without
// it "node-1" and its point 11 are "node-11" and its point 1: of twenty nodes numbered that way
// one lost 452 of its 512 points to the others (see TestRingSeparator).
const ringSeparator = 0

// ringPoint is where a node's point lies: FNV-1a over the name, the separator and the number,
// spread by the finaliser that keys go through as well, since FNV alone leaves the upper bits of
// short texts alike. Every host of a cluster has to come to the same, so neither may change.
func ringPoint(name string, replica int) uint64 {
	const offset, prime = 0xcbf29ce484222325, 0x100000001b3
	h := uint64(offset)
	for i := range len(name) {
		h = (h ^ uint64(name[i])) * prime
	}
	h = (h ^ ringSeparator) * prime
	for range 4 {
		h = (h ^ uint64(byte(replica))) * prime
		replica >>= 8
	}
	return hashID(h, 0)
}

// RingHolder is where the ring in force is found. Readers pay one load; a lock for readers would
// have every processor write to the same cache line for each lookup.
type RingHolder struct {
	// Atomic: written by whoever changes the ring, read by anyone.
	ring atomic.Pointer[Ring]
}

// Load is the ring in force, nil before the first Update.
func (h *RingHolder) Load() *Ring { return h.ring.Load() }

// Update puts what change makes of the ring in force in its place, unless change fails. Of two that
// update at once the second one's change is called again, with what the first has made.
func (h *RingHolder) Update(change func(*Ring) (*Ring, error)) error {
	for {
		old := h.ring.Load()
		next, err := change(old)
		if err != nil {
			return err
		}
		if h.ring.CompareAndSwap(old, next) {
			return nil
		}
	}
}
