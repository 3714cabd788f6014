package replica

import (
	"time"

	"throng/tuning"
)

// limits are fields and not constants so that tests may have small ones.
type limits struct {
	pageMembersMax, pageBytesMax    int
	partBytesMax, messageBytesMax   int
	chunkOpsMax, chunkBytesMax      int
	batchMessagesMax, batchBytesMax int
	groupBytesMax, queueBytesMax    int
	triesMax                        int
	applyTimeout, syncTimeout       time.Duration
	retryPause                      time.Duration
}

var defaultLimits = limits{
	pageMembersMax:   tuning.ReplicaPageMembersMax,
	pageBytesMax:     tuning.ReplicaPageBytesMax,
	partBytesMax:     tuning.LogMessageBytesMax - documentHeadBytesMax,
	messageBytesMax:  tuning.LogMessageBytesMax,
	chunkOpsMax:      tuning.ReplicaChunkOpsMax,
	chunkBytesMax:    tuning.ReplicaChunkBytesMax,
	batchMessagesMax: tuning.LogBatchWritesMax,
	batchBytesMax:    tuning.LogBatchBytesMax,
	groupBytesMax:    tuning.ReplicaGroupBytesMax,
	queueBytesMax:    tuning.ReplicaQueueBytesMax,
	triesMax:         tuning.ReplicaTriesMax,
	applyTimeout:     tuning.ReplicaWriteTimeout,
	syncTimeout:      tuning.ReplicaWriteTimeout,
	retryPause:       tuning.ReplicaRetryPause,
}

// documentPartsMax is more than the largest document has.
const documentPartsMax = 64
