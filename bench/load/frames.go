package load

import (
	"bytes"
	"encoding/binary"

	"throng/wire"
)

var (
	headEnd      = []byte("\r\n\r\n")
	headSwitched = []byte("HTTP/1.1 101 ")
)

// headBytesMax is the longest answer to an upgrade.
const headBytesMax = 16 << 10

// upgraded reads the answer to the upgrade and returns what it took.
func (l *loop) upgraded(c *conn, b []byte) int {
	end := bytes.Index(b, headEnd)
	if end < 0 {
		if len(b) > headBytesMax {
			l.lost(c, "http head too long")
		}
		return 0
	}
	head := b[:end+len(headEnd)]
	if !bytes.HasPrefix(head, headSwitched) {
		l.lost(c, "http "+string(head[min(9, len(head)):min(12, len(head))]))
		return 0
	}
	if !bytes.Contains(head, l.run.accept) {
		l.lost(c, "http 101 without our key")
		return 0
	}
	l.stats.Connects++
	l.stats.record(measureConnect, l.now-c.dialedNano)
	c.state = stateOpen
	l.dialect.opened(l, c)
	return len(head)
}

// consume takes whole frames off b and returns how many bytes that were.
func (l *loop) consume(c *conn, b []byte) int {
	generation, used := c.generation, 0
	if c.state == stateUpgrading {
		used = l.upgraded(c, b)
		if c.state == stateUpgrading {
			return used
		}
	}
	for c.generation == generation && len(b)-used >= 2 {
		header, size := 2, uint64(b[used+1]&0x7f)
		switch size {
		case 126:
			if len(b)-used < 4 {
				return used
			}
			header, size = 4, uint64(binary.BigEndian.Uint16(b[used+2:]))
		case 127:
			if len(b)-used < 10 {
				return used
			}
			header, size = 10, binary.BigEndian.Uint64(b[used+2:])
		}
		if size > readBytesMax {
			l.lost(c, "frame too long")
			return used
		}
		first, masked := b[used], b[used+1]&0x80 != 0
		if masked || first&0x70 != 0 {
			l.lost(c, "protocol")
			return used
		}
		end := used + header + int(size)
		if end > len(b) {
			return used
		}
		l.frame(c, first, b[used+header:end])
		used = end
	}
	return used
}

// frame takes one frame, whose first octet says whether it ends a message and what it is.
func (l *loop) frame(c *conn, first byte, payload []byte) {
	final, opcode := first&0x80 != 0, wire.Opcode(first&0x0f)
	whole := opcode == wire.OpcodeText || opcode == wire.OpcodeBinary
	switch {
	case whole && final:
		l.message(c, payload)
	case opcode == wire.OpcodePing:
		l.send(c, wire.OpcodePong, payload)
	case opcode == wire.OpcodePong:
	case opcode == wire.OpcodeClose:
		l.closedBy(c, payload)
	case whole || opcode == wire.OpcodeContinuation:
		l.fragment(c, whole, final, payload)
	default:
		l.lost(c, "protocol")
	}
}

// fragment gathers a message that comes in pieces.
func (l *loop) fragment(c *conn, first, final bool, payload []byte) {
	x := c.more()
	if len(x.message)+len(payload) > readBytesMax {
		l.lost(c, "frame too long")
		return
	}
	if first {
		x.message = x.message[:0]
	}
	x.message = append(x.message, payload...)
	if final {
		message := x.message
		x.message = nil
		l.message(c, message)
	}
}

func (l *loop) message(c *conn, payload []byte) {
	if c.state == stateEnding {
		return
	}
	l.stats.Messages++
	l.dialect.message(l, c, payload)
}
