package main

// group is benchmarks of one folder that run as long as each other.
type group struct {
	name, folder string
	time         string // For -benchtime.
}

var groups = []group{
	{"lists", "fanout", "1x"},
	{"turns", "fanout", "200x"},
	{"small", "fanout", "1s"},
	{"carry", "fanout", "1x"},
	{"store", "store", "1s"},
	{"herd", "node", "1x"},
	{"node", "node", "1s"},
	{"wire", "wire", "1s"},
}

// part is one figure.
type part struct {
	title, what string
	group       string
	bench       string  // Without "Benchmark"; with an asterisk at its end, the largest of these.
	unit        string  // As the benchmark reports it,
	scale       float64 // to shown.
	shown       string
	limit       float64 // To reach; below zero when nothing is.
}

const (
	noLimit = -1

	// Titles.
	memberList = "Member list of a million"
	turns      = "Turns of the shard of a guild of a million"
	shared     = "Fast shared data, semaphores, a stampede"
	signals    = "Presences, users, voice"
	nodes      = "Among nodes"
	hostile    = "What a client may send"
	streams    = "Compressed streams: what zstd-stream costs"
	seeing     = "Looking inside"

	nanosToMicros = 1e-3
	nanosToMillis = 1e-6
)

var parts = []part{
	{memberList, "insert with rank, a million members", "store", "RankInsert/1M",
		"ns/insert", nanosToMicros, "µs", 2},
	{memberList, "insert with rank, a million of the same name", "store", "RankInsert/1M-alike",
		"ns/insert", nanosToMicros, "µs", 2},
	{memberList, "removal, a million members", "store", "RankInsert/1M",
		"ns/delete", nanosToMicros, "µs", noLimit},
	{memberList, "row by number", "store", "RankSelect", "ns/op", nanosToMicros, "µs", noLimit},
	{memberList, "longest turn for lists, 1,800 sessions in 360 windows", "lists",
		"MemberListStall/*", "ms/longest", 1, "ms", 5},
	{memberList, "a worker's time for the first build", "lists", "MemberListStall/first_build",
		"ms/worker", 1, "ms", noLimit},

	{turns, "first session of a loop, its relay made", "turns", "MillionRelay", "ns/op",
		nanosToMillis, "ms", 5},
	{turns, "longest turn, among all that could have to do with all members", "turns",
		"MillionStall/*", "ms/longest", 1, "ms", 5},
	{turns, "longest turn as a million sessions join", "lists", "MillionSessions/join",
		"ms/longest", 1, "ms", 5},
	{turns, "longest turn as classes of receivers die", "lists", "MillionSessions/classes",
		"ms/longest", 1, "ms", 5},
	{turns, "deletion, a million sessions", "lists", "MillionSessions/delete",
		"ms/delete", 1, "ms", 5},
	{turns, "@everyone, a turn of the shard", "small", "PushSearch/turn", "ns/op",
		nanosToMicros, "µs", noLimit},
	{turns, "@everyone, a worker's search", "small", "PushSearch/worker", "ns/op",
		nanosToMillis, "ms", noLimit},
	{turns, "a snapshot of a million members, and a hundred changes", "store",
		"Members/SnapshotAnd100Puts", "ns/op", nanosToMillis, "ms", 5},

	{shared, "lookup in the ring", "store", "RingFind/resting", "ns/op", 1, "ns", 50},
	{shared, "lookup while a writer swaps", "store", "RingFind/swapping", "ns/op", 1, "ns", 50},
	{shared, "allocations of a lookup", "store", "RingFind/*", "allocs/op", 1, "", 0},
	{shared, "500,000 sessions look up five guilds each", "store", "RingReconnect", "ns/op",
		nanosToMillis, "ms", 125},
	{shared, "permit of a semaphore and its return", "node", "Semaphore/alone", "ns/op", 1, "ns",
		1000},
	{shared, "refusal of a semaphore", "node", "Semaphore/refused", "ns/op", 1, "ns", 1000},
	{shared, "reads of a guild as 100,000 sessions of 10,000 identify", "herd", "Stampede",
		"reads-most", 1, "", 1},
	{shared, "memory of that herd, of which all are served", "herd", "Stampede", "MB", 1, "MB",
		noLimit},

	{signals, "presence that nobody follows", "small", "Presence/nobody_follows", "ns/op",
		nanosToMicros, "µs", noLimit},
	{signals, "presence that is told", "small", "Presence/followed", "ns/op", nanosToMicros, "µs",
		noLimit},
	{signals, "new name of a user in 1,000 guilds, until all is told", "node", "Rename", "µs/told",
		1e-3, "ms", noLimit},
	{signals, "that, a shard's time for a guild", "node", "Rename", "µs/guild", 1, "µs", noLimit},
	{signals, "voice: a user told of another server", "small", "MoveVoice", "ns/user",
		nanosToMicros, "µs", noLimit},
	{signals, "voice: a token", "small", "VoiceToken", "ns/op", nanosToMicros, "µs", noLimit},
	{signals, "voice: a server chosen", "small", "VoicePlace", "ns/op", nanosToMicros, "µs",
		noLimit},

	{nodes, "hand-off of a million members and 18,000 sessions: the last turn here", "carry",
		"Carry", "last-ms", 1, "ms", 10},
	{nodes, "that, a step before", "carry", "Carry", "step-ms", 1, "ms", 10},
	{nodes, "that, the first turn there", "carry", "Carry", "lastread-ms", 1, "ms", 10},
	{nodes, "longest turn while 100,000 links to a lost node end", "herd", "RemoteLost/links",
		"ms-longest", 1, "ms", 10},
	{nodes, "longest turn while 100,000 guilds lose a node's sessions", "herd",
		"RemoteLost/guilds", "ms-longest", 1, "ms", 10},

	{hostile, "the worst of 4,096 octets of JSON to read", "wire", "Hostile/4096/*", "ns/op",
		nanosToMicros, "µs", 100},
	{hostile, "the worst of 15,360 octets of JSON to read", "wire", "Hostile/15360/*", "ns/op",
		nanosToMicros, "µs", 375}, // In proportion.

	{streams, "a session's offsets packed, a message of 780 bytes", "wire", "AppendRelocated",
		"ns/op", 1, "ns", 200},
	{streams, "allocations of that", "wire", "AppendRelocated", "allocs/op", 1, "", 0},
	{streams, "its whole frame", "wire", "AppendStreamed", "ns/op", 1, "ns", noLimit},
	{streams, "the whole frame, of who has what the guild has said before", "wire",
		"AppendAgreed", "ns/op", 1, "ns", 200},
	{streams, "a session's memory for that", "wire", "AppendStreamed", "B/session", 1, "B", 16},
	{streams, "a message packed once, against the template", "wire", "Pack", "ns/op",
		nanosToMicros, "µs", noLimit},
	{streams, "that, against 128 KiB of history too", "wire", "HistoryFrame", "ns/op",
		nanosToMicros, "µs", noLimit},

	{seeing, "what tracing adds to a delivery that is not sampled", "small", "Trace/*",
		"not-sampled-extra-ns", 1, "ns", 5},
}
