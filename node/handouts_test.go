package node

import (
	"testing"

	"throng/wire"
)

// listeners is three nodes, of which two have sessions of a guild that the third owns.
func listeners(t *testing.T, seed uint64) (m *handMesh, owner *meshNode, clients []*meshClient) {
	const users, guild = 12, 4096
	m = newHandMesh(t, seed, 3, users)
	var members []wire.Snowflake
	for i := range users {
		members = append(members, wire.Snowflake(i+1))
	}
	m.putAway(guild, members...)
	m.show()
	name, _ := m.all[0].mesh.owner(guild)
	for _, n := range m.all {
		if n.name == name {
			owner = n
			continue
		}
		for range users / 2 {
			clients = append(clients, m.dial(n, wire.Snowflake(len(clients)+1)))
		}
	}
	m.calm()
	return m, owner, clients
}

// behind is how many events of the guild are on their way, as its owner has it.
func (m *handMesh) behind(guild wire.Snowflake) int {
	_, events := m.owner(guild).shardOf(guild).guilds[guild].guild.Behind()
	return events
}

// TestOwnerKnowsHowFarOtherNodesAre: events count until the other nodes' loops have handed them
// out, and the owner hears of many with few messages.
func TestOwnerKnowsHowFarOtherNodesAre(t *testing.T) {
	computes(t)
	const guild, events = 4096, 1000
	for seed := range fewer(20) {
		m, owner, clients := listeners(t, seed)
		for _, n := range m.all {
			n.held = n != owner
			n.limits.handoutsMax = 100
			for _, s := range n.shards {
				s.dials.guildEvents = 2 * events
			}
		}
		for i := range events {
			m.publish(guild, i+1)
		}
		m.settle()
		if got := m.behind(guild); got != 2*events {
			t.Errorf("seed %d: %d events are on their way, want %d to two nodes", seed, got, events)
		}
		if s := owner.shardOf(guild); !s.behind(s.guilds[guild].guild) {
			t.Errorf("seed %d: who publishes more is not held back", seed)
		}
		slow := clients[0].node
		for _, n := range m.all {
			n.held = n == slow
		}
		m.calm()
		if got := m.behind(guild); got != events {
			t.Errorf("seed %d: %d events are on their way, want %d to one node", seed, got, events)
		}
		slow.held = false
		before := m.items
		m.calm()
		if got := m.behind(guild); got != 0 {
			t.Errorf("seed %d: %d events are on their way in the end", seed, got)
		}
		if said := m.items - before; said == 0 || said > 3+events/100 {
			t.Errorf("seed %d: %d messages said that %d events were handed out", seed, said, events)
		}
		for i, c := range clients {
			if err := c.check(); err != nil || len(c.marks) != events+1 {
				t.Errorf("seed %d: client %d has %d marks: %v", seed, i, len(c.marks), err)
			}
		}
	}
}

// TestNobodyIsWaitedForWhoIsGone: what went to a node that is lost, or whose sessions have left or
// were sent away, holds nobody back, and neither does what came back late.
func TestNobodyIsWaitedForWhoIsGone(t *testing.T) {
	computes(t)
	const guild, events = 4096, 100
	ends := map[string]func(m *handMesh, owner, slow *meshNode, clients []*meshClient){
		"lost": func(m *handMesh, _, slow *meshNode, _ []*meshClient) {
			m.lose(slow)
			m.show()
		},
		"between them": func(m *handMesh, owner, slow *meshNode, _ []*meshClient) {
			m.disconnect(owner, slow)
			m.connect(owner, slow)
		},
		"left": func(_ *handMesh, _, slow *meshNode, clients []*meshClient) {
			for _, c := range clients {
				if c.node == slow {
					c.leave(1000)
				}
			}
		},
		"sent away": func(m *handMesh, owner, slow *meshNode, clients []*meshClient) {
			for _, c := range clients {
				if c.node == slow {
					m.remove(guild, c.user)
				}
			}
		},
		"anew": func(_ *handMesh, _, slow *meshNode, _ []*meshClient) {
			s := slow.shardOf(guild)
			s.relink(guild, s.guilds[guild])
		},
		"deleted": func(m *handMesh, owner, slow *meshNode, clients []*meshClient) {
			m.delete(guild)
			m.put(guild) // It waits until all nodes have forgotten the one before.
			for _, c := range clients {
				m.add(guild, c.user)
			}
			m.calm()
			slow.held = false
			m.calm()
			for _, c := range clients {
				c.leave(1000)
				m.dial(c.node, c.user)
			}
		},
	}
	for name, end := range ends {
		for seed := range uint64(10) {
			m, owner, clients := listeners(t, seed)
			slow := clients[0].node
			slow.held = true
			for i := range events {
				m.publish(guild, i+1)
			}
			for range m.rng.IntN(20) {
				m.step()
			}
			end(m, owner, slow, clients)
			for range m.rng.IntN(20) {
				m.step()
			}
			slow.held = false
			m.calm()
			if got := m.behind(guild); got != 0 {
				t.Errorf("%s, seed %d: %d events are on their way for ever", name, seed, got)
			}
		}
	}
}
