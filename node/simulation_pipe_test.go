package node

import (
	"fmt"
	"hash/crc32"
	"math"

	"throng/wire"
)

// simPipe is a connection: what a kernel and a network would hold between a client and the node.
type simPipe struct {
	w      *world
	client *simClient
	loop   *loop
	socket *socket

	in   []byte // sent by the client and not delivered
	rest []byte // delivered and not consumed
	out  []byte // written by the node and not read
	room int    // for out
	read []byte // read by the client, not a whole frame yet

	moving bool
	closed bool // by the node
	cut    bool // by the network: nothing goes through any more
	done   bool // the client has seen the end
	ended  bool // the loop has heard of the end

	// When what happened, by the clock of the loop.
	openedAt, closingAt, closedAt, endedAt int64
	tookAt                                 int64 // the client last made room
	beatAt                                 int64 // it was last heard of
	aliveAt                                int64 // it last had a session

	short           bool // the last write was short
	triedAt         int  // the last write was then, in ticks
	sent, delivered int
	beats           []int // where heartbeats end in what is sent
	begins          int   // where IDENTIFY or RESUME ends

	simTalk
}

func (w *world) open(c *simClient) *simPipe {
	l := w.core.loops[w.rng.IntN(len(w.core.loops))]
	p := &simPipe{w: w, client: c, loop: l, room: w.opts.roomBytes}
	p.openedAt, p.tookAt = l.time, l.time
	p.socket = l.opened(p)
	return p
}

// Write takes what there is room for, and now and then less.
func (p *simPipe) Write(b []byte) (n int, err error) {
	if p.closed || p.moving || p.ended {
		p.w.fail("%v: the node writes to a connection that is not its own", p)
	}
	p.triedAt = p.w.ticks
	k := p.socket
	if k != nil && k.state == socketClosing && p.closingAt == 0 {
		p.closingAt = p.loop.time
	}
	p.noteAlive()
	n = max(min(len(b), p.room-len(p.out)), 0)
	if n > 1 && !p.w.calm && p.w.chance(6) {
		n = 1 + p.w.rng.IntN(n)
	}
	if p.cut {
		if p.w.chance(2) {
			return 0, errSimReset
		}
		return n, nil
	}
	if n > 0 && p.closingAt == 0 {
		p.tookAt = p.loop.time
	}
	if p.short = n < len(b); p.short {
		p.w.count("short writes")
	}
	p.out = append(p.out, b[:n]...)
	return n, nil
}

// Close ends the connection; what is written still reaches the client.
func (p *simPipe) Close() {
	if p.closed {
		p.w.fail("%v: closed twice", p)
	}
	p.closed, p.closedAt = true, p.loop.time
	p.hangUp()
}

func (p *simPipe) hangUp() {
	for _, g := range p.w.gone {
		if g == p {
			return
		}
	}
	p.w.gone = append(p.w.gone, p)
}

// Move opens the connection on another loop, on a worker as the real driver does.
func (p *simPipe) Move(to *loop, m *movedSocket) {
	p.moving, p.rest = true, nil
	p.w.count("moves to another loop")
	ok := p.w.core.submit(kindOpened, func() {
		p.moving, p.loop = false, to
		p.tookAt, p.beatAt = to.time, to.time
		p.openedAt = to.time + m.left - p.w.core.limits.identifyMilli
		var consumed int
		// The socket is known to the pipe only when adopted returns; writes come before.
		p.client.noteBefore(p)
		p.socket = nil
		p.socket, consumed = to.adopted(p, m)
		p.rest = append([]byte(nil), m.rest[consumed:]...)
		if p.closed {
			p.rest = nil
		}
		to.afterTraffic()
	})
	if !ok {
		p.w.core.dropStream(m.stream)
		p.moving, p.closed, p.dropped, p.socket = false, true, true, nil
		p.ended = true
	}
}

func (p *simPipe) Remote() string { return "sim" }
func (p *simPipe) Waiting() int   { return len(p.out) }
func (p *simPipe) Reset()         {}

func (p *simPipe) String() string {
	return fmt.Sprintf("connection of client %d", p.client.index)
}

