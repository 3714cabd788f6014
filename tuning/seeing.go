package tuning

import (
	"math"
	"time"
)

// What a node keeps and does so that an operator can see inside.
const (
	// StallLimit is the default of -stall-limit: an owner that is at one message for longer is
	// written down. Sockets and guilds wait for it meanwhile; 50 ms is what a person begins to
	// notice, and five of the slices in which Go divides a processor that is short.
	StallLimit = 50 * time.Millisecond

	// StallLimitMin is below what a stack can be taken at in time.
	StallLimitMin = time.Millisecond

	// StallsKept of the newest are kept, of about 2 KB each with their stacks.
	StallsKept = 64

	// StallStackBytesMax is 60 frames.
	StallStackBytesMax = 8 << 10

	// StallLogInterval is the least time between two lines in the log about stalls: on a machine
	// that is short of processors there may be hundreds a second.
	StallLogInterval = 10 * time.Second

	// StallStuck is when an owner that is still at its message is written down nevertheless, in
	// times of -stall-limit: it may never come to its end.
	StallStuck = 20

	// WatchIntervalMin and WatchIntervalMax are how often the watchdog looks, a quarter of
	// -stall-limit in between. A look is two loads for each owner.
	WatchIntervalMin = time.Millisecond
	WatchIntervalMax = 250 * time.Millisecond

	// AsideTimeout is how long who asks an owner for its figures waits for it; then the figures
	// are those that it gave the last time, and say how old they are. A busy owner answers between
	// two messages, and one that does not is what is being looked for.
	AsideTimeout = time.Second
)

// The flight recorder.
const (
	// FlightBytes is the default of -flight: off, until somebody looks for something. On, with 8M,
	// it costs a delivery nothing that can be told from noise (bench/seeing, 0.99 and 1.07 times),
	// since loops hardly switch between goroutines; but a publish by HTTP to ten sessions, which
	// wakes half a dozen, goes from 376 to 464 µs of processor time, medians of four.
	FlightBytes = 0

	// FlightAge is how far back a recording goes at least, if -flight is enough for that: a stall
	// and what led to it.
	FlightAge = 2 * time.Second

	// FlightsKept recordings are kept, of up to FlightBytesMax; the window of -flight is a hint to
	// the runtime, and what it gives may be larger.
	FlightsKept    = 4
	FlightBytesMax = 64 << 20

	// FlightInterval is the least time between two recordings because of a stall.
	FlightInterval = 30 * time.Second
)

// What GET /v1/memory costs.
const (
	// MemoryLooks elements of each table are looked at, of a microsecond at worst, which is 1 ms of
	// the owner; a table in which one element in ten is ten times as large as the others is then
	// known to 9 %.
	MemoryLooks = 1000

	// MemorySlice is how long a shard goes through its guilds before others have their turn. To
	// look at one costs 0.1 µs, and up to 20 µs where it is drawn.
	MemorySlice = time.Millisecond

	// MemoryTimeout is how long a shard goes through its guilds in all. What it has not come to by
	// then it takes to be like what it has.
	MemoryTimeout = 30 * time.Millisecond

	// LargeGuild members and sessions, and a guild is looked at whoever is drawn: it is as large
	// as a thousand others.
	LargeGuild = 10_000
)

// Tracing.
const (
	// TraceSpansMax wait to be sent, of about 1 KB each; what comes when there are so many is
	// dropped. TraceInterval is how often they are, and TraceTimeout how long that may take.
	TraceSpansMax = 4096
	TraceInterval = time.Second
	TraceTimeout  = 2 * time.Second

	// TraceWritesMax receivers of traced events are followed to their sockets at a time, by each
	// loop. Of one event it is ten on the average, or a thousandth of a guild above 10,000.
	TraceWritesMax = 1024

	// TraceEventsMax traced events are under way on a loop at a time; then the spans of all of them
	// end, of whom some have lost their receivers.
	TraceEventsMax = 256
)

// TraceShare is which part of a traced event's receivers get a span of their own: all of one, a
// tenth of 100 and a thousandth from 10,000 on, on straight lines between when both are logarithms.
// A trace of an event to a million is then as large as one to 100,000.
func TraceShare(receivers int) float64 {
	const few, many = 100, 10_000
	n := float64(min(receivers, many))
	switch {
	case n <= 1:
		return 1
	case n <= few:
		return 1 / math.Sqrt(n)
	}
	return 0.1 * few / n
}
