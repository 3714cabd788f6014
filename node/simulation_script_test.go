package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"throng/node/api"
	"throng/wire"
)

// simOp is what a request of the backend does to the model, once its guild sees it.
type simOp func(g *simGuild)

// ask hands the request that call makes to the shard, together with what it means. The doors wait
// for an answer; here their context has ended, so they return at once and the request goes on.
func (w *world) ask(g *simGuild, op simOp, call func(ctx context.Context) error) {
	inbox := w.core.shardOf(g.id).inbox
	before := len(inbox.waiting)
	err := call(w.ctx)
	// Many members are several messages, one right behind the other.
	if len(inbox.waiting) > before {
		if m, ok := inbox.waiting[before].(*guildWork); ok {
			m.by = callerOf(context.Background()) // It has not given up.
			w.ops[m] = op
			return
		}
	}
	var busy *api.Error
	if !errors.As(err, &busy) || busy.Status != 429 && busy.Status != 503 {
		w.fail("a request did not reach guild %d: %v", g.id, err)
	}
}

// backend makes one request of a backend.
func (w *world) backend() {
	r := w.rng
	g := w.model.guilds[r.IntN(len(w.model.guilds))]
	switch what := r.IntN(100); {
	case !g.exists || what < 2:
		w.putGuild(g)
	case what < 4 && w.chance(2):
		w.deleteGuild(g)
	case what < 10 || len(g.members) == 0:
		w.putMembers(g, 1+r.IntN(5))
	case what < 13:
		w.removeMember(g)
	case what < 16:
		w.publishUser()
	case what < 18:
		w.rename()
	case what < 21:
		w.voiceServer()
	case what < 23, w.opts.stormy && what < 40:
		w.storm(g)
	default:
		w.publish(g, 1+r.IntN(3)*r.IntN(2))
	}
}

func (w *world) putGuild(g *simGuild) {
	if g.exists && len(w.users) >= simManyUsers && w.waits(g) {
		return
	}
	doc := w.someDoc(g)
	w.ask(g, func(g *simGuild) { g.replace(doc) }, func(ctx context.Context) error {
		return w.node.PutGuild(ctx, g.id, []byte(doc.json(g.id)))
	})
}

// simManyUsers is where a role that has just been deleted may be refused, which the model does not
// follow: so a document must not bring back one whose end is still in the shard's inbox.
const simManyUsers = 1000

// waits says whether the guild has yet to see something.
func (w *world) waits(g *simGuild) bool {
	s := w.core.shardOf(g.id)
	p := s.guilds[g.id]
	return len(s.inbox.waiting) > 0 || p == nil || p.guild == nil
}

func (w *world) deleteGuild(g *simGuild) {
	op := func(g *simGuild) {
		if !g.exists {
			return
		}
		g.publish(&simEvent{name: "GUILD_DELETE", full: "gone"}, nil, 0)
		*g = simGuild{m: g.m, id: g.id, deleted: true}
		w.count("guilds deleted")
	}
	w.ask(g, op, func(ctx context.Context) error { return w.node.DeleteGuild(ctx, g.id) })
}

func (w *world) putMembers(g *simGuild, n int) {
	announce := w.chance(2)
	var ops []simOp
	var lines [][]byte
	for _, i := range w.rng.Perm(len(w.users))[:min(n, len(w.users))] {
		patch := w.somePatch(g, w.users[i].id)
		lines = append(lines, []byte(patch.json("user_id")))
		ops = append(ops, func(g *simGuild) { g.putMember(patch, announce, false) })
	}
	op := func(g *simGuild) {
		for _, op := range ops {
			if g.exists {
				op(g)
			}
		}
	}
	w.ask(g, op, func(ctx context.Context) error {
		_, err := w.node.PutMembers(ctx, g.id, lines, announce)
		return err
	})
}

func (w *world) removeMember(g *simGuild) {
	user := w.someMember(g)
	w.ask(g, func(g *simGuild) { g.removeMember(user) }, func(ctx context.Context) error {
		return w.node.RemoveMember(ctx, g.id, user)
	})
}

// publish publishes a few events in one request.
func (w *world) publish(g *simGuild, n int) {
	var events []api.EventInput
	var ops []simOp
	for range n {
		e, op := w.someEvent(g)
		events, ops = append(events, e), append(ops, op)
	}
	w.publishAll(g, events, ops)
}

func (w *world) publishAll(g *simGuild, events []api.EventInput, ops []simOp) {
	op := func(g *simGuild) {
		for _, op := range ops {
			if g.exists {
				op(g)
			}
		}
	}
	w.ask(g, op, func(ctx context.Context) error {
		_, _, err := w.node.Publish(ctx, g.id, events)
		return err
	})
}

