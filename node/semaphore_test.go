package node

import (
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
)

// mustAcquire takes n permits.
func mustAcquire(t *testing.T, s *semaphore, now int64, n int) (all []permit) {
	t.Helper()
	for i := range n {
		p, ok := s.acquire(now)
		if !ok {
			t.Fatalf("permit %d of %d was refused, %d are held", i+1, n, s.holders())
		}
		all = append(all, p)
	}
	return all
}

func wantRefused(t *testing.T, s *semaphore, now int64) {
	t.Helper()
	if _, ok := s.acquire(now); ok {
		t.Fatalf("a permit was given, %d are held of %d", s.holders(), s.limit.Load())
	}
}

func TestSemaphoreRefuses(t *testing.T) {
	s := newSemaphore(3, 10, 1000)
	all := mustAcquire(t, s, 1, 3)
	wantRefused(t, s, 1)
	for _, p := range all {
		if !s.release(p) {
			t.Error("a permit could not be given back")
		}
	}
	mustAcquire(t, s, 1, 3)
	if s.holders() != 3 || s.refused.Load() != 1 {
		t.Errorf("%d hold it and %d were refused", s.holders(), s.refused.Load())
	}
	s.setLimit(0)
	wantRefused(t, s, 1)
	wantRefused(t, newSemaphore(0, 0, 1000), 1)
}

// TestSemaphoreLimitMoves lowers the limit below what is held: nobody gets in, and the count stays
// what it is, until enough have left.
func TestSemaphoreLimitMoves(t *testing.T) {
	s := newSemaphore(5, 8, 1000)
	all := mustAcquire(t, s, 1, 5)
	s.setLimit(2)
	for i, p := range all {
		wantRefused(t, s, 1)
		if got, want := s.holders(), int64(5-i); got != want {
			t.Fatalf("%d hold it, want %d", got, want)
		}
		s.release(p)
		if s.holders() == 1 {
			break
		}
	}
	mustAcquire(t, s, 1, 1)
	wantRefused(t, s, 1)
	s.setLimit(4)
	mustAcquire(t, s, 1, 2)
	wantRefused(t, s, 1)
	s.setLimit(100) // There are no more slots than 8.
	mustAcquire(t, s, 1, 4)
	wantRefused(t, s, 1)
	s.setLimit(-1)
	wantRefused(t, s, 1)
}

// TestSemaphoreReleasesOnce: who gives a permit back twice, or has none, takes none from others.
func TestSemaphoreReleasesOnce(t *testing.T) {
	s := newSemaphore(2, 2, 1000)
	first := mustAcquire(t, s, 1, 1)[0]
	if s.release(permit{}) {
		t.Error("a permit that nobody has was given back")
	}
	if !s.release(first) || s.release(first) {
		t.Error("want the first release to count, and the second not")
	}
	if s.holders() != 0 {
		t.Errorf("%d hold it", s.holders())
	}
	others := mustAcquire(t, s, 1, 2) // One of them has the slot of the first.
	if s.release(first) {
		t.Error("the permit of somebody else was given back")
	}
	wantRefused(t, s, 1)
	if !s.release(others[0]) || !s.release(others[1]) {
		t.Error("the others have lost theirs")
	}
}

// TestSemaphoreSweepsTheLost has holders that never come back, and one that comes back too late.
func TestSemaphoreSweepsTheLost(t *testing.T) {
	const hold = 1000
	s := newSemaphore(3, 3, hold)
	lost := mustAcquire(t, s, 1, 2)
	late := mustAcquire(t, s, 600, 1)[0]
	if n := s.sweep(hold); n != 0 {
		t.Fatalf("%d were taken back before their time", n)
	}
	wantRefused(t, s, hold)
	if n := s.sweep(hold + 1); n != 0 {
		t.Fatalf("it looked again, too soon, and took back %d", n)
	}
	if n := s.sweep(hold + hold/4); n != 2 {
		t.Fatalf("%d were taken back, want the two that are lost", n)
	}
	again := mustAcquire(t, s, 1300, 2)
	wantRefused(t, s, 1300)
	for _, p := range lost {
		if s.release(p) {
			t.Error("one that was lost took another's")
		}
	}
	wantRefused(t, s, 1300)
	if n := s.sweep(1700); n != 1 || s.release(late) {
		t.Errorf("%d were taken back, want the late one", n)
	}
	if s.lost.Load() != 3 || s.holders() != 2 {
		t.Errorf("%d were lost and %d hold it", s.lost.Load(), s.holders())
	}
	for _, p := range again {
		if !s.release(p) {
			t.Error("one in time could not give its permit back")
		}
	}
}

// TestSemaphoreHoldsTheLimit has many take and give, some twice, while the limit moves and lost
// ones are swept, and holds that no more are inside than the largest limit, and none in the end.
func TestSemaphoreHoldsTheLimit(t *testing.T) {
	const goroutines, rounds, most = 8, 3000, 4
	s := newSemaphore(most, most, 10)
	var clock, inside, worst atomic.Int64
	var all sync.WaitGroup
	for g := range goroutines {
		all.Go(func() {
			r := rand.New(rand.NewPCG(uint64(g), 1))
			for range rounds {
				p, ok := s.acquire(math.MaxInt64 / 2)
				if !ok {
					continue
				}
				n := inside.Add(1)
				if old := worst.Load(); n > old {
					worst.CompareAndSwap(old, n)
				}
				if r.IntN(10) == 0 {
					// The next one is never given back; it may be swept at once.
					_, _ = s.acquire(clock.Load() - 1000)
				}
				inside.Add(-1)
				if !s.release(p) {
					t.Error("a permit was lost before its time")
				}
				s.release(p)
			}
		})
	}
	var moving sync.WaitGroup
	var stop atomic.Bool
	moving.Go(func() {
		for i := int64(0); !stop.Load(); i++ {
			s.setLimit(int(1 + i%most))
			s.sweep(clock.Add(10))
		}
	})
	all.Wait()
	stop.Store(true)
	moving.Wait()
	if worst.Load() > most {
		t.Errorf("%d were inside, want %d at most", worst.Load(), most)
	}
	s.sweep(clock.Add(10_000_000))
	if s.holders() != 0 {
		t.Errorf("%d hold it in the end", s.holders())
	}
	s.setLimit(most)
	mustAcquire(t, s, 1, most)
	wantRefused(t, s, 1)
}

func TestSemaphoreDoesNotAllocate(t *testing.T) {
	s := newSemaphore(1, 1, 1000)
	allocs := testing.AllocsPerRun(1000, func() {
		p, _ := s.acquire(1)
		_, _ = s.acquire(1)
		s.release(p)
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

// BenchmarkSemaphore is one permit and its return, by one processor and by all at once, and what a
// refusal costs, which is what a stampede mostly gets.
func BenchmarkSemaphore(b *testing.B) {
	b.Run("alone", func(b *testing.B) {
		s := newSemaphore(1000, 1000, 1000)
		b.ReportAllocs()
		for b.Loop() {
			p, _ := s.acquire(1)
			s.release(p)
		}
	})
	b.Run("together", func(b *testing.B) {
		s := newSemaphore(1000, 1000, 1000)
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				p, _ := s.acquire(1)
				s.release(p)
			}
		})
	})
	b.Run("refused", func(b *testing.B) {
		s := newSemaphore(0, 1000, 1000)
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				s.acquire(1)
			}
		})
	})
}
