package fanout

import (
	"unicode"
	"unicode/utf8"

	"throng/wire"
)

// listGroups are the groups of a guild's lists, numbered in the order they are shown in: those of
// hoisted roles, then the two that every guild has. They are immutable: other groups, or another
// order, come with another build.
type listGroups struct {
	roles  []wire.Snowflake
	byRole map[wire.Snowflake]uint16
}

// groupNowhere is the group of a row that a list does not have any more.
const groupNowhere = ^uint16(0)

const _ = uint(groupNowhere - rolesMax - 2)

// newListGroups makes the groups of these hoisted roles, in that order.
func newListGroups(roles []wire.Snowflake) *listGroups {
	gs := &listGroups{roles: roles, byRole: make(map[wire.Snowflake]uint16, len(roles))}
	for i, role := range roles {
		gs.byRole[role] = uint16(i)
	}
	return gs
}

func (gs *listGroups) online() uint16  { return uint16(len(gs.roles)) }
func (gs *listGroups) offline() uint16 { return gs.online() + 1 }
func (gs *listGroups) count() int      { return len(gs.roles) + 2 }

// of returns the group of a member, and false when it is in none: offline where these are hidden.
// Who has a role that is hoisted since the build is with the others until the next.
func (gs *listGroups) of(l listing, hidden bool) (group uint16, listed bool) {
	if !l.online {
		return gs.offline(), !hidden
	}
	if group, ok := gs.byRole[l.role]; ok {
		return group, true
	}
	return gs.online(), true
}

// same returns the number of another build's group among these.
func (gs *listGroups) same(other *listGroups, group uint16) uint16 {
	if int(group) >= len(other.roles) {
		return gs.online() + group - other.online()
	}
	if group, ok := gs.byRole[other.roles[group]]; ok {
		return group
	}
	return groupNowhere
}

// appendID appends the group's id as JSON.
func (gs *listGroups) appendID(dst []byte, group uint16) []byte {
	switch group {
	case gs.online():
		return append(dst, `"online"`...)
	case gs.offline():
		return append(dst, `"offline"`...)
	}
	return gs.roles[group].AppendJSON(dst)
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
