package wire

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/klauspost/compress/zstd"
)

// listener is one session's stream: what it was sent, and what that has to decode to.
type listener struct {
	e      Encoding
	window uint32
	at     Stream
	seq    uint32
	sent   []byte
	want   []byte
	modes  [ModeCount]int
}

func newListener(t testing.TB, e Encoding, window int) *listener {
	l := &listener{e: e, window: uint32(window)}
	v := VariantOf(e, CompressionZstd)
	hello := AppendHello(nil, v, 41250, "gw", window)
	l.want = append(l.want, helloTextOf(e)...)
	l.say(hello)
	return l
}

// helloTextOf is what HELLO decodes to, by a decoder of its own.
func helloTextOf(e Encoding) []byte {
	_, payload, _ := splitFrame(AppendHello(nil, VariantOf(e, CompressionZstd), 41250, "gw", 1<<20))
	return decodeAll(payload)
}

// decodeAll decodes a stream up to where it ends, in the middle of its frame.
func decodeAll(stream []byte) []byte {
	d, err := zstd.NewReader(bytes.NewReader(append(bytes.Clone(stream), 1, 0, 0)),
		zstd.WithDecoderConcurrency(1))
	if err != nil {
		panic(err)
	}
	defer d.Close()
	text, err := io.ReadAll(d)
	if err != nil {
		return fmt.Appendf(text, "%v", err)
	}
	return text
}

func (l *listener) say(frame []byte) {
	var said Said
	said.Add(frame, l.e)
	l.at.Say(said, l.window)
	_, payload, _ := splitFrame(frame)
	l.sent = append(l.sent, payload...)
}

// ack sends the answer to a heartbeat, with the lesson when that is due.
func (l *listener) ack() {
	v := VariantOf(l.e, CompressionZstd)
	frame := AppendHeartbeatAck(nil, v)
	if l.at.Wants(l.window) {
		lesson := lessonOf(l.e)
		plain := AppendLesson(nil, v)
		_, payload, _ := splitFrame(plain)
		head := int(payload[0]) | int(payload[1])<<8
		l.want = append(l.want, payload[zstdBlockHeader:zstdBlockHeader+head>>3]...)
		l.want = append(append(l.want, teachingText...), lesson.text...)
		if l.e == EncodingJSON {
			l.want = append(l.want, "]}"...)
		}
		l.say(plain)
		return
	}
	_, payload, _ := splitFrame(frame)
	l.want = append(l.want, payload[zstdBlockHeader:]...)
	l.say(frame)
}

func (l *listener) hear(d *Dispatch, f Frame) {
	l.seq++
	spent := l.at.run&runSpent != 0
	frame, packed := AppendStreamed(nil, f.Bytes, l.seq, &l.at, l.window)
	_, payload, _ := splitFrame(frame)
	l.sent = append(l.sent, payload...)
	prefix, n := appendStreamPrefix(nil, l.e, l.seq)
	l.want = append(l.want, prefix[zstdBlockHeader:]...)
	if parcel(f.Bytes).told(n) && !spent {
		l.want = append(l.want, bytes.Repeat([]byte{' '}, streamSlack)...)
	}
	l.want = append(l.want, DispatchText(nil, l.e, d.name, d.Body())...)
	l.modes[packed.Mode]++
}

func (l *listener) check(t testing.TB) {
	t.Helper()
	if got := decodeAll(l.sent); !bytes.Equal(got, l.want) {
		n := 0
		for n < min(len(got), len(l.want)) && got[n] == l.want[n] {
			n++
		}
		t.Fatalf("%d bytes decode to %d, want %d; from %d on %.60q, want %.60q", len(l.sent),
			len(got), len(l.want), n, got[n:], l.want[n:])
	}
}

// talk is an event of a guild where few people write.
func talk(r *rand.Rand, i int) *Dispatch {
	user := r.IntN(20)
	switch r.IntN(5) {
	case 0:
		return NewDispatch("TYPING_START", fmt.Appendf(nil, `{"channel_id":"%d","timestamp":%d,`+
			`"user_id":"%d","guild_id":"2000000000000000001"}`, 3e17+r.IntN(5), 1767225600+i,
			uint64(1e18)+uint64(user)), nil)
	case 1:
		return NewDispatch("X", randomBody(r, i), nil)
	}
	return NewDispatch("MESSAGE_CREATE", fmt.Appendf(nil, `{"author":{"avatar":"%032x","bot":false,`+
		`"discriminator":"0","global_name":"Name %d","id":"%d","public_flags":0,"username":"n%d"},`+
		`"channel_id":"%d","content":"%x","id":"%d","timestamp":"2026-01-01T00:00:00.%06d+00:00",`+
		`"type":0,"tts":false,"mention_everyone":false,"mentions":[],"attachments":[]}`,
		uint64(user)*0x9e3779b97f4a7c15, user, uint64(1e18)+uint64(user), user, 3e17+r.IntN(5),
		r.Uint64()>>r.IntN(64), uint64(1.4e18)+r.Uint64N(1e9), r.IntN(1e6)), nil)
}

