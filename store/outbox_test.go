package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
)

// fillTest writes the number as four bytes at the hole.
func fillTest(dst, frame []byte, hole int, _ uint8, seq uint32) []byte {
	dst = append(dst, frame...)
	binary.LittleEndian.PutUint32(dst[len(dst)-len(frame)+hole:], seq)
	return dst
}

// model is an outbox as one would write it without any trick: each session keeps its frames.
type model struct {
	frames [][]byte // all frames ever given, number 1 first
	sent   int      // frames written in full
	acked  int
	wire   []byte // what the socket has taken since the last rewind
}

func frameOf(r *rand.Rand, id int) []byte {
	f := bytes.Repeat([]byte{byte(id)}, 4+r.IntN(90))
	return f
}

func numbered(frame []byte, seq int) []byte {
	f := bytes.Clone(frame)
	binary.LittleEndian.PutUint32(f, uint32(seq))
	return f
}

// TestOutboxMatchesPlainModel runs random sessions against the plain model: what is written is
// always the numbered frames in order, whatever is acknowledged, cut, rewound or closed.
func TestOutboxMatchesPlainModel(t *testing.T) {
	for seed := range uint64(40) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { runOutboxModel(t, seed) })
	}
}

func runOutboxModel(t *testing.T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 1))
	o := NewOutbox(1<<20, 10_000, fillTest)
	sessions := map[uint32]*model{}
	var slots []uint32
	for step := range 3000 {
		switch k := r.IntN(20); {
		case k == 0 || len(slots) == 0:
			slot, _ := o.Open()
			slots = append(slots, slot)
			sessions[slot] = &model{}
		case k == 1 && len(slots) > 3:
			i := r.IntN(len(slots))
			o.Close(slots[i])
			delete(sessions, slots[i])
			slots[i] = slots[len(slots)-1]
			slots = slots[:len(slots)-1]
		case k < 8:
			f := frameOf(r, step)
			p := o.Share(f, 0, 7)
			for _, slot := range slots {
				if r.IntN(3) > 0 {
					o.Push(slot, p)
					sessions[slot].frames = append(sessions[slot].frames, f)
				}
			}
		case k < 10:
			slot := slots[r.IntN(len(slots))]
			f := frameOf(r, step)
			send := o.Send
			if r.IntN(2) == 0 {
				send = o.Answer
			}
			if !send(slot, f, 0, 7) {
				t.Fatal("a small frame was refused")
			}
			sessions[slot].frames = append(sessions[slot].frames, f)
		case k < 15:
			slot := slots[r.IntN(len(slots))]
			writeSome(t, r, o, slot, sessions[slot])
		case k < 18:
			slot := slots[r.IntN(len(slots))]
			m := sessions[slot]
			to := m.acked + r.IntN(m.sent-m.acked+1)
			o.Ack(slot, uint32(to))
			m.acked = to
		default:
			slot := slots[r.IntN(len(slots))]
			rewindSome(t, r, o, slot, sessions[slot])
		}
	}
	for _, slot := range slots {
		m := sessions[slot]
		for m.sent < len(m.frames) {
			writeSome(t, r, o, slot, m)
		}
		o.Ack(slot, uint32(m.sent))
		o.Close(slot)
	}
	if s := o.Stats(); s.Chunks != 0 || s.Sessions != 0 {
		t.Fatalf("after all closed: got %d chunks and %d sessions, want none", s.Chunks, s.Sessions)
	}
}

