package fanout

import (
	"slices"

	"throng/store"
	"throng/wire"
)

// listTable is where everybody is: as of a build, and of what has come since.
type listTable struct {
	// Static after construction.
	groups *listGroups
	hidden bool // Whether the offline are left out.

	// Owned by the worker that builds it, then by the shard goroutine.
	roster *store.Roster
}

// listScan is a guild's members as they were at one moment, for whoever it is handed to. Names and
// presences may be of later: who has changed since was touched.
type listScan interface {
	// each calls f for every member, or those who are online.
	each(onlineOnly bool, f func(user wire.Snowflake, l listing))
	// views reports whether the member that each is at may view the channel.
	views(channel wire.Snowflake) bool
}

// listBuild is the making of a table with all lists of the guild. The guild hands it out, its
// holder calls run, away from the shard, and gives it back; see Guild.ListBuild.
type listBuild struct {
	// Static after construction.
	scan     listScan
	ids      []string
	channels []wire.Snowflake

	// Owned by whoever holds it.
	table *listTable
	trees [][]store.RankTree // By list, by group.
}

// listBuilds is where a guild's lists are with builds.
type listBuilds struct {
	stale    bool             // One is due.
	building *listBuild       // It is under way.
	built    *listBuild       // It is back, for the next round.
	since    []wire.Snowflake // Touched since that one began.

	// What the last one that began takes for granted.
	hidden bool
	order  []wire.Snowflake // The hoisted roles.
	sight  string
}

// hides reports whether the offline are left out now.
func (ls *memberLists) hides() bool {
	members, _ := ls.source.totals()
	return members+len(ls.order)+2 >= listOfflineRowsMax
}

// regroup follows a change of which roles are hoisted, or of their order.
func (ls *memberLists) regroup() {
	ls.stale = ls.stale || len(ls.lists) > 0 && !slices.Equal(ls.order, ls.source.hoisted())
}

// build returns a build that is to be begun, or nil.
func (ls *memberLists) build() *listBuild {
	ls.stale = ls.stale || len(ls.lists) > 0 && ls.hides() != ls.hidden
	if !ls.stale || ls.building != nil || ls.built != nil || len(ls.lists) == 0 {
		return nil
	}
	ls.stale, ls.order, ls.sight = false, ls.source.hoisted(), ls.source.sight()
	ls.hidden = ls.hides()
	b := &listBuild{table: &listTable{
		groups: newListGroups(ls.order), hidden: ls.hidden, roster: store.NewRoster(),
	}}
	for _, l := range ls.lists {
		b.ids, b.channels = append(b.ids, l.id), append(b.channels, l.channel)
	}
	b.scan = ls.source.scan(b.channels)
	// Who is touched already may change again without being touched again.
	ls.building, ls.since = b, slices.Clone(ls.touched)
	return b
}

// done takes a build back; ok says that it ran to its end. It may have been given up meanwhile.
func (ls *memberLists) done(b *listBuild, ok bool) {
	switch {
	case b != ls.building:
	case ok:
		ls.building, ls.built = nil, b
	default:
		ls.building, ls.since, ls.stale = nil, nil, true
	}
}

// run makes the table. Each group is sorted once, and a list has those of it that may view.
func (b *listBuild) run(pause func()) {
	t := b.table
	groups := make([][]store.Ref, t.groups.count())
	admitted := make([]listMarks, len(b.ids))
	seen := 0
	b.scan.each(t.hidden, func(user wire.Snowflake, l listing) {
		if seen++; seen%pauseMembers == 0 {
			pause()
		}
		group, listed := t.groups.of(l, t.hidden)
		if !listed {
			return
		}
		ref := t.roster.Put(uint64(user), group, l.name)
		groups[group] = append(groups[group], ref)
		for i, id := range b.ids {
			if id != wire.MemberListEveryone && b.scan.views(b.channels[i]) {
				admitted[i].set(ref)
			}
		}
	})
	b.trees = make([][]store.RankTree, len(b.ids))
	for i := range b.trees {
		b.trees[i] = make([]store.RankTree, len(groups))
	}
	for group, refs := range groups {
		t.roster.Sort(refs, pause)
		for i, id := range b.ids {
			on := refs
			if id != wire.MemberListEveryone {
				on = slices.DeleteFunc(slices.Clone(refs), func(ref store.Ref) bool {
					return !admitted[i].has(ref)
				})
			}
			t.roster.Build(&b.trees[i][group], on)
			pause()
		}
	}
	b.scan = nil
}

// adopt puts what was built in the place of the lists as they are.
func (ls *memberLists) adopt() {
	b := ls.built
	ls.former, ls.table, ls.built = ls.table, b.table, nil
	for _, l := range ls.lists {
		at, found := slices.BinarySearch(b.ids, l.id)
		if !found {
			continue // Nobody has seen it yet, and the next build is due.
		}
		l.trees, l.changed = b.trees[at], true
	}
	ls.placing, ls.since = ls.since, nil
}

// listMarks is a set of records.
type listMarks []uint64

func (s *listMarks) set(ref store.Ref) {
	word := int(ref / 64)
	if word >= len(*s) {
		*s = append(*s, make([]uint64, word+1-len(*s)+len(*s)/4)...)
	}
	(*s)[word] |= 1 << (ref % 64)
}

func (s listMarks) has(ref store.Ref) bool {
	word := int(ref / 64)
	return word < len(s) && s[word]>>(ref%64)&1 != 0
}

func (s listMarks) unset(ref store.Ref) { s[ref/64] &^= 1 << (ref % 64) }
