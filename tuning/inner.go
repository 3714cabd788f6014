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

	// ProxyHeaderBytesMax is a PROXY header with its type-length-values. The protocol allows
	// 65,551 bytes; what proxies send is below 300.
	ProxyHeaderBytesMax = 4096

	// TLSHandshakesMax handshakes are under way for each that can be computed at a time, at 30 KB
	// with the goroutine; the others wait with their first message. Nearly all of one's time is
	// the peer's answer: with 0.1 s for that, these are 40,000 a second, ten times what one
	// processor can compute.
	TLSHandshakesMax = 4096

	// TLSAnswerTime is a peer's to answer in while others wait for their turn. With none that
	// answers, 4,000 a second have their turn.
	TLSAnswerTime = time.Second

	// TLSHelloBytesMax is the first record: a hello that names keys of the new kinds and a ticket
	// is 2,100 bytes.
	TLSHelloBytesMax = 8 << 10

	// TLSHandshakeBytesMax may lie unread while a handshake computes: a hello, or the end of one
	// and a request behind it.
	TLSHandshakeBytesMax = 16 << 10

	// TLSChatterBytesMax of records that carry nothing, beyond so many a second, end a connection:
	// 2,400 changes of keys at once, and 150 a second. A record that has not all come counts too.
	TLSChatterBytesMax       = 64 << 10
	TLSChatterBytesPerSecond = 4 << 10

	// TLSAnswersBytesMax of answers to such wait for a peer that does not read.
	TLSAnswersBytesMax = 4 << 10

	// TLSRecordBytesMax is the protocol's own bound on what a record carries.
	TLSRecordBytesMax = 16 << 10

	// TLSReloadInterval is how often -tls-cert and -tls-key are looked at: two stat(2).
	TLSReloadInterval = 10 * time.Second

	// AddressesMax client addresses are counted, at 60 bytes each: a million connections from as
	// many, and a million that have come and gone within the last second.
	AddressesMax = 2 << 20
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
