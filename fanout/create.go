package fanout

import (
	"cmp"
	"slices"

	"throng/store"
	"throng/wire"
)

// Join lets a session of a member listen to the guild. Admission carries GUILD_CREATE, which shows
// the guild as of this moment; every later message of the guild to that loop builds on it.
func (g *Guild) Join(r Receiver, now int64) (Change, error) {
	t := g.turn(now)
	if g.receivers.get(r.Handle) != nil {
		return t.refuse(conflict("", "The session has joined already."))
	}
	member, ok := g.members.Get(uint64(r.User))
	if !ok {
		return t.refuse(notFound("", "The user is no member of the guild."))
	}
	class := g.classOf(member, now)
	g.classes.hold(class)
	kept := g.receivers.add(r, class, !r.Bot && g.members.Len() >= g.limits.PassiveMembersMin)
	m := Msg{Kind: MsgAdmit, Loop: int(r.Loop), To: r.Handle, Receiver: r, Class: class}
	m.Receiver.Intents = kept.heard()
	g.mark(r.User)
	g.masks = g.masks || kept.lazy
	if kept.passive {
		m.Passive, m.Version = true, g.news.known()
	}
	if r.Intents&wire.IntentGuilds != 0 {
		m.Dispatches = []*wire.Dispatch{g.create(&r, class, member)}
	}
	t.send(m)
	return t.done(), nil
}

// Leave follows the end of a session. Its loop has let go of it already.
func (g *Guild) Leave(h Handle, now int64) Change {
	t := g.turn(now)
	t.leave(h)
	return t.done()
}

func (t *turn) leave(h Handle) {
	g := t.g
	r := g.receivers.get(h)
	if r == nil {
		return
	}
	user, spoke := r.User, r.spoke
	t.drop(h)
	if v := g.voices[user]; v != nil && v.held && v.handle == h {
		t.leaveVoice(user)
	}
	if spoke {
		t.regard(user)
	}
}

// LeaveLoop follows the end of a whole loop, that of a node which is lost: its sessions leave. It
// goes on from a place for no more than budget looks at sessions, of which one that leaves takes
// looksPerLeave, and says how many it took and from which place to go on; zero means that none of
// the loop's is left.
func (g *Guild) LeaveLoop(loop int, from uint32, budget int, now int64) (c Change, next uint32,
	looks int) {
	t := g.turn(now)
	rs := &g.receivers
	for end := rs.places(); from < end && looks < budget && rs.onLoop(loop) > 0; from++ {
		looks++
		if r := rs.at(from); int(r.Loop) == loop && r.Handle != (Handle{}) {
			t.leave(r.Handle)
			looks += looksPerLeave
		}
	}
	if rs.onLoop(loop) == 0 {
		from = 0
	}
	return t.done(), from, looks
}

// looksPerLeave: a session that leaves takes some 5 us, and one that is only looked at 20 ns.
const looksPerLeave = 250

