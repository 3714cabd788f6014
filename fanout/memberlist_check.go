package fanout

import (
	"fmt"
	"slices"
)

// check returns the first of the lists' invariants that does not hold.
func (ls *memberLists) check() error {
	if held := ls.roster.Records(); held != ls.roster.Len() {
		return fmt.Errorf("guild %s: the roster holds %d records of %d members",
			ls.guild, held, ls.roster.Len())
	}
	members := make([]int, len(ls.groups.slots))
	for cell := range ls.roster.Cells() {
		if ref, current := ls.roster.At(cell); current {
			members[ls.roster.Group(ref)]++
		}
	}
	for slot, g := range ls.groups.slots {
		if g.members != members[slot] {
			return fmt.Errorf("guild %s: group %d has %d members, it says %d",
				ls.guild, slot, members[slot], g.members)
		}
		if g.members > 0 && !slices.Contains(ls.groups.order, uint16(slot)) {
			return fmt.Errorf("guild %s: group %d has members and no place", ls.guild, slot)
		}
	}
	for h, s := range ls.subscribers {
		for i := range s.views {
			v := &s.views[i]
			if v.at >= len(v.audience.handles) || v.audience.handles[v.at] != h {
				return fmt.Errorf("guild %s: session %v is not where its view says", ls.guild, h)
			}
		}
	}
	for _, l := range ls.lists {
		if err := ls.checkList(l); err != nil {
			return fmt.Errorf("guild %s: list %s: %w", ls.guild, l.id, err)
		}
	}
	return nil
}

func (ls *memberLists) checkList(l *memberList) error {
	rows := 0
	for group := range l.trees {
		n := l.count(uint16(group))
		if n > ls.groups.slots[group].members {
			return fmt.Errorf("group %d has %d members here, %d in all", group, n,
				ls.groups.slots[group].members)
		}
		if n > 0 {
			rows += 1 + n
		}
	}
	if got := l.rows(ls); got != rows {
		return fmt.Errorf("there are %d rows, the groups in order have %d", rows, got)
	}
	if l.ready && len(l.log) == 0 && !l.resync && l.sent != rows {
		return fmt.Errorf("there are %d rows, subscribers have %d", rows, l.sent)
	}
	windows, waiting := 0, 0
	for _, a := range l.audiences {
		if len(a.handles) == 0 || l.byKey[a.key] != a {
			return fmt.Errorf("nobody has the ranges %v", a.blocks)
		}
		windows += len(a.windows)
		if a.waits {
			waiting++
		}
	}
	for _, w := range l.windows {
		windows -= w.users
	}
	if waiting != l.waiting {
		return fmt.Errorf("%d audiences wait, it says %d", waiting, l.waiting)
	}
	if windows != 0 {
		return fmt.Errorf("%d windows are counted wrong", windows)
	}
	for _, v := range l.log {
		if v.row.ref != 0 && v.kind != listDelete && ls.roster.User(v.row.ref) == 0 {
			return fmt.Errorf("a row of nobody is to be told of")
		}
	}
	return nil
}
