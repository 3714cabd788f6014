package wire

import (
	"bytes"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unsafe"
)

var limitsForTest = Limits{HeaderBytes: 4096, Headers: 64, MessageBytes: 4096, Fragments: 16}

// A Parser is kept for every connection, so each word of it costs megabytes on a full node.
const parserBytesMax = 48

const _ = uint(parserBytesMax - unsafe.Sizeof(Parser{}))

// clientFrame encodes a client frame whose first octet is given, so that it can break any rule.
func clientFrame(first byte, payload string) []byte {
	key := [4]byte{0x9A, 1, 0, 0xFF}
	b := AppendMaskedFrame(nil, Opcode(first&bitsOpcode), []byte(payload), key)
	b[0] = first
	return b
}

func concat(parts ...[]byte) []byte { return slices.Concat(parts...) }

// heard is what a parser made of a stream.
type heard struct {
	messages []Message
	code     CloseCode // 0 when there was no error.
}

func (h heard) equal(other heard) bool {
	return h.code == other.code && slices.EqualFunc(h.messages, other.messages, sameMessage)
}

func sameMessage(a, b Message) bool {
	return a.Opcode == b.Opcode && bytes.Equal(a.Payload, b.Payload)
}

// parse feeds a copy of the stream in pieces of the sizes that next returns, as a connection
// would: unread bytes move to the front of a buffer which is overwritten. It ends at an error or
// a close.
func parse(t testing.TB, stream []byte, l Limits, next func() int) (h heard) {
	t.Helper()
	var p Parser
	var unread []byte
	for at := 0; ; {
		for {
			m, n, err := p.Next(unread, l)
			if err != nil {
				h.code = err.Code
				return h
			}
			if n == 0 {
				break
			}
			if m.Opcode != OpcodeContinuation {
				m.Payload = bytes.Clone(m.Payload)
				h.messages = append(h.messages, m)
			}
			if m.Opcode == OpcodeClose {
				return h
			}
			unread = append(unread[:0], unread[n:]...)
			if got, most := cap(p.message), 2*l.MessageBytes+64; got > most {
				t.Fatalf("the parser holds %d bytes, want at most %d", got, most)
			}
		}
		if most := l.MessageBytes + FrameHeaderBytesMax + ControlBytesMax; len(unread) > most {
			t.Fatalf("no frame in %d bytes, want one in %d", len(unread), most)
		}
		if at == len(stream) {
			return h
		}
		n := min(max(next(), 1), len(stream)-at)
		n = min(n, FrameHeaderBytesMax+l.MessageBytes)
		unread = append(unread, stream[at:at+n]...)
		at += n
	}
}

func whole() int { return math.MaxInt }

func octetwise() int { return 1 }

// TestParserBugCatalogue has a row for each fault that hand-written WebSocket servers have had
// and that this parser could have.
func TestParserBugCatalogue(t *testing.T) {
	length := func(first, marker byte, octets ...byte) []byte {
		return append([]byte{first, bitMask | marker}, octets...)
	}
	near := concat(clientFrame(0x01, strings.Repeat("x", 4000)),
		length(0x80, length64, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF))
	tiny := clientFrame(0x01, "")
	for range limitsForTest.Fragments {
		tiny = append(tiny, clientFrame(0x00, "")...)
	}
	for _, tt := range []struct {
		name   string
		stream []byte
		want   CloseCode
	}{
		{"64-bit length with its top bit", length(0x81, length64, 0x80, 0, 0, 0, 0, 0, 0, 0),
			CloseProtocolError},
		{"64-bit length of all ones",
			length(0x82, length64, 255, 255, 255, 255, 255, 255, 255, 255), CloseProtocolError},
		{"remaining bytes overflow over fragments", near, CloseMessageTooBig},
		{"longest length that is positive",
			length(0x81, length64, 0x7F, 255, 255, 255, 255, 255, 255, 255), CloseMessageTooBig},
		{"compressed frame without negotiation", clientFrame(0xC1, "\x00"), CloseProtocolError},
		{"empty compressed frame", clientFrame(0xC1, ""), CloseProtocolError},
		{"close with one octet", clientFrame(0x88, "\x03"), CloseProtocolError},
		{"close with a forbidden code", clientFrame(0x88, "\x03\xED"), CloseProtocolError},
		{"tiny fragments without end", tiny, ClosePolicyViolation},
		{"frame that is not masked", []byte{0x81, 0x01, 'x'}, CloseProtocolError},
		{"16-bit length that fits seven", length(0x81, length16, 0, 125), CloseProtocolError},
		{"64-bit length that fits sixteen", length(0x81, length64, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF),
			CloseProtocolError},
		{"control frame with a long length", length(0x89, length16, 0, 126), CloseProtocolError},
		{"message one byte too long", length(0x81, length16, 0x10, 0x01), CloseMessageTooBig},
		{"message one byte too long over fragments",
			concat(clientFrame(0x01, strings.Repeat("x", 4000)), length(0x80, 97)),
			CloseMessageTooBig},
		{"text that ends inside a character in its last fragment",
			concat(clientFrame(0x01, "a\xE2"), clientFrame(0x80, "\x82")), CloseInvalidPayload},
		{"text after another that came in pieces",
			concat(clientFrame(0x81, "abcdefgh"), clientFrame(0x81, "\xFFabcdefghi")[:10]),
			CloseInvalidPayload},
	} {
		for _, chop := range []func() int{whole, octetwise} {
			if got := parse(t, tt.stream, limitsForTest, chop); got.code != tt.want {
				t.Errorf("%s: got close code %d, want %d", tt.name, got.code, tt.want)
			}
		}
	}
}

