package tuning

import "time"

// Limits on concurrency, for the moment at which everybody comes at once. Nobody meets them in
// daily work: who is above one waits for its own turn or is asked to come again, as described with
// each.
const (
	// IdentifyLookupsMax tokens are being looked up, or in line for a worker. Above it an IDENTIFY
	// is answered with op 9, and the client comes again a few seconds later. It is more than
	// IdentifyBurstMax, so that it is met only where looking up is slower than IdentifyRateMax; the
	// rest of WorkerQueueMax is then left for guilds to be read and members to be listed.
	IdentifyLookupsMax = 49_152

	// LookupHold is how long one may take until it counts as lost. Its connection was closed at
	// IdentifyTimeout.
	LookupHold = IdentifyTimeout + 10*time.Second

	// GuildLoadsMax guilds of one shard are being read from the store, or in line for a worker; the
	// others wait in the shard's own line. Workers have enough to do with that, and who identifies
	// stands behind 64 guilds and not behind 10,000.
	GuildLoadsMax = 64

	// LoadHold is how long reading a guild may take until it counts as lost: a million members from
	// a slow disk fit.
	LoadHold = 2 * time.Minute

	// LoopJoinsMax joins of a loop's sessions wait for their guilds. Above it a session joins one
	// guild at a time, instead of JoinsInFlightMax: 100,000 sessions on a cold node of two loops
	// are then 231,072 joins of 150 bytes at most, and not 6,400,000.
	LoopJoinsMax = 65_536

	// WriteLineMax sessions stand in line to be written what few others get, READY and their guilds
	// above all; then a loop takes in nothing more before it has written. 50,000 sessions that
	// begin at once are given 32 MiB, all that a journal holds, faster than they can be written,
	// and who is written last would have lost what it was given first.
	WriteLineMax = 8 * FlushPassMax
)

// Relations that must hold whatever figure is changed above.
const (
	_ = uint(IdentifyLookupsMax - IdentifyBurstMax)       // The rate refuses first.
	_ = uint(WorkerQueueMax - IdentifyLookupsMax - 1<<13) // Room for others' jobs.
	_ = uint(LoopJoinsMax - 64*JoinsInFlightMax)          // Bots of many guilds join at full speed.
	_ = uint64(LookupHold - IdentifyTimeout)              // Who still waits has lost nothing.
)
