package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"

	"throng/fanout"
	"throng/store"
	"throng/tuning"
	"throng/wire"
)

// world is a node in one goroutine, with nothing real around it: the clock is a number, the network
// is slices of bytes, workers and keeper are lists, and one seeded generator decides who runs next.
// Everything that can be early, late, cut short or out of order in a process is so here, and a seed
// brings it back exactly.
//
// A loop or shard runs only when it was rung or asked to go on, so that a doorbell that is
// forgotten is a session that waits for ever, which the end of the run notices.
type world struct {
	// Static after construction.
	seed uint64
	rng  *rand.Rand
	core *core
	node *Node
	opts simOptions
	ctx  context.Context // ended, so that the doors ask and do not wait for the answer

	now      int64
	steps    int
	ticks    int
	loops    []simOwner
	shards   []simOwner
	workers  simOwner
	keeper   simOwner
	courier  simOwner
	late     bool // the courier has something left for later
	jobs     []func()
	keeps    []kept
	gone     []*simPipe // the driver has yet to say that they have ended
	orphans  []*simPipe // connections that their clients have replaced and still read
	clients  []*simClient
	users    []simUser
	model    *simModel
	ops      map[*guildWork]simOp
	calm     bool // nothing goes wrong any more
	away     bool // some clients were told to reconnect
	last     wire.Snowflake
	marks    int
	pushes   simPushes
	digests  map[string]map[string]string // by event and body
	checksum uint32
	tally    map[string]uint64
	err      error
}

// simOwner is a goroutine of the node: whether it has been woken, and until which step the machine
// has no time for it.
type simOwner struct {
	ready  bool
	asleep int
}

type simUser struct {
	id    wire.Snowflake
	token string
	bot   bool
}

// simOptions are what differs between seeds besides the choices along the way.
type simOptions struct {
	guilds, users, clients, steps int
	roomBytes                     int // of a socket's kernel buffer
	cuts                          int // per thousand acts of a client
	backend                       int // per cent of the steps
	busy, stormy                  bool
}

// simWall is when a simulation begins, in unix milliseconds.
const simWall = 1_700_000_000_000

// pendingFew frames are kept for a session at most in worlds where that is few.
const pendingFew = 79

func newWorld(seed uint64, large bool) *world {
	w := &world{
		seed: seed, rng: rand.New(rand.NewPCG(seed, 0x7468726f6e67)), now: 1,
		ops: map[*guildWork]simOp{}, digests: map[string]map[string]string{},
		tally: map[string]uint64{}, last: simWall << 8,
	}
	limits := w.draw(large)
	w.drawStreams(&limits)
	w.core = newCore(limits, slog.New(simLog{w}), store.NewMemory())
	w.core.clock = func() int64 { return w.now }
	w.core.wall = func() int64 { return simWall + w.now }
	w.core.random = func(b []byte) {
		for i := range b {
			b[i] = byte(w.rng.Uint32())
		}
	}
	w.core.giveUp = func() { w.fail("the node gave up") }
	w.core.submit = w.submit
	w.core.keep = func(ops []store.Op, done func(error)) {
		w.keeps = append(w.keeps, kept{ops, done})
	}
	w.core.authenticate = func(token string) (wire.Snowflake, error) {
		id, err := w.core.dir.TokenUser(token)
		return wire.Snowflake(id), err
	}
	w.watchPushes()
	w.node = &Node{core: w.core, cfg: Config{Journal: 1 << 30}}
	ended, end := context.WithCancel(context.Background())
	end()
	w.ctx = ended
	w.loops, w.shards = make([]simOwner, 3), make([]simOwner, 2)
	for i := range w.loops {
		wake := func() { w.loops[i].ready = true }
		w.core.loops = append(w.core.loops, newLoop(w.core, i, wake, wake))
	}
	for i := range w.shards {
		wake := func() { w.shards[i].ready = true }
		w.core.shards = append(w.core.shards, newShard(w.core, i, wake))
	}
	w.core.courier.ring = func() { w.courier.ready = true }
	w.core.placeGuilds()
	w.model = newSimModel(w)
	w.people()
	return w
}

