package node

import "sync/atomic"

// semaphore admits so many holders of a resource at a time, and makes nobody wait: who is refused
// does something else, asks again later, or says no to whoever asked it. A queue in front of a
// resource that is behind only grows, and what is at its head was given up long ago.
//
// The naive one is a counter that acquiring adds to and releasing takes from. It has four traps,
// and each has cost somebody an outage: a limit that is lowered below what is held lets the next
// in, when the count is set to the limit instead of being compared with it; who releases twice
// frees another's permit; who never releases, because it died, takes the permit along; and the one
// who was thought dead and comes back releases what is somebody else's by now. So a permit here is
// a slot with the slot's generation: releasing moves the generation on, and a release whose
// generation is not the slot's does nothing. Who holds a permit for longer than hold has lost it at
// the next sweep, which moves the generation on in the same way.
//
// Any goroutine may call anything at any time. A permit and its return are 55 ns, as many for two
// processors at once, and a refusal is 8; see BenchmarkSemaphore.
//
// Invariant: count of held slots <= held <= len(slots).
type semaphore struct {
	// Static after construction.
	slots []permitSlot
	hold  int64 // milliseconds

	// Atomic: written by any goroutine.
	limit   atomic.Int64
	refused atomic.Uint64
	lost    atomic.Uint64
	swept   atomic.Int64 // when
	_       [cacheLine]byte
	held    atomic.Int64
	_       [cacheLine]byte
	// The first unused slot's index plus one in the lower half, 0 = none. The upper half grows
	// with each change: a slot that was taken and given back in between is not the one of before.
	free atomic.Uint64
	_    [cacheLine]byte
}

// cacheLine keeps what all processors write apart from what they only read.
const cacheLine = 64

// permitSlot is one permit that may be given.
type permitSlot struct {
	gen      atomic.Uint32 // odd: somebody holds it
	next     atomic.Uint32 // of the unused slots, index plus one
	deadline atomic.Int64
}

// permit is what a holder has. The zero permit is nobody's, and releasing it does nothing.
type permit struct{ slot, gen uint32 }

// newSemaphore makes one of limit permits, which can be set to at most most, each for hold
// milliseconds.
func newSemaphore(limit, most int, hold int64) *semaphore {
	s := &semaphore{slots: make([]permitSlot, most), hold: hold}
	for i := range s.slots {
		s.slots[i].next.Store(uint32(i)) // The one before, and none before the first.
	}
	s.free.Store(uint64(most))
	s.setLimit(limit)
	return s
}

// setLimit changes how many may hold it. Those above a lowered limit keep their permits, and nobody
// gets one before enough of them are back. With 0 everybody is refused.
func (s *semaphore) setLimit(n int) { s.limit.Store(int64(min(max(n, 0), len(s.slots)))) }

// holders is how many hold it.
func (s *semaphore) holders() int64 { return s.held.Load() }

// acquire takes a permit at now, or reports that all are taken.
func (s *semaphore) acquire(now int64) (p permit, ok bool) {
	for {
		n := s.held.Load()
		if n >= s.limit.Load() {
			s.refused.Add(1)
			return permit{}, false
		}
		if s.held.CompareAndSwap(n, n+1) {
			break
		}
	}
	i := s.take()
	slot := &s.slots[i]
	slot.deadline.Store(now + s.hold)
	return permit{i, slot.gen.Add(1)}, true
}

// release gives a permit back. It reports false when that was done before, by the holder or by a
// sweep.
func (s *semaphore) release(p permit) bool {
	if p.gen&1 == 0 || !s.slots[p.slot].gen.CompareAndSwap(p.gen, p.gen+1) {
		return false
	}
	s.give(p.slot)
	return true
}

// sweep takes back the permits whose time is up and says how many there were, at most once in each
// quarter of hold: it looks at all slots.
func (s *semaphore) sweep(now int64) (lost int) {
	last := s.swept.Load()
	if now-last < s.hold/4 || !s.swept.CompareAndSwap(last, now) {
		return 0
	}
	for i := range s.slots {
		// NB: the generation first. When the slot has another holder by the time its deadline is
		// read, it has another generation too.
		slot := &s.slots[i]
		gen := slot.gen.Load()
		if gen&1 == 1 && slot.deadline.Load() <= now && s.release(permit{uint32(i), gen}) {
			lost++
		}
	}
	s.lost.Add(uint64(lost))
	return lost
}

// take removes an unused slot. There is one: held was counted up first, and give puts the slot back
// before it counts down.
func (s *semaphore) take() uint32 {
	for {
		old := s.free.Load()
		i := uint32(old) - 1
		next := uint64(s.slots[i].next.Load())
		if s.free.CompareAndSwap(old, old>>32<<32+1<<32|next) {
			return i
		}
	}
}

func (s *semaphore) give(i uint32) {
	for {
		old := s.free.Load()
		s.slots[i].next.Store(uint32(old))
		if s.free.CompareAndSwap(old, old>>32<<32+1<<32|uint64(i+1)) {
			break
		}
	}
	s.held.Add(-1)
}
