package wire

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
)

// sampleMessage is a MESSAGE_CREATE of usual size.
const sampleMessage = `{"id":"4000000000000000001","channel_id":"3000000000000000001",` +
	`"guild_id":"2000000000000000001","channel_type":0,"type":0,"content":"hi",` +
	`"timestamp":"2024-01-01T00:00:01.000000+00:00","edited_timestamp":null,"tts":false,` +
	`"mention_everyone":false,"mentions":[],"mention_roles":[],"attachments":[],"embeds":[],` +
	`"components":[],"pinned":false,"flags":0,"author":{"id":"1000000000000000002",` +
	`"username":"u","discriminator":"0","global_name":null,"avatar":null},"member":{"nick":null,` +
	`"avatar":null,"roles":[],"joined_at":"2024-01-01T00:00:00.000000+00:00",` +
	`"premium_since":null,"deaf":false,"mute":false,"flags":0,"pending":false,` +
	`"communication_disabled_until":null}}`

// payloadOf takes a whole frame of the server apart.
func payloadOf(t *testing.T, frame []byte) (op Opcode, payload []byte) {
	t.Helper()
	if len(frame) < 2 || frame[0]&0xf0 != 0x80 || frame[1]&0x80 != 0 {
		t.Fatalf("got the header % x, want FIN and no mask", frame[:min(len(frame), 2)])
	}
	length, at := int(frame[1]), 2
	switch length {
	case 126:
		length, at = int(binary.BigEndian.Uint16(frame[2:])), 4
	case 127:
		length, at = int(binary.BigEndian.Uint64(frame[2:])), 10
	}
	if len(frame) != at+length {
		t.Fatalf("got a frame of %d bytes whose header says %d", len(frame), at+length)
	}
	return Opcode(frame[0] & 0xf), frame[at:]
}

// jsonOf is the JSON of a whole frame of either encoding.
func jsonOf(t *testing.T, enc Encoding, frame []byte) []byte {
	t.Helper()
	op, payload := payloadOf(t, frame)
	if op != enc.Opcode() {
		t.Fatalf("got a %v frame, want %v", op, enc.Opcode())
	}
	if enc == EncodingETF {
		if payload[0] != etfVersion {
			t.Fatalf("got version %d", payload[0])
		}
		out, err := AppendJSON(nil, payload[1:], JSONDepthMax)
		if err != nil {
			t.Fatalf("decode % x: %v", payload, err)
		}
		return out
	}
	return payload
}

type envelope struct {
	T  *string
	S  *uint32
	Op int
	D  json.RawMessage
}

func TestDispatchFrameTakesEverySequenceNumber(t *testing.T) {
	// Lengths about each border of the header's three forms, in both encodings.
	sizes := []int{0, 1, 40, 60, 65, 70, 75, 80, 85, 90, 125, 126, 127, 65400, 65450, 65480, 65500, 65535,
		65536, 65600, 70000}
	for _, size := range sizes {
		for _, v := range []Variant{0, VariantETF} {
			body := []byte(`"` + strings.Repeat("x", size) + `"`)
			prefix := []byte("before")
			out, hole := AppendDispatch(bytes.Clone(prefix), v, "MESSAGE_CREATE", body)
			if !bytes.HasPrefix(out, prefix) {
				t.Fatalf("size %d: got %q before the frame", size, out[:len(prefix)])
			}
			for _, seq := range []uint32{1, 9, 10, 255, 256, 4294967, math.MaxInt32} {
				PutSeq(out, hole, v, seq)
				var e envelope
				text := jsonOf(t, v.Encoding(), out[len(prefix):])
				if err := json.Unmarshal(text, &e); err != nil {
					t.Fatalf("size %d: %v in %.100s", size, err, text)
				}
				if *e.T != "MESSAGE_CREATE" || *e.S != seq || e.Op != 0 || !bytes.Equal(e.D, body) {
					t.Fatalf("size %d, seq %d: got %.100s", size, seq, text)
				}
			}
		}
	}
}

func TestDispatchJSONIsExactlyThat(t *testing.T) {
	out, hole := AppendDispatch(nil, 0, "TYPING_START", []byte(`{"a":1}`))
	PutSeq(out, hole, 0, 4294967295)
	PutSeq(out, hole, 0, 7)
	_, payload := payloadOf(t, out)
	want := `{"t":"TYPING_START","s":         7,"op":0,"d":{"a":1}}`
	if string(payload) != want {
		t.Errorf("got %s, want %s", payload, want)
	}
	PutSeq(out, hole, 0, math.MaxUint32)
	if !strings.Contains(string(out), `"s":4294967295,`) {
		t.Errorf("got %s", out)
	}
}

