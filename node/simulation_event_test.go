package node

import (
	"fmt"
	"slices"
	"strings"

	"throng/node/api"
	"throng/wire"
)

// someEvent makes an event to publish and says what it does.
func (w *world) someEvent(g *simGuild) (api.EventInput, simOp) {
	switch what := w.rng.IntN(100); {
	case what < 40:
		return w.messageEvent(g)
	case what < 62:
		return w.channelEvent(g)
	case what < 68:
		return w.memberUpdate(g)
	case what < 74:
		return w.memberEvent(g)
	case what < 80:
		return w.presenceEvent(g)
	case what < 86:
		return w.voiceEvent(g)
	case what < 92:
		return w.roleEvent(g)
	}
	return w.channelChange(g)
}

// somePlace is the id of a channel, now and then of one that is not there.
func (w *world) somePlace(g *simGuild) wire.Snowflake {
	if c := g.someChannel(); c != nil && !w.chance(15) {
		return c.id
	}
	return w.nextID()
}

// messageEvent is an event whose body depends on MESSAGE_CONTENT.
func (w *world) messageEvent(g *simGuild) (api.EventInput, simOp) {
	name := []string{"MESSAGE_CREATE", "MESSAGE_CREATE", "MESSAGE_UPDATE"}[w.rng.IntN(3)]
	place, author := w.somePlace(g), w.someMember(g)
	full := []wire.Snowflake{author}
	mentions := ""
	for range w.rng.IntN(3) {
		user := w.someMember(g)
		full = append(full, user)
		if mentions != "" {
			mentions += ","
		}
		mentions += fmt.Sprintf(`{"id":"%d","username":"m"}`, user)
	}
	id := w.nextID()
	body := func(content, list, poll string) []byte {
		return fmt.Appendf(nil, `{"id":"%d","channel_id":"%d","author":{"id":"%d","username":"a"},`+
			`"content":"%s","mentions":[%s],"embeds":%s,"attachments":%s%s}`, id, place, author,
			content, mentions, list, list, poll)
	}
	// Long messages fill buffers and journals.
	content := fmt.Sprint("text ", w.mark(), strings.Repeat(" long", w.rng.IntN(200)*w.rng.IntN(2)))
	d := body(content, `[{"id":"5"}]`, `,"poll":{"question":{"text":"?"}}`)
	e := &simEvent{name: name, full: w.digestOf(name, d),
		stripped: w.digestOf(name, body("", "[]", ""))}
	return api.EventInput{Type: name, Data: d}, func(g *simGuild) {
		if c := g.channel(place); c != nil {
			if name == "MESSAGE_CREATE" {
				g.noteMessage(c.id, id)
			}
			g.publish(e, c, 0, full...)
			if name == "MESSAGE_CREATE" {
				g.mention(id, author, c, full[1:])
			}
		}
	}
}

// channelEvent is an event in a channel that changes nothing.
func (w *world) channelEvent(g *simGuild) (api.EventInput, simOp) {
	names := []string{"TYPING_START", "MESSAGE_DELETE", "MESSAGE_REACTION_ADD", "INVITE_CREATE",
		"GUILD_BAN_ADD", "INTERACTION_CREATE", "SIM_UNKNOWN", "SIM_UNKNOWN"}
	kind := w.rng.IntN(len(names))
	name, place := names[kind], w.somePlace(g)
	text := fmt.Sprintf(`{"id":"%d","user_id":"%d","message_id":"7","code":"c","emoji":{},`,
		w.nextID(), w.someMember(g))
	inChannel := name != "GUILD_BAN_ADD" && kind != len(names)-1
	if inChannel {
		text += fmt.Sprintf(`"channel_id":"%d",`, place)
	}
	if name == "GUILD_BAN_ADD" {
		text += `"user":{"id":"4","username":"banned"},`
	}
	d := fmt.Appendf(nil, `%s"sim":%d}`, text, w.mark())
	e := &simEvent{name: name, full: w.digestOf(name, d)}
	return api.EventInput{Type: name, Data: d}, func(g *simGuild) {
		c := g.channel(place)
		switch {
		case !inChannel:
			g.publish(e, nil, 0)
		case c != nil:
			g.publish(e, c, 0)
		}
	}
}

func (w *world) memberUpdate(g *simGuild) (api.EventInput, simOp) {
	patch := w.somePatch(g, w.someMember(g))
	d := []byte(patch.json("user"))
	return api.EventInput{Type: "GUILD_MEMBER_UPDATE", Data: d}, func(g *simGuild) {
		if g.members[patch.user] != nil {
			g.putMember(patch, true, false)
		}
	}
}

