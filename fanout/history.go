package fanout

import (
	"cmp"
	"slices"

	"throng/store"
	"throng/wire"
)

// HistoryLimits say which relays keep the history of what their sessions were sent, which events
// on zstd streams are packed against: see wire.History.
type HistoryLimits struct {
	Max          int // of a loop
	ReceiversMin int // that an event has to have on such streams here
	// Seed tells these histories from those of a process that was here before, whose frames are in
	// the journal still: of two with one number and place the wrong one would be copied from.
	Seed uint64
}

// historyVariant is what histories are of.
const historyVariant = wire.Variant(wire.CompressionZstd) << 2

// histories are those of one loop. The relay that has used its own longest ago gives it up for
// one that has the receivers for it now.
type histories struct {
	// Static after construction.
	limits HistoryLimits

	// Owned by the loop goroutine.
	holders []*relay
	turn    uint64 // grows with each event that is packed
	made    uint16 // numbers of histories
	place   uint32 // where the next one begins: an old number that comes again means nothing
}

// follow notes that an event has been given to so many receivers on zstd streams. It gives the
// relay a history when these are enough, and takes it away when hardly any are left.
func (hs *histories) follow(r *relay, receivers int) {
	hs.turn++
	r.packed = hs.turn
	enough := receivers >= hs.limits.ReceiversMin
	if r.history != nil {
		if r.packs != nil && receivers < hs.limits.ReceiversMin/2 {
			hs.drop(r)
		}
		return
	}
	if !enough || hs.limits.Max == 0 {
		return
	}
	var h *wire.History
	if len(hs.holders) >= hs.limits.Max {
		oldest := slices.MinFunc(hs.holders, func(a, b *relay) int {
			return cmp.Compare(a.packed, b.packed)
		})
		if hs.turn-oldest.packed < historyRest {
			return
		}
		h = oldest.history
		hs.drop(oldest)
	}
	if hs.made++; hs.made == 0 {
		hs.made = 1
	}
	const apart = 0x9e3779b1 // Any odd number far from both ends.
	hs.place += apart
	if h == nil {
		h = wire.NewHistory(hs.made, hs.place)
	} else {
		h.Begin(hs.made, hs.place)
	}
	r.history = h
	hs.holders = append(hs.holders, r)
}

// historyRest is how many events of other guilds a history outlives: where more guilds than may
// have one are busy they keep what they have, and do not take it from each other with each event.
const historyRest = 1000

// drop takes a relay's history away.
func (hs *histories) drop(r *relay) {
	if r.history == nil {
		return
	}
	r.history, r.packs = nil, nil
	if i := slices.Index(hs.holders, r); i >= 0 {
		hs.holders = slices.Delete(hs.holders, i, i+1)
	}
}

// HistoryMemory says how many histories there are, and what they take.
func (b *Board) HistoryMemory() (count, bytes int) {
	count = len(b.histories.holders)
	return count, count * wire.HistoryBytes
}

// packsFor is the history that an event is packed against, and becomes a part of: nil where it
// goes to less than half of the receivers. Such an event ends the agreement of those who get it
// with the history; in it, it would end that of all others.
func (r *relay) packsFor(e *Event) *wire.History {
	if r.history == nil || e.Update != nil {
		return nil
	}
	es := &r.active
	step := max(es.len()/historySample, 1)
	asked, told := 0, 0
	for i := 0; i < es.len(); i += step {
		if es.slots[i] == store.None {
			continue
		}
		asked++
		if e.admits(es.users[i], es.intents[i], es.classes[i]) {
			told++
		}
	}
	if told*2 < asked {
		return nil
	}
	return r.history
}

// historySample receivers are asked whether they get an event.
const historySample = 64

// share puts the frame of a variant into the journal.
func (p *positions) share(o *store.Outbox, d *wire.Dispatch, v wire.Variant) (ok bool) {
	f := d.Frame(v)
	if p.history != nil && v == historyVariant {
		f = p.history.Frame(d)
	}
	if len(f.Bytes) > o.FrameBytesMax() {
		return false
	}
	p.at[v] = o.Share(f.Bytes, f.Hole, uint8(v))
	p.known[v] = true
	return true
}
