package tuning

import (
	"math"
	"runtime/debug"
	"testing"
)

func TestApply(t *testing.T) {
	percent, limit := debug.SetGCPercent(100), debug.SetMemoryLimit(-1)
	t.Cleanup(func() {
		debug.SetGCPercent(percent)
		debug.SetMemoryLimit(limit)
	})
	const gib = 1 << 30
	for _, c := range []struct {
		name        string
		environment Runtime // What GOGC and GOMEMLIMIT left behind.
		flags       Runtime
		quota       Quota
		want        Runtime
	}{
		{"nothing known", Runtime{100, 0}, Runtime{}, Quota{}, Runtime{GCPercent, 0}},
		{"a control group", Runtime{100, 0}, Runtime{}, Quota{MemoryBytes: 100 * gib},
			Runtime{GCPercent, 90 * gib}},
		{"the environment over the group", Runtime{50, 3 * gib}, Runtime{},
			Quota{MemoryBytes: 100 * gib}, Runtime{50, 3 * gib}},
		{"flags over all", Runtime{50, 3 * gib}, Runtime{200, 5 * gib},
			Quota{MemoryBytes: 100 * gib}, Runtime{200, 5 * gib}},
		{"collector off", Runtime{100, 0}, Runtime{-1, gib}, Quota{}, Runtime{-1, gib}},
	} {
		t.Run(c.name, func(t *testing.T) {
			debug.SetGCPercent(c.environment.GCPercent)
			debug.SetMemoryLimit(math.MaxInt64)
			if c.environment.MemoryLimit > 0 {
				debug.SetMemoryLimit(c.environment.MemoryLimit)
			}
			if got := c.flags.Apply(c.quota); got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
			if got := debug.SetGCPercent(100); got != c.want.GCPercent {
				t.Errorf("GOGC in force is %d, want %d", got, c.want.GCPercent)
			}
			want := c.want.MemoryLimit
			if want == 0 {
				want = math.MaxInt64
			}
			if got := debug.SetMemoryLimit(-1); got != want {
				t.Errorf("GOMEMLIMIT in force is %d, want %d", got, want)
			}
		})
	}
}
