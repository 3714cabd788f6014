package tuning

import "time"

// What times events from their publishers to sockets.
const (
	// LatencyEvery event of a shard is timed, and further ones as long as LatencyInterval has
	// passed since the last: a quiet node times all that it is asked for, and a busy one a
	// sixteenth. An event that is timed costs 0.1 µs for each of up to eight receivers.
	LatencyEvery    = 16
	LatencyInterval = 5 * time.Millisecond

	// LatencyWaitMax receivers of timed events are waited for by each loop, of 24 bytes each.
	LatencyWaitMax = 1024
)

// The console.
const (
	// ConsoleViewersMax browsers look at a node at a time. What they see is gathered once for all
	// of them, and sent to each: 10 KB a second.
	ConsoleViewersMax = 32

	// ConsoleInterval is between two snapshots. To gather one takes a millisecond, of nobody in
	// particular.
	ConsoleInterval = time.Second

	// ConsoleWindow snapshots are what quantiles are of: over ten seconds a hundred events make
	// a p99, and a change shows at once nevertheless.
	ConsoleWindow = 10

	// ConsoleSlowInterval is between two looks at all guilds, and at the other nodes. A hundred
	// thousand guilds take a shard 10 ms, in slices of MemorySlice.
	ConsoleSlowInterval = 5 * time.Second

	// ConsoleGuildsOften guilds, and fewer, are looked at for every snapshot: a millisecond.
	ConsoleGuildsOften = 10_000

	// ConsoleGuilds are shown, of the largest and of the busiest each, and as many slow readers.
	ConsoleGuilds = 8

	// ConsoleWriteTimeout is how long a viewer may take over a snapshot.
	ConsoleWriteTimeout = 10 * time.Second
)
