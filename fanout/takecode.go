package fanout

import (
	"bytes"
	"math"

	"throng/store"
	"throng/wire"
	"throng/wire/pack"
)

// carryReader reads a part of what is carried. What it gives is not part of what it reads: a
// presence of 50 bytes would hold on to all of it.
type carryReader struct {
	pack.Reader
	g *Guild
	k *Take
}

func newCarryReader(k *Take, part []byte) *carryReader {
	return &carryReader{pack.NewReader(part), k.g, k}
}

func (r *carryReader) text() []byte { return bytes.Clone(r.Text()) }

func (r *carryReader) object() []byte {
	raw := r.text()
	if !wire.IsObject(raw) {
		r.Fail()
	}
	return raw
}

func (r *carryReader) roles() []uint64 {
	n := r.Count(8)
	if n == 0 {
		return nil
	}
	roles := make([]uint64, n)
	for i := range roles {
		roles[i] = r.Uint64()
	}
	return roles
}

func (r *carryReader) part() error {
	switch part := carryPart(r.Byte()); part {
	case carryDocument:
		doc := r.text()
		if r.Failed() {
			return errCarried
		}
		return r.g.Restore(doc)
	case carryUser:
		r.user()
	case carryPlaces:
		id, last, pinned, text := r.ID(), r.ID(), r.text(), r.text()
		var info object
		if text != nil && !wire.IsObject(text) {
			r.Fail()
		} else if text != nil {
			info = parseObject(text)
		}
		r.k.place(id, last, pinned, info)
	case carryRoom:
		r.room()
	case carryNews:
		r.news()
	case carryUnsaid:
		r.unsaid()
	case carrySearch:
		r.search()
	case carryEnd:
		r.end()
	default:
		r.Fail()
	}
	if r.Failed() {
		return errCarried
	}
	return nil
}

// user reads what there is of a user, in place of what was read before.
func (r *carryReader) user() {
	user := r.ID()
	flags := r.Flags(3)
	if r.Failed() {
		return
	}
	g, k := r.g, r.k
	k.drop(user)
	if flags.Has(0) {
		r.memberPart(user)
	}
	p := r.presence(nil)
	if r.Failed() {
		return
	}
	g.presences.set(user, p)
	if flags.Has(1) {
		r.voice(user)
	}
	if flags.Has(2) {
		ends := int64(r.Uint(math.MaxInt64))
		g.timeouts[user] = ends
		if g.timeoutNext == 0 || ends < g.timeoutNext {
			g.timeoutNext = ends
		}
	}
	for range r.Count(sessionBytesMin) {
		if !r.session(user, p) {
			r.Fail()
			return
		}
	}
}

// The least that an element of each list takes.
const (
	sessionBytesMin = 36
	versionBytesMin = 9
	bornBytesMin    = 11
	rangesBytesMin  = 9
	newsBytesMin    = 10
)

// carryTextMax bounds a text that has a bound of its own where it comes from.
const carryTextMax = 1 << 24

func (r *carryReader) memberPart(user wire.Snowflake) {
	flags := r.Flags(2)
	if !flags.Has(0) {
		r.g.members.Delete(uint64(user))
		return
	}
	m, roles := r.member(user, flags.Has(1))
	if !r.Failed() {
		m.RoleSet = r.g.roleSets.Intern(roles)
		r.g.members.Put(m)
	}
}

// member reads the rest of what packMember wrote.
func (r *carryReader) member(user wire.Snowflake, account bool) (m store.Member, roles []uint64) {
	if account {
		doc := r.String(carryTextMax)
		if r.g.users.Get(uint64(user)) == nil {
			if u, err := ParseUser(user, []byte(doc)); err == nil {
				r.g.users.Add(u)
			}
		}
	}
	m.User = uint64(user)
	m.JoinedAt, m.TimeoutAt = int64(r.Uint64()), int64(r.Uint64())
	m.Flags, m.Extra = r.Uint32(), r.String(carryTextMax)
	return m, r.roles()
}

func (r *carryReader) presence(alike *presence) *presence {
	switch kind := int(r.Byte()); kind {
	case presenceNone:
		return nil
	case presenceAlike:
		return alike
	case presenceFull:
		return &presence{status: r.String(carryTextMax), activities: r.text(),
			client: r.text()}
	default:
		on, status := (kind-presenceIdle)/len(statuses), (kind-presenceIdle)%len(statuses)
		if on >= len(idlePresences) {
			r.Fail()
			return nil
		}
		return idlePresences[on][statuses[status]]
	}
}

func (r *carryReader) session(user wire.Snowflake, of *presence) bool {
	there := ReadHandle(&r.Reader)
	whole := ReadReceiver(&r.Reader)
	in := receiver{class: r.Uint32()}
	flags := r.Flags(4)
	in.spoke, in.lazy, in.passive = flags.Has(0), flags.Has(1), flags.Has(2)
	in.presence = r.presence(of)
	if flags.Has(3) {
		in.wants = r.wants()
	}
	var ok bool
	if whole.Handle, ok = r.k.home(there); r.Failed() || !ok || in.class >= carryClassesMax ||
		whole.User != user || r.g.receivers.get(whole.Handle) != nil {
		return false
	}
	r.k.add(in, whole)
	return true
}

