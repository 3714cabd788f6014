package wire

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/klauspost/compress/zstd"
)

var wholeCrowd = flag.Bool("relocate", false, "TestACrowdDecodes with 1,000 sessions and 10,000 "+
	"events, and TestStreamsGoOn past 4 GiB; minutes")

// crowd is the events of two guilds, with and without a history.
type crowd struct {
	events []*Dispatch
	guilds []int
	frames []Frame
}

func newCrowd(r *rand.Rand, events int) *crowd {
	c := &crowd{}
	histories := [2]*History{NewHistory(1, 1<<31-50_000), NewHistory(2, 1<<32-50_000)}
	guild := 0
	for i := range events {
		if r.IntN(50) == 0 {
			guild = 1 - guild
		}
		d := talk(r, i)
		f := histories[guild].Frame(d)
		if r.IntN(100) == 0 {
			f = d.Frame(VariantOf(EncodingJSON, CompressionZstd)) // For a few: no part of it.
		}
		c.events, c.guilds, c.frames = append(c.events, d), append(c.guilds, guild),
			append(c.frames, f)
		if r.IntN(2000) == 0 {
			histories[guild].Begin(uint16(3+i), r.Uint32())
		}
	}
	return c
}

// visit has one session hear the events as it may: of one guild or both, from some event on, with
// frames of its own between, on any window, with numbers of any width.
func (c *crowd) visit(t *testing.T, r *rand.Rand) (modes [ModeCount]int) {
	l := newListener(t, EncodingJSON, WindowBytesMin<<r.IntN(7))
	guilds, own, missed := r.IntN(3), 1<<(2+r.IntN(12)), 1<<(3+r.IntN(12))
	if r.IntN(8) == 0 {
		l.seq = streamSeqMax - uint32(r.IntN(len(c.events)))
	}
	if r.IntN(8) == 0 {
		l.at.Narrow() // As on another node's window, of which this one knows nothing.
		l.window = WindowBytesMax
	}
	from := 0
	if r.IntN(2) == 0 {
		from = r.IntN(len(c.events))
	}
	for i := from; i < len(c.events); i++ {
		if r.IntN(own) == 0 {
			c.private(r, l, i)
		}
		if guilds != 2 && c.guilds[i] != guilds || r.IntN(missed) == 0 {
			continue
		}
		l.hear(c.events[i], c.frames[i])
	}
	l.check(t)
	return l.modes
}

// private is a frame for the session alone.
func (c *crowd) private(r *rand.Rand, l *listener, i int) {
	if r.IntN(2) == 0 {
		l.ack()
		return
	}
	text := []byte(`{"private":"`)
	shift := r.IntN(3)
	if r.IntN(300) == 0 {
		shift = 9 // Several blocks.
	}
	for range r.IntN(40) << shift {
		text = fmt.Appendf(text, "%x ", r.Uint64()>>r.IntN(60))
	}
	d := NewDispatch("READY", append(text, `"}`...), nil)
	if i%3 == 0 {
		d = NewDispatchAfter("GUILD_CREATE", NewShared([]byte(`{"shared":"yes"`)),
			append([]byte(","), text[1:]...))
	}
	l.hear(d, d.Frame(VariantOf(EncodingJSON, CompressionZstd)))
}

// TestACrowdDecodes: whatever a session is sent between the events that it shares with others, its
// decoder makes of its stream what it was told.
func TestACrowdDecodes(t *testing.T) {
	sessions, events := 60, 500
	if *wholeCrowd {
		sessions, events = 1000, 10_000
	}
	r := rand.New(rand.NewPCG(20261122, 7))
	c := newCrowd(r, events)
	var modes [ModeCount]int
	for range sessions {
		for m, n := range c.visit(t, r) {
			modes[m] += n
		}
	}
	for m, n := range modes {
		if n == 0 {
			t.Errorf("nothing was packed against %v: %v", Mode(m), modes)
		}
	}
	t.Logf("frames by mode: %v", modes)
}

