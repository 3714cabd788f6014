package fanout

import (
	"cmp"
	"slices"

	"throng/store"
	"throng/wire"
)

// Member lists, as user clients show them beside a channel: the hoisted roles with those online who
// have them, then the others online, then who is offline. Channels that the same people may view
// share one list. A client subscribes to ranges of rows and holds a flat array in which it carries
// out the ops it is sent: rows shift down at an INSERT and up at a DELETE.
//
// The naive way filters and sorts all members after each change, and compares the result with that
// before, for each subscriber: a second of the shard for a guild of a million. Sending every op to
// every subscriber is no way either: a change at row 5 moves a row that the client does not know
// into the range 100 to 199 it looks at, so rows it needs are missing there.
//
// What is done has three parts.
//
// Order: a list is one store.RankTree for each group. Moving a member is a deletion and an
// insertion that tell their rows, a few microseconds for a list, whatever its size.
//
// Batches: the guild says only whose listing may have changed (touch). When it asks (work), each of
// these is looked at once, however often it changed, and moved in every list. That leaves each list
// a log of changes of rows. Whatever the guild coalesces is coalesced here for nothing.
//
// Windows: a client's ranges, adjacent ones joined, are windows on the list, and the log is
// replayed for each distinct window that anyone has, once for all who have it (replay). Its ops
// bring it from what it showed to what it shows, and whatever slides in or out at either end is
// inserted or deleted there, so that a window holds as many rows after as before. Hence windows do
// not shift each other; the client's array holds the rows of its windows and nothing else, ever;
// and the ops of one window are the same bytes for all clients, whatever else they look at. The
// protocol's documentation leaves the last row of a range to a later INSERT or SYNC; one that is
// pushed out stays in the array there, and comes back as a phantom once the list gets shorter.
//
// A change in another part of the list costs a subscriber nothing if no row passed its window. Then
// it is not told of the new counts either, which would make every change of presence an event for
// every subscriber; tellCounts makes up for that as often as the guild likes.
//
// What changes many members, like hoisting a role, goes through the roster a slice at a time
// (sweep). A list then lags behind the guild, and is at every moment a list that its subscribers
// have exactly.
//
// Invariants: a subscriber's array holds the rows of its list, as of the last work, in the ranges
// it is subscribed to. Each record on the roster is of the user's present listing, or the user is
// touched, or a sweep has yet to come by.

// listSource is what the lists ask of their guild. All answers are of the present moment.
type listSource interface {
	// listing tells where the user belongs; false for one who is no member.
	listing(user wire.Snowflake) (listing, bool)
	// views reports whether the member may view the channel.
	views(user, channel wire.Snowflake) bool
	// listID returns the id of the channel's list, or "" when there is no such channel.
	listID(channel wire.Snowflake) string
	// hoisted returns the hoisted roles in the order that lists have them in.
	hoisted() []wire.Snowflake
	// totals returns how many members the guild has and how many are online.
	totals() (members, online int)
	// users returns the members, or those who are online.
	users(onlineOnly bool) []wire.Snowflake
	// appendMember appends the member object with its presence.
	appendMember(dst []byte, user wire.Snowflake) []byte
}

// listing is what decides a member's place.
type listing struct {
	name   []byte         // Folded; see appendFolded. Read before the next call.
	role   wire.Snowflake // The highest hoisted role; 0 is none.
	online bool
}

// memberLists are the lists of one guild that somebody looks at.
type memberLists struct {
	// Static after construction.
	guild  wire.Snowflake
	source listSource

	// Owned by the shard goroutine.
	roster      *store.Roster
	groups      listGroups
	lists       []*memberList // Ascending by id.
	subscribers map[Handle]*listSubscriber
	sessions    map[wire.Snowflake][]Handle // Of the subscribers.
	hidden      bool                        // Whether the offline are left out.

	touched    []wire.Snowflake
	touchedSet map[wire.Snowflake]bool
	queue      []wire.Snowflake // To be looked at, no hurry.
	// A sweep looks at each record of the roster, from where the last one ended and round. swept
	// counts cells since ever; sweepCells is how many the roster had when it was last looked at.
	sweepAt, sweepLeft, sweepCells int
	swept                          uint64

	news  []listNews
	items map[store.Ref][]byte // Encoded members, for the length of one work.
}

// listNews is one dispatch for several sessions. to is valid until the lists are next called.
type listNews struct {
	to       []Handle
	dispatch *wire.Dispatch
}

func newMemberLists(guild wire.Snowflake, source listSource) *memberLists {
	ls := &memberLists{
		guild: guild, source: source,
		subscribers: make(map[Handle]*listSubscriber),
		sessions:    make(map[wire.Snowflake][]Handle),
		touchedSet:  make(map[wire.Snowflake]bool), items: make(map[store.Ref][]byte),
	}
	ls.reset()
	return ls
}

// reset forgets who is where: there is no list. Who was touched stays so, as there may be
// subscribers who are about to see a channel.
func (ls *memberLists) reset() {
	ls.roster = store.NewRoster()
	ls.groups.init()
	ls.groups.set(ls.source.hoisted())
	ls.queue = nil
	ls.sweepAt, ls.sweepLeft, ls.sweepCells = 0, 0, 0
	ls.hidden = ls.hides()
}

// hides reports whether the offline are left out now.
func (ls *memberLists) hides() bool {
	members, _ := ls.source.totals()
	return members+ls.groups.hoisted+2 >= listOfflineRowsMax
}

