package fanout

import (
	"cmp"
	"slices"

	"throng/store"
	"throng/wire"
)

// listSpan is a window on a list: blocks of rows, first to last, that lie side by side.
type listSpan struct{ first, last uint32 }

func (s listSpan) from() int { return int(s.first) * ListRangeRows }
func (s listSpan) to() int   { return int(s.last+1) * ListRangeRows }

// spansOf joins blocks that lie side by side. REQUIRES: they ascend without repetition.
func spansOf(blocks []uint32) (spans []listSpan) {
	for _, block := range blocks {
		if last := len(spans) - 1; last >= 0 && spans[last].last+1 == block {
			spans[last].last = block
		} else {
			spans = append(spans, listSpan{block, block})
		}
	}
	return spans
}

// listWindow is a window that some subscriber has: what it shows, and what the round under way
// tells those who have it.
type listWindow struct {
	listSpan
	users int       // Audiences.
	shown []listRow // As of the last round, or of this one when its number is round.
	round uint64
	phase listPhase
	// When shown is of this build though round is not yet this one: that, and whether it is in
	// order; see renew.
	renewed uint64
	sorted  bool
	ops     []byte // Comma-joined JSON.
}

// listPhase orders the ops of different windows in one event. A window that is and was full shifts
// nothing. One that the end of the list is in may grow or shrink, and with it shifts what comes
// after in the client's array: that must be nothing then. So windows that the list no longer
// reaches are emptied first; those that it newly reaches are filled last, being behind all others.
type listPhase uint8

const (
	phaseEmptied listPhase = iota
	phaseOrdinary
	phases
)

func compareWindow(w *listWindow, s listSpan) int {
	return cmp.Or(cmp.Compare(w.first, s.first), cmp.Compare(w.last, s.last))
}

// window returns the window of the span, making it if there is none.
func (l *memberList) window(s listSpan) *listWindow {
	at, found := slices.BinarySearchFunc(l.windows, s, compareWindow)
	if !found {
		l.windows = slices.Insert(l.windows, at, &listWindow{listSpan: s})
	}
	return l.windows[at]
}

func (l *memberList) closeWindow(w *listWindow) {
	if w.users--; w.users == 0 {
		at, _ := slices.BinarySearchFunc(l.windows, w.listSpan, compareWindow)
		l.windows = slices.Delete(l.windows, at, at+1)
	}
}

// show has the window show what it is to, and tells nobody.
func (ls *memberLists) show(l *memberList, w *listWindow) {
	if l.trees != nil {
		w.shown = l.appendRows(w.shown[:0], ls.table.roster, w.from(), w.to())
	}
	w.round = ls.number
}

// update works out the window's ops of this round; false when the slice is over before that.
func (ls *memberLists) update(l *memberList, w *listWindow) bool {
	if w.round == ls.number {
		return true
	}
	if ls.left <= 0 {
		return false
	}
	if ls.former != nil && w.renewed != ls.number {
		w.shown, w.sorted = ls.renew(w.shown)
		w.renewed = ls.number
	}
	was, sorted := w.shown, ls.former == nil || w.sorted
	ls.rows = l.appendRows(ls.rows[:0], ls.table.roster, w.from(), w.to())
	now := ls.rows
	ls.spend(1 + len(now)/listRowsPerMicro)
	w.ops, w.phase = nil, phaseOrdinary
	switch {
	case len(was) == 0 && len(now) == 0:
	case len(now) == 0:
		w.phase = phaseEmptied
		w.ops = appendInvalidates(nil, w.listSpan, len(was))
	case slices.Equal(was, now) && !slices.ContainsFunc(now, ls.isRenewed):
	default:
		ops, ok := []listOp(nil), false
		if sorted && len(was) > 0 {
			ops, ok = ls.differ(was, now, w.from())
		}
		if ok && !ls.prepareOps(ops) || !ok && !ls.prepare(now) {
			return false
		}
		if !ok {
			w.ops = ls.appendRefill(l, w.listSpan, len(was), now)
		}
		for _, op := range ops {
			w.ops = ls.appendOp(wire.AppendComma(w.ops), l, op)
		}
	}
	ls.spend(len(w.ops) / listBytesPerMicro)
	w.shown = append(w.shown[:0], now...)
	w.round = ls.number
	return true
}

