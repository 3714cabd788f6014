package node

import (
	"fmt"
	"strings"

	"throng/wire"
)

// simClient is a client with all its faults: it reads when it likes, loses its network, resumes or
// begins anew, and says wrong things now and then.
type simClient struct {
	w     *world
	index int
	user  simUser

	// What it asks for, the same in all its sessions.
	intents    wire.Intents
	hasIntents bool
	etf        bool
	zstd       bool
	version    int
	can        int // capabilities
	sharded    bool
	shard      [2]int

	pipe      *simPipe // nil while it has none
	id        string   // of the session, "" when it has none
	record    *simSession
	seq       uint32   // the last number it has got
	acked     uint32   // the last number it has sent in a heartbeat
	log       []string // what it has got, by number
	lostAt    int64    // when the session still had a connection, by its loop's clock
	lostWith  *simPipe
	mayBeGone string // why the session may have ended
	mustBeOut bool   // the session has ended for certain
	operated  string // the session that an operator was asked to end
	rival     bool   // a RESUME of it may still be under way on a connection it has given up
	beatDue   int64
	idleUntil int64
}

func (w *world) newClient() {
	r := w.rng
	c := &simClient{w: w, index: len(w.clients), user: w.users[r.IntN(len(w.users))]}
	if len(w.users) > 1000 {
		c.user = w.users[c.index%len(w.users)]
	}
	c.etf = r.IntN(3) == 0
	c.drawStream()
	c.version = 9 + r.IntN(2)
	c.can = []int{0, 1 << 11, 1 << 14, 1<<11 | 1<<14, 1734653}[r.IntN(5)]
	all := []wire.Intents{
		wire.IntentsBot, wire.IntentsBot, wire.IntentsBot &^ wire.IntentMessageContent,
		wire.IntentGuilds | wire.IntentGuildMessages, 0,
		wire.IntentGuildMessages | wire.IntentMessageContent | wire.IntentGuildPresences,
		wire.IntentGuilds | wire.IntentGuildMembers | wire.IntentGuildVoiceStates,
	}
	c.intents, c.hasIntents = all[r.IntN(len(all))], true
	if r.IntN(4) == 0 {
		c.intents = wire.Intents(r.Uint32()) & wire.IntentsBot
	}
	if !c.user.bot && r.IntN(2) == 0 {
		c.intents, c.hasIntents = wire.IntentsUser, false
	}
	if c.index < 2 {
		c.intents, c.hasIntents = wire.IntentsBot, true // There is somebody for everything.
	}
	if r.IntN(4) == 0 {
		c.sharded = true
		n := 1 + r.IntN(3)
		c.shard = [2]int{r.IntN(n), n}
	}
	w.clients = append(w.clients, c)
}

// connect opens a connection and sends the handshake; some clients say more before they have read
// HELLO.
func (c *simClient) connect() {
	p := c.w.open(c)
	encoding := "json"
	if c.etf {
		encoding = "etf"
	}
	if c.zstd {
		encoding += "&compress=zstd-stream"
	}
	p.write([]byte(fmt.Sprintf("GET /?v=%d&encoding=%s HTTP/1.1\r\nHost: sim\r\n"+
		"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", c.version, encoding)))
	if c.pipe != nil {
		c.w.orphans = append(c.w.orphans, c.pipe)
		c.lose(c.pipe)
	}
	c.pipe = p
	if c.w.chance(3) {
		c.greet(p)
	}
	c.beatDue = c.w.now + int64(c.w.rng.IntN(1500))
}

// greet resumes the session or begins one.
func (c *simClient) greet(p *simPipe) {
	if p.begun || p != c.pipe {
		return
	}
	p.begun = true
	if c.id != "" && (c.w.calm || !c.w.chance(10)) {
		c.resume(p)
		return
	}
	c.begin(p)
}

func (c *simClient) begin(p *simPipe) {
	c.forget()
	p.identify, p.expects = true, 0
	d := fmt.Sprintf(`{"token":"%s","properties":{"browser":"%s"}`, c.user.token,
		simPlatforms[c.w.rng.IntN(len(simPlatforms))].browser)
	if c.hasIntents {
		d += fmt.Sprintf(`,"intents":%d`, c.intents)
	}
	if c.can != 0 {
		d += fmt.Sprintf(`,"capabilities":%d`, c.can)
	}
	if c.sharded {
		d += fmt.Sprintf(`,"shard":[%d,%d]`, c.shard[0], c.shard[1])
	}
	if c.w.chance(3) {
		d += fmt.Sprintf(`,"presence":%s`, c.presence())
	}
	c.send(p, wire.OpIdentify, d+"}")
	p.begins = p.sent
}

