package tuning

import "time"

// Voice signalling.
const (
	// VoiceServersMax media servers are in the node's table. To choose one looks at all of them,
	// 10 ns each, for each voice channel that comes into use.
	VoiceServersMax = 1024

	// VoiceMovesPerSecond users of a lost media server are sent to another one. All of them come to
	// it at once otherwise, and a media server takes a thousand or so a second: ten thousand users
	// are moved in two seconds, to two servers or more.
	VoiceMovesPerSecond = 5000

	// VoiceMoveBatchMax users of one channel are told in one go: at 10 µs each, for a token and two
	// dispatches, that is less than a millisecond of the shard.
	VoiceMoveBatchMax = 64

	// VoiceReportTimeout is how long a media server that reports may be silent, unless it says so
	// itself: a few reports may be lost.
	VoiceReportTimeout = 30 * time.Second
)

// A batch of errands has room for one of voice.
const _ = uint(ErrandBatchMax - VoiceMoveBatchMax)
