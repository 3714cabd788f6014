package fanout

import (
	"slices"

	"throng/store"
	"throng/wire"
)

// memberList is one list of a guild.
type memberList struct {
	// Static after construction.
	id      string
	readyAt uint64 // When as much has been swept, everybody is in.

	// Owned by the shard goroutine.
	channel wire.Snowflake   // One that has this list.
	trees   []store.RankTree // By group.
	ready   bool
	waiting int      // Audiences that have not seen it since it is.
	log     []listOp // Since the last flush; none before it is ready.
	resync  bool     // The log cannot tell what happened: windows are sent whole.

	// What the subscribers know.
	sent      int // Rows.
	head      []byte
	audiences []*listAudience
	byKey     map[string]*listAudience
	windows   []*listWindow             // Ascending by span.
	syncs     map[string]*wire.Dispatch // As of head and sent; see sync.
}

type listOpKind uint8

const (
	listInsert listOpKind = iota
	listDelete
	listUpdate
)

// listOp is one step of the log: as the list is at that step, the row comes to index, leaves it, or
// shows something else there. The record of a row that left may be gone.
type listOp struct {
	kind  listOpKind
	index int
	row   listRow
}

// listRow is what a row holds: a member, or the header of a group when ref is 0.
type listRow struct {
	ref   store.Ref
	group uint16
}

// admits reports whether the member is on this list.
func (l *memberList) admits(ls *memberLists, user wire.Snowflake) bool {
	return l.id == wire.MemberListEveryone || ls.source.views(user, l.channel)
}

// tree returns the tree of the group.
func (l *memberList) tree(group uint16) *store.RankTree {
	for int(group) >= len(l.trees) {
		l.trees = append(l.trees, store.RankTree{})
	}
	return &l.trees[group]
}

// count returns how many members of the group are on the list.
func (l *memberList) count(group uint16) int {
	if int(group) >= len(l.trees) {
		return 0
	}
	return l.trees[group].Len()
}

// rows returns how many rows the list has, headers included. A group without members has no row.
func (l *memberList) rows(ls *memberLists) (rows int) {
	for _, group := range ls.groups.order {
		if n := l.count(group); n > 0 {
			rows += 1 + n
		}
	}
	return rows
}

// headerRow returns the row of the group's header, or where it would be.
func (l *memberList) headerRow(ls *memberLists, group uint16) (row int) {
	for _, g := range ls.groups.order {
		if g == group {
			break
		}
		if n := l.count(g); n > 0 {
			row += 1 + n
		}
	}
	return row
}

// place brings a member from the record old to ref, either of which may be 0 or be the other.
func (l *memberList) place(ls *memberLists, old, ref store.Ref, want, shown bool) {
	if old == ref && want {
		group := ls.roster.Group(ref)
		if rank, there := ls.roster.Rank(l.tree(group), ref); there {
			if shown {
				at := l.headerRow(ls, group) + 1 + rank
				l.note(listUpdate, at, listRow{ref, group})
			}
			return
		}
	} else if old != 0 {
		l.remove(ls, old)
	}
	if want {
		l.insert(ls, ref)
	}
}

func (l *memberList) remove(ls *memberLists, ref store.Ref) {
	group := ls.roster.Group(ref)
	tree := l.tree(group)
	rank, there := ls.roster.Delete(tree, ref)
	if !there {
		return
	}
	header := l.headerRow(ls, group)
	l.note(listDelete, header+1+rank, listRow{ref, group})
	if tree.Len() == 0 {
		l.note(listDelete, header, listRow{group: group})
	}
}

func (l *memberList) insert(ls *memberLists, ref store.Ref) {
	group := ls.roster.Group(ref)
	tree := l.tree(group)
	header := l.headerRow(ls, group)
	if tree.Len() == 0 {
		l.note(listInsert, header, listRow{group: group})
	}
	rank := ls.roster.Insert(tree, ref)
	l.note(listInsert, header+1+rank, listRow{ref, group})
}

// note logs a step. Out of a row and into it again is the row showing something else.
func (l *memberList) note(kind listOpKind, index int, row listRow) {
	if !l.ready || l.resync {
		return
	}
	if last := len(l.log) - 1; kind == listInsert && row.ref != 0 && last >= 0 {
		if before := l.log[last]; before.kind == listDelete &&
			before.index == index && before.row.ref != 0 {
			l.log[last] = listOp{listUpdate, index, row}
			return
		}
	}
	if len(l.log) >= listLogMax {
		l.log, l.resync = l.log[:0], true
		return
	}
	l.log = append(l.log, listOp{kind, index, row})
}

// reorder follows a change of the order of groups: when those that have rows here have changed
// places, the list is another one.
func (l *memberList) reorder(ls *memberLists, before []uint16) {
	empty := func(group uint16) bool { return l.count(group) == 0 }
	old := slices.DeleteFunc(slices.Clone(before), empty)
	now := slices.DeleteFunc(slices.Clone(ls.groups.order), empty)
	if !slices.Equal(old, now) {
		l.resync = l.ready
	}
}

// each calls f for the rows from..to-1, as far as there are.
func (l *memberList) each(ls *memberLists, from, to int, f func(listRow)) {
	at := 0 // The row of the group's header.
	for _, group := range ls.groups.order {
		n := l.count(group)
		if n == 0 {
			continue
		}
		if at >= to {
			return
		}
		if at >= from {
			f(listRow{group: group})
		}
		first := max(from-at-1, 0)
		left := min(n, to-at-1) - first
		if left > 0 {
			ls.roster.Each(&l.trees[group], first, func(ref store.Ref) bool {
				f(listRow{ref, group})
				left--
				return left > 0
			})
		}
		at += 1 + n
	}
}
