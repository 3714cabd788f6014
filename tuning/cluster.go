package tuning

import "time"

// Many nodes: membership (node/cluster, etcd). No client meets these bounds.
const (
	// LeaseTTL is how long the others wait for a node that says nothing. etcd looks for leases
	// that are over every 500 ms, a watch tells it in some milliseconds, and 3 s must be enough
	// for a guild to serve elsewhere. It is also the least that etcd grants by its own defaults.
	LeaseTTL = 2 * time.Second

	// LeaseRenewals a lease are begun, every 400 ms. Each may take a LeaseTries-th of it, 500 ms:
	// when one member of etcd does not answer, three more tries, at others, fit.
	LeaseRenewals = 5
	LeaseTries    = 4

	// LeaseMarginShare is the part of a lease, 200 ms, by which this node's deadline is before that
	// of the server.
	LeaseMarginShare = 10

	// EtcdTimeout bounds a call of etcd. An election takes one to two seconds.
	EtcdTimeout = 3 * time.Second

	// EtcdRetryPause is waited before a call that has failed is made again.
	EtcdRetryPause = 100 * time.Millisecond

	// EtcdPingInterval is the shortest that gRPC allows.
	EtcdPingInterval = 10 * time.Second

	// WatchAskInterval is how often a watch is asked how far it is, and WatchSilenceMax how long it
	// may say nothing: then what a dead member of etcd did not tell is read from another.
	WatchAskInterval = 500 * time.Millisecond
	WatchSilenceMax  = 1200 * time.Millisecond

	// NodeNameBytesMax is half of what a label-and-domain host name has at most.
	NodeNameBytesMax = 128

	// PinsMax guilds have a node of their own: those few that are too large for a share. All nodes
	// read all of them, with the nodes in one answer of some 500 KB.
	PinsMax = 10_000

	// SharedConfigBytesMax is far below what etcd takes in one value (1.5 MiB).
	SharedConfigBytesMax = 64 << 10
)

// See there: a renewal that fails leaves time for others, and the margin for none is short.
const (
	_ = uint(LeaseRenewals - LeaseTries)
	_ = uint(LeaseMarginShare - LeaseRenewals)
	_ = uint64(WatchSilenceMax - 2*WatchAskInterval)
)

// SweepLooksMax receivers, or guilds, are looked at by a shard in one go when a node comes or goes,
// 20 ns each: other guilds wait no longer than for a turn of a huge one.
const SweepLooksMax = 20_000

// RelinksMax links are begun anew by a shard in ShardTickInterval when the owner of their guilds is
// lost: 500 a second. Each takes 90 µs of the node's processors, to claim the guild, to read it and
// to tell sessions of it: all of that is a twentieth of the shard's own. Guilds in which something
// happens do not wait for it, and fewer of them make nobody's events faster: with 320 p99 of other
// guilds is the same (bench/cluster).
const RelinksMax = 25

// HandoutsMax events that a node has handed out to its sessions, and the guild's owner is told so
// at once. Of fewer it is told within ShardTickInterval: a guild where little happens does not make
// two messages out of one. It is a share of GuildEventsMax, so that a publisher does not wait for
// what has long been done.
const HandoutsMax = GuildEventsMax / 8

// UserEventsTimeout is how long who publishes to a user waits for the answers of all nodes. One
// that is lost answers nothing until the others know of it.
const UserEventsTimeout = time.Second

// What a session asks of a guild's members, on another node.
const (
	// ChunksAskedMax chunks are asked for at a time by one loop, whatever the number of lists that
	// its sessions want: with 64 loops of some 400 KB each that is what may wait for a peer.
	ChunksAskedMax = 2

	// ChunkAnswerTimeout is when a chunk is asked for again. That a node is lost, or the guild has
	// moved, is known far sooner; this is for an answer that nothing is known of.
	ChunkAnswerTimeout = 30 * time.Second

	// ChunkRetryPause is waited when the other node has too much to do.
	ChunkRetryPause = time.Second
)

// Many nodes: what flows between them (node/cluster, NATS).
const (
	// NATSTimeout bounds one attempt to connect, and one write to a server that does not read.
	NATSTimeout = 2 * time.Second

	// NATSRetryPause is waited before the next attempt, and up to as long again by chance.
	NATSRetryPause = 100 * time.Millisecond

	// NATSPingInterval and NATSPingsMax: a server that is gone without a word is noticed within
	// three seconds, and its clients go to another one.
	NATSPingInterval = time.Second
	NATSPingsMax     = 2

	// BusBatchBytesMax is half of what a message of NATS may have unless it is configured.
	BusBatchBytesMax = 512 << 10

	// BusItemBytesMax is a guild's document, in twice its size as sessions get it.
	BusItemBytesMax = 2 * GuildBodyBytesMax

	// BusOutboxBytesMax wait for one peer: a second at what a network of 1 Gbit/s carries to two
	// peers, or 10,000 events a second of 500 bytes for as long as a server of NATS needs to start
	// again, twice.
	BusOutboxBytesMax = 64 << 20

	// BusPendingBytesMax of what came may wait to be handed to shards. Beyond it NATS's client
	// drops, which is noticed as a gap.
	BusPendingBytesMax = 64 << 20

	// BusBeatInterval is how often nodes that share a guild hear of each other at least, and
	// BusSilenceMax how long one may be silent: four beats. The lease ends at about the same time.
	BusBeatInterval = 500 * time.Millisecond
	BusSilenceMax   = 4 * BusBeatInterval
)

