package tuning

import "time"

// Many nodes: guilds that move while they serve (node/handoff.go). No client meets these bounds.
const (
	// HandoffsMax guilds of a shard are on their way to other nodes at a time, and HandoffClaimsMax
	// with those that somebody there waits for. One that is carried takes a processor here and one
	// there for as long as it is, half a second for the largest.
	HandoffsMax      = 4
	HandoffClaimsMax = 64

	// HandoffTriesMax is how often it is tried before the guild is given up instead.
	HandoffTriesMax = 3

	// HandoffLooks users are looked at in one step, and HandoffPartBytes are carried, 0.3 ms.
	// HandoffPartsMax parts are on their way: at 1 ms there and back, 500 MB/s.
	HandoffLooks     = 500
	HandoffPartBytes = 64 << 10
	HandoffPartsMax  = 8

	// HandoffLastMax users who have changed since they were carried go while the guild stands
	// still, 2 µs each.
	HandoffLastMax = 500

	// HandoffTimeout: a guild of a million members is read in two seconds. After
	// HandoffQuietTimeout a guild that is never without a write on its way to the log is parked
	// until there is none.
	HandoffTimeout      = 15 * time.Second
	HandoffQuietTimeout = 5 * time.Second

	// HandoffAheadMax steps of a guild's next owner wait for the last word of the one before.
	HandoffAheadMax = 10_000
)

// See there: it can be parked before it has failed.
const _ = uint64(HandoffTimeout - 2*HandoffQuietTimeout)