func TestParserRefusesByTheHeaderAlone(t *testing.T) {
	for _, tt := range []struct {
		name   string
		header []byte
		want   *CloseError
	}{
		{"reserved bit", []byte{0x91, 0x80}, errReservedBits},
		{"reserved opcode", []byte{0x83, 0x80}, errReservedOpcode},
		{"reserved control opcode", []byte{0x8F, 0x80}, errReservedOpcode},
		{"not masked", []byte{0x81, 0x05}, errNotMasked},
		{"fragmented control", []byte{0x09, 0x80}, errControlFragmented},
		{"long control", []byte{0x89, 0xFE}, errControlTooLong},
		{"stray continuation", []byte{0x80, 0x80}, errNothingToContinue},
		{"too large", []byte{0x81, 0xFE, 0x10, 0x01}, errTooLarge},
		{"top bit", []byte{0x81, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0}, errLengthTopBit},
	} {
		var p Parser
		if _, n, err := p.Next(tt.header, limitsForTest); n != 0 || err != tt.want {
			t.Errorf("%s: got %d, %v, want %v", tt.name, n, err, tt.want)
		}
		short := tt.header[:len(tt.header)-1]
		if _, n, err := p.Next(short, limitsForTest); n != 0 || err != nil {
			t.Errorf("%s: got %d, %v from %x, want more bytes asked for", tt.name, n, err, short)
		}
	}
}

func TestParserWithoutLimitsTakesNothing(t *testing.T) {
	for _, stream := range [][]byte{clientFrame(0x81, "x"), clientFrame(0x82, "")} {
		if got := parse(t, stream, Limits{}, whole); got.code == 0 {
			t.Errorf("%x: got %v, want a refusal", stream, got.messages)
		}
	}
	// Control frames carry their own limit.
	if got := parse(t, clientFrame(0x89, "x"), Limits{}, whole); len(got.messages) != 1 {
		t.Errorf("ping: got %v, want it", got)
	}
	negative := Limits{MessageBytes: -1, Fragments: 1}
	if got := parse(t, clientFrame(0x81, ""), negative, whole); got.code != 0 {
		t.Errorf("negative limit: got %v for an empty message", got.code)
	}
	if got := parse(t, clientFrame(0x81, "x"), negative, whole); got.code != CloseMessageTooBig {
		t.Errorf("negative limit: got %v, want %v", got.code, CloseMessageTooBig)
	}
}

func TestParserTakesMessagesUpToTheLimits(t *testing.T) {
	longest := strings.Repeat("x", limitsForTest.MessageBytes)
	fragmented := clientFrame(0x01, longest[:1])
	for i := 1; i < limitsForTest.Fragments-1; i++ {
		fragmented = append(fragmented, clientFrame(0x00, longest[i:i+1])...)
	}
	fragmented = append(fragmented, clientFrame(0x80, longest[limitsForTest.Fragments-1:])...)
	want := heard{messages: []Message{{OpcodeText, []byte(longest)}}}
	for _, stream := range [][]byte{clientFrame(0x81, longest), fragmented} {
		for _, chop := range []func() int{whole, octetwise} {
			if got := parse(t, stream, limitsForTest, chop); !got.equal(want) {
				t.Errorf("got %d messages, code %d, want the longest", len(got.messages), got.code)
			}
		}
	}
}

// TestParserFailsFast shows that no octet more is waited for than the one that settles it, however
// a text is cut, and that none is refused that may still become valid.
func TestParserFailsFast(t *testing.T) {
	for _, tt := range []struct {
		name    string
		text    string
		settled int // The text is refused when that many octets are there; 0: never.
	}{
		{"surrogate", "abc\xED\xA0\x80def", 5},
		{"out of range", "abc\xF4\x90\x80\x80def", 5},
		{"overlong", "abc\xE0\x80\x80def", 5},
		{"stray continuation", "abc\x80def", 4},
		{"valid", "abc\xED\x9F\xBF\xF4\x8F\xBF\xBF", 0},
		{"late", strings.Repeat("\u20AC", 300) + "\xFF\xFF", 901},
	} {
		for first := range len(tt.text) {
			// Two fragments, of which the second arrives octet by octet.
			var p Parser
			b := concat(clientFrame(0x01, tt.text[:first]), clientFrame(0x80, tt.text[first:]))
			refused := 0
			at, start := 0, len(clientFrame(0x01, tt.text[:first]))
			header := len(b) - start - len(tt.text[first:])
			for end := start; end <= len(b) && refused == 0; end++ {
				_, n, err := p.Next(bytes.Clone(b[at:end]), limitsForTest)
				if at += n; err != nil {
					refused = max(end-start-header, 0) + first
				}
			}
			want := 0
			if tt.settled > 0 {
				want = max(tt.settled, first) // The first fragment arrives in one piece.
			}
			if refused != want {
				t.Errorf("%s cut at %d: refused at %d, want %d", tt.name, first, refused, want)
			}
		}
	}
}

