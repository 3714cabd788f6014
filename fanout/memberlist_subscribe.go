package fanout

import (
	"cmp"
	"encoding/binary"
	"slices"

	"throng/wire"
)

// listChannel is what a subscriber wants of one channel: blocks of ListRangeRows rows, ascending.
type listChannel struct {
	channel wire.Snowflake
	blocks  []uint32
}

// listBlocks returns the blocks of a subscription's ranges. A range that does not begin at a
// multiple of a hundred or is not a hundred rows is no range of the protocol and is left out.
func listBlocks(ranges []wire.ListRange) []uint32 {
	blocks := make([]uint32, 0, listRangesMax)
	for _, r := range ranges[:min(len(ranges), listRangesMax)] {
		block := r.First / ListRangeRows
		if r.First < 0 || r.First%ListRangeRows != 0 || r.Last != r.First+ListRangeRows-1 ||
			block >= listRangeBlocksMax {
			continue
		}
		blocks = append(blocks, uint32(block))
	}
	slices.Sort(blocks)
	return slices.Compact(blocks)
}

// listSubscriber is a session that looks at lists.
type listSubscriber struct {
	// Static after construction.
	handle Handle
	user   wire.Snowflake

	// Owned by the shard goroutine.
	channels []listChannel
	views    []listView // Ascending by the list's id.
	at       int        // In all; -1 when it is gone.
	doubted  bool       // It is in that line; so waits.
	waits    bool
}

// listView is what a subscriber has of one list. Channels with the same list are one view.
type listView struct {
	id       string
	channel  wire.Snowflake
	blocks   []uint32
	audience *listAudience
	at       int // In the audience's handles.
}

// subscribe makes these what the session looks at, in place of what it did. It is told what it is
// to forget and what is new to it by work, and of a list that is not built yet when it is.
func (ls *memberLists) subscribe(h Handle, user wire.Snowflake, channels []listChannel) {
	s := ls.subscribers[h]
	if s == nil {
		s = &listSubscriber{handle: h, user: user, at: len(ls.all)}
		ls.subscribers[h] = s
		ls.all = append(ls.all, s)
		ls.sessions[user] = append(ls.sessions[user], h)
	}
	s.channels = slices.Clone(channels[:min(len(channels), listChannelsMax)])
	ls.wait(s)
}

func (ls *memberLists) wait(s *listSubscriber) {
	if !s.waits {
		s.waits = true
		ls.waiting = append(ls.waiting, s)
	}
}

func (ls *memberLists) doubt(s *listSubscriber) {
	if !s.doubted {
		s.doubted = true
		ls.doubted = append(ls.doubted, s)
	}
}

// leave forgets the session, which has ended or left the guild: it is told nothing.
func (ls *memberLists) leave(h Handle) {
	s := ls.subscribers[h]
	if s == nil {
		return
	}
	ls.resolve(s, nil, false)
	ls.forget(s)
	ls.prune()
}

func (ls *memberLists) forget(s *listSubscriber) {
	last := len(ls.all) - 1
	ls.all[s.at], ls.all[last].at = ls.all[last], s.at
	ls.all, s.at = ls.all[:last], -1
	delete(ls.subscribers, s.handle)
	of := func(other Handle) bool { return other == s.handle }
	left := slices.DeleteFunc(ls.sessions[s.user], of)
	ls.sessions[s.user] = left
	if len(left) == 0 {
		delete(ls.sessions, s.user)
	}
	if len(ls.subscribers) == 0 {
		ls.forgetTouched()
		ls.doubted, ls.waiting = nil, nil
	}
}

// resight follows a change of what members may view: overwrites, permissions of roles, the owner,
// or channels that came or went. Subscribers may no longer view a channel, or it has another list.
func (ls *memberLists) resight() {
	for _, s := range ls.all {
		ls.doubt(s)
	}
	ls.stale = ls.stale || ls.sight != ls.source.sight() &&
		slices.ContainsFunc(ls.lists, func(l *memberList) bool {
			return l.id != wire.MemberListEveryone
		})
}

// retreat goes on taking from those who may have lost sight the lists that they may not look at any
// more, and reports whether it is through: before, nobody is told anything new.
func (ls *memberLists) retreat() bool {
	for len(ls.doubted) > 0 {
		if ls.left <= 0 {
			return false
		}
		s := ls.doubted[0]
		ls.doubted = ls.doubted[1:]
		s.doubted = false
		if s.at < 0 {
			continue
		}
		ls.spend(listReviewCost)
		var kept []listView
		for _, now := range ls.viewsOf(s) {
			for _, v := range s.views {
				if v.id == now.id {
					v.channel = now.channel
					kept = append(kept, v)
				}
			}
		}
		ls.resolve(s, kept, true)
		ls.wait(s)
	}
	ls.prune()
	return true
}

// advance goes on giving those who wait what they may look at, and reports whether it is through.
// REQUIRES: the lists are at rest.
func (ls *memberLists) advance() bool {
	for len(ls.waiting) > 0 {
		if ls.left <= 0 {
			return false
		}
		s := ls.waiting[0]
		var next []listView
		if s.at >= 0 {
			ls.spend(listReviewCost)
			if next = ls.viewsOf(s); !ls.foresee(s, next) {
				return false
			}
		}
		ls.waiting = ls.waiting[1:]
		s.waits = false
		if s.at < 0 {
			continue
		}
		ls.resolve(s, next, true)
		if len(s.channels) == 0 {
			ls.forget(s)
		}
	}
	ls.prune()
	return true
}

