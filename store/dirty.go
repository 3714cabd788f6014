package store

// Who is to be written next.
//
// Sessions with something unsent stand in two lines. An event of a huge guild puts ten thousand
// sessions in line at once, and to write them all takes a loop a tenth of a second; a session that
// is told something just then which hardly anybody else is told would wait behind them. So what is
// for a few, a small guild's event or an answer, puts its session in the soon line, also when it
// stands in the late one already, and the loop takes a share from each. With one line a small
// guild's p99 was that of the huge one beside it; see bench/fairness.
//
// The late line is not searched for who has gone over: when such a slot's turn comes there, its
// flags say that it has been served or is about to be.

// line is a queue of slots.
type line struct {
	slots []uint32
	at    int // slots before it are taken
}

func (l *line) add(slot uint32) { l.slots = append(l.slots, slot) }

func (l *line) len() int { return len(l.slots) - l.at }

// take takes the first slot. REQUIRES: there is one.
func (l *line) take() (slot uint32) {
	slot = l.slots[l.at]
	l.at++
	switch {
	case l.at == len(l.slots):
		l.slots, l.at = l.slots[:0], 0
	case l.at > len(l.slots)/2 && l.at >= lineTakenMin:
		l.slots = l.slots[:copy(l.slots, l.slots[l.at:])]
		l.at = 0
	}
	return slot
}

// lineTakenMin is how many taken slots may stand in a line before the rest moves up.
const lineTakenMin = 1024

// MarkDirty puts a slot in line, unless it is there already. What gives a session a frame does so
// by itself.
func (o *Outbox) MarkDirty(slot uint32) {
	if s := &o.slots[slot]; s.flags&pendingDirty == 0 {
		s.flags |= pendingDirty
		o.late.add(slot)
	}
}

// markSoon puts a slot in the soon line.
func (o *Outbox) markSoon(slot uint32) {
	if s := &o.slots[slot]; s.flags&pendingSoon == 0 {
		s.flags |= pendingInLine
		o.soon.add(slot)
	}
}

// NextSoon takes the slot that has been longest in the soon line. It may have been closed, or
// closed and opened again, since.
func (o *Outbox) NextSoon() (slot uint32, ok bool) {
	if o.soon.len() == 0 {
		return 0, false
	}
	slot = o.soon.take()
	o.slots[slot].flags &^= pendingInLine
	return slot, true
}

// NextLate takes the slot that has been longest in the late line; as NextSoon.
func (o *Outbox) NextLate() (slot uint32, ok bool) {
	for o.late.len() > 0 {
		slot = o.late.take()
		if s := &o.slots[slot]; s.flags&pendingInLine == pendingDirty {
			s.flags &^= pendingDirty
			return slot, true
		}
	}
	return 0, false
}

// Soon is how many slots stand in the soon line.
func (o *Outbox) Soon() int { return o.soon.len() }

// Late is how many slots stand in the late line, those among them that the soon line took over.
func (o *Outbox) Late() int { return o.late.len() }

// HasDirty says whether anybody stands in line.
func (o *Outbox) HasDirty() bool { return o.soon.len()+o.late.len() > 0 }
