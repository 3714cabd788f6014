package node

import (
	"fmt"

	"throng/wire"
)

// act lets a client do something.
func (c *simClient) act() {
	p, r := c.pipe, c.w.rng
	if p == nil {
		if r.IntN(4) == 0 {
			c.connect()
		}
		return
	}
	if p.done {
		c.lose(p)
		return
	}
	switch what := r.IntN(1000); {
	case c.w.now < c.idleUntil:
		p.deliver(r.IntN(200))
	case what < c.w.opts.cuts:
		c.leave(p)
	case what < 25 && p.resuming && !p.closing:
		c.connect() // It does not wait for an answer.
	case what < 30 && p.live && !p.closing:
		c.misbehave(p)
	case what < 400:
		p.deliver(r.IntN(1 + r.IntN(400)))
	case what < 880:
		p.take(r.IntN(1 + r.IntN(4000)))
	case c.w.now >= c.beatDue && p.hello && !p.closing:
		c.beat(p)
	case what < 950 && p.live && !p.closing && p.expects == 0:
		c.ask(p)
	case what < 955:
		c.idleUntil = c.w.now + int64(r.IntN(6000))
	case what < 960 && p.hello && !p.closing:
		text := fmt.Sprint("ping", c.w.mark())
		p.pings = append(p.pings, text)
		p.write(wire.AppendMaskedFrame(nil, wire.OpcodePing, []byte(text), [4]byte{9, 8, 7, 6}))
	default:
		p.deliver(len(p.in))
		p.take(len(p.out))
	}
}

// leave ends the connection, or the client's interest in it.
func (c *simClient) leave(p *simPipe) {
	switch c.w.rng.IntN(6) {
	case 0, 1, 2:
		c.cut(p)
	case 3:
		if p.upgraded && !p.closing {
			codes := []wire.CloseCode{1000, 1001, 4000, 4900, 1012, wire.CloseNoStatus}
			c.sendClose(p, codes[c.w.rng.IntN(len(codes))])
		}
	case 4:
		if p.live {
			c.connect() // And the old connection stays open.
		}
	case 5:
		c.operator()
	}
}

// operator has the session closed, or asked to reconnect.
func (c *simClient) operator() {
	if c.id == "" {
		return
	}
	if c.w.chance(2) {
		c.operated = c.id
		_ = c.w.node.CloseSession(c.w.ctx, c.id)
		return
	}
	c.w.away = true
	_ = c.w.node.ReconnectSession(c.w.ctx, c.id)
}

// misbehave sends what the node has to refuse.
func (c *simClient) misbehave(p *simPipe) {
	if p.expects != 0 || !c.w.chance(6) {
		return
	}
	switch c.w.rng.IntN(4) {
	case 0:
		c.send(p, 99, "null")
		p.expects = wire.CloseUnknownOpcode
	case 1:
		c.send(p, wire.OpIdentify, `{"token":"x","intents":0,"properties":{}}`)
		p.expects = wire.CloseAlreadyAuthenticated
	case 2:
		c.send(p, wire.OpRequestGuildMembers, `{"guild_id":true}`)
		p.expects = wire.CloseDecode
	case 3:
		p.write([]byte{0x81, 0x01, 'x'}) // Not masked.
		p.expects = wire.CloseProtocolError
	}
}

