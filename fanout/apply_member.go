package fanout

import (
	"throng/store"
	"throng/wire"
)

// applyMemberPut is GUILD_MEMBER_ADD and GUILD_MEMBER_UPDATE. An addition of someone who is there
// replaces the record; an update changes what it names.
func applyMemberPut(t *turn, info wire.EventInfo, o object) *Error {
	in, err := parseMember(o)
	if err != nil {
		return err.under("d")
	}
	old, was := t.g.members.Get(uint64(in.User))
	add := info.Name == "GUILD_MEMBER_ADD"
	if !add && !was {
		return notFound("d.user.id", "The guild has no such member.")
	}
	base := old
	if add {
		base = store.Member{JoinedAt: t.now}
	}
	m, err := t.g.member(in, base)
	if err != nil {
		return err.under("d")
	}
	t.putMember(in, m, was)
	t.announceMember(info, m)
	t.syncMemberThreads(old, m, was)
	return nil
}

// putMember makes m a member, or its record, and moves its sessions to their class.
func (t *turn) putMember(in MemberInput, m store.Member, was bool) {
	g := t.g
	t.meet(in)
	g.members.Put(m)
	g.relist(in.User)
	t.keep(g.keepMember(m))
	if was {
		t.reclass(in.User)
	} else {
		t.c.Joined = append(t.c.Joined, in.User)
	}
}

// meet takes note of a user who is not known yet. One who is, is left alone: the word of an event
// about a member is not the latest on the account. The directory is asked to add the user and not
// to put it, since somebody may be putting a newer one at this moment.
func (t *turn) meet(in MemberInput) {
	if in.Account == nil || t.g.users.Get(uint64(in.User)) != nil {
		return
	}
	if t.g.users.Add(in.Account) == in.Account {
		t.keep(store.Op{Kind: store.OpAddUser, User: uint64(in.User), UserRecord: in.Account})
	}
}

// announceMember publishes the event with the whole member.
func (t *turn) announceMember(info wire.EventInfo, m store.Member) {
	view := t.g.view()
	user := wire.Snowflake(m.User)
	ev := toAll(info)
	ev.Self, ev.SelfRule = user, info.Self
	ev.Own, ev.About = []wire.Snowflake{user}, user
	t.g.noteMember(user)
	t.publish(info.Name, view.append(nil, m, t.g.id), nil, ev)
}

// applyMemberRemove is GUILD_MEMBER_REMOVE.
func applyMemberRemove(t *turn, _ wire.EventInfo, o object) *Error {
	user, ok := o.id("user_id")
	if raw := o.get("user"); raw != nil && wire.IsObject(raw) {
		user, ok = wire.SnowflakeField(raw, "id")
	}
	if !ok {
		return invalid("d.user.id", "It must be an id.")
	}
	return t.removeMember(user, "d.user.id")
}

// RemoveMember takes a member out of the guild: its sessions hear GUILD_DELETE, the others
// GUILD_MEMBER_REMOVE.
func (g *Guild) RemoveMember(user wire.Snowflake, now int64) (Change, error) {
	t := g.turn(now)
	if err := t.removeMember(user, ""); err != nil {
		return t.refuse(err)
	}
	return t.done(), nil
}

// removeMember expels the member's sessions first, so that they hear nothing that the guild says
// after the member is gone.
func (t *turn) removeMember(user wire.Snowflake, path string) *Error {
	g := t.g
	if _, ok := g.members.Get(uint64(user)); !ok {
		return notFound(path, "The guild has no such member.")
	}
	t.expel(user)
	t.leaveVoice(user)
	g.presences.remove(user)
	delete(g.unsaid.of, user)
	g.members.Delete(uint64(user))
	g.relist(user)
	t.keep(store.Op{Kind: store.OpDeleteMember, Guild: uint64(g.id), User: uint64(user)})
	changed := false
	for _, th := range g.threads {
		changed = th.leave(user) || changed
	}
	if changed {
		g.head = nil
		t.keep(g.keep())
	}
	body := appendUser([]byte(`{"user":`), g.users, user)
	body = append(g.id.AppendJSON(wire.AppendKey(body, "guild_id")), '}')
	info, _ := wire.LookupEvent("GUILD_MEMBER_REMOVE")
	ev := toAll(info)
	ev.About = user
	t.publish("GUILD_MEMBER_REMOVE", body, nil, ev)
	return nil
}

