package store

import "reflect"

// Ruler says what tables take of the heap. Who owns a table goes through it with a ruler and knows
// only its own shape; what an allocation comes to, and of how many elements to be content with, is
// the ruler's business.
type Ruler struct {
	// Heap is what an allocation of so many bytes takes.
	Heap func(bytes int) int
	// Map is what a map with so many entries takes, of slotBytes for a key and its value.
	Map func(entries, slotBytes int) int
	// Sum adds up size over a table of n elements, or estimates that from some of them.
	Sum func(n int, size func(i int) int) int
	// Draw is how many elements are to be drawn from a table that has no numbers, and Drawn the
	// estimate for its n elements.
	Draw  int
	Drawn func(n int, sizes []int) int
}

// Slice is what the array of a slice takes.
func Slice[T any](r *Ruler, s []T) int {
	return r.Heap(cap(s) * sizeOf[T]())
}

// OutboxMemory is what an outbox takes.
type OutboxMemory struct{ Journals, Sessions int }

// Memory says what the outbox takes: the journals, all of their room, and what it keeps for
// sessions.
func (o *Outbox) Memory(r *Ruler) (m OutboxMemory) {
	for i := range o.journals {
		m.Journals += Slice(r, o.journals[i].ring)
	}
	m.Sessions = Slice(r, o.slots) + Slice(r, o.free) + Slice(r, o.soon.slots) +
		Slice(r, o.late.slots) + Slice(r, o.chunks.pages)
	for _, page := range o.chunks.pages {
		m.Sessions += Slice(r, page)
	}
	return m
}

// Memory says what the table takes.
func (m *Members) Memory(r *Ruler) int {
	return Slice(r, m.firsts) + Slice(r, m.pages) + r.Sum(len(m.pages), func(i int) int {
		p := m.pages[i]
		return r.Heap(sizeOf[memberPage]()) + Slice(r, p.rows) + Slice(r, p.timeouts) +
			Slice(r, p.ends) + r.Heap(len(p.extra))
	})
}

// Memory says what the sets take.
func (s *RoleSets) Memory(r *Ruler) int {
	sets := *s.sets.Load()
	keys := 0
	bytes := r.Sum(len(sets), func(i int) int {
		return Slice(r, sets[i]) + r.Heap(8*len(sets[i]))
	})
	if s.byKey != nil {
		keys = r.Map(len(s.byKey), sizeOf[string]()+sizeOf[uint32]())
	}
	return bytes + keys + Slice(r, sets) + Slice(r, s.scratch)
}

// Memory says what the roster takes, with all trees on it.
func (s *Roster) Memory(r *Ruler) int {
	return s.cells.memory(r) + s.leaves.memory(r) + s.inners.memory(r) +
		r.Map(len(s.byUser), sizeOf[uint64]()+sizeOf[Ref]())
}

func (s *slab[T]) memory(r *Ruler) int {
	return Slice(r, s.pages) + Slice(r, s.free) +
		r.Sum(len(s.pages), func(i int) int { return Slice(r, s.pages[i]) })
}

// Memory says what the table and the users in it take. Any goroutine may ask.
func (u *Users) Memory(r *Ruler) int {
	var sizes []int
	u.byID.Range(func(_ uint64, user *User) bool {
		if user != nil {
			sizes = append(sizes, userBytes(r, user))
		}
		return len(sizes) < r.Draw
	})
	n := u.Len()
	return r.Drawn(n, sizes) + ConcurrentBytes(r, n, sizeOf[uint64]()+8)
}

// What is known of the concurrent tables: a cache line for five entries, which are three quarters
// full at most when the table doubles, and an allocation for each entry.
const (
	concurrentBucketBytes   = 64
	concurrentBucketEntries = 5
	concurrentBucketsMin    = 32
)

// ConcurrentBytes is what a concurrent table of n entries takes, of slotBytes each.
func ConcurrentBytes(r *Ruler, n, slotBytes int) int {
	buckets := concurrentBucketsMin
	for 4*n > 3*concurrentBucketEntries*buckets {
		buckets *= 2
	}
	return r.Heap(buckets*concurrentBucketBytes) + n*r.Heap(slotBytes)
}

// sizeOf is the length of a T.
func sizeOf[T any]() int { return int(reflect.TypeFor[T]().Size()) }
