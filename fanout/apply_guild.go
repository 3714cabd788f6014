package fanout

import (
	"slices"

	"throng/wire"
)

// applyGuildUpdate is GUILD_UPDATE: d is laid over the guild object. Its roles, emojis and stickers
// replace the guild's when they are there; the other lists have events of their own.
func applyGuildUpdate(t *turn, info wire.EventInfo, o object) *Error {
	g := t.g
	if id, ok := o.id("id"); ok && id != g.id {
		return invalid("d.id", "It is another guild's id.")
	}
	next := g.document
	fields := parseObject(g.fields)
	fields.merge(o)
	if err := next.parseFields(g.id, fields); err != nil {
		return err.under("d")
	}
	var err *Error
	if o.present("roles") {
		if next.roles, err = parseRoles(g.id, o.get("roles")); err != nil {
			return err.under("d")
		}
	}
	for _, list := range []thingList{{&emojiKind, &next.emojis}, {&stickerKind, &next.stickers}} {
		if o.present(list.kind.key) {
			if *list.things, err = list.kind.parseAll(g.id, o.get(list.kind.key)); err != nil {
				return err.under("d")
			}
		}
	}
	if err := t.rolesBack(next.roles, "d.roles"); err != nil {
		return err
	}
	before, owner, roles := t.threadSight(), g.owner, g.roles
	g.setDocument(&next)
	if o.present("roles") {
		g.noteSight()
	}
	g.rolesGone(roles)
	t.resight(owner)
	t.keep(g.keep())
	t.publish(info.Name, g.updateBody(), nil, toAll(info))
	t.syncThreads(before)
	return nil
}

// roleBody is the body of GUILD_ROLE_CREATE and GUILD_ROLE_UPDATE.
func (g *Guild) roleBody(r *role) []byte {
	dst := g.id.AppendJSON([]byte(`{"guild_id":`))
	dst = append(wire.AppendKey(dst, "role"), r.raw...)
	return append(dst, '}')
}

// applyRolePut is GUILD_ROLE_CREATE and GUILD_ROLE_UPDATE. An update changes what it names.
func applyRolePut(t *turn, info wire.EventInfo, o object) *Error {
	g := t.g
	raw := o.get("role")
	if raw == nil || !wire.IsObject(raw) {
		return invalid("d.role", "It must be a role.")
	}
	fields := parseObject(raw)
	id, _ := fields.id("id")
	old := g.roleByID[id]
	if info.Name == "GUILD_ROLE_UPDATE" {
		if old == nil {
			return notFound("d.role.id", "The guild has no such role.")
		}
		whole := parseObject(old.raw)
		if fields.get("color") != nil && fields.get("colors") == nil {
			whole.drop("colors") // They follow from color, as in a new role.
		}
		whole.merge(fields)
		fields = whole
	} else if old == nil && len(g.roles) >= rolesMax {
		return conflict("d.role", "The guild has as many roles as it may.")
	}
	r, err := parseRole(g.id, g.roleByID[g.id].permissions, len(g.roles), fields)
	if err != nil {
		return err.under("d.role")
	}
	if err := t.rolesBack([]*role{r}, "d.role.id"); err != nil {
		return err
	}
	roles := slices.Clone(g.roles)
	if old != nil {
		roles[slices.Index(roles, old)] = r
	} else {
		roles = append(roles, r)
	}
	decides := old == nil || old.permissions != r.permissions
	var before map[wire.Snowflake]Bitset
	if decides {
		before = t.threadSight()
	}
	g.setRoles(roles)
	g.noteRole(old, r)
	g.head = nil
	if decides {
		t.resight(g.owner)
	}
	t.keep(g.keep())
	t.publish(info.Name, g.roleBody(r), nil, toAll(info))
	t.syncThreads(before)
	return nil
}

