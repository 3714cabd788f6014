package fanout

import (
	"slices"

	"throng/wire"
)

// wants is what a session has asked of the guild beyond listening, by op 14 or 37. It lasts for as
// long as the session is in the guild, while it is detached too. All but the answers to a question
// has effect only while the session listens.
type wants struct {
	threads       bool
	activities    bool // Kept, and nothing else: what it changes is not known.
	memberUpdates bool
	members       []wire.Snowflake  // Ascending.
	lists         []wire.ListRanges // Of member lists; see turn.subscribeLists.
}

// Subscribe is what a session says that it wants of the guild. Bots get everything and do not ask.
func (g *Guild) Subscribe(h Handle, s wire.Subscription, now int64) Change {
	t := g.turn(now)
	r := g.receivers.get(h)
	if r == nil || r.bot {
		return t.done()
	}
	g.masks = true
	g.mark(r.User)
	heard, before := r.heard(), wants{}
	if r.wants == nil {
		r.wants = &wants{memberUpdates: !r.lazy}
	} else if !r.passive {
		before = *r.wants
	}
	r.wants.take(&s)
	switch {
	case s.Typing != nil && *s.Typing && r.passive:
		t.activate(r)
	case s.Typing != nil && !*s.Typing && !r.passive:
		t.deactivate(r)
	case !r.passive && r.heard() != heard:
		t.send(Msg{Kind: MsgActivate, Loop: int(h.Loop), To: h, Receiver: r.receiver()})
	}
	t.watch(r, before.members)
	if !r.passive && r.wants.threads && !before.threads {
		t.sendThreads(r)
	}
	t.sendThreadMembers(r, s.ThreadLists)
	if !r.passive || before.lists != nil {
		t.subscribeLists(r)
	}
	return t.done()
}

// take puts what s says in the place of what was wanted.
func (w *wants) take(s *wire.Subscription) {
	for _, flag := range []struct {
		to   *bool
		from *bool
	}{
		{&w.threads, s.Threads}, {&w.activities, s.Activities}, {&w.memberUpdates, s.MemberUpdates},
	} {
		if flag.from != nil {
			*flag.to = *flag.from
		}
	}
	if s.Members != nil {
		w.members = slices.Compact(slices.Sorted(slices.Values(s.Members)))
	}
	if s.Channels != nil {
		w.lists = s.Channels
	}
}

// activate lets a passive session listen. GUILD_CREATE shows it the guild as of this moment, as
// when it joined, and its loop makes it one of those who listen in the same step: every event
// before this is in the one, and every event after it comes by the other.
func (t *turn) activate(r *receiver) {
	g := t.g
	g.receivers.setPassive(r, false)
	m := Msg{Kind: MsgActivate, Loop: int(r.Loop), To: r.Handle, Receiver: r.receiver()}
	if r.Intents&wire.IntentGuilds != 0 {
		self, _ := g.members.Get(uint64(r.User))
		whole := m.Receiver
		whole.Intents = r.Intents
		m.Dispatches = []*wire.Dispatch{g.create(&whole, r.class, self)}
	}
	t.send(m)
}

// deactivate makes a session passive. It knows all that has happened until now.
func (t *turn) deactivate(r *receiver) {
	t.g.receivers.setPassive(r, true)
	t.send(Msg{Kind: MsgDeactivate, Loop: int(r.Loop), To: r.Handle, Receiver: r.receiver(),
		Version: t.g.news.known()})
}

// watch files the session under the members whose presences and changes it wants, while it listens.
// Of those that it did not watch before it learns how they are now.
func (t *turn) watch(r *receiver, before []wire.Snowflake) {
	g := t.g
	var members []wire.Snowflake
	if !r.passive {
		members = r.wants.members
	}
	g.unwatch(r.Handle, before, members)
	for _, user := range members {
		if _, did := slices.BinarySearch(before, user); did {
			continue
		}
		if g.watchers == nil {
			g.watchers = make(map[wire.Snowflake][]Handle)
		}
		g.watchers[user] = append(g.watchers[user], r.Handle)
		p := g.presences.get(user)
		const need = wire.IntentGuildPresences
		if p != nil && user != r.User && r.Intents&need != 0 && r.heard()&need == 0 {
			body := p.append(nil, user, g.id)
			t.private(r.Handle, wire.NewDispatch("PRESENCE_UPDATE", body, nil))
		}
	}
}

