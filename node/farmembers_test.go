package node

import (
	"encoding/json"
	"fmt"
	"maps"
	"testing"

	"throng/store"
	"throng/wire"
)

// listAnswer is what a client has of the answer to a request for members.
type listAnswer struct {
	members []wire.Snowflake
	chunks  int
	over    bool
	wrong   string
}

func (c *meshClient) chunk(payload []byte) {
	var p struct {
		D struct {
			Members []struct {
				User struct {
					ID wire.Snowflake `json:"id"`
				} `json:"user"`
			} `json:"members"`
			Index int    `json:"chunk_index"`
			Count int    `json:"chunk_count"`
			Nonce string `json:"nonce"`
		} `json:"d"`
	}
	if err := json.Unmarshal(payload, &p); err != nil {
		panic(err)
	}
	a := c.lists[p.D.Nonce]
	switch {
	case a == nil:
		c.lists[""] = &listAnswer{wrong: "a chunk that nobody asked for"}
		return
	case a.over:
		a.wrong = fmt.Sprintf("chunk %d of %d behind the last", p.D.Index, p.D.Count)
	case p.D.Index != a.chunks:
		a.wrong = fmt.Sprintf("chunk %d behind %d of them", p.D.Index, a.chunks)
	case p.D.Count <= p.D.Index:
		a.wrong = fmt.Sprintf("chunk %d of %d", p.D.Index, p.D.Count)
	case len(p.D.Members) != 1000 && p.D.Index+1 < p.D.Count:
		a.wrong = fmt.Sprintf("chunk %d of %d has %d members", p.D.Index, p.D.Count,
			len(p.D.Members))
	}
	a.chunks++
	a.over = p.D.Index+1 == p.D.Count
	for _, m := range p.D.Members {
		if last := len(a.members) - 1; last >= 0 && a.members[last] >= m.User.ID {
			a.wrong = fmt.Sprintf("member %d behind %d", m.User.ID, a.members[last])
		}
		a.members = append(a.members, m.User.ID)
	}
}

// list asks for members.
func (c *meshClient) list(guild wire.Snowflake, nonce, rest string) *listAnswer {
	a := &listAnswer{}
	c.lists[nonce] = a
	c.say(fmt.Sprintf(`{"op":8,"d":{"guild_id":"%d","nonce":"%s",%s}}`, guild, nonce, rest))
	return a
}

// hugeMesh is nodes with a guild of 4,500, of whom the first ones have sessions, and with a small
// one, of twice its id.
func hugeMesh(t *testing.T, seed uint64, guild wire.Snowflake) (*handMesh, []*meshClient) {
	const users, members = 6, 4500
	m := newHandMesh(t, seed, 3, users)
	ids := make([]wire.Snowflake, members)
	for i := range ids {
		ids[i] = wire.Snowflake(i + 1)
	}
	m.putAway(guild, ids...)
	m.putAway(2*guild, 1, 2, 3)
	m.show()
	var clients []*meshClient
	for i := range users {
		clients = append(clients, m.dial(m.all[i%3], wire.Snowflake(i+1)))
	}
	m.calm()
	return m, clients
}

// TestMembersOfGuildsElsewhere: sessions of all nodes get the same answers.
func TestMembersOfGuildsElsewhere(t *testing.T) {
	const guild = 4096
	m, clients := hugeMesh(t, 1, guild)
	for _, n := range m.all {
		n.jobMax = 1 // Most find that workers have too much to do, and ask again.
		n.limits.memberListMilli = 1000
	}
	for i, c := range clients {
		for _, r := range []struct {
			rest                 string
			chunks, members, end int
		}{
			{`"query":"","limit":0`, 5, 4500, 4500},
			{`"query":"","limit":2500`, 3, 2500, 2500},
			{`"query":"user-45","limit":30`, 1, 12, 4500},
			{`"user_ids":["9","77777","8"]`, 1, 2, 9},
		} {
			for _, c := range clients {
				c.say(`{"op":1,"d":null}`)
			}
			c.lists = map[string]*listAnswer{}
			a := c.list(guild, "n", r.rest)
			if r.chunks == 3 {
				m.calmUntil(func() bool { return c.heard[`"RATE_LIMITED"`] > 0 })
				for _, n := range m.all {
					n.elapse(n.limits.memberListMilli)
				}
				a = c.list(guild, "n", r.rest)
			}
			m.calmUntil(func() bool { return a.over })
			if a.wrong != "" || a.chunks != r.chunks || len(a.members) != r.members ||
				!a.over || int(a.members[len(a.members)-1]) != r.end {
				t.Errorf("client %d: %s gets %d chunks, %d members: %s", i, r.rest, a.chunks,
					len(a.members), a.wrong)
			}
		}
	}
}