// applyRoleDelete is GUILD_ROLE_DELETE.
func applyRoleDelete(t *turn, info wire.EventInfo, o object) *Error {
	g := t.g
	id, ok := o.id("role_id")
	if !ok {
		return invalid("d.role_id", "It must be an id.")
	}
	r := g.roleByID[id]
	if r == nil {
		return notFound("d.role_id", "The guild has no such role.")
	}
	if id == g.id {
		return invalid("d.role_id", "The role of everyone cannot be deleted.")
	}
	before := t.threadSight()
	roles := slices.DeleteFunc(slices.Clone(g.roles), func(other *role) bool { return other == r })
	g.setRoles(roles)
	g.noteRole(r, nil)
	g.goneRole(uint64(id))
	t.resight(g.owner)
	t.keep(g.keep())
	t.publish(info.Name, g.roleDeleteBody(id), nil, toAll(info))
	t.syncThreads(before)
	return nil
}

func (g *Guild) roleDeleteBody(id wire.Snowflake) []byte {
	dst := g.id.AppendJSON([]byte(`{"guild_id":`))
	return append(id.AppendJSON(wire.AppendKey(dst, "role_id")), '}')
}

// applyChannelPut is CHANNEL_CREATE and CHANNEL_UPDATE. An update changes what it names; the whole
// channel goes out. Everyone hears it, as everyone has all channels from GUILD_CREATE.
func applyChannelPut(t *turn, info wire.EventInfo, o object) *Error {
	g := t.g
	id, _ := o.id("id")
	old := g.channelByID[id]
	if info.Name == "CHANNEL_UPDATE" {
		if old == nil {
			return notFound("d.id", "The guild has no such channel.")
		}
		whole := parseObject(old.append(nil, 0))
		whole.merge(o)
		o = whole
	} else if old == nil && len(g.channels) >= channelsMax {
		return conflict("d", "The guild has as many channels as it may.")
	}
	if g.threadByID[id] != nil {
		return conflict("d.id", "A thread has the same id.")
	}
	c, err := parseChannel(len(g.channels), o)
	if err != nil {
		return err.under("d")
	}
	before := t.threadSightOf(id)
	resight := old == nil || !slices.Equal(old.overwrites, c.overwrites)
	g.putChannel(c)
	g.checkRegions()
	g.head = nil
	if resight && old != nil {
		g.noteChannel(id)
	}
	if resight {
		t.resight(g.owner)
	}
	t.keep(g.keep())
	t.publish(info.Name, c.append(nil, g.id), nil, toAll(info))
	t.syncThreads(before)
	return nil
}

// applyChannelDelete is CHANNEL_DELETE. Threads go with their parent, without events of their own.
func applyChannelDelete(t *turn, info wire.EventInfo, o object) *Error {
	g := t.g
	id, ok := o.id("id")
	if !ok {
		return invalid("d.id", "It must be an id.")
	}
	c := g.channelByID[id]
	if c == nil {
		return notFound("d.id", "The guild has no such channel.")
	}
	for _, user := range g.usersInVoice(id) {
		t.leaveVoice(user)
	}
	t.removeChannel(c)
	t.resight(g.owner)
	t.keep(g.keep())
	t.publish(info.Name, c.append(nil, g.id), nil, toAll(info))
	return nil
}

func (t *turn) removeChannel(c *channel) {
	g := t.g
	g.channels = slices.DeleteFunc(g.channels, func(other *channel) bool { return other == c })
	delete(g.channelByID, c.id)
	g.threads = slices.DeleteFunc(g.threads, func(th *thread) bool {
		if th.parent == c.id {
			delete(g.threadByID, th.id)
		}
		return th.parent == c.id
	})
}

// applyVoiceChannel is VOICE_CHANNEL_STATUS_UPDATE and VOICE_CHANNEL_START_TIME_UPDATE. What they
// say is answered to a request for channel info, and is not kept beyond the process.
func applyVoiceChannel(t *turn, info wire.EventInfo, o object) *Error {
	ev, err := t.g.audience(info, o)
	if err != nil {
		return err
	}
	id, _ := o.id("id")
	c := t.g.channelByID[id]
	if c == nil {
		return notFound("d.id", "The guild has no such channel.")
	}
	for _, key := range channelInfoKeys {
		if raw := o.get(key); raw != nil {
			c.info.set(key, compact(raw))
		}
	}
	t.publish(info.Name, o.bytes(), nil, ev)
	return nil
}