func (c *simClient) resume(p *simPipe) {
	seq, token := c.seq, c.user.token
	p.resuming = true
	if !c.w.calm {
		switch c.w.rng.IntN(40) {
		case 0:
			seq, p.expects = seq+100_000, wire.CloseInvalidSeq
		case 1:
			token, p.expects = "of.nobody", wire.CloseAuthenticationFailed
		case 2, 3, 4:
			// What it had got after its last heartbeat, the client forgets.
			back := c.w.rng.IntN(int(seq-min(seq, c.acked)) + 1)
			seq -= uint32(back)
			if seq == 0 {
				seq = 1
			}
			c.seq = seq
		}
	}
	c.acked = max(c.acked, c.seq) // To resume after a number is to say that one has it.
	p.resumeAt = c.home().time
	c.send(p, wire.OpResume, fmt.Sprintf(`{"token":"%s","session_id":"%s","seq":%d}`,
		token, c.id, seq))
	p.begins = p.sent
}

// forget gives a session up.
func (c *simClient) forget() {
	c.id, c.record, c.seq, c.acked, c.log = "", nil, 0, 0, nil
	c.mayBeGone, c.mustBeOut, c.lostWith = "", false, nil
}

// home is the loop of the session.
func (c *simClient) home() *loop {
	id, _ := parseSessionID(c.id)
	place, _ := placeOf(id)
	return c.w.core.loops[place]
}

// noteBefore remembers the last number of a session that may be about to be resumed.
func (c *simClient) noteBefore(p *simPipe) {
	if !p.resuming || c.id == "" || p.socket == nil || p.socket.session != nil {
		return
	}
	id, _ := parseSessionID(c.id)
	if s := c.home().byID(id); s != nil {
		p.before, _, _ = c.home().out.Seqs(s.slot)
	}
}

// resumed checks that RESUMED took the number after all that the session had been given.
func (c *simClient) resumed(p *simPipe, s uint32) {
	switch {
	case s <= p.before && p.resuming:
		return // Of a resume whose connection was lost before the client heard of it.
	case !p.resuming || s != p.before+1:
		c.w.fail("%v: RESUMED has number %d, and %d was given before", p, s, p.before)
		return
	case c.mustBeOut:
		c.w.fail("%v: a session that has ended was resumed", p)
	}
	if old := c.lostWith; old != nil && old.endedAt > 0 {
		// A session ends at the first tick after its time, and the wheel may be a step late.
		l := c.w.core.limits
		if away := p.resumeAt - old.endedAt; old.loop == c.home() &&
			away > l.resumeMilli+l.stallMilli+2*l.tickMilli {
			c.w.fail("%v: resumed %d ms after the loss", p, away)
		}
	}
	p.resuming, p.live = false, true
	c.mayBeGone, c.lostWith = "", nil
}

// lose notes that the session is without a connection, as far as the client knows.
func (c *simClient) lose(p *simPipe) {
	if p != c.pipe {
		return
	}
	c.pipe = nil
	c.rival = c.rival || p.resuming
	if c.id == "" {
		return
	}
	if p.live {
		c.lostWith, c.lostAt = p, p.aliveAt
	} else if c.lostWith != nil {
		c.lostWith = p // The node may have resumed the session, and the client does not know.
	}
	if p.closing && p.ends {
		c.mayBeGone = "the client closed it"
	}
}

// cut is a loss of the network.
func (c *simClient) cut(p *simPipe) {
	p.sever()
	c.lose(p)
}

