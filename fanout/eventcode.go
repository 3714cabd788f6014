package fanout

import (
	"math"

	"throng/wire"
	"throng/wire/pack"
)

// append appends an event with its audience, or an Update. Whose event it is (Own, About) matters
// to the guild alone, and so does how far it is behind. Self goes along where a rule speaks of it.
func (e *Event) append(dst []byte, h *heads) []byte {
	dst = pack.AppendFlags(dst, e.Passive, e.Visible != nil, e.Update != nil, e.Trace != nil)
	if e.Update != nil {
		return e.Update.append(dst)
	}
	if e.Trace != nil {
		dst = e.Trace.append(dst)
	}
	dst = pack.AppendUint(dst, uint64(e.Intents))
	if e.Visible != nil {
		dst = pack.AppendUint(dst, uint64(len(e.Visible)))
		for _, word := range e.Visible {
			dst = pack.AppendUint64(dst, word)
		}
	}
	if dst = append(dst, byte(e.SelfRule)); e.SelfRule != wire.SelfNone {
		dst = pack.AppendID(dst, e.Self)
	}
	dst = pack.AppendIDs(pack.AppendIDs(dst, e.Full), e.Also)
	return h.append(dst, e.Dispatch)
}

func (r *msgReader) event(guild wire.Snowflake) *Event {
	flags := r.Flags(4)
	e := &Event{Passive: flags.Has(0)}
	if flags.Has(2) {
		e.Update = r.update(guild)
		return e
	}
	if flags.Has(3) {
		e.Trace = r.trace()
	}
	e.Intents = wire.Intents(r.Uint32())
	if flags.Has(1) {
		e.Visible = make(Bitset, r.Count(8))
		for i := range e.Visible {
			e.Visible[i] = r.Uint64()
		}
	}
	if e.SelfRule = wire.SelfRule(r.Byte()); e.SelfRule > wire.SelfOnly {
		r.Fail()
	} else if e.SelfRule != wire.SelfNone {
		e.Self = r.ID()
	}
	e.Full, e.Also = r.IDs(math.MaxInt), r.IDs(math.MaxInt)
	e.Dispatch = r.dispatch()
	return e
}

// append appends the Update: what loops tell the passive out of it is made on the other node.
// Tables of members do not travel, so those in voice are written out.
func (u *Update) append(dst []byte) []byte {
	dst = pack.AppendUint(dst, uint64(u.version))
	dst = pack.AppendUint(dst, uint64(u.whole))
	dst = pack.AppendUint(dst, uint64(len(u.classes)))
	for i := range u.classes {
		c := &u.classes[i]
		dst = pack.AppendUint(dst, uint64(c.base))
		dst = pack.AppendFlags(dst, c.subject.Owner, c.subject.TimedOut)
		dst = pack.AppendIDs(pack.AppendID(dst, c.subject.User), c.subject.Roles)
	}
	dst = pack.AppendUint(dst, uint64(len(u.channels)))
	for i := range u.channels {
		c := &u.channels[i]
		dst = pack.AppendID(pack.AppendID(dst, c.id), c.last)
		dst = packOverwrites(pack.AppendText(dst, c.pinned), c.overwrites)
		dst = pack.AppendUint(dst, uint64(c.need))
		dst = pack.AppendUint(dst, uint64(c.version))
	}
	dst = pack.AppendUint(dst, uint64(len(u.voices)))
	for i := range u.voices {
		dst = u.appendVoice(dst, &u.voices[i])
	}
	return dst
}

func (u *Update) appendVoice(dst []byte, v *voiceUpdate) []byte {
	dst = pack.AppendText(pack.AppendID(dst, v.user), v.raw)
	if v.raw != nil {
		dst = pack.AppendText(dst, u.appendMember(nil, v))
	}
	dst = packOverwrites(dst, v.overwrites)
	dst = pack.AppendUint(dst, uint64(v.version))
	dst = pack.AppendUint(dst, uint64(v.memberVersion))
	dst = pack.AppendUint(dst, uint64(len(v.left)))
	for _, l := range v.left {
		dst = pack.AppendText(pack.AppendID(dst, l.channel), l.raw)
		dst = packOverwrites(dst, l.overwrites)
		dst = pack.AppendUint(dst, uint64(l.version))
	}
	return dst
}

// The least that an element of each list takes.
const (
	classBytesMin     = 11
	channelBytesMin   = 20
	voiceBytesMin     = 13
	leftBytesMin      = 11
	overwriteBytesMin = 11
)

func (r *msgReader) update(guild wire.Snowflake) *Update {
	u := &Update{guild: guild, version: r.Uint32(), whole: r.Uint32(),
		made: map[updateKey][]*wire.Dispatch{}}
	u.classes = make([]classView, r.Count(classBytesMin))
	for i := range u.classes {
		c := &u.classes[i]
		c.base = r.permissions()
		flags := r.Flags(2)
		c.subject = wire.PermissionSubject{Owner: flags.Has(0), TimedOut: flags.Has(1),
			User: r.ID(), Roles: r.IDs(math.MaxInt)}
	}
	u.channels = make([]unread, r.Count(channelBytesMin))
	for i := range u.channels {
		u.channels[i] = unread{id: r.ID(), last: r.ID(), pinned: r.Text(),
			overwrites: r.overwrites(), need: r.permissions(), version: r.Uint32()}
	}
	u.voices = make([]voiceUpdate, r.Count(voiceBytesMin))
	for i := range u.voices {
		u.voices[i] = r.voiceUpdate()
	}
	return u
}

// voiceUpdate reads one user. NB: the states are objects that others are made of, without their
// last byte.
func (r *msgReader) voiceUpdate() voiceUpdate {
	v := voiceUpdate{user: r.ID(), raw: r.Text()}
	if v.raw != nil {
		if v.written = r.Text(); !wire.IsObject(v.raw) || !wire.IsObject(v.written) {
			r.Fail()
		}
	}
	v.overwrites, v.version, v.memberVersion = r.overwrites(), r.Uint32(), r.Uint32()
	if n := r.Count(leftBytesMin); n > 0 {
		v.left = make([]leftChannel, n)
	}
	for i := range v.left {
		l := leftChannel{channel: r.ID(), raw: r.Text(), overwrites: r.overwrites(),
			version: r.Uint32()}
		if !wire.IsObject(l.raw) {
			r.Fail()
		}
		v.left[i] = l
	}
	return v
}

func (r *msgReader) permissions() wire.Permissions {
	return wire.Permissions(r.Uint(math.MaxUint64))
}

func packOverwrites(dst []byte, overwrites []wire.Overwrite) []byte {
	dst = pack.AppendUint(dst, uint64(len(overwrites)))
	for _, o := range overwrites {
		dst = append(pack.AppendID(dst, o.ID), byte(o.Type))
		dst = pack.AppendUint(dst, uint64(o.Allow))
		dst = pack.AppendUint(dst, uint64(o.Deny))
	}
	return dst
}

func (r *msgReader) overwrites() []wire.Overwrite {
	n := r.Count(overwriteBytesMin)
	if n == 0 {
		return nil
	}
	overwrites := make([]wire.Overwrite, n)
	for i := range overwrites {
		overwrites[i] = wire.Overwrite{ID: r.ID(), Type: int(r.Byte()),
			Allow: r.permissions(), Deny: r.permissions()}
	}
	return overwrites
}
