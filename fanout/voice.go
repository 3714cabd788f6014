package fanout

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"

	"throng/store"
	"throng/wire"
)

// voiceState is where a member is in voice. It lives as long as the session that it is of, or, when
// the backend made it, as long as the process. A session outlives its socket by the resume window,
// and so does its voice state: a client that loses the gateway for a moment goes on talking. Who
// closes for good leaves voice at once.
type voiceState struct {
	channel wire.Snowflake
	handle  Handle // Of the session; zero and not held when the backend made it.
	held    bool
	raw     []byte // The voice state object, without guild_id and member.

	at   int          // In the users of the channel's room.
	told *VoiceServer // What the session was told last; nil is none.
}

var voiceStateRules = []rule{
	{key: "session_id", shape: shapeString},
	{key: "deaf", shape: shapeBool, value: "false"},
	{key: "mute", shape: shapeBool, value: "false"},
	{key: "self_deaf", shape: shapeBool, value: "false"},
	{key: "self_mute", shape: shapeBool, value: "false"},
	{key: "self_video", shape: shapeBool, value: "false"},
	{key: "suppress", shape: shapeBool, value: "false"},
	{key: "request_to_speak_timestamp", shape: shapeTime, nullable: true, value: "null"},
}

// usersInVoice returns who is in the channel, or in any when it is 0, ascending.
func (g *Guild) usersInVoice(channel wire.Snowflake) (users []wire.Snowflake) {
	for id, room := range g.rooms {
		if channel == 0 || id == channel {
			users = append(users, room.users...)
		}
	}
	slices.Sort(users)
	return users
}

// mayEnter says whether the user may connect to the voice channel: by permission, and because
// there is room for it. Who may move others gets into a full one; so does whomever the backend
// puts there.
func (g *Guild) mayEnter(user wire.Snowflake, c *channel, now int64) bool {
	if !g.Can(user, c.id, wire.PermissionConnect, now) {
		return false
	}
	limit, _ := wire.IntField(c.raw, "user_limit")
	room := g.rooms[c.id]
	if limit <= 0 || room == nil || int64(len(room.users)) < limit {
		return true
	}
	if v := g.voices[user]; v != nil && v.channel == c.id {
		return true
	}
	return g.Can(user, c.id, wire.PermissionMoveMembers, now)
}

// SetVoice is what a session asks of voice: to be in a channel, to move, to mute itself, or to
// leave. A request for a channel that it may not enter is passed over, as the protocol does: nobody
// but the node hears of it, so nobody else could refuse it.
func (g *Guild) SetVoice(h Handle, cmd wire.VoiceStateCommand, now int64) Change {
	t := g.turn(now)
	r := g.receivers.get(h)
	if r == nil {
		return t.done()
	}
	user, session := r.User, r.SessionID.String()
	if cmd.ChannelID == 0 {
		t.leaveVoice(user)
		return t.done()
	}
	c := g.channelByID[cmd.ChannelID]
	if c == nil || !c.voice() || !g.mayEnter(user, c, now) {
		return t.done()
	}
	member, _ := g.members.Get(uint64(user))
	suppress := c.kind == channelStage && !g.Can(user, c.id, wire.PermissionMuteMembers, now)
	o := object{
		{keyChannelID, quotedID(c.id)}, {"user_id", quotedID(user)},
		{"session_id", jsonString(session)},
		{"deaf", jsonBool(member.Flags&store.MemberDeaf != 0)},
		{"mute", jsonBool(member.Flags&store.MemberMute != 0)},
		{"self_deaf", jsonBool(cmd.SelfDeaf)}, {"self_mute", jsonBool(cmd.SelfMute)},
		{"self_video", jsonBool(cmd.SelfVideo)}, {"suppress", jsonBool(suppress)},
		{"request_to_speak_timestamp", []byte("null")},
	}
	before := g.voices[user]
	v := &voiceState{channel: c.id, handle: h, held: true, raw: o.bytes()}
	t.enterVoice(user, v)
	if before == nil || before.channel != c.id || before.handle != h {
		t.tellServer(user, v)
	}
	return t.done()
}