// invalid is Invalid Session: only when there is a reason.
func (c *simClient) invalid(p *simPipe) {
	switch {
	case p != c.pipe:
	case p.identify:
		if c.w.core.limits.identifyBuckets == 0 && !c.w.opts.busy {
			c.w.fail("%v: Invalid Session after IDENTIFY", p)
		}
		p.identify = false
	case !p.resuming:
		c.w.fail("%v: Invalid Session out of nowhere", p)
		return
	default:
		if why := c.goneFor(); why == "" {
			c.w.fail("%v: session %s of %d was refused after number %d (acknowledged %d)", p, c.id,
				c.index, c.seq, c.acked)
			return
		}
		p.resuming = false
	}
	if p != c.pipe {
		return
	}
	if c.w.calm || c.w.chance(2) {
		c.begin(p)
		return
	}
	c.forget()
	c.cut(p)
}

// goneFor is why the client's session may have ended, "" when it may not have.
func (c *simClient) goneFor() string {
	limits := &c.w.core.limits
	if c.mayBeGone != "" {
		return c.mayBeGone
	}
	if c.seq < c.acked {
		return "it said that it had got more than it has"
	}
	if c.operated == c.id {
		return "the operator ended it"
	}
	if c.lostWith != nil && c.home().time-c.lostAt >= limits.resumeMilli {
		return "it has expired"
	}
	if c.mayBeLost() {
		return "it has fallen behind"
	}
	if c.w.opts.busy && c.w.core.closes[NodeBusy].Load() > 0 {
		return "there was no worker for it"
	}
	if c.zstd && limits.contextBytes > 0 {
		return "what was unsent kept its connection from another kind of stream"
	}
	return ""
}

// mayBeLost says whether frames of the session may be gone: one of the journals has come round, or
// the session has had more frames than it may keep.
func (c *simClient) mayBeLost() bool {
	if c.home().out.Stats().Fill == 1 {
		return true
	}
	return c.record != nil && c.record.count+60 >= c.w.core.limits.pendingMax
}

// reconnect is op 7.
func (c *simClient) reconnect(p *simPipe) {
	if !c.w.away {
		c.w.fail("%v: op 7 out of nowhere", p)
	}
	if p == c.pipe && c.w.chance(2) {
		c.cut(p)
	}
}

// closedBy judges a close frame of the node.
func (c *simClient) closedBy(p *simPipe, code wire.CloseCode, reason string) {
	limits := &c.w.core.limits
	at := p.closingAt
	allowed := false
	switch {
	case p.closing:
		allowed = true // The echo of the client's own, or what crossed it.
		if p == c.pipe && p.ends && p.live && !p.resuming && code.EndsSession() {
			c.mustBeOut = true
		}
	case p.expects != 0 && code == p.expects:
		allowed = true
	case strings.HasPrefix(reason, "Reading too slowly"):
		allowed = at-p.tookAt >= limits.lagMilli || p.mayLag()
	case reason == "No heartbeat.":
		allowed = at-p.beatAt >= limits.deadMilli
	case reason == "The session was resumed on another connection.":
		allowed = p != c.pipe || c.rival
	case strings.HasPrefix(reason, "Neither IDENTIFY"),
		strings.HasPrefix(reason, "The token could"):
		allowed = at-p.openedAt >= limits.identifyMilli
	case reason == "Reconnect and resume.", reason == "The node is shutting down.":
		allowed = c.w.away
	case reason == "An operator ended the session.":
		allowed = c.operated == c.id || p != c.pipe
	case strings.HasPrefix(reason, "The node is too busy"):
		allowed = c.w.opts.busy
	case reason == "The node could not take the request now.":
		allowed = c.w.opts.busy
	}
	if !allowed {
		c.w.fail("%v: closed with %d %q", p, code, reason)
	}
	c.lose(p)
}

// mayLag says whether the session may be further behind than the journal allows.
func (p *simPipe) mayLag() bool {
	return p.loop.out.Stats().Fill >= 0.75
}

// eof judges an end without a close frame. A session may have had more frames than it may keep
// before its client has read READY, and who has not does not count.
func (c *simClient) eof(p *simPipe) {
	limits := &c.w.core.limits
	switch {
	case p.dropped, p.closing, p.short, p != c.pipe:
	case !p.upgraded && p.closedAt-p.openedAt >= limits.handshakeMilli:
	case p.mayLag(), c.id != "" && c.mayBeLost(), p.identify && limits.pendingMax <= pendingFew:
		c.w.count("sessions without a word lost")
	default:
		c.w.fail("%v: ended without a word, %d bytes into a frame", p, len(p.read))
	}
	c.lose(p)
}
