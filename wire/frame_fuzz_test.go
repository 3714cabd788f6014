package wire

import (
	"encoding/binary"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"
)

// fuzzLimits are small, so that short inputs reach them.
var fuzzLimits = Limits{MessageBytes: 300, Fragments: 4}

// addFrameSeeds adds streams of our own encoder.
func addFrameSeeds(f *testing.F, add func(stream []byte)) {
	fragments := concat(clientFrame(0x01, "\xE2\x82"), clientFrame(0x89, "ping"),
		clientFrame(0x00, ""), clientFrame(0x80, "\xAC"))
	for _, stream := range [][]byte{
		clientFrame(0x81, `{"op":1,"d":null}`),
		clientFrame(0x82, strings.Repeat("\xFF", 126)),
		clientFrame(0x81, strings.Repeat("\u20AC", 100)),
		clientFrame(0x81, "abc\xED\xA0\x80"),
		clientFrame(0x02, ""),
		concat(clientFrame(0x01, "a\xE2"), clientFrame(0x80, "\x82")),
		fragments,
		concat(fragments, clientFrame(0x8A, ""), clientFrame(0x88, "\x03\xE8bye")),
		clientFrame(0x88, "\x0F\xA0\xFF"),
		{0x81, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0},
		{0x82, 0xFE, 0x01, 0x2D},
		AppendClose(AppendFrame(nil, OpcodeText, []byte("from a server")), CloseUnknown, "x"),
	} {
		add(stream)
	}
}

// FuzzFrames: however a stream is cut, the same comes out of it; nothing panics; the parser and
// the buffer before it stay bounded, which parse checks.
func FuzzFrames(f *testing.F) {
	addFrameSeeds(f, func(stream []byte) { f.Add(stream, uint64(1)) })
	f.Fuzz(func(t *testing.T, stream []byte, seed uint64) {
		want := parse(t, stream, fuzzLimits, whole)
		random := rand.New(rand.NewPCG(seed, 0))
		for name, chop := range map[string]func() int{
			"octet by octet": octetwise,
			"at random":      func() int { return 1 + random.IntN(1+random.IntN(40)) },
		} {
			if got := parse(t, stream, fuzzLimits, chop); !got.equal(want) {
				t.Errorf("%s: got %v, in one piece %v", name, got, want)
			}
		}
	})
}

// FuzzFramesDifferential holds the parser against a second reading of RFC 6455, which has the whole
// stream before it and is as plain as it can be.
func FuzzFramesDifferential(f *testing.F) {
	addFrameSeeds(f, func(stream []byte) { f.Add(stream) })
	f.Fuzz(func(t *testing.T, stream []byte) {
		want := reference(stream, fuzzLimits)
		if got := parse(t, stream, fuzzLimits, whole); !got.equal(want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}

// reference reads a client's stream, frame by frame, from its beginning.
func reference(stream []byte, l Limits) (h heard) {
	r := referenceReader{op: -1}
	for {
		f, ok := r.frame(stream, l)
		switch {
		case f.code != 0:
			h.code = f.code
			return h
		case !ok:
			return h
		}
		stream = stream[f.size:]
		switch {
		case f.op == 8:
			if h.code = referenceClose(f.payload); h.code == 0 {
				h.messages = append(h.messages, Message{OpcodeClose, f.payload})
			}
			return h
		case f.op > 8:
			h.messages = append(h.messages, Message{Opcode(f.op), f.payload})
		case f.fin:
			h.messages = append(h.messages, Message{Opcode(r.op), r.message})
			r = referenceReader{op: -1}
		default:
			r.frames++
		}
	}
}

// referenceReader is what is known of the message that has not ended. Its op is -1 without one.
type referenceReader struct {
	message    []byte
	op, frames int
}

type referenceFrame struct {
	fin     bool
	op      int
	size    int
	payload []byte
	code    CloseCode // Set when the frame, as far as it is there, is a fault.
}

// bigEndian reads n octets from a place on, if they are there.
func bigEndian(b []byte, from, n int) (v uint64, ok bool) {
	if from+n > len(b) {
		return 0, false
	}
	for _, c := range b[from : from+n] {
		v = v<<8 | uint64(c)
	}
	return v, true
}

// frame reads the first frame and adds it to its message. It is not ok when it is not all there.
func (r *referenceReader) frame(b []byte, l Limits) (f referenceFrame, ok bool) {
	start, ok := bigEndian(b, 0, 2)
	if !ok {
		return f, false
	}
	f.fin, f.op = start>>15 == 1, int(start>>8&15)
	rsv, masked, length := start>>12&7, start>>7&1 == 1, start&127
	control := f.op == 8 || f.op == 9 || f.op == 10
	data := f.op == 0 || f.op == 1 || f.op == 2
	if rsv != 0 || !control && !data || !masked || control && (!f.fin || length > 125) ||
		f.op == 0 && r.op < 0 || data && f.op != 0 && r.op >= 0 {
		f.code = 1002
		return f, false
	}
	head, least := 2, uint64(0)
	if length == 126 {
		head, least = 4, 126
	} else if length == 127 {
		head, least = 10, 65536
	}
	if head > 2 {
		if length, ok = bigEndian(b, 2, head-2); !ok {
			return f, false
		}
	}
	switch {
	case length < least || length > 1<<63-1:
		f.code = 1002
	case data && length > uint64(l.MessageBytes-len(r.message)):
		f.code = 1009
	case data && r.frames == l.Fragments:
		f.code = 1008
	}
	if f.code != 0 || len(b) < head+4 {
		return f, false
	}
	f.size = head + 4 + int(length)
	for i := head + 4; i < min(f.size, len(b)); i++ {
		f.payload = append(f.payload, b[i]^b[head+(i-head)%4])
	}
	arrived := f.size <= len(b)
	if data {
		if f.op != 0 {
			r.op = f.op
		}
		r.message = append(r.message, f.payload...)
		if r.op == 1 && !referenceText(r.message, f.fin && arrived) {
			f.code = 1007
		}
	}
	return f, arrived
}

// referenceText reports whether a text is valid, or can become so unless it is complete.
func referenceText(text []byte, complete bool) bool {
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		if r == utf8.RuneError && size == 1 {
			return !complete && !utf8.FullRune(text)
		}
		text = text[size:]
	}
	return true
}

func referenceClose(payload []byte) CloseCode {
	if len(payload) == 0 {
		return 0
	}
	if len(payload) == 1 {
		return 1002
	}
	switch code := binary.BigEndian.Uint16(payload); {
	case code < 1000, code > 4999, code >= 1015 && code < 3000, code >= 1004 && code <= 1006:
		return 1002
	}
	if !referenceText(payload[2:], true) {
		return 1007
	}
	return 0
}
