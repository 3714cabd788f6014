package node

import (
	"fmt"
	"slices"

	"throng/wire"
)

// simGuild is a guild as the model sees it.
type simGuild struct {
	m       *simModel
	id      wire.Snowflake
	exists  bool
	deleted bool // before

	simDoc
	gone      []wire.Snowflake // roles that were deleted
	members   map[wire.Snowflake]*simMember
	voices    map[wire.Snowflake]*simVoice
	presences map[wire.Snowflake]string
	said      map[*simSession]simSaid // what each session says of itself
	line      simLine                 // who is to be told of
	joined    []*simSession           // in the order in which they came
	owes      map[wire.Snowflake]bool // members whose new name it has not told
	news      simNews
}

// simDoc is the guild's document.
type simDoc struct {
	name     string
	owner    wire.Snowflake
	roles    []simRole
	channels []simChannel
}

type simRole struct {
	id    wire.Snowflake
	name  string
	allow uint64
}

type simChannel struct {
	id    wire.Snowflake
	kind  int
	name  string
	grant []simGrant
}

// simGrant is a permission overwrite.
type simGrant struct {
	id          wire.Snowflake
	member      bool
	allow, deny uint64
}

type simMember struct {
	roles   []wire.Snowflake
	nick    string
	timeout int64
}

type simVoice struct {
	channel    wire.Snowflake
	holder     *simSession // nil when the backend put the member there
	mute, deaf bool
}

// Permissions by the numbers of the protocol.
const (
	simBan            = 1 << 2
	simAdministrator  = 1 << 3
	simManageChannels = 1 << 4
	simAuditLog       = 1 << 7
	simView           = 1 << 10
	simHistory        = 1 << 16
	simConnect        = 1 << 20
	simEverything     = 1<<64 - 1
)

// base and in are the pseudo code of the protocol, line by line.
func (g *simGuild) base(user wire.Snowflake) uint64 {
	if user == g.owner {
		return simEverything
	}
	var p uint64
	for _, r := range g.roles {
		if r.id == g.id || slices.Contains(g.members[user].roles, r.id) {
			p |= r.allow
		}
	}
	if p&simAdministrator != 0 {
		return simEverything
	}
	return p
}

func (g *simGuild) in(user wire.Snowflake, c *simChannel) uint64 {
	p := g.base(user)
	if p == simEverything {
		return p
	}
	for _, o := range c.grant {
		if !o.member && o.id == g.id {
			p = p&^o.deny | o.allow
		}
	}
	var allow, deny uint64
	for _, o := range c.grant {
		if !o.member && o.id != g.id && g.role(o.id) != nil &&
			slices.Contains(g.members[user].roles, o.id) {
			allow, deny = allow|o.allow, deny|o.deny
		}
	}
	p = p&^deny | allow
	for _, o := range c.grant {
		if o.member && o.id == user {
			p = p&^o.deny | o.allow
		}
	}
	if g.members[user].timeout > g.m.w.core.wall() {
		p &= simView | simHistory
	}
	return p
}

func (g *simGuild) role(id wire.Snowflake) *simRole {
	for i := range g.roles {
		if g.roles[i].id == id {
			return &g.roles[i]
		}
	}
	return nil
}

func (g *simGuild) channel(id wire.Snowflake) *simChannel {
	for i := range g.channels {
		if g.channels[i].id == id {
			return &g.channels[i]
		}
	}
	return nil
}

// someChannel is any channel, nil when there is none.
func (g *simGuild) someChannel() *simChannel {
	if len(g.channels) == 0 {
		return nil
	}
	return &g.channels[g.m.w.rng.IntN(len(g.channels))]
}

// simRule is a row of the protocol's table of intents and gates.
type simRule struct {
	intent int    // bit; -1 = none is needed
	gate   uint64 // on the channel
	any    uint64 // one of them on the guild
	self   int    // 1: also to the user itself without the intent; -1: not to the user itself
}

var simRules = map[string]simRule{
	"GUILD_CREATE": {intent: 0}, "GUILD_UPDATE": {intent: 0}, "GUILD_DELETE": {intent: 0},
	"GUILD_ROLE_CREATE": {intent: 0}, "GUILD_ROLE_UPDATE": {intent: 0},
	"GUILD_ROLE_DELETE": {intent: 0},
	"CHANNEL_CREATE":    {intent: 0}, "CHANNEL_UPDATE": {intent: 0}, "CHANNEL_DELETE": {intent: 0},
	"GUILD_MEMBER_ADD": {intent: 1}, "GUILD_MEMBER_REMOVE": {intent: 1},
	"GUILD_MEMBER_UPDATE":  {intent: 1, self: 1},
	"GUILD_BAN_ADD":        {intent: 2, any: simBan | simAuditLog},
	"INVITE_CREATE":        {intent: 6, gate: simView | simManageChannels},
	"VOICE_STATE_UPDATE":   {intent: 7, gate: simView},
	"PRESENCE_UPDATE":      {intent: 8, self: -1},
	"MESSAGE_CREATE":       {intent: 9, gate: simView},
	"MESSAGE_UPDATE":       {intent: 9, gate: simView},
	"MESSAGE_DELETE":       {intent: 9, gate: simView},
	"MESSAGE_REACTION_ADD": {intent: 10, gate: simView},
	"TYPING_START":         {intent: 11, gate: simView},
	"INTERACTION_CREATE":   {intent: -1, gate: simView},
	"SIM_UNKNOWN":          {intent: -1, gate: simView},
}