// draw chooses the run's size and the node's limits. Limits are small, so that a few hundred
// sessions come across every one of them.
func (w *world) draw(large bool) settings {
	r := w.rng
	o := &w.opts
	*o = simOptions{
		guilds: 1 + r.IntN(4), users: 4 + r.IntN(9), clients: 4 + r.IntN(14), steps: 1500,
		roomBytes: 1 << 20, cuts: 2 + r.IntN(12), backend: 4 + r.IntN(10),
	}
	s := settings{
		wire: wire.Limits{HeaderBytes: 4096, Headers: 64, MessageBytes: 15360,
			Fragments: 16},
		handshakeMilli: 1000, identifyMilli: 2000, heartbeatMilli: 1500, deadMilli: 2500,
		resumeMilli: 4000, lagMilli: 1000, lingerMilli: 500, tickMilli: 50, stallMilli: 1000,
		commandsMax: 30000, commandsMilli: 60000, pingsMax: 5, pingsMilli: 1000, presencesMax: 2,
		presencesMilli: 1000, memberListMilli: 1000, joinsInFlightMax: 1 + r.IntN(3),
		guild: fanout.Limits{
			PassiveMembersMin: 1 << 30, PassivePeriodMilli: 200 + int64(r.IntN(1500)),
			PresencePeriodMilli: int64(r.IntN(100)), PresencePeriodMaxMilli: 100 + int64(r.IntN(200)),
			PresencesMax: 1 + r.IntN(8), ListSliceMicro: 1 << r.IntN(11),
		},
		loopJoinsMax: 1 + r.IntN(6), lookupsMax: 1 << 16, lookupMilli: 60_000,
		guildLoadsMax: 1 + r.IntN(2), loadMilli: 60_000,
		shardGuildsMax: 100, identifyGapMilli: 300, identifyWaitMilli: 1500,
		connectionsMax: 1 << 20,
		journalBytes:   4 << 20, pendingMax: 1 << 20, loopInboxMax: 1 << 20, shardInboxMax: 1 << 20,
		guildWaitMax: 1 << 20, guildBehindMax: 1 << 30, guildEventsMax: 1 << 30,
		membersPassMax: 5 + r.IntN(20),
		loopPassMax:    1 + r.IntN(40), writeLineMax: 1 + r.IntN(40), relayPassMax: 1 + r.IntN(8),
		putOffMax: 1 + r.IntN(40), flushPassMax: 1 + r.IntN(10), smallMax: r.IntN(4),
		flushBytesMax: 1 << (8 + r.IntN(8)), controlBytesMax: 4096, chunksAheadMax: 1 + r.IntN(3),
		memberRequestsMax: tuning.MemberRequestsMax,
		answersHoldMilli:  1 + r.Int64N(500),
		errandLimits: errandLimits{
			renamesMax: 1 << 20, renameRoundMax: 1 + r.IntN(3), errandsMax: 1 + r.IntN(8),
			errandBatchMax: 1 + r.IntN(3), voiceServersMax: 10,
			voiceMovesPerSecond: 1 + r.IntN(1000), voiceMoveBatchMax: 1 + r.IntN(3),
		},
		node: "sim", publicURL: "ws://sim", trace: "sim", traceJSON: `"sim"`,
	}
	if r.IntN(3) == 0 {
		o.roomBytes = 64 << r.IntN(8)
	}
	if r.IntN(4) == 0 {
		s.journalBytes = 128 << 10
	}
	if r.IntN(6) == 0 {
		s.pendingMax = pendingFew - 59 + r.IntN(60)
	}
	if r.IntN(4) == 0 {
		s.identifyBuckets = 1 + r.IntN(2)
	}
	if r.IntN(6) == 0 {
		s.shardInboxMax = 4 + r.IntN(20)
	}
	if r.IntN(5) == 0 {
		s.relayPassMax, s.putOffMax, s.flushPassMax = 1<<20, 1<<20, 1<<20
	}
	switch r.IntN(4) {
	case 0:
		s.guild.PassiveMembersMin = 1
	case 1, 2:
		s.guild.PassiveMembersMin = 1 + r.IntN(o.users)
	}
	o.busy = r.IntN(8) == 0
	if o.stormy = r.IntN(20) == 0; o.stormy {
		o.guilds, o.users, o.clients = 1, 20+r.IntN(20), 30
	}
	switch {
	case large:
		o.users, o.clients, o.guilds, o.steps = 2500, 3000, 2, 6000
		s.relayPassMax, s.loopPassMax = 100+r.IntN(400), 100
		s.putOffMax, s.flushPassMax = 100+r.IntN(2000), 100+r.IntN(400)
		s.journalBytes = 64 << 20
	case r.IntN(25) == 0:
		o.users, o.clients, o.steps = 60+r.IntN(100), 100+r.IntN(200), 1500
		s.journalBytes = max(s.journalBytes, 1<<20)
	case r.IntN(50) == 0:
		// Answers of several chunks.
		o.users, o.guilds, o.clients = 1001+r.IntN(1500), 1, 6
		s.journalBytes, o.roomBytes = 8<<20, 1<<20
	}
	return s
}

// people registers the users with their tokens.
func (w *world) people() {
	var ops []store.Op
	for i := range w.opts.users {
		u := simUser{w.nextID(), fmt.Sprintf("token.%d.%d", w.seed, i), w.rng.IntN(3) > 0}
		doc := fmt.Sprintf(`{"id":"%d","username":"u%d","discriminator":"0","global_name":null,`+
			`"avatar":null,"bot":%t}`, u.id, i, u.bot)
		record := &store.User{ID: uint64(u.id), Name: fmt.Sprint("u", i), Bot: u.bot, Doc: doc}
		ops = append(ops,
			store.Op{Kind: store.OpPutUser, User: uint64(u.id), UserRecord: record},
			store.Op{Kind: store.OpPutToken, User: uint64(u.id), Token: u.token})
		w.users = append(w.users, u)
		w.model.names[u.id] = record.Name
	}
	if err := w.core.dir.Apply(ops); err != nil {
		w.fail("the directory refused the users: %v", err)
	}
}

