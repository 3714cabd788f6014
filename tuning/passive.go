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

// Presences, which are not told as they change but a few at a time.
const (
	// PresencePeriod is how long after a change others are told of it. Half of what people notice,
	// and long enough for a client's lost connection and its next one to be one change.
	PresencePeriod = 50 * time.Millisecond

	// PresencePeriodMax is the same when there is much to tell, or when the guild's loops have not
	// handed out yet what went before. At 15,000 deliveries in one go, presences never take more
	// than a tenth of one processor from messages.
	PresencePeriodMax = 250 * time.Millisecond

	// PresencesTold users are told of at once at most: 2 ms of the shard, and a sixteenth of what
	// may be pending for a session.
	PresencesTold = 250

	// MemberListSlice is how long a shard is at the member lists of a guild before others have
	// their turn: by estimate, which a busy machine may exceed by three times, and no turn is to
	// take 5 ms.
	MemberListSlice = time.Millisecond
)
