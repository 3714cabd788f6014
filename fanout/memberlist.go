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
// What is done has four parts.
//
// Order: a list is one store.RankTree for each group. Moving a member is a deletion and an
// insertion, a few microseconds for a list, whatever its size.
//
// Builds: what changes many members, like hoisting a role, does not go through them. A worker makes
// all trees of the guild anew over a snapshot of the members (listBuild), which for a million takes
// it two seconds and the shard nothing. The lists stay as they are meanwhile. Whoever was touched
// since the snapshot is placed again in what it brings, so nothing is lost in between.
//
// Windows: a client's ranges, adjacent ones joined, are windows on the list. A window remembers the
// records it shows, and its ops are the difference to the records it should show (listWindow),
// worked out once for all who have it. A window holds as many rows after as before. Hence windows
// do not shift each other; the client's array holds the rows of its windows and nothing else, ever;
// and the ops of one window are the same bytes for all clients, whatever else they look at. The
// protocol's documentation leaves the last row of a range to a later INSERT or SYNC; one that is
// pushed out stays in the array there, and comes back as a phantom once the list gets shorter.
// A log of the changes, replayed for each window, is what was tried first: it costs each window
// every change there was, 15 ms of the shard for 360 windows and 4,096 changes, where a difference
// costs it the rows it has, and it knows nothing of builds.
//
// Rounds: the guild says only whose listing may have changed (touch), and calls work, which does a
// slice of a round and remembers where it was. A round places all who were touched, each once
// however often it changed, and then tells every window. While it tells, no tree changes, so it may
// pause between any two windows, and who is touched waits for the next one. Sessions come to a
// window, or change it, only between rounds, when all that are there know the list as it is; they
// may leave at any time. A session that may have lost sight of a list is looked after before
// anything is told to anyone.
//
// A change in another part of the list costs a subscriber nothing if no row passed its window. Then
// it is not told of the new counts either, which would make every change of presence an event for
// every subscriber; tellCounts makes up for that as often as the guild likes.
//
// Invariants: between rounds a subscriber's array holds the rows of its list in the ranges it is
// subscribed to. Each record on the roster is of the user's present listing, or the user is
// touched, or a build is due or under way.

// listSource is what the lists ask of their guild. All answers are of the present moment.
type listSource interface {
	// listing tells where the user belongs; false for one who is no member.
	listing(user wire.Snowflake) (listing, bool)
	// views reports whether the member may view the channel.
	views(user, channel wire.Snowflake) bool
	// listID returns the id of the channel's list, or "" when there is no such channel.
	listID(channel wire.Snowflake) string
	// sight is all that views depends on beside the member and what listID depends on.
	sight() string
	// hoisted returns the hoisted roles in the order that lists have them in.
	hoisted() []wire.Snowflake
	// totals returns how many members the guild has and how many are online.
	totals() (members, online int)
	// scan returns the members as they are, to be read elsewhere, with sight of these channels.
	scan(channels []wire.Snowflake) listScan
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
	table       *listTable    // nil before the first build.
	lists       []*memberList // Ascending by id.
	subscribers map[Handle]*listSubscriber
	all         []*listSubscriber           // The same, each at its place.
	sessions    map[wire.Snowflake][]Handle // Of the subscribers.
	doubted     []*listSubscriber           // They may have lost sight of what they look at.
	waiting     []*listSubscriber           // They may be shown something else.
	left        int                         // Of the slice, in microseconds or so.

	touched    []wire.Snowflake
	touchedSet map[wire.Snowflake]bool

	listBuilds
	listRound

	news   []listNews
	member []byte               // The last member encoded.
	items  map[store.Ref][]byte // Members, as far as encoded for now; see prepare.
}

// listNews is one dispatch for several sessions. to is valid until the lists are next called.
type listNews struct {
	to       []Handle
	dispatch *wire.Dispatch
}

func newMemberLists(guild wire.Snowflake, source listSource) *memberLists {
	return &memberLists{
		guild: guild, source: source,
		subscribers: make(map[Handle]*listSubscriber),
		sessions:    make(map[wire.Snowflake][]Handle),
		touchedSet:  make(map[wire.Snowflake]bool), items: make(map[store.Ref][]byte),
	}
}

// touch takes note that the user's listing, or what is shown of the user, may have changed: it has
// joined or left, has another name, other roles, another presence.
func (ls *memberLists) touch(user wire.Snowflake) {
	if len(ls.subscribers) == 0 {
		return
	}
	// What it may look at is seen to before the next round, and so every time.
	for _, h := range ls.sessions[user] {
		ls.doubt(ls.subscribers[h])
	}
	if ls.touchedSet[user] {
		return
	}
	ls.touchedSet[user] = true
	ls.touched = append(ls.touched, user)
	if ls.building != nil || ls.built != nil {
		ls.since = append(ls.since, user)
	}
}

// work does a slice of what is due, of so many microseconds or so, and reports whether it is to be
// called again for the rest. begin lets it begin a round.
func (ls *memberLists) work(begin bool, limit int) (more bool) {
	if len(ls.subscribers) == 0 {
		return false
	}
	ls.left = limit
	if !ls.retreat() {
		return true
	}
	if begin && ls.stage == listsRest {
		ls.begin()
	}
	if ls.stage == listsPlace && !ls.placeSome() || ls.stage == listsTell && !ls.tellSome() {
		return true
	}
	if !ls.advance() {
		return true
	}
	clear(ls.items)
	return false
}

// settled reports whether there is nothing that work would do.
func (ls *memberLists) settled() bool {
	return ls.stage == listsRest && ls.built == nil &&
		len(ls.touched)+len(ls.doubted)+len(ls.waiting) == 0
}

// find returns where the list of that id is, or would be.
func (ls *memberLists) find(id string) (at int, found bool) {
	return slices.BinarySearchFunc(ls.lists, id, func(l *memberList, id string) int {
		return cmp.Compare(l.id, id)
	})
}

// list returns the list of that id, making it if there is none. channel is one that has it; 0 tells
// of none.
func (ls *memberLists) list(id string, channel wire.Snowflake) *memberList {
	at, found := ls.find(id)
	if found {
		if channel != 0 {
			ls.lists[at].channel = channel
		}
		return ls.lists[at]
	}
	ls.stale = true
	l := &memberList{
		id: id, channel: channel,
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
			ls.table.roster.Clear(&l.trees[i])
		}
		return true
	})
	if len(ls.lists) == 0 {
		ls.table, ls.listBuilds, ls.listRound = nil, listBuilds{}, listRound{}
	}
}

// take returns what is to be sent since it was last called.
func (ls *memberLists) take() []listNews {
	news := ls.news
	ls.news = nil
	return news
}
