package server

import (
	"strconv"
	"strings"
	"time"
)

// Collection is one run of Go's garbage collector, from the line that GODEBUG=gctrace=1 writes:
//
//	gc 7 @12.5s 1%: 0.02+31+0.01 ms clock, 0.04+0.5/30/60+0.02 ms cpu, 70->72->35 MB, … (forced)
//
// The first and the last of each three are stops of the world, the middle is concurrent.
type Collection struct {
	At      time.Duration // Since the process began.
	Pause   time.Duration // The longer of its two stops of the world.
	Mark    time.Duration // Concurrent marking, by the clock.
	MarkCPU time.Duration // Assists, dedicated and idle marking, processor time.
	LiveMB  float64
	Forced  bool // Nothing was collected for two minutes, or somebody asked for it.
}

// forcedLine is written before a collection for which two minutes without one are the reason.
const forcedLine = "GC forced"

// parseCollection reads a line of the trace. The runtime writes it in pieces, so that a line of
// the log can come between the first of them, "gc ", and the rest.
func parseCollection(line string) (c Collection, ok bool) {
	rest := strings.TrimPrefix(line, "gc ")
	number, _, found := strings.Cut(rest, " @")
	if _, err := strconv.Atoi(number); err != nil || !found {
		return c, false
	}
	c.Forced = strings.HasSuffix(line, "(forced)")
	_, rest, _ = strings.Cut(rest, "@")
	at, rest, _ := strings.Cut(rest, "s ")
	_, rest, _ = strings.Cut(rest, ": ")
	clock, rest, _ := strings.Cut(rest, " ms clock, ")
	cpu, rest, _ := strings.Cut(rest, " ms cpu, ")
	heap, _, found := strings.Cut(rest, " MB")
	clocks, cpus := strings.Split(clock, "+"), strings.Split(cpu, "+")
	if !found || len(clocks) != 3 || len(cpus) != 3 {
		return c, false
	}
	c.At = millis(at) * 1000
	c.Pause = max(millis(clocks[0]), millis(clocks[2]))
	c.Mark = millis(clocks[1])
	for part := range strings.SplitSeq(cpus[1], "/") {
		c.MarkCPU += millis(part)
	}
	c.LiveMB, _ = strconv.ParseFloat(heap[strings.LastIndex(heap, ">")+1:], 64)
	return c, true
}

func millis(text string) time.Duration {
	v, _ := strconv.ParseFloat(text, 64)
	return time.Duration(v * float64(time.Millisecond))
}