// touch takes note that the user's listing, or what is shown of the user, may have changed: it has
// joined or left, has another name, other roles, another presence.
func (ls *memberLists) touch(user wire.Snowflake) {
	if len(ls.subscribers) == 0 || ls.touchedSet[user] {
		return
	}
	ls.touchedSet[user] = true
	ls.touched = append(ls.touched, user)
}

// regroup follows a change of which roles are hoisted, or of their order.
func (ls *memberLists) regroup() {
	if len(ls.lists) == 0 {
		ls.reset()
		return
	}
	before := slices.Clone(ls.groups.order)
	ls.groups.set(ls.source.hoisted())
	for _, l := range ls.lists {
		l.reorder(ls, before)
	}
	ls.sweep()
}

// sweep has every member on the roster looked at.
func (ls *memberLists) sweep() {
	ls.sweepCells = ls.roster.Cells()
	ls.sweepLeft = ls.sweepCells
}

// work moves whoever was touched, and makes news of what has changed. It looks at no more than
// limit of the others that are due, and shows no more rows to those who have waited for a list. It
// reports whether there are more of these: then it is to be called again.
func (ls *memberLists) work(limit int) (more bool) {
	if len(ls.subscribers) == 0 {
		return false
	}
	if hidden := ls.hides(); hidden != ls.hidden {
		ls.hidden = hidden
		if hidden {
			ls.sweep()
		} else {
			ls.queue = append(ls.queue, ls.source.users(false)...)
		}
	}
	touched := ls.touched
	ls.retreat(touched)
	for _, user := range touched {
		ls.place(user, true)
	}
	for ; limit > 0 && len(ls.queue) > 0; limit-- {
		last := len(ls.queue) - 1
		ls.place(ls.queue[last], false)
		ls.queue = ls.queue[:last]
	}
	for ; limit > 0 && ls.sweepLeft > 0; limit-- {
		ls.sweepStep()
	}
	waiting := false
	for _, l := range ls.lists {
		ls.flush(l)
		limit = ls.greet(l, limit)
		waiting = waiting || l.waiting > 0
	}
	ls.advance(touched)
	ls.touched = touched[:0]
	clear(ls.touchedSet)
	clear(ls.items)
	return waiting || len(ls.lists) > 0 && (len(ls.queue) > 0 || ls.sweepLeft > 0) ||
		slices.ContainsFunc(ls.lists, func(l *memberList) bool { return !l.ready })
}

// sweepStep looks at the next cell of the roster, going round. Cells that have come meanwhile make
// the way longer: a sweep must not end short of where it began.
func (ls *memberLists) sweepStep() {
	if grown := ls.roster.Cells() - ls.sweepCells; grown > 0 {
		ls.sweepCells += grown
		ls.sweepLeft += grown
		for _, l := range ls.lists {
			l.readyAt += uint64(grown)
		}
	}
	if ls.sweepAt >= ls.sweepCells {
		ls.sweepAt = 0
	}
	if ref, current := ls.roster.At(ls.sweepAt); current {
		ls.place(wire.Snowflake(ls.roster.User(ref)), false)
	}
	ls.sweepAt++
	ls.sweepLeft--
	ls.swept++
}

// place brings the user to where it belongs in all lists. shown says that what is shown of the user
// may be different.
func (ls *memberLists) place(user wire.Snowflake, shown bool) {
	if len(ls.lists) == 0 {
		return
	}
	old, _ := ls.roster.Find(uint64(user))
	entry, member := ls.source.listing(user)
	group, listed := ls.groups.of(entry, ls.hidden)
	var ref store.Ref
	if member && listed {
		ref = old
		if old == 0 || ls.roster.Group(old) != group || !ls.roster.Named(old, entry.name) {
			ref = ls.roster.Put(uint64(user), group, entry.name)
			ls.groups.slots[group].members++
		}
	}
	if old == 0 && ref == 0 {
		return
	}
	for _, l := range ls.lists {
		l.place(ls, old, ref, ref != 0 && l.admits(ls, user), shown)
	}
	if old == ref || old == 0 {
		return
	}
	if ref == 0 {
		ls.roster.Drop(uint64(user))
	}
	ls.groups.leave(ls.roster.Group(old))
	ls.roster.Free(old)
}

// list returns the list of that id, making it if there is none. channel is one that has it; 0 tells
// of none.
func (ls *memberLists) list(id string, channel wire.Snowflake) *memberList {
	at, found := slices.BinarySearchFunc(ls.lists, id, func(l *memberList, id string) int {
		return cmp.Compare(l.id, id)
	})
	if found {
		if channel != 0 {
			ls.lists[at].channel = channel
		}
		return ls.lists[at]
	}
	if len(ls.lists) == 0 {
		ls.reset()
		ls.queue = ls.source.users(ls.hidden)
	} else {
		ls.sweep()
	}
	l := &memberList{
		id: id, channel: channel, readyAt: ls.swept + uint64(ls.sweepLeft),
		byKey: make(map[string]*listAudience), syncs: make(map[string]*wire.Dispatch),
	}
	ls.lists = slices.Insert(ls.lists, at, l)
	return l
}

// prune drops the lists that nobody looks at.
func (ls *memberLists) prune() {
	ls.lists = slices.DeleteFunc(ls.lists, func(l *memberList) bool {
		if len(l.audiences) > 0 {
			return false
		}
		for i := range l.trees {
			ls.roster.Clear(&l.trees[i])
		}
		return true
	})
	if len(ls.lists) == 0 && ls.roster.Len() > 0 {
		ls.reset()
	}
}

// take returns what is to be sent since it was last called.
func (ls *memberLists) take() []listNews {
	news := ls.news
	ls.news = nil
	return news
}
