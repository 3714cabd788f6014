package tuning

import "time"

// Sessions that do not listen to a large guild.
const (
	// PassiveMembersMin is the size of a guild from which a user's session hears of it only what it
	// cannot do without, until it says that it looks at it; the protocol's own figure. Below it a
	// session listens by itself.
	PassiveMembersMin = 75_000

	// PassivePeriod is the time between two summaries to such sessions. It is what one of the open
	// servers has; the protocol does not say. 16,000 sessions of a guild are 533 frames a second.
	PassivePeriod = 30 * time.Second
)
