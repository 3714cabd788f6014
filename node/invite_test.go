package node

import (
	"fmt"
	"strings"
	"testing"

	"throng/store"
	"throng/wire"
)

// TestNewMembersAreInvitedOnEveryNode: users are made members of a guild and removed again in quick
// succession, while their sessions are on three nodes and the guild moves. In the end who is a
// member hears what is published there, and nobody else does.
func TestNewMembersAreInvitedOnEveryNode(t *testing.T) {
	computes(t)
	const users, guild = 12, 4096
	for seed := range fewer(100) {
		m := newHandMesh(t, seed, 3, users)
		m.putAway(guild)
		m.show()
		var clients []*meshClient
		for i := range users {
			clients = append(clients, m.dial(m.all[i%3], wire.Snowflake(i+1)))
		}
		m.settle()
		member := make([]bool, users+1)
		for range 60 {
			user := 1 + m.rng.IntN(users)
			if member[user] {
				m.remove(guild, wire.Snowflake(user))
				member[user] = false
			}
			if m.rng.IntN(3) > 0 {
				m.add(guild, wire.Snowflake(user))
				member[user] = true
			}
			for range m.rng.IntN(4) {
				m.step()
			}
			if n := m.all[m.rng.IntN(3)]; seed%2 == 0 && m.rng.IntN(20) == 0 {
				m.weights[n.name] = 64 << m.rng.IntN(5)
				m.settle() // What is asked of a guild that moves may be refused.
				m.show()
				m.settle()
			}
			if a := m.rng.IntN(3); seed%3 == 0 && m.rng.IntN(10) == 0 {
				b := (a + 1) % 3
				m.disconnect(m.all[a], m.all[b])
				m.connect(m.all[a], m.all[b])
			}
		}
		m.calm()
		m.publish(guild, 1)
		m.calm()
		for i, c := range clients {
			if hears := c.heard[`"MESSAGE_CREATE"`] > 0; hears != member[i+1] {
				t.Errorf("seed %d: user %d is a member: %t, and hears of the guild: %t", seed, i+1,
					member[i+1], hears)
			}
		}
		for _, n := range m.all {
			if p := n.shardOf(guild).guilds[guild]; p != nil && p.link != nil {
				if len(p.link.invited) > 0 {
					t.Errorf("seed %d: %d invitations are under way", seed, len(p.link.invited))
				}
			}
		}
	}
}

// rename writes a user's new name on one of the nodes, as its door does.
func (m *handMesh) rename(n *meshNode, user wire.Snowflake, name string) {
	record := &store.User{ID: uint64(user), Name: name, Bot: true,
		Doc: fmt.Sprintf(`{"id":"%d","username":"%s","bot":true}`, user, name)}
	n.keep([]store.Op{{Kind: store.OpPutUser, User: uint64(user), UserRecord: record}},
		func(error) {})
}

// TestRenamesAreToldOnce: a new name that is written on any node reaches the user's own sessions
// and those who share a guild with the user, on all nodes, once each.
func TestRenamesAreToldOnce(t *testing.T) {
	const users = 12
	guilds := []wire.Snowflake{4096, 8192, 12288}
	for seed := range uint64(20) {
		m := newHandMesh(t, seed, 3, users)
		for i, g := range guilds {
			var members []wire.Snowflake
			for u := range users {
				if u%3 == i || u == 0 {
					members = append(members, wire.Snowflake(u+1))
				}
			}
			m.putAway(g, members...)
		}
		m.show()
		var clients []*meshClient
		for i := range users {
			clients = append(clients, m.dial(m.all[m.rng.IntN(3)], wire.Snowflake(i+1)))
		}
		clients = append(clients, m.dial(m.all[m.rng.IntN(3)], 1))
		m.calm()
		m.rename(m.all[m.rng.IntN(3)], 1, "anew")
		m.calm()
		for i, c := range clients {
			updates, changes := 0, 1
			if c.user == 1 {
				updates, changes = 1, len(guilds)
			}
			if got := c.heard[`"USER_UPDATE"`]; got != updates {
				t.Errorf("seed %d: client %d heard %d times of its own name, want %d", seed, i, got,
					updates)
			}
			if got := c.heard[`"GUILD_MEMBER_UPDATE"`]; got != changes {
				t.Errorf("seed %d: client %d heard %d times of it in guilds, want %d", seed, i, got,
					changes)
			}
			if last := c.last[`"GUILD_MEMBER_UPDATE"`]; !strings.Contains(last, "anew") {
				t.Errorf("seed %d: client %d was told %s", seed, i, last)
			}
		}
	}
}

// TestNewMemberHasTheNewName: a member is added by the guild's owner while the name is changed on
// another node. In the end everybody has the new one.
func TestNewMemberHasTheNewName(t *testing.T) {
	computes(t)
	const users, guild, fresh = 6, 4096, 6
	for seed := range fewer(60) {
		m := newHandMesh(t, seed, 3, users)
		m.putAway(guild, 1, 2, 3)
		m.show()
		var clients []*meshClient
		for i := range 3 {
			clients = append(clients, m.dial(m.all[i], wire.Snowflake(i+1)))
		}
		m.calm()
		for range m.rng.IntN(5) {
			m.step()
		}
		m.rename(m.all[m.rng.IntN(3)], fresh, "anew")
		for range m.rng.IntN(5) {
			m.step()
		}
		m.add(guild, fresh)
		m.calm()
		for i, c := range clients {
			last := c.last[`"GUILD_MEMBER_UPDATE"`]
			if last == "" {
				last = c.last[`"GUILD_MEMBER_ADD"`]
			}
			if !strings.Contains(last, "anew") {
				t.Errorf("seed %d: client %d knows the member by %s", seed, i, last)
			}
		}
	}
}
