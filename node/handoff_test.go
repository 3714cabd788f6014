package node

import (
	"testing"

	"throng/wire"
)

// TestGuildsMoveUnnoticed: guilds are handed over again and again, by new views, while sessions of
// all nodes come, go and are published to. Nobody hears of a guild anew, misses a message or hears
// one twice, and no hand-off fails.
func TestGuildsMoveUnnoticed(t *testing.T) {
	t.Parallel()
	seeds, handed := uint64(40), uint64(0)
	if testing.Short() || raceDetected() {
		seeds = 8
	}
	for seed := range seeds {
		m := &nemesis{users: 18, marks: map[wire.Snowflake]int{}}
		m.handMesh = newHandMesh(t, seed, 4, m.users)
		for i := range 3 {
			m.guilds = append(m.guilds, wire.Snowflake(4096*(i+1)))
		}
		for _, n := range m.all {
			m.furnish(n)
			n.limits.handoffLooks, n.limits.handoffPartBytes = 1+m.rng.IntN(4), 1+m.rng.IntN(300)
			n.limits.handoffLastMax, n.limits.handoffPartsMax = m.rng.IntN(4), 1+m.rng.IntN(3)
		}
		m.show()
		for range 400 {
			m.actGently()
			for range m.rng.IntN(8) {
				m.step()
			}
			for _, g := range m.guilds {
				m.owner(g)
			}
		}
		m.end(seed)
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
	if handed < 5*seeds {
		t.Errorf("%d guilds were handed over only", handed)
	}
	t.Logf("%d guilds were handed over", handed)
}

// actGently does something that no session may notice.
func (m *nemesis) actGently() {
	n := m.all[m.rng.IntN(len(m.all))]
	switch what := m.rng.IntN(100); {
	case what < 60:
		g := m.guilds[m.rng.IntN(len(m.guilds))]
		if m.publish(g, m.marks[g]+1) {
			m.marks[g]++
		}
	case what < 85:
		if user := m.idle(); user != 0 {
			m.clients = append(m.clients, m.dial(n, user))
		}
	case what < 90 && len(m.clients) > 0:
		i := m.rng.IntN(len(m.clients))
		m.clients[i].leave(1000)
		m.unnoticed(m.clients[i])
		m.forget(i)
	case what < 95:
		m.weights[n.name] = 64 << m.rng.IntN(5)
		m.show()
	}
}

// unnoticed holds that a client heard of its guild once, and then of all that was said in it.
func (m *nemesis) unnoticed(c *meshClient) {
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