// deliver brings some of what the client has sent to the loop.
func (p *simPipe) deliver(n int) {
	if p.moving || p.cut {
		return
	}
	n = min(n, len(p.in))
	chunk := p.in[:n]
	p.in = append([]byte(nil), p.in[n:]...)
	p.delivered += n
	if p.closed || p.ended || p.socket == nil {
		return
	}
	p.noteBeats()
	p.noteAlive()
	p.client.noteBefore(p)
	l, buf := p.loop, append(p.rest, chunk...)
	consumed := l.traffic(p.socket, buf)
	if p.moving || p.closed {
		p.rest = nil
	} else {
		p.rest = append([]byte(nil), buf[consumed:]...)
	}
	l.afterTraffic()
}

// noteAlive remembers when the connection was last seen to have a session.
func (p *simPipe) noteAlive() {
	if p.socket != nil && p.socket.session != nil {
		p.aliveAt = p.loop.time
	}
}

// noteBeats remembers when the node was last shown that the client lives.
func (p *simPipe) noteBeats() {
	if p.socket.state >= socketClosing {
		return
	}
	for len(p.beats) > 0 && p.beats[0] <= p.delivered {
		p.beats = p.beats[1:]
		p.beatAt = p.loop.time
	}
	if p.begins > 0 && p.begins <= p.delivered {
		p.begins = math.MaxInt
		p.beatAt = p.loop.time
	}
}

// end tells the loop that the connection is gone.
func (p *simPipe) end() {
	if p.ended {
		return
	}
	p.ended = true
	p.endedAt = p.loop.time
	if p.socket != nil {
		p.loop.ended(p.socket)
	}
}

// sever is the network going away, or the client's machine.
func (p *simPipe) sever() {
	p.cut, p.done = true, true
	p.out, p.in = nil, nil
	if !p.closed && !p.ended {
		p.hangUp()
	}
}

// write sends bytes of the client.
func (p *simPipe) write(b []byte) {
	if p.cut {
		return
	}
	p.in = append(p.in, b...)
	p.sent += len(b)
}

// simFrame is a frame of the server.
type simFrame struct {
	opcode  wire.Opcode
	payload []byte
}

// take reads n bytes of what the node has written, and gives each whole frame to the client.
func (p *simPipe) take(n int) {
	n = min(n, len(p.out))
	p.w.sum(p.out[:n])
	p.read = append(p.read, p.out[:n]...)
	p.out = append(p.out[:0], p.out[n:]...)
	for !p.done && p.w.err == nil {
		if !p.upgraded {
			if !p.upgrade() {
				break
			}
			continue
		}
		f, size, fault := parseServerFrame(p.read)
		if fault != "" {
			p.w.fail("%v: %s in %.60q", p, fault, p.read)
			return
		}
		if size == 0 {
			break
		}
		p.read = p.read[size:]
		p.client.frame(p, f)
	}
	if p.closed && len(p.out) == 0 && !p.done && p.w.err == nil {
		p.done = true
		p.client.eof(p)
	}
}

// upgrade reads the answer to the handshake.
func (p *simPipe) upgrade() bool {
	for i := 0; i+4 <= len(p.read); i++ {
		if string(p.read[i:i+4]) != "\r\n\r\n" {
			continue
		}
		if string(p.read[:12]) != "HTTP/1.1 101" {
			p.w.fail("%v: the handshake was answered with %.40q", p, p.read)
		}
		p.read = p.read[i+4:]
		p.upgraded = true
		return true
	}
	return false
}

// parseServerFrame reads a frame as a client does: whole, not masked, no reserved bit (RFC 6455
// 5.1, 5.2). It is not the code of package wire, which wrote the frame.
func parseServerFrame(b []byte) (f simFrame, size int, fault string) {
	if len(b) < 2 {
		return f, 0, ""
	}
	if b[0]&0xf0 != 0x80 {
		return f, 0, "a frame that is not final, or has reserved bits"
	}
	if b[1]&0x80 != 0 {
		return f, 0, "a masked frame"
	}
	f.opcode = wire.Opcode(b[0] & 0xf)
	length, at := int(b[1]), 2
	for wide := map[int]int{126: 2, 127: 8}[length]; wide > 0; wide-- {
		if at == 2 {
			length = 0
		}
		if at >= len(b) {
			return f, 0, ""
		}
		length = length<<8 | int(b[at])
		at++
	}
	if length > 1<<24 {
		return f, 0, "a frame of impossible length"
	}
	if len(b) < at+length {
		return f, 0, ""
	}
	f.payload = b[at : at+length]
	return f, at + length, ""
}

// sum adds bytes to the checksum of the run, by which two runs are compared.
func (w *world) sum(b []byte) {
	w.checksum = crc32.Update(w.checksum, castagnoli, b)
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)
