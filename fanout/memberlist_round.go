package fanout

import (
	"bytes"
	"slices"

	"throng/store"
	"throng/wire"
)

// listRound is the round under way, and how far it has got.
type listRound struct {
	stage   roundStage
	number  uint64
	placing []wire.Snowflake
	fresh   map[wire.Snowflake]bool // Of these, who was touched since the last round.
	former  *listTable              // What windows show that are not told yet; nil is table.
	renewed []store.Ref             // Who was touched and is on the roster; in marks too.
	marks   listMarks
	freed   []store.Ref // When the round is over: windows may show them until then.
	rows    []listRow   // Of the window that is looked at.
}

// roundStage is how far a round has got.
type roundStage uint8

const (
	listsRest roundStage = iota
	listsPlace
	listsTell
)

// listAudience are the subscribers of one list who have the same ranges: they are told the same.
type listAudience struct {
	// Static after construction.
	key     string
	blocks  []uint32 // Ascending.
	windows []*listWindow

	// Owned by the shard goroutine.
	handles []Handle
	stale   bool // They know older counts.
	waits   bool // They know nothing of the list yet: it is being built.
}

// spend takes what something costs from the slice.
func (ls *memberLists) spend(micros int) { ls.left -= micros }

// begin begins a round, if there is anything to do.
func (ls *memberLists) begin() {
	if ls.built == nil && (ls.table == nil || len(ls.touched) == 0) {
		if ls.table == nil {
			ls.forgetTouched() // The build that is under way or due sees to them.
		}
		return
	}
	clear(ls.items)
	ls.stage = listsPlace
	ls.number++
	ls.placing, ls.fresh = ls.touched, ls.touchedSet
	ls.forgetTouched()
	if ls.built != nil {
		ls.adopt()
	}
}

func (ls *memberLists) forgetTouched() {
	ls.touched, ls.touchedSet = nil, make(map[wire.Snowflake]bool)
}

// placeSome goes on placing who was touched, and reports whether all are. Then the round tells.
func (ls *memberLists) placeSome() bool {
	for len(ls.placing) > 0 {
		if ls.left <= 0 {
			return false
		}
		ls.place(ls.placing[0])
		ls.placing = ls.placing[1:]
	}
	ls.stage = listsTell
	for _, l := range ls.lists {
		if l.trees == nil {
			continue
		}
		head := ls.appendHead(make([]byte, 0, len(l.head)+16), l)
		if l.counted = !bytes.Equal(head, l.head); l.counted || l.changed {
			l.head = head
			l.untold = slices.Clone(l.audiences)
			clear(l.syncs)
		}
	}
	return true
}

// place brings the user to where it belongs in all lists.
func (ls *memberLists) place(user wire.Snowflake) {
	ls.spend(listPlaceCost * (1 + len(ls.lists)))
	t := ls.table
	old, _ := t.roster.Find(uint64(user))
	entry, member := ls.source.listing(user)
	group, listed := t.groups.of(entry, t.hidden)
	var ref store.Ref
	if member && listed {
		ref = old
		if old == 0 || t.roster.Group(old) != group || !t.roster.Named(old, entry.name) {
			ref = t.roster.Put(uint64(user), group, entry.name)
		}
	}
	if old == 0 && ref == 0 {
		return
	}
	for _, l := range ls.lists {
		if l.trees != nil {
			l.place(t.roster, old, ref, ref != 0 && l.admits(ls, user))
		}
	}
	if ref != 0 && ls.fresh[user] {
		ls.renewed = append(ls.renewed, ref)
		ls.marks.set(ref)
	}
	if old == ref || old == 0 {
		return
	}
	if ref == 0 {
		t.roster.Drop(uint64(user))
	}
	ls.freed = append(ls.freed, old)
}

// tellSome goes on telling audiences, and reports whether all are told. Then the round is over.
func (ls *memberLists) tellSome() bool {
	for _, l := range ls.lists {
		for len(l.untold) > 0 {
			if a := l.untold[0]; len(a.handles) > 0 && !ls.tell(l, a) {
				return false
			}
			l.untold = l.untold[1:]
		}
	}
	for ; len(ls.renewed) > 0; ls.renewed = ls.renewed[1:] {
		ls.marks.unset(ls.renewed[0])
	}
	for ; len(ls.freed) > 0; ls.freed = ls.freed[1:] {
		if len(ls.freed)%listFreedPerMicro == 0 {
			if ls.left <= 0 {
				return false
			}
			ls.spend(1)
		}
		ls.table.roster.Free(ls.freed[0])
	}
	ls.rest()
	return true
}

