package fanout

import (
	"maps"
	"slices"

	"throng/wire"
	"throng/wire/pack"
)

// carryPart is what a part of what is carried begins with. See Carry.
type carryPart uint8

const (
	carryDocument carryPart = iota
	carryUser
	carryPlaces
	carryRoom
	carryNews
	carryUnsaid
	carrySearch
	carryEnd
)

// carryWriter writes what is carried of a guild.
type carryWriter struct {
	g        *Guild
	dst      []byte
	parts    [][]byte // Those that are full, if bytesMax is not 0.
	bytesMax int
	sessions []*receiver // scratch
}

// cut begins another part when this one is full.
func (w *carryWriter) cut() {
	if len(w.dst) >= w.bytesMax {
		w.parts = append(w.parts, w.dst)
		w.dst = nil
	}
}

func (w *carryWriter) begin(part carryPart) { w.dst = append(w.dst, byte(part)) }

func (w *carryWriter) document() {
	w.begin(carryDocument)
	w.dst = pack.AppendText(w.dst, w.g.Doc())
}

// user writes all that there is of a user, and with member whether and how it is a member.
func (w *carryWriter) user(user wire.Snowflake, member bool) {
	g := w.g
	w.begin(carryUser)
	p, v, ends := g.presences.byUser[user], g.voices[user], g.timeouts[user]
	dst := pack.AppendFlags(pack.AppendID(w.dst, user), member, v != nil, ends != 0)
	if member {
		dst = g.packMember(dst, user)
	}
	dst = packPresence(dst, p, nil)
	if v != nil {
		dst = g.packVoice(dst, v)
	}
	if ends != 0 {
		dst = pack.AppendUint(dst, uint64(ends))
	}
	w.sessions = g.sessionsOf(user, w.sessions[:0])
	dst = pack.AppendUint(dst, uint64(len(w.sessions)))
	for _, r := range w.sessions {
		dst = packSession(dst, r, p)
	}
	w.dst = dst
}

// packMember appends the member's record with its account, or that there is no such member.
func (g *Guild) packMember(dst []byte, user wire.Snowflake) []byte {
	m, ok := g.members.Get(uint64(user))
	account := g.users.Get(uint64(user))
	dst = pack.AppendFlags(dst, ok, account != nil)
	if !ok {
		return dst
	}
	if account != nil {
		dst = pack.AppendString(dst, account.Doc)
	}
	dst = pack.AppendUint64(pack.AppendUint64(dst, uint64(m.JoinedAt)), uint64(m.TimeoutAt))
	dst = pack.AppendString(pack.AppendUint(dst, uint64(m.Flags)), m.Extra)
	return packRoles(dst, g.roleSets.Roles(m.RoleSet))
}

func packRoles(dst []byte, roles []uint64) []byte {
	dst = pack.AppendUint(dst, uint64(len(roles)))
	for _, role := range roles {
		dst = pack.AppendUint64(dst, role)
	}
	return dst
}

// What a presence is written as. Those of people who do nothing are numbers from presenceIdle on.
const (
	presenceNone = iota
	presenceAlike
	presenceFull
	presenceIdle
)

// packPresence appends a presence; alike is one that the reader has.
func packPresence(dst []byte, p, alike *presence) []byte {
	switch {
	case p == nil:
		return append(dst, presenceNone)
	case p == alike:
		return append(dst, presenceAlike)
	}
	for on := range idlePresences {
		if idlePresences[on][p.status] == p {
			status := slices.Index(statuses, p.status)
			return append(dst, byte(presenceIdle+on*len(statuses)+status))
		}
	}
	dst = pack.AppendString(append(dst, presenceFull), p.status)
	return pack.AppendText(pack.AppendText(dst, p.activities), p.client)
}

// packSession appends a session; of is its user's presence.
func packSession(dst []byte, r *receiver, of *presence) []byte {
	dst = AppendHandle(dst, r.Handle)
	whole := Receiver{User: r.User, Intents: r.Intents, LargeThreshold: int(r.large),
		SessionID: r.SessionID, Bot: r.bot, Platform: r.platform, Updates: r.updates}
	dst = AppendReceiver(dst, &whole)
	dst = pack.AppendUint(dst, uint64(r.class))
	dst = pack.AppendFlags(dst, r.spoke, r.lazy, r.passive, r.wants != nil)
	dst = packPresence(dst, r.presence, of)
	if r.wants == nil {
		return dst
	}
	dst = pack.AppendFlags(dst, r.wants.threads, r.wants.activities, r.wants.memberUpdates)
	dst = pack.AppendIDs(dst, r.wants.members)
	dst = pack.AppendUint(dst, uint64(len(r.wants.lists)))
	for _, l := range r.wants.lists {
		dst = pack.AppendUint(pack.AppendID(dst, l.Channel), uint64(len(l.Ranges)))
		for _, of := range l.Ranges {
			dst = pack.AppendUint64(pack.AppendUint64(dst, uint64(of.First)), uint64(of.Last))
		}
	}
	return dst
}

// What a session in voice was told last of its server.
const (
	toldNone = iota
	toldThis
	toldOther
)

