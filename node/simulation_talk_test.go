package node

import (
	"fmt"
	"strconv"

	"throng/wire"
)

// simTalk is what a client knows of one of its connections.
type simTalk struct {
	upgraded bool
	hello    bool
	begun    bool // IDENTIFY or RESUME is sent
	resuming bool // RESUME is sent and RESUMED has not come
	identify bool // IDENTIFY is sent and READY has not come
	live     bool
	acks     int // heartbeats without an answer
	perhaps  int // of these may have had one: see relearns
	pings    []string
	last     uint32         // the last number that came here, 0 before the first
	expects  wire.CloseCode // what the client has deserved
	closing  bool           // the client has sent a close frame
	ends     bool           // with a code that ends the session
	dropped  bool           // lost on the way to another loop
	resumeAt int64          // when RESUME was sent, by the clock of the session's loop
	before   uint32         // the last number of the session when RESUME came to its loop
	stream   simDecoder
}

// frame acts on a frame of the server.
func (c *simClient) frame(p *simPipe, f simFrame) {
	switch f.opcode {
	case wire.OpcodeText, wire.OpcodeBinary:
		if (f.opcode == wire.OpcodeBinary) != (c.etf || c.zstd) {
			c.w.fail("%v: opcode %v", p, f.opcode)
			return
		}
		text := f.payload
		if c.zstd {
			var err error
			if text, err = p.stream.message(text); err != nil {
				c.w.fail("%v: a stream that cannot be read: %v", p, err)
				return
			}
			c.w.count("messages of zstd streams")
		}
		c.payload(p, text)
	case wire.OpcodeClose:
		code, reason, fault := wire.ParseClose(f.payload)
		if fault != nil {
			c.w.fail("%v: a close frame that is none: %v", p, fault)
			return
		}
		p.done = true
		c.closedBy(p, code, reason)
		p.hangUpByClient()
	case wire.OpcodePong:
		for len(p.pings) > 0 && p.pings[0] != string(f.payload) {
			p.pings = p.pings[1:]
		}
		if len(p.pings) == 0 {
			c.w.fail("%v: a pong without its ping: %q", p, f.payload)
		}
	default:
		c.w.fail("%v: opcode %v", p, f.opcode)
	}
}

// hangUpByClient is the client's end after it has read a close frame.
func (p *simPipe) hangUpByClient() {
	p.out = nil
	if !p.closed {
		p.write(wire.AppendMaskedFrame(nil, wire.OpcodeClose, []byte{3, 232}, [4]byte{1, 2, 3, 4}))
		p.hangUp()
	}
}

// payload acts on a gateway payload.
func (c *simClient) payload(p *simPipe, text []byte) {
	if c.etf {
		if len(text) == 0 || text[0] != 131 {
			c.w.fail("%v: not an external term: %.20q", p, text)
			return
		}
		var err error
		if text, err = wire.AppendJSON(nil, text[1:], 64); err != nil {
			c.w.fail("%v: a term that cannot be read: %v", p, err)
			return
		}
	}
	op, ok := wire.IntField(text, "op")
	d, _ := wire.Field(text, "d")
	if !ok || d == nil {
		c.w.fail("%v: a payload without op or d: %.100q", p, text)
		return
	}
	if !p.hello && op != int64(wire.OpHello) {
		c.w.fail("%v: op %d before HELLO", p, op)
		return
	}
	switch wire.Op(op) {
	case wire.OpDispatch:
		name, _ := wire.StringField(text, "t")
		s, ok := wire.IntField(text, "s")
		if !ok || s < 1 {
			c.w.fail("%v: %s without a number", p, name)
			return
		}
		c.dispatch(p, name, uint32(s), d)
	case wire.OpHello:
		if p.hello {
			c.w.fail("%v: HELLO twice", p)
		}
		p.hello = true
		c.greet(p)
	case wire.OpHeartbeatAck:
		if p.relearns(text) {
			c.w.count("streams taken over from compressors")
			p.perhaps++
			break
		}
		if p.acks--; p.acks < 0 {
			c.w.fail("%v: an answer to no heartbeat", p)
		}
	case wire.OpHeartbeat:
		c.beat(p)
	case wire.OpReconnect:
		c.reconnect(p)
	case wire.OpInvalidSession:
		c.invalid(p)
	default:
		c.w.fail("%v: op %d", p, op)
	}
}

