package conformance

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"

	"throng/wire"
)

// Drive runs a case against a server that is a function: it takes some of the client's octets,
// and returns what it says to them and whether the connection is still open. chop is the size of
// the pieces; 0 is what the case says, and a negative one draws sizes at random, seeded by it.
// The error says why the verdict is Failed or NonStrict.
func Drive(c Case, chop int, server func(in []byte) (out []byte, open bool)) (Verdict, error) {
	var t transcript
	send := func(s Step) {
		for piece := range pieces(s, chop, 0) {
			if t.over() {
				return
			}
			out, open := server(slices.Clone(piece))
			t.take(out)
			t.dropped = !open
		}
	}
	for _, s := range c.Steps {
		send(s)
		if !t.reached(s.Await) {
			t.late = true
		}
	}
	if c.Closing == ClosingByClient && t.reached(len(c.Replies)) {
		send(goodbye())
	}
	return c.grade(&t)
}

func goodbye() Step { return step(closeFrame(wire.CloseNormal, "")) }

// pieces cuts a step's octets. With fine > 0 only that many octets are cut as small as chop says.
func pieces(s Step, chop, fine int) func(yield func([]byte) bool) {
	size, random := chop, (*rand.Rand)(nil)
	switch {
	case chop == 0:
		size = s.Chop
	case chop < 0:
		random = rand.New(rand.NewPCG(uint64(-chop), uint64(len(s.Bytes))))
	}
	return func(yield func([]byte) bool) {
		rest, sent := s.Bytes, 0
		for len(rest) > 0 {
			n := size
			if random != nil {
				n = 1 + random.IntN(1+random.IntN(1460))
			}
			if n <= 0 {
				n = len(rest)
			}
			if fine > 0 && sent >= fine {
				n = max(n, coarse)
			}
			n = min(n, len(rest))
			if !yield(rest[:n]) {
				return
			}
			rest, sent = rest[n:], sent+n
		}
	}
}

// coarse is the size of pieces after those that had to be fine.
const coarse = 997

// transcript is what the client has heard.
type transcript struct {
	unread  []byte
	replies []Reply
	code    wire.CloseCode
	closed  bool  // A close frame came.
	dropped bool  // The connection is gone.
	late    bool  // Something came only after the client had sent more.
	linger  bool  // The server left it to the client to close the connection.
	fault   error // The server broke the protocol.
}

// over says that the server will not listen any more.
func (t *transcript) over() bool { return t.closed || t.dropped || t.fault != nil }

// reached reports whether the number of replies is there, or the connection is over.
func (t *transcript) reached(replies int) bool {
	return t.over() || replies != AwaitClose && len(t.replies) >= replies
}

// take reads what the server says.
func (t *transcript) take(b []byte) {
	t.unread = append(t.unread, b...)
	for t.fault == nil && len(t.unread) > 0 {
		op, payload, size, err := readFrame(t.unread)
		if err != nil {
			t.fault = err
			return
		}
		if size == 0 {
			return
		}
		t.hear(op, payload)
		t.unread = t.unread[size:]
	}
}

func (t *transcript) hear(op wire.Opcode, payload []byte) {
	switch {
	case t.closed:
		t.fault = fmt.Errorf("%v frame after the close frame", op)
	case op == closeOp:
		code, _, err := wire.ParseClose(payload)
		if err != nil {
			t.fault = fmt.Errorf("read the server's close: %w", err)
		}
		t.closed, t.code = true, code
	default:
		t.replies = append(t.replies, Reply{op, string(payload)})
	}
}

// readFrame reads one frame of a server. It is strict, and knows nothing of fragments: an echo of
// a message is one frame. size is 0 when the frame is not all there.
func readFrame(b []byte) (op wire.Opcode, payload []byte, size int, err error) {
	if len(b) < 2 {
		return 0, nil, 0, nil
	}
	if b[0]&0xF0 != 0x80 {
		return 0, nil, 0, fmt.Errorf("first octet of a frame is %#x", b[0])
	}
	if b[1]&0x80 != 0 {
		return 0, nil, 0, fmt.Errorf("the server's frame is masked")
	}
	header, length := 2, uint64(b[1])
	switch {
	case length == 126 && len(b) >= 4:
		header, length = 4, uint64(binary.BigEndian.Uint16(b[2:]))
	case length == 127 && len(b) >= 10:
		header, length = 10, binary.BigEndian.Uint64(b[2:])
	case length >= 126:
		return 0, nil, 0, nil
	}
	if length > MessageBytesMax {
		return 0, nil, 0, fmt.Errorf("the server's frame has %d octets", length)
	}
	if uint64(len(b)-header) < length {
		return 0, nil, 0, nil
	}
	size = header + int(length)
	return wire.Opcode(b[0] & 0x0F), b[header:size], size, nil
}

// grade holds the transcript against the case.
func (c Case) grade(t *transcript) (Verdict, error) {
	switch {
	case t.fault != nil:
		return Failed, fmt.Errorf("case %s, %s: %w", c.ID, c.About, t.fault)
	case c.Open:
		return Informational, nil
	}
	verdict := OK
	lenient := func(format string, args ...any) error {
		verdict = NonStrict
		return fmt.Errorf("case %s, %s: "+format, append([]any{c.ID, c.About}, args...)...)
	}
	fail := func(format string, args ...any) (Verdict, error) {
		err := lenient(format, args...)
		return Failed, err
	}
	var err error
	if got, want := len(t.replies), len(c.Replies); got > want || got < want && !c.Lossy {
		return fail("got %d replies, want %d", got, want)
	} else if got < want {
		err = lenient("got %d replies of %d before the close", got, want)
	}
	for i, got := range t.replies {
		if want := c.Replies[i]; got != want {
			return fail("reply %d: got %v %.40q, want %v %.40q", i,
				got.Opcode, got.Payload, want.Opcode, want.Payload)
		}
	}
	switch {
	case !t.closed && (c.Clean || !t.dropped):
		return fail("the server did not close")
	case !t.closed:
		err = lenient("the server dropped the connection without a close frame")
	case !slices.Contains(c.Codes, t.code):
		return fail("got close code %v, want one of %v", t.code, c.Codes)
	case len(t.unread) > 0:
		return fail("got octets after the close: %x", bytes.TrimRight(t.unread, "\x00"))
	case t.late:
		err = lenient("the answer came only after the client had sent more")
	case t.linger:
		err = lenient("the server left it to the client to close the connection")
	}
	return verdict, err
}
