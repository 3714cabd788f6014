package load

import (
	"math/rand/v2"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"throng/wire"
)

// state is how far a connection has come.
type state uint8

const (
	stateClosed     state = iota // Waits to be opened, or is gone.
	stateConnecting              // TCP.
	stateUpgrading               // The request is sent.
	stateOpen                    // A WebSocket that is not ready.
	stateReady                   // Everything that a client waits for has come.
	stateEnding                  // We sent a close frame.
)

// flags of a connection.
type flags uint8

const (
	flagSampled  flags = 1 << iota // Its compressed stream is read to the end.
	flagCounting                   // Its compressed stream is only counted.
	flagImpaired                   // Frozen or slow: what it gets is not taken as delivered.
	flagFrozen                     //
	flagResuming                   // RESUME was sent, RESUMED has not come.
	flagAway                       // It was cut and is not back.
	flagGone                       // It does not come back.
	flagGreeted                    // The first message of this socket has come.
)

// conn is one connection. There are a million of them: 112 bytes, and three pointers that are
// mostly nil.
type conn struct {
	fd         int32
	slot       uint32 // Its place in loop.conns.
	generation uint32 // Grows with each socket, so that what was about an old one is known.
	seq        uint32 // The last s that came.
	awaiting   uint32 // GUILD_CREATEs that are to come.
	interval   uint32 // Of heartbeats, in milliseconds.
	state      state
	flags      flags
	attempts   uint8 // In a row that did not become ready.

	// Nanoseconds since the start of the run.
	dialedNano int64
	askedNano  int64 // IDENTIFY or RESUME.
	beatNano   int64 // A heartbeat without an answer; 0: there is none.
	cutNano    int64

	session string
	rest    []byte // The beginning of a frame.
	extra   *extra
}

// extra is what few connections need.
type extra struct {
	inflater *inflater
	message  []byte // Fragments of a message, or the beginning of one in a stream of messages.
}

func (c *conn) has(f flags) bool { return c.flags&f != 0 }

func (c *conn) more() *extra {
	if c.extra == nil {
		c.extra = &extra{}
	}
	return c.extra
}

// id is the connection's number in the run.
func (l *loop) id(c *conn) int { return int(c.slot)*len(l.run.loops) + l.index }

// open dials.
func (l *loop) open(c *conn) {
	id := l.id(c)
	target := l.run.targets[id%len(l.run.targets)]
	if n := len(l.run.others); c.attempts > 0 && n > 0 {
		target = l.run.others[(id+int(c.attempts))%n]
	}
	fd, err := dial(l.run.source(id, target), target, int(l.run.config.ReceiveBuffer))
	c.dialedNano = l.clock()
	c.generation++
	l.opening++
	c.state, c.fd = stateConnecting, fd
	if err == nil {
		err = l.poll.add(c, interestWrite)
	}
	if err != nil {
		l.lost(c, errorName(err))
	}
}

// source is the loopback address that a connection comes from.
func (r *run) source(id int, target netip.AddrPort) netip.AddrPort {
	if !target.Addr().IsLoopback() {
		return netip.AddrPort{}
	}
	n := uint32(0x7f000002) + uint32(id/r.config.ConnectionsPerSource)
	return netip.AddrPortFrom(netip.AddrFrom4(
		[4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}), 0)
}

// connected sends the upgrade once TCP has connected.
func (l *loop) connected(c *conn) {
	if err := dialed(c.fd); err != nil {
		l.lost(c, errorName(err))
		return
	}
	c.state = stateUpgrading
	if err := l.poll.change(c, interestRead); err != nil {
		l.lost(c, errorName(err))
		return
	}
	l.write(c, l.run.request)
}

// write hands bytes to the socket. What a client says is little, so a socket that does not take
// all of it has a server behind it that stopped reading, and is given up.
func (l *loop) write(c *conn, b []byte) {
	n, err := unix.Write(int(c.fd), b)
	switch {
	case err != nil && err != unix.EAGAIN:
		l.lost(c, errorName(err))
	case n != len(b):
		l.lost(c, "unwritable")
	}
}

// send sends one frame.
func (l *loop) send(c *conn, opcode wire.Opcode, payload []byte) {
	var key [4]byte
	for i, n := 0, rand.Uint32(); i < len(key); i++ {
		key[i] = byte(n >> (8 * i))
	}
	l.out = wire.AppendMaskedFrame(l.out[:0], opcode, payload, key)
	l.write(c, l.out)
}

// ready notes that a connection has all it waits for.
func (l *loop) ready(c *conn) {
	if c.state != stateOpen {
		return
	}
	c.state, c.attempts = stateReady, 0
	l.opening--
	l.live++
	if c.has(flagAway) {
		c.flags &^= flagAway
		l.away--
		l.stats.record(measureBack, l.now-c.cutNano)
	}
}

// drop closes the socket and forgets what was about it.
func (l *loop) drop(c *conn) {
	switch c.state {
	case stateClosed:
		return
	case stateReady:
		l.live--
	case stateEnding:
	default:
		l.opening--
	}
	if c.fd >= 0 {
		_ = unix.Close(int(c.fd))
	}
	if c.extra != nil && c.extra.inflater != nil {
		c.extra.inflater.stop()
	}
	l.recycle(c.rest)
	c.state, c.fd, c.rest, c.extra = stateClosed, -1, nil, nil
	c.generation++
	c.beatNano = 0
	c.flags &= flagSampled | flagImpaired | flagFrozen | flagAway | flagGone
}

// attemptsMax in a row and a connection is given up.
const attemptsMax = 8

// lost is the end of a connection that we did not want: it is counted and, unless there is no
// point in it, made again after a moment.
func (l *loop) lost(c *conn, reason string) {
	if c.state == stateEnding {
		l.drop(c)
		return
	}
	if c.state < stateOpen {
		l.stats.ConnectFailures++
	}
	if c.has(flagResuming) {
		l.stats.resumed("closed")
	}
	l.stats.closed(reason)
	l.drop(c)
	if l.run.config.NoReturn || c.has(flagImpaired) || c.attempts >= attemptsMax {
		l.give(c)
		return
	}
	// As clients do: a moment that is not everybody's, and longer each time.
	span := time.Second << min(c.attempts, 5)
	c.attempts++
	l.later(c, time.Duration(rand.Int64N(int64(span))), taskDial)
}

// closedBy is the end by a close frame of the server.
func (l *loop) closedBy(c *conn, payload []byte) {
	code, _, err := wire.ParseClose(payload)
	if err != nil {
		l.lost(c, "protocol")
		return
	}
	if c.state != stateEnding {
		l.send(c, wire.OpcodeClose, payload[:min(2, len(payload))])
	}
	if !code.Resumable() {
		c.session, c.seq = "", 0
	}
	if code.Fatal() {
		c.attempts = attemptsMax
	}
	if c.state != stateClosed {
		l.lost(c, code.String())
	}
}

// give gives a connection up.
func (l *loop) give(c *conn) {
	if c.has(flagAway) {
		c.flags &^= flagAway
		l.away--
	}
	if !c.has(flagGone) {
		c.flags |= flagGone
		l.gone++
	}
}

// later sets a timer.
func (l *loop) later(c *conn, after time.Duration, what task) {
	l.timers.push(timer{l.clock() + int64(after), c.slot, c.generation, what})
}
