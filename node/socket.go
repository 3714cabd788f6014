package node

import (
	"sync/atomic"

	"throng/wire"
)

// transport is a socket as its driver offers it. All calls come from the loop's goroutine.
type transport interface {
	// Write writes what the kernel takes now; n < len(b) with a nil error means that it is full.
	// So do errHeld and errFull, with which what was taken is not all on its way: then Write is to
	// be called again, with nothing if there is nothing.
	Write(b []byte) (n int, err error)
	// Close ends the connection; the loop hears no more of it but ended.
	Close()
	// Move hands the connection to another loop, whose adopted is called with m; or, when m says
	// so, to another node, and to the loop when none takes it. The socket is this loop's no more.
	Move(to *loop, m *movedSocket)
	// Remote is the peer's address.
	Remote() string
	// Waiting is how many bytes the kernel holds that the peer has not taken.
	Waiting() int
	// Reset has Close drop what waits.
	Reset()
}

type socketState uint8

const (
	socketHandshaking socketState = iota
	socketHello                   // HELLO is sent, neither IDENTIFY nor RESUME has come
	socketIdentifying             // a worker looks the token up
	socketWaiting                 // the identify waits for its bucket
	socketLive
	socketClosing // a close frame is sent; only the peer's is waited for
	socketClosed
)

// socket is one connection.
type socket struct {
	// Static after construction.
	io   transport
	loop *loop

	// Owned by the loop goroutine.
	index       uint32
	gen         uint32
	state       socketState
	variant     wire.Variant // of the frames that it is given
	version     uint8
	compression wire.Compression // what it asked for
	told        bool             // op 7 has been sent
	holding     bool             // its transport has more to write before anything else
	pings       uint8
	commands    uint16
	zstd        wire.Stream // where a zstd stream's decoder is, behind what is written
	said        wire.Said   // what control adds to that
	parser      wire.Parser
	session     *session
	opening     *opening // until the session begins
	stream      *stream  // nil: frames are written as they are in the journal
	control     []byte   // frames other than dispatches that wait to be written
	deadline    int64
	window      int64 // start of the commands' window
	pingsAt     int64 // start of the pings' window
	stuck       int64 // since when the peer has taken nothing, 0 = it is not blocked
}

// opening is what a socket needs only until its session begins.
type opening struct {
	host     string    // what the client called this node, for resume_gateway_url
	identity *identity // socketWaiting: what begins when the bucket is free
	moved    bool      // it has been given its time anew once, on another loop
	far      bool      // it came from another node, and goes to none

	// Atomic: written by the loop, read by a worker. The connection has ended.
	gone atomic.Bool
}

// opened takes a new connection in.
func (l *loop) opened(io transport) *socket {
	k := &socket{io: io, loop: l}
	if n := len(l.unused); n > 0 {
		k.index = l.unused[n-1]
		l.unused = l.unused[:n-1]
	} else {
		k.index = uint32(len(l.sockets))
		l.sockets = append(l.sockets, nil)
		l.gens = append(l.gens, 0)
	}
	l.gens[k.index]++
	k.gen = l.gens[k.index]
	l.sockets[k.index] = k
	k.deadline = l.time + l.core.limits.handshakeMilli
	l.wheel.add(timer{index: k.index, gen: k.gen}, k.deadline)
	return k
}

// due gives a socket a new deadline. The entry that it has in the wheel finds one that is later;
// one that is earlier gets an entry of its own.
func (l *loop) due(k *socket, deadline int64) {
	if deadline < k.deadline {
		l.wheel.add(timer{index: k.index, gen: k.gen}, deadline)
	}
	k.deadline = deadline
}

// release forgets a socket. Its transport is closed, moved or about to be.
func (l *loop) release(k *socket) {
	if l.gens[k.index] != k.gen {
		return
	}
	k.state = socketClosed
	l.gens[k.index]++
	l.sockets[k.index] = nil
	l.unused = append(l.unused, k.index)
	l.dropContext(k)
	k.control, k.opening = nil, nil
}

// ended is called by the driver when the connection is gone, by the peer or after Close.
func (l *loop) ended(k *socket) {
	if k.state == socketClosed {
		return
	}
	if k.state != socketClosing {
		l.core.closes[ConnectionLost].Add(1)
		l.detach(k, ConnectionLost)
	}
	l.release(k)
}

// traffic works through what has arrived and says how much of it is done with; the rest comes
// again with what follows it. buf may be changed.
func (l *loop) traffic(k *socket, buf []byte) (consumed int) {
	for consumed < len(buf) {
		if k.state == socketClosed {
			return len(buf)
		}
		if k.state == socketHandshaking {
			n := l.handshake(k, buf[consumed:])
			if n == 0 {
				break
			}
			consumed += n
			continue
		}
		m, n, fault := k.parser.Next(buf[consumed:], l.core.limits.wire)
		if fault != nil {
			if k.state == socketClosing {
				l.hangUp(k)
				return len(buf)
			}
			l.closeSocket(k, reasonOf(fault.Code), fault.Reason)
			return len(buf)
		}
		if n == 0 {
			break
		}
		consumed += n
		if moved := l.message(k, m, buf[consumed:]); moved {
			return len(buf)
		}
	}
	if len(k.control) > 0 && k.state != socketClosed {
		l.write(k)
	}
	return consumed
}