// dispatch checks the numbers, and gives what is new to the session's record.
func (c *simClient) dispatch(p *simPipe, name string, s uint32, d []byte) {
	if p.last != 0 && s != p.last+1 {
		c.w.fail("%v: %s has number %d after %d", p, name, s, p.last)
		return
	}
	p.last = s
	if p != c.pipe {
		return // A connection that this client has given up; the session goes on elsewhere.
	}
	if p.identify {
		c.ready(p, name, s, d)
		return
	}
	if c.id == "" || s != c.seq+1 {
		c.w.fail("%v: %s has number %d, and the client has got %d", p, name, s, c.seq)
		return
	}
	c.seq = s
	c.w.count("dispatches compared")
	digest := c.w.digestOf(name, d)
	if s <= uint32(len(c.log)) {
		if c.log[s-1] != digest {
			c.w.fail("%v: number %d was %s, and is %s the second time", p, s, c.log[s-1], digest)
		}
		return
	}
	c.log = append(c.log, digest)
	switch {
	case name == "RESUMED":
		c.resumed(p, s)
	case name == "READY":
		c.w.fail("%v: READY twice", p)
	default:
		c.record.take(p, name, digest, d)
	}
}

// ready begins a session.
func (c *simClient) ready(p *simPipe, name string, s uint32, d []byte) {
	if name != "READY" || s != 1 {
		c.w.fail("%v: %s, number %d, in the place of READY", p, name, s)
		return
	}
	p.identify, p.live = false, true
	c.id, _ = wire.StringField(d, "session_id")
	user, _ := wire.Field(d, "user")
	id, _ := wire.SnowflakeField(user, "id")
	v, _ := wire.IntField(d, "v")
	shard, _ := wire.Field(d, "shard")
	want := ""
	if c.sharded {
		want = fmt.Sprintf("[%d,%d]", c.shard[0], c.shard[1])
	}
	if id != c.user.id || v != int64(c.version) || string(shard) != want {
		c.w.fail("%v: READY of user %d, version %d, shard %s", p, id, v, shard)
	}
	c.record = c.w.model.session(c.id)
	c.record.client = c
	c.record.name, _ = wire.StringField(user, "username")
	c.seq, c.acked, c.log = 1, 0, []string{c.w.digestOf(name, d)}
	c.mayBeGone = ""
	guilds, _ := wire.Field(d, "guilds")
	wire.EachElement(guilds, func(raw []byte) bool {
		g, _ := wire.SnowflakeField(raw, "id")
		if c.sharded && int(g>>22)%c.shard[1] != c.shard[0] {
			c.w.fail("%v: READY has guild %d, which is another shard's", p, g)
		}
		c.record.promised = append(c.record.promised, g)
		return true
	})
}

// send sends a gateway command, masked, and now and then in two fragments.
func (c *simClient) send(p *simPipe, op wire.Op, d string) {
	text := []byte(`{"op":` + strconv.Itoa(int(op)) + `,"d":` + d + `}`)
	opcode := wire.OpcodeText
	if c.etf {
		opcode = wire.OpcodeBinary
		term, err := wire.AppendETF([]byte{131}, text)
		if err != nil {
			c.w.fail("a command that ETF cannot carry: %v", err)
		}
		text = term
	}
	r := c.w.rng
	key := [4]byte{byte(r.Uint32()), byte(r.Uint32()), byte(r.Uint32()), byte(r.Uint32())}
	b := wire.AppendMaskedFrame(nil, opcode, text, key)
	if c.w.chance(10) && len(text) > 1 {
		cut := 1 + r.IntN(len(text)-1)
		b = wire.AppendMaskedFrame(nil, opcode, text[:cut], key)
		b[0] &^= 0x80
		b = append(b, wire.AppendMaskedFrame(nil, wire.OpcodeContinuation, text[cut:], key)...)
	}
	p.write(b)
}

// beat sends a heartbeat with what the client has got.
func (c *simClient) beat(p *simPipe) {
	d := "null"
	if p == c.pipe && c.id != "" && p.live && c.seq > 0 {
		said := c.seq
		if !c.w.calm && c.w.chance(30) {
			said += 1 + uint32(c.w.rng.IntN(20)) // It has not got that.
		}
		d = strconv.Itoa(int(said))
		c.acked = max(c.acked, said)
	}
	c.send(p, wire.OpHeartbeat, d)
	p.acks++
	p.beats = append(p.beats, p.sent)
	c.beatDue = c.w.now + 500 + int64(c.w.rng.IntN(1500))
}

// sendClose sends a close frame.
func (c *simClient) sendClose(p *simPipe, code wire.CloseCode) {
	var payload []byte
	if code != wire.CloseNoStatus {
		payload = []byte{byte(code >> 8), byte(code)}
	}
	p.write(wire.AppendMaskedFrame(nil, wire.OpcodeClose, payload, [4]byte{7, 7, 7, 7}))
	p.closing, p.ends = true, code.EndsSession()
}