// calmUntil lets time pass until something is so.
func (m *handMesh) calmUntil(so func() bool) {
	for range 1000 {
		if m.settle(); so() {
			return
		}
		for _, n := range m.live() {
			n.elapse(n.limits.tickMilli)
		}
	}
}

// never is when a chunk is asked for again that is known to be under way no more: of all that is done
// here a session's loop hears.
const never = 1 << 50

// TestListsGoOnElsewhere: answers that are under way while members come and go, nodes lose each
// other, the guild moves and the node that has it is lost are complete all the same, and no chunk
// comes twice.
func TestListsGoOnElsewhere(t *testing.T) {
	computes(t)
	const guild = 4096
	for seed := range fewer(12) {
		m, clients := hugeMesh(t, seed, guild)
		for _, n := range m.all {
			n.limits.chunkAnswerMilli = never
			n.limits.joinsInFlightMax = 1 // A session that has lost both guilds waits for one.
		}
		answers := make([]*listAnswer, len(clients))
		for i, c := range clients {
			answers[i] = c.list(guild, "n", `"query":"","limit":0`)
		}
		there := map[wire.Snowflake]bool{} // From beginning to end.
		for i := range 4500 {
			there[wire.Snowflake(i+1)] = true
		}
		for range 25 {
			for range m.rng.IntN(3) {
				m.step()
			}
			m.disturb(guild, there)
		}
		m.show()
		m.calmUntil(func() bool {
			for i, a := range answers {
				if !a.over && !clients[i].node.lost {
					return false
				}
			}
			return true
		})
		for i, a := range answers {
			if clients[i].node.lost {
				continue
			}
			missing := maps.Clone(there)
			for _, member := range a.members {
				delete(missing, member)
			}
			if a.wrong != "" || !a.over || len(missing) > 0 {
				t.Errorf("seed %d: client %d gets %d chunks, the end: %t, %d missing: %s", seed, i,
					a.chunks, a.over, len(missing), a.wrong)
			}
		}
	}
}

// TestListsOfGuildsThatEnd: an answer of a guild that a session is not in any more has no end, and
// is in nobody's way.
func TestListsOfGuildsThatEnd(t *testing.T) {
	computes(t)
	const guild, second = 4096, 2 * 4096
	for _, end := range []func(m *handMesh){
		func(m *handMesh) { m.remove(guild, 1) },
		func(m *handMesh) { m.delete(guild) },
		func(m *handMesh) { // While the session is to join it anew.
			m.remove(guild, 1)
			for _, n := range m.all[1:] {
				m.disconnect(m.all[0], n)
				m.connect(m.all[0], n)
			}
		},
	} {
		for seed := range fewer(20) {
			m, clients := hugeMesh(t, seed, guild)
			for _, n := range m.all {
				n.limits.chunkAnswerMilli = never
			}
			c := clients[0]
			a := c.list(guild, "a", `"query":"","limit":0`)
			b := c.list(second, "b", `"query":"","limit":0`)
			for range m.rng.IntN(12) {
				m.step()
			}
			end(m)
			m.calmUntil(func() bool { return b.over })
			if !b.over || b.wrong != "" || a.wrong != "" {
				t.Errorf("seed %d: behind %d chunks (%s) it is over: %t (%s)", seed, a.chunks,
					a.wrong, b.over, b.wrong)
			}
		}
	}
}

// disturb does something that those who are in the midst of an answer may notice.
func (m *handMesh) disturb(guild wire.Snowflake, there map[wire.Snowflake]bool) {
	live := m.live()
	n := live[m.rng.IntN(len(live))]
	switch what := m.rng.IntN(12); {
	case what < 3:
		user := wire.Snowflake(10 + m.rng.IntN(4490))
		if m.remove(guild, user) {
			delete(there, user)
		}
	case what < 5:
		m.add(guild, wire.Snowflake(5000+m.rng.IntN(5000)))
	case what < 7:
		if o := live[m.rng.IntN(len(live))]; o != n {
			m.disconnect(n, o)
			m.connect(n, o)
		}
	case what < 9:
		m.weights[n.name] = store.RingWeight >> m.rng.IntN(5)
		m.show()
	case what < 10 && len(live) == 3:
		m.lose(n)
		m.show()
	}
}
