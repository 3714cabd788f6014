package tuning

import "time"

// Notices for members who are away (node/push). No client meets these bounds, and
// throng_push_drops_total tells the operator when one is met.
const (
	// PushQueueMax pushes wait for a sink: four seconds of a million a minute, which outlasts the
	// pauses of a healthy sink. At 32 bytes each, some 60 for the place in the index and at worst
	// 1 KB for a message of its own, a full queue is 72 MB; usually it is a tenth of that.
	PushQueueMax = 65_536

	// PushLookMax waiting pushes are looked at under one lock. After a stall all of them are too
	// old, and to throw 65,536 away at 100 ns each would keep a guild waiting for 7 ms.
	PushLookMax = 256

	// PushAgeMax is how old a push may be when it leaves. A notice that comes two minutes late is
	// noise, and after a stall it stands in the way of those that are not.
	PushAgeMax = 2 * time.Minute

	// PushInFlightMax pushes are out on one connection without an answer: the credits it has. It
	// is the bound that services for phones have set their senders.
	PushInFlightMax = 100

	// PushConnectionsMax connections to a sink. With 100 on each, a million a minute needs an
	// answer within 24 ms.
	PushConnectionsMax = 4

	// PushTriesMax times a push is tried, PushTryTimeout each, and PushTryGrace longer when the
	// sink's client does not obey: a credit is back after 30 s of tries and 7.5 s of pauses at the
	// latest.
	PushTriesMax   = 5
	PushTryTimeout = 5 * time.Second
	PushTryGrace   = time.Second

	// PushRetryPause is the most that is waited before the second try; it doubles with each further
	// one up to PushRetryPauseMax. The wait is a random part of it, so that those who failed
	// together do not come back together.
	PushRetryPause    = 500 * time.Millisecond
	PushRetryPauseMax = 5 * time.Second

	// PushAskedPauseMax bounds the pause that a sink may ask for with Retry-After.
	PushAskedPauseMax = time.Minute

	// PushDrainTimeout is how long the end of a node waits for the sink to take what is left.
	PushDrainTimeout = 5 * time.Second

	// PushAnswerBytesMax of a sink's answer are read, which keeps the connection usable.
	PushAnswerBytesMax = 16 << 10
)

// See there: a sink is not waited for by a guild, tries and pauses do not age a push by themselves,
// and the end of a push is within the end of the node.
const (
	_ = uint(PushQueueMax - PushConnectionsMax*PushInFlightMax)
	_ = uint64(PushAgeMax - PushTriesMax*(PushTryTimeout+PushTryGrace))
	_ = uint64(PushAgeMax - PushAskedPauseMax)
	_ = uint64(PushRetryPauseMax - PushRetryPause)
	_ = uint64(DrainHard - PushDrainTimeout - PushTryGrace)
)
