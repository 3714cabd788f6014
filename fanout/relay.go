package fanout

import (
	"throng/store"
	"throng/wire"
)

// relay is one guild on one loop: the receivers of that guild whose sockets live there.
//
// Those who listen and those who are passive lie apart, so that an event that passive sessions do
// not get does not even look at them: nine in ten of a large guild's sessions are passive. Both are
// parallel arrays without pointers, so that a fan-out reads a few bytes per receiver in order and
// the collector reads none. A session leaves by moving the last receiver into its place; the link
// of each receiver (see links) says where that is, so leaving is independent of the guild's size.
//
// A passive receiver takes 30 bytes here: the 25 of entries, the version that it knows, its mode.
type relay struct {
	// Static after construction.
	guild wire.Snowflake

	// Owned by the loop goroutine.
	active   entries
	passive  entries
	versions []uint32 // of the passive: what each knows of the guild's news
	modes    []uint8  // of the passive: an UpdateMode each

	queue   []*Msg // steps that wait behind the pass under way
	next    int    // where the pass under way goes on; meaningless when event is nil
	event   *Event
	left    int // receivers marked store.None, removed when the pass ends
	waiting bool

	history *wire.History // of what is given here; nil: none is kept
	packs   *wire.History // the same, for the event under way; nil: it is no part of it
	packed  uint64        // histories.turn when an event was given last
	zstd    int           // receivers on JSON zstd streams of the event under way
}

// positions remembers where each variant of one event is in the journal, so that each is copied
// there at most once per pass.
type positions struct {
	at    [wire.VariantCount]store.Position
	known [wire.VariantCount]bool
	soon  bool // so few get it that they need not wait behind others

	history *wire.History // nil: there is none
	zstd    int           // given to so many of historyVariant
}

// give gives the event in a variant to one session. A frame that the journal cannot hold breaks
// the session's stream, and the session is told so: an event is never left out in silence.
func (p *positions) give(o *store.Outbox, slot uint32, d *wire.Dispatch, v wire.Variant) {
	if !p.known[v] && !p.share(o, d, v) {
		o.Lose(slot)
		return
	}
	if v == historyVariant {
		p.zstd++
	}
	if p.soon {
		o.PushSoon(slot, p.at[v])
	} else {
		o.Push(slot, p.at[v])
	}
}

// begin begins a pass.
func (r *relay) begin(e *Event) {
	r.event, r.next, r.packs = e, 0, r.packsFor(e)
	if e.Update != nil {
		r.next = r.active.len() // It concerns the passive alone.
	}
}

// end is where the pass under way ends: places of the passive follow those of the active.
func (r *relay) end() int {
	if r.event.Passive {
		return r.active.len() + r.passive.len()
	}
	return r.active.len()
}

// pass gives the event to receivers from r.next on, looking at most at limit of them; soon has
// these written before others. It returns how many of each kind it looked at and how many frames it
// gave.
func (r *relay) pass(o *store.Outbox, limit int, soon bool) (looked lookedAt, given int) {
	from, to := r.next, min(r.next+limit, r.end())
	r.next = to
	p := positions{soon: soon, history: r.packs}
	split := r.active.len()
	if from < split {
		k := min(to, split)
		given = r.active.give(o, r.event, &p, from, k)
		looked.active = k - from
	}
	if to > split {
		k := max(from, split)
		looked.passive = to - k
		if r.event.Update != nil {
			given += r.passUpdate(o, k-split, to-split)
		} else {
			given += r.passive.give(o, r.event, &p, k-split, to-split)
		}
	}
	r.zstd += p.zstd
	return looked, given
}

// lookedAt counts receivers.
type lookedAt struct{ active, passive int }

// passUpdate tells passive receivers what is new to them. Those of one class, version and mode are
// told the same, by dispatches that all loops share.
func (r *relay) passUpdate(o *store.Outbox, from, to int) (given int) {
	type frames struct {
		dispatches []*wire.Dispatch
		positions  []positions
	}
	u := r.event.Update
	made := make(map[updateKey]*frames)
	var key updateKey
	var f *frames
	for i := from; i < to; i++ {
		if r.passive.slots[i] == store.None {
			continue
		}
		k := u.key(r.passive.classes[i], r.versions[i], UpdateMode(r.modes[i]),
			r.passive.intents[i])
		r.versions[i] = u.version
		if k != key || f == nil {
			key = k
			if f = made[k]; f == nil {
				d := u.dispatches(k)
				f = &frames{d, make([]positions, len(d))}
				made[k] = f
			}
		}
		for n, d := range f.dispatches {
			f.positions[n].give(o, r.passive.slots[i], d,
				r.passive.variants[i]&^wire.VariantStripped)
			given++
		}
	}
	return given
}

// placePassive is the bit of a link's place that says which of the relay's arrays it is in.
const placePassive = 1 << 31

// admit adds a receiver and says where it is.
func (r *relay) admit(e entry, passive bool, version uint32, mode UpdateMode) (at uint32) {
	if !passive {
		return r.active.add(e)
	}
	r.versions = append(r.versions, version)
	r.modes = append(r.modes, uint8(mode))
	return r.passive.add(e) | placePassive
}

// remove takes the receiver at the place out; see entries.remove.
func (r *relay) remove(at uint32) (movedLink uint32) {
	if at&placePassive == 0 {
		return r.active.remove(at)
	}
	at &^= placePassive
	last := len(r.versions) - 1
	r.versions[at], r.modes[at] = r.versions[last], r.modes[last]
	r.versions, r.modes = r.versions[:last], r.modes[:last]
	return r.passive.remove(at)
}

// entries returns the arrays that the place is in, and the index there.
func (r *relay) entries(at uint32) (es *entries, index uint32) {
	if at&placePassive == 0 {
		return &r.active, at
	}
	return &r.passive, at &^ placePassive
}

// reclass moves the receiver to a class. What it has been told of the news was judged by the class
// before, so one that is passive is told everything next time.
func (r *relay) reclass(at, class uint32) {
	es, index := r.entries(at)
	es.classes[index] = class
	if at&placePassive != 0 {
		r.versions[index] = 0
	}
}

// slot is who is at a place of a pass, store.None when that one has left.
func (r *relay) slot(at int) uint32 {
	if split := r.active.len(); at >= split {
		return r.passive.slots[at-split]
	}
	return r.active.slots[at]
}

func (r *relay) len() int { return r.active.len() + r.passive.len() }