// may says whether a session is to get an event: in a channel when c is not nil, about a user when
// about is not 0.
func (g *simGuild) may(r *simSession, name string, c *simChannel, about wire.Snowflake) bool {
	rule := simRules[name]
	if rule.self == -1 && r.user == about {
		return false
	}
	if rule.intent >= 0 && !r.has(rule.intent) && !(rule.self == 1 && r.user == about) {
		return false
	}
	if rule.any != 0 && g.base(r.user)&rule.any == 0 {
		return false
	}
	return rule.gate == 0 || c == nil || g.in(r.user, c)&rule.gate == rule.gate
}

// publish gives an event to everyone who may have it.
func (g *simGuild) publish(e *simEvent, c *simChannel, about wire.Snowflake,
	full ...wire.Snowflake) {
	for _, r := range g.joined {
		if g.hears(r, e.name, c, about, full) {
			r.give(g.id, e, e.stripped == "" || r.has(15) || slices.Contains(full, r.user))
		}
	}
}

// join takes a session in, or tells it that it may not come.
func (g *simGuild) join(v *joinGuild) {
	r := g.m.receiver(&v.receiver)
	delete(r.refused, g.id)
	if !g.exists || g.members[r.user] == nil {
		if r.has(0) {
			r.give(g.id, &simEvent{name: "GUILD_DELETE", full: "gone"}, true)
		}
		return
	}
	if slices.Contains(g.joined, r) {
		g.m.w.fail("session %s joins guild %d twice", r.id, g.id)
		return
	}
	if r.has(0) {
		r.give(g.id, &simEvent{name: "GUILD_CREATE", full: g.created(r)}, true)
	}
	g.joined = append(g.joined, r)
	g.greet(r)
	g.said[r] = simSaid{status: "online"}
	if v.presence != nil {
		g.said[r] = simSaidOf(*v.presence)
	}
	g.regard(r.user)
}

// leave follows the end of a session.
func (g *simGuild) leave(r *simSession) {
	at := slices.Index(g.joined, r)
	if at < 0 {
		return
	}
	g.joined = slices.Delete(g.joined, at, at+1)
	delete(g.said, r)
	delete(g.news.of, r)
	if v := g.voices[r.user]; v != nil && v.holder == r {
		g.leaveVoice(r.user)
	}
	g.regard(r.user)
}

func (g *simGuild) setVoice(r *simSession, v wire.VoiceStateCommand) {
	if v.ChannelID == 0 {
		g.leaveVoice(r.user)
		return
	}
	c := g.channel(v.ChannelID)
	const need = simView | simConnect
	if c == nil || c.kind != 2 || g.in(r.user, c)&need != need {
		return
	}
	g.enterVoice(r.user, &simVoice{channel: c.id, holder: r, mute: v.SelfMute})
}

// enterVoice puts a member into voice. Who saw it before and does not see it now hears that it has
// left.
func (g *simGuild) enterVoice(user wire.Snowflake, v *simVoice) {
	before := g.voices[user]
	g.voices[user] = v
	g.noteVoice(user, before)
	to := g.channel(v.channel)
	if before != nil && before.channel != v.channel {
		from := g.channel(before.channel)
		left := &simEvent{name: "VOICE_STATE_UPDATE", full: before.text(user, 0)}
		for _, r := range g.joined {
			if g.hears(r, left.name, from, user, nil) && !g.may(r, left.name, to, 0) {
				r.give(g.id, left, true)
			}
		}
	}
	g.publish(&simEvent{name: "VOICE_STATE_UPDATE", full: v.text(user, v.channel)}, to, user)
}

func (g *simGuild) leaveVoice(user wire.Snowflake) {
	v := g.voices[user]
	if v == nil {
		return
	}
	delete(g.voices, user)
	g.noteVoice(user, v)
	left := &simEvent{name: "VOICE_STATE_UPDATE", full: v.text(user, 0)}
	g.publish(left, g.channel(v.channel), user)
}

func (v *simVoice) text(user, channel wire.Snowflake) string {
	return fmt.Sprintf("%d in %d mute=%t deaf=%t", user, channel, v.mute, v.deaf)
}

// inVoice is who is in the channel, ascending; in any when it is 0.
func (g *simGuild) inVoice(channel wire.Snowflake) (users []wire.Snowflake) {
	for user, v := range g.voices {
		if channel == 0 || v.channel == channel {
			users = append(users, user)
		}
	}
	slices.Sort(users)
	return users
}
