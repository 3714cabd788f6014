package tuning

import (
	"math"
	"math/rand/v2"
	"runtime"
	"testing"
)

// TestEstimatesKeepTheirBounds draws from tables of different kinds, many times each: the truth is
// within the bound 19 times of 20, and the estimate is right on the average.
func TestEstimatesKeepTheirBounds(t *testing.T) {
	const n, looks, rounds = 20_000, 400, 400
	for name, size := range map[string]func(i int, rng *rand.Rand) int{
		"alike":     func(int, *rand.Rand) int { return 240 },
		"even":      func(_ int, rng *rand.Rand) int { return rng.IntN(1000) },
		"two kinds": func(_ int, rng *rand.Rand) int { return 200 + 3000*(rng.IntN(10)/9) },
		"ascending": func(i int, _ *rand.Rand) int { return i },
		"long tail": func(_ int, rng *rand.Rand) int { return int(100 * math.Exp(rng.NormFloat64())) },
	} {
		rng := rand.New(rand.NewPCG(1, 2))
		sizes := make([]int, n)
		truth := 0.0
		for i := range sizes {
			sizes[i] = size(i, rng)
			truth += float64(sizes[i])
		}
		within, sum := 0, 0.0
		for range rounds {
			e := Sum(n, looks, rng.IntN, func(i int) int { return sizes[i] })
			if e.Of != n || e.Looked != looks {
				t.Fatalf("%s: looked at %d of %d", name, e.Looked, e.Of)
			}
			if math.Abs(e.Sum-truth) <= e.Bound()+truth*1e-12 {
				within++
			}
			sum += e.Sum
		}
		// A sample's own spread is less than the truth where the tail is long, so 92 in place of 95.
		if within < rounds*92/100 {
			t.Errorf("%s: %d of %d are within their bound", name, within, rounds)
		}
		if mean := sum / rounds; math.Abs(mean-truth) > truth/100 {
			t.Errorf("%s: %.0f on the average, want %.0f", name, mean, truth)
		}
	}
}

func TestSmallTablesAreAddedUp(t *testing.T) {
	size := func(i int) int { return i }
	if e := Sum(100, 100, nil, size); e.Sum != 4950 || e.Bound() != 0 {
		t.Errorf("got %v ± %v", e.Sum, e.Bound())
	}
	both := Sum(0, 100, nil, size).Add(Sum(1000, 100, rand.IntN, size))
	if both.Of != 1000 || both.Looked != 100 || both.Bound() == 0 {
		t.Errorf("got %+v", both)
	}
	if e := Sampled(1000, []int{10, 10, 10, 10}); e.Sum != 10_000 || e.Bound() != 0 {
		t.Errorf("got %v ± %v", e.Sum, e.Bound())
	}
	if e := Sampled(0, nil); e.Sum != 0 || e.Bound() != 0 {
		t.Errorf("got %v ± %v", e.Sum, e.Bound())
	}
}

// inHeap is what make has left in the heap.
func inHeap(keep *any, make func() any) int {
	var before, after runtime.MemStats
	*keep = nil
	runtime.GC()
	runtime.ReadMemStats(&before)
	*keep = make()
	runtime.GC()
	runtime.ReadMemStats(&after)
	return int(after.HeapAlloc) - int(before.HeapAlloc)
}

// TestHeapSizes holds what is said to be in the heap against what is there.
func TestHeapSizes(t *testing.T) {
	const values = 4000
	var keep any
	for _, length := range []int{1, 24, 33, 100, 240, 500, 1100, 9000, 40_000} {
		got := inHeap(&keep, func() any {
			all := make([][]byte, values)
			for i := range all {
				all[i] = make([]byte, length)
			}
			return all
		})
		want := values*HeapBytes(length) + HeapBytes(values*24)
		if length < 16 {
			want = got // Tiny values share.
		}
		if math.Abs(float64(got-want)) > 0.02*float64(want)+20_000 {
			t.Errorf("%d bytes: %d take %d, want %d", length, values, got, want)
		}
	}
	for _, entries := range []int{5, 8, 9, 100, 890, 900, 5000, 30_000, 57_000, 100_000} {
		maps := max(1, 40_000/entries)
		got := inHeap(&keep, func() any {
			all := make([]map[uint64]uint64, maps)
			for i := range all {
				all[i] = map[uint64]uint64{}
				for k := range entries {
					all[i][uint64(k)] = 1
				}
			}
			return all
		})
		want := maps*MapBytes(entries, 16) + HeapBytes(maps*8)
		if math.Abs(float64(got-want)) > 0.08*float64(want)+20_000 {
			t.Errorf("maps of %d: %d take %d, want %d", entries, maps, got, want)
		}
	}
	runtime.KeepAlive(keep)
}
