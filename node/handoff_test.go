package node

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"testing"

	"throng/fanout"
	"throng/store"
	"throng/wire"
	"throng/wire/pack"
)

// movers is a run in which guilds are handed over again and again, in small steps. Members without
// sessions come and go, and what becomes of that and of what sessions say of themselves is known.
type movers struct {
	*nemesis
	said  map[wire.Snowflake]int // Users' presences, by number.
	known map[wire.Snowflake]int // The same, as owners have it.
	extra map[wire.Snowflake]map[wire.Snowflake]bool
	homes map[wire.Snowflake]*meshNode
	last  int
	// gentle: nothing happens to any node, so that nothing may be lost.
	gentle bool
}

// extraUsers are those without sessions, from firstExtra on.
const firstExtra, extraUsers = 5000, 3

func newMovers(t *testing.T, seed uint64, nodes, users int) *movers {
	m := &movers{nemesis: &nemesis{users: users, marks: map[wire.Snowflake]int{}},
		said:  map[wire.Snowflake]int{},
		known: map[wire.Snowflake]int{}, homes: map[wire.Snowflake]*meshNode{},
		extra: map[wire.Snowflake]map[wire.Snowflake]bool{}}
	m.handMesh = newBriefMesh(t, seed, nodes, users)
	for i := range 3 {
		g := wire.Snowflake(4096 * (i + 1))
		m.guilds = append(m.guilds, g)
		m.extra[g] = map[wire.Snowflake]bool{}
	}
	m.slowest = 30
	for _, n := range m.all {
		m.slowDown(n)
	}
	m.show()
	return m
}

// slowDown has a node hand guilds over in small steps.
func (m *movers) slowDown(n *meshNode) {
	m.furnish(n)
	n.limits.handoffLooks, n.limits.handoffPartBytes = 1+m.rng.IntN(4), 1+m.rng.IntN(300)
	n.limits.handoffLastMax, n.limits.handoffPartsMax = m.rng.IntN(4), 1+m.rng.IntN(3)
	n.limits.presencesMilli = 0
	n.slow = m.slowness()
	for _, o := range m.all {
		if p := n.pipes[o]; p != nil {
			p.slow = m.slowness()
		}
	}
}