// TestRelocatedStreamsDecode has many sessions hear the same events, of two guilds and both with and
// without a history, with frames of their own between, some of them not hearing all of it, on
// windows so small that the template leaves them again and again.
func TestRelocatedStreamsDecode(t *testing.T) {
	for _, e := range []Encoding{EncodingJSON, EncodingETF} {
		t.Run(e.String(), func(t *testing.T) {
			r := rand.New(rand.NewPCG(5, uint64(e)))
			v := VariantOf(e, CompressionZstd)
			histories := [2]*History{NewHistory(1, 1<<31-5000), NewHistory(2, 1<<32-9000)}
			var all []*listener
			for i := range 9 {
				all = append(all, newListener(t, e, WindowBytesMin<<(i%3)))
			}
			for i := range 400 {
				d := talk(r, i)
				f := d.Frame(v)
				if guild := i / 100 % 2; e == EncodingJSON {
					f = histories[guild].Frame(d)
				}
				for n, l := range all {
					if r.IntN(40) == n {
						l.ack()
					}
					if n%4 != 3 || r.IntN(10) > 0 {
						l.hear(d, f)
					}
				}
			}
			var modes [ModeCount]int
			for _, l := range all {
				l.check(t)
				for m, n := range l.modes {
					modes[m] += n
				}
			}
			if modes[ModeTemplate] == 0 ||
				e == EncodingJSON && (modes[ModeHistory] == 0 || modes[ModeNone] == 0) {
				t.Errorf("modes were used so often: %v", modes)
			}
		})
	}
}

// TestAnswersLeaveTheAgreement: a heartbeat's answer between two events of a history is made up for
// by the next; two of them are not, nor is anything else of the session's own.
func TestAnswersLeaveTheAgreement(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 6))
	h, l := NewHistory(1, 1<<32-20_000), newListener(t, EncodingJSON, 1<<20)
	hear := func() Mode {
		before := l.modes
		d := talk(r, 0)
		for d.name != "MESSAGE_CREATE" {
			d = talk(r, 0)
		}
		l.hear(d, h.Frame(d))
		for m := range l.modes {
			if l.modes[m] > before[m] {
				return Mode(m)
			}
		}
		return ModeCount
	}
	for range 40 {
		hear()
	}
	for i := range 20 {
		l.ack()
		if m := hear(); m != ModeHistory {
			t.Errorf("behind answer %d an event is packed against %v", i, m)
		}
	}
	for name, say := range map[string]func(){
		"two answers": func() { l.ack(); l.ack() },
		"a dispatch of its own": func() {
			d := NewDispatch("READY", []byte(`{}`), nil)
			l.hear(d, d.Frame(VariantOf(EncodingJSON, CompressionZstd)))
		},
	} {
		say()
		if m := hear(); m != ModeTemplate {
			t.Errorf("behind %s an event is packed against %v", name, m)
		}
		for range 40 {
			hear()
		}
	}
	if _, answer, _ := splitFrame(AppendHeartbeatAck(nil, 0)); len(answer) != streamSlack {
		t.Errorf("an answer has %d bytes, and the slack %d", len(answer), streamSlack)
	}
	l.check(t)
}

// TestNarrowStreams: one that was begun elsewhere is taught anew and has the template from then on,
// as far as the smallest window reaches.
func TestNarrowStreams(t *testing.T) {
	l := newListener(t, EncodingJSON, 1<<20)
	l.at.Narrow()
	if !l.at.Wants(l.window) {
		t.Fatal("it does not want to be taught")
	}
	l.ack()
	lost := 0
	for i := range 600 {
		d := talk(rand.New(rand.NewPCG(9, uint64(i))), i)
		before := l.modes[ModeTemplate]
		l.hear(d, d.Frame(VariantOf(EncodingJSON, CompressionZstd)))
		if l.modes[ModeTemplate] == before {
			if lost == 0 && l.at.back() != 0 {
				t.Errorf("event %d of one with the template %d back was packed without", i, l.at.back())
			}
			lost++
		}
	}
	if l.modes[ModeTemplate] == 0 || lost == 0 {
		t.Errorf("modes %v: the template is used while it is within %d bytes", l.modes,
			WindowBytesMin)
	}
	l.check(t)
	if !l.at.Wants(l.window) {
		t.Error("it does not want to be taught again")
	}
}