// See there: a largest item fits into an empty queue, and a batch into what may be pending.
const (
	_ = uint(BusOutboxBytesMax - 2*BusItemBytesMax)
	_ = uint(BusPendingBytesMax - BusBatchBytesMax)
	_ = uint(BusItemBytesMax - BusBatchBytesMax)
	_ = uint64(NATSTimeout - NATSRetryPause)
)

// Many nodes: what outlives them (node/cluster, JetStream).
const (
	// LogAckTimeout is how long a write may be unanswered before it is sent again.
	LogAckTimeout = 2 * time.Second

	// LogWriteTimeout is how long it is tried for: servers of NATS whose leader is gone wait for
	// four to nine seconds before they elect one, and not every election is won.
	LogWriteTimeout = 20 * time.Second

	// LogDuplicates is how long a stream knows the id of what it has stored.
	LogDuplicates = 2 * time.Minute

	// LogWritesMax writes and LogWriteBytesMax may be on their way: half a second's to a second
	// and a half's for three servers, and four seconds' for one that flushes each (BenchmarkLog).
	LogWritesMax     = 8192
	LogWriteBytesMax = 64 << 20

	// LogBatchWritesMax is what NATS takes as one batch unless it is configured. LogBatchBytesMax
	// is a guild's document, in twice its size as sessions get it.
	LogBatchWritesMax = 1000
	LogBatchBytesMax  = 2 * GuildBodyBytesMax

	// LogFlightWritesMax and LogFlightBytesMax of batches that wait for the same fence go together.
	// Three servers on one processor do nothing else for 6 to 8 ms then.
	LogFlightWritesMax = 128
	LogFlightBytesMax  = 512 << 10

	// LogMessageBytesMax leaves room for headers in the largest message of NATS unless it is
	// configured (1 MiB). What is larger is written in parts.
	LogMessageBytesMax = 1_000_000

	// LogReadBytesMax are asked for ahead while a node catches up.
	LogReadBytesMax = 8 << 20

	// LogReaderTimeout: a request for messages is renewed as often, and a reader that has not asked
	// for as long is forgotten. LogReaderBeat is how often the server says that it is there while
	// there are no messages; two that are missing are enough to read elsewhere.
	LogReaderTimeout = 5 * time.Second
	LogReaderBeat    = 500 * time.Millisecond
)

// See there: a write is tried more than once, a stream knows it while it is, and a batch is read
// whole.
const (
	_ = uint64(LogWriteTimeout - 3*LogAckTimeout)
	_ = uint64(LogDuplicates - 2*LogWriteTimeout)
	_ = uint(LogReadBytesMax - 2*LogMessageBytesMax)
	_ = uint(LogWriteBytesMax - 2*LogBatchBytesMax)
	_ = uint(LogWritesMax - 2*LogBatchWritesMax)
	_ = uint(LogBatchBytesMax - LogMessageBytesMax)
	_ = uint(LogBatchWritesMax - LogFlightWritesMax)
	_ = uint(BusBatchBytesMax*2 - LogMessageBytesMax)
	_ = uint64(LogReaderTimeout - 4*LogReaderBeat)
)

// Many nodes: the directory that follows the log (node/cluster/replica).
const (
	// ReplicaPageMembersMax members are one message of the log. A change of one member writes its
	// page: 2.3 KB. With 256 that is 4.5 KB and a member takes 22.5 bytes in the log, not 24.
	ReplicaPageMembersMax = 128

	// ReplicaPageBytesMax: pages of members with long texts are split before they are full.
	ReplicaPageBytesMax = 64 << 10

	// ReplicaChunkOpsMax ops, and ReplicaChunkBytesMax of documents and texts, are planned
	// together. If all of them fall in one page, what that is split into must fit in one batch.
	ReplicaChunkOpsMax   = 10_000
	ReplicaChunkBytesMax = GuildBodyBytesMax

	// ReplicaGroupBytesMax of messages become one transaction while a node catches up.
	ReplicaGroupBytesMax = 4 << 20

	// ReplicaQueueBytesMax of messages wait for the store: any batch as a whole, and another.
	ReplicaQueueBytesMax = 2 * LogBatchBytesMax

	// ReplicaTriesMax is how often a change is planned anew, because what it was planned from has
	// changed or because it is not known whether it is stored. ReplicaWriteTimeout is how long all
	// of that may take: one attempt of unknown outcome, and what settles it.
	ReplicaTriesMax     = 5
	ReplicaWriteTimeout = 2 * LogWriteTimeout

	// ReplicaRetryPause is waited before a store that has failed is tried again.
	ReplicaRetryPause = time.Second

	// ReplicaImportOpsMax ops go together when a node brings its data into a cluster.
	ReplicaImportOpsMax = 1000
)

// See there: what one page is split into, and a largest document, fit in a batch.
const (
	_ = uint(LogBatchWritesMax - 2*ReplicaChunkOpsMax/ReplicaPageMembersMax -
		2*ReplicaChunkBytesMax/ReplicaPageBytesMax)
	_ = uint(LogBatchBytesMax - ReplicaChunkBytesMax - LogMessageBytesMax)
	_ = uint(LogMessageBytesMax - ReplicaPageBytesMax)
	_ = uint(ReplicaChunkOpsMax - ReplicaImportOpsMax)
)
