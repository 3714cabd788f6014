package store

import (
	"bytes"
	"cmp"
	"encoding/binary"
)

// Roster is what the member lists of one guild sort by: for each member that is on them a group and
// a name, and the trees (RankTree) that put them in order. One owner, the guild's shard; a Roster
// that is built elsewhere is handed over whole.
//
// The names are copies. A tree that asked the tables of users and members for names as it compares
// them would fall apart when one is changed behind its back, and a user's is changed by anyone; nor
// could it find the place that a member had under the old name. A copy takes 32 bytes up to 16
// bytes of name, once for all lists of the guild, and a tree then needs 12 bytes for an entry.
//
// A record is never changed. A member that gets another name or group gets another record, and the
// old one stays for as long as trees hold it: the caller takes it out of each, then calls Free.
type Roster struct {
	cells  slab[rosterCell]
	leaves slab[rankLeaf]
	inners slab[rankInner]
	byUser map[uint64]Ref
}

// Ref names a record of a Roster. 0 is none.
type Ref uint32

// rosterCell is a record: its user, and the first 16 bytes of the name. The rest of a longer name
// is in further cells, in which only text and next are used.
type rosterCell struct {
	user  uint64
	next  Ref // The name's continuation.
	group uint16
	size  uint8 // Of the whole name.
	held  bool  // Whether it is a record in use, and no continuation.
	text  [rosterTextBytes]byte
}

const (
	rosterTextBytes = 16

	// RosterNameBytesMax is how much of a name counts for the order. A name has at most 32
	// characters in the protocol, and a character at most four bytes.
	RosterNameBytesMax = 128
)

const _ = uint8(RosterNameBytesMax) // The size of a name fits its field.

// NewRoster returns an empty roster.
func NewRoster() *Roster { return &Roster{byUser: make(map[uint64]Ref)} }

// Len returns how many users are on the roster.
func (r *Roster) Len() int { return len(r.byUser) }

// Records returns how many records are held, those included that are no user's any more. It counts
// them, for checks.
func (r *Roster) Records() (records int) {
	for cell := 1; cell < r.Cells(); cell++ {
		if r.cells.at(uint32(cell)).held {
			records++
		}
	}
	return records
}

// Cells returns a number that every Ref is below. At goes through the records with it.
func (r *Roster) Cells() int { return int(r.cells.next) }

// At returns the record in the cell, and whether there is one that its user's Find returns.
func (r *Roster) At(cell int) (Ref, bool) {
	c := r.cells.at(uint32(cell))
	return Ref(cell), cell != 0 && c.held && r.byUser[c.user] == Ref(cell)
}

// Find returns the user's record.
func (r *Roster) Find(user uint64) (Ref, bool) {
	ref, ok := r.byUser[user]
	return ref, ok
}

// Put makes a record the user's record. One that the user had is not freed. The name is copied, as
// far as RosterNameBytesMax.
func (r *Roster) Put(user uint64, group uint16, name []byte) Ref {
	name = name[:min(len(name), RosterNameBytesMax)]
	first := Ref(r.cells.take())
	c := r.cells.at(uint32(first))
	c.user, c.group, c.size, c.held = user, group, uint8(len(name)), true
	at := first
	for {
		rest := name[copy(r.cells.at(uint32(at)).text[:], name):]
		if len(rest) == 0 {
			break
		}
		next := Ref(r.cells.take())
		r.cells.at(uint32(at)).next = next
		at, name = next, rest
	}
	r.byUser[user] = first
	return first
}

// Drop takes the user off the roster. The record is not freed.
func (r *Roster) Drop(user uint64) { delete(r.byUser, user) }

// Free gives the record back. REQUIRES: no tree holds it, and it is no user's.
func (r *Roster) Free(ref Ref) {
	for ref != 0 {
		c := r.cells.at(uint32(ref))
		next := c.next
		*c = rosterCell{}
		r.cells.put(uint32(ref))
		ref = next
	}
}

// User returns whose record it is.
func (r *Roster) User(ref Ref) uint64 { return r.cells.at(uint32(ref)).user }

// Group returns the group of the record.
func (r *Roster) Group(ref Ref) uint16 { return r.cells.at(uint32(ref)).group }

// AppendName appends the name of the record.
func (r *Roster) AppendName(dst []byte, ref Ref) []byte {
	left := int(r.cells.at(uint32(ref)).size)
	for left > 0 {
		c := r.cells.at(uint32(ref))
		part := min(left, rosterTextBytes)
		dst = append(dst, c.text[:part]...)
		left -= part
		ref = c.next
	}
	return dst
}

// Named says whether the record's name is this one, as far as names count.
func (r *Roster) Named(ref Ref, name []byte) bool {
	var buf [RosterNameBytesMax]byte
	name = name[:min(len(name), RosterNameBytesMax)]
	return bytes.Equal(r.AppendName(buf[:0], ref), name)
}

// prefix is the beginning of a name as a number that sorts as the name does.
func (r *Roster) prefix(ref Ref) uint64 {
	return binary.BigEndian.Uint64(r.cells.at(uint32(ref)).text[:8])
}

// Compare orders two records by name, then by user. Groups are not looked at: each has its tree.
func (r *Roster) Compare(a, b Ref) int {
	x, y := r.cells.at(uint32(a)), r.cells.at(uint32(b))
	size, user := cmp.Compare(x.size, y.size), cmp.Compare(x.user, y.user)
	for {
		// Text is padded with zeros, so that the shorter of two names that begin alike is the less.
		if c := bytes.Compare(x.text[:], y.text[:]); c != 0 {
			return c
		}
		if x.next == 0 || y.next == 0 {
			break
		}
		x, y = r.cells.at(uint32(x.next)), r.cells.at(uint32(y.next))
	}
	// What is equal as far as the shorter goes differs in length, or not at all.
	return cmp.Or(size, user)
}