func (ls *memberLists) prepareOps(ops []listOp) bool {
	rows := make([]listRow, len(ops))
	for i, op := range ops {
		rows[i] = op.row // None of a DELETE.
	}
	return ls.prepare(rows)
}

// renew turns rows of the table before into those of this one, and says whether they are in their
// order here too.
func (ls *memberLists) renew(rows []listRow) (renewed []listRow, sorted bool) {
	sorted = true
	last := -1
	for _, row := range rows {
		ref, there := store.Ref(0), true
		if row.ref != 0 {
			ref, there = ls.table.roster.Find(ls.former.roster.User(row.ref))
		}
		row.group = ls.table.groups.same(ls.former.groups, row.group)
		if row.ref = ref; ref != 0 {
			row.group = ls.table.roster.Group(ref)
		}
		if !there {
			row.group = groupNowhere
		}
		renewed = append(renewed, row)
		if row.group == groupNowhere {
			continue
		}
		sorted = sorted && (last < 0 || precedes(ls.table.roster, renewed[last], row))
		last = len(renewed) - 1
	}
	ls.spend(listRenewCost * len(rows))
	return renewed, sorted
}

// isRenewed reports whether the row shows something else than it did.
func (ls *memberLists) isRenewed(row listRow) bool { return row.ref != 0 && ls.marks.has(row.ref) }

// appendRefill appends the whole window. Clients do not forget rows that a SYNC has no item for, so
// these are to be forgotten first.
func (ls *memberLists) appendRefill(l *memberList, s listSpan, was int, now []listRow) []byte {
	ops := make([]byte, 0, ls.syncSize(now)+256)
	if len(now) < was {
		ops = appendInvalidates(ops, s, was)
	}
	return ls.appendSyncs(ops, l, s, now)
}

// listOp is one op on a client's array.
type listOp struct {
	kind  listOpKind
	index int
	row   listRow
}

type listOpKind uint8

const (
	listInsert listOpKind = iota
	listDelete
	listUpdate
)

// differ returns the ops that make rows of the one kind rows of the other, in an array that has
// them from base on; false when the window is better sent whole. It is a merge: a record never
// changes, so rows that both have are in the same order in both.
//
// First come the DELETEs, last row first, so that no index has to regard another; then everything
// else, first row first, so that all rows before an index are as they will be. One row that took
// the place of one other is an UPDATE.
func (ls *memberLists) differ(was, now []listRow, base int) (ops []listOp, ok bool) {
	r := ls.table.roster
	var gone []int // Indices of was.
	var come []listOp
	for i, j := 0, 0; i < len(was) || j < len(now); {
		goneBefore, comeBefore := len(gone), len(come)
		for i < len(was) || j < len(now) {
			if i < len(was) && j < len(now) && was[i] == now[j] {
				break
			}
			if i < len(was) && (was[i].group == groupNowhere || j == len(now) ||
				precedes(r, was[i], now[j])) {
				gone = append(gone, i)
				i++
				continue
			}
			come = append(come, listOp{listInsert, base + j, now[j]})
			j++
		}
		if len(gone) == goneBefore+1 && len(come) == comeBefore+1 &&
			was[gone[goneBefore]].ref != 0 && come[comeBefore].row.ref != 0 {
			gone = gone[:goneBefore]
			come[comeBefore].kind = listUpdate
		}
		if i < len(was) {
			if ls.isRenewed(now[j]) {
				come = append(come, listOp{listUpdate, base + j, now[j]})
			}
			i, j = i+1, j+1
		}
		if len(come) > listItemsMax || len(gone)+len(come) > listOpsMax {
			return nil, false
		}
	}
	// A client, ningen, reads the n-th row of its array at a DELETE that is the n-th op.
	if 2*len(gone) > len(was)+1 {
		return nil, false
	}
	for _, i := range slices.Backward(gone) {
		ops = append(ops, listOp{kind: listDelete, index: base + i})
	}
	return append(ops, come...), true
}
