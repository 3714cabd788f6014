package fanout

import (
	"slices"
	"unicode"
	"unicode/utf8"

	"throng/wire"
)

// Groups have numbers, which records on the roster and lists hold; the order they are shown in is
// apart, so that nobody moves when it changes.
const (
	groupOnline = iota
	groupOffline
	groupsFixed
)

// listGroups are the groups of a guild's lists.
type listGroups struct {
	slots   []listGroup
	byRole  map[wire.Snowflake]uint16
	order   []uint16 // As shown.
	hoisted int      // How many are of hoisted roles.
}

// listGroup is one group. A role that is not hoisted any more keeps its group until the last of its
// members has been moved elsewhere, and then the number is free.
type listGroup struct {
	role    wire.Snowflake // 0 when the number is free, and of the fixed ones.
	members int            // On the roster.
	retired bool
}

func (gs *listGroups) init() {
	gs.slots = make([]listGroup, groupsFixed)
	gs.byRole = make(map[wire.Snowflake]uint16)
	gs.set(nil)
}

// set makes these the hoisted roles, in that order.
func (gs *listGroups) set(roles []wire.Snowflake) {
	for i := groupsFixed; i < len(gs.slots); i++ {
		gs.slots[i].retired = gs.slots[i].role != 0
	}
	order := make([]uint16, 0, len(roles)+groupsFixed)
	for _, role := range roles {
		slot, ok := gs.byRole[role]
		if !ok {
			slot = gs.take(role)
		}
		gs.slots[slot].retired = false
		order = append(order, slot)
	}
	for i := groupsFixed; i < len(gs.slots); i++ {
		switch g := &gs.slots[i]; {
		case !g.retired:
		case g.members > 0:
			order = append(order, uint16(i))
		default:
			gs.release(uint16(i))
		}
	}
	gs.order = append(order, groupOnline, groupOffline)
	gs.hoisted = len(roles)
}

// take gives the role a number.
func (gs *listGroups) take(role wire.Snowflake) uint16 {
	free := func(g listGroup) bool { return g.role == 0 }
	at := slices.IndexFunc(gs.slots[groupsFixed:], free)
	if at < 0 {
		at = len(gs.slots) - groupsFixed
		gs.slots = append(gs.slots, listGroup{})
	}
	at += groupsFixed
	gs.slots[at] = listGroup{role: role}
	gs.byRole[role] = uint16(at)
	return uint16(at)
}

func (gs *listGroups) release(slot uint16) {
	delete(gs.byRole, gs.slots[slot].role)
	gs.slots[slot] = listGroup{}
}

// leave follows the end of a record of that group.
func (gs *listGroups) leave(slot uint16) {
	g := &gs.slots[slot]
	if g.members--; g.members == 0 && g.retired {
		gs.release(slot)
		at := slices.Index(gs.order, slot)
		gs.order = slices.Concat(gs.order[:at], gs.order[at+1:])
	}
}

// of returns the group of a member, and false when it is in none: offline where these are hidden.
func (gs *listGroups) of(l listing, hidden bool) (slot uint16, listed bool) {
	if !l.online {
		return groupOffline, !hidden
	}
	if slot, ok := gs.byRole[l.role]; ok && l.role != 0 && !gs.slots[slot].retired {
		return slot, true
	}
	return groupOnline, true
}

// appendID appends the group's id as JSON.
func (gs *listGroups) appendID(dst []byte, slot uint16) []byte {
	switch slot {
	case groupOnline:
		return append(dst, `"online"`...)
	case groupOffline:
		return append(dst, `"offline"`...)
	}
	return gs.slots[slot].role.AppendJSON(dst)
}

// appendFolded appends a name as lists sort it: without regard to case. Folding by way of the upper
// case makes one of letters that have several lower ones, like the two forms of sigma.
func appendFolded(dst []byte, name string) []byte {
	for _, c := range name {
		if c < utf8.RuneSelf {
			if 'A' <= c && c <= 'Z' {
				c += 'a' - 'A'
			}
			dst = append(dst, byte(c))
			continue
		}
		dst = utf8.AppendRune(dst, unicode.ToLower(unicode.ToUpper(c)))
	}
	return dst
}
