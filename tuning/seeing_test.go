package tuning

import (
	"math"
	"testing"
)

// TestTraceShare: all of one receiver, a tenth of 100, a thousandth from 10,000 on; it falls
// steadily between.
func TestTraceShare(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		receivers int
		share     float64
	}{{0, 1}, {1, 1}, {100, 0.1}, {10_000, 0.001}, {1_000_000, 0.001}} {
		if got := TraceShare(c.receivers); math.Abs(got-c.share) > 1e-12 {
			t.Errorf("of %d receivers %v, want %v", c.receivers, got, c.share)
		}
	}
	for n := 2; n <= 10_000; n++ {
		if was, now := TraceShare(n-1), TraceShare(n); now >= was {
			t.Fatalf("of %d receivers %v, and of %d %v", n-1, was, n, now)
		}
	}
}
