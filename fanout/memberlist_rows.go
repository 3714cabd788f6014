package fanout

import (
	"throng/store"
	"throng/wire"
)

// memberList is one list of a guild.
type memberList struct {
	// Static after construction.
	id string

	// Owned by the shard goroutine.
	channel wire.Snowflake   // One that has this list.
	trees   []store.RankTree // By group; nil before a build that knows of the list.
	changed bool             // Since the last round.

	// What the subscribers know.
	head      []byte
	audiences []*listAudience
	byKey     map[string]*listAudience
	windows   []*listWindow             // Ascending by span.
	syncs     map[string]*wire.Dispatch // As of the last round; see syncFor.

	// In a round that tells.
	untold  []*listAudience
	told    map[string]*wire.Dispatch
	counted bool // The counts have changed.
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

// place brings a member from the record old to ref, either of which may be 0 or be the other.
func (l *memberList) place(r *store.Roster, old, ref store.Ref, want bool) {
	if old != 0 && (old != ref || !want) {
		_, there := r.Delete(&l.trees[r.Group(old)], old)
		l.changed = l.changed || there
	}
	if !want {
		return
	}
	l.changed = true
	tree := &l.trees[r.Group(ref)]
	if old == ref {
		if _, there := r.Rank(tree, ref); there {
			return
		}
	}
	r.Insert(tree, ref)
}

// appendRows appends the rows from..to-1, as far as there are.
func (l *memberList) appendRows(dst []listRow, r *store.Roster, from, to int) []listRow {
	at := 0 // The row of the group's header.
	for group := range l.trees {
		n := l.trees[group].Len()
		if n == 0 {
			continue
		}
		if at >= to {
			break
		}
		if at >= from {
			dst = append(dst, listRow{group: uint16(group)})
		}
		first := max(from-at-1, 0)
		left := min(n, to-at-1) - first
		if left > 0 {
			r.Each(&l.trees[group], first, func(ref store.Ref) bool {
				dst = append(dst, listRow{ref, uint16(group)})
				left--
				return left > 0
			})
		}
		at += 1 + n
	}
	return dst
}

// precedes reports whether a row comes before another in every list that has both.
func precedes(r *store.Roster, a, b listRow) bool {
	switch {
	case a.group != b.group:
		return a.group < b.group
	case a.ref == 0 || b.ref == 0:
		return a.ref == 0 && b.ref != 0
	}
	return r.Compare(a.ref, b.ref) < 0
}
