package wire

import (
	"bytes"
	"compress/zlib"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// streamReader gives what a client's decoder makes of a connection's stream: one that is made
// once, for the life of the connection, and sees each message's bytes as they come.
type streamReader struct {
	from   io.Reader
	out    io.Reader
	start  func() error // once the first message is on its way
	pieces chan []byte
	hello  int    // bytes of text before the first message
	stream Stream // of a zstd stream
}

func newStreamReader(t *testing.T, v Variant) *streamReader {
	t.Helper()
	r, w := io.Pipe()
	s := &streamReader{pieces: make(chan []byte, 1<<14)}
	go func() {
		for p := range s.pieces {
			if _, err := w.Write(p); err != nil {
				return
			}
		}
		_ = w.Close()
	}()
	t.Cleanup(func() { close(s.pieces); _ = r.Close() })
	s.from = r
	switch c := v.Compression(); c {
	case CompressionZlib:
		s.pieces <- []byte(zlibHeader)
		s.open(t, c)
	case CompressionZstd:
		hello := AppendHello(nil, v, 41250, "gw", testWindow)
		var said Said
		said.Add(hello, v.Encoding())
		s.stream.Say(said, testWindow)
		s.hello = int(said.Text)
		s.pieces <- binaryPayload(t, hello)
		s.open(t, c)
	}
	return s
}

// open starts the decoder, which may need the stream's first bytes for that.
func (s *streamReader) open(t *testing.T, c Compression) {
	t.Helper()
	s.start = func() error {
		var err error
		if c == CompressionZlib {
			s.out, err = zlib.NewReader(s.from)
			return err
		}
		z, err := zstd.NewReader(s.from, zstd.WithDecoderConcurrency(1))
		t.Cleanup(z.Close)
		s.out = z
		return err
	}
}

// message feeds one WebSocket frame's payload and reads length bytes of text.
func (s *streamReader) message(t *testing.T, payload []byte, length int) []byte {
	t.Helper()
	s.pieces <- payload
	if s.start != nil {
		if err := s.start(); err != nil {
			t.Fatal(err)
		}
		s.start = nil
		if _, err := io.CopyN(io.Discard, s.out, int64(s.hello)); err != nil {
			t.Fatal(err)
		}
	}
	text := make([]byte, length)
	if n, err := io.ReadFull(s.out, text); err != nil {
		t.Fatalf("after %d of %d bytes: %v", n, length, err)
	}
	return text
}

const testWindow = 1 << 20

// dispatch is the payload of a frame for a session's number.
func (s *streamReader) dispatch(t *testing.T, f Frame, v Variant, seq uint32) []byte {
	t.Helper()
	if v.Compression() == CompressionZstd {
		var frame []byte
		frame, _ = AppendStreamed(nil, f.Bytes, seq, &s.stream, testWindow)
		return binaryPayload(t, frame)
	}
	frame := bytes.Clone(f.Bytes)
	PutSeq(frame, f.Hole, v, seq)
	_, payload := payloadOf(t, frame)
	return payload
}

// binaryPayload takes the header off a frame that has to be binary.
func binaryPayload(t *testing.T, frame []byte) []byte {
	t.Helper()
	op, payload := payloadOf(t, frame)
	if op != OpcodeBinary {
		t.Fatalf("got a %v frame, want binary", op)
	}
	return payload
}

// plainLength is the length of the decoded message: that of the plain frame, in which the number
// is wider than in a zstd stream.
func plainLength(t *testing.T, v Variant, name string, body []byte) int {
	t.Helper()
	plain, _ := AppendDispatch(nil, v&VariantETF, name, body)
	_, payload := payloadOf(t, plain)
	n := len(payload)
	if v.Compression() == CompressionZstd {
		if v&VariantETF == 0 {
			n -= HoleBytesJSON - streamDigits
		}
	}
	return n
}

// TestSharedStreamsDecode sends thousands of messages of all sizes, with control frames between,
// through one decoder per connection.
func TestSharedStreamsDecode(t *testing.T) {
	events := 1500
	if testing.Short() {
		events = 200
	}
	for _, c := range []Compression{CompressionZlib, CompressionZstd} {
		for _, e := range []Encoding{EncodingJSON, EncodingETF} {
			t.Run(fmt.Sprint(c, " ", e), func(t *testing.T) {
				decodeStream(t, VariantOf(e, c), events)
			})
		}
	}
}

func decodeStream(t *testing.T, v Variant, messages int) {
	r := rand.New(rand.NewPCG(uint64(v), 7))
	s := newStreamReader(t, v)
	for i := range messages {
		body := randomBody(r, i)
		seq := uint32(r.IntN(streamSeqMax))
		payload := s.dispatch(t, NewDispatch("MESSAGE_CREATE", body, nil).Frame(v), v, seq)
		text := s.message(t, payload, plainLength(t, v, "MESSAGE_CREATE", body))
		checkDispatch(t, v, text, seq, body)
		if i%10 == 0 {
			s.control(t, v)
		}
	}
}

// control sends a heartbeat acknowledgement through the stream.
func (s *streamReader) control(t *testing.T, v Variant) {
	t.Helper()
	plain := AppendHeartbeatAck(nil, v&VariantETF)
	_, want := payloadOf(t, plain)
	ack := AppendHeartbeatAck(nil, v)
	if v.Compression() == CompressionZstd {
		var said Said
		said.Add(ack, v.Encoding())
		s.stream.Say(said, testWindow)
	}
	got := s.message(t, binaryPayload(t, ack), len(want))
	if !bytes.Equal(got, want) {
		t.Fatalf("control: got %q, want %q", got, want)
	}
}

func randomBody(r *rand.Rand, i int) []byte {
	words := []string{"hello", "world", "threads", "are", "nice", "π", "\\n"}
	var text strings.Builder
	length := 1 + r.IntN(60)
	if i%100 == 99 {
		length = 5000 + r.IntN(20_000) // Several blocks.
	}
	for range length {
		text.WriteString(words[r.IntN(len(words))])
		text.WriteByte(' ')
		if r.IntN(4) == 0 {
			fmt.Fprintf(&text, "%x", r.Uint64())
		}
	}
	return fmt.Appendf(nil, `{"id":"%d","content":"%s","n":[1,2.5,null,true]}`, r.Uint64(), text.String())
}

func checkDispatch(t *testing.T, v Variant, text []byte, seq uint32, body []byte) {
	t.Helper()
	if v&VariantETF != 0 {
		var err error
		if text, err = AppendJSON(nil, text[1:], JSONDepthMax); err != nil {
			t.Fatal(err)
		}
	}
	var got struct {
		Op int
		S  uint32
		T  string
		D  json.RawMessage
	}
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatalf("%v in %.200q", err, text)
	}
	if got.Op != 0 || got.S != seq || got.T != "MESSAGE_CREATE" {
		t.Fatalf("got op %d, s %d, t %s; want 0, %d, MESSAGE_CREATE", got.Op, got.S, got.T, seq)
	}
	var want, have any
	if json.Unmarshal(body, &want) != nil || json.Unmarshal(got.D, &have) != nil ||
		fmt.Sprint(want) != fmt.Sprint(have) {
		t.Fatalf("got d %.300q, want %.300q", got.D, body)
	}
}

