package node

import (
	"fmt"

	"throng/fanout"
	"throng/node/api"
	"throng/wire"
)

// Users get new names while everything else goes on. The table of users has one name at a time, and
// everything that is written after it changed has the new one; so the model's bodies, which must be
// the node's to the letter, hold that no older name comes behind a newer one. That nobody is left
// with an old name is held by what guilds owe.

// rename gives a user another name.
func (w *world) rename() {
	user := w.users[w.rng.IntN(len(w.users))]
	name := fmt.Sprint("name ", w.mark())
	before := len(w.keeps)
	_, err := w.node.PutUsers(w.ctx, []api.UserInput{{ID: user.id, Doc: fmt.Appendf(nil,
		`{"username":"%s","bot":%t}`, name, user.bot)}})
	if len(w.keeps) != before+1 {
		w.fail("rename user %d: %v", user.id, err)
		return
	}
	k := &w.keeps[before]
	done := k.done
	k.done = func(err error) {
		w.model.rename(user.id, name)
		done(err)
	}
}

func (m *simModel) rename(user wire.Snowflake, name string) {
	m.names[user] = name
	for _, g := range m.guilds {
		if g.exists && g.members[user] != nil {
			g.owes[user] = true
		}
	}
	m.w.count("renames")
}

// spyErrands has the model told of each errand when the guild comes to it.
func (w *world) spyErrands(b *errandBatch) {
	for i, e := range b.errands {
		if _, spied := e.(*simErrand); !spied {
			b.errands[i] = &simErrand{e, w.model}
		}
	}
}

type simErrand struct {
	errand
	m *simModel
}

func (e *simErrand) run(s *shard, g *fanout.Guild, budget int) (done int, more bool) {
	if r, ok := e.errand.(*rename); ok {
		e.m.guild(r.guild).userChanged(r.user)
	}
	return e.errand.run(s, g, budget)
}

// userChanged tells everyone who may know.
func (g *simGuild) userChanged(user wire.Snowflake) {
	if !g.exists || g.members[user] == nil {
		return
	}
	delete(g.owes, user)
	g.noteMember(user)
	g.publish(&simEvent{name: "GUILD_MEMBER_UPDATE", full: g.memberText(user)}, nil, user)
	presence := g.presences[user]
	if presence == "" {
		presence = wire.StatusOffline
	}
	delete(g.line.noted, user)
	g.publish(&simEvent{name: "PRESENCE_UPDATE",
		full: fmt.Sprint(user, " ", g.m.names[user], " ", presence)}, nil, user)
}

// runCourier is what wakes the courier in the driver.
func (w *world) runCourier() {
	if !w.courier.ready || w.courier.asleep >= w.steps && !w.calm {
		return
	}
	w.courier.ready = false
	var before []int
	for _, l := range w.core.loops {
		before = append(before, len(l.inbox.waiting))
	}
	w.late = w.core.courier.pass()
	for i, l := range w.core.loops {
		for k, m := range l.inbox.waiting[before[i]:] {
			if c, ok := m.(*userChanged); ok {
				l.inbox.waiting[before[i]+k] = &simUserSpy{c, w.model}
			}
		}
	}
}

// simUserSpy tells the model of a USER_UPDATE at the moment at which the loop makes it.
type simUserSpy struct {
	*userChanged
	m *simModel
}

func (m *simUserSpy) do(l *loop) {
	if s := l.session(m.to); s != nil {
		full := fmt.Sprint(s.user, " ", m.m.names[s.user])
		m.m.session(s.id.String()).give(0, &simEvent{name: "USER_UPDATE", full: full}, true)
	}
	m.userChanged.do(l)
}

// oldNames names somebody who is known by an old name, "" when there is none.
func (w *world) oldNames() string {
	for _, g := range w.model.guilds {
		if len(g.owes) > 0 {
			return fmt.Sprintf("guild %d tells of no new name of %d users", g.id, len(g.owes))
		}
	}
	for _, c := range w.clients {
		if want := w.model.names[c.user.id]; c.record.name != want {
			return fmt.Sprintf("client %d takes itself for %q, and is %q", c.index, c.record.name,
				want)
		}
	}
	return ""
}