// TestHistoryEndsWithTheWindow has an event repeat one of 128 KiB before, which is in a window of
// that size or just not.
func TestHistoryEndsWithTheWindow(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	hex := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = "0123456789abcdef"[r.IntN(16)]
		}
		return b
	}
	event := func(text []byte) *Dispatch {
		return NewDispatch("X", append(append([]byte(`"`), text...), '"'), nil)
	}
	var sizes []int
	for _, between := range []int{113_000, 118_000, 123_000} {
		l, h := newListener(t, EncodingJSON, WindowBytesMin), NewHistory(1, 0)
		said := hex(1000)
		hear := func(text []byte) (packed int) {
			d := event(text)
			f, before := h.Frame(d), len(l.sent)
			l.hear(d, f)
			return len(l.sent) - before
		}
		hear(hex(2000))
		hear(said)
		for left := between; left > 0; left -= 4000 {
			hear(hex(min(left, 4000)))
		}
		size := hear(append(hex(8000), said...))
		l.check(t)
		sizes = append(sizes, size)
	}
	if slices.Max(sizes)-slices.Min(sizes) < 400 {
		t.Errorf("what was said was never, or always, referred to: %v", sizes)
	}
}

// TestNumbersGrowWider has a session's numbers come to need more room than a history has for them.
func TestNumbersGrowWider(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 8))
	l, h := newListener(t, EncodingJSON, testWindow), NewHistory(1, 0)
	l.seq = streamSeqMax - 50
	for i := range 100 {
		d := talk(r, i)
		l.hear(d, h.Frame(d))
	}
	l.check(t)
	if l.modes[ModeHistory] == 0 || l.modes[ModeHistory] > 50 {
		t.Errorf("modes %v", l.modes)
	}
}

// TestMuchSaidAtOnce: what is more than anybody counts takes the template away, and nothing else.
func TestMuchSaidAtOnce(t *testing.T) {
	l := newListener(t, EncodingJSON, testWindow)
	var said Said
	for range 2000 {
		frame := AppendHeartbeatAck(nil, VariantOf(l.e, CompressionZstd))
		said.Add(frame, l.e)
		_, payload, _ := splitFrame(frame)
		l.sent = append(l.sent, payload...)
		l.want = append(l.want, payload[zstdBlockHeader:]...)
	}
	l.at.Say(said, l.window)
	if !l.at.Wants(l.window) {
		t.Error("the template is not wanted")
	}
	d := talk(rand.New(rand.NewPCG(8, 9)), 1)
	f := d.Frame(VariantOf(EncodingJSON, CompressionZstd))
	l.hear(d, f)
	l.ack()
	l.hear(d, f)
	l.check(t)
	if l.modes != [ModeCount]int{ModeNone: 1, ModeTemplate: 1} {
		t.Errorf("modes %v", l.modes)
	}
}

// TestPositionsWrap: only how far back the dictionary is counts, wherever the two stand.
func TestPositionsWrap(t *testing.T) {
	d := benchMessage()
	l := lessonOf(EncodingJSON)
	kept, _ := newPacker(l).appendKept(nil, DispatchText(nil, EncodingJSON, d.name, d.body),
		eventDepth, true, nil)
	const back = 500_000
	want, _, _ := l.AppendRelocated(nil, kept, back, 0)
	for _, dictionary := range []uint32{1, 1<<31 - back, 1<<31 - 1, 1 << 31, 1<<32 - back, 1<<32 - 1} {
		got, rest, _ := l.AppendRelocated(nil, kept, dictionary+back, dictionary)
		if !bytes.Equal(got, want) || len(rest) > 0 {
			t.Errorf("the dictionary at %d: got %x, want %x", dictionary, got, want)
		}
	}
}

