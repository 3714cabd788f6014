package fanout

import (
	"slices"

	"throng/wire"
)

// applyThreadPut is THREAD_CREATE and THREAD_UPDATE. An update of a thread that is not known is one
// that comes back from the archive, so it creates it.
func applyThreadPut(t *turn, info wire.EventInfo, o object) *Error {
	g := t.g
	id, _ := o.id("id")
	old := g.threadByID[id]
	fresh := o.get("newly_created")
	switch {
	case g.channelByID[id] != nil:
		return conflict("d.id", "A channel has the same id.")
	case old != nil:
		whole := parseObject(old.append(nil, 0))
		patch := o.clone()
		if raw := o.get("thread_metadata"); raw != nil && wire.IsObject(raw) {
			metadata := parseObject(whole.get("thread_metadata"))
			metadata.merge(parseObject(raw))
			patch.set("thread_metadata", metadata.bytes())
		}
		whole.merge(patch)
		o = whole
	case len(g.threads) >= threadsMax:
		return conflict("d", "The guild has as many threads as it may.")
	}
	known := func(id wire.Snowflake) bool { return g.channelByID[id] != nil }
	th, err := parseThread(g.id, g.owner, o, known)
	if err != nil {
		return err.under("d")
	}
	if old != nil && len(th.members) == 0 {
		th.members = old.members
	}
	if old == nil {
		t.joinStarter(th)
	}
	g.putThread(th)
	t.keep(g.keep())
	ev := toAll(info)
	g.seeThread(&ev, th, wire.PermissionViewChannel)
	body := th.append(nil, 0)
	if info.Name == "THREAD_CREATE" && fresh != nil {
		body = append(wire.AppendKey(body[:len(body)-1], "newly_created"), fresh...)
		body = append(body, '}')
	}
	t.publish(info.Name, body, nil, ev)
	return nil
}

// joinStarter makes whoever starts a thread its member, when that is a member of the guild.
func (t *turn) joinStarter(th *thread) {
	starter, _ := wire.SnowflakeField(th.raw, "owner_id")
	if _, ok := t.g.members.Get(uint64(starter)); !ok {
		return
	}
	if _, joined := th.member(starter); joined {
		return
	}
	o := object{
		{"id", quotedID(th.id)}, {"user_id", quotedID(starter)},
		{"join_timestamp", quotedTime(t.now)}, {"flags", []byte("0")},
	}
	th.join(threadMember{user: starter, raw: o.bytes()})
}

// knownThread returns the thread that d names.
func (g *Guild) knownThread(o object) (*thread, *Error) {
	id, ok := o.id("id")
	if !ok {
		return nil, invalid("d.id", "It must be an id.")
	}
	if th := g.threadByID[id]; th != nil {
		return th, nil
	}
	return nil, notFound("d.id", "The guild has no such thread.")
}

// applyThreadDelete is THREAD_DELETE.
func applyThreadDelete(t *turn, info wire.EventInfo, o object) *Error {
	th, err := t.g.knownThread(o)
	if err != nil {
		return err
	}
	ev := toAll(info)
	t.g.seeThread(&ev, th, wire.PermissionViewChannel)
	t.g.dropThread(th)
	t.keep(t.g.keep())
	t.publish(info.Name, t.g.threadDeleteBody(th), nil, ev)
	return nil
}

func (g *Guild) threadDeleteBody(th *thread) []byte {
	dst := th.id.AppendJSON([]byte(`{"id":`))
	dst = g.id.AppendJSON(wire.AppendKey(dst, "guild_id"))
	dst = th.parent.AppendJSON(wire.AppendKey(dst, "parent_id"))
	dst = wire.AppendInt(wire.AppendKey(dst, "type"), th.kind)
	return append(dst, '}')
}

// applyThreadMember is THREAD_MEMBER_UPDATE, which only the member itself hears.
func applyThreadMember(t *turn, info wire.EventInfo, o object) *Error {
	th, err := t.g.knownThread(o)
	if err != nil {
		return err
	}
	members, err := parseThreadMembers(th.id, append(append([]byte{'['}, o.bytes()...), ']'), "d")
	if err != nil {
		return invalid("d.user_id", "It must be an id.")
	}
	if err := t.g.roomFor(th, members); err != nil {
		return err
	}
	th.join(members[0])
	t.keep(t.g.keep())
	body := withGuild(members[0].raw, t.g.id)
	t.privately(members[0].user, info.Guild, info.Name, body)
	return nil
}

