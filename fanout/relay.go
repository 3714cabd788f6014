package fanout

import (
	"throng/store"
	"throng/wire"
)

// relay is one guild on one loop: the receivers of that guild whose sockets live there.
//
// The receivers are parallel arrays without pointers, so that a fan-out reads a few bytes per
// receiver in order and the collector reads none. A session leaves by moving the last receiver
// into its place; the link of each receiver (see links) says where that is, so leaving is
// independent of the guild's size.
type relay struct {
	// Static after construction.
	guild wire.Snowflake

	// Owned by the loop goroutine.
	slots    []uint32 // store.None marks one that left during a pass
	intents  []wire.Intents
	classes  []uint32
	links    []uint32
	variants []wire.Variant
	users    []wire.Snowflake

	queue   []*Msg // steps that wait behind the pass under way
	next    int    // where the pass under way goes on; meaningless when event is nil
	event   *Event
	left    int // receivers marked store.None, removed when the pass ends
	waiting bool
}

// positions remembers where each variant of one event is in the journal, so that each is copied
// there at most once per pass.
type positions struct {
	at    [wire.VariantCount]store.Position
	known [wire.VariantCount]bool
}

// give gives the event in a variant to one session. A frame that the journal cannot hold breaks
// the session's stream, and the session is told so: an event is never left out in silence.
func (p *positions) give(o *store.Outbox, slot uint32, d *wire.Dispatch, v wire.Variant) {
	if !p.known[v] {
		f := d.Frame(v)
		if len(f.Bytes) > o.FrameBytesMax() {
			o.Lose(slot)
			return
		}
		p.at[v] = o.Share(f.Bytes, f.Hole, uint8(v))
		p.known[v] = true
	}
	o.Push(slot, p.at[v])
}

// pass gives the event to receivers from r.next on, looking at most at limit of them. It returns
// how many it looked at and how many got the event.
func (r *relay) pass(o *store.Outbox, limit int) (looked, given int) {
	from, to := r.next, min(r.next+limit, len(r.slots))
	r.next = to
	var p positions
	if r.event.plain() {
		given = r.passPlain(o, &p, from, to)
	} else {
		given = r.passRules(o, &p, from, to)
	}
	return to - from, given
}

// passPlain is the inner loop for events without rules about single users, which are nearly all.
func (r *relay) passPlain(o *store.Outbox, p *positions, from, to int) (given int) {
	e := r.event
	need, visible, single := e.Intents, e.Visible, !e.Dispatch.HasStripped()
	slots, intents := r.slots[from:to], r.intents[from:to]
	classes, variants := r.classes[from:to], r.variants[from:to]
	for i, slot := range slots {
		if need != 0 && intents[i]&need == 0 || slot == store.None {
			continue
		}
		if visible != nil && !visible.Has(classes[i]) {
			continue
		}
		v := variants[i]
		if single {
			v &^= wire.VariantStripped
		}
		p.give(o, slot, e.Dispatch, v)
		given++
	}
	return given
}

// passRules is the inner loop for events with rules about single users: presence never to its
// own user, a message in full to its author, a private thread to its members.
func (r *relay) passRules(o *store.Outbox, p *positions, from, to int) (given int) {
	e := r.event
	single := !e.Dispatch.HasStripped()
	for i := from; i < to; i++ {
		if r.slots[i] == store.None || !e.admits(r.users[i], r.intents[i], r.classes[i]) {
			continue
		}
		v := r.variants[i]
		if single || v&wire.VariantStripped != 0 && e.full(r.users[i]) {
			v &^= wire.VariantStripped
		}
		p.give(o, r.slots[i], e.Dispatch, v)
		given++
	}
	return given
}

// admit adds a receiver and says where it is.
func (r *relay) admit(v Receiver, class, link uint32) (at uint32) {
	at = uint32(len(r.slots))
	r.slots = append(r.slots, v.Slot)
	r.intents = append(r.intents, v.Intents)
	r.classes = append(r.classes, class)
	r.links = append(r.links, link)
	r.variants = append(r.variants, v.Variant)
	r.users = append(r.users, v.User)
	return at
}

// remove takes the receiver at out. The receiver that moves into its place is reported by its
// link, links.none when there is none.
func (r *relay) remove(at uint32) (movedLink uint32) {
	last := uint32(len(r.slots) - 1)
	if at != last {
		r.slots[at] = r.slots[last]
		r.intents[at] = r.intents[last]
		r.classes[at] = r.classes[last]
		r.links[at] = r.links[last]
		r.variants[at] = r.variants[last]
		r.users[at] = r.users[last]
		movedLink = r.links[at]
	}
	r.slots = r.slots[:last]
	r.intents = r.intents[:last]
	r.classes = r.classes[:last]
	r.links = r.links[:last]
	r.variants = r.variants[:last]
	r.users = r.users[:last]
	return movedLink
}
