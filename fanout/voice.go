package fanout

import (
	"crypto/sha256"
	"encoding/hex"
	"hash/fnv"
	"slices"
	"strconv"

	"throng/store"
	"throng/wire"
)

// voiceState is where a member is in voice. It lives as long as the session that it is of, or, when
// the backend made it, as long as the process.
type voiceState struct {
	channel wire.Snowflake
	handle  Handle // Of the session; zero and not held when the backend made it.
	held    bool
	raw     []byte // The voice state object, without guild_id and member.
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
	for user, v := range g.voices {
		if channel == 0 || v.channel == channel {
			users = append(users, user)
		}
	}
	slices.Sort(users)
	return users
}

// SetVoice is what a session asks of voice: to be in a channel, to move, to mute itself, or to
// leave. A request for a channel that it may not connect to is passed over, as the protocol does.
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
	if c == nil || !c.voice() || !g.Can(user, c.id, wire.PermissionConnect, now) {
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
	t.enterVoice(user, &voiceState{channel: c.id, handle: h, held: true, raw: o.bytes()})
	if before == nil || before.channel != c.id || before.handle != h {
		body := g.voiceServer(c.id, session, now)
		t.private(h, wire.NewDispatch("VOICE_SERVER_UPDATE", body, nil))
	}
	return t.done()
}

// enterVoice makes v the user's voice state. Those who saw the user in another channel and cannot
// see this one hear that the user has left, and nothing of where to.
func (t *turn) enterVoice(user wire.Snowflake, v *voiceState) {
	g := t.g
	before := g.voices[user]
	g.voices[user] = v
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

// voiceServer is the body of VOICE_SERVER_UPDATE: one of the guild's servers, the same for everyone
// in the channel, or none. There is no randomness here, so the token is a hash over the session's
// id, which is random and known to the session and the node alone.
func (g *Guild) voiceServer(channel wire.Snowflake, session string, now int64) []byte {
	seed := g.id.AppendJSON(channel.AppendJSON(append([]byte(session), ':')))
	sum := sha256.Sum256(strconv.AppendInt(append(seed, ':'), now, 10))
	dst := append(hex.AppendEncode([]byte(`{"token":"`), sum[:8]), '"')
	dst = g.id.AppendJSON(wire.AppendKey(dst, "guild_id"))
	dst = wire.AppendKey(dst, "endpoint")
	if len(g.voiceServers) == 0 {
		return append(dst, "null}"...)
	}
	hash := fnv.New32a()
	hash.Write(channel.Append(g.id.Append(nil)))
	server := g.voiceServers[hash.Sum32()%uint32(len(g.voiceServers))]
	return append(wire.AppendString(dst, server), '}')
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
	if before := g.voices[user]; before != nil {
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
