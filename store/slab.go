package store

// slab is a store of values that are named by number, in pages, so that growing copies at most one
// page. Number 0 is nobody's. A T without pointers costs the collector nothing.
//
// The first page begins with room for one value and doubles: most guilds have a handful of members.
type slab[T any] struct {
	pages [][]T
	free  []uint32
	next  uint32 // The number after the last one ever handed out.
}

const (
	slabPageBits  = 5
	slabPageCount = 1 << slabPageBits
)

// at returns the value of that number. It is valid until the next take.
func (s *slab[T]) at(n uint32) *T {
	return &s.pages[n>>slabPageBits][n&(slabPageCount-1)]
}

// take hands out a number whose value is zero.
func (s *slab[T]) take() uint32 {
	var zero T
	if last := len(s.free) - 1; last >= 0 {
		n := s.free[last]
		s.free = s.free[:last]
		*s.at(n) = zero
		return n
	}
	if s.next == 0 {
		s.pages = append(s.pages, append(make([]T, 0, 2), zero))
		s.next = 1
	}
	n := s.next
	s.next++
	if n&(slabPageCount-1) == 0 {
		s.pages = append(s.pages, make([]T, 0, slabPageCount))
	}
	last := &s.pages[n>>slabPageBits]
	*last = append(*last, zero)
	return n
}

// put gives a number back.
func (s *slab[T]) put(n uint32) { s.free = append(s.free, n) }

// used returns how many numbers are handed out.
func (s *slab[T]) used() int { return max(int(s.next)-1, 0) - len(s.free) }