func TestParserLeavesUnconsumedBytesAlone(t *testing.T) {
	frame := clientFrame(0x81, "some text that arrives in pieces")
	var p Parser
	for n := range len(frame) {
		b := bytes.Clone(frame[:n])
		if _, used, err := p.Next(b, limitsForTest); used != 0 || err != nil {
			t.Fatalf("%d bytes: got %d, %v", n, used, err)
		}
		if !bytes.Equal(b, frame[:n]) {
			t.Fatalf("%d bytes: the buffer was changed", n)
		}
	}
	next := clientFrame(0x89, "ping")
	b := concat(frame, next)
	if _, used, _ := p.Next(b, limitsForTest); used != len(frame) || !bytes.Equal(b[used:], next) {
		t.Errorf("got %d, and the bytes behind the frame are %x", used, b[used:])
	}
}

// TestParserPayloadIsNotReused holds a message over the ones after it: it came in fragments, and
// its bytes belong to whoever was given them.
func TestParserPayloadIsNotReused(t *testing.T) {
	var p Parser
	b := concat(clientFrame(0x01, "first "), clientFrame(0x80, "message"),
		clientFrame(0x01, "another"), clientFrame(0x80, " message"))
	var kept []byte
	for len(b) > 0 {
		m, n, err := p.Next(b, limitsForTest)
		if err != nil {
			t.Fatal(err)
		}
		if m.Opcode == OpcodeText && kept == nil {
			kept = m.Payload
		}
		b = b[n:]
	}
	if got, want := string(kept), "first message"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if p.message != nil || p.fragments != 0 || p.opcode != 0 {
		t.Errorf("the parser keeps %+v at rest", p)
	}
}

// TestParserPayloadCannotGrowIntoTheNextFrame appends to a payload, as a careless caller might.
func TestParserPayloadCannotGrowIntoTheNextFrame(t *testing.T) {
	var p Parser
	next := clientFrame(0x89, "ping")
	b := concat(clientFrame(0x82, "data"), next)
	m, n, _ := p.Next(b, limitsForTest)
	_ = append(m.Payload, "overwritten"...)
	if !bytes.Equal(b[n:], next) {
		t.Errorf("got %x behind the frame, want %x", b[n:], next)
	}
}

func TestParserKeepsConnectionsApart(t *testing.T) {
	frame := clientFrame(0x81, "each connection has a parser of its own")
	done := make(chan bool)
	for range 2 {
		go func() {
			got := true
			for range 100 {
				h := parse(t, concat(clientFrame(0x01, "a"), clientFrame(0x80, "b"), frame),
					limitsForTest, octetwise)
				got = got && len(h.messages) == 2 && h.code == 0
				runtime.Gosched()
			}
			done <- got
		}()
	}
	for range 2 {
		if !<-done {
			t.Error("a message was lost")
		}
	}
}

func TestParserDoesNotAllocate(t *testing.T) {
	stream := concat(clientFrame(0x81, strings.Repeat("text", 100)),
		clientFrame(0x82, strings.Repeat("\xFF", 300)), clientFrame(0x89, "ping"),
		clientFrame(0x88, "\x03\xE8bye"))
	b := make([]byte, len(stream))
	var p Parser
	if n := testing.AllocsPerRun(100, func() {
		copy(b, stream)
		for rest := b; len(rest) > 0; {
			// A partial frame first, as it happens when a read ends inside of it.
			if _, n, err := p.Next(rest[:6], limitsForTest); n != 0 || err != nil {
				t.Fatal(n, err)
			}
			_, n, err := p.Next(rest, limitsForTest)
			if n == 0 || err != nil {
				t.Fatal(n, err)
			}
			rest = rest[n:]
		}
		if _, _, err := p.Next([]byte{0x81, 0}, limitsForTest); err == nil {
			t.Fatal("a frame that is not masked was taken")
		}
	}); n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
}

func BenchmarkParser(b *testing.B) {
	for _, size := range []struct {
		name  string
		bytes int
	}{{"heartbeat", 16}, {"400B", 400}, {"4KiB", 4096}} {
		b.Run(size.name, func(b *testing.B) {
			frame := clientFrame(0x81, strings.Repeat("x", size.bytes))
			buf := make([]byte, len(frame))
			var p Parser
			b.ReportAllocs()
			b.SetBytes(int64(len(frame)))
			for b.Loop() {
				copy(buf, frame)
				if _, n, err := p.Next(buf, limitsForTest); n != len(frame) || err != nil {
					b.Fatal(n, err)
				}
			}
		})
	}
}
