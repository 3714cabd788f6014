package store

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestLines holds the two lines against a plain model: each session that has something is served
// once, from the soon line if any of it is for a few, and each line in its order. Who has gone over
// from the late line keeps the place that it had there, for when it is late again.
func TestLines(t *testing.T) {
	o := NewOutbox(1<<20, 1000, fillTest)
	slots := make([]uint32, 20)
	for i := range slots {
		slots[i], _ = o.Open()
	}
	p := o.Share([]byte("frame"), 0, 0)
	r := rand.New(rand.NewPCG(5, 5))
	var soon, places []uint32
	late := map[uint32]bool{}
	for step := range 200_000 {
		slot := slots[r.IntN(len(slots))]
		switch r.IntN(4) {
		case 0:
			o.Push(slot, p)
			if !slices.Contains(soon, slot) && !late[slot] {
				places = append(places, slot)
				late[slot] = true
			}
		case 1:
			o.PushSoon(slot, p)
			delete(late, slot)
			if !slices.Contains(soon, slot) {
				soon = append(soon, slot)
			}
		case 2:
			got, ok := o.NextSoon()
			if ok != (len(soon) > 0) || ok && got != soon[0] {
				t.Fatalf("step %d: soon gives %d, %v; want %v", step, got, ok, soon)
			}
			soon = soon[min(1, len(soon)):]
		case 3:
			for len(places) > 0 && !late[places[0]] {
				places = places[1:]
			}
			got, ok := o.NextLate()
			if ok != (len(late) > 0) || ok && got != places[0] {
				t.Fatalf("step %d: late gives %d, %v; want %v of %v", step, got, ok, places, late)
			}
			if ok {
				delete(late, got)
				places = places[1:]
			}
		}
		if o.Late() < len(late) || len(soon)+len(late) > 0 && !o.HasDirty() {
			t.Fatalf("step %d: %d are late and dirty is %v, want %v and %v", step, o.Late(),
				o.HasDirty(), soon, late)
		}
		for _, slot := range slots { // A frame for each that is taken, or they would be lost.
			out, _ := o.Collect(slot, nil, 1<<20)
			o.Advance(slot, len(out))
			_, sent, _ := o.Seqs(slot)
			o.Ack(slot, sent)
		}
	}
}