// memberEvent is a member who comes or goes.
func (w *world) memberEvent(g *simGuild) (api.EventInput, simOp) {
	user := w.someMember(g)
	if w.chance(3) {
		d := fmt.Appendf(nil, `{"user":{"id":"%d"}}`, user)
		return api.EventInput{Type: "GUILD_MEMBER_REMOVE", Data: d},
			func(g *simGuild) { g.removeMember(user) }
	}
	patch := w.somePatch(g, user)
	return api.EventInput{Type: "GUILD_MEMBER_ADD", Data: []byte(patch.json("user"))},
		func(g *simGuild) { g.putMember(patch, true, true) }
}

func (w *world) voiceEvent(g *simGuild) (api.EventInput, simOp) {
	user, place, deaf := w.someMember(g), w.somePlace(g), w.chance(2)
	channel := fmt.Sprintf(`"%d"`, place)
	if w.chance(4) {
		place, channel = 0, "null"
	}
	d := fmt.Appendf(nil, `{"user_id":"%d","channel_id":%s,"deaf":%t}`, user, channel, deaf)
	return api.EventInput{Type: "VOICE_STATE_UPDATE", Data: d}, func(g *simGuild) {
		c := g.channel(place)
		switch {
		case g.members[user] == nil:
		case place == 0:
			g.leaveVoice(user)
		case c != nil && c.kind == 2:
			v := &simVoice{channel: place, deaf: deaf}
			if before := g.voices[user]; before != nil {
				v.holder, v.mute = before.holder, before.mute
			}
			g.enterVoice(user, v)
		}
	}
}

func (w *world) roleEvent(g *simGuild) (api.EventInput, simOp) {
	role := w.someRole()
	if w.chance(2) && len(g.roles) < 9 {
		if len(g.gone) > 0 && len(w.users) < simManyUsers && w.chance(2) {
			role.id = g.gone[w.rng.IntN(len(g.gone))]
		}
		d := []byte(`{"role":` + role.json() + `}`)
		return api.EventInput{Type: "GUILD_ROLE_CREATE", Data: d},
			func(g *simGuild) {
				if old := g.role(role.id); old != nil {
					g.noteRole(old.allow, role.allow)
					*old = role // It came back twice.
				} else {
					g.roles = append(g.roles, role)
				}
				if slices.Contains(g.gone, role.id) {
					w.count("roles that came back")
				}
				g.publish(&simEvent{name: "GUILD_ROLE_CREATE", full: role.text()}, nil, 0)
			}
	}
	if len(g.roles) > 0 {
		role.id = g.roles[w.rng.IntN(len(g.roles))].id
	}
	if w.chance(3) && role.id != g.id {
		return api.EventInput{Type: "GUILD_ROLE_DELETE", Data: fmt.Appendf(nil, `{"role_id":"%d"}`,
			role.id)}, func(g *simGuild) { g.deleteRole(role.id) }
	}
	if role.id == g.id {
		role.allow |= simView
	}
	return api.EventInput{Type: "GUILD_ROLE_UPDATE", Data: []byte(`{"role":` + role.json() + `}`)},
		func(g *simGuild) {
			if old := g.role(role.id); old != nil {
				g.noteRole(old.allow, role.allow)
				*old = role
				g.publish(&simEvent{name: "GUILD_ROLE_UPDATE", full: role.text()}, nil, 0)
			}
		}
}

func (g *simGuild) deleteRole(id wire.Snowflake) {
	if g.role(id) == nil {
		return
	}
	for _, c := range g.channels {
		if slices.ContainsFunc(c.grant, func(o simGrant) bool { return !o.member && o.id == id }) {
			g.noteChannel(c.id)
		}
	}
	g.roles = slices.DeleteFunc(slices.Clone(g.roles), func(r simRole) bool { return r.id == id })
	g.takeRole(id)
	g.publish(&simEvent{name: "GUILD_ROLE_DELETE", full: id.String()}, nil, 0)
}

// takeRole takes a deleted role from all members there and then.
func (g *simGuild) takeRole(id wire.Snowflake) {
	g.gone = append(g.gone, id)
	for user, m := range g.members {
		if slices.Contains(m.roles, id) {
			g.swept(user)
		}
		m.roles = slices.DeleteFunc(slices.Clone(m.roles), func(role wire.Snowflake) bool {
			return role == id
		})
	}
}

