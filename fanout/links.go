package fanout

// links are the sessions' sides of the relays: for each session the relays it is in and its
// place there, as lists in one pointer-free slab. Number 0 is nobody's.
type links struct {
	// Owned by the loop goroutine.
	slab []link
	free uint32
	head []uint32 // by session slot: its first link
}

type link struct {
	relay uint32 // number of the relay
	at    uint32 // place in the relay's arrays; see placePassive
	next  uint32 // the session's next link, or the next free one
}

// add links a session with a relay; the place is set by the caller once it is known.
func (l *links) add(slot, relay uint32) (n uint32) {
	for int(slot) >= len(l.head) {
		l.head = append(l.head, 0)
	}
	if len(l.slab) == 0 {
		l.slab = append(l.slab, link{})
	}
	if n = l.free; n != 0 {
		l.free = l.slab[n].next
	} else {
		n = uint32(len(l.slab))
		l.slab = append(l.slab, link{})
	}
	l.slab[n] = link{relay: relay, next: l.head[slot]}
	l.head[slot] = n
	return n
}

// find gives a session's link with a relay, 0 when there is none.
func (l *links) find(slot, relay uint32) uint32 {
	if int(slot) >= len(l.head) {
		return 0
	}
	n := l.head[slot]
	for n != 0 && l.slab[n].relay != relay {
		n = l.slab[n].next
	}
	return n
}

// remove unlinks a session from a relay.
func (l *links) remove(slot, relay uint32) {
	for p := &l.head[slot]; *p != 0; p = &l.slab[*p].next {
		if n := *p; l.slab[n].relay == relay {
			*p = l.slab[n].next
			l.release(n)
			return
		}
	}
}

// takeAll unlinks a session from everything and calls f for each of its links.
func (l *links) takeAll(slot uint32, f func(link)) {
	if int(slot) >= len(l.head) {
		return
	}
	n := l.head[slot]
	l.head[slot] = 0
	for n != 0 {
		k := l.slab[n]
		l.release(n)
		f(k)
		n = k.next
	}
}

func (l *links) release(n uint32) {
	l.slab[n] = link{next: l.free}
	l.free = n
}
