package fanout

import (
	"slices"

	"throng/store"
	"throng/wire"
)

// turn gathers what follows from one call to the guild. A method checks its request first, then
// changes the state, and only then says anything: a refusal leaves nothing behind.
type turn struct {
	g   *Guild
	now int64
	c   Change
}

// turn begins a call. Timeouts that have ended meanwhile are seen to first, so that the audience of
// whatever follows is judged by the classes its receivers are in.
func (g *Guild) turn(now int64) *turn {
	t := &turn{g: g, now: now, c: Change{Msgs: g.held}}
	g.held = nil
	t.expire()
	return t
}

// refuse ends a call that was refused. What the passing of time brought about stays true, so it is
// held for the next call.
func (t *turn) refuse(err *Error) (Change, error) {
	t.g.held = t.c.Msgs
	return Change{Index: t.g.index}, err
}

// done returns the change.
func (t *turn) done() Change {
	t.workLists()
	t.g.classes.bury()
	t.c.Index = t.g.index
	return t.c
}

func (t *turn) send(m Msg) {
	m.Guild = t.g.id
	t.c.Msgs = append(t.c.Msgs, m)
}

func (t *turn) keep(op store.Op) { t.c.Ops = append(t.c.Ops, op) }

// publish sends one event to its audience. stripped is nil when it is the same as body.
func (t *turn) publish(name string, body, stripped []byte, ev Event) {
	ev.Dispatch = wire.NewDispatch(name, body, stripped)
	info, _ := wire.LookupEvent(name)
	ev.Passive = info.Passes()
	ev.behind = &t.g.behind
	t.g.index++
	m := Msg{Kind: MsgPublish, Loop: ActiveLoops, Event: &ev}
	if ev.Passive {
		m.Loop = AllLoops
	}
	t.send(m)
	t.direct(&ev)
}

// private sends dispatches to one session.
func (t *turn) private(h Handle, dispatches ...*wire.Dispatch) {
	t.send(Msg{Kind: MsgPrivate, Loop: int(h.Loop), To: h, Dispatches: dispatches})
}

// privately sends one body to those sessions of the user that have the intents.
func (t *turn) privately(user wire.Snowflake, intents wire.Intents, name string, body []byte) {
	var d *wire.Dispatch
	t.g.receivers.of(user, func(r *receiver) {
		if intents != 0 && r.Intents&intents == 0 {
			return
		}
		if d == nil {
			d = wire.NewDispatch(name, body, nil)
		}
		t.private(r.Handle, d)
	})
}

// reclass moves the user's sessions to the class that the member is in now. It comes before the
// event that tells of the change: who lost sight of a channel must not get even what was published
// right after, and who gained it must get all of that.
func (t *turn) reclass(user wire.Snowflake) {
	g := t.g
	if !g.receivers.connected(user) {
		return
	}
	member, ok := g.members.Get(uint64(user))
	if !ok {
		return
	}
	g.mark(user)
	class := g.classOf(member, t.now)
	g.receivers.of(user, func(r *receiver) {
		if r.class == class {
			return
		}
		g.classes.hold(class)
		g.classes.release(r.class)
		r.class = class
		g.news.reset = g.news.reset || r.passive
		t.send(Msg{Kind: MsgReclass, Loop: int(r.Loop), To: r.Handle, Class: class})
	})
}

// classOf returns the class of a connected member and takes note of when it ends by itself.
func (g *Guild) classOf(member store.Member, now int64) uint32 {
	user := wire.Snowflake(member.User)
	if member.TimeoutAt > now {
		g.timeouts[user] = member.TimeoutAt
		if g.timeoutNext == 0 || member.TimeoutAt < g.timeoutNext {
			g.timeoutNext = member.TimeoutAt
		}
	} else {
		delete(g.timeouts, user)
	}
	return g.intern(g.keyOf(member, now))
}

// expire moves those whose timeout has ended to their ordinary class. That it runs ahead of events
// only is soon enough: a class matters when there is something to deliver.
func (t *turn) expire() {
	g := t.g
	if g.timeoutNext == 0 || t.now < g.timeoutNext {
		return
	}
	var ended []wire.Snowflake
	g.timeoutNext = 0
	for user, end := range g.timeouts {
		switch {
		case end <= t.now:
			ended = append(ended, user)
		case g.timeoutNext == 0 || end < g.timeoutNext:
			g.timeoutNext = end
		}
	}
	slices.Sort(ended)
	for _, user := range ended {
		delete(g.timeouts, user)
		t.reclass(user)
	}
}

// resight follows a change of roles, overwrites or owner: every remembered answer is dropped, and
// those whom overwrites name now or named before, and the owners, change class.
func (t *turn) resight(ownerBefore wire.Snowflake) {
	g := t.g
	before := make(map[wire.Snowflake]bool, len(g.classes.named))
	for user := range g.classes.named {
		before[user] = true
	}
	g.forgetSight()
	g.head = nil
	if g.lists != nil {
		g.lists.resee = true
	}
	var moved []wire.Snowflake
	for user := range g.classes.named {
		if !before[user] {
			moved = append(moved, user)
		}
	}
	for user := range before {
		if !g.classes.named[user] {
			moved = append(moved, user)
		}
	}
	if ownerBefore != g.owner {
		moved = append(moved, ownerBefore, g.owner)
	}
	slices.Sort(moved)
	for _, user := range slices.Compact(moved) {
		t.reclass(user)
	}
}