func writeSome(t *testing.T, r *rand.Rand, o *Outbox, slot uint32, m *model) {
	t.Helper()
	b, ok := o.Collect(slot, nil, 1+r.IntN(900))
	if !ok {
		t.Fatal("a session within every limit was lost")
	}
	n := len(b)
	if r.IntN(2) == 0 && n > 0 {
		n = r.IntN(n + 1)
	}
	m.wire = append(m.wire, b[:n]...)
	o.Advance(slot, n)
	var want []byte
	for m.sent < len(m.frames) && len(m.wire) >= len(m.frames[m.sent]) {
		f := numbered(m.frames[m.sent], m.sent+1)
		if !bytes.Equal(m.wire[:len(f)], f) {
			t.Fatalf("frame %d: got %x, want %x", m.sent+1, m.wire[:len(f)], f)
		}
		m.wire = m.wire[len(f):]
		m.sent++
	}
	if m.sent < len(m.frames) {
		want = numbered(m.frames[m.sent], m.sent+1)[:len(m.wire)]
	}
	if !bytes.Equal(m.wire, want) {
		t.Fatalf("partial frame %d: got %x, want %x", m.sent+1, m.wire, want)
	}
	if _, sent, _ := o.Seqs(slot); int(sent) != m.sent {
		t.Fatalf("sent: got %d, want %d", sent, m.sent)
	}
	if o.Partial(slot) != (len(m.wire) > 0) {
		t.Fatalf("partial: got %v with %d bytes of a frame written", o.Partial(slot), len(m.wire))
	}
}

func rewindSome(t *testing.T, r *rand.Rand, o *Outbox, slot uint32, m *model) {
	t.Helper()
	to := r.IntN(len(m.frames) + 3)
	want := to >= m.acked && to <= len(m.frames)
	if got := o.Rewind(slot, uint32(to)); got != want {
		t.Fatalf("rewind to %d with acked %d and sent %d: got %v", to, m.acked, m.sent, got)
	}
	if want {
		m.acked, m.sent, m.wire = to, to, nil
	}
}

// TestSlowSessionIsLostNotWrong fills the journal under a session that never writes: it is told
// that it is lost and never gets another frame's bytes.
func TestSlowSessionIsLostNotWrong(t *testing.T) {
	o := NewOutbox(4096, 1000, fillTest)
	slow, _ := o.Open()
	for i := range 200 {
		o.Push(slow, o.Share(bytes.Repeat([]byte{byte(i)}, 40), 0, 0))
		lag, end := o.Lag(slow)
		b, ok := o.Collect(slow, nil, 1)
		if ok != (lag <= end) {
			t.Fatalf("after %d frames: lag %d of %d, Collect says %v", i+1, lag, end, ok)
		}
		if ok && !bytes.Equal(b, numbered(bytes.Repeat([]byte{0}, 40), 1)) {
			t.Fatalf("after %d frames: got %x", i+1, b)
		}
		if !ok {
			if !o.Lost(slow) || o.Rewind(slow, 0) {
				t.Fatal("a lost session can be resumed")
			}
			return
		}
	}
	t.Fatal("a journal of 4 KiB kept 200 frames of 40 bytes")
}

// TestHistoryShortensBeforeTheStreamBreaks gives a live session more than it may remember
// between two heartbeats: it goes on, and only old numbers cannot be resumed.
func TestHistoryShortensBeforeTheStreamBreaks(t *testing.T) {
	o := NewOutbox(1<<16, 64, fillTest)
	slot, _ := o.Open()
	for i := range 500 {
		o.Push(slot, o.Share([]byte("abcdefgh"), 0, 0))
		b, ok := o.Collect(slot, nil, 1<<20)
		if !ok {
			t.Fatalf("lost after %d frames", i+1)
		}
		o.Advance(slot, len(b))
	}
	if o.Rewind(slot, 100) {
		t.Error("resumed from a number that was forgotten")
	}
	if !o.Rewind(slot, 490) {
		t.Error("could not resume from a recent number")
	}
}

// TestSweepForgetsBeforePositionsRepeat moves a journal past the point where a stale position
// would be taken for a new one.
func TestSweepForgetsBeforePositionsRepeat(t *testing.T) {
	o := NewOutbox(4096, 1000, fillTest)
	read, _ := o.Open()
	unread, _ := o.Open()
	for _, slot := range []uint32{read, unread} {
		o.Push(slot, o.Share([]byte("abcdefgh"), 0, 0))
	}
	b, _ := o.Collect(read, nil, 1)
	o.Advance(read, len(b))
	o.journals[journalShared].head += sweepUnits + 1
	o.Sweep()
	if o.Lost(read) || !o.Lost(unread) {
		t.Errorf("lost: got %v for the one that read, %v for the other", o.Lost(read), o.Lost(unread))
	}
	if _, _, acked := o.Seqs(read); acked != 1 {
		t.Errorf("forgotten up to: got %d, want 1", acked)
	}
}

