package store

import (
	"encoding/binary"
	"slices"
	"sync/atomic"
)

// RoleSets interns the distinct sets of roles that a guild's members have, so that a member holds
// four bytes for them and permissions can be decided once per set. A guild of 100,000 members has
// some hundreds of distinct sets.
//
// One writer (the guild's shard), any number of readers. It only grows: an id means the same set
// as long as the guild is loaded, so readers need no lock and may keep ids.
type RoleSets struct {
	// Owned by the writer. Key: the ids, eight bytes each.
	byKey   map[string]uint32
	scratch []byte

	// Atomic: written by the writer, read by anyone. Each snapshot shares its array with the ones
	// before it; a reader looks only below its own length, and what is there is never rewritten.
	sets atomic.Pointer[[][]uint64]
}

// NewRoleSets returns a table that knows only id 0, the empty set.
func NewRoleSets() *RoleSets {
	r := &RoleSets{}
	r.sets.Store(&[][]uint64{nil})
	return r
}

// Intern returns the id of the set of these roles, handing out a new one when the set is new.
// Order and repetition do not matter; the argument is neither kept nor changed.
func (r *RoleSets) Intern(roles []uint64) uint32 {
	if len(roles) == 0 {
		return 0
	}
	set := roles
	if !ascending(roles) {
		set = sortedRoles(roles)
	}
	r.scratch = r.scratch[:0]
	for _, role := range set {
		r.scratch = binary.BigEndian.AppendUint64(r.scratch, role)
	}
	if id, ok := r.byKey[string(r.scratch)]; ok {
		return id
	}
	sets := append(*r.sets.Load(), slices.Clone(set))
	id := uint32(len(sets) - 1)
	if r.byKey == nil {
		r.byKey = make(map[string]uint32)
	}
	r.byKey[string(r.scratch)] = id
	r.sets.Store(&sets)
	return id
}

// Roles returns the set, ascending. It is shared and must not be changed. An id that was never
// handed out is the empty set.
func (r *RoleSets) Roles(id uint32) []uint64 {
	sets := *r.sets.Load()
	if int(id) >= len(sets) {
		return nil
	}
	return sets[id]
}

// Has says whether the role is in the set.
func (r *RoleSets) Has(id uint32, role uint64) bool {
	_, found := slices.BinarySearch(r.Roles(id), role)
	return found
}

// Without maps the id of every set that has the role to the id of the same set less the role. It
// is for the deletion of a role: the caller rewrites the members whose set is in the map. The old
// sets stay, as ids are never taken back.
func (r *RoleSets) Without(role uint64) map[uint32]uint32 {
	moved := make(map[uint32]uint32)
	for id, set := range *r.sets.Load() {
		at, found := slices.BinarySearch(set, role)
		if !found {
			continue
		}
		rest := slices.Concat(set[:at], set[at+1:])
		moved[uint32(id)] = r.Intern(rest)
	}
	return moved
}

// Len returns the number of sets, the empty one included; ids are below it.
func (r *RoleSets) Len() int {
	return len(*r.sets.Load())
}

// ascending says whether the roles are sorted without repetition.
func ascending(roles []uint64) bool {
	for i := 1; i < len(roles); i++ {
		if roles[i-1] >= roles[i] {
			return false
		}
	}
	return true
}

// sortedRoles returns a sorted copy without repetition; nil when there are none.
func sortedRoles(roles []uint64) []uint64 {
	if len(roles) == 0 {
		return nil
	}
	set := slices.Clone(roles)
	slices.Sort(set)
	return slices.Compact(set)
}
