package node

import (
	"fmt"
	"testing"

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
}

// TestNodesComeAndGo: whatever happens to the nodes, a session whose node lives hears every message
// of its guild once and in order, but for those before a GUILD_CREATE; at no time do two nodes own
// a guild; and in the end all is as if nothing had happened.
func TestNodesComeAndGo(t *testing.T) {
	t.Parallel()
	seeds := uint64(100)
	if testing.Short() || raceDetected() {
		seeds = 10
	}
	for seed := range seeds {
		if comeAndGo(t, seed); t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func comeAndGo(t *testing.T, seed uint64) {
	m := &nemesis{users: 12, marks: map[wire.Snowflake]int{}}
	m.handMesh = newHandMesh(t, seed, 3, m.users)
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

// furnish puts the guilds into a node's directory.
func (m *nemesis) furnish(n *meshNode) {
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
	case what < 50:
		g := m.guilds[m.rng.IntN(len(m.guilds))]
		if m.publish(g, m.marks[g]+1) {
			m.marks[g]++
		}
	case what < 68:
		if user := m.idle(); user != 0 && n.incarnation != 0 {
			m.clients = append(m.clients, m.dial(n, user))
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
		if o := live[m.rng.IntN(len(live))]; o != n {
			m.disconnect(n, o)
			m.connect(n, o)
		}
	case what < 90 && len(live) > 2:
		m.kill(n)
	case what < 92 && len(live) < 4:
		m.names++
		m.furnish(m.join(fmt.Sprint("late-", m.names), m.users))
		m.show()
	case what < 95 && n.incarnation != 0:
		n.incarnation = 0
	case what < 98:
		m.leaseBack(n)
	case len(live) > 1:
		m.expel(n)
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

// end ends all trouble. What is published then, all must hear.
func (m *nemesis) end(seed uint64) {
	for _, n := range m.live() {
		m.leaseBack(n)
	}
	m.show()
	for user := m.idle(); user != 0; user = m.idle() {
		m.clients = append(m.clients, m.dial(m.live()[m.rng.IntN(len(m.live()))], user))
	}
	m.settle()
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
	}
	for _, c := range m.clients {
		if err := c.check(); err != nil {
			m.t.Errorf("seed %d: user %d: %v", seed, c.user, err)
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
