package fanout

import (
	"slices"

	"throng/wire"
)

// Event is one thing to deliver, shared by all loops of the node. It is immutable once published;
// only the frames inside Dispatch are built later, each at most once.
type Event struct {
	Dispatch *wire.Dispatch
	// Intents lets the event through to a receiver that has any of them; 0 lets it through to all.
	Intents wire.Intents
	// Visible says which visibility classes may see the event; nil means every class.
	Visible Bitset
	// Self is the user that SelfRule speaks of.
	Self     wire.Snowflake
	SelfRule wire.SelfRule
	// Full lists the users who get the full body though they lack MESSAGE_CONTENT: the author and
	// the mentioned. Ascending.
	Full []wire.Snowflake
	// Also lists the users who get the event although Visible says no: members of a private thread.
	// Intents still apply to them. Ascending.
	Also []wire.Snowflake
	// Passive says that passive receivers get it too; for those without it costs nothing.
	Passive bool
	// Update is news for the passive receivers alone, in the place of Dispatch.
	Update *Update

	// Own lists the users whose event it is: by whom it was said, or whom it mentions or is about.
	// The guild sends it to those of their sessions that do not hear it with the others.
	Own []wire.Snowflake
	// About is the user whom it is about, for those who watch that user; 0 is nobody.
	About wire.Snowflake

	// Trace is what the event is a part of, nil for nearly all.
	Trace *Trace
	// Asked is when somebody asked for it to be published, by the clock of the node that says so,
	// if some of its receivers are to be timed; 0 for nearly all, and on other nodes.
	Asked int64

	behind *behind // of the guild; nil where nobody counts
}

// Bitset is a set of visibility classes. It is immutable: a set that grows is a new Bitset, so that
// events in flight keep the one they were published with.
type Bitset []uint64

// Has reports whether class is in the set. A class beyond the end is not: it was born after the
// set.
func (b Bitset) Has(class uint32) bool {
	word := int(class >> 6)
	return word < len(b) && b[word]>>(class&63)&1 != 0
}

// set puts class into the set. REQUIRES: the set has not been given away, and class is within it.
func (b Bitset) set(class uint32) { b[class>>6] |= 1 << (class & 63) }

// bitsetFor returns an empty set with room for count classes, filled from old as far as that goes.
func bitsetFor(count int, old Bitset) Bitset {
	b := make(Bitset, (count+63)/64)
	copy(b, old)
	return b
}

// without returns the classes of b that are not in other.
func (b Bitset) without(other Bitset) Bitset {
	left := bitsetFor(len(b)*64, b)
	for i := range min(len(left), len(other)) {
		left[i] &^= other[i]
	}
	return left
}

// empty reports whether no class is in the set.
func (b Bitset) empty() bool {
	for _, word := range b {
		if word != 0 {
			return false
		}
	}
	return true
}

// plain reports whether no single user is treated apart: then intents and class alone decide.
func (e *Event) plain() bool {
	return e.SelfRule == wire.SelfNone && len(e.Full) == 0 && len(e.Also) == 0
}

// admits reports whether a receiver of that user, with those intents and of that class, gets the
// event.
func (e *Event) admits(user wire.Snowflake, intents wire.Intents, class uint32) bool {
	self := user == e.Self
	switch e.SelfRule {
	case wire.SelfNever:
		if self {
			return false
		}
	case wire.SelfAlways:
		if self {
			return true
		}
	case wire.SelfOnly:
		if !self {
			return false
		}
	case wire.SelfOnlyGuilds:
		if !self && intents&wire.IntentGuildMembers == 0 {
			return false
		}
	}
	if e.Intents != 0 && intents&e.Intents == 0 {
		return false
	}
	if e.Visible == nil || e.Visible.Has(class) {
		return true
	}
	_, also := slices.BinarySearch(e.Also, user)
	return also
}

// full reports whether the user gets the full body whatever its intents.
func (e *Event) full(user wire.Snowflake) bool {
	_, found := slices.BinarySearch(e.Full, user)
	return found
}