func TestDispatchBuildsEachVariantOnce(t *testing.T) {
	d := NewDispatch("MESSAGE_CREATE", []byte(`{"content":"hi"}`), []byte(`{"content":""}`))
	frames := make([]Frame, 64)
	var wait sync.WaitGroup
	for i := range frames {
		wait.Go(func() { frames[i] = d.Frame(Variant(i % VariantCount)) })
	}
	wait.Wait()
	for i, frame := range frames {
		if &frame.Bytes[0] != &frames[i%VariantCount].Bytes[0] {
			t.Fatalf("variant %d was built twice", i%VariantCount)
		}
		v := Variant(i % VariantCount)
		if v.Compression() != CompressionNone {
			continue // What these decode to is the streams' tests'.
		}
		want := `{"content":"hi"}`
		if v&VariantStripped != 0 {
			want = `{"content":""}`
		}
		if got := jsonOf(t, v.Encoding(), frame.Bytes); !bytes.Contains(got, []byte(want)) {
			t.Errorf("variant %d: got %s, want it to hold %s", v, got, want)
		}
	}
	if d.Name() != "MESSAGE_CREATE" || !d.HasStripped() || string(d.Body()) != `{"content":"hi"}` {
		t.Errorf("got %q, %v, %s", d.Name(), d.HasStripped(), d.Body())
	}
	plain := NewDispatch("X", []byte(`1`), nil)
	if &plain.Frame(VariantStripped).Bytes[0] != &plain.Frame(0).Bytes[0] || plain.HasStripped() {
		t.Error("without a stripped body: got a second frame")
	}
}

func TestSendingADispatchAllocatesNothing(t *testing.T) {
	d := NewDispatch("MESSAGE_CREATE", []byte(sampleMessage), nil)
	scratch := make([]byte, 0, 4096)
	for _, v := range []Variant{0, VariantETF} {
		d.Frame(v)
		seq := uint32(0)
		allocs := testing.AllocsPerRun(100, func() {
			frame := d.Frame(v)
			scratch = append(scratch[:0], frame.Bytes...)
			seq++
			PutSeq(scratch, frame.Hole, v, seq)
		})
		if allocs != 0 {
			t.Errorf("variant %d: got %v allocations, want 0", v, allocs)
		}
		allocs = testing.AllocsPerRun(100, func() {
			scratch, _ = AppendDispatch(scratch[:0], v, "MESSAGE_CREATE", []byte(sampleMessage))
		})
		if allocs > 1 { // The conversion of the sample.
			t.Errorf("AppendDispatch, variant %d: got %v allocations, want none of its own", v, allocs)
		}
	}
}

func TestDispatchOfABrokenBodyPanicsInETF(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("got no panic")
		}
	}()
	AppendDispatch(nil, VariantETF, "X", []byte(`{"a"`))
}

func TestControlFrames(t *testing.T) {
	tests := []struct {
		name  string
		frame func(Variant) []byte
		want  string
	}{
		{"hello", func(v Variant) []byte { return AppendHello(nil, v, 41250, "gw-1", 0) },
			`{"op":10,"d":{"heartbeat_interval":41250,"_trace":["[\"gw-1\",{}]"]},"s":null,"t":null}`},
		{"ack", func(v Variant) []byte { return AppendHeartbeatAck(nil, v) },
			`{"op":11,"d":null,"s":null,"t":null}`},
		{"heartbeat", func(v Variant) []byte { return AppendHeartbeatRequest(nil, v) },
			`{"op":1,"d":null,"s":null,"t":null}`},
		{"reconnect", func(v Variant) []byte { return AppendReconnect(nil, v) },
			`{"op":7,"d":null,"s":null,"t":null}`},
		{"invalid", func(v Variant) []byte { return AppendInvalidSession(nil, v, false) },
			`{"op":9,"d":false,"s":null,"t":null}`},
		{"resumable", func(v Variant) []byte { return AppendInvalidSession(nil, v, true) },
			`{"op":9,"d":true,"s":null,"t":null}`},
	}
	for _, test := range tests {
		for _, enc := range []Encoding{EncodingJSON, EncodingETF} {
			t.Run(fmt.Sprint(test.name, " ", enc), func(t *testing.T) {
				if got := string(jsonOf(t, enc, test.frame(VariantOf(enc, CompressionNone)))); got != test.want {
					t.Errorf("got %s, want %s", got, test.want)
				}
			})
		}
	}
	long := AppendHello(nil, VariantETF, 1, strings.Repeat("long\"", 100), 0)
	if got := jsonOf(t, EncodingETF, long); !json.Valid(got) {
		t.Errorf("a long trace: got %s", got)
	}
}