// TestTheWindowEnds puts the template at each distance round the window's end: within, it is used,
// and one byte further it is not.
func TestTheWindowEnds(t *testing.T) {
	const window = WindowBytesMin
	d := talk(rand.New(rand.NewPCG(1, 1)), 0)
	f := d.Frame(VariantOf(EncodingJSON, CompressionZstd))
	size := uint32(streamPrefixJSON + ParcelText(f.Bytes))
	for _, past := range []int{-2, -1, 0, 1, 2} {
		l := newListener(t, EncodingJSON, window)
		most := window - int(size) + past
		for int(l.at.template) < most {
			text := bytes.Repeat([]byte{' '}, min(most-int(l.at.template), 60_000))
			dst, start := openFrame(nil)
			frame, _ := closeFrame(appendRawBlock(dst, text), start, OpcodeBinary)
			l.want = append(l.want, text...)
			l.say(frame)
		}
		l.hear(d, f)
		l.check(t)
		want := ModeTemplate
		if past > 0 {
			want = ModeNone
		}
		if l.modes[want] != 1 {
			t.Errorf("%d bytes past the window's end: modes %v, want %v", past, l.modes, want)
		}
	}
}

// TestAFrameIsMadeAgain holds what a write in part relies on: the same stream makes the same frame.
func TestAFrameIsMadeAgain(t *testing.T) {
	l := newListener(t, EncodingJSON, testWindow)
	f := talk(rand.New(rand.NewPCG(2, 1)), 0).Frame(VariantOf(EncodingJSON, CompressionZstd))
	before := l.at
	first, _ := AppendStreamed(nil, f.Bytes, 7, &l.at, testWindow)
	again, _ := AppendStreamed(make([]byte, 3), f.Bytes, 7, &before, testWindow)
	if !bytes.Equal(first, again[3:]) || before != l.at {
		t.Errorf("got\n%x, then\n%x", first, again[3:])
	}
}

// TestLessonIsSmall holds what HELLO costs a connection.
func TestLessonIsSmall(t *testing.T) {
	for _, e := range []Encoding{EncodingJSON, EncodingETF} {
		l := lessonOf(e)
		if len(l.text) > TemplateBytesMax || len(l.block) > LessonBytesMax {
			t.Errorf("%v: %d bytes of text, %d sent", e, len(l.text), len(l.block))
		}
		t.Logf("%v: %d bytes of text, %d sent", e, len(l.text), len(l.block))
		if hello := decodeAll(binaryPayload(t, AppendHello(nil, VariantOf(e, CompressionZstd), 1,
			"x", testWindow))); e == EncodingJSON {
			if !ValidJSON(hello, JSONDepthMax) {
				t.Errorf("no JSON: %.300s", hello)
			}
		} else if _, err := AppendJSON(nil, hello[1:], JSONDepthMax); err != nil {
			t.Errorf("no ETF: %v", err)
		}
	}
}

