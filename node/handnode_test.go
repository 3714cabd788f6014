package node

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"

	"throng/fanout"
	"throng/store"
	"throng/wire"
)

// handNode is loops and shards without poller, goroutine or clock: a test says who runs, and what
// time it is. Workers are a list of jobs, bounded as the real queue is.
type handNode struct {
	*core
	t      testing.TB
	dir    *countingDirectory
	now    int64
	awake  map[any]bool // loops and shards that were rung
	jobs   []func()
	jobMax int
	most   handMost
}

// handMost is the most there has been of what is bounded.
type handMost struct{ jobs, joining, reading int }

// countingDirectory counts how often each guild is read, and how many tokens are looked up.
type countingDirectory struct {
	store.Directory
	guilds map[uint64]int
	tokens atomic.Int64
}

func (d *countingDirectory) Guild(id uint64) ([]byte, error) {
	d.guilds[id]++
	return d.Directory.Guild(id)
}

func (d *countingDirectory) TokenUser(token string) (uint64, error) {
	d.tokens.Add(1)
	return d.Directory.TokenUser(token)
}

// newHandNode is a node of two loops and two shards over a directory that it knows nothing of yet.
func newHandNode(t testing.TB, dir store.Directory, tweaks ...func(*settings)) *handNode {
	t.Helper()
	cfg, err := Config{Journal: 8 << 20, InMemory: true}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	s := settingsOf(cfg)
	s.loopInboxMax = 1 << 30 // A shard cannot wait for a loop on the goroutine of both.
	for _, tweak := range tweaks {
		tweak(&s)
	}
	h := &handNode{t: t, now: 1, awake: map[any]bool{}, jobMax: 1 << 30,
		dir: &countingDirectory{Directory: dir, guilds: map[uint64]int{}}}
	c := newCore(s, slog.New(slog.DiscardHandler), h.dir)
	h.core = c
	c.clock = func() int64 { return h.now }
	c.wall = func() int64 { return 1e12 + h.now }
	ids := uint64(0)
	c.random = func(b []byte) {
		ids++
		binary.BigEndian.PutUint64(b, ids)
	}
	c.giveUp = func() {}
	c.submit = h.submit
	c.authenticate = func(token string) (wire.Snowflake, error) {
		id, err := h.dir.TokenUser(token)
		return wire.Snowflake(id), err
	}
	for i := range 2 {
		var l *loop
		ring := func() { h.awake[l] = true }
		l = newLoop(c, i, ring, ring)
		c.loops = append(c.loops, l)
		var s *shard
		s = newShard(c, i, func() { h.awake[s] = true })
		c.shards = append(c.shards, s)
	}
	c.placeGuilds()
	return h
}

func (h *handNode) submit(_ messageKind, job func()) bool {
	if len(h.jobs) >= h.jobMax {
		return false
	}
	h.jobs = append(h.jobs, job)
	h.most.jobs = max(h.most.jobs, len(h.jobs))
	return true
}

// turn lets every loop and shard that was rung have one pass. It reports whether there was one.
func (h *handNode) turn() (busy bool) {
	for _, l := range h.loops {
		if h.awake[l] {
			busy = true
			delete(h.awake, l)
			l.pass()
		}
	}
	joining, reading := 0, 0
	for _, l := range h.loops {
		joining += l.joining
	}
	for _, s := range h.shards {
		if h.awake[s] {
			busy = true
			h.awake[s] = s.pass()
		}
		reading += int(s.loads.holders())
	}
	h.most.joining, h.most.reading = max(h.most.joining, joining), max(h.most.reading, reading)
	return busy
}

// rest lets owners run until they have nothing to do; jobs stay where they are.
func (h *handNode) rest() {
	for h.turn() {
	}
}

// work does up to n jobs.
func (h *handNode) work(n int) {
	for ; n > 0 && len(h.jobs) > 0; n-- {
		job := h.jobs[0]
		h.jobs = h.jobs[1:]
		job()
	}
}

// settle lets everybody run until nobody has anything to do.
func (h *handNode) settle() {
	for h.rest(); len(h.jobs) > 0; h.rest() {
		h.work(1)
	}
	for i, l := range h.loops {
		if err := l.check(); err != nil {
			h.t.Fatalf("loop %d: %v", i, err)
		}
	}
	if n := h.panics.Load(); n > 0 {
		h.t.Fatalf("%d panics", n)
	}
}

// elapse lets time pass, with a tick whenever one is due.
func (h *handNode) elapse(milli int64) {
	for end := h.now + milli; h.now < end; {
		h.now = min(h.now+h.limits.tickMilli, end)
		for _, l := range h.loops {
			l.tick()
		}
		for _, s := range h.shards {
			s.ringTick()
		}
	}
}

