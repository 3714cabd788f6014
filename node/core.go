package node

import (
	"crypto/sha256"
	"hash/maphash"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/puzpuzpuz/xsync/v3"

	"throng/fanout"
	"throng/node/tracing"
	"throng/store"
	"throng/tuning"
	"throng/wire"
)

// core is what the loops and shards of a node share. Its effects are functions, so that a
// simulation can put its own in their place.
type core struct {
	// Static after construction.
	limits settings
	log    *slog.Logger
	dir    store.Directory
	users  *store.Users
	loops  []*loop
	shards []*shard
	places *store.Ring // of the shards, see placeGuilds
	mesh   *mesh

	lookups *semaphore // of tokens and users' guilds, by workers
	newest  *newest    // nil: this node alone makes tokens

	courier *courier
	voice   *fanout.VoiceServers

	calendar *calendar // what wall reads; nil where tests keep the time

	clock  func() int64                            // monotonic milliseconds
	wall   func() int64                            // unix milliseconds
	random func(b []byte)                          // fills b
	submit func(what messageKind, job func()) bool // runs job on a worker; false = they are full
	keep   func(ops []store.Op, done func(error))  // makes ops durable, then calls done

	push     func(guild wire.Snowflake, p *fanout.Push) // never waits; nil: nobody wants pushes
	pushFull func() bool                                // more pushes wait than may for @everyone
	keepFull func() bool                                // more is being kept than may wait

	readMemory func() tuning.MemoryUse // called by the guard alone

	over chan struct{} // closed when no loop runs any more

	giveUp func() // ends the process after too many panics

	tracer *tracing.Tracer // nil: nothing is traced

	authenticate func(token string) (wire.Snowflake, error) // 0 = nobody's

	// Concurrent tables: any goroutine may read and write.
	live     *xsync.MapOf[wire.Snowflake, []fanout.Handle] // user -> live sessions
	channels *xsync.MapOf[wire.Snowflake, wire.Snowflake]  // channel -> guild, of loaded guilds
	buckets  identifyBuckets
	accepts  rate // handshakes
	starts   rate // IDENTIFYs
	returns  rate // RESUMEs
	tunnels  *tunnels

	// Atomic: written by many, read by metrics and by new connections.
	draining     atomic.Bool
	userPuts     atomic.Uint64 // grows with users that nodes of a cluster have put
	joins        atomic.Uint64 // grows after members that joined a guild are in the directory
	connections  atomic.Int64
	contexts     atomic.Int64 // connections with a compressor of their own
	contextBytes atomic.Int64 // what these take
	closes       [closeReasonCount]atomic.Uint64
	drops        [dropReasonCount]atomic.Uint64
	forgotten    atomic.Uint64 // sessions without a socket that ended for want of memory
	abandoned    atomic.Uint64 // requests whose asker had gone before their turn came
	identifies   outcomeCounts
	resumes      outcomeCounts
	panics       atomic.Uint64
	members      atomic.Int64
	handed       atomic.Uint64 // guilds, to other nodes, as they were
	handsFailed  atomic.Uint64
	failures     failures
	events       eventCounts
	stalls       *stalls

	// Atomic: written by the operator, read by the guard of memory.
	heapMost atomic.Int64 // GOMEMLIMIT, 0 = none

	// Atomic: written by the guard of memory.
	pressed   atomic.Uint32                    // a tuning.Pressure
	nearShort atomic.Bool                      // it looks often, and loops count more
	memory    atomic.Pointer[tuning.MemoryUse] // as it was last read, nil before that
}