// message acts on one WebSocket message. rest is what has arrived behind it, which goes along
// when the message moves the socket to another loop.
func (l *loop) message(k *socket, m wire.Message, rest []byte) (moved bool) {
	if k.state == socketClosing && m.Opcode != wire.OpcodeClose {
		return false
	}
	switch m.Opcode {
	case wire.OpcodeText, wire.OpcodeBinary:
		if l.echo != nil {
			l.echo(k, m)
			return false
		}
		return l.command(k, m, rest)
	case wire.OpcodePing:
		l.ping(k, m.Payload)
	case wire.OpcodeClose:
		l.peerClosed(k, m.Payload)
	}
	return false
}

// ping answers with a pong. RFC 6455 5.5.3 lets only the newest of several be answered, so while
// the socket takes nothing there is one pong waiting, not one per ping.
func (l *loop) ping(k *socket, payload []byte) {
	if l.time-k.pingsAt >= l.core.limits.pingsMilli {
		k.pingsAt, k.pings = l.time, 0
	}
	if k.pings++; int(k.pings) > l.core.limits.pingsMax {
		l.closeSocket(k, PingFlood, "Too many pings.")
		return
	}
	if k.stuck != 0 && len(k.control) > 0 {
		return
	}
	k.control = wire.AppendFrame(k.control, wire.OpcodePong, payload)
}

// peerClosed answers the peer's close frame (RFC 6455 5.5.1) and ends the connection. 1000 and
// 1001 end the session with it, but only when the client began: some libraries echo 1000 to a
// close of ours and then resume.
func (l *loop) peerClosed(k *socket, payload []byte) {
	if k.state == socketClosing {
		l.hangUp(k)
		return
	}
	code, _, _ := wire.ParseClose(payload)
	reason := ClientClosed
	if code.EndsSession() {
		reason = ClientDone
	}
	l.core.closes[reason].Add(1)
	k.state = socketClosing
	l.sayClose(k, code, "")
	l.detach(k, reason)
	l.hangUp(k)
}

// closeSocket ends a connection for a reason of ours. The socket lingers for the peer's close
// frame: closing it at once, with bytes unread, would make the kernel answer with a reset, and the
// peer would never see why.
func (l *loop) closeSocket(k *socket, r CloseReason, sentence string) {
	if k.state == socketClosed || k.state == socketClosing {
		return
	}
	l.core.closes[r].Add(1)
	code := closeRows[r].code
	if k.state == socketHandshaking || code == 0 {
		l.detach(k, r)
		l.hangUp(k)
		return
	}
	k.state = socketClosing
	if l.keepFrame(k) {
		l.sayClose(k, code, sentence)
		l.detach(k, r)
	} else {
		l.detach(k, r)
		l.hangUp(k)
	}
	if k.state == socketClosing {
		l.due(k, l.time+l.core.limits.lingerMilli)
	}
}

// keepFrame takes the rest of the dispatch that the socket is in the middle of from the session,
// which will go on elsewhere, since a close frame written now would be read as a part of it. It
// reports false when there is too much of it to keep for a peer that reads no more: that one is
// not told why.
func (l *loop) keepFrame(k *socket) bool {
	if k.session == nil || !l.out.Partial(k.session.slot) {
		return true
	}
	rest, ok := l.collect(k, nil, 0, 1)
	if !ok || len(rest) > l.core.limits.controlBytesMax {
		return false
	}
	// It counts as sent: a client that gets it resumes behind it, one that does not before it.
	l.out.Advance(k.session.slot, len(rest))
	k.control = append(rest, k.control...)
	return true
}

// sayClose writes a close frame, behind the frame that the socket may be in the middle of. What
// the kernel does not take now is not waited for.
//
// REQUIRES: k.state == socketClosing, so that no dispatch is written behind it; and the session, if
// any, is detached next.
func (l *loop) sayClose(k *socket, code wire.CloseCode, sentence string) {
	k.control = wire.AppendClose(k.control, code, sentence)
	l.write(k)
}

// hangUp closes the connection without another word.
func (l *loop) hangUp(k *socket) {
	if k.state == socketClosed {
		return
	}
	l.release(k)
	k.io.Close()
}

// expire acts on a deadline that has passed.
func (l *loop) expire(k *socket) {
	defer l.save(k, "deadline")
	switch k.state {
	case socketHandshaking:
		l.closeSocket(k, HandshakeTimeout, "")
	case socketHello:
		l.closeSocket(k, IdentifyTimeout, "Neither IDENTIFY nor RESUME came in time.")
	case socketIdentifying:
		l.closeSocket(k, NodeBusy, "The token could not be checked in time.")
	case socketWaiting:
		l.begin(k, k.opening.identity)
	case socketLive:
		switch {
		case k.told:
			l.closeSocket(k, Reconnected, "Reconnect and resume.")
		case k.session.resumedSeq != 0:
			// It is being sent what it missed, or is too slow for that, which checkLag finds.
			k.deadline = l.time + l.core.limits.deadMilli
		default:
			l.closeSocket(k, HeartbeatMissed, "No heartbeat.")
		}
	case socketClosing:
		l.hangUp(k)
	}
}