// unwatch takes the session off the members that it watched and that are not among those it does.
func (g *Guild) unwatch(h Handle, before, now []wire.Snowflake) {
	for _, user := range before {
		if _, still := slices.BinarySearch(now, user); still {
			continue
		}
		left := slices.DeleteFunc(g.watchers[user], func(o Handle) bool { return o == h })
		if g.watchers[user] = left; len(left) == 0 {
			delete(g.watchers, user)
		}
	}
}

// forgetWants follows a session that has left.
func (t *turn) forgetWants(r *receiver) {
	if r.wants == nil || r.passive {
		return
	}
	t.g.unwatch(r.Handle, r.wants.members, nil)
	if r.wants.lists != nil {
		r.passive = true
		t.subscribeLists(r)
	}
}

// direct sends an event to those sessions that it concerns and that do not hear it with the others:
// the passive ones of the users whose own it is, and those that watch whom it is about.
func (t *turn) direct(ev *Event) {
	g := t.g
	if g.receivers.passive == 0 && len(g.watchers) == 0 && !g.masks {
		return
	}
	for _, user := range ev.Own {
		g.receivers.of(user, func(r *receiver) { t.directTo(r, ev) })
	}
	for _, h := range g.watchers[ev.About] {
		if r := g.receivers.get(h); !slices.Contains(ev.Own, r.User) {
			t.directTo(r, ev)
		}
	}
}

func (t *turn) directTo(r *receiver, ev *Event) {
	listens := !r.passive || ev.Passive
	if listens && ev.admits(r.User, r.heard(), r.class) || !ev.admits(r.User, r.Intents, r.class) {
		return
	}
	t.send(Msg{Kind: MsgDirect, Loop: int(r.Loop), To: r.Handle, Event: ev})
}

// sendThreads is THREAD_LIST_SYNC of the whole guild: the active threads that the session may see.
func (t *turn) sendThreads(r *receiver) {
	if r.Intents&wire.IntentGuilds == 0 {
		return
	}
	var threads []*thread
	for _, th := range t.g.threads {
		if !th.archived && t.g.seesThread(th, r.User, r.class) {
			threads = append(threads, th)
		}
	}
	// Without channel_ids it speaks of the whole guild.
	body := wire.DropField(nil, t.g.threadListBody(nil, threads, r.User), "channel_ids")
	t.private(r.Handle, wire.NewDispatch("THREAD_LIST_SYNC", body, nil))
}

// sendThreadMembers answers who has joined the threads, to a session that may see them.
func (t *turn) sendThreadMembers(r *receiver, threads []wire.Snowflake) {
	g := t.g
	for _, id := range slices.Compact(slices.Sorted(slices.Values(threads))) {
		th := g.threadByID[id]
		if th == nil || !g.seesThread(th, r.User, r.class) {
			continue
		}
		dst := g.id.AppendJSON([]byte(`{"guild_id":`))
		dst = th.id.AppendJSON(wire.AppendKey(dst, "thread_id"))
		dst = append(wire.AppendKey(dst, "members"), '[')
		view := g.view()
		for _, m := range th.members {
			dst = append(wire.AppendComma(dst), m.raw[:len(m.raw)-1]...)
			if member, ok := g.members.Get(uint64(m.user)); ok {
				dst = view.append(wire.AppendKey(dst, "member"), member, 0)
			}
			if p := g.presences.get(m.user); p != nil && r.Intents&wire.IntentGuildPresences != 0 {
				dst = p.append(wire.AppendKey(dst, "presence"), m.user, g.id)
			}
			dst = append(dst, '}')
		}
		body := append(dst, ']', '}')
		t.private(r.Handle, wire.NewDispatch("THREAD_MEMBER_LIST_UPDATE", body, nil))
	}
}