// create is GUILD_CREATE: a head that is the same for all, then what differs.
//
// The head is most of the bytes, roles and channels, and is encoded and packed once for as long as
// the guild does not change; a session costs one copy of it. Bots get all channels, hidden ones
// included; threads and voice states only where they may look.
func (g *Guild) create(r *Receiver, class uint32, self store.Member) *wire.Dispatch {
	if g.head == nil {
		head := g.appendGuild(make([]byte, 0, g.docBytes))
		g.head = wire.NewShared(append(head, `,"lazy":true,"unavailable":false`...))
	}
	count := g.members.Len()
	large := count > r.LargeThreshold
	voice := g.usersInVoice(0)
	members := g.createMembers(r, self, voice, large)
	dst := make([]byte, 0, 1024+512*len(members))
	dst = appendTime(append(dst, `,"joined_at":`...), self.JoinedAt)
	dst = wire.AppendBool(wire.AppendKey(dst, "large"), large)
	dst = wire.AppendInt(wire.AppendKey(dst, "member_count"), int64(count))
	dst = append(wire.AppendKey(dst, "threads"), '[')
	for _, th := range g.threads {
		if !th.archived && g.seesThread(th, r.User, class) {
			dst = th.appendFor(wire.AppendComma(dst), r.User)
		}
	}
	dst = append(wire.AppendKey(append(dst, ']'), "voice_states"), '[')
	for _, user := range voice {
		if v := g.voices[user]; g.seesChannel(class, v.channel) {
			dst = append(wire.AppendComma(dst), v.raw...)
		}
	}
	view := g.view()
	dst = append(wire.AppendKey(append(dst, ']'), "members"), '[')
	for _, m := range members {
		dst = view.append(wire.AppendComma(dst), m, 0)
	}
	dst = append(wire.AppendKey(append(dst, ']'), "presences"), '[')
	if r.Intents&wire.IntentGuildPresences != 0 {
		for _, m := range members {
			user := wire.Snowflake(m.User)
			if p := g.presences.get(user); p != nil {
				dst = p.append(wire.AppendComma(dst), user, 0)
			}
		}
	}
	return wire.NewDispatchAfter("GUILD_CREATE", g.head, append(dst, ']', '}'))
}

// createMembers returns the members that GUILD_CREATE shows, ascending. Without GUILD_PRESENCES, or
// in a very large guild, these are the member itself and those in voice. Else all, when the guild
// is not large to the session; and when it is, also who is online, and who has roles or a nick.
func (g *Guild) createMembers(
	r *Receiver, self store.Member, voice []wire.Snowflake, large bool,
) []store.Member {
	members := []store.Member{self}
	add := func(m store.Member) {
		if len(members) < createMembersMax {
			members = append(members, m)
		}
	}
	addUsers := func(users []wire.Snowflake) {
		for _, user := range users {
			if m, ok := g.members.Get(uint64(user)); ok {
				add(m)
			}
		}
	}
	addUsers(voice)
	count := g.members.Len()
	presences := r.Intents&wire.IntentGuildPresences != 0 && count <= createPresenceMembersMax
	switch {
	case presences && !large:
		g.members.Range(func(m store.Member) bool {
			add(m)
			return true
		})
	case presences:
		addUsers(g.presences.first())
		if count <= createScanMax {
			g.addNotable(add)
		}
	}
	slices.SortFunc(members, func(a, b store.Member) int { return cmp.Compare(a.User, b.User) })
	return slices.CompactFunc(members, func(a, b store.Member) bool { return a.User == b.User })
}

// addNotable adds who has roles or a nick.
func (g *Guild) addNotable(add func(store.Member)) {
	g.members.Range(func(m store.Member) bool {
		if g.hasRoles(m.RoleSet) || m.Extra != "" && nick(m) != "" {
			add(m)
		}
		return true
	})
}

// Delete removes the guild: its sessions hear GUILD_DELETE, and each loop drops its relay. The
// loops are named one by one: after this the guild has none, and AllLoops would be nobody.
func (g *Guild) Delete(now int64) Change {
	t := g.turn(now)
	info, _ := wire.LookupEvent("GUILD_DELETE")
	ev := toAll(info)
	ev.Passive = true
	ev.Dispatch = wire.NewDispatch("GUILD_DELETE", g.deleteBody(), nil)
	g.index++
	for _, loop := range g.receivers.loops.all {
		t.send(Msg{Kind: MsgPublish, Loop: loop, Event: &ev})
		t.send(Msg{Kind: MsgGone, Loop: loop})
	}
	t.keep(store.Op{Kind: store.OpDeleteGuild, Guild: uint64(g.id)})
	g.closeRooms()
	g.receivers, g.lists, g.carry = receivers{}, nil, nil
	g.receivers.init()
	g.classes = classes{}
	g.classes.init()
	g.news.init()
	clear(g.watchers)
	return t.done()
}
