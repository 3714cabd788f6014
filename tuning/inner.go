package tuning

import "time"

// Limits that bound what goes on inside and that nobody outside meets. What clients, backends and
// operators meet is in limits.go and in README's table.

// Sockets and their loops.
const (
	// TickInterval is the timer wheel's slot. Every deadline of a session is in seconds.
	TickInterval = 250 * time.Millisecond

	// ShardTickInterval is how often a shard looks for guilds that want to do something by
	// themselves, and bounds from below how soon they can.
	ShardTickInterval = 50 * time.Millisecond

	// StallTolerance: a tick later than this means that the node slept (a pause of the machine,
	// SIGSTOP), and deadlines move by the lateness instead of declaring everybody dead.
	StallTolerance = time.Second
)

// Queues and turns.
const (
	// LoopInboxMax messages wait for one loop; one publish is one message, whatever the number of
	// receivers. At about 160 bytes each a full inbox is 10 MiB and several seconds of a storm.
	LoopInboxMax = 65_536

	// LoopPassMax messages are taken from the inbox before the loop writes to its dirty sessions
	// and serves its sockets again.
	LoopPassMax = 1024

	// ControlBytesMax of answers (pongs, heartbeat acknowledgements) wait for one blocked socket.
	ControlBytesMax = 4096

	// FlushPassMax writes of each kind, to those who wait with few and with many others, are made
	// before a loop looks at what has come: at 8 µs each this is a millisecond, and as long as an
	// event of a small guild waits for one of a huge guild to be written.
	FlushPassMax = 128

	// FlushBytesMax is the largest single write to a socket. The socket's library keeps what the
	// kernel does not take, so this is also what it may hold for a reader that stopped.
	FlushBytesMax = 64 << 10

	// WorkersPerProc workers scan member tables, beside the loops and shards.
	WorkersPerProc = 1

	// WorkerQueueMax jobs wait for a worker. Each IDENTIFY is one, so all connections of a large
	// host may identify at once; above it they are told to come again.
	WorkerQueueMax = 65_536
)

// Memory.
const (
	// TrimInterval without a collection makes a node quiet; it then gives memory back if it holds
	// one part in TrimShare, and TrimBytesMin, more than what is alive.
	TrimInterval = 5 * time.Second
	TrimShare    = 8
	TrimBytesMin = 8 << 20
)

// The self-test of throng doctor.
const (
	// SelfTestMax is the longest -measure; who wants to know better runs throng load.
	SelfTestMax = 10 * time.Second

	// SelfTestConnections are few enough for any host's descriptors, and enough that an event is
	// told to many at once, as in a guild.
	SelfTestConnections = 256
)
