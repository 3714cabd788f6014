package node

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"throng/wire"
)

// A digest is what the simulation compares of an event's body: enough to tell every event from
// every other, and what depends on the guild's state or on the session. Bodies are read with the
// standard library, once each.

type simBody struct {
	ID          string
	ChannelID   *string `json:"channel_id"`
	UserID      string  `json:"user_id"`
	RoleID      string  `json:"role_id"`
	OwnerID     string  `json:"owner_id"`
	Name        string
	Nick        string
	Content     *string
	Sim         int
	Type        int
	Permissions string
	Status      string
	Until       *string `json:"communication_disabled_until"`
	Unavailable bool
	SelfMute    bool `json:"self_mute"`
	Deaf        bool
	MemberCount int `json:"member_count"`
	User        struct{ ID, Username string }
	Username    string
	Embeds      []json.RawMessage
	Attachments []json.RawMessage
	Components  []json.RawMessage
	Activities  []struct{ Name string }
	Shown       map[string]string `json:"client_status"`
	Poll        json.RawMessage
	Role        *simBody
	Roles       json.RawMessage
	Channels    []simBody
	Members     []simBody
	Presences   []simBody
	Voices      []simBody `json:"voice_states"`

	Last            string    `json:"last_message_id"`
	Unreads         []simBody `json:"channel_unread_updates"`
	UpdatedChannels []simBody `json:"updated_channels"`
	UpdatedVoices   []simBody `json:"updated_voice_states"`
	UpdatedMembers  []simBody `json:"updated_members"`
	RemovedVoices   []string  `json:"removed_voice_states"`

	Grants []struct {
		ID          string
		Type        int
		Allow, Deny string
	} `json:"permission_overwrites"`
}

// simMembersShown is how large a guild may be for the members in GUILD_CREATE to be compared: there
// is a limit to how many a large one shows, which has its own tests.
const simMembersShown = 300

// digestOf is the digest of an event's body; equal bodies are read once.
func (w *world) digestOf(name string, d []byte) string {
	known := w.digests[name]
	if known == nil {
		known = map[string]string{}
		w.digests[name] = known
	}
	text, ok := known[string(d)]
	if !ok {
		var b simBody
		if err := json.Unmarshal(d, &b); err != nil {
			w.fail("%s with a body that is no JSON: %v: %.100q", name, err, d)
		}
		text = b.digest(name)
		known[string(d)] = text
	}
	return text
}

func (b *simBody) digest(name string) string {
	channel := "0"
	if b.ChannelID != nil {
		channel = *b.ChannelID
	}
	switch name {
	case "GUILD_CREATE":
		return b.create()
	case "GUILD_UPDATE":
		return fmt.Sprintf("%s %s %s", b.Name, b.OwnerID, b.roleTexts())
	case "GUILD_DELETE":
		if b.Unavailable {
			return "away"
		}
		return "gone"
	case "GUILD_ROLE_CREATE", "GUILD_ROLE_UPDATE":
		return b.Role.role()
	case "GUILD_ROLE_DELETE":
		return b.RoleID
	case "CHANNEL_CREATE", "CHANNEL_UPDATE", "CHANNEL_DELETE":
		return b.channel()
	case "GUILD_MEMBER_ADD", "GUILD_MEMBER_UPDATE":
		return b.member()
	case "GUILD_MEMBER_REMOVE":
		return b.User.ID
	case "PRESENCE_UPDATE":
		return b.presence()
	case "VOICE_STATE_UPDATE":
		return fmt.Sprintf("%s in %s mute=%t deaf=%t", b.UserID, channel, b.SelfMute, b.Deaf)
	case "PASSIVE_UPDATE_V1", "PASSIVE_UPDATE_V2", "CHANNEL_UNREAD_UPDATE":
		return b.passive(name)
	case "THREAD_LIST_SYNC":
		return "threads"
	case "VOICE_SERVER_UPDATE":
		return "server"
	case "SOUNDBOARD_SOUNDS":
		return "sounds"
	case "USER_UPDATE":
		return b.ID + " " + b.Username
	case "MESSAGE_CREATE", "MESSAGE_UPDATE":
		content := ""
		if b.Content != nil {
			content = *b.Content
		}
		return fmt.Sprintf("%s in %s %q %d %d %d %t", b.ID, channel, content, len(b.Embeds),
			len(b.Attachments), len(b.Components), b.Poll != nil)
	}
	return fmt.Sprintf("#%d %s in %s by %s", b.Sim, b.ID, channel, b.UserID)
}

func (b *simBody) role() string { return fmt.Sprintf("%s %s %s", b.ID, b.Name, b.Permissions) }

func (b *simBody) roleTexts() []string {
	var roles []simBody
	_ = json.Unmarshal(b.Roles, &roles)
	texts := []string{}
	for _, r := range roles {
		texts = append(texts, r.role())
	}
	return texts
}

func (b *simBody) channel() string {
	return fmt.Sprintf("%s %d %s %v", b.ID, b.Type, b.Name, b.Grants)
}