func (r *carryReader) wants() *wants {
	flags := r.Flags(3)
	w := &wants{threads: flags.Has(0), activities: flags.Has(1), memberUpdates: flags.Has(2),
		members: r.IDs(math.MaxInt)}
	for range r.Count(rangesBytesMin) {
		l := wire.ListRanges{Channel: r.ID()}
		for range r.Count(16) {
			first, last := int(r.Uint64()), int(r.Uint64())
			l.Ranges = append(l.Ranges, wire.ListRange{First: first, Last: last})
		}
		w.lists = append(w.lists, l)
	}
	return w
}

func (r *carryReader) voice(user wire.Snowflake) {
	v := &voiceState{channel: r.ID()}
	ok := true
	if v.held = r.Flags(1).Has(0); v.held {
		v.handle, ok = r.k.home(ReadHandle(&r.Reader))
	}
	v.raw = r.object()
	told := r.Byte()
	if !ok || told > toldOther {
		r.Fail()
	}
	r.g.voices[user], r.k.told[user] = v, told
}

func (r *carryReader) room() {
	channel := r.ID()
	room := &voiceRoom{users: r.IDs(math.MaxInt), region: r.String(carryTextMax)}
	room.behind = int(r.Uint(math.MaxInt32))
	flags := r.Flags(2)
	var server *VoiceServer
	if flags.Has(0) {
		server = &VoiceServer{name: r.String(carryTextMax), endpoint: r.String(carryTextMax),
			own: flags.Has(1)}
	}
	if r.Failed() || !r.k.room(channel, room, server) {
		r.Fail()
	}
}

func (r *carryReader) news() {
	n := &r.g.news
	flags := r.Flags(2)
	*n = news{ahead: flags.Has(0), reset: flags.Has(1), version: r.Uint32(), whole: r.Uint32(),
		told: r.Uint32(), lastAt: int64(r.Uint64())}
	n.channels, n.members = r.versions(), r.versions()
	count := r.Count(newsBytesMin)
	if count == 0 {
		return
	}
	n.voices = make(map[wire.Snowflake]*voiceNews, count)
	read := msgReader{Reader: r.Reader}
	for range count {
		user, v := read.ID(), &voiceNews{version: read.Uint32()}
		for range read.Count(leftBytesMin) {
			l := leftChannel{channel: read.ID(), raw: bytes.Clone(read.Text()),
				overwrites: read.overwrites(), version: read.Uint32()}
			if !wire.IsObject(l.raw) {
				read.Fail()
			}
			v.left = append(v.left, l)
		}
		n.voices[user] = v
	}
	r.Reader = read.Reader
}

func (r *carryReader) versions() map[wire.Snowflake]uint32 {
	n := r.Count(versionBytesMin)
	if n == 0 {
		return nil
	}
	versions := make(map[wire.Snowflake]uint32, n)
	for range n {
		versions[r.ID()] = r.Uint32()
	}
	return versions
}

func (r *carryReader) unsaid() {
	n := &r.g.unsaid
	user := r.ID()
	if n.of == nil {
		n.of = map[wire.Snowflake][]byte{}
	}
	n.of[user] = r.text()
	n.order = append(n.order, user)
}

func (r *carryReader) search() {
	p := Push{Users: r.IDs(math.MaxInt), Omitted: int(r.Uint(math.MaxInt32)), Channel: r.ID(),
		Message: r.ID(), Author: r.ID(), Name: r.String(carryTextMax), Text: r.String(carryTextMax)}
	s := &pushSearch{push: p}
	some := r.Flags(1).Has(0)
	if s.roles = r.roles(); some && s.roles == nil {
		s.roles = roleFilter{}
	}
	s.named, s.seen = r.IDs(math.MaxInt), r.Uint64()
	if !r.Failed() {
		r.k.search(s)
	}
}

// carryClassesMax is far above the classes that a guild has.
const carryClassesMax = 1 << 20

func (r *carryReader) end() {
	g := r.g
	cs := &g.classes
	keys := map[uint32]classKey{}
	for range r.Count(bornBytesMin) {
		id := r.Uint32()
		flags := r.Flags(2)
		key := classKey{owner: flags.Has(0), timedOut: flags.Has(1), user: r.ID()}
		key.roles = g.roleSets.Intern(r.roles())
		keys[id], cs.byKey[key] = key, id
		cs.born = append(cs.born, id)
	}
	for range r.Count(1) {
		cs.free = append(cs.free, r.Uint32())
	}
	count := len(cs.born) + len(cs.free)
	if r.Failed() || count < len(cs.list) {
		r.Fail()
		return
	}
	cs.list = append(cs.list, make([]class, count-len(cs.list))...)
	for id, key := range keys {
		if int(id) >= count {
			r.Fail()
			return
		}
		cs.list[id].key = key
	}
	g.gone, g.sweepAgain = r.roles(), r.roles()
	g.index, g.messageMilli, g.messageSeq = r.Uint64(), int64(r.Uint64()), int(r.Uint64())
	g.sweepAt, g.searchAt, g.unsaid.dueAt = int64(r.Uint64()), int64(r.Uint64()), int64(r.Uint64())
	g.masks = r.Flags(1).Has(0)
	r.k.ended = true
}