// expel takes the user's sessions out of the guild.
func (t *turn) expel(user wire.Snowflake) {
	g := t.g
	var handles []Handle
	var told []bool
	g.receivers.of(user, func(r *receiver) {
		handles = append(handles, r.Handle)
		told = append(told, r.Intents&wire.IntentGuilds != 0)
	})
	if len(handles) == 0 {
		return
	}
	left := wire.NewDispatch("GUILD_DELETE", g.deleteBody(), nil)
	for i, h := range handles {
		m := Msg{Kind: MsgExpel, Loop: int(h.Loop), To: h}
		if told[i] {
			m.Dispatches = []*wire.Dispatch{left}
		}
		t.send(m)
		t.drop(h)
	}
}

// deleteBody is the body of GUILD_DELETE to who left: without `unavailable`, which would tell a
// client to expect the guild back.
func (g *Guild) deleteBody() []byte {
	return append(g.id.AppendJSON([]byte(`{"id":`)), '}')
}

// drop forgets a session.
func (t *turn) drop(h Handle) {
	g := t.g
	r, ok := g.receivers.remove(h)
	if !ok {
		return
	}
	g.classes.release(r.class)
	g.mark(r.User)
	t.forgetWants(&r)
	if !g.receivers.connected(r.User) {
		delete(g.timeouts, r.User)
	}
}

// PutMembers loads members, one result per input: nil, or why it was refused. It says nothing to
// the guild unless announce is set. New members with live sessions are among Joined.
func (g *Guild) PutMembers(in []MemberInput, announce bool, now int64) (Change, []error) {
	t := g.turn(now)
	errs := make([]error, len(in))
	// Loaded quietly, a batch goes into the table at once; see store.Members.PutAll. Of a user who
	// is there twice the later line is laid over the earlier.
	batch := make([]store.Member, 0, len(in))
	at := make(map[uint64]int, len(in))
	moved := make([]wire.Snowflake, 0, len(in))
	for i := range in {
		if in[i].User == 0 {
			errs[i] = invalid("user_id", "It must be an id.")
			continue
		}
		old, was := g.members.Get(uint64(in[i].User))
		if k, twice := at[uint64(in[i].User)]; twice {
			old, was = batch[k], true
		}
		if !was {
			old = store.Member{JoinedAt: now}
		}
		m, err := g.member(in[i], old)
		if err != nil {
			errs[i] = err
			continue
		}
		if announce {
			t.announceInput(in[i], m, was)
			continue
		}
		t.meet(in[i])
		if was {
			moved = append(moved, in[i].User)
		} else {
			t.c.Joined = append(t.c.Joined, in[i].User)
		}
		at[m.User] = len(batch)
		batch = append(batch, m)
	}
	g.members.PutAll(batch)
	for _, m := range batch {
		g.relist(wire.Snowflake(m.User))
		t.keep(g.keepMember(m))
	}
	for _, user := range moved {
		t.reclass(user)
	}
	return t.done(), errs
}

// announceInput puts one member and tells the guild.
func (t *turn) announceInput(in MemberInput, m store.Member, was bool) {
	old, _ := t.g.members.Get(m.User)
	t.putMember(in, m, was)
	name := "GUILD_MEMBER_ADD"
	if was {
		name = "GUILD_MEMBER_UPDATE"
	}
	info, _ := wire.LookupEvent(name)
	t.announceMember(info, m)
	t.syncMemberThreads(old, m, was)
}
