package wire

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
	"testing"
)

// TestPackedBits holds the loop's words against bits that are written one after the other, of
// sequences with chunks and offsets of any length: also those that fill a word exactly.
func TestPackedBits(t *testing.T) {
	r := rand.New(rand.NewPCG(64, 64))
	l := lessonOf(EncodingJSON)
	const base = 1 << 20
	full := 0
	for round := range 20_000 {
		var kept []byte
		var w bitWriter
		count := r.IntN(6)
		words := make([]uint64, count)
		offsets := make([]uint32, count)
		for i := range words {
			length := r.IntN(chunkBitsMax + 1)
			field := uint32(1 + r.IntN(1<<r.IntN(keptChunkShift-keptOffsetShift)))
			offsets[i] = field
			words[i] = uint64(length) | uint64(field)<<keptOffsetShift |
				r.Uint64N(1<<length)<<keptChunkShift
			if r.IntN(2) == 0 {
				words[i] |= baseTemplate << keptBaseShift
				offsets[i] += base
			}
			kept = binary.LittleEndian.AppendUint64(kept, words[i])
		}
		state := uint8(0)
		for i := count - 1; i >= 0; i-- {
			code := bits.Len32(offsets[i]) - 1
			length := int(words[i] & keptChunkMask)
			width := 0
			if i == count-1 {
				state = l.offsets.first[code]
			} else {
				s := l.offsets.steps[code][state]
				state, width = s.state, int(s.bits)
				w.add(uint64(s.value), width)
			}
			if (w.bitsWritten()-width)%8+width+length+code == 64 {
				full++
			}
			w.add(words[i]>>keptChunkShift, length)
			w.add(uint64(offsets[i])&(1<<code-1), code)
		}
		if count == 0 {
			continue
		}
		w.add(7, matchLog)
		w.add(uint64(state), offsetLog)
		w.add(9, litLog)
		w.add(1, 1)
		got := make([]byte, 16*count+sequencesExtra)
		got = got[:packSequences(got, 0, kept, l.offsetSteps, base, 7, 9)]
		if want := w.bytes(); !bytes.Equal(got, want) {
			t.Fatalf("round %d: %x, want %x", round, got, want)
		}
	}
	if full == 0 {
		t.Error("no sequence filled a word")
	}
}

func (w *bitWriter) bitsWritten() int { return len(w.out)*8 + w.n }

// TestTornHistory: an event whose packing was not finished leaves a history that nobody goes on
// with, and the next events, each asked for twice, begin another.
func TestTornHistory(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 8))
	h, l := NewHistory(1, 1<<32-30_000), newListener(t, EncodingJSON, 1<<20)
	for i := range 120 {
		if i == 60 {
			h.append(bytes.Repeat([]byte{0xff}, historyStart))
			h.torn = true
		}
		d := talk(r, i)
		f := h.Frame(d)
		if again := h.Frame(d); !bytes.Equal(again.Bytes, f.Bytes) {
			t.Fatalf("event %d is another when it is asked for again", i)
		}
		l.hear(d, f)
	}
	l.check(t)
	if l.modes[ModeHistory] < 60 {
		t.Errorf("modes %v", l.modes)
	}
}