func TestHeartbeatAckAllocatesNothing(t *testing.T) {
	scratch := make([]byte, 0, 256)
	for v := range Variant(VariantCount) {
		allocs := testing.AllocsPerRun(100, func() {
			scratch = AppendHeartbeatAck(scratch[:0], v)
			scratch = AppendInvalidSession(scratch[:0], v, true)
		})
		if allocs != 0 {
			t.Errorf("variant %d: got %v allocations, want 0", v, allocs)
		}
	}
}

func TestStripMessage(t *testing.T) {
	tests := []struct{ name, message, want string }{
		{"content", `{"id":"1","content":"hi","embeds":[]}`, `{"id":"1","content":"","embeds":[]}`},
		{"everything", `{"content":"a","embeds":[{}],"attachments":[{}],"components":[{}],"poll":{},"x":1}`,
			`{"content":"","embeds":[],"attachments":[],"components":[],"x":1}`},
		{"only what is there", `{"id":"1","embeds":[{}]}`, `{"id":"1","embeds":[]}`},
		{"poll first", `{"poll":{"a":1},"id":"1"}`, `{"id":"1"}`},
		{"only a poll", `{"poll":{}}`, `{}`},
		{"nothing to strip", `{"id":"1","content":"","embeds":[],"attachments":[]}`, ``},
		{"none of the keys", `{"id":"1","author":{"content":"x"}}`, ``},
		{"twice", `{"content":"","content":"x"}`, `{"content":"","content":""}`},
		{"an escaped key", `{"\u0063ontent":"x"}`, `{"content":""}`},
		{"null", `{"content":null}`, `{"content":""}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := StripMessage([]byte(test.message))
			if string(got) != test.want || (got == nil) != (test.want == "") {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func BenchmarkPutSeq(b *testing.B) {
	for _, v := range []Variant{0, VariantETF} {
		b.Run(v.Encoding().String(), func(b *testing.B) {
			frame, hole := AppendDispatch(nil, v, "MESSAGE_CREATE", []byte(sampleMessage))
			b.ReportAllocs()
			seq := uint32(100000)
			for b.Loop() {
				seq++
				PutSeq(frame, hole, v, seq)
			}
		})
	}
}

// BenchmarkSend is what a session costs: a copy of the frame and its number.
func BenchmarkSend(b *testing.B) {
	frame := NewDispatch("MESSAGE_CREATE", []byte(sampleMessage), nil).Frame(0)
	scratch := make([]byte, 0, 4096)
	b.ReportAllocs()
	seq := uint32(100000)
	for b.Loop() {
		seq++
		scratch = append(scratch[:0], frame.Bytes...)
		PutSeq(scratch, frame.Hole, 0, seq)
	}
}

// BenchmarkMarshalPerSession is the naive way that the hole replaces.
func BenchmarkMarshalPerSession(b *testing.B) {
	type payload struct {
		T  string          `json:"t"`
		S  uint32          `json:"s"`
		Op int             `json:"op"`
		D  json.RawMessage `json:"d"`
	}
	b.ReportAllocs()
	p := payload{T: "MESSAGE_CREATE", D: json.RawMessage(sampleMessage)}
	for b.Loop() {
		p.S++
		if _, err := json.Marshal(p); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendDispatch(b *testing.B) {
	body := []byte(sampleMessage)
	for _, v := range []Variant{0, VariantETF} {
		b.Run(v.Encoding().String(), func(b *testing.B) {
			var scratch []byte
			b.ReportAllocs()
			for b.Loop() {
				scratch, _ = AppendDispatch(scratch[:0], v, "MESSAGE_CREATE", body)
			}
		})
	}
}

func BenchmarkStripMessage(b *testing.B) {
	body := []byte(sampleMessage)
	b.ReportAllocs()
	for b.Loop() {
		StripMessage(body)
	}
}

func BenchmarkValidJSON(b *testing.B) {
	body := []byte(sampleMessage)
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		ValidJSON(body, CommandDepthMax)
	}
}

func BenchmarkField(b *testing.B) {
	body := []byte(sampleMessage)
	for _, key := range []string{"guild_id", "author", "absent"} {
		b.Run(key, func(b *testing.B) {
			for b.Loop() {
				Field(body, key)
			}
		})
	}
}
