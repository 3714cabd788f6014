package load

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strconv"
	"time"

	"throng/wire"
)

// discord speaks the Discord gateway protocol as client libraries do: HELLO, IDENTIFY or RESUME,
// heartbeats of which the first comes at a random moment, and a connection without an answer to a
// heartbeat until the next is given up and made again.
type discord struct {
	// Static after construction.
	config *Config
}

// What an answer to a heartbeat begins with is not compressed, whatever the stream: it is looked
// for in so many bytes of a message, as JSON and as ETF have it.
var ackMarks = [...][]byte{[]byte(`{"op":11,`), []byte("op\x61\x0b")}

const ackMarkBytes = 48

func (d *discord) path(given string) string {
	u, err := url.Parse(given)
	if err != nil {
		return given
	}
	query := u.Query()
	if !query.Has("v") {
		query.Set("v", "10")
	}
	if !query.Has("encoding") {
		query.Set("encoding", d.config.Encoding.String())
	}
	if d.config.Compress != wire.CompressionNone {
		query.Set("compress", d.config.Compress.String())
	}
	u.RawQuery = query.Encode()
	return u.String()
}

// opened is called after the upgrade, when HELLO is still to come, and again when it is time to
// log in once more on the same socket.
func (d *discord) opened(l *loop, c *conn) {
	if !c.has(flagGreeted) {
		if d.config.Compress != wire.CompressionNone {
			c.more().inflater = newInflater(d.config.Compress)
		}
		return
	}
	d.login(l, c)
}

// login sends IDENTIFY, or RESUME where there is a session.
func (d *discord) login(l *loop, c *conn) {
	b := l.text[:0]
	user, shard := l.id(c), -1
	if d.config.Shards > 0 {
		user, shard = user/d.config.Shards, user%d.config.Shards
	}
	user %= d.config.Users
	token := fillToken(d.config.Token, user)
	if c.session != "" {
		b = append(b, `{"op":6,"d":{"token":`...)
		b = wire.AppendString(b, token)
		b = append(b, `,"session_id":`...)
		b = wire.AppendString(b, c.session)
		b = append(b, `,"seq":`...)
		b = strconv.AppendUint(b, uint64(c.seq), 10)
		c.flags |= flagResuming
		l.stats.resumed("asked")
	} else {
		b = append(b, `{"op":2,"d":{"token":`...)
		b = wire.AppendString(b, token)
		b = append(b, `,"intents":`...)
		b = strconv.AppendUint(b, uint64(d.config.Intents), 10)
		if shard >= 0 {
			b = fmt.Appendf(b, `,"shard":[%d,%d]`, shard, d.config.Shards)
		}
		b = append(b, `,"large_threshold":50,"properties":{"os":"linux",`+
			`"browser":"throng load","device":"throng load"}`...)
		if d.config.Capabilities != 0 {
			b = fmt.Appendf(b, `,"capabilities":%d`, d.config.Capabilities)
		}
		if d.config.Status != "" {
			b = append(b, `,"presence":{"since":null,"activities":[],"afk":false,"status":`...)
			b = append(wire.AppendString(b, d.config.Status), '}')
		}
		c.seq = 0
	}
	l.text = append(b, '}', '}')
	c.askedNano = l.clock()
	d.command(l, c, l.text)
}

// command sends a command that is given as JSON.
func (d *discord) command(l *loop, c *conn, json []byte) {
	if d.config.Encoding == wire.EncodingETF {
		term, err := wire.AppendETF([]byte{etfVersion}, json)
		if err != nil {
			l.lost(c, "etf")
			return
		}
		l.send(c, wire.OpcodeBinary, term)
		return
	}
	l.send(c, wire.OpcodeText, json)
}

// beat sends a heartbeat when one is due.
func (d *discord) beat(l *loop, c *conn) {
	switch {
	case c.state < stateOpen || c.state == stateEnding || c.has(flagFrozen):
		return
	case c.beatNano != 0 && !c.has(flagCounting|flagImpaired) && d.overdue(l, c):
		l.lost(c, "no heartbeat ack")
		return
	}
	generation := c.generation
	d.beatNow(l, c)
	if c.generation == generation {
		l.later(c, time.Duration(c.interval)*time.Millisecond, taskBeat)
	}
}

// overdue says whether a heartbeat's answer has been missing for long. The one that a server asks
// for when a session begins may have been sent just now.
func (d *discord) overdue(l *loop, c *conn) bool {
	return l.clock()-c.beatNano > int64(c.interval)*int64(time.Millisecond)/2
}

func (d *discord) beatNow(l *loop, c *conn) {
	l.text = append(l.text[:0], `{"op":1,"d":`...)
	if c.seq == 0 {
		l.text = append(l.text, "null"...)
	} else {
		l.text = strconv.AppendUint(l.text, uint64(c.seq), 10)
	}
	l.text = append(l.text, '}')
	c.beatNano = l.clock()
	l.stats.Heartbeats++
	d.command(l, c, l.text)
}

func (d *discord) message(l *loop, c *conn, payload []byte) {
	if c.has(flagCounting) {
		d.counted(l, c, payload)
		return
	}
	if c.extra != nil && c.extra.inflater != nil {
		text, err := c.extra.inflater.push(payload)
		if err != nil {
			l.lost(c, "inflate")
			return
		}
		payload = text
	}
	var e envelope
	var ok bool
	if d.config.Encoding == wire.EncodingETF {
		e, ok = scanETF(payload)
	} else {
		e, ok = scanJSON(payload)
	}
	if !ok {
		l.lost(c, "not a gateway payload")
		return
	}
	if e.op == int(wire.OpDispatch) {
		d.dispatch(l, c, &e, payload)
		return
	}
	d.control(l, c, wire.Op(e.op), payload)
}