// settings are the limits in force, in the units the loops use.
type settings struct {
	errandLimits
	wire               wire.Limits
	handshakeMilli     int64
	identifyMilli      int64
	heartbeatMilli     int64
	deadMilli          int64
	resumeMilli        int64
	lagMilli           int64
	lingerMilli        int64
	tickMilli          int64
	stallMilli         int64
	commandsMax        int
	commandsMilli      int64
	pingsMax           int
	pingsMilli         int64
	presencesMax       int
	presencesMilli     int64
	memberListMilli    int64
	guild              fanout.Limits
	joinsInFlightMax   int
	loopJoinsMax       int
	lookupsMax         int
	lookupMilli        int64
	guildLoadsMax      int
	loadMilli          int64
	shardGuildsMax     int
	userSessionsMax    int // 0 = no limit
	identifyBuckets    int // max_concurrency, 0 = off
	identifyGapMilli   int64
	identifyWaitMilli  int64
	connectionsMax     int64
	tunnelsMax         int64
	acceptRate         int64 // handshakes per second, 0 = no limit; so the others
	acceptBurst        int64
	identifyRate       int64
	identifyBurst      int64
	resumeRate         int64
	resumeBurst        int64
	journalBytes       int
	contextBytes       int64  // budget for connections' own compressors
	window             uint32 // of zstd streams, in bytes
	histories          fanout.HistoryLimits
	sealBytesMin       int // a dispatch of this length is compressed for who asked in IDENTIFY
	pendingMax         int
	loopInboxMax       int
	loopPassMax        int
	writeLineMax       int
	shardInboxMax      int
	guildWaitMax       int
	sweepLooksMax      int
	relinksMax         int
	membersPassMax     int
	relayPassMax       int
	putOffMax          int
	handoffsMax        int // of a shard at a time
	handoffClaimsMax   int // the same, with those that were claimed
	handoffTriesMax    int
	handoffLooks       int
	handoffPartBytes   int
	handoffPartsMax    int
	handoffLastMax     int
	handoffAheadMax    int
	handoffMilli       int64
	handoffQuietMilli  int64
	smallMax           int
	guildBehindMax     int
	guildEventsMax     int
	handoutsMax        int // events; then the owner of their guild is told at once
	flushPassMax       int
	flushBytesMax      int
	controlBytesMax    int
	chunksAheadMax     int
	memberRequestsMax  int
	chunkAnswerMilli   int64 // of another node
	chunkAgainMilli    int64
	answersHoldMilli   int64
	shedShare          int // of a loop's sessions, one part in so many
	shedMin            int
	node               string
	publicURL          string
	origins            origins
	proxies            networks
	scheme             string // of URLs of this node
	addressConnections int    // of one address at a time, 0 = no limit
	addressRate        int64  // of one address a second, 0 = no limit
	addressesMax       int
	trace              string // names the node in HELLO and READY
	traceJSON          string // the same as a JSON string
}

// tokenHash is how a session remembers its token.
func tokenHash(token string) [16]byte {
	sum := sha256.Sum256([]byte(token))
	return [16]byte(sum[:16])
}

// shardOf is the shard that owns a guild. See BenchmarkShardOf.
func (c *core) shardOf(guild wire.Snowflake) *shard {
	return c.shards[c.places.Index(uint64(guild))]
}

// placeGuilds divides the guilds among the shards, which are all there.
func (c *core) placeGuilds() {
	nodes := make([]store.RingNode, len(c.shards))
	for i := range nodes {
		nodes[i] = store.RingNode{Name: "shard-" + strconv.Itoa(i), Weight: store.RingWeight}
	}
	// The seed is this ring's own: see store.RingConfig.
	places, err := store.NewRing(store.RingConfig{Nodes: nodes, Seed: shardSeed})
	if err != nil {
		panic(err) // More shards than any machine has processors.
	}
	c.places = places
}

const shardSeed = 1

func (c *core) drop(r DropReason) { c.drops[r].Add(1) }

// outcomeCounts counts results of one operation by name.
type outcomeCounts struct {
	ok, refused, late, wrong atomic.Uint64
}

// identifyBuckets holds back identifies: one per bucket and gap, as max_concurrency says.
type identifyBuckets struct {
	// Guarded by mu.
	mu   sync.Mutex
	next map[identifyBucket]int64
	full int // how many there are when the old ones are looked for
}

type identifyBucket struct {
	user   wire.Snowflake
	number int
}

