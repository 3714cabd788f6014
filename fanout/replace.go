package fanout

import (
	"bytes"
	"slices"

	"throng/wire"
)

// Replace makes doc the guild's document: fields, roles, channels, threads and the rest. What it
// leaves out gets the protocol's default. Members stay, and sessions that listen hear of every
// difference as if it had happened by events.
// REQUIRES: doc is valid JSON.
func (g *Guild) Replace(doc []byte, now int64) (Change, error) {
	t := g.turn(now)
	if !wire.IsObject(doc) {
		return t.refuse(invalid("", "A guild must be an object."))
	}
	if id, ok := wire.SnowflakeField(doc, "id"); ok && id != g.id {
		return t.refuse(invalid("id", "It is another guild's id."))
	}
	next, err := parseDocument(g.id, doc)
	if err != nil {
		return t.refuse(err)
	}
	if err := t.rolesBack(next.roles, "roles"); err != nil {
		return t.refuse(err)
	}
	t.replace(next)
	return t.done(), nil
}

// replace goes from the old document to the next: first what disappears, while it can still be
// seen, then the change itself, then what is new or different.
func (t *turn) replace(next *document) {
	g := t.g
	old := g.document
	before, updateBefore := t.threadSight(), g.updateBody()
	t.sayGone(&old, next)
	next.carryOver(g)
	g.setDocument(next)
	g.noteSight()
	g.rolesGone(old.roles)
	t.resight(old.owner)
	t.keep(g.keep())
	if g.receivers.len() == 0 {
		return
	}
	info, _ := wire.LookupEvent("GUILD_UPDATE")
	t.sayRoles(&old)
	if body := g.updateBody(); !bytes.Equal(body, updateBefore) {
		t.publish("GUILD_UPDATE", body, nil, toAll(info))
	}
	t.sayChannels(&old)
	t.sayThreads(&old)
	for i, list := range g.things() {
		kind := list.kind
		name := wholeListEvents[kind.key]
		was := old.things()[i].things
		if name != "" && !bytes.Equal(was.append(nil), list.things.append(nil)) {
			info, _ := wire.LookupEvent(name)
			t.publish(name, g.thingsBody(kind), nil, toAll(info))
		}
	}
	t.syncThreads(before)
}

// wholeListEvents replace a list; the others of the lists have no such event, and clients see them
// when they next connect.
var wholeListEvents = map[string]string{
	"emojis":            "GUILD_EMOJIS_UPDATE",
	"stickers":          "GUILD_STICKERS_UPDATE",
	"soundboard_sounds": "GUILD_SOUNDBOARD_SOUNDS_UPDATE",
}

// carryOver keeps what only the process knows, and the members of threads, where the document does
// not speak of them.
func (d *document) carryOver(g *Guild) {
	for _, c := range d.channels {
		if old := g.channelByID[c.id]; old != nil {
			c.info = old.info
			c.carry(&old.place)
		}
	}
	for _, th := range d.threads {
		if old := g.threadByID[th.id]; old != nil {
			if len(th.members) == 0 {
				th.members = old.members
			}
			th.carry(&old.place)
		}
	}
}

// sayGone tells of threads, channels and roles that are not in the next document, and takes those
// in voice out of channels that are not, or are no voice channels any more.
func (t *turn) sayGone(old, next *document) {
	g := t.g
	channels := make(map[wire.Snowflake]*channel, len(next.channels))
	for _, c := range next.channels {
		channels[c.id] = c
	}
	for _, user := range g.usersInVoice(0) {
		if c := channels[g.voices[user].channel]; c == nil || !c.voice() {
			t.leaveVoice(user)
		}
	}
	threads := make(map[wire.Snowflake]bool, len(next.threads))
	for _, th := range next.threads {
		threads[th.id] = true
	}
	info, _ := wire.LookupEvent("THREAD_DELETE")
	for _, th := range old.threads {
		// Threads of a channel that goes too are not spoken of.
		if !threads[th.id] && channels[th.parent] != nil {
			ev := toAll(info)
			g.seeThread(&ev, th, wire.PermissionViewChannel)
			t.publish("THREAD_DELETE", g.threadDeleteBody(th), nil, ev)
		}
	}
	info, _ = wire.LookupEvent("CHANNEL_DELETE")
	for _, c := range old.channels {
		if channels[c.id] == nil {
			t.publish("CHANNEL_DELETE", c.append(nil, g.id), nil, toAll(info))
		}
	}
	info, _ = wire.LookupEvent("GUILD_ROLE_DELETE")
	for _, r := range old.roles {
		there := func(other *role) bool { return other.id == r.id }
		if !slices.ContainsFunc(next.roles, there) {
			t.publish("GUILD_ROLE_DELETE", g.roleDeleteBody(r.id), nil, toAll(info))
		}
	}
}

// sayRoles tells of roles that are new or different.
func (t *turn) sayRoles(old *document) {
	was := make(map[wire.Snowflake]*role, len(old.roles))
	for _, r := range old.roles {
		was[r.id] = r
	}
	for _, r := range t.g.roles {
		name := "GUILD_ROLE_UPDATE"
		switch before := was[r.id]; {
		case before == nil:
			name = "GUILD_ROLE_CREATE"
		case bytes.Equal(before.raw, r.raw):
			continue
		}
		info, _ := wire.LookupEvent(name)
		t.publish(name, t.g.roleBody(r), nil, toAll(info))
	}
}

// sayChannels tells of channels that are new or different. A new message makes no difference.
func (t *turn) sayChannels(old *document) {
	was := make(map[wire.Snowflake]*channel, len(old.channels))
	for _, c := range old.channels {
		was[c.id] = c
	}
	for _, c := range t.g.channels {
		name := "CHANNEL_UPDATE"
		switch before := was[c.id]; {
		case before == nil:
			name = "CHANNEL_CREATE"
		case samePlace(&before.place, &c.place):
			continue
		}
		info, _ := wire.LookupEvent(name)
		t.publish(name, c.append(nil, t.g.id), nil, toAll(info))
	}
}

// sayThreads tells of threads that are new or different.
func (t *turn) sayThreads(old *document) {
	was := make(map[wire.Snowflake]*thread, len(old.threads))
	for _, th := range old.threads {
		was[th.id] = th
	}
	for _, th := range t.g.threads {
		name := "THREAD_UPDATE"
		switch before := was[th.id]; {
		case before == nil:
			name = "THREAD_CREATE"
		case samePlace(&before.place, &th.place):
			continue
		}
		info, _ := wire.LookupEvent(name)
		ev := toAll(info)
		t.g.seeThread(&ev, th, wire.PermissionViewChannel)
		t.publish(name, th.append(nil, 0), nil, ev)
	}
}

// samePlace compares two objects but for their newest messages.
func samePlace(a, b *place) bool {
	if a.written == b.written {
		return bytes.Equal(a.raw, b.raw)
	}
	return bytes.Equal(wire.DropField(nil, a.raw, "last_message_id"),
		wire.DropField(nil, b.raw, "last_message_id"))
}
