package fanout

import (
	"cmp"
	"slices"
	"sync"

	"throng/wire"
)

// UpdateMode is what a session wants to be told while it is passive, by its capabilities.
type UpdateMode uint8

const (
	// UpdateUnread is CHANNEL_UNREAD_UPDATE, and VOICE_STATE_UPDATE for what changed in voice.
	UpdateUnread UpdateMode = iota
	// UpdateV1 is PASSIVE_UPDATE_V1: all channels and all voice states, as soon as one changes.
	UpdateV1
	// UpdateV2 is PASSIVE_UPDATE_V2: what changed, and who left.
	UpdateV2
	updateModes
)

// Update is what there is to tell the passive receivers of a guild, as of one tick. It holds all
// that permissions depend on, so that loops can tell what a class may see without the guild: the
// shard makes it in a time that grows with what happened, and not with who is told.
type Update struct {
	// Static after construction.
	guild    wire.Snowflake
	version  uint32 // What receivers know once they have it.
	whole    uint32 // See news.
	classes  []classView
	channels []unread      // Ascending.
	voices   []voiceUpdate // Ascending.
	view     memberView

	// Guarded by mu.
	mu   sync.Mutex
	made map[updateKey][]*wire.Dispatch
}

// classView is what decides about the permissions of a class.
type classView struct {
	base    wire.Permissions
	subject wire.PermissionSubject
}

// unread is a channel or thread with its newest message. Version 0 is one in which nothing is new.
type unread struct {
	id, last   wire.Snowflake
	pinned     []byte // When something was pinned last, as JSON; nil when that is not known.
	overwrites []wire.Overwrite
	need       wire.Permissions
	version    uint32
}

// updateKey is all that an update depends on. Version 0 is to be told everything.
type updateKey struct {
	class, version uint32
	mode           UpdateMode
	voice          bool
}

func (u *Update) sort() {
	slices.SortFunc(u.channels, func(a, b unread) int { return cmp.Compare(a.id, b.id) })
	slices.SortFunc(u.voices, func(a, b voiceUpdate) int { return cmp.Compare(a.user, b.user) })
}

func (u *Update) key(class, version uint32, mode UpdateMode, intents wire.Intents) updateKey {
	if version < u.whole {
		version = 0
	}
	return updateKey{class, version, mode, intents&wire.IntentGuildVoiceStates != 0}
}

// dispatches returns what receivers of that kind are told: nothing when nothing is new to them.
func (u *Update) dispatches(k updateKey) []*wire.Dispatch {
	u.mu.Lock()
	defer u.mu.Unlock()
	d, ok := u.made[k]
	if !ok {
		d = u.make(k)
		u.made[k] = d
	}
	return d
}

// told is what one kind of receivers is told.
type told struct {
	channels []*unread
	states   []*voiceUpdate
	members  []*voiceUpdate
	gone     []*voiceUpdate
	goneRaw  [][]byte // The states of those who are gone, as they were.
}

func (u *Update) make(k updateKey) []*wire.Dispatch {
	t := u.tell(k)
	if len(t.channels)+len(t.states)+len(t.members)+len(t.gone) == 0 {
		return nil
	}
	switch k.mode {
	case UpdateV2:
		return []*wire.Dispatch{wire.NewDispatch("PASSIVE_UPDATE_V2", u.appendV2(t), nil)}
	case UpdateV1:
		// Whatever it is that has changed, all of the sections go out.
		whole := k
		whole.version = 0
		all := u.tell(whole)
		return []*wire.Dispatch{wire.NewDispatch("PASSIVE_UPDATE_V1", u.appendV1(&all), nil)}
	}
	return u.unreads(&t)
}

// sees reports whether the class may do that where these overwrites are.
func (u *Update) sees(class uint32, overwrites []wire.Overwrite, need wire.Permissions) bool {
	c := &u.classes[class]
	return wire.ChannelPermissions(c.base, u.guild, c.subject, overwrites).Has(need)
}