// TestAppendStreamedAllocatesNothing is for every receiver, and so is what each takes.
func TestAppendStreamedAllocatesNothing(t *testing.T) {
	if n := unsafe.Sizeof(Stream{}) + unsafe.Sizeof(Said{}); n > 16 {
		t.Errorf("%d bytes a session", n)
	}
	f := talk(rand.New(rand.NewPCG(3, 1)), 0).Frame(VariantOf(EncodingJSON, CompressionZstd))
	buf := make([]byte, 0, 4096)
	at := Stream{template: 30_000}
	if n := testing.AllocsPerRun(100, func() {
		buf, _ = AppendStreamed(buf[:0], f.Bytes, 123, &at, testWindow)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzRelocated packs any text, in two pieces as two events, with anything between.
func FuzzRelocated(f *testing.F) {
	f.Add([]byte(`{"a":"hello hello hello"}`), []byte(`{"a":"hello again"}`), uint16(70), false)
	f.Add(bytes.Repeat([]byte("0123"), 30_000), []byte{}, uint16(0), true)
	f.Fuzz(func(t *testing.T, one, two []byte, between uint16, etf bool) {
		e := EncodingJSON
		if etf {
			e = EncodingETF
		}
		l := newListener(t, e, WindowBytesMin)
		p := takePacker(e)
		for _, text := range [][]byte{one, two} {
			if len(text) == 0 {
				continue
			}
			far, _ := p.appendKept(nil, text, eventDepth, true, nil)
			self, _ := p.appendKept(nil, text, privateDepth, false, nil)
			parcel := appendParcel(nil, e, len(text), []version{{far, 0, true}, {blocks: self}})
			l.seq++
			frame, _ := AppendStreamed(nil, parcel, l.seq, &l.at, l.window)
			_, payload, _ := splitFrame(frame)
			l.sent = append(l.sent, payload...)
			prefix, _ := appendStreamPrefix(nil, e, l.seq)
			l.want = append(append(l.want, prefix[zstdBlockHeader:]...), text...)
			for range between % 100 {
				l.ack()
			}
		}
		l.check(t)
	})
}

// BenchmarkAppendRelocated is what a receiver of a message of 780 bytes costs beyond the copy of its
// literals. BenchmarkPack is what the message costs once.
func BenchmarkAppendRelocated(b *testing.B) {
	d := benchMessage()
	text := DispatchText(nil, EncodingJSON, d.name, d.body)
	l := lessonOf(EncodingJSON)
	kept, _ := newPacker(l).appendKept(nil, text, eventDepth, true, nil)
	buf := make([]byte, 0, 4096)
	back := uint32(20_000)
	b.ReportAllocs()
	for b.Loop() {
		buf, _, _ = l.AppendRelocated(buf[:0], kept, back, 0)
		back = 20_000 + (back+7)%900_000
	}
	b.ReportMetric(float64(len(buf)), "bytes")
	b.ReportMetric(float64(len(kept)), "kept-bytes")
	b.ReportMetric(float64(len(text)), "text-bytes")
}

func BenchmarkAppendStreamed(b *testing.B) {
	f := benchMessage().Frame(VariantOf(EncodingJSON, CompressionZstd))
	buf := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		at := Stream{template: 200_000}
		buf, _ = AppendStreamed(buf[:0], f.Bytes, 12345, &at, testWindow)
	}
	b.ReportMetric(float64(len(buf)), "bytes")
	b.ReportMetric(float64(len(f.Bytes)), "parcel-bytes")
	b.ReportMetric(float64(unsafe.Sizeof(Stream{})+unsafe.Sizeof(Said{})), "B/session")
}

// BenchmarkAppendAgreed is the frame of a session that has what the history has.
func BenchmarkAppendAgreed(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	h, last := NewHistory(1, 1), Frame{}
	var at, before Stream
	at.Say(Said{Text: 13_000, Taught: 12_500}, testWindow)
	buf := make([]byte, 0, 4096)
	sizes := 0
	for i := 0; i < 200 || sizes == 0; i++ {
		d := talk(r, i)
		last, before = h.Frame(d), at
		var p Packed
		buf, p = AppendStreamed(buf[:0], last.Bytes, uint32(i), &at, testWindow)
		if i >= 200 && d.name == "MESSAGE_CREATE" && p.Mode == ModeHistory {
			sizes = p.Text
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		at = before
		buf, _ = AppendStreamed(buf[:0], last.Bytes, 12345, &at, testWindow)
	}
	b.ReportMetric(float64(len(buf)), "bytes")
	b.ReportMetric(float64(sizes), "text-bytes")
}

// BenchmarkHistoryFrame is what an event costs a loop once that has a history for its guild.
func BenchmarkHistoryFrame(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	var events []*Dispatch
	for i := range 1000 {
		d := talk(r, i)
		d.Frame(VariantOf(EncodingJSON, CompressionZstd)) // BenchmarkPack is that.
		events = append(events, d)
	}
	h := NewHistory(1, 1)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		h.Frame(events[i%len(events)])
	}
}

func BenchmarkPack(b *testing.B) {
	b.ReportAllocs()
	d := benchMessage()
	for b.Loop() {
		NewDispatch(d.name, d.body, nil).Frame(VariantOf(EncodingJSON, CompressionZstd))
	}
}

func benchMessage() *Dispatch {
	return NewDispatch("MESSAGE_CREATE", []byte(`{"author":{"avatar":"e3854bb3dcf51a103bd6029baaffcb9`+
		`9","bot":false,"discriminator":"0","global_name":"Guild_who","id":"1000000000000000167","pu`+
		`blic_flags":0,"username":"guild_who"},"channel_id":"3000000000000000001","content":"event e`+
		`vent for which build is it that we do","id":"1456074444886048769","nonce":"1456074444886724`+
		`610","timestamp":"2026-01-01T00:00:00.215000+00:00","type":0,"guild_id":"200000000000000000`+
		`1","member":{"nick":null,"avatar":null,"banner":null,"premium_since":null,"roles":[],"joine`+
		`d_at":"2024-01-01T00:00:00.000000+00:00","deaf":false,"mute":false,"flags":0,"pending":fals`+
		`e,"communication_disabled_until":null},"edited_timestamp":null,"tts":false,"mention_everyon`+
		`e":false,"mentions":[],"mention_roles":[],"attachments":[],"embeds":[],"components":[],"pin`+
		`ned":false,"flags":0,"channel_type":0}`), nil)
}
