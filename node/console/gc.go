package console

import (
	"math"
	"runtime/metrics"

	"throng/tuning"
)

// GC is how the collector does.
type GC struct {
	CPU     float64 `json:"cpu"`     // Its share of the processors, in the window.
	Cycles  uint64  `json:"cycles"`  // Since the start.
	Pause   float64 `json:"pause"`   // The longest in the window, in seconds; its bucket's end.
	Heap    uint64  `json:"heap"`    // Bytes of objects, garbage or not.
	Marked  uint64  `json:"marked"`  // What the last collection found alive.
	Goal    uint64  `json:"goal"`    // When the next one begins.
	Limit   uint64  `json:"limit"`   // GOMEMLIMIT in force, which the node moves; 0: none.
	Total   uint64  `json:"total"`   // Bytes that the runtime has of the system.
	Threads uint64  `json:"threads"` // Goroutines.
}

// The runtime's figures, by their places in gcReader.samples.
const (
	gcCPU = iota
	gcCPUAll
	gcCycles
	gcPauses
	gcHeap
	gcMarked
	gcGoal
	gcTotal
	gcReleased
	gcLimit
	gcThreads
	gcSamples
)

var gcNames = [gcSamples]string{
	gcCPU: "/cpu/classes/gc/total:cpu-seconds", gcCPUAll: "/cpu/classes/total:cpu-seconds",
	gcCycles: "/gc/cycles/total:gc-cycles", gcPauses: "/sched/pauses/total/gc:seconds",
	gcHeap: "/memory/classes/heap/objects:bytes", gcMarked: "/gc/heap/live:bytes",
	gcGoal: "/gc/heap/goal:bytes", gcTotal: "/memory/classes/total:bytes",
	gcReleased: "/memory/classes/heap/released:bytes", gcLimit: "/gc/gomemlimit:bytes",
	gcThreads: "/sched/goroutines:goroutines",
}

// gcReader reads what the runtime says of itself.
//
// Owned by the goroutine that gathers.
type gcReader struct {
	samples []metrics.Sample
	window  []gcMoment // The newest last.
}

// gcMoment is the figures of one look that grow. The runtime brings times up to date when a
// collection ends, so between two looks often nothing has passed.
type gcMoment struct {
	collector, all float64
	pauses         []uint64
}

func (r *gcReader) read() GC {
	if r.samples == nil {
		r.samples = make([]metrics.Sample, gcSamples)
		for i, name := range gcNames {
			r.samples[i].Name = name
		}
	}
	metrics.Read(r.samples)
	s := r.samples
	number := func(i int) uint64 {
		if s[i].Value.Kind() != metrics.KindUint64 {
			return 0
		}
		return s[i].Value.Uint64()
	}
	g := GC{Cycles: number(gcCycles), Heap: number(gcHeap), Marked: number(gcMarked),
		Goal: number(gcGoal), Total: number(gcTotal) - number(gcReleased),
		Threads: number(gcThreads), Limit: number(gcLimit)}
	if g.Limit >= math.MaxInt64 {
		g.Limit = 0
	}
	if s[gcCPU].Value.Kind() != metrics.KindFloat64 ||
		s[gcPauses].Value.Kind() != metrics.KindFloat64Histogram {
		return g
	}
	pauses := s[gcPauses].Value.Float64Histogram()
	now := gcMoment{s[gcCPU].Value.Float64(), s[gcCPUAll].Value.Float64(),
		append([]uint64(nil), pauses.Counts...)}
	r.window = append(r.window, now)
	r.window = r.window[max(0, len(r.window)-tuning.ConsoleWindow-1):]
	first := r.window[0]
	if all := now.all - first.all; all > 0 {
		g.CPU = (now.collector - first.collector) / all
	}
	for i, n := range now.pauses {
		if n > first.pauses[i] {
			g.Pause = pauses.Buckets[i]
			if end := pauses.Buckets[i+1]; !math.IsInf(end, 1) {
				g.Pause = end
			}
		}
	}
	return g
}
