package fanout

import (
	"bytes"
	"math"
	"slices"

	"throng/wire"
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
	waits   bool // They know nothing of the list yet; see greet.
}

// flush tells the subscribers of a list what has changed since it was last called.
func (ls *memberLists) flush(l *memberList) {
	if !l.ready {
		if len(ls.queue) == 0 && ls.swept >= l.readyAt {
			ls.begin(l)
		}
		return
	}
	head := ls.appendHead(make([]byte, 0, len(l.head)+16), l)
	counted := !bytes.Equal(head, l.head)
	if !counted && len(l.log) == 0 && !l.resync {
		return
	}
	l.head = head
	clear(l.syncs)
	changed := ls.updateWindows(l)
	told := make(map[string]*wire.Dispatch)
	for _, a := range l.audiences {
		if a.waits {
			continue
		}
		var d *wire.Dispatch
		if changed {
			d = l.dispatchFor(a, told)
		}
		if d == nil {
			a.stale = a.stale || counted
			continue
		}
		a.stale = false
		ls.news = append(ls.news, listNews{a.handles, d})
	}
	l.log, l.resync = l.log[:0], false
}

// updateWindows works out the ops of every window and says whether any has some.
func (ls *memberLists) updateWindows(l *memberList) (changed bool) {
	if len(l.log) == 0 && !l.resync {
		return false
	}
	first, rows := math.MaxInt, l.rows(ls)
	for _, op := range l.log {
		first = min(first, op.index)
	}
	for _, w := range l.windows {
		w.update(ls, l, rows, first)
		changed = changed || len(w.ops) > 0
	}
	l.sent = rows
	return changed
}

// dispatchFor returns the event of an audience, or nil when its windows show what they did. Two
// audiences of whose windows the same have ops get one event.
func (l *memberList) dispatchFor(a *listAudience, told map[string]*wire.Dispatch) *wire.Dispatch {
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
	if len(parts) == 0 {
		return nil
	}
	d := told[string(key)]
	if d == nil {
		d = l.dispatch(parts...)
		told[string(key)] = d
	}
	return d
}

// begin declares the list ready: everybody is on it who should be.
func (ls *memberLists) begin(l *memberList) {
	l.ready = true
	l.head = ls.appendHead(nil, l)
	l.sent = l.rows(ls)
	l.waiting = len(l.audiences)
	for _, a := range l.audiences {
		a.waits = true
	}
}

// greet shows the list to those who have waited for it, of so many rows at most but to one audience
// at least: after a restart it may be hundreds, who look at 40 KB each.
func (ls *memberLists) greet(l *memberList, limit int) (left int) {
	if l.waiting == 0 {
		return limit
	}
	for _, a := range l.audiences {
		if limit > 0 && a.waits {
			limit -= len(a.blocks) * ListRangeRows
			a.waits = false
			l.waiting--
			ls.news = append(ls.news, listNews{a.handles, ls.syncFor(l, nil, a.blocks)})
		}
	}
	return limit
}

// syncFor returns the event that tells a subscriber to forget some blocks and gives it others.
// While a list does not change, all who come to look at the same rows get one event.
func (ls *memberLists) syncFor(l *memberList, dropped, added []uint32) *wire.Dispatch {
	key := string(appendBlocks(appendBlocks(nil, dropped...), ^uint32(0))) +
		string(appendBlocks(nil, added...))
	if d := l.syncs[key]; d != nil {
		return d
	}
	var ops []byte
	for _, block := range dropped {
		ops = appendInvalidate(ops, block)
	}
	for _, block := range added {
		ops = ls.appendSync(ops, l, block)
	}
	d := l.dispatch(ops)
	if len(l.syncs) >= listSyncsMax {
		clear(l.syncs)
	}
	l.syncs[key] = d
	return d
}

// stale reports whether somebody knows older counts.
func (ls *memberLists) stale() bool {
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
		var d *wire.Dispatch
		for _, a := range l.audiences {
			if !a.stale {
				continue
			}
			if d == nil {
				d = l.dispatch()
			}
			a.stale = false
			ls.news = append(ls.news, listNews{a.handles, d})
		}
	}
}
