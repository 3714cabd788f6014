package node

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"throng/fanout"
	"throng/tuning"
	"throng/wire"
)

// courier brings what concerns many guilds to each of them, a little at a time: a new name of a
// user who is in a thousand guilds must stall no shard, and whoever gave the name waits for none
// of them; nor must ten thousand users who are on a media server that is lost.
//
// The naive way gives each shard all of its guilds at once. A bot that is in 100,000 guilds then
// has a shard write events for half a second, and everybody else's messages wait behind it. Here a
// shard has one batch of errands at any time, of a bounded cost, and gets the next one behind what
// came to it meanwhile.
//
// It runs on one goroutine, its driver's, which calls pass when it was rung or time has gone by. It
// may wait for the directory, and for nobody else.
type courier struct {
	// Static after construction.
	core *core
	ring func() // wakes the owner

	renames renames
	voices  voiceMoves

	// Owned by the courier's goroutine.
	errands [][]errand // by shard, to be done in their order
	count   int
	untold  []fanout.Handle // sessions that have not heard yet that their user changed

	// Guarded by mu.
	mu       sync.Mutex
	returned []*errandBatch

	// Atomic: set by the courier, cleared by the shard.
	away []atomic.Bool // by shard: it has a batch

	// Atomic: written by the courier. Nobody has anything of its to do, and nothing is left.
	quiet atomic.Bool
}

// errand is something to do in one guild. A guild that is not loaded has nobody to tell.
type errand interface {
	to() wire.Snowflake
	// run does at most budget of it, at the guild's shard. It says how much that was, and whether
	// there is more.
	run(s *shard, g *fanout.Guild, budget int) (done int, more bool)
}

// errandLimits are the limits of what is brought to many guilds.
type errandLimits struct {
	renamesMax, renameRoundMax             int
	errandsMax, errandBatchMax             int
	voiceServersMax                        int
	voiceMovesPerSecond, voiceMoveBatchMax int
}

var courierLimits = errandLimits{
	renamesMax: tuning.RenamesMax, renameRoundMax: tuning.RenameRoundMax,
	errandsMax: tuning.ErrandsMax, errandBatchMax: tuning.ErrandBatchMax,
	voiceServersMax:     tuning.VoiceServersMax,
	voiceMovesPerSecond: tuning.VoiceMovesPerSecond, voiceMoveBatchMax: tuning.VoiceMoveBatchMax,
}

func newCourier(c *core) *courier {
	return &courier{core: c, ring: func() {}, renames: newRenames()}
}

// pass does what can be done now. It says whether something is left that nobody will ring for.
func (c *courier) pass() (left bool) {
	if c.errands == nil {
		c.errands = make([][]errand, len(c.core.shards))
		c.away = make([]atomic.Bool, len(c.core.shards))
	}
	c.collect()
	c.tellSessions()
	c.rename()
	left = c.moveVoices()
	for i := range c.errands {
		c.send(i)
	}
	return left || len(c.untold) > 0
}

// collect takes back what shards have not come to.
func (c *courier) collect() {
	c.mu.Lock()
	returned := c.returned
	c.returned = nil
	c.mu.Unlock()
	for _, b := range returned {
		c.errands[b.shard] = slices.Concat(b.errands[b.next:], c.errands[b.shard])
		c.count += len(b.errands) - b.next
		c.away[b.shard].Store(false)
	}
}

func (c *courier) add(e errand) {
	shard := c.core.shardOf(e.to()).index
	c.errands[shard] = append(c.errands[shard], e)
	c.count++
}

// send gives a shard its next batch, unless it has one. There is room for it in any inbox: it is
// one message for each shard.
func (c *courier) send(shard int) {
	waiting := c.errands[shard]
	if len(waiting) == 0 || c.away[shard].Load() {
		return
	}
	n := min(len(waiting), errandsLookedAt*c.core.limits.errandBatchMax)
	b := &errandBatch{courier: c, shard: shard, errands: slices.Clone(waiting[:n])}
	if c.errands[shard] = waiting[n:]; n == len(waiting) {
		c.errands[shard] = nil
	}
	c.count -= n
	c.away[shard].Store(true)
	c.core.shards[shard].inbox.push(b)
}

// errandsLookedAt is how many errands a batch has for each that it may do: most of somebody's
// guilds may not be loaded, and to find that out costs 50 ns.
const errandsLookedAt = 8

// errandBatch is what a shard is given to do.
type errandBatch struct {
	// Static after construction.
	courier *courier
	shard   int
	errands []errand

	// Owned by the shard goroutine, then by the courier's.
	next int // errands[:next] are done
}

func (b *errandBatch) id() wire.Snowflake          { return 0 }
func (*errandBatch) from() fanout.Handle           { return fanout.Handle{} }
func (b *errandBatch) kind() messageKind           { return kindErrands }
func (b *errandBatch) apply(*shard, *fanout.Guild) {}

// refuse follows a panic: it costs the errand at which it came, and no other.
func (b *errandBatch) refuse(*shard, error) {
	b.next++
	b.giveBack()
}

// do works through the batch as far as one batch may go.
func (b *errandBatch) do(s *shard) {
	for budget := s.core.limits.errandBatchMax; b.next < len(b.errands) && budget > 0; b.next++ {
		e := b.errands[b.next]
		p := s.guilds[e.to()]
		if p == nil || p.guild == nil {
			continue
		}
		done, more := e.run(s, p.guild, budget)
		s.schedule(p.guild)
		if budget -= max(done, 1); more {
			break
		}
	}
	b.giveBack()
}

func (b *errandBatch) giveBack() {
	c := b.courier
	c.mu.Lock()
	c.returned = append(c.returned, b)
	c.mu.Unlock()
	c.ring()
}

// rests says whether no errand is left, here or at a shard.
func (c *courier) rests() bool {
	for i := range c.away {
		if c.away[i].Load() {
			return false
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.count == 0 && len(c.untold) == 0 && len(c.voices.started)+len(c.voices.more) == 0
}

// run is the courier's goroutine.
func (c *courier) run(wake, stop <-chan struct{}) {
	again := time.NewTicker(tuning.ErrandInterval)
	defer again.Stop()
	for {
		left := c.pass()
		c.quiet.Store(c.rests())
		tick := again.C
		if !left {
			tick = nil
		}
		select {
		case <-wake:
		case <-tick:
		case <-stop:
			return
		}
	}
}
