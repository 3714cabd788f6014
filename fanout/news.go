package fanout

import (
	"slices"

	"throng/store"
	"throng/wire"
)

// Nine in ten sessions of a large guild do not look at it. Such a session is passive: it gets what
// keeps its picture of the guild right (structure, see wire.EventInfo.Passes), what concerns its
// own user, and for all the rest, every half minute, a summary: which channels have new messages,
// who has come into voice and gone from it.
//
// To send such sessions nothing is easy, their receivers lie apart (see relay). The summary is what
// costs. The naive way is that the guild, at every tick, goes through its passive sessions and
// their channels and compares what each has been told with what is: 16,000 sessions times 500
// channels at 100 ns are 0.8 s of the shard, and a map of 500 entries per session is 20 KB each.
//
// What is done: the guild keeps a log of what has changed and when, by a version that only grows:
// channel -> version, user in voice -> version. What a passive receiver has been told is one such
// version, which lies with it on its loop; nothing is kept of it here. A tick makes one Update out
// of the log and sends it to the loops. Receivers of the same visibility class that know the same
// version are told the same, so it is encoded once for these (see Update), by the loop that comes
// to it first, and shared. After a tick everybody knows all, so the log begins anew: it is as long
// as what happens between two ticks.
//
// Versions count what somebody can tell apart: changes that no receiver's arrival has come between
// have one version, so many receivers share one, and a uint32 lasts.
//
// Two things are not differences of the guild but of who looks. A receiver whose class changes goes
// back to version 0, which is told everything; and when a role gains VIEW_CHANNEL or ADMINISTRATOR
// everybody is told everything once (whole). Losing sight needs no telling.
//
// Invariant: no passive receiver's version is above version, and once its Update has passed none is
// below the one of the last tick but 0.
type news struct {
	version uint32 // The newest that somebody may know.
	ahead   bool   // Whether there are changes of version+1.
	whole   uint32 // Whoever knows less is told everything.
	reset   bool   // Whether some passive receiver has been put back to 0 since the last tick.
	told    uint32 // What everybody knows since the last tick, but for those at 0.
	lastAt  int64  // When that was.

	channels map[wire.Snowflake]uint32 // Channels and threads: unread, pinned or newly open.
	voices   map[wire.Snowflake]*voiceNews
	members  map[wire.Snowflake]uint32 // Members in voice whose member object has changed.
}

// voiceNews is what has happened to a user in voice since the last tick.
type voiceNews struct {
	version uint32
	left    []leftChannel
}

// leftChannel is a voice channel that a user has left, as it was then: it may be gone. Who was let
// in there by name and is named nowhere any more is taken for one who never was: such a session has
// lost sight of the channel since, and a client does not show it.
type leftChannel struct {
	channel    wire.Snowflake
	overwrites []wire.Overwrite
	raw        []byte // The voice state.
	version    uint32
}

func (n *news) init() { *n = news{version: 1} }

// next returns the version of a change that happens now.
func (n *news) next() uint32 {
	n.ahead = true
	return n.version + 1
}

// known returns the version of whoever knows all that has happened.
func (n *news) known() uint32 {
	if n.ahead {
		n.version++
		n.ahead = false
	}
	return n.version
}

// any reports whether there is something to tell.
func (n *news) any() bool {
	return n.reset || len(n.channels)+len(n.voices)+len(n.members) > 0 || n.whole > n.told
}

// noteChannel logs that a channel or thread has something new.
func (g *Guild) noteChannel(id wire.Snowflake) {
	if g.receivers.passive == 0 {
		return
	}
	if g.news.channels == nil {
		g.news.channels = make(map[wire.Snowflake]uint32)
	}
	g.news.channels[id] = g.news.next()
}

// noteMember logs that a member has changed, which matters while it is in voice.
func (g *Guild) noteMember(user wire.Snowflake) {
	if g.receivers.passive == 0 || g.voices[user] == nil {
		return
	}
	if g.news.members == nil {
		g.news.members = make(map[wire.Snowflake]uint32)
	}
	g.news.members[user] = g.news.next()
}

// noteVoice logs that a user has come into voice, changed there, moved or left; before is its state
// until now, or nil.
func (g *Guild) noteVoice(user wire.Snowflake, before *voiceState) {
	if g.receivers.passive == 0 {
		return
	}
	if g.news.voices == nil {
		g.news.voices = make(map[wire.Snowflake]*voiceNews)
	}
	v := g.news.voices[user]
	if v == nil {
		v = &voiceNews{}
		g.news.voices[user] = v
	}
	v.version = g.news.next()
	if before == nil {
		return
	}
	now, from := g.voices[user], g.channelByID[before.channel]
	if from == nil || now != nil && now.channel == before.channel {
		return
	}
	// With other overwrites it was others who saw the user go.
	v.left = slices.DeleteFunc(v.left, func(l leftChannel) bool {
		return l.channel == from.id && slices.Equal(l.overwrites, from.overwrites)
	})
	v.left = append(v.left, leftChannel{from.id, from.overwrites, before.raw, v.version})
}