func (b *simBody) member() string {
	var roles []string
	_ = json.Unmarshal(b.Roles, &roles)
	slices.Sort(roles)
	until := ""
	if b.Until != nil {
		until = *b.Until
	}
	return fmt.Sprintf("%s %s %s %v %s", b.User.ID, b.User.Username, b.Nick, roles, until)
}

func (b *simBody) presence() string {
	text := b.User.ID
	if b.User.Username != "" {
		text += " " + b.User.Username
	}
	var doing []string
	for _, a := range b.Activities {
		doing = append(doing, a.Name)
	}
	text += " " + simPresenceText(b.Status, doing, b.Shown)
	return text
}

// create is the digest of GUILD_CREATE: all that later events build on.
func (b *simBody) create() string {
	var c strings.Builder
	fmt.Fprintf(&c, "%s %s %s", b.Name, b.OwnerID, b.roleTexts())
	for _, ch := range b.Channels {
		fmt.Fprintf(&c, "\n channel %s", ch.channel())
	}
	for _, v := range b.Voices {
		fmt.Fprintf(&c, "\n voice %s", v.digest("VOICE_STATE_UPDATE"))
	}
	fmt.Fprintf(&c, "\n %d members", b.MemberCount)
	if b.MemberCount > simMembersShown {
		return c.String()
	}
	for _, m := range b.Members {
		fmt.Fprintf(&c, "\n member %s", m.member())
	}
	for _, p := range b.Presences {
		fmt.Fprintf(&c, "\n presence %s", p.presence())
	}
	return c.String()
}

// created is what GUILD_CREATE is to show a session.
func (g *simGuild) created(r *simSession) string {
	var c strings.Builder
	c.WriteString(g.updateText())
	for i := range g.channels {
		fmt.Fprintf(&c, "\n channel %s", g.channels[i].text())
	}
	shown := []wire.Snowflake{r.user}
	for _, user := range g.inVoice(0) {
		shown = append(shown, user)
		if ch := g.channel(g.voices[user].channel); g.in(r.user, ch)&simView != 0 {
			fmt.Fprintf(&c, "\n voice %s", g.voices[user].text(user, ch.id))
		}
	}
	fmt.Fprintf(&c, "\n %d members", len(g.members))
	if len(g.members) > simMembersShown {
		return c.String()
	}
	large := len(g.members) > r.large
	switch {
	case r.has(8) && !large:
		for user := range g.members {
			shown = append(shown, user)
		}
	case r.has(8):
		for user, m := range g.members {
			if g.presences[user] != "" || m.nick != "" || len(m.roles) > 0 {
				shown = append(shown, user)
			}
		}
	}
	slices.Sort(shown)
	shown = slices.Compact(shown)
	for _, user := range shown {
		fmt.Fprintf(&c, "\n member %s", g.memberText(user))
	}
	for _, user := range shown {
		if p := g.presences[user]; p != "" && r.has(8) {
			fmt.Fprintf(&c, "\n presence %d %s", user, p)
		}
	}
	return c.String()
}

func (g *simGuild) updateText() string {
	texts := []string{}
	for _, r := range g.roles {
		texts = append(texts, r.text())
	}
	return fmt.Sprintf("%s %d %s", g.name, g.owner, texts)
}

func (r *simRole) text() string { return fmt.Sprintf("%d %s %d", r.id, r.name, r.allow) }

func (r *simRole) json() string {
	return fmt.Sprintf(`{"id":"%d","name":"%s","permissions":"%d","position":1}`,
		r.id, r.name, r.allow)
}

func (c *simChannel) text() string {
	texts := make([]string, 0, len(c.grant))
	for _, o := range c.grant {
		kind := 0
		if o.member {
			kind = 1
		}
		texts = append(texts, fmt.Sprintf("{%d %d %d %d}", o.id, kind, o.allow, o.deny))
	}
	return fmt.Sprintf("%d %d %s [%s]", c.id, c.kind, c.name, strings.Join(texts, " "))
}

func (c *simChannel) json() string {
	texts := make([]string, 0, len(c.grant))
	for _, o := range c.grant {
		kind := 0
		if o.member {
			kind = 1
		}
		texts = append(texts, fmt.Sprintf(`{"id":"%d","type":%d,"allow":"%d","deny":"%d"}`,
			o.id, kind, o.allow, o.deny))
	}
	return fmt.Sprintf(`{"id":"%d","type":%d,"name":"%s","position":1,`+
		`"permission_overwrites":[%s]}`, c.id, c.kind, c.name, strings.Join(texts, ","))
}

func (d *simDoc) json(id wire.Snowflake) string {
	roles, channels := []string{}, []string{}
	for i := range d.roles {
		roles = append(roles, d.roles[i].json())
	}
	for i := range d.channels {
		channels = append(channels, d.channels[i].json())
	}
	return fmt.Sprintf(`{"id":"%d","name":"%s","owner_id":"%d","roles":[%s],"channels":[%s]}`, id,
		d.name, d.owner, strings.Join(roles, ","), strings.Join(channels, ","))
}
