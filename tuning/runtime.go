package tuning

import (
	"math"
	"runtime/debug"
)

// Runtime is what the collector is told. Zero values mean "decide for me".
type Runtime struct {
	GCPercent   int   // GOGC; negative turns the collector off until MemoryLimit is near.
	MemoryLimit int64 // GOMEMLIMIT in bytes.
}

// goDefaultPercent is what the runtime uses when GOGC is not set.
const goDefaultPercent = 100

// Apply sets GOGC and GOMEMLIMIT for the process and returns what is in force; a MemoryLimit of
// zero in the answer means none. A figure given here wins over the environment's GOGC and
// GOMEMLIMIT, which win over what is decided here: GCPercent of this package, and
// MemoryLimitPercent of the control group's limit. The runtime has read the environment before
// main, so a value other than its default was put there by the operator.
func (r Runtime) Apply(q Quota) Runtime {
	previous := debug.SetGCPercent(goDefaultPercent)
	switch {
	case r.GCPercent != 0:
	case previous != goDefaultPercent:
		r.GCPercent = previous
	default:
		r.GCPercent = GCPercent
	}
	debug.SetGCPercent(r.GCPercent)

	inForce := debug.SetMemoryLimit(-1)
	switch {
	case r.MemoryLimit > 0:
	case inForce != math.MaxInt64:
		r.MemoryLimit = inForce
	case q.MemoryBytes > 0:
		r.MemoryLimit = q.MemoryBytes / 100 * MemoryLimitPercent
	default:
		return r
	}
	debug.SetMemoryLimit(r.MemoryLimit)
	return r
}
