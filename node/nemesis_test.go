package node

import (
	"fmt"
	"testing"

	"throng/store"
	"throng/wire"
)

// nemesis is a run in which nodes come and go, guilds move, connections between nodes break and
// leases end, while sessions come and go and guilds are published to. Each user is in one guild.
type nemesis struct {
	*handMesh
	users   int
	guilds  []wire.Snowflake
	marks   map[wire.Snowflake]int
	clients []*meshClient
	names   int
	lists   int
}

// TestNodesComeAndGo: whatever happens to the nodes, a session whose node lives hears every message
// of its guild once and in order, but for those before a GUILD_CREATE; at no time do two nodes own
// a guild; and in the end all is as if nothing had happened.
func TestNodesComeAndGo(t *testing.T) {
	t.Parallel()
	for seed := range fewer(100) {
		if compute(func() { comeAndGo(t, seed) }); t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func comeAndGo(t *testing.T, seed uint64) {
	m := &nemesis{users: 12, marks: map[wire.Snowflake]int{}}
	m.handMesh = newBriefMesh(t, seed, 3, m.users)
	for i := range 3 {
		m.guilds = append(m.guilds, wire.Snowflake(4096*(i+1)))
	}
	for _, n := range m.all {
		m.furnish(n)
	}
	m.show()
	for range 300 {
		m.act()
		for range m.rng.IntN(8) {
			m.step()
		}
		for _, g := range m.guilds {
			m.owner(g)
		}
	}
	m.end(seed)
}

// furnish puts the guilds into a node's directory. Each third user is a person.
func (m *nemesis) furnish(n *meshNode) {
	for u := 3; u <= m.users; u += 3 {
		record := &store.User{ID: uint64(u), Name: "p", Doc: fmt.Sprintf(
			`{"id":"%d","username":"p"}`, u)}
		err := n.dir.Apply([]store.Op{{Kind: store.OpPutUser, User: uint64(u), UserRecord: record}})
		if err != nil {
			m.t.Fatal(err)
		}
	}
	for i, g := range m.guilds {
		var members []wire.Snowflake
		for u := i; u < m.users; u += len(m.guilds) {
			members = append(members, wire.Snowflake(u+1))
		}
		putAway(m.t, n.dir.Directory, n.users, g, members...)
	}
}

func (m *nemesis) guildOf(user wire.Snowflake) wire.Snowflake {
	return m.guilds[(int(user)-1)%len(m.guilds)]
}

// act does something of all that.
func (m *nemesis) act() {
	live := m.live()
	n := live[m.rng.IntN(len(live))]
	switch what := m.rng.IntN(100); {
	case what < 20 && len(m.clients) > 0:
		m.talk(m.clients[m.rng.IntN(len(m.clients))])
	case what < 50:
		g := m.guilds[m.rng.IntN(len(m.guilds))]
		if m.publish(g, m.marks[g]+1) {
			m.marks[g]++
		}
	case what < 68:
		if user := m.idle(); user != 0 && n.incarnation != 0 {
			m.enter(n, user)
		}
	case what < 73 && len(m.clients) > 0:
		i := m.rng.IntN(len(m.clients))
		m.clients[i].leave(1000)
		m.forget(i)
	case what < 79:
		m.weights[n.name] = 64 << m.rng.IntN(5)
		m.show()
	case what < 83:
		m.show()
	case what < 88 && len(live) > 1:
		if o := live[m.rng.IntN(len(live))]; o != n && !n.zombie && !o.zombie {
			m.disconnect(n, o)
			m.connect(n, o)
		}
	case what < 90 && len(live) > 2 && len(m.weights) > 1:
		m.kill(n)
	case what < 92 && len(live) < 4:
		m.names++
		m.furnish(m.join(fmt.Sprint("late-", m.names), m.users))
		m.show()
	case what < 95 && n.incarnation != 0:
		n.incarnation = 0
	case what < 97:
		m.leaseBack(n)
	case n.zombie:
		m.takeBack(n)
	case len(m.weights) > 1 && m.weights[n.name] > 0:
		m.expel(n)
	}
}

// enter begins a session.
func (m *nemesis) enter(n *meshNode, user wire.Snowflake) {
	c := m.dial(n, user)
	if c.passive = user%3 == 0; c.passive {
		// It is said as soon as the session is ready, and holds for as long as it lasts.
		hear := c.hear
		said := false
		c.hear = func(payload []byte) {
			if hear(payload); !said && c.heard[`"READY"`] > 0 {
				said = true
				n.jobs = append(n.jobs, func() {
					c.say(fmt.Sprintf(`{"op":14,"d":{"guild_id":"%d","typing":true}}`,
						m.guildOf(user)))
				})
			}
		}
	}
	m.clients = append(m.clients, c)
}

// talk has a client say something to its guild, or the guild's backend something of it.
func (m *nemesis) talk(c *meshClient) {
	guild := m.guildOf(c.user)
	if c.ready == 0 {
		return
	}
	switch m.rng.IntN(4) {
	case 0:
		c.say(`{"op":3,"d":{"since":null,"activities":[],"afk":false,"status":"idle"}}`)
	case 1:
		if len(c.marks) > 0 && c.heard[`"GUILD_DELETE"`] == 0 {
			m.lists++
			c.list(guild, fmt.Sprint("n", m.lists), `"query":"u","limit":9`)
		}
	case 2:
		m.remove(guild, c.user)
	case 3:
		m.add(guild, c.user)
	}
}

func (m *nemesis) leaseBack(n *meshNode) {
	if n.incarnation == 0 {
		n.incarnation = n.born
		n.mesh.leaseBack()
	}
}

// kill ends a node with its sessions.
func (m *nemesis) kill(n *meshNode) {
	m.lose(n)
	for i := len(m.clients) - 1; i >= 0; i-- {
		if m.clients[i].node == n {
			m.forget(i)
		}
	}
	m.show()
}

func (m *nemesis) forget(i int) {
	if err := m.clients[i].check(); err != nil {
		m.t.Error(err)
	}
	m.clients = append(m.clients[:i], m.clients[i+1:]...)
}

// idle is a user without a client, 0 when all have one.
func (m *nemesis) idle() wire.Snowflake {
	taken := map[wire.Snowflake]bool{}
	for _, c := range m.clients {
		taken[c.user] = true
	}
	for i := range m.users {
		if user := wire.Snowflake(i + 1); !taken[user] {
			return user
		}
	}
	return 0
}

// countSessions holds that a guild has the sessions that there are and no others.
func (m *nemesis) countSessions(seed uint64, guild wire.Snowflake) {
	want := 0
	for _, c := range m.clients {
		if m.guildOf(c.user) == guild {
			want++
		}
	}
	g := m.owner(guild).shardOf(guild).guilds[guild].guild
	if got := g.Info().SessionCount; got != want {
		m.t.Errorf("seed %d: guild %d has %d sessions, not %d", seed, guild, got, want)
	}
	if err := g.Check(); err != nil {
		m.t.Errorf("seed %d: %v", seed, err)
	}
}

// end ends all trouble. What is published then, all must hear.
func (m *nemesis) end(seed uint64) {
	for _, n := range m.live() {
		if n.zombie {
			m.takeBack(n)
		}
		m.leaseBack(n)
	}
	m.show()
	m.calm()
	for u := range m.users {
		user := wire.Snowflake(u + 1)
		m.add(m.guildOf(user), user)
	}
	for user := m.idle(); user != 0; user = m.idle() {
		m.enter(m.live()[m.rng.IntN(len(m.live()))], user)
	}
	m.calm()
	for _, g := range m.guilds {
		for range 3 {
			if !m.publish(g, m.marks[g]+1) {
				m.t.Errorf("seed %d: nobody has guild %d", seed, g)
			}
			m.marks[g]++
		}
	}
	m.calm()
	for _, g := range m.guilds {
		if n := m.behind(g); n != 0 {
			m.t.Errorf("seed %d: %d events of guild %d are on their way for ever", seed, n, g)
		}
		m.countSessions(seed, g)
	}
	for _, c := range m.clients {
		if err := c.check(); err != nil {
			m.t.Errorf("seed %d: user %d: %v", seed, c.user, err)
		}
		for nonce, a := range c.lists {
			if a.wrong != "" || !a.over && c.heard[`"GUILD_DELETE"`] == 0 {
				m.t.Errorf("seed %d: user %d: list %s: %d chunks, %s", seed, c.user, nonce, a.chunks,
					a.wrong)
			}
		}
		last := -1
		if len(c.marks) > 0 {
			last = c.marks[len(c.marks)-1]
		}
		if want := m.marks[m.guildOf(c.user)]; last != want {
			m.t.Errorf("seed %d: user %d on %s has heard %v, not the last, %d", seed, c.user,
				c.node.name, c.marks, want)
		}
	}
}