// noteSight logs that everybody may see more than before.
func (g *Guild) noteSight() {
	if g.receivers.passive > 0 {
		g.news.whole = g.news.next()
	}
}

// noteRole logs what a change of a role's permissions opens; next is nil when the role is deleted,
// and old when it is new.
func (g *Guild) noteRole(old, next *role) {
	const opens = wire.PermissionViewChannel | wire.PermissionAdministrator
	switch {
	case old == nil:
	case next != nil:
		if next.permissions&^old.permissions&opens != 0 {
			g.noteSight()
		}
	default:
		// A channel may have been hidden by an overwrite for the role.
		for _, c := range g.channels {
			if slices.ContainsFunc(c.overwrites, func(ow wire.Overwrite) bool {
				return ow.Type == wire.OverwriteRole && ow.ID == old.id
			}) {
				g.noteChannel(c.id)
			}
		}
	}
}

// NextTick returns when the guild wants Tick to be called, in unix milliseconds; 0 is not before
// something happens.
func (g *Guild) NextTick() int64 {
	soonest := int64(0)
	for _, due := range [...]int64{
		g.NewsDue(), g.listsDue(), g.presencesDue(), g.sweepAt, g.searchAt,
	} {
		if soonest == 0 || due != 0 && due < soonest {
			soonest = due
		}
	}
	return soonest
}

// NewsDue returns when the passive sessions are to be told the news; 0 is that there are none. It
// is one of those that NextTick is the earliest of.
func (g *Guild) NewsDue() int64 {
	if g.receivers.passive == 0 || !g.news.any() {
		return 0
	}
	return max(g.news.lastAt+g.limits.PassivePeriodMilli, 1)
}

// Tick does what has become due: presences are told, the passive sessions are told the news, a
// sweep that has failed is made due, and, as after any call, the subscribers of member lists are
// told what has changed there.
func (g *Guild) Tick(now int64) Change {
	due := g.NewsDue()
	t := g.turn(now)
	g.retrySweep(now)
	t.tellPresences()
	if g.searchAt <= now {
		g.searchAt = 0
	}
	if due != 0 && due <= now {
		u := g.update()
		t.send(Msg{Kind: MsgPublish, Loop: PassiveLoops, Event: &Event{Passive: true, Update: u}})
		g.news = news{
			version: u.version, whole: u.whole, lastAt: now, told: u.version,
		}
	}
	return t.done()
}

// update makes an Update of the log. Channels and voice states that nothing has happened to are in
// it only when somebody has to be told everything.
func (g *Guild) update() *Update {
	n := &g.news
	u := &Update{
		guild: g.id, version: n.known(), whole: n.whole, view: g.view(),
		made: make(map[updateKey][]*wire.Dispatch),
	}
	everything := n.reset || n.whole > n.told || g.receivers.modes[UpdateV1] > 0
	u.classes = make([]classView, len(g.classes.list))
	for id := range g.classes.list {
		if k := &g.classes.list[id]; k.receivers > 0 {
			u.classes[id] = classView{base: g.permissions(k, nil), subject: k.subject}
		}
	}
	for _, c := range g.channels {
		if version, changed := n.channels[c.id]; changed || everything {
			u.channels = append(u.channels, unread{id: c.id, last: c.last, pinned: c.pinned,
				overwrites: c.overwrites, need: wire.PermissionViewChannel, version: version})
		}
	}
	for id, version := range n.channels {
		th := g.threadByID[id]
		if th == nil {
			continue
		}
		need := wire.PermissionViewChannel
		if th.private() {
			need |= wire.PermissionManageThreads
		}
		u.channels = append(u.channels, unread{id: id, last: th.last, pinned: th.pinned,
			overwrites: g.channelByID[th.parent].overwrites, need: need, version: version})
	}
	u.voices = g.voiceUpdates(everything)
	u.sort()
	return u
}

func (g *Guild) voiceUpdates(everything bool) (voices []voiceUpdate) {
	n := &g.news
	add := func(user wire.Snowflake) {
		v := voiceUpdate{user: user, memberVersion: n.members[user]}
		if changed := n.voices[user]; changed != nil {
			v.version, v.left = changed.version, changed.left
		}
		if state := g.voices[user]; state != nil {
			v.raw, v.overwrites = state.raw, g.channelByID[state.channel].overwrites
			v.member, _ = g.members.Get(uint64(user))
			v.account = g.users.Get(uint64(user))
		}
		voices = append(voices, v)
	}
	if everything {
		for user := range g.voices {
			add(user)
		}
	} else {
		for user := range n.members {
			if n.voices[user] == nil && g.voices[user] != nil {
				add(user)
			}
		}
	}
	for user := range n.voices {
		if !everything || g.voices[user] == nil {
			add(user)
		}
	}
	return voices
}

// voiceUpdate is a user in voice, or one who has left, in an Update.
type voiceUpdate struct {
	user          wire.Snowflake
	raw           []byte // nil when it is not in voice any more.
	overwrites    []wire.Overwrite
	member        store.Member
	account       *store.User // nil when it is not known.
	written       []byte      // The member as JSON, when the update is of another node.
	version       uint32
	memberVersion uint32
	left          []leftChannel
}