// ask sends a command that the node answers, or passes on.
func (c *simClient) ask(p *simPipe) {
	r := c.w.rng
	g := c.w.model.guilds[r.IntN(len(c.w.model.guilds))]
	what := r.IntN(7)
	if !c.user.bot && r.IntN(3) > 0 {
		what = 6
	}
	if len(g.members) > simMembersShown && r.IntN(2) == 0 {
		what = 4
	}
	switch what {
	case 0, 1:
		c.send(p, wire.OpPresenceUpdate, c.presence())
	case 2, 3:
		channel := "null"
		if ch := g.someChannel(); ch != nil && r.IntN(4) > 0 {
			channel = fmt.Sprintf(`"%d"`, ch.id)
		}
		c.send(p, wire.OpVoiceStateUpdate, fmt.Sprintf(
			`{"guild_id":"%d","channel_id":%s,"self_mute":%t,"self_deaf":false}`, g.id, channel,
			r.IntN(2) == 0))
	case 4:
		nonce := fmt.Sprint("n", c.w.mark())
		whom := `"query":"","limit":0`
		if r.IntN(3) > 0 && len(g.members) <= simMembersShown {
			whom = fmt.Sprintf(`"user_ids":["%d","%d"]`, c.w.users[r.IntN(len(c.w.users))].id,
				c.w.users[r.IntN(len(c.w.users))].id)
		}
		c.send(p, wire.OpRequestGuildMembers, fmt.Sprintf(
			`{"guild_id":"%d",%s,"presences":%t,"nonce":"%s"}`, g.id, whom, r.IntN(2) == 0, nonce))
	case 5:
		c.send(p, wire.OpRequestSoundboardSounds, fmt.Sprintf(`{"guild_ids":["%d"]}`, g.id))
	case 6:
		c.subscribe(p, g)
	}
}

func (c *simClient) presence() string {
	r := c.w.rng
	status := []string{"online", "idle", "dnd", "invisible", "offline"}[r.IntN(5)]
	activities := "[]"
	if r.IntN(2) == 0 {
		activities = fmt.Sprintf(`[{"name":"said %d","type":0}]`, c.w.mark())
	}
	return fmt.Sprintf(`{"since":null,"activities":%s,"status":"%s","afk":false}`,
		activities, status)
}

// step lets somebody run.
func (w *world) step() {
	r := w.rng
	w.steps++
	w.now += int64(r.IntN(5))
	if w.chance(400) {
		// Nobody has anything to do for a while.
		w.now += int64(r.IntN(900))
		for _, l := range w.core.loops {
			w.tick(l)
		}
	}
	if w.chance(60) {
		w.nap()
	}
	switch what := r.IntN(100); {
	case what < 22:
		i := r.IntN(len(w.loops))
		if w.loops[i].asleep < w.steps {
			w.runLoop(i)
		}
	case what < 34:
		i := r.IntN(len(w.shards))
		if w.shards[i].asleep < w.steps {
			w.runShard(i)
		}
	case what < 35:
		w.core.shards[r.IntN(len(w.shards))].ringTick()
	case what < 39:
		if i := r.IntN(len(w.loops)); w.loops[i].asleep < w.steps {
			w.tick(w.core.loops[i])
		}
		w.courier.ready = w.courier.ready || w.late
	case what < 47:
		if w.workers.asleep < w.steps {
			w.runJob()
		}
	case what < 53:
		if w.keeper.asleep < w.steps {
			w.runKeep()
		}
		w.runCourier()
	case what < 56:
		w.runGone()
	case what < 58:
		w.readOrphan()
	case what < 58+w.opts.backend:
		w.backend()
	default:
		for range 1 + len(w.clients)/5 {
			w.clients[r.IntN(len(w.clients))].act()
		}
	}
}

// nap takes the processor from one of the node's goroutines for a while.
func (w *world) nap() {
	until := w.steps + w.rng.IntN(250)
	switch i := w.rng.IntN(8); i {
	case 0, 1, 2:
		w.loops[i].asleep = until
	case 3, 4:
		w.shards[i-3].asleep = until
	case 5:
		w.workers.asleep = until
	case 6:
		w.keeper.asleep = until
	case 7:
		w.courier.asleep = until
	}
}

// readOrphan lets a client read, and in the end close, a connection that it has replaced.
func (w *world) readOrphan() {
	if len(w.orphans) == 0 {
		return
	}
	i := w.rng.IntN(len(w.orphans))
	p := w.orphans[i]
	p.deliver(len(p.in))
	p.take(w.rng.IntN(4000))
	if !p.done && w.chance(20) {
		p.sever()
	}
	if p.done {
		w.orphans = append(w.orphans[:i], w.orphans[i+1:]...)
	}
}