// TestStreamsGoOn sends one connection noise, with events all along; with -relocate more than 32
// bits can count.
func TestStreamsGoOn(t *testing.T) {
	most := 1 << 22
	if *wholeCrowd {
		most = 1<<32 + 1<<24
	}
	r := rand.New(rand.NewPCG(32, 32))
	l, h := newListener(t, EncodingJSON, testWindow), NewHistory(1, 1<<31)
	from, to := io.Pipe()
	decoder, err := zstd.NewReader(from, zstd.WithDecoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	defer decoder.Close()
	noise := bytes.Repeat([]byte("noise "), 10_000)
	var got []byte
	for total, i := 0, 0; total < most; i++ {
		dst, start := openFrame(nil)
		frame, _ := closeFrame(appendRawBlock(dst, noise), start, OpcodeBinary)
		l.want = append(l.want, noise...)
		l.say(frame)
		for n := range 10 {
			d := talk(r, i*10+n)
			l.hear(d, h.Frame(d))
		}
		l.ack()
		go func(sent []byte) { _, _ = to.Write(sent) }(bytes.Clone(l.sent))
		got = append(got[:0], l.want...)
		if _, err := io.ReadFull(decoder, got); err != nil || !bytes.Equal(got, l.want) {
			t.Fatalf("after %d bytes: %v", total, err)
		}
		total += len(l.want)
		l.sent, l.want = l.sent[:0], l.want[:0]
	}
	t.Logf("frames by mode: %v", l.modes)
}

// FuzzDictionary packs any text against any dictionary, at any positions, with anything between.
func FuzzDictionary(f *testing.F) {
	f.Add([]byte(`{"a":"hello"}`), []byte(`{"a":"hello again"}`), uint32(1<<31-9), uint16(100))
	f.Add([]byte{}, bytes.Repeat([]byte("0123"), 30_000), uint32(1<<32-1), uint16(0))
	f.Fuzz(func(t *testing.T, dictionary, text []byte, at uint32, between uint16) {
		dictionary = append(bytes.Clone(dictionary[:min(len(dictionary), 8000)]),
			"and the same again, and the same again"...)
		l := newLesson(dictionary, &tablesJSON)
		stream := appendZstdHeader(nil, WindowBytesMin)
		stream = append(stream, l.block...)
		want := append([]byte(teachingText), dictionary...)
		noise := bytes.Repeat([]byte{'.'}, int(between))
		stream = appendStored(stream, noise, CompressionZstd, false)
		want = append(want, noise...)
		position := at + uint32(len(dictionary)+len(noise))
		kept, _ := newPacker(l).appendKept(nil, text[:min(len(text), 40<<10)], eventDepth, true, nil)
		for len(kept) > 0 {
			var n uint32
			stream, kept, n = l.AppendRelocated(stream, kept, position, at)
			position += n
		}
		want = append(want, text[:min(len(text), 40<<10)]...)
		if got := decodeAll(stream); !bytes.Equal(got, want) {
			t.Fatalf("got %.200q, want %.200q", got, want)
		}
	})
}

// FuzzHistory has two sessions hear events of any texts, one of them with frames of its own between
// and not all of them. A script is pieces, each of a byte that says what to do and a text.
func FuzzHistory(f *testing.F) {
	f.Add([]byte("\x08hello\x00\x08hello again\x00\x01\x00\x08hello again and again\x00"))
	f.Fuzz(func(t *testing.T, script []byte) {
		one, two := newListener(t, EncodingJSON, WindowBytesMin),
			newListener(t, EncodingJSON, WindowBytesMin)
		h := NewHistory(1, 1<<32-100)
		for piece := range bytes.SplitSeq(script, []byte{0}) {
			if len(piece) == 0 {
				continue
			}
			d := NewDispatch("X", bytes.Repeat(piece[1:], 1+int(piece[0]>>4)), nil)
			frame := h.Frame(d)
			switch piece[0] & 3 {
			case 1:
				two.ack()
			case 2:
				two.hear(d, d.Frame(VariantOf(EncodingJSON, CompressionZstd)))
			}
			one.hear(d, frame)
			if piece[0]&4 == 0 {
				two.hear(d, frame)
			}
		}
		one.check(t)
		two.check(t)
	})
}