// storm changes the roles of many members at once, which makes classes come and go by the hundred.
func (w *world) storm(g *simGuild) {
	var events []api.EventInput
	var ops []simOp
	n := 60
	if w.opts.stormy {
		n = 300
	}
	for range n {
		e, op := w.memberUpdate(g)
		events, ops = append(events, e), append(ops, op)
	}
	w.publishAll(g, events, ops)
}

// publishUser sends a direct message to a user's sessions.
func (w *world) publishUser() {
	user := w.users[w.rng.IntN(len(w.users))]
	content := fmt.Sprint("direct ", w.mark())
	d := fmt.Sprintf(`{"id":"%d","content":"%s","author":{"id":"1","username":"a"}}`,
		w.nextID(), content)
	var before []int
	for _, l := range w.core.loops {
		before = append(before, len(l.inbox.waiting))
	}
	_, _, err := w.node.PublishUser(w.ctx, user.id, []api.EventInput{{Type: "MESSAGE_CREATE",
		Data: []byte(d)}})
	if err != nil {
		w.fail("publish to user %d: %v", user.id, err)
	}
	event := &simEvent{name: "MESSAGE_CREATE", full: w.digestOf("MESSAGE_CREATE", []byte(d))}
	for i, l := range w.core.loops {
		for k := before[i]; k < len(l.inbox.waiting); k++ {
			l.inbox.waiting[k] = &simLoopSpy{l.inbox.waiting[k], w, event}
		}
	}
}

// simLoopSpy tells the model of a private event at the moment at which the loop sees it.
type simLoopSpy struct {
	loopMessage
	w     *world
	event *simEvent
}

func (m *simLoopSpy) do(l *loop) {
	if s := l.session(m.loopMessage.(*userEvents).to); s != nil {
		if s.intents&wire.IntentDirectMessages != 0 && s.shard[0] == 0 {
			m.w.model.session(s.id.String()).give(0, m.event, true)
		}
	}
	m.loopMessage.do(l)
}

// simPatch is a member as a backend writes it; nil leaves a field as it is.
type simPatch struct {
	user    wire.Snowflake
	roles   []wire.Snowflake
	hasRole bool
	nick    string
	timeout *int64
}

func (w *world) somePatch(g *simGuild, user wire.Snowflake) simPatch {
	r := w.rng
	p := simPatch{user: user, nick: fmt.Sprint("nick ", w.mark())}
	if r.IntN(4) > 0 {
		p.hasRole = true
		for _, role := range g.roles {
			if role.id != g.id && r.IntN(3) == 0 {
				p.roles = append(p.roles, role.id)
			}
		}
	}
	if r.IntN(6) == 0 {
		at := int64(0)
		if r.IntN(3) > 0 {
			at = w.core.wall() + int64(r.IntN(4000))
		}
		p.timeout = &at
	}
	return p
}

func (p *simPatch) json(key string) string {
	var b strings.Builder
	if key == "user" {
		fmt.Fprintf(&b, `{"user":{"id":"%d"}`, p.user)
	} else {
		fmt.Fprintf(&b, `{"user_id":"%d"`, p.user)
	}
	fmt.Fprintf(&b, `,"nick":"%s"`, p.nick)
	if p.hasRole {
		b.WriteString(`,"roles":[`)
		for i, role := range p.roles {
			if i > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, `"%d"`, role)
		}
		b.WriteByte(']')
	}
	if p.timeout != nil {
		if *p.timeout == 0 {
			b.WriteString(`,"communication_disabled_until":null`)
		} else {
			fmt.Fprintf(&b, `,"communication_disabled_until":"%s"`,
				wire.AppendTime(nil, *p.timeout))
		}
	}
	b.WriteByte('}')
	return b.String()
}

// putMember adds a member or changes one. afresh forgets what there was, as GUILD_MEMBER_ADD does.
func (g *simGuild) putMember(p simPatch, announce, afresh bool) {
	for _, role := range p.roles {
		if g.role(role) == nil {
			return // Refused: there is no such role.
		}
	}
	next := simMember{}
	old := g.members[p.user]
	if old != nil && !afresh {
		next = *old
	}
	next.nick = p.nick
	if p.hasRole {
		next.roles = p.roles
	}
	if p.timeout != nil {
		next.timeout = *p.timeout
	}
	g.members[p.user] = &next
	g.mayReset(p.user)
	if !announce {
		return
	}
	g.noteMember(p.user)
	name := "GUILD_MEMBER_UPDATE"
	if old == nil || afresh {
		name = "GUILD_MEMBER_ADD"
	}
	g.publish(&simEvent{name: name, full: g.memberText(p.user)}, nil, p.user)
}