// TestGuildsMoveUnnoticed: guilds are handed over again and again, by new views, while sessions of
// all nodes come, go and are published to. Nobody hears of a guild anew, misses a message or hears
// one twice, and no hand-off fails. In the end every node knows the same members, and of each user
// what it said last.
func TestGuildsMoveUnnoticed(t *testing.T) {
	t.Parallel()
	seeds, handed, count := fewer(80), uint64(0), requestCount{}
	for seed := range seeds {
		m := newMovers(t, seed, 4, 18)
		m.gentle = true
		compute(func() {
			for range 400 {
				m.actGently()
				m.someSteps()
				m.checkOrder(seed)
			}
			m.end(seed)
			m.checkState(seed)
		})
		count.add(m.count)
		for _, n := range m.all {
			handed += n.handed.Load()
			if failed := n.handsFailed.Load(); failed > 0 {
				t.Errorf("seed %d: %d hand-offs of %s failed", seed, failed, n.name)
			}
		}
		for _, c := range m.clients {
			m.unnoticed(c)
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	if handed < 3*seeds {
		t.Errorf("%d guilds were handed over only", handed)
	}
	if count.refused > 0 || count.led < int(handed) || count.held > count.done/50 {
		t.Errorf("requests: %+v", count)
	}
	t.Logf("%d guilds were handed over, requests: %+v", handed, count)
}

// TestHandOffsFail: whatever happens to a node that hands a guild over, or takes it, or follows it,
// in the midst of that, all is as it should be in the end.
func TestHandOffsFail(t *testing.T) {
	t.Parallel()
	strikes := 0
	for seed := range fewer(250) {
		if compute(func() { strikes += handOffsFail(t, seed) }); t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	t.Logf("%d strikes", strikes)
}

func handOffsFail(t *testing.T, seed uint64) (strikes int) {
	m := newMovers(t, seed, 4, 18)
	for range 300 {
		m.actGently()
		for range m.rng.IntN(8) {
			m.step()
			if m.strike() {
				strikes++
			}
		}
		for _, g := range m.guilds {
			m.owner(g)
		}
	}
	m.atRest(seed)
	m.end(seed)
	return strikes
}

// atRest holds that all who are there hear their guild when trouble is over, and nobody has to come
// or to ask for that.
func (m *movers) atRest(seed uint64) {
	for _, n := range m.live() {
		m.leaseBack(n)
	}
	m.calm()
	wanted := map[wire.Snowflake]bool{}
	for _, c := range m.clients {
		wanted[m.guildOf(c.user)] = true
	}
	for _, g := range m.guilds {
		if wanted[g] && !m.publish(g, m.marks[g]+1) {
			m.t.Errorf("seed %d: nobody has guild %d", seed, g)
		} else if wanted[g] {
			m.marks[g]++
		}
	}
	m.calm()
	for _, c := range m.clients {
		if want := m.marks[m.guildOf(c.user)]; len(c.marks) == 0 || c.marks[len(c.marks)-1] != want {
			m.t.Errorf("seed %d: user %d on %s has heard %v, not the last, %d", seed, c.user,
				c.node.name, c.marks, want)
		}
	}
	m.checkPresences(seed)
}

func (m *movers) someSteps() {
	for range m.rng.IntN(8) {
		m.step()
	}
	for _, g := range m.guilds {
		m.owner(g)
	}
}

// actGently does something that no session may notice.
func (m *movers) actGently() {
	live := m.live()
	n, g := live[m.rng.IntN(len(live))], m.guilds[m.rng.IntN(len(m.guilds))]
	switch what := m.rng.IntN(100); {
	case what < 25 && m.gentle:
		m.publishAt(n, g)
	case what < 35:
		if m.publish(g, m.marks[g]+1) {
			m.marks[g]++
		}
	case what < 50:
		m.changeMembers(g)
	case what < 65 && len(m.clients) > 0:
		m.sayPresence(m.clients[m.rng.IntN(len(m.clients))])
	case what < 85:
		m.comeBack(n)
	case what < 90 && len(m.clients) > 0:
		i := m.rng.IntN(len(m.clients))
		m.clients[i].leave(1000)
		m.forget(i)
	case what < 96:
		if _, member := m.weights[n.name]; member {
			m.weights[n.name] = 64 << m.rng.IntN(5)
			m.show()
		}
	}
}

// comeBack begins a user's session, on the node of the one before: what that has said may still be
// on its way, and there is no order between nodes.
func (m *movers) comeBack(n *meshNode) {
	user := m.idle()
	if home := m.homes[user]; home != nil && !home.lost {
		n = home
	}
	if user != 0 && !n.zombie && n.incarnation != 0 {
		delete(m.said, user)
		m.homes[user] = n
		m.clients = append(m.clients, m.dial(n, user))
	}
}

// changeMembers has a member without a session come or go, by way of who has the guild.
func (m *movers) changeMembers(guild wire.Snowflake) {
	n := m.owner(guild)
	if n == nil {
		return
	}
	user := firstExtra + wire.Snowflake(m.rng.IntN(extraUsers))
	n.shardOf(guild).inbox.push(&guildWork{guildCall{guild}, callerOf(context.Background()),
		kindProvision,
		func(_ *shard, g *fanout.Guild, now int64) (
			_ *fanout.Guild, change fanout.Change, err error) {
			if g.HasMember(user) != m.extra[guild][user] && m.gentle {
				m.t.Errorf("guild %d: user %d is a member: %t", guild, user, g.HasMember(user))
			}
			if g.HasMember(user) {
				change, err = g.RemoveMember(user, now)
			} else {
				change, err = g.Publish("GUILD_MEMBER_ADD",
					fmt.Appendf(nil, `{"user":{"id":"%d"}}`, user), now)
			}
			if err != nil {
				m.t.Error(err)
			}
			m.extra[guild][user] = g.HasMember(user)
			return g, change, err
		}, make(chan error, 1)})
}

// sayPresence has a client say something of itself.
func (m *movers) sayPresence(c *meshClient) {
	if c.ready == 0 || c.node.lost {
		return
	}
	for range 1 + m.rng.IntN(3) {
		m.last++
		m.said[c.user] = m.last
		c.say(fmt.Sprintf(`{"op":3,"d":{"since":null,"activities":[{"name":"%d","type":0}],`+
			`"afk":false,"status":"idle"}}`, m.last))
		for range m.rng.IntN(3) {
			m.step()
		}
	}
}

// checkOrder holds that what a user said before does not come behind what it said then.
func (m *movers) checkOrder(seed uint64) {
	for _, c := range m.clients {
		id := m.guildOf(c.user)
		n := m.owner(id)
		if n == nil {
			continue
		}
		now := presenceIn(m.t, n.shardOf(id).guilds[id].guild, c.user)
		if now != 0 && now < m.known[c.user] {
			m.t.Errorf("seed %d: user %d on %s is at %d, behind %d", seed, c.user, c.node.name, now,
				m.known[c.user])
		}
		m.known[c.user] = max(now, m.known[c.user])
	}
}

// strike has something happen to who is concerned in a hand-off, when there is one just now.
func (m *movers) strike() bool {
	for _, g := range m.guilds {
		for _, n := range m.live() {
			s := n.shardOf(g)
			p := s.guilds[g]
			t := s.takings[g]
			moves := p != nil && (len(p.holds) > 0 || p.handing != nil ||
				p.link != nil && len(p.link.forwards)+len(p.link.ahead)+len(p.link.asks) > 0)
			if (moves || t != nil) && !n.zombie && m.rng.IntN(40) == 0 {
				m.hit(n)
				return true
			}
		}
	}
	return false
}

// hit has something happen to a node.
func (m *movers) hit(n *meshNode) {
	live := m.live()
	o := live[m.rng.IntN(len(live))]
	switch what := m.rng.IntN(20); {
	case what < 10 && o != n && !o.zombie:
		m.disconnect(n, o)
		m.connect(n, o)
	case what < 13 && n.incarnation != 0:
		n.incarnation = 0
		for range m.rng.IntN(20) {
			m.step()
		}
		m.leaseBack(n)
	case what < 16 && len(live) > 3 && len(m.weights) > 2:
		m.kill(n)
		m.names++
		m.slowDown(m.join(fmt.Sprint("late-", m.names), m.users))
		m.show()
	case what < 18 && len(m.weights) > 2:
		m.expel(n)
		for range m.rng.IntN(20) {
			m.step()
		}
		m.takeBack(n)
	case what < 20:
		m.weights[n.name] = 64 << m.rng.IntN(5)
		m.show()
	}
}

// unnoticed holds that a client heard of its guild once, and then of all that was said in it.
func (m *movers) unnoticed(c *meshClient) {
	for i, mark := range c.marks {
		switch {
		case i == 0 && mark != 0, i > 0 && mark == 0:
			m.t.Errorf("user %d on %s hears of the guild anew: %v", c.user, c.node.name, c.marks)
			return
		case i > 1 && mark != c.marks[i-1]+1:
			m.t.Errorf("user %d on %s misses a message: %v", c.user, c.node.name, c.marks)
			return
		}
	}
}

// forget is the end of a client, which has noticed nothing either.
func (m *movers) forget(i int) {
	c := m.clients[i]
	delete(m.said, c.user)
	m.nemesis.forget(i)
}

// checkState holds that owners and directories know the members there are, and the owners what
// each user said last.
func (m *movers) checkState(seed uint64) {
	for _, id := range m.guilds {
		g := m.owner(id).shardOf(id).guilds[id].guild
		for user, there := range m.extra[id] {
			if g.HasMember(user) != there {
				m.t.Errorf("seed %d: guild %d: user %d is a member: %t", seed, id, user, !there)
			}
		}
		for _, n := range m.live() {
			got := map[wire.Snowflake]bool{}
			err := n.dir.GuildMembers(uint64(id), func(r store.MemberRecord) error {
				got[wire.Snowflake(r.User)] = true
				return nil
			})
			if err != nil {
				m.t.Fatal(err)
			}
			for user, there := range m.extra[id] {
				if got[user] != there {
					m.t.Errorf("seed %d: guild %d: the directory of %s has user %d: %t", seed, id,
						n.name, user, !there)
				}
			}
		}
	}
	m.checkPresences(seed)
}

// checkPresences holds that guilds know what each user said last.
func (m *movers) checkPresences(seed uint64) {
	for _, c := range m.clients {
		id, said := m.guildOf(c.user), m.said[c.user]
		n := m.owner(id)
		if n == nil || said == 0 {
			continue
		}
		if got := presenceIn(m.t, n.shardOf(id).guilds[id].guild, c.user); got != said {
			m.t.Errorf("seed %d: guild %d: user %d on %s is at %d, not %d", seed, id, c.user,
				c.node.name, got, said)
		}
	}
}

// presenceIn is what a guild knows of what a user does, 0 when that is nothing.
func presenceIn(t testing.TB, g *fanout.Guild, user wire.Snowflake) int {
	t.Helper()
	q, err := g.MembersQuery(wire.MembersCommand{GuildID: g.ID(), UserIDs: []wire.Snowflake{user},
		Presences: true}, user, wire.IntentGuildMembers|wire.IntentGuildPresences, 1e12)
	if err != nil {
		t.Fatal(err)
	}
	var answer struct {
		Presences []struct {
			Activities []struct{ Name string }
		}
	}
	for _, d := range q.Next(1, &fanout.ChunkRoom{}, func() {}) {
		if err := json.Unmarshal(d.Body(), &answer); err != nil {
			t.Fatal(err)
		}
	}
	if len(answer.Presences) == 0 || len(answer.Presences[0].Activities) == 0 {
		return 0
	}
	number, err := strconv.Atoi(answer.Presences[0].Activities[0].Name)
	if err != nil {
		t.Fatal(err)
	}
	return number
}

// TestWhoLeavesAwaitsNothing: a session that leaves while its node waits for a guild, to be handed
// on to the one that it asks, is not taken in when the guild comes.
func TestWhoLeavesAwaitsNothing(t *testing.T) {
	const guild = 4096
	m := newHandMesh(t, 1, 3, 3)
	m.putAway(guild, 1, 2, 3)
	next, before, asks := m.all[0], m.all[1], m.all[2]
	for v := m.view(); ; v = m.view() {
		if v.Owner(guild) == next.name {
			next.mesh.show(v)
			break
		}
		m.weights[next.name] *= 2
	}
	m.settle()
	s := next.shardOf(guild)
	p := s.openLink(guild)
	p.link.to = next.mesh.remote(before.name)
	h := fanout.Handle{Slot: 1, Gen: 1}
	for i, ask := range []guildMessage{
		&joinGuild{guild: guild, receiver: fanout.Receiver{Handle: h, User: 1}},
		&leaveGuild{guild: guild, handle: h, user: 1},
	} {
		item := pack.AppendUint(asks.shardOf(guild).begin(itemAsk, guild), 1)
		item, _ = appendAsk(item, ask)
		next.mesh.receive(next.mesh.remote(asks.name), item)
		s.pass()
		if got, want := len(p.link.asks), 1-i; got != want {
			t.Errorf("%d wait after %d asks, want %d", got, i+1, want)
		}
	}
}

// TestPassedOnJoinIsAnsweredOnce: a session that has asked the former owner to be let in, and was
// let in by this node when that was passed on, is told to ask again as one that is in.
func TestPassedOnJoinIsAnsweredOnce(t *testing.T) {
	const guild = 4096
	m := newHandMesh(t, 1, 2, 2)
	m.putAway(guild, 1, 2)
	n := m.all[0]
	m.showOwner(guild, n)
	first := m.dial(n, 1)
	m.settle()
	s := n.shardOf(guild)
	p, asks := s.guilds[guild], &hold{}
	p.own = &link{sessions: map[fanout.Handle]bool{}, perLoop: make([]int, len(n.loops))}
	p.holds = map[int]*hold{ownHold: asks}
	second := m.dial(n, 2)
	m.settle()
	if len(asks.asks) != 1 {
		t.Fatalf("%d asks wait", len(asks.asks))
	}
	ask := asks.asks[0]
	asks.asks, p.own.sessions[ask.from()] = nil, false
	s.handleGuild(&passedOn{ask})
	m.settle()
	s.turnAwayHeld(guild, p, ownHold)
	m.settle()
	if first.guilds != 2 || second.guilds != 2 || second.away != 0 {
		t.Errorf("heard of the guild %d and %d times, and %d times that it is away", first.guilds,
			second.guilds, second.away)
	}
}