// tell tells one audience what has changed; false when the slice is over before that.
func (ls *memberLists) tell(l *memberList, a *listAudience) bool {
	changed := false
	for _, w := range a.windows {
		if l.changed && !a.waits {
			if !ls.update(l, w) {
				return false
			}
			changed = changed || len(w.ops) > 0
		}
	}
	switch {
	case a.waits:
		d := ls.syncFor(l, nil, a.blocks)
		if d == nil {
			return false
		}
		for _, w := range a.windows {
			ls.show(l, w)
		}
		a.waits, a.stale = false, false
		ls.news = append(ls.news, listNews{a.handles, d})
	case ls.left <= 0:
		return false
	case changed:
		a.stale = false
		ls.news = append(ls.news, listNews{a.handles, ls.dispatchFor(l, a)})
	default:
		a.stale = a.stale || l.counted
	}
	ls.spend(1)
	return true
}

// rest ends the round: everybody knows the lists as they are.
func (ls *memberLists) rest() {
	for _, l := range ls.lists {
		l.changed, l.counted, l.untold, l.told = false, false, nil, nil
		for _, w := range l.windows {
			w.ops = nil
		}
	}
	clear(ls.items) // Records that are new may have the numbers of old ones.
	ls.listRound = listRound{number: ls.number, marks: ls.marks, rows: ls.rows}
}

// dispatchFor returns the event of an audience of whose windows some have ops. Two audiences of
// whose windows the same have ops get one event.
func (ls *memberLists) dispatchFor(l *memberList, a *listAudience) *wire.Dispatch {
	var parts [][]byte
	var key []byte
	for phase := range phases {
		for _, w := range a.windows {
			if w.phase == phase && len(w.ops) > 0 {
				parts = append(parts, w.ops)
				key = appendBlocks(key, w.first, w.last)
			}
		}
	}
	d := l.told[string(key)]
	if d == nil {
		d = l.dispatch(parts...)
		ls.spend(len(d.Body()) / listBytesPerMicro)
		if l.told == nil {
			l.told = make(map[string]*wire.Dispatch)
		}
		l.told[string(key)] = d
	}
	return d
}

// syncFor returns the event that tells a subscriber to forget some blocks and gives it others; nil
// when the slice is over before that. While a list does not change, all who come to look at the
// same rows get one event.
func (ls *memberLists) syncFor(l *memberList, dropped, added []uint32) *wire.Dispatch {
	key := string(appendBlocks(appendBlocks(nil, dropped...), ^uint32(0))) +
		string(appendBlocks(nil, added...))
	if d := l.syncs[key]; d != nil {
		return d
	}
	rows := ls.rows[:0]
	ends := make([]int, len(added))
	for i, block := range added {
		first := int(block) * ListRangeRows
		rows = l.appendRows(rows, ls.table.roster, first, first+ListRangeRows)
		ends[i] = len(rows)
	}
	if ls.rows = rows; !ls.prepare(rows) {
		return nil
	}
	ops := make([]byte, 0, ls.syncSize(rows)+64*len(dropped)+256)
	for _, block := range dropped {
		ops = appendInvalidate(ops, block)
	}
	from := 0
	for i, block := range added {
		ops = ls.appendSync(ops, l, block, rows[from:ends[i]])
		from = ends[i]
	}
	d := l.dispatch(ops)
	ls.spend(1 + len(d.Body())/listBytesPerMicro)
	if len(l.syncs) >= listSyncsMax {
		clear(l.syncs)
	}
	l.syncs[key] = d
	return d
}

// anyStale reports whether somebody knows older counts.
func (ls *memberLists) anyStale() bool {
	for _, l := range ls.lists {
		if slices.ContainsFunc(l.audiences, func(a *listAudience) bool { return a.stale }) {
			return true
		}
	}
	return false
}

// tellCounts tells those of the new counts who were not told by a change of their rows. It is for
// the guild to call now and then; only rows are exact at every moment.
func (ls *memberLists) tellCounts() {
	for _, l := range ls.lists {
		var to []Handle
		for _, a := range l.audiences {
			if a.stale {
				a.stale = false
				to = append(to, a.handles...)
			}
		}
		if len(to) > 0 {
			ls.news = append(ls.news, listNews{to, l.dispatch()})
		}
	}
}