// TestAnswersPushOutAnswersOnly has one session get more answers than all journals hold. What
// another was sent stays, but for the answer.
func TestAnswersPushOutAnswersOnly(t *testing.T) {
	const journalBytes = 1 << 16
	o := NewOutbox(journalBytes, 10_000, fillTest)
	other, _ := o.Open()
	asker, _ := o.Open()
	o.Send(other, []byte("ready..."), 0, 0)
	o.Push(other, o.Share([]byte("message."), 0, 0))
	if lag, end := o.AnswersLag(other); lag != 0 || end != 0 {
		t.Errorf("no answer waits, and %d of %d bytes behind", lag, end)
	}
	o.Answer(other, []byte("answer.."), 0, 0)
	b, _ := o.Collect(other, nil, 1<<20)
	part := bytes.Repeat([]byte("x"), 500)
	for given := 0; given < 2*journalBytes; given += len(part) {
		if !o.Answer(asker, part, 0, 0) {
			t.Fatal("an answer was refused")
		}
	}
	if lag, end := o.AnswersLag(other); lag <= end || end > journalBytes/2 {
		t.Errorf("the oldest answer is %d of %d bytes behind", lag, end)
	}
	if lag, end := o.Lag(other); lag >= end/8 {
		t.Errorf("the oldest frame is %d of %d bytes behind, and answers do not count", lag, end)
	}
	o.Advance(other, len(b))
	if o.Rewind(other, 2) {
		t.Error("an answer that is gone can be resumed")
	}

	other, _ = o.Open()
	o.Send(other, []byte("ready..."), 0, 0)
	for range 1000 {
		o.Answer(asker, part, 0, 0)
	}
	if got, ok := o.Collect(other, nil, 1<<20); !ok || len(got) != 8 {
		t.Errorf("answers have pushed out another frame: %q, %v", got, ok)
	}
	long := make([]byte, o.FrameBytesMax())
	if !o.Answer(other, long, 0, 0) {
		t.Error("an answer as long as any frame may be was refused")
	}
	if o.Answer(other, append(long, 0), 0, 0) {
		t.Error("an answer longer than any frame may be was taken")
	}
	if len(long) < journalBytes/4-3*positionUnitBytes {
		t.Errorf("a frame may be %d bytes, which is less than a quarter of all", len(long))
	}
}

// TestDeliveryDoesNotAllocate is the promise of the hot path.
func TestDeliveryDoesNotAllocate(t *testing.T) {
	o := NewOutbox(1<<20, 1000, fillTest)
	slots := make([]uint32, 100)
	for i := range slots {
		slots[i], _ = o.Open()
	}
	frame := bytes.Repeat([]byte("x"), 300)
	buf := make([]byte, 0, 4096)
	deliver := func() {
		p := o.Share(frame, 0, 0)
		for _, slot := range slots {
			o.Push(slot, p)
		}
		for slot, ok := o.NextLate(); ok; slot, ok = o.NextLate() {
			b, _ := o.Collect(slot, buf[:0], cap(buf))
			o.Advance(slot, len(b))
			seq, _, _ := o.Seqs(slot)
			o.Ack(slot, seq)
		}
	}
	deliver()
	if n := testing.AllocsPerRun(100, deliver); n != 0 {
		t.Errorf("got %v allocations for 100 deliveries, want 0", n)
	}
}

// BenchmarkOutboxDelivery is the cost of one delivery without its write: push, collect, advance.
func BenchmarkOutboxDelivery(b *testing.B) {
	o := NewOutbox(8<<20, 1000, fillTest)
	const receivers = 10_000
	for range receivers {
		o.Open()
	}
	frame := bytes.Repeat([]byte("x"), 300)
	buf := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		p := o.Share(frame, 0, 0)
		for slot := range uint32(receivers) {
			o.Push(slot, p)
		}
		for slot := range uint32(receivers) {
			out, _ := o.Collect(slot, buf[:0], cap(buf))
			o.Advance(slot, len(out))
			seq, _, _ := o.Seqs(slot)
			o.Ack(slot, seq)
		}
		for o.HasDirty() {
			o.NextLate()
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/receivers, "ns/delivery")
}