// foresee makes the events that resolve will send, and reports whether the slice was long enough.
func (ls *memberLists) foresee(s *listSubscriber, next []listView) bool {
	return eachView(s.views, next, func(old, next *listView) bool {
		at, found := ls.find(old.id)
		if !found {
			return true
		}
		dropped, added := ls.lists[at].news(old, next)
		return len(added) == 0 || ls.syncFor(ls.lists[at], dropped, added) != nil
	})
}

// resolve brings the session from the views it has to others. REQUIRES: that gives it rows only if
// it was foreseen.
func (ls *memberLists) resolve(s *listSubscriber, next []listView, tell bool) {
	old := s.views
	s.views = next
	eachView(old, next, func(old, next *listView) bool {
		ls.review(s.handle, old, next, tell)
		return true
	})
}

// eachView calls f for each list that is in one of them, with its views, of which one may have no
// blocks, until f returns false; it returns what f did last.
func eachView(old, next []listView, f func(old, next *listView) bool) bool {
	more := true
	for more && len(old)+len(next) > 0 {
		switch {
		case len(next) == 0 || len(old) > 0 && old[0].id < next[0].id:
			more = f(&old[0], &listView{id: old[0].id})
			old = old[1:]
		case len(old) == 0 || next[0].id < old[0].id:
			more = f(&listView{id: next[0].id}, &next[0])
			next = next[1:]
		default:
			more = f(&old[0], &next[0])
			old, next = old[1:], next[1:]
		}
	}
	return more
}

// viewsOf returns what the subscriber's channels come to. It may look only at lists of channels it
// may view.
func (ls *memberLists) viewsOf(s *listSubscriber) (views []listView) {
	for _, c := range s.channels {
		id := ls.source.listID(c.channel)
		if id == "" || len(c.blocks) == 0 || !ls.source.views(s.user, c.channel) {
			continue
		}
		at, found := slices.BinarySearchFunc(views, id, func(v listView, id string) int {
			return cmp.Compare(v.id, id)
		})
		if !found {
			views = slices.Insert(views, at, listView{id: id, channel: c.channel})
		}
		v := &views[at]
		v.blocks = slices.Concat(v.blocks, c.blocks)
		slices.Sort(v.blocks)
		v.blocks = slices.Compact(v.blocks)
		v.blocks = v.blocks[:min(len(v.blocks), listBlocksMax)]
	}
	return views
}

// review moves the session from one view of a list to another.
func (ls *memberLists) review(h Handle, old, next *listView, tell bool) {
	l := ls.list(old.id, next.channel)
	if slices.Equal(old.blocks, next.blocks) {
		next.audience, next.at = old.audience, old.at
		return
	}
	dropped, added := l.news(old, next)
	if old.audience != nil {
		ls.quit(l, h, old)
	}
	if len(next.blocks) > 0 {
		ls.enter(l, h, next)
	}
	if tell && len(dropped)+len(added) > 0 {
		d := ls.syncFor(l, dropped, added)
		ls.news = append(ls.news, listNews{[]Handle{h}, d})
	}
}

// news returns the blocks that a session is to forget, and is to be given, when it moves from one
// view to another. Who waits for the list knows none, and is told with the others.
func (l *memberList) news(old, next *listView) (dropped, added []uint32) {
	if l.trees == nil {
		return nil, nil
	}
	knows := old.blocks
	if old.audience != nil && old.audience.waits {
		knows = nil
	}
	without := func(blocks, others []uint32) []uint32 {
		return slices.DeleteFunc(slices.Clone(blocks), func(block uint32) bool {
			return slices.Contains(others, block)
		})
	}
	return without(knows, next.blocks), without(next.blocks, knows)
}

// enter puts the session among those who have the view's blocks.
func (ls *memberLists) enter(l *memberList, h Handle, v *listView) {
	key := string(appendBlocks(nil, v.blocks...))
	a := l.byKey[key]
	if a == nil {
		a = &listAudience{key: key, blocks: v.blocks, waits: l.trees == nil}
		for _, span := range spansOf(v.blocks) {
			w := l.window(span)
			if w.users++; w.users == 1 {
				ls.show(l, w)
			}
			a.windows = append(a.windows, w)
		}
		l.byKey[key] = a
		l.audiences = append(l.audiences, a)
	}
	v.audience, v.at = a, len(a.handles)
	a.handles = append(a.handles, h)
}

// quit takes the session out of the audience of its view.
func (ls *memberLists) quit(l *memberList, h Handle, v *listView) {
	a := v.audience
	if len(ls.news) > 0 {
		a.handles = slices.Clone(a.handles) // News may have lent them out.
	}
	last := len(a.handles) - 1
	if moved := a.handles[last]; moved != h {
		a.handles[v.at] = moved
		for i := range ls.subscribers[moved].views {
			if other := &ls.subscribers[moved].views[i]; other.audience == a {
				other.at = v.at
			}
		}
	}
	a.handles = a.handles[:last]
	if last > 0 {
		return
	}
	for _, w := range a.windows {
		l.closeWindow(w)
	}
	delete(l.byKey, a.key)
	l.audiences = slices.DeleteFunc(l.audiences, func(o *listAudience) bool { return o == a })
}

func appendBlocks(dst []byte, blocks ...uint32) []byte {
	for _, block := range blocks {
		dst = binary.LittleEndian.AppendUint32(dst, block)
	}
	return dst
}
