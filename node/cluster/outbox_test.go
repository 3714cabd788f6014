package cluster

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"throng/tuning"
)

func newTestOutbox(bytesMax int) *outbox {
	return &outbox{room: headerBytes("node"), bytesMax: bytesMax, buffers: new(sync.Pool)}
}

// open takes a batch apart as its receiver does.
func open(t *testing.T, s *items, dst [][]byte, b *[]byte) [][]byte {
	t.Helper()
	if len(*b) > tuning.BusBatchBytesMax {
		t.Fatalf("a batch has %d bytes", len(*b))
	}
	putHeader(*b, header{from: "node", fromInc: 1, toInc: 2, round: 3, seq: 4, ask: true})
	h, rest, err := parseHeader(*b)
	if err != nil || h != (header{
		from: "node", fromInc: 1, toInc: 2, round: 3, seq: 4, ask: true,
	}) {
		t.Fatalf("the header is %+v, %v", h, err)
	}
	dst, err = s.appendAll(dst, slices.Clone(rest))
	if err != nil {
		t.Fatal(err)
	}
	return dst
}

// TestOutboxKeepsItems: items of any size come out as they went in, in order, wherever batches are
// taken in between.
func TestOutboxKeepsItems(t *testing.T) {
	for seed := range uint64(30) {
		random := rand.New(rand.NewPCG(seed, 3))
		o := newTestOutbox(tuning.BusOutboxBytesMax)
		var s items
		var want, got [][]byte
		for range 200 {
			size := random.IntN(2000)
			switch random.IntN(40) {
			case 0:
				size = random.IntN(3 * tuning.BusBatchBytesMax)
			case 1:
				size = tuning.BusBatchBytesMax - random.IntN(100)
			case 2:
				size = 0
			}
			item := bytes.Repeat([]byte{byte(random.Uint32())}, size)
			want = append(want, item)
			if !o.push(item) {
				t.Fatalf("an item of %d bytes finds no room behind %d", size, o.bytes)
			}
			for random.IntN(3) == 0 {
				b := o.pop()
				if b == nil {
					break
				}
				got = open(t, &s, got, b)
				o.giveBack(b)
			}
		}
		for b := o.pop(); b != nil; b = o.pop() {
			got = open(t, &s, got, b)
			o.giveBack(b)
		}
		if !slices.EqualFunc(got, want, bytes.Equal) {
			t.Fatalf("seed %d: %d items came of %d, or others", seed, len(got), len(want))
		}
		if o.bytes != 0 {
			t.Errorf("an empty outbox has %d bytes", o.bytes)
		}
	}
}

func TestOutboxIsBounded(t *testing.T) {
	o := newTestOutbox(10_000)
	count := 0
	for o.push(make([]byte, 100)) {
		count++
	}
	if count < 90 || count > 100 || o.bytes > 10_000 {
		t.Errorf("%d items of 100 bytes are %d bytes", count, o.bytes)
	}
	o.clear()
	if !o.push(make([]byte, 100)) || o.bytes > 200 {
		t.Errorf("a cleared outbox has %d bytes", o.bytes)
	}
}

func TestOutboxDoesNotAllocate(t *testing.T) {
	o, item := newTestOutbox(1<<20), make([]byte, 500)
	if got := testing.AllocsPerRun(1000, func() {
		for range 100 {
			o.push(item)
		}
		o.giveBack(o.pop())
	}); got > 5 { // The list of batches; and pools forget, above all with the race detector.
		t.Errorf("100 items allocate %v times", got)
	}
}

func TestItemsAreBounded(t *testing.T) {
	o := newTestOutbox(tuning.BusOutboxBytesMax)
	if !o.push(make([]byte, tuning.BusItemBytesMax+1)) {
		t.Fatal("no room")
	}
	var s items
	var err error
	for b := o.pop(); b != nil && err == nil; b = o.pop() {
		_, err = s.appendAll(nil, (*b)[o.room:])
	}
	if err == nil {
		t.Error("an item that is too large is put together")
	}
}

func FuzzParseBatch(f *testing.F) {
	o := newTestOutbox(1 << 20)
	o.push([]byte("one"))
	o.push([]byte("two"))
	b := o.pop()
	putHeader(*b, header{from: "node", fromInc: 1, toInc: 2, round: 3, seq: 4})
	f.Add(*b)
	beat := make([]byte, headerBytes("node"))
	putHeader(beat, header{from: "node", fromInc: 1, toInc: 2, round: 3, beat: true})
	f.Add(beat)
	f.Fuzz(func(t *testing.T, b []byte) {
		h, rest, err := parseHeader(b)
		if err != nil {
			return
		}
		again := make([]byte, headerBytes(h.from))
		putHeader(again, h)
		if !bytes.HasPrefix(b, again) {
			t.Errorf("%x becomes %x", b, again)
		}
		var s items
		all, err := s.appendAll(nil, rest)
		total := len(s.part)
		for _, item := range all {
			total += len(item)
		}
		if total > len(rest) {
			t.Errorf("%d bytes of items in %d, %v", total, len(rest), err)
		}
	})
}