func (g *Guild) roomFor(th *thread, members []threadMember) *Error {
	if len(th.members)+len(members) > threadMembersMax {
		return conflict("d", "The thread has as many members as it may.")
	}
	return nil
}

// applyThreadMembers is THREAD_MEMBERS_UPDATE. With GUILD_MEMBERS one hears of everybody who comes
// and goes, with GUILDS alone only of oneself; so the event goes out to the first, and privately to
// those of the others whom it is about. Who is added to a private thread is shown it first.
func applyThreadMembers(t *turn, info wire.EventInfo, o object) *Error {
	g := t.g
	th, err := g.knownThread(o)
	if err != nil {
		return err
	}
	added, err := parseThreadMembers(th.id, o.get("added_members"), "d.added_members")
	if err != nil {
		return err
	}
	var removed []wire.Snowflake
	if raw := o.get("removed_member_ids"); raw != nil && !wire.IsNull(raw) {
		var ok bool
		if removed, ok = parseIDs(raw); !ok {
			return invalid("d.removed_member_ids", "It must be an array of ids.")
		}
	}
	if err := g.roomFor(th, added); err != nil {
		return err
	}
	before := Event{}
	g.seeThread(&before, th, wire.PermissionViewChannel)
	for _, m := range added {
		th.join(m)
	}
	for _, user := range removed {
		th.leave(user)
	}
	t.keep(g.keep())
	if th.private() {
		for _, m := range added {
			t.showThread(th, m.user)
		}
	}
	ev := Event{Intents: wire.IntentGuildMembers}
	g.seeThread(&ev, th, wire.PermissionViewChannel)
	ev.Also = append(ev.Also, before.Also...) // Who was removed hears of that yet.
	slices.Sort(ev.Also)
	ev.Also = slices.Compact(ev.Also)
	body := g.threadMembersBody(th, added, removed)
	for _, m := range added {
		removed = append(removed, m.user)
	}
	ev.Own = removed
	t.publish(info.Name, body, nil, ev)
	dispatch := wire.NewDispatch(info.Name, body, nil)
	for _, user := range removed {
		g.receivers.of(user, func(r *receiver) {
			const both = wire.IntentGuilds | wire.IntentGuildMembers
			if r.Intents&both == wire.IntentGuilds && g.seesChannel(r.class, th.parent) {
				t.private(r.Handle, dispatch)
			}
		})
	}
	return nil
}

// showThread sends a private thread to a member that was added to it.
func (t *turn) showThread(th *thread, user wire.Snowflake) {
	var d *wire.Dispatch
	t.g.receivers.of(user, func(r *receiver) {
		if r.Intents&wire.IntentGuilds == 0 || !t.g.seesThread(th, user, r.class) {
			return
		}
		if d == nil {
			d = wire.NewDispatch("THREAD_CREATE", th.appendFor(nil, user), nil)
		}
		t.private(r.Handle, d)
	})
}

// threadMembersBody is the body of THREAD_MEMBERS_UPDATE, with the members that it speaks of.
func (g *Guild) threadMembersBody(
	th *thread, added []threadMember, removed []wire.Snowflake,
) []byte {
	dst := th.id.AppendJSON([]byte(`{"id":`))
	dst = g.id.AppendJSON(wire.AppendKey(dst, "guild_id"))
	dst = wire.AppendInt(wire.AppendKey(dst, "member_count"), int64(len(th.members)))
	view := g.view()
	if len(added) > 0 {
		dst = append(wire.AppendKey(dst, "added_members"), '[')
		for _, m := range added {
			dst = append(wire.AppendComma(dst), m.raw[:len(m.raw)-1]...)
			if member, ok := g.members.Get(uint64(m.user)); ok {
				dst = view.append(wire.AppendKey(dst, "member"), member, 0)
			}
			if p := g.presences.get(m.user); p != nil {
				dst = p.append(wire.AppendKey(dst, "presence"), m.user, g.id)
			}
			dst = append(dst, '}')
		}
		dst = append(dst, ']')
	}
	if len(removed) > 0 {
		dst = wire.AppendSnowflakes(wire.AppendKey(dst, "removed_member_ids"), removed)
	}
	return append(dst, '}')
}