// enterVoice makes v the user's voice state. Those who saw the user in another channel and cannot
// see this one hear that the user has left, and nothing of where to.
func (t *turn) enterVoice(user wire.Snowflake, v *voiceState) {
	g := t.g
	g.mark(user)
	before := g.voices[user]
	if before != nil && before.channel == v.channel {
		v.at = before.at
		if before.handle == v.handle {
			v.told = before.told
		}
		g.voices[user] = v
	} else {
		if before != nil {
			g.depart(before)
		}
		g.voices[user] = v
		g.arrive(user, v)
	}
	g.noteVoice(user, before)
	now := g.sight(gate{channel: v.channel, need: wire.PermissionViewChannel})
	if before != nil && before.channel != v.channel {
		saw := g.sight(gate{channel: before.channel, need: wire.PermissionViewChannel})
		if lost := saw.without(now); !lost.empty() {
			t.publishVoice(user, leftVoice(before.raw), lost)
		}
	}
	t.publishVoice(user, v.raw, now)
}

// leaveVoice takes the user out of voice, if it is in.
func (t *turn) leaveVoice(user wire.Snowflake) {
	g := t.g
	v := g.voices[user]
	if v == nil {
		return
	}
	g.mark(user)
	g.depart(v)
	delete(g.voices, user)
	g.noteVoice(user, v)
	saw := g.sight(gate{channel: v.channel, need: wire.PermissionViewChannel})
	t.publishVoice(user, leftVoice(v.raw), saw)
}

func leftVoice(raw []byte) []byte {
	return wire.SetField(nil, raw, keyChannelID, []byte("null"))
}

// publishVoice sends a voice state, with the member it is of, to the classes that may see it.
func (t *turn) publishVoice(user wire.Snowflake, raw []byte, visible Bitset) {
	g := t.g
	info, _ := wire.LookupEvent("VOICE_STATE_UPDATE")
	dst := append(make([]byte, 0, len(raw)+512), raw[:len(raw)-1]...)
	dst = g.id.AppendJSON(wire.AppendKey(dst, "guild_id"))
	if member, ok := g.members.Get(uint64(user)); ok {
		view := g.view()
		dst = view.append(wire.AppendKey(dst, "member"), member, 0)
	}
	ev := toAll(info)
	ev.Visible, ev.Own = visible, []wire.Snowflake{user}
	t.publish("VOICE_STATE_UPDATE", append(dst, '}'), nil, ev)
}

// applyVoiceState is VOICE_STATE_UPDATE from the backend: a member joins, moves, leaves, is muted.
func applyVoiceState(t *turn, _ wire.EventInfo, o object) *Error {
	g := t.g
	user, ok := o.id("user_id")
	if !ok {
		return invalid("d.user_id", "It must be an id.")
	}
	if _, member := g.members.Get(uint64(user)); !member {
		return notFound("d.user_id", "The guild has no such member.")
	}
	if !o.present(keyChannelID) {
		t.leaveVoice(user)
		return nil
	}
	id, ok := o.id(keyChannelID)
	if !ok {
		return invalid("d.channel_id", "It must be the id of a channel, or null.")
	}
	c := g.channelByID[id]
	if c == nil {
		return notFound("d.channel_id", "The guild has no such channel.")
	}
	if !c.voice() {
		return invalid("d.channel_id", "It must be a voice or stage channel.")
	}
	next := &voiceState{channel: id}
	whole := object{}
	before := g.voices[user]
	if before != nil {
		whole = parseObject(before.raw)
		next.handle, next.held = before.handle, before.held
	}
	whole.merge(o)
	whole.drop("guild_id", "member")
	if err := applyRules(&whole, voiceStateRules); err != nil {
		return err.under("d")
	}
	if whole.get("session_id") == nil {
		sum := sha256.Sum256(user.AppendJSON(g.id.AppendJSON(nil)))
		whole.set("session_id", append(hex.AppendEncode([]byte{'"'}, sum[:16]), '"'))
	}
	next.raw = whole.bytes()
	t.enterVoice(user, next)
	if next.held && before.channel != id {
		t.tellServer(user, next)
	}
	return nil
}

// applyVoiceServer is VOICE_SERVER_UPDATE from the backend: it concerns the sessions in voice.
func applyVoiceServer(t *turn, info wire.EventInfo, o object) *Error {
	o.setDefault("endpoint", "null")
	d := wire.NewDispatch(info.Name, o.bytes(), nil)
	for _, user := range t.g.usersInVoice(0) {
		if v := t.g.voices[user]; v.held {
			t.private(v.handle, d)
		}
	}
	return nil
}
