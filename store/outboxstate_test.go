package store

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
)

// movedTo reads an outbox out and makes it anew.
func movedTo(t *testing.T, old *Outbox, journalBytes int) (*Outbox, error) {
	t.Helper()
	next := NewOutbox(journalBytes, 1000, noFill)
	for i, j := range old.JournalStates() {
		if err := next.RestoreJournal(i, j); err != nil {
			return nil, err
		}
	}
	var s SlotState
	for slot := range old.Slots() {
		old.ReadSlot(uint32(slot), &s)
		if err := next.RestoreSlot(&s); err != nil {
			return nil, err
		}
	}
	return next, nil
}

func noFill(dst, frame []byte, _ int, _ uint8, _ uint32) []byte { return append(dst, frame...) }

// TestOutboxGoesOnElsewhere plays at random on an outbox, moves it, and has both go on: they give
// every session the same from where it was acknowledged on, and refuse the same.
func TestOutboxGoesOnElsewhere(t *testing.T) {
	const journalBytes, sessions = 8 << 10, 20
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 1))
		old := NewOutbox(journalBytes, 1000, noFill)
		gens := map[uint32]uint32{}
		open := func() {
			slot, gen := old.Open()
			gens[slot] = gen
		}
		for range sessions {
			open()
		}
		number := 0
		for range rng.IntN(2000) {
			number++
			slot := uint32(rng.IntN(sessions))
			frame := bytes.Repeat([]byte{byte(number)}, 1+rng.IntN(60))
			switch seq, _, acked := old.Seqs(slot); rng.IntN(12) {
			case 0:
				old.Ack(slot, acked+uint32(rng.IntN(int(seq-acked)+1)))
			case 1:
				out, ok := old.Collect(slot, nil, rng.IntN(200))
				if ok {
					old.Advance(slot, len(out)-len(out)/3)
				}
			case 2:
				old.Close(slot)
				open()
			case 3, 4:
				old.Send(slot, frame, 0, 0)
			default:
				p := old.Share(frame, 0, 0)
				for s := range uint32(sessions) {
					if s%3 == slot%3 {
						old.Push(s, p)
					}
				}
			}
		}
		old.Close(sessions - 1)
		next, err := movedTo(t, old, journalBytes)
		if err != nil {
			t.Fatal(err)
		}
		if next.Opened(sessions-1) || next.Live(sessions-1, gens[sessions-1]) {
			t.Fatal("a slot that was closed is open")
		}
		for slot := range uint32(sessions - 1) {
			if !next.Live(slot, gens[slot]) {
				t.Fatalf("seed %d: slot %d is not of its session", seed, slot)
			}
			seq, _, acked := old.Seqs(slot)
			movedSeq, sent, movedAcked := next.Seqs(slot)
			if movedSeq != seq || movedAcked != acked || sent > seq {
				t.Fatalf("seed %d: slot %d is at %d %d %d, was at %d and %d", seed, slot, movedSeq,
					sent, movedAcked, seq, acked)
			}
		}
		for _, o := range []*Outbox{old, next} {
			for slot := range uint32(sessions) {
				if o.Opened(slot) {
					o.Push(slot, o.Share([]byte("after"), 0, 0))
				}
			}
		}
		for slot := range uint32(sessions - 1) {
			from := func(o *Outbox) string {
				_, _, acked := o.Seqs(slot)
				rewound := o.Rewind(slot, acked)
				out, ok := o.Collect(slot, nil, 1<<30)
				return fmt.Sprintf("%v %v %x", rewound, ok, out)
			}
			if was, is := from(old), from(next); was != is {
				t.Fatalf("seed %d: slot %d gets\n%s\nand would have got\n%s", seed, slot, is, was)
			}
		}
		slot, gen := next.Open()
		if slot != sessions-1 || gen == gens[slot] {
			t.Fatalf("slot %d is opened as %d, which it was", slot, gen)
		}
	}
}

func TestOutboxOfAnotherSizeIsRefused(t *testing.T) {
	old := NewOutbox(8<<10, 1000, noFill)
	slot, _ := old.Open()
	for range 1000 {
		old.Send(slot, make([]byte, 100), 0, 0)
	}
	if _, err := movedTo(t, old, 16<<10); err == nil {
		t.Error("it was taken")
	}
	next := NewOutbox(8<<10, 1000, noFill)
	if next.RestoreSlot(&SlotState{Opened: true, Seq: 3, Acked: 1}) == nil {
		t.Error("a slot whose positions are missing was taken")
	}
	if next.RestoreSlot(&SlotState{Opened: true, Seq: 1, Positions: []Position{3 << 30}}) == nil {
		t.Error("a position in no journal was taken")
	}
}