// TestZlibMessagesEndInTheSyncFlush is how zlib-stream clients find the end of a message.
func TestZlibMessagesEndInTheSyncFlush(t *testing.T) {
	v := VariantOf(EncodingJSON, CompressionZlib)
	dispatch, _ := AppendDispatch(nil, v, "X", []byte(`{"a":1}`))
	for _, frame := range [][]byte{dispatch, AppendHeartbeatAck(nil, v), AppendHello(nil, v, 1, "t", 0)} {
		if !bytes.HasSuffix(frame, []byte{0, 0, 0xff, 0xff}) {
			t.Errorf("got %x at the end", frame[max(len(frame)-8, 0):])
		}
	}
}

// TestHelloBeginsTheStream looks for the header that no later message has.
func TestHelloBeginsTheStream(t *testing.T) {
	for c, header := range map[Compression]string{
		CompressionZlib: zlibHeader, CompressionZstd: zstdMagic + "\x00\x50",
	} {
		hello := binaryPayload(t, AppendHello(nil, VariantOf(EncodingJSON, c), 41250, "gw", 1<<20))
		if !bytes.HasPrefix(hello, []byte(header)) {
			t.Errorf("%v: hello begins with %x", c, hello[:8])
		}
	}
}

func TestZlibDocument(t *testing.T) {
	text := bytes.Repeat([]byte(`{"a":"the same again"}`), 100)
	z, err := zlib.NewReader(bytes.NewReader(AppendZlibDocument(nil, text)))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(z); err != nil || !bytes.Equal(got, text) {
		t.Errorf("got %d bytes and %v, want %d", len(got), err, len(text))
	}
}

// BenchmarkSharedDispatch is what an event costs once, whatever the number of receivers.
func BenchmarkSharedDispatch(b *testing.B) {
	body := randomBody(rand.New(rand.NewPCG(1, 1)), 0)
	body = append(body[:len(body)-1], `,"author":{"id":"1000000000000000002","username":"u"}}`...)
	for _, c := range []Compression{CompressionNone, CompressionZlib, CompressionZstd} {
		b.Run(c.String(), func(b *testing.B) {
			b.ReportAllocs()
			var frame []byte
			for b.Loop() {
				frame, _ = AppendDispatch(frame[:0], VariantOf(EncodingJSON, c), "MESSAGE_CREATE", body)
			}
			b.ReportMetric(float64(len(frame)), "bytes")
		})
	}
}