// tell gathers what the class may see of what happened after the version.
func (u *Update) tell(k updateKey) (t told) {
	const view = wire.PermissionViewChannel
	for i := range u.channels {
		c := &u.channels[i]
		if (k.version == 0 || c.version > k.version) && u.sees(k.class, c.overwrites, c.need) {
			t.channels = append(t.channels, c)
		}
	}
	if !k.voice {
		return t
	}
	for i := range u.voices {
		v := &u.voices[i]
		if v.raw != nil && u.sees(k.class, v.overwrites, view) {
			if changed := k.version == 0 || v.version > k.version; changed {
				t.states = append(t.states, v)
				t.members = append(t.members, v)
			} else if v.memberVersion > k.version {
				t.members = append(t.members, v)
			}
			continue
		}
		for _, l := range slices.Backward(v.left) {
			if l.version > k.version && u.sees(k.class, l.overwrites, view) {
				t.gone = append(t.gone, v)
				t.goneRaw = append(t.goneRaw, l.raw)
				break
			}
		}
	}
	return t
}

func (u *Update) appendV2(t told) []byte {
	dst := u.guild.AppendJSON([]byte(`{"guild_id":`))
	dst = appendUnreads(wire.AppendKey(dst, "updated_channels"), t.channels)
	dst = u.appendStates(wire.AppendKey(dst, "updated_voice_states"), t.states)
	dst = append(wire.AppendKey(dst, "removed_voice_states"), '[')
	for _, v := range t.gone {
		dst = v.user.AppendJSON(wire.AppendComma(dst))
	}
	dst = u.appendMembers(wire.AppendKey(append(dst, ']'), "updated_members"), t.members)
	return append(dst, '}')
}

func (u *Update) appendV1(t *told) []byte {
	dst := u.guild.AppendJSON([]byte(`{"guild_id":`))
	dst = appendUnreads(wire.AppendKey(dst, "channels"), t.channels)
	dst = u.appendStates(wire.AppendKey(dst, "voice_states"), t.states)
	return append(u.appendMembers(wire.AppendKey(dst, "members"), t.members), '}')
}

// unreads is what a session is told that knows of no summaries.
func (u *Update) unreads(t *told) (all []*wire.Dispatch) {
	if len(t.channels) > 0 {
		dst := u.guild.AppendJSON([]byte(`{"guild_id":`))
		dst = appendUnreads(wire.AppendKey(dst, "channel_unread_updates"), t.channels)
		all = append(all, wire.NewDispatch("CHANNEL_UNREAD_UPDATE", append(dst, '}'), nil))
	}
	say := func(v *voiceUpdate, raw []byte) {
		dst := append([]byte(nil), raw[:len(raw)-1]...)
		dst = u.guild.AppendJSON(wire.AppendKey(dst, "guild_id"))
		if v.raw != nil {
			dst = u.appendMember(wire.AppendKey(dst, "member"), v)
		}
		all = append(all, wire.NewDispatch("VOICE_STATE_UPDATE", append(dst, '}'), nil))
	}
	for _, v := range t.states {
		say(v, v.raw)
	}
	for i, v := range t.gone {
		say(v, leftVoice(t.goneRaw[i]))
	}
	return all
}

func appendUnreads(dst []byte, channels []*unread) []byte {
	dst = append(dst, '[')
	for _, c := range channels {
		dst = c.id.AppendJSON(append(wire.AppendComma(dst), `{"id":`...))
		dst = wire.AppendKey(dst, "last_message_id")
		if c.last == 0 {
			dst = append(dst, "null"...)
		} else {
			dst = c.last.AppendJSON(dst)
		}
		if c.pinned != nil {
			dst = append(wire.AppendKey(dst, "last_pin_timestamp"), c.pinned...)
		}
		dst = append(dst, '}')
	}
	return append(dst, ']')
}

func (u *Update) appendStates(dst []byte, states []*voiceUpdate) []byte {
	dst = append(dst, '[')
	for _, v := range states {
		dst = append(wire.AppendComma(dst), v.raw...)
	}
	return append(dst, ']')
}

func (u *Update) appendMembers(dst []byte, members []*voiceUpdate) []byte {
	dst = append(dst, '[')
	for _, v := range members {
		dst = u.appendMember(wire.AppendComma(dst), v)
	}
	return append(dst, ']')
}

// appendMember appends the member as it was at the tick.
func (u *Update) appendMember(dst []byte, v *voiceUpdate) []byte {
	if v.written != nil {
		return append(dst, v.written...)
	}
	dst = append(dst, `{"user":`...)
	if v.account != nil {
		dst = append(dst, v.account.Doc...)
	} else {
		dst = appendUser(dst, u.view.users, v.user)
	}
	return append(u.view.appendFields(append(dst, ','), v.member), '}')
}
