package tuning

import "math"

// Setting is something that an operator may change while the node runs, until it ends.
type Setting struct {
	Name        string
	Unit        string
	Meaning     string
	Least, Most int64
}

// Settings is all of them, in the order in which they are shown. Their defaults are what the node
// begins with: the limits of this package, and flags.
//
// The bounds are where a node still does its work, if badly: no turn of nothing, no rate that lets
// nobody in, no queue above what its neighbour holds.
func Settings() []Setting {
	const rateMost = 10_000_000
	return []Setting{
		{"gc_percent", "percent", "GOGC: garbage that may come before the next collection, in " +
			"parts of what is alive; more costs memory and saves processors", 10, 1000},
		{"memory_limit", "bytes", "GOMEMLIMIT, from which on the collector works harder, and of " +
			"which sessions are refused from 80 % on", 64 << 20, math.MaxInt64 / 100},
		{"accept_rate", "a second", "handshakes; then 503", 1, rateMost},
		{"accept_burst", "at once", "handshakes above the rate", 1, rateMost},
		{"identify_rate", "a second", "IDENTIFYs; then op 9", 1, rateMost},
		{"identify_burst", "at once", "IDENTIFYs above the rate", 1, rateMost},
		{"resume_rate", "a second", "RESUMEs; then op 9, resumable", 1, rateMost},
		{"resume_burst", "at once", "RESUMEs above the rate", 1, rateMost},
		{"loop_pass_max", "messages", "that a loop takes in before it writes", 1, LoopInboxMax},
		{"relay_pass_max", "receivers", "of a guild that has its turn, before a loop serves its " +
			"sockets; more saves turns and keeps small guilds waiting", 64, 1 << 20},
		{"put_off_max", "receivers", "looked at before a loop writes, while more events wait; " +
			"more saves writes and adds delay", 64, 1 << 24},
		{"flush_pass_max", "writes", "before a loop looks at what has come; more saves turns and " +
			"keeps small guilds waiting", 1, 1 << 16},
		{"guild_behind_max", "receivers", "that wait for a guild's events; then publishers get 429",
			1 << 10, 1 << 30},
		{"guild_events_max", "events", "of a guild on their way; then publishers get 429", 1,
			LoopInboxMax},
		{"shard_inbox_max", "messages", "that wait for a shard; then publishers get 429",
			64 * JoinsInFlightMax, LoopInboxMax},
		{"presence_period", "ms", "from a change of presence until others are told of it", 1,
			10_000},
		{"presence_period_max", "ms", "the same, when there is much to tell", 1, 60_000},
		{"stall_limit", "ms", "a message that keeps a loop or a shard for longer is in /v1/stalls",
			StallLimitMin.Milliseconds(), 3_600_000},
		{"trace_share", "per mille", "of the usual share of a traced event's receivers who get a " +
			"span of their own", 0, 1000},
	}
}