// memberText is a member's digest. A role that was deleted does not show.
func (g *simGuild) memberText(user wire.Snowflake) string {
	m := g.members[user]
	var roles []string
	for _, role := range m.roles {
		if g.role(role) != nil {
			roles = append(roles, role.String())
		}
	}
	slices.Sort(roles)
	until := ""
	if m.timeout != 0 {
		until = string(wire.AppendTime(nil, m.timeout))
	}
	return fmt.Sprintf("%d %s %s %v %s", user, g.m.names[user], m.nick, roles, until)
}

func (g *simGuild) removeMember(user wire.Snowflake) {
	if !g.exists || g.members[user] == nil {
		return
	}
	for _, r := range g.joined {
		if r.user == user {
			if r.has(0) {
				r.give(g.id, &simEvent{name: "GUILD_DELETE", full: "gone"}, true)
			}
			delete(g.said, r)
			delete(g.news.of, r)
		}
	}
	g.joined = slices.DeleteFunc(g.joined, func(r *simSession) bool { return r.user == user })
	g.leaveVoice(user)
	delete(g.presences, user)
	delete(g.line.noted, user)
	delete(g.members, user)
	delete(g.owes, user)
	g.publish(&simEvent{name: "GUILD_MEMBER_REMOVE", full: user.String()}, nil, user)
}

func (w *world) someMember(g *simGuild) wire.Snowflake {
	return w.users[w.rng.IntN(len(w.users))].id
}

// someDoc is the guild's document with something changed, or a new one.
func (w *world) someDoc(g *simGuild) simDoc {
	r := w.rng
	d := simDoc{name: fmt.Sprint("guild ", w.mark()), owner: w.users[r.IntN(len(w.users))].id}
	if !g.exists {
		d.roles = []simRole{{g.id, "@everyone", w.somePermissions() | simView}}
		n := 2 + r.IntN(4)
		if w.opts.stormy {
			n = 14
		}
		for range n {
			d.roles = append(d.roles, w.someRole())
		}
		for range 2 + r.IntN(4) {
			d.channels = append(d.channels, w.newChannel(g, d.roles))
		}
		return d
	}
	if r.IntN(2) == 0 {
		d.name, d.owner = g.name, g.owner
	}
	for _, role := range g.roles {
		if role.id == g.id || r.IntN(6) > 0 {
			d.roles = append(d.roles, role)
		}
	}
	if r.IntN(2) == 0 {
		d.roles = append(d.roles, w.someRole())
	}
	for _, c := range g.channels {
		switch r.IntN(6) {
		case 0:
			continue
		case 1:
			c.grant = w.someGrants(g, d.roles)
		}
		d.channels = append(d.channels, c)
	}
	if r.IntN(2) == 0 {
		d.channels = append(d.channels, w.newChannel(g, d.roles))
	}
	return d
}

func (w *world) somePermissions() uint64 {
	var p uint64
	for _, bit := range []uint64{simBan, simManageChannels, simAuditLog, simView, simConnect} {
		if w.chance(3) {
			p |= bit
		}
	}
	if w.chance(12) {
		p |= simAdministrator
	}
	return p
}

func (w *world) someRole() simRole {
	return simRole{w.nextID(), fmt.Sprint("role ", w.mark()), w.somePermissions()}
}

func (w *world) newChannel(g *simGuild, roles []simRole) simChannel {
	return simChannel{w.nextID(), 2 * w.rng.IntN(2), fmt.Sprint("channel ", w.mark()),
		w.someGrants(g, roles)}
}

func (w *world) someGrants(g *simGuild, roles []simRole) (grants []simGrant) {
	r := w.rng
	if r.IntN(3) == 0 {
		return nil
	}
	if r.IntN(2) == 0 {
		grants = append(grants, simGrant{g.id, false, 0, simView})
	}
	for _, role := range roles {
		if role.id != g.id && r.IntN(3) == 0 {
			p := w.somePermissions() &^ simAdministrator
			grants = append(grants, simGrant{role.id, false, p, w.somePermissions() &^ p &^ 8})
		}
	}
	if r.IntN(3) == 0 {
		p := w.somePermissions() &^ simAdministrator
		grants = append(grants, simGrant{w.someMember(g), true, p, w.somePermissions() &^ p &^ 8})
	}
	return grants
}
