package fanout

import (
	"cmp"
	"encoding/binary"
	"maps"
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
	user     wire.Snowflake
	channels []listChannel
	views    []listView // Ascending by the list's id.
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
// to forget and what is new to it; of a list that is not ready yet it is told when it is.
func (ls *memberLists) subscribe(h Handle, user wire.Snowflake, channels []listChannel) {
	ls.work(0)
	s := ls.subscribers[h]
	if s == nil {
		s = &listSubscriber{user: user}
		ls.subscribers[h] = s
		ls.sessions[user] = append(ls.sessions[user], h)
	}
	s.channels = slices.Clone(channels[:min(len(channels), listChannelsMax)])
	ls.resolve(h, s, ls.viewsOf(s), true)
	if len(s.channels) == 0 {
		ls.forget(h, user)
	}
	ls.prune()
	clear(ls.items)
}

// leave forgets the session, which has ended or left the guild: it is told nothing.
func (ls *memberLists) leave(h Handle) {
	s := ls.subscribers[h]
	if s == nil {
		return
	}
	ls.resolve(h, s, nil, false)
	ls.forget(h, s.user)
	ls.prune()
}

func (ls *memberLists) forget(h Handle, user wire.Snowflake) {
	delete(ls.subscribers, h)
	left := slices.DeleteFunc(ls.sessions[user], func(other Handle) bool { return other == h })
	ls.sessions[user] = left
	if len(left) == 0 {
		delete(ls.sessions, user)
	}
	if len(ls.subscribers) == 0 {
		ls.touched = nil
		clear(ls.touchedSet)
	}
}

// resight follows a change of what members may view: overwrites, permissions of roles, the owner,
// or channels that came or went. Subscribers may no longer view a channel, or it has another list.
func (ls *memberLists) resight() {
	if len(ls.subscribers) == 0 {
		return
	}
	users := slices.Sorted(maps.Keys(ls.sessions))
	ls.retreat(users)
	ls.work(0)
	ls.advance(users)
	ls.sweep()
	clear(ls.items)
}

// retreat takes from the users' sessions the lists that they may not look at any more, before these
// say anything new.
func (ls *memberLists) retreat(users []wire.Snowflake) {
	for _, user := range users {
		for _, h := range ls.sessions[user] {
			s := ls.subscribers[h]
			now := ls.viewsOf(s)
			kept := slices.DeleteFunc(slices.Clone(s.views), func(v listView) bool {
				return !slices.ContainsFunc(now, func(w listView) bool { return w.id == v.id })
			})
			ls.resolve(h, s, kept, true)
		}
	}
}

// advance gives the users' sessions the lists that they may look at.
func (ls *memberLists) advance(users []wire.Snowflake) {
	for _, user := range users {
		for _, h := range ls.sessions[user] {
			s := ls.subscribers[h]
			ls.resolve(h, s, ls.viewsOf(s), true)
		}
	}
	ls.prune()
}

// resolve brings the session from the views it has to others.
func (ls *memberLists) resolve(h Handle, s *listSubscriber, next []listView, tell bool) {
	old := s.views
	s.views = next
	for len(old) > 0 || len(next) > 0 {
		switch {
		case len(next) == 0 || len(old) > 0 && old[0].id < next[0].id:
			ls.review(h, &old[0], &listView{id: old[0].id}, tell)
			old = old[1:]
		case len(old) == 0 || next[0].id < old[0].id:
			ls.review(h, &listView{id: next[0].id}, &next[0], tell)
			next = next[1:]
		default:
			ls.review(h, &old[0], &next[0], tell)
			old, next = old[1:], next[1:]
		}
	}
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

// review moves the session from one view of a list to another, either of which may have no blocks.
func (ls *memberLists) review(h Handle, old, next *listView, tell bool) {
	l := ls.list(old.id, next.channel)
	if slices.Equal(old.blocks, next.blocks) {
		next.audience, next.at = old.audience, old.at
		return
	}
	knows, is := old.blocks, next.blocks
	if old.audience != nil {
		if old.audience.waits {
			knows = nil
		}
		ls.quit(l, h, old)
	}
	if len(next.blocks) > 0 {
		ls.enter(l, h, next)
		if next.audience.waits {
			is = nil // It is told with the others, and until then knows nothing.
		}
	}
	if !tell || !l.ready || len(knows)+len(is) == 0 {
		return
	}
	without := func(blocks, others []uint32) []uint32 {
		return slices.DeleteFunc(slices.Clone(blocks), func(block uint32) bool {
			return slices.Contains(others, block)
		})
	}
	dropped, added := without(knows, is), without(is, knows)
	if len(dropped)+len(added) == 0 {
		return
	}
	ls.news = append(ls.news, listNews{[]Handle{h}, ls.syncFor(l, dropped, added)})
}

// enter puts the session among those who have the view's blocks.
func (ls *memberLists) enter(l *memberList, h Handle, v *listView) {
	key := string(appendBlocks(nil, v.blocks...))
	a := l.byKey[key]
	if a == nil {
		a = &listAudience{key: key, blocks: v.blocks}
		for _, span := range spansOf(v.blocks) {
			w := l.window(span)
			w.users++
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
	if a.waits {
		l.waiting--
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