// channelChange is a change of the guild's channels or of the guild itself.
func (w *world) channelChange(g *simGuild) (api.EventInput, simOp) {
	if w.chance(5) {
		name, owner := fmt.Sprint("guild ", w.mark()), w.someMember(g)
		d := fmt.Appendf(nil, `{"name":"%s","owner_id":"%d"}`, name, owner)
		return api.EventInput{Type: "GUILD_UPDATE", Data: d}, func(g *simGuild) {
			g.mayReset(g.owner, owner)
			g.name, g.owner = name, owner
			g.publish(&simEvent{name: "GUILD_UPDATE", full: g.updateText()}, nil, 0)
		}
	}
	c := w.newChannel(g, g.roles)
	if w.chance(2) && len(g.channels) < 9 {
		return api.EventInput{Type: "CHANNEL_CREATE", Data: []byte(c.json())}, func(g *simGuild) {
			before := g.named()
			g.channels = append(g.channels, c)
			g.noteNamed(before)
			g.publish(&simEvent{name: "CHANNEL_CREATE", full: c.text()}, nil, 0)
		}
	}
	if old := g.someChannel(); old != nil {
		c.id, c.kind = old.id, old.kind
	}
	if w.chance(4) {
		return api.EventInput{Type: "CHANNEL_DELETE", Data: fmt.Appendf(nil, `{"id":"%d"}`, c.id)},
			func(g *simGuild) { g.deleteChannel(c.id) }
	}
	return api.EventInput{Type: "CHANNEL_UPDATE", Data: []byte(c.json())}, func(g *simGuild) {
		if old := g.channel(c.id); old != nil {
			before := g.named()
			if !slices.Equal(old.grant, c.grant) {
				g.noteChannel(c.id)
			}
			*old = c
			g.noteNamed(before)
			g.publish(&simEvent{name: "CHANNEL_UPDATE", full: c.text()}, nil, 0)
		}
	}
}

func (g *simGuild) deleteChannel(id wire.Snowflake) {
	c := g.channel(id)
	if c == nil {
		return
	}
	text := c.text()
	for _, user := range g.inVoice(id) {
		g.leaveVoice(user)
	}
	before := g.named()
	g.channels = slices.DeleteFunc(slices.Clone(g.channels), func(c simChannel) bool {
		return c.id == id
	})
	g.noteNamed(before)
	delete(g.news.last, id)
	g.publish(&simEvent{name: "CHANNEL_DELETE", full: text}, nil, 0)
}

// replace makes next the document and says every difference: first what goes, then the rest.
func (g *simGuild) replace(next simDoc) {
	if !g.exists {
		if g.deleted {
			g.m.w.count("guilds that came back")
		}
		*g = simGuild{
			m: g.m, id: g.id, exists: true, simDoc: next,
			members: map[wire.Snowflake]*simMember{}, voices: map[wire.Snowflake]*simVoice{},
			presences: map[wire.Snowflake]string{}, said: map[*simSession]simSaid{},
			owes: map[wire.Snowflake]bool{},
		}
		return
	}
	then := simGuild{m: g.m, id: g.id, simDoc: next}
	for _, user := range g.inVoice(0) {
		if c := then.channel(g.voices[user].channel); c == nil || c.kind != 2 {
			g.leaveVoice(user)
		}
	}
	say := func(name, text string) { g.publish(&simEvent{name: name, full: text}, nil, 0) }
	for _, c := range g.channels {
		if then.channel(c.id) == nil {
			delete(g.news.last, c.id)
			say("CHANNEL_DELETE", c.text())
		}
	}
	for _, r := range g.roles {
		if then.role(r.id) == nil {
			say("GUILD_ROLE_DELETE", r.id.String())
		}
	}
	old := simGuild{m: g.m, id: g.id, simDoc: g.simDoc}
	g.simDoc = next
	for _, r := range old.roles {
		if g.role(r.id) == nil {
			g.takeRole(r.id)
		}
	}
	g.noteSight()
	for _, r := range g.roles {
		if was := old.role(r.id); was == nil {
			say("GUILD_ROLE_CREATE", r.text())
		} else if *was != r {
			say("GUILD_ROLE_UPDATE", r.text())
		}
	}
	if g.updateText() != old.updateText() {
		say("GUILD_UPDATE", g.updateText())
	}
	for _, c := range g.channels {
		if was := old.channel(c.id); was == nil {
			say("CHANNEL_CREATE", c.text())
		} else if was.text() != c.text() {
			say("CHANNEL_UPDATE", c.text())
		}
	}
}
