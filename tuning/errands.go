package tuning

import "time"

// What concerns many guilds at once: a new name of somebody who is in a thousand of them.
const (
	// RenamesMax users wait for their guilds to be told of a new name or picture, at 8 bytes each;
	// whoever puts more users is held back, and told to come again when that lasts.
	RenamesMax = 100_000

	// RenameRoundMax of them are looked up in the directory together. A round costs each shard one
	// message and the store one flush, however many users it is for.
	RenameRoundMax = 1024

	// ErrandsMax errands wait at most before the next user is looked up. One user may be in more
	// guilds than that.
	ErrandsMax = 16_384

	// ErrandBatchMax is how much of them one shard does in one go, counted in events made: at 2 µs
	// to 8 µs each that is a millisecond at most. A shard gets its next batch behind
	// everything that came to it meanwhile.
	ErrandBatchMax = 128

	// ErrandInterval is how soon the node looks again when something that it has to tell found a
	// loop's inbox full, and how often it looks at what comes with time alone.
	ErrandInterval = 50 * time.Millisecond
)

// A batch is a part of what may wait.
const _ = uint(ErrandsMax - ErrandBatchMax)
