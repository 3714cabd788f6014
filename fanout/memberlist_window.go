package fanout

import (
	"cmp"
	"slices"

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

// listWindow is a window that some subscriber has, and what the flush under way tells those who
// have it.
type listWindow struct {
	listSpan
	users int // Audiences.
	phase listPhase
	ops   []byte // Comma-joined JSON.
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

// update works out the window's ops. first is the least index in the log.
func (w *listWindow) update(ls *memberLists, l *memberList, rows, first int) {
	w.ops, w.phase = nil, phaseOrdinary
	from, to := w.from(), w.to()
	switch {
	case l.sent <= from && rows <= from:
	case l.sent <= from:
		w.ops = ls.appendSyncs(nil, l, w.listSpan, rows)
	case rows <= from:
		w.phase = phaseEmptied
		w.ops = appendInvalidates(nil, w.listSpan, l.sent)
	case l.resync:
		w.refill(ls, l, rows)
	case first < to:
		ops, ok := w.replay(ls, l, rows)
		if !ok {
			w.refill(ls, l, rows)
			return
		}
		for _, op := range ops {
			w.ops = ls.appendOp(wire.AppendComma(w.ops), l, op)
		}
	}
}

// refill sends the whole window. Clients do not forget rows that a SYNC has no item for, so these
// are to be forgotten first.
func (w *listWindow) refill(ls *memberLists, l *memberList, rows int) {
	if rows < min(w.to(), l.sent) {
		w.ops = appendInvalidates(w.ops, w.listSpan, l.sent)
	}
	w.ops = ls.appendSyncs(w.ops, l, w.listSpan, rows)
}

// replayed is how far a replay has got: the client has the rows known to the log at from..to-1, in
// its array from the window's first row on.
type replayed struct {
	base     int // The window's first row.
	from, to int
	ops      []listOp
	items    int
	failed   bool
}

// emit adds an op at a row as the log counts them.
func (r *replayed) emit(kind listOpKind, index int, row listRow) {
	if kind == listDelete {
		// A client, ningen, reads the n-th row of its array at a DELETE that is the n-th op.
		r.failed = r.failed || len(r.ops) >= r.to-r.from
	} else {
		r.items++
	}
	r.ops = append(r.ops, listOp{kind, r.base + index - r.from, row})
}

// replay returns the ops that bring the window to what it shows now; false when it is better sent
// whole.
//
// The rows that the client has are followed through the log as an interval: it moves when rows come
// or go before it, and only what happens inside becomes an op. At the end it lies somewhere about
// the window, most often off by one at one end. What it has beyond the window is deleted, and what
// it lacks is inserted, as the list has it now.
func (w *listWindow) replay(ls *memberLists, l *memberList, rows int) ([]listOp, bool) {
	from, to := w.from(), w.to()
	end := min(to, rows)
	r := replayed{base: from, from: from, to: min(to, l.sent)}
	for _, op := range l.log {
		r.follow(op, to)
		if r.failed || r.items > listItemsMax || len(r.ops) > listOpsMax {
			return nil, false
		}
	}
	// What is missing is less than the window, or a SYNC is the same.
	missing := max(r.from-from, 0) + max(end-r.to, 0)
	surplus := max(from-r.from, 0) + max(r.to-to, 0)
	if r.from >= min(r.to, end) || r.to <= from || r.items+missing > listItemsMax ||
		len(r.ops)+missing+surplus > listOpsMax {
		return nil, false
	}
	for ; r.to > to; r.to-- {
		r.emit(listDelete, r.to-1, listRow{})
	}
	for ; r.from < from; r.from++ {
		r.emit(listDelete, r.from, listRow{})
	}
	if lacking := r.from - from; lacking > 0 {
		r.from = from
		at := from
		l.each(ls, from, from+lacking, func(row listRow) {
			r.emit(listInsert, at, row)
			at++
		})
	}
	l.each(ls, r.to, end, func(row listRow) {
		r.emit(listInsert, r.to, row)
		r.to++
	})
	return r.ops, !r.failed
}

// follow carries the interval through one step of the log.
func (r *replayed) follow(op listOp, to int) {
	i := op.index
	switch op.kind {
	case listInsert:
		// A row that comes right before the interval is in the window unless the interval begins
		// before it; one right behind, unless the window is full.
		switch {
		case i < r.from || i == r.from && r.from < r.base:
			r.from++
			r.to++
		case i < r.to || i == r.to && r.to < to:
			r.emit(listInsert, i, op.row)
			r.to++
		}
	case listDelete:
		switch {
		case i < r.from:
			r.from--
			r.to--
		case i < r.to:
			r.emit(listDelete, i, op.row)
			r.to--
		}
	case listUpdate:
		if r.from <= i && i < r.to {
			r.emit(listUpdate, i, op.row)
		}
	}
}