func (w *world) nextID() wire.Snowflake {
	w.last += 1 + wire.Snowflake(w.rng.IntN(5))<<22
	return w.last
}

// mark is a number that no other event has.
func (w *world) mark() int {
	w.marks++
	return w.marks
}

// chance is true once in n times.
func (w *world) chance(n int) bool { return w.rng.IntN(n) == 0 }

// fail ends the run. It keeps the first reason: what follows may follow from it. It does not panic,
// since the node would recover from that.
func (w *world) fail(format string, args ...any) {
	if w.err == nil {
		w.err = fmt.Errorf("step %d: "+format, append([]any{w.steps}, args...)...)
	}
}

func (w *world) submit(_ messageKind, job func()) bool {
	if w.opts.busy && !w.calm && w.chance(8) {
		return false
	}
	w.jobs = append(w.jobs, job)
	return true
}

// runLoop is what wakes a loop in the driver: one pass.
func (w *world) runLoop(i int) {
	if w.loops[i].ready {
		w.loops[i].ready = false
		w.core.loops[i].pass()
		if w.core.loops[i].board.Busy() {
			w.count("passes cut short")
		}
	}
}

// runShard lets a shard work through its inbox. Each message is told to the model when the shard
// comes to it, which may be later than this, when the guild has to be loaded first.
func (w *world) runShard(i int) {
	if !w.shards[i].ready {
		return
	}
	s := w.core.shards[i]
	for k, m := range s.inbox.waiting {
		switch m := m.(type) {
		case *simSpy, *guildLoaded, *eachGuild, *fence, *shardTick:
		case *errandBatch:
			w.spyErrands(m)
		default:
			s.inbox.waiting[k] = &simSpy{w.travelled(m), w}
		}
	}
	w.shards[i].ready = s.pass()
}

// travelled is what a session asks as it comes when another node has the guild.
func (w *world) travelled(m guildMessage) guildMessage {
	packed, travels := appendAsk(nil, m)
	if !travels {
		return m
	}
	there, err := parseAsk(packed)
	if err != nil {
		w.fail("%T does not travel: %v", m, err)
		return m
	}
	w.count("asks that travelled")
	return there
}

// simSpy tells the model of a message at the moment at which its guild sees it.
type simSpy struct {
	guildMessage
	w *world
}

func (m *simSpy) apply(s *shard, g *fanout.Guild) {
	switch v := m.guildMessage.(type) {
	case *listsBuilt:
		m.w.count("member lists built")
	case *tickGuild:
		if v.goesOn {
			m.w.count("member lists in slices")
		}
	}
	m.w.model.observe(m.guildMessage, g)
	m.guildMessage.apply(s, g)
	if g != nil && g.Info().ClassesFreed > 0 {
		m.w.count("freed classes")
	}
	m.w.tallySteps()
}

func (m *simSpy) refuse(s *shard, err error) {
	m.w.model.refused(m.guildMessage, err)
	m.guildMessage.refuse(s, err)
}

// runJob does any of the jobs that wait: workers are several, so jobs overtake each other.
func (w *world) runJob() {
	if len(w.jobs) == 0 {
		return
	}
	i := w.rng.IntN(min(len(w.jobs), 4))
	job := w.jobs[i]
	w.jobs = append(w.jobs[:i], w.jobs[i+1:]...)
	job()
}

// runKeep writes a batch to the directory. There is one keeper, and it keeps the order.
func (w *world) runKeep() {
	if len(w.keeps) == 0 {
		return
	}
	n := 1 + w.rng.IntN(len(w.keeps))
	batch := w.keeps[:n]
	w.keeps = append([]kept(nil), w.keeps[n:]...)
	for _, k := range batch {
		if err := w.core.dir.Apply(k.ops); err != nil {
			w.fail("the directory refused a batch: %v", err)
		}
	}
	for _, k := range batch {
		k.done(nil)
	}
}

// runGone tells a loop that a connection has ended.
func (w *world) runGone() {
	if len(w.gone) == 0 {
		return
	}
	i := w.rng.IntN(len(w.gone))
	p := w.gone[i]
	if p.moving {
		return
	}
	w.gone = append(w.gone[:i], w.gone[i+1:]...)
	p.end()
}

// simLog takes the node's log: what it calls an error is one.
type simLog struct{ w *world }

func (simLog) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelError }
func (l simLog) WithAttrs([]slog.Attr) slog.Handler             { return l }
func (l simLog) WithGroup(string) slog.Handler                  { return l }

func (l simLog) Handle(_ context.Context, r slog.Record) error {
	text := r.Message
	r.Attrs(func(a slog.Attr) bool {
		text += fmt.Sprintf(" %s=%v", a.Key, a.Value)
		return true
	})
	l.w.fail("the node logged an error: %s", text)
	return nil
}

var errSimReset = errors.New("connection reset by peer")
