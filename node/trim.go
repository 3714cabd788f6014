package node

import (
	"runtime/debug"
	"runtime/metrics"
	"time"

	"throng/tuning"
)

// Giving memory back.
//
// The collector lets the heap grow to twice what is alive before it looks again (-gc-percent), and
// keeps for the next time what it freed. After a storm of a million handshakes that is a gigabyte
// which a quiet node does not need, and which no budget per session accounts for. A smaller
// -gc-percent would halve it, and be paid for in collections on every busy day.
//
// So a node that has gone quiet, which is to say that no collection was called for in a whole
// interval, and that holds a good deal more than what was alive at the last one, collects once and
// gives back the rest. It costs the mark that the runtime makes of an idle heap anyway, every two
// minutes, and is not repeated: afterwards there is nothing to give back.

// heapFigures are what the decision is made of.
type heapFigures struct {
	cycles uint64 // collections since the start
	alive  uint64 // bytes alive at the end of the last
	held   uint64 // bytes of the heap that the system counts as ours
}

// overdue says whether a node with these figures, an interval after before, should give back.
func (h heapFigures) overdue(before heapFigures) bool {
	enough := h.alive + h.alive/tuning.TrimShare + tuning.TrimBytesMin
	return h.cycles == before.cycles && h.held > enough
}

func readHeap() heapFigures {
	samples := []metrics.Sample{
		{Name: "/gc/cycles/total:gc-cycles"},
		{Name: "/gc/heap/live:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
	}
	metrics.Read(samples)
	value := func(i int) uint64 { return samples[i].Value.Uint64() }
	return heapFigures{cycles: value(0), alive: value(1), held: value(2) + value(3) + value(4)}
}

// trim gives memory back whenever the node has gone quiet, until stop is closed.
func trim(stop <-chan struct{}) {
	t := time.NewTicker(tuning.TrimInterval)
	defer t.Stop()
	before := readHeap()
	for {
		select {
		case <-stop:
			return
		case <-t.C:
		}
		now := readHeap()
		if now.overdue(before) {
			debug.FreeOSMemory()
			now = readHeap()
		}
		before = now
	}
}