func (g *Guild) packVoice(dst []byte, v *voiceState) []byte {
	dst = pack.AppendFlags(pack.AppendID(dst, v.channel), v.held)
	if v.held {
		dst = AppendHandle(dst, v.handle)
	}
	told := byte(toldOther)
	switch v.told {
	case nil:
		told = toldNone
	case g.rooms[v.channel].server:
		told = toldThis
	}
	return append(pack.AppendText(dst, v.raw), told)
}

// places writes what channels and threads have beside what the document says.
func (w *carryWriter) places() {
	place := func(id wire.Snowflake, p *place, info object) {
		w.begin(carryPlaces)
		w.dst = pack.AppendID(pack.AppendID(w.dst, id), p.last)
		var text []byte
		if len(info) > 0 {
			text = info.bytes()
		}
		w.dst = pack.AppendText(pack.AppendText(w.dst, p.pinned), text)
		w.cut()
	}
	for _, c := range w.g.channels {
		place(c.id, &c.place, c.info)
	}
	for _, th := range w.g.threads {
		place(th.id, &th.place, nil)
	}
}

// rooms writes the voice channels that are in use. Their users have been carried.
func (w *carryWriter) rooms() {
	for _, channel := range slices.Sorted(maps.Keys(w.g.rooms)) {
		room := w.g.rooms[channel]
		w.begin(carryRoom)
		dst := pack.AppendIDs(pack.AppendID(w.dst, channel), room.users)
		dst = pack.AppendUint(pack.AppendString(dst, room.region), uint64(room.behind))
		s := room.server
		dst = pack.AppendFlags(dst, s != nil, s != nil && s.own)
		if s != nil {
			dst = pack.AppendString(pack.AppendString(dst, s.name), s.endpoint)
		}
		w.dst = dst
		w.cut()
	}
}

func (w *carryWriter) news() {
	n := &w.g.news
	w.begin(carryNews)
	dst := pack.AppendFlags(w.dst, n.ahead, n.reset)
	for _, v := range []uint32{n.version, n.whole, n.told} {
		dst = pack.AppendUint(dst, uint64(v))
	}
	dst = pack.AppendUint64(dst, uint64(n.lastAt))
	for _, of := range []map[wire.Snowflake]uint32{n.channels, n.members} {
		dst = pack.AppendUint(dst, uint64(len(of)))
		for id, version := range of {
			dst = pack.AppendUint(pack.AppendID(dst, id), uint64(version))
		}
	}
	dst = pack.AppendUint(dst, uint64(len(n.voices)))
	for user, v := range n.voices {
		dst = pack.AppendUint(pack.AppendID(dst, user), uint64(v.version))
		dst = pack.AppendUint(dst, uint64(len(v.left)))
		for _, l := range v.left {
			dst = pack.AppendText(pack.AppendID(dst, l.channel), l.raw)
			dst = packOverwrites(dst, l.overwrites)
			dst = pack.AppendUint(dst, uint64(l.version))
		}
	}
	w.dst = dst
	w.cut()
}

// unsaid writes the users whose presences are to be told.
func (w *carryWriter) unsaid() {
	for _, user := range w.g.unsaid.order {
		if body, noted := w.g.unsaid.of[user]; noted {
			w.begin(carryUnsaid)
			w.dst = pack.AppendText(pack.AppendID(w.dst, user), body)
			w.cut()
		}
	}
}

// searches writes whom messages mention all together, and how far the search for them has got.
func (w *carryWriter) searches() {
	for _, s := range w.g.searches {
		w.begin(carrySearch)
		p := &s.push
		dst := pack.AppendIDs(w.dst, p.Users)
		dst = pack.AppendUint(dst, uint64(p.Omitted))
		for _, id := range []wire.Snowflake{p.Channel, p.Message, p.Author} {
			dst = pack.AppendID(dst, id)
		}
		dst = pack.AppendString(pack.AppendString(dst, p.Name), p.Text)
		dst = pack.AppendFlags(dst, s.roles != nil)
		dst = packRoles(dst, s.roles)
		dst = pack.AppendUint64(pack.AppendIDs(dst, s.named), s.seen)
		w.dst = dst
		w.cut()
	}
}

// end writes the classes with their numbers, and what else there is one of.
func (w *carryWriter) end() {
	g := w.g
	cs := &g.classes
	w.begin(carryEnd)
	dst := pack.AppendUint(w.dst, uint64(len(cs.born)))
	for _, id := range cs.born {
		key := cs.list[id].key
		dst = pack.AppendFlags(pack.AppendUint(dst, uint64(id)), key.owner, key.timedOut)
		dst = packRoles(pack.AppendID(dst, key.user), g.roleSets.Roles(key.roles))
	}
	dst = pack.AppendUint(dst, uint64(len(cs.free)))
	for _, id := range cs.free {
		dst = pack.AppendUint(dst, uint64(id))
	}
	again := g.sweepAgain
	if g.sweep != nil {
		again = slices.Concat(again, g.sweep.again)
	}
	dst = packRoles(packRoles(dst, g.gone), again)
	for _, v := range []uint64{g.index, uint64(g.messageMilli), uint64(g.messageSeq),
		uint64(g.sweepAt), uint64(g.searchAt), uint64(g.unsaid.dueAt)} {
		dst = pack.AppendUint64(dst, v)
	}
	w.dst = pack.AppendFlags(dst, g.masks)
}
