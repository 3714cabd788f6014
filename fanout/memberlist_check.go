package fanout

import (
	"fmt"
	"slices"
)

// check returns the first of the lists' invariants that does not hold.
func (ls *memberLists) check() error {
	if ls.table != nil {
		if err := ls.checkTable(); err != nil {
			return fmt.Errorf("guild %s: %w", ls.guild, err)
		}
	}
	if len(ls.all) != len(ls.subscribers) {
		return fmt.Errorf("guild %s: %d of %d subscribers", ls.guild, len(ls.all),
			len(ls.subscribers))
	}
	for h, s := range ls.subscribers {
		if ls.all[s.at] != s {
			return fmt.Errorf("guild %s: session %v is not at its place", ls.guild, h)
		}
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
	if l.trees != nil && len(l.trees) != ls.table.groups.count() {
		return fmt.Errorf("it has %d groups of %d", len(l.trees), ls.table.groups.count())
	}
	windows := 0
	for _, a := range l.audiences {
		if len(a.handles) == 0 || l.byKey[a.key] != a {
			return fmt.Errorf("nobody has the ranges %v", a.blocks)
		}
		if a.waits != (l.trees == nil) && ls.stage == listsRest {
			return fmt.Errorf("who has the ranges %v waits: %v", a.blocks, a.waits)
		}
		windows += len(a.windows)
	}
	for _, w := range l.windows {
		windows -= w.users
		if ls.stage != listsRest || l.trees == nil {
			continue
		}
		rows := l.appendRows(nil, ls.table.roster, w.from(), w.to())
		if !slices.Equal(rows, w.shown) || len(w.ops) > 0 {
			return fmt.Errorf("the rows of %v are not shown", w.listSpan)
		}
	}
	if windows != 0 {
		return fmt.Errorf("%d windows are counted wrong", windows)
	}
	return nil
}

// checkTable compares the roster with the records that there are.
func (ls *memberLists) checkTable() error {
	r := ls.table.roster
	if held := r.Records() - len(ls.freed); held != r.Len() {
		return fmt.Errorf("the roster holds %d records of %d members", held, r.Len())
	}
	for _, l := range ls.lists {
		for group := range l.trees {
			if n := l.trees[group].Len(); n > r.Len() {
				return fmt.Errorf("group %d of list %s has %d members", group, l.id, n)
			}
		}
	}
	return nil
}
