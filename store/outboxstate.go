package store

import "errors"

// An Outbox can be read out and made anew by another process, which goes on with its sessions: the
// journals as they are, so that every position stays what it was, and of each slot what its session
// has been given and not acknowledged. Whoever goes on has no sockets yet, so nothing counts as
// sent there.

// JournalState is one of an outbox's journals.
type JournalState struct {
	Head, Wrote, Swept uint64
	Ring               []byte // What has been written of it: the journal's own bytes.
}

// SlotState is a slot, with its session if it has one.
type SlotState struct {
	Gen          uint32
	Seq, Acked   uint32
	Opened, Lost bool
	Positions    []Position // Of the frames after Acked.
}

var (
	errJournalState = errors.New("the journals are of another size")
	errSlotState    = errors.New("a slot's numbers and its positions disagree")
)

// JournalStates reads out all journals. What it returns is good until something is appended.
func (o *Outbox) JournalStates() (all []JournalState) {
	for i := range o.journals {
		j := &o.journals[i]
		all = append(all, JournalState{j.head, j.wrote, o.swept[i], j.ring[:j.Bytes()]})
	}
	return all
}

// RestoreJournal makes journal number i what another's was. REQUIRES: nothing was appended to it.
func (o *Outbox) RestoreJournal(i int, s JournalState) error {
	if i >= journalCount {
		return errJournalState
	}
	j := &o.journals[i]
	if uint64(len(s.Ring)) != min(s.Head, j.units)*positionUnitBytes || s.Swept > s.Head {
		return errJournalState
	}
	copy(j.ring, s.Ring)
	j.head, j.wrote, o.swept[i] = s.Head, s.Wrote, s.Swept
	return nil
}

// Slots is how many slots there are, those without a session among them.
func (o *Outbox) Slots() int { return len(o.slots) }

// ReadSlot reads out a slot. It uses the room that s.Positions has.
func (o *Outbox) ReadSlot(slot uint32, s *SlotState) {
	p := &o.slots[slot]
	*s = SlotState{Gen: p.gen, Seq: p.seq, Acked: p.acked, Positions: s.Positions[:0],
		Opened: p.flags&pendingOpened != 0, Lost: p.flags&pendingLost != 0}
	if p.first == 0 {
		return
	}
	at, place := p.first, p.firstAt
	for range p.seq - p.acked {
		if place == chunkEntries {
			at, place = o.chunks.get(at).next, 0
		}
		s.Positions = append(s.Positions, o.chunks.get(at).at[place])
		place++
	}
}

// RestoreSlot makes the next slot what another outbox's slot of that number was.
// REQUIRES: the journals have been restored, and no session was opened.
func (o *Outbox) RestoreSlot(s *SlotState) error {
	whole := uint64(s.Acked)+uint64(len(s.Positions)) == uint64(s.Seq)
	if s.Opened && !s.Lost && !whole || len(s.Positions) > 0 && !whole {
		return errSlotState
	}
	slot := uint32(len(o.slots))
	o.slots = append(o.slots, pending{gen: s.Gen, seq: s.Acked, sent: s.Acked, acked: s.Acked})
	if !s.Opened {
		o.free = append(o.free, slot)
		return nil
	}
	p := &o.slots[slot]
	p.flags = pendingOpened
	o.opened++
	if s.Lost {
		p.seq, p.flags = s.Seq, p.flags|pendingLost
		return nil
	}
	for _, at := range s.Positions {
		if int(at>>positionBits) >= journalCount {
			return errSlotState
		}
		p.push(&o.chunks, at)
	}
	return nil
}

// Opened says whether a slot has a session.
func (o *Outbox) Opened(slot uint32) bool {
	return int(slot) < len(o.slots) && o.slots[slot].flags&pendingOpened != 0
}