// counted is a message of a compressed stream that nobody reads. What is not the answer to a
// heartbeat is taken for an event, and the sequence number is what was counted.
func (d *discord) counted(l *loop, c *conn, payload []byte) {
	head := payload[:min(len(payload), ackMarkBytes)]
	if c.beatNano != 0 && (bytes.Contains(head, ackMarks[0]) || bytes.Contains(head, ackMarks[1])) {
		c.beatNano = 0
		return
	}
	c.seq++
	l.stats.Dispatches++
	if c.awaiting > 0 {
		l.stats.GuildCreates++
		d.available(l, c)
		return
	}
	if c.state == stateReady {
		l.delivered(c, 0)
	}
}

func (d *discord) dispatch(l *loop, c *conn, e *envelope, payload []byte) {
	l.stats.Dispatches++
	switch {
	case e.seq == c.seq+1:
		c.seq = e.seq
	case e.seq > c.seq:
		l.stats.SequenceGaps++
		l.stats.SequenceMissing += uint64(e.seq - c.seq - 1)
		c.seq = e.seq
	default:
		l.stats.Duplicates++
	}
	switch string(e.name) {
	case "READY":
		d.welcomed(l, c, d.body(payload))
	case "RESUMED":
		d.resumed(l, c)
	case "GUILD_CREATE":
		l.stats.GuildCreates++
		d.available(l, c)
	case "GUILD_DELETE":
		d.available(l, c)
	default:
		var mark int64
		if d.config.Encoding == wire.EncodingETF {
			mark = l.mark.findETF(payload)
		} else {
			mark = l.mark.find(payload)
		}
		if mark != 0 {
			l.delivered(c, mark)
		}
	}
}

// body is d as JSON.
func (d *discord) body(payload []byte) []byte {
	if d.config.Encoding == wire.EncodingETF {
		json, err := wire.AppendJSON(nil, payload[1:], etfDepthMax)
		if err != nil {
			return nil
		}
		payload = json
	}
	body, _ := wire.Field(payload, "d")
	return body
}

// welcomed takes READY.
func (d *discord) welcomed(l *loop, c *conn, body []byte) {
	l.stats.Ready++
	l.stats.record(measureIdentify, l.now-c.askedNano)
	c.session, _ = wire.StringField(body, "session_id")
	c.awaiting = 0
	if d.config.Intents&wire.IntentGuilds != 0 {
		guilds, _ := wire.Field(body, "guilds")
		wire.EachElement(guilds, func([]byte) bool {
			c.awaiting++
			return true
		})
	}
	if c.awaiting == 0 {
		l.ready(c)
	}
	d.readOn(l, c)
}

// available takes one GUILD_CREATE, or a GUILD_DELETE in its place.
func (d *discord) available(l *loop, c *conn) {
	if c.awaiting == 0 {
		return
	}
	if c.awaiting--; c.awaiting == 0 {
		l.stats.record(measureAvailable, l.now-c.askedNano)
		l.ready(c)
	}
}

func (d *discord) resumed(l *loop, c *conn) {
	c.flags &^= flagResuming
	l.stats.resumed("resumed")
	l.stats.record(measureResume, l.now-c.askedNano)
	c.awaiting = 0
	l.ready(c)
	d.readOn(l, c)
}

// readOn decides whether a compressed stream is read any further.
func (d *discord) readOn(l *loop, c *conn) {
	if c.extra == nil || c.extra.inflater == nil || d.sampled(l, c) {
		return
	}
	c.extra.inflater.stop()
	c.extra.inflater = nil
	c.flags |= flagCounting
}

// sampled chooses connections whose compressed stream is read throughout. One always is.
func (d *discord) sampled(l *loop, c *conn) bool {
	id := l.id(c)
	return id == 0 || fraction(id, saltSample) < d.config.Sample
}

func (d *discord) door(r *run) (door, error) { return r.adminDoor(), nil }

func (d *discord) control(l *loop, c *conn, op wire.Op, payload []byte) {
	switch op {
	case wire.OpHello:
		d.greeted(l, c, d.body(payload))
	case wire.OpHeartbeatAck:
		if c.beatNano != 0 && !c.has(flagImpaired) {
			l.stats.record(measureHeartbeat, l.now-c.beatNano)
		}
		c.beatNano = 0
	case wire.OpHeartbeat:
		d.beatNow(l, c)
	case wire.OpReconnect:
		l.stats.closed("op 7")
		attempts := c.attempts
		l.drop(c)
		if l.run.config.NoReturn || attempts >= attemptsMax {
			l.give(c)
			return
		}
		c.attempts++
		l.again = append(l.again, c.slot)
	case wire.OpInvalidSession:
		if c.has(flagResuming) {
			c.flags &^= flagResuming
			l.stats.resumed("invalid")
		}
		if string(d.body(payload)) != "true" {
			c.session, c.seq = "", 0
		}
		// The documentation asks for one to five seconds.
		l.later(c, time.Second+time.Duration(rand.Int64N(int64(4*time.Second))), taskLogin)
	}
}

// greeted takes HELLO.
func (d *discord) greeted(l *loop, c *conn, body []byte) {
	interval, ok := wire.IntField(body, "heartbeat_interval")
	if !ok || interval < 1 || interval > 1<<31 {
		l.lost(c, "hello without an interval")
		return
	}
	if d.config.Heartbeat > 0 {
		interval = d.config.Heartbeat.Milliseconds()
	}
	c.interval = uint32(max(interval, 1))
	c.flags |= flagGreeted
	first := time.Duration(rand.Int64N(int64(c.interval))) * time.Millisecond
	l.later(c, first, taskBeat)
	d.login(l, c)
}