// people puts users 1 to users into the directory, with the tokens of tokenOf.
func people(t testing.TB, dir store.Directory, users int) {
	t.Helper()
	var ops []store.Op
	for i := range users {
		id := uint64(i + 1)
		ops = append(ops, store.Op{Kind: store.OpPutUser, User: id, UserRecord: &store.User{ID: id,
			Name: "u", Bot: true, Doc: fmt.Sprintf(`{"id":"%d","username":"u","bot":true}`, id)}},
			store.Op{Kind: store.OpPutToken, User: id, Token: tokenOf(wire.Snowflake(id))})
	}
	if err := dir.Apply(ops); err != nil {
		t.Fatal(err)
	}
}

// putAway puts a guild into a directory, as a node that had it would have kept it.
func putAway(t testing.TB, dir store.Directory, users *store.Users, guild wire.Snowflake,
	members ...wire.Snowflake) {
	t.Helper()
	g := fanout.NewGuild(guild, users)
	change, err := g.Replace(guildDoc(guild), 1)
	if err != nil {
		t.Fatal(err)
	}
	ops := change.Ops
	for _, m := range members {
		ops = append(ops, store.Op{Kind: store.OpPutMember, Guild: uint64(guild),
			Member: store.MemberRecord{Member: store.Member{User: uint64(m)}}})
	}
	if err := dir.Apply(ops); err != nil {
		t.Fatal(err)
	}
}

// guildDoc is a guild with one channel.
func guildDoc(guild wire.Snowflake) []byte {
	return fmt.Appendf(nil,
		`{"name":"g","owner_id":"1","channels":[{"id":"%d","type":0,"name":"c"}]}`, guild+1)
}

// handClient is a client and its connection in one. It counts what it is sent, and keeps nothing.
type handClient struct {
	loop    *loop
	socket  *socket
	user    wire.Snowflake
	rest    []byte // of a frame that is not complete
	upgrade bool   // the response to the handshake has been read
	closed  bool
	ready   int
	guilds  int // GUILD_CREATE
	refused int // Invalid Session
	away    int // GUILD_DELETE
	code    wire.CloseCode
	hear    func(payload []byte) // of everything, when it is set
}

func (h *handNode) dial(loop int, user wire.Snowflake) *handClient {
	c := &handClient{loop: h.loops[loop], user: user}
	c.socket = c.loop.opened(c)
	c.loop.traffic(c.socket, []byte(upgradeRequest("/")))
	return c
}

func (c *handClient) say(text string) {
	c.loop.traffic(c.socket, frame(wire.OpcodeText, text))
	c.loop.afterTraffic()
}

func (c *handClient) identify() {
	c.say(fmt.Sprintf(`{"op":2,"d":{"token":"%s","intents":%d}}`, tokenOf(c.user),
		wire.IntentGuilds))
}

// leave closes the connection, and ends the session with it when the code is 1000.
func (c *handClient) leave(code int) {
	c.loop.traffic(c.socket, closeFrame(code))
}

func (c *handClient) Write(b []byte) (int, error) {
	n := len(b)
	if len(c.rest) > 0 {
		b = append(c.rest, b...)
	}
	if !c.upgrade {
		if _, after, ok := bytes.Cut(b, []byte("\r\n\r\n")); ok {
			b, c.upgrade = after, true
		}
	}
	for c.upgrade {
		head, size := serverFrame(b)
		if head == 0 || len(b) < head+size {
			break
		}
		c.read(wire.Opcode(b[0]&15), b[head:head+size])
		b = b[head+size:]
	}
	c.rest = nil
	if len(b) > 0 {
		c.rest = append(c.rest, b...)
	}
	return n, nil
}

// serverFrame is the length of a frame's header and of its payload; no header while it is cut.
func serverFrame(b []byte) (head, size int) {
	if len(b) < 2 {
		return 0, 0
	}
	switch size = int(b[1] & 127); {
	case size == 126 && len(b) >= 4:
		return 4, int(binary.BigEndian.Uint16(b[2:]))
	case size == 127 && len(b) >= 10:
		return 10, int(binary.BigEndian.Uint64(b[2:]))
	case size < 126:
		return 2, size
	}
	return 0, 0
}

func (c *handClient) read(op wire.Opcode, payload []byte) {
	if op == wire.OpcodeClose {
		c.code, _, _ = wire.ParseClose(payload)
		return
	}
	if c.hear != nil {
		c.hear(payload)
	}
	begins := payload[:min(len(payload), 48)]
	switch {
	case bytes.Contains(begins, []byte(`"READY"`)):
		c.ready++
	case bytes.Contains(begins, []byte(`"GUILD_CREATE"`)):
		c.guilds++
	case bytes.Contains(begins, []byte(`"GUILD_DELETE"`)):
		c.away++
	case bytes.Contains(begins, []byte(`"op":9`)):
		c.refused++
	}
}

func (c *handClient) Close()                 { c.closed = true }
func (*handClient) Move(*loop, *movedSocket) {}
func (*handClient) Remote() string           { return "test" }
func (*handClient) Waiting() int             { return 0 }
func (*handClient) Reset()                   {}