// reserve takes the bucket's next moment and says how long it is away; a moment further away than
// waitMax is not taken.
func (b *identifyBuckets) reserve(k identifyBucket, now, gap, waitMax int64) (wait int64, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.next == nil {
		b.next, b.full = map[identifyBucket]int64{}, identifyBucketsKept
	}
	if len(b.next) > b.full {
		for k, at := range b.next {
			if at <= now {
				delete(b.next, k)
			}
		}
		// Not again at the next one, when most of them are in use.
		b.full = max(identifyBucketsKept, 2*len(b.next))
	}
	at := max(b.next[k], now)
	if at-now > waitMax {
		return 0, false
	}
	b.next[k] = at + gap
	return at - now, true
}

// identifyBucketsKept is how many buckets may lie about before the old ones are looked for.
const identifyBucketsKept = 10_000

// eventCounts counts published events by type, with one row for all types the protocol does not
// know, so that a backend's own names cannot grow the metrics.
type eventCounts struct {
	counts *xsync.MapOf[string, *xsync.Counter]
}

const otherEvents = "OTHER"

func (e *eventCounts) add(name string) {
	if _, known := wire.LookupEvent(name); !known {
		name = otherEvents
	}
	c, ok := e.counts.Load(name)
	if !ok {
		c, _ = e.counts.LoadOrStore(name, xsync.NewCounter())
	}
	c.Inc()
}

// each calls f with every type and its count.
func (e *eventCounts) each(f func(name string, count uint64)) {
	e.counts.Range(func(name string, c *xsync.Counter) bool {
		f(name, uint64(c.Value()))
		return true
	})
}

// hashSnowflake spreads ids over the concurrent tables.
func hashSnowflake(id wire.Snowflake, seed uint64) uint64 {
	return maphash.Comparable(hashSeed, uint64(id)^seed)
}

var hashSeed = maphash.MakeSeed()

// newCore makes the tables; the caller sets the effects and makes loops and shards.
func newCore(s settings, log *slog.Logger, dir store.Directory) *core {
	c := &core{
		limits:   s,
		over:     make(chan struct{}),
		log:      log,
		keepFull: func() bool { return false },
		pushFull: func() bool { return false },
		dir:      dir,
		users:    store.NewUsers(),
		live:     xsync.NewMapOfWithHasher[wire.Snowflake, []fanout.Handle](hashSnowflake),
		channels: xsync.NewMapOfWithHasher[wire.Snowflake, wire.Snowflake](hashSnowflake),
		events:   eventCounts{xsync.NewMapOf[string, *xsync.Counter]()},
		lookups:  newSemaphore(s.lookupsMax, s.lookupsMax, s.lookupMilli),
		stalls:   newStalls(log),
	}
	c.accepts.set(s.acceptRate, s.acceptBurst)
	c.starts.set(s.identifyRate, s.identifyBurst)
	c.returns.set(s.resumeRate, s.resumeBurst)
	c.mesh = newMesh(c, s.node)
	c.tunnels = newTunnels(c)
	c.courier = newCourier(c)
	c.useVoice(nil)
	return c
}

// addLive and removeLive keep the table of live sessions; removeLive says how many the user has
// left.
func (c *core) addLive(user wire.Snowflake, h fanout.Handle) {
	c.live.Compute(user, func(old []fanout.Handle, _ bool) ([]fanout.Handle, bool) {
		return append(append([]fanout.Handle(nil), old...), h), false
	})
}

func (c *core) removeLive(user wire.Snowflake, h fanout.Handle) (left int) {
	c.live.Compute(user, func(old []fanout.Handle, _ bool) ([]fanout.Handle, bool) {
		kept := make([]fanout.Handle, 0, len(old))
		for _, o := range old {
			if o != h {
				kept = append(kept, o)
			}
		}
		left = len(kept)
		return kept, left == 0
	})
	return left
}

// sessionsOf is the user's live sessions. The slice is not to be changed.
func (c *core) sessionsOf(user wire.Snowflake) []fanout.Handle {
	h, _ := c.live.Load(user)
	return h
}
