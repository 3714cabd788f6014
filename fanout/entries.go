package fanout

import (
	"throng/store"
	"throng/wire"
)

// entries are receivers of one guild on one loop, as parallel arrays without pointers: 25 bytes
// each. One that leaves makes room for the last, whose link says where it is from then on.
type entries struct {
	// Owned by the loop goroutine.
	slots    []uint32 // store.None marks one that left during a pass
	intents  []wire.Intents
	classes  []uint32
	links    []uint32
	variants []wire.Variant
	users    []wire.Snowflake
}

// entry is one receiver of entries.
type entry struct {
	slot    uint32
	intents wire.Intents
	class   uint32
	link    uint32
	variant wire.Variant
	user    wire.Snowflake
}

func (es *entries) len() int { return len(es.slots) }

// add adds a receiver and says where it is.
func (es *entries) add(e entry) (at uint32) {
	at = uint32(len(es.slots))
	es.slots = append(es.slots, e.slot)
	es.intents = append(es.intents, e.intents)
	es.classes = append(es.classes, e.class)
	es.links = append(es.links, e.link)
	es.variants = append(es.variants, e.variant)
	es.users = append(es.users, e.user)
	return at
}

func (es *entries) get(at uint32) entry {
	return entry{es.slots[at], es.intents[at], es.classes[at], es.links[at], es.variants[at],
		es.users[at]}
}

// remove takes the receiver at out. The receiver that moves into its place is reported by its link,
// 0 when there is none.
func (es *entries) remove(at uint32) (movedLink uint32) {
	last := uint32(len(es.slots) - 1)
	if at != last {
		es.slots[at] = es.slots[last]
		es.intents[at] = es.intents[last]
		es.classes[at] = es.classes[last]
		es.links[at] = es.links[last]
		es.variants[at] = es.variants[last]
		es.users[at] = es.users[last]
		movedLink = es.links[at]
	}
	es.slots = es.slots[:last]
	es.intents = es.intents[:last]
	es.classes = es.classes[:last]
	es.links = es.links[:last]
	es.variants = es.variants[:last]
	es.users = es.users[:last]
	return movedLink
}

// give gives the event to the receivers [from, to) that may have it, and says how many these are.
func (es *entries) give(o *store.Outbox, e *Event, p *positions, from, to int) (given int) {
	if e.plain() {
		return es.givePlain(o, e, p, from, to)
	}
	return es.giveRules(o, e, p, from, to)
}

// givePlain is the inner loop for events without rules about single users, which are nearly all.
func (es *entries) givePlain(o *store.Outbox, e *Event, p *positions, from, to int) (given int) {
	need, visible, single := e.Intents, e.Visible, !e.Dispatch.HasStripped()
	slots, intents := es.slots[from:to], es.intents[from:to]
	classes, variants := es.classes[from:to], es.variants[from:to]
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

// giveRules is the inner loop for events with rules about single users: presence never to its own
// user, a message in full to its author, a private thread to its members.
func (es *entries) giveRules(o *store.Outbox, e *Event, p *positions, from, to int) (given int) {
	for i := from; i < to; i++ {
		if es.slots[i] == store.None || !e.admits(es.users[i], es.intents[i], es.classes[i]) {
			continue
		}
		p.give(o, es.slots[i], e.Dispatch, e.variant(es.users[i], es.variants[i]))
		given++
	}
	return given
}

// variant is the variant of the event that the user gets.
func (e *Event) variant(user wire.Snowflake, v wire.Variant) wire.Variant {
	if v&wire.VariantStripped != 0 && (!e.Dispatch.HasStripped() || e.full(user)) {
		v &^= wire.VariantStripped
	}
	return v
}
