package node

import (
	"bytes"
	"fmt"
	"strconv"
	"testing"

	"throng/store"
	"throng/wire"
)

// meshClient is a client that keeps what it hears of one guild.
type meshClient struct {
	*handClient
	node  *meshNode
	marks []int          // Messages; 0 for GUILD_CREATE.
	heard map[string]int // Events, by name.
	last  map[string]string
	lists map[string]*listAnswer // By nonce.
	// It hears nothing of a guild before it has said that it looks at it.
	passive bool
}

func (m *handMesh) dial(n *meshNode, user wire.Snowflake) *meshClient {
	c := &meshClient{handClient: n.dial(m.rng.IntN(2), user), node: n,
		heard: map[string]int{}, last: map[string]string{}, lists: map[string]*listAnswer{}}
	c.hear = func(payload []byte) {
		name, _ := wire.Field(payload, "t")
		c.heard[string(name)]++
		c.last[string(name)] = string(payload)
		switch begins := payload[:min(len(payload), 48)]; {
		case bytes.Contains(begins, []byte(`"GUILD_DELETE"`)):
			if bytes.Contains(payload, []byte(`"unavailable":true`)) {
				m.t.Errorf("user %d on %s is told of an outage: %s", user, n.name, payload)
			}
		case bytes.Contains(begins, []byte(`"GUILD_MEMBERS_CHUNK"`)):
			c.chunk(payload)
		case bytes.Contains(begins, []byte(`"GUILD_CREATE"`)):
			c.marks = append(c.marks, 0)
		case bytes.Contains(begins, []byte(`"MESSAGE_CREATE"`)):
			_, after, _ := bytes.Cut(payload, []byte(`"content":"m`))
			number, _, _ := bytes.Cut(after, []byte(`"`))
			mark, err := strconv.Atoi(string(number))
			if err != nil {
				m.t.Errorf("a message without a mark: %s", payload)
			}
			c.marks = append(c.marks, mark)
		}
	}
	c.say(fmt.Sprintf(`{"op":2,"d":{"token":"%s","intents":%d}}`, tokenOf(user),
		wire.IntentGuilds|wire.IntentGuildMessages|wire.IntentMessageContent|
			wire.IntentGuildMembers|wire.IntentGuildPresences))
	return c
}

// check holds that a stream is messages without a gap, and that what is missing is missing before a
// GUILD_CREATE.
func (c *meshClient) check() error {
	last, fresh := 0, false
	for i, mark := range c.marks {
		switch {
		case mark == 0:
			fresh = true
		case i == 0:
			return fmt.Errorf("message %d before GUILD_CREATE", mark)
		case mark <= last:
			return fmt.Errorf("message %d behind %d", mark, last)
		case mark > last+1 && !fresh && !c.passive:
			return fmt.Errorf("message %d is missing: %v", last+1, c.marks)
		}
		if mark > 0 {
			last, fresh = mark, false
		}
	}
	return nil
}

// TestGuildServesSessionsOfOtherNodes: sessions of three nodes in a guild of one of them hear all
// of it, and an event goes to each of the other two once, however many listen there.
func TestGuildServesSessionsOfOtherNodes(t *testing.T) {
	const guild, users, perNode, events = 4096, 12, 4, 50
	for seed := range uint64(20) {
		m := newHandMesh(t, seed, 3, users)
		var members []wire.Snowflake
		for i := range users {
			members = append(members, wire.Snowflake(i+1))
		}
		m.putAway(guild, members...)
		m.show()
		var clients []*meshClient
		for i, n := range m.all {
			for k := range perNode {
				clients = append(clients, m.dial(n, wire.Snowflake(1+i*perNode+k)))
			}
		}
		m.settle()
		before := m.items
		for i := range events {
			if !m.publish(guild, i+1) {
				t.Fatalf("seed %d: nobody has the guild", seed)
			}
			if m.rng.IntN(3) == 0 {
				m.step()
			}
		}
		m.settle()
		if got := m.items - before; got != 2*events {
			t.Errorf("seed %d: %d events took %d items to two other nodes", seed, events, got)
		}
		for i, c := range clients {
			if len(c.marks) != events+1 {
				t.Errorf("seed %d: client %d has %v", seed, i, c.marks)
			}
			if err := c.check(); err != nil {
				t.Errorf("seed %d: client %d: %v", seed, i, err)
			}
		}
	}
}

// TestRebornAnswersWhoClaims: a node that has lost what it owned tells so to who has claimed a guild
// of it, and was told to wait until the guild is given up.
func TestRebornAnswersWhoClaims(t *testing.T) {
	const guild, seeds = 4096, 40
	held := 0
	for seed := range uint64(seeds) {
		m := newHandMesh(t, seed, 2, 2)
		m.putAway(guild, 1, 2)
		before, next := m.all[0], m.all[1]
		m.showOwner(guild, before)
		m.dial(before, 1)
		m.settle()
		before.slow = 1 << 30 // Nothing is kept from now on.
		m.remove(guild, 1)
		m.add(guild, 1)
		m.steps(50)
		m.showOwner(guild, next)
		c := m.dial(next, 2)
		m.steps(m.rng.IntN(100))
		if p := next.shardOf(guild).guilds[guild]; p != nil && p.room != nil && p.room.claim != nil &&
			p.room.claim.held != nil {
			held++
		}
		m.bear(before)
		unlogged := before.unlogged
		before.unlogged, before.slow = nil, 0
		m.calm()
		for _, e := range unlogged {
			e.done(errInternal)
		}
		m.calm()
		if len(c.marks) != 1 {
			t.Errorf("seed %d: heard of the guild %d times", seed, len(c.marks))
		}
	}
	if held < seeds/4 {
		t.Errorf("the claim waited in %d of %d runs only", held, seeds)
	}
}

// showOwner shows everybody a cluster in which a guild is this node's.
func (m *handMesh) showOwner(guild wire.Snowflake, n *meshNode) {
	for name := range m.weights {
		m.weights[name] = store.RingWeight
	}
	for v := m.view(); ; v = m.view() {
		if v.Owner(uint64(guild)) == n.name {
			for _, o := range m.live() {
				o.mesh.show(v)
			}
			return
		}
		m.weights[n.name] *= 2
	}
}

func (m *handMesh) steps(count int) {
	for range count {
		m.step()
	}
}
