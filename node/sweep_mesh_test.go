package node

import (
	"runtime"
	"testing"
	"time"

	"throng/fanout"
	"throng/store"
	"throng/tuning"
	"throng/wire"
)

// BenchmarkRemoteLost is a node with 100,000 links to guilds of one that is lost, or 100,000 guilds
// with a session there, and reports the longest turn of the shard.
func BenchmarkRemoteLost(b *testing.B) {
	const guilds = 100_000
	for _, side := range []string{"links", "guilds"} {
		b.Run(side, func(b *testing.B) {
			for range b.N {
				longest, turns := remoteLostTurns(b, side, guilds)
				b.ReportMetric(float64(longest.Microseconds())/1e3, "ms-longest")
				b.ReportMetric(float64(turns), "turns")
			}
		})
	}
}

func remoteLostTurns(b *testing.B, side string, guilds int) (longest time.Duration, turns int) {
	m := newHandMesh(b, 1, 2, 2)
	for _, n := range m.all {
		n.limits.sweepLooksMax = tuning.SweepLooksMax
		n.limits.relinksMax = guilds // All at once: this is about turns.
	}
	m.show()
	m.settle()
	here, lost := m.all[0], m.all[1]
	r := here.mesh.remote(lost.name)
	id := wire.Snowflake(0)
	for i := range guilds {
		// Links are to guilds of the other node, and guilds are this one's own.
		for own := !(side == "guilds"); own != (side == "guilds"); _, own = here.mesh.owner(id) {
			id += 4096
		}
		s := here.shardOf(id)
		h := fanout.Handle{Loop: uint16(i % 2), Slot: uint32(i), Gen: 1}
		if side == "links" {
			p := s.openLink(id)
			p.link.sessions[h], p.link.to = true, r
			p.link.perLoop[h.Loop]++
			continue
		}
		g := here.newGuild(id)
		g.RestoreMembers([]store.MemberRecord{{Member: store.Member{User: 1}}})
		far, _ := farHandle(r, h)
		change, err := g.Join(fanout.Receiver{Handle: far, User: 1}, 1)
		if err != nil {
			b.Fatal(err, change)
		}
		s.guilds[id] = &place{guild: g, token: 1}
	}
	m.lose(lost)
	for _, l := range here.loops {
		l.inbox.take(nil)
	}
	runtime.LockOSThread() // For threadTime: the machine may have other work.
	defer runtime.UnlockOSThread()
	for busy := true; busy; {
		busy = false
		for _, s := range here.shards {
			before, _ := threadTime()
			busy = s.pass() || busy
			after, _ := threadTime()
			longest = max(longest, after-before)
			turns++
		}
		for _, l := range here.loops {
			l.inbox.take(nil)
		}
	}
	return longest, turns
}

// TestLinksThatDieBeginAnewByAndBy: when a node is lost that many guilds were on, the others come
// back to them a few at a time, but for guilds in which something happens, which are back at once
// and for everybody.
func TestLinksThatDieBeginAnewByAndBy(t *testing.T) {
	const guilds, most = 200, 4
	m := newHandMesh(t, 1, 3, 2)
	lost, others := m.all[0], m.all[1:]
	m.show()
	var all []wire.Snowflake
	for id := wire.Snowflake(4096); len(all) < guilds; id += 4096 {
		if lost.mesh.view.Load().Owner(uint64(id)) == lost.name {
			all = append(all, id)
			m.putAway(id, 1, 2)
		}
	}
	var clients []*meshClient
	for i, n := range others {
		clients = append(clients, m.dial(n, wire.Snowflake(i+1)))
		n.limits.relinksMax = most
	}
	m.settle()
	m.lose(lost)
	m.show()
	m.settle()
	back := func(c *meshClient) int { return c.heard[`"GUILD_CREATE"`] - guilds }
	shards := len(others[0].shards)
	for i, c := range clients {
		// Those that another node asks for are back here too.
		if n := back(c); n < most || n > 2*most*shards {
			t.Errorf("client %d is in %d guilds at once", i, n)
		}
	}
	busy := all[guilds/2:][:10]
	before := []int{back(clients[0]), back(clients[1])}
	for _, g := range busy {
		if !m.add(g, 2) {
			t.Fatal("nobody is to have the guild")
		}
	}
	m.settle()
	for i, c := range clients {
		if n := back(c) - before[i]; n < len(busy)-2 || n > len(busy) {
			t.Errorf("client %d is back in %d of %d guilds in which something happens", i, n,
				len(busy))
		}
	}
	ticks := 0
	for ; back(clients[0]) < guilds || back(clients[1]) < guilds; ticks++ {
		if ticks > guilds {
			t.Fatalf("after %d ticks %d and %d are back", ticks, back(clients[0]),
				back(clients[1]))
		}
		for _, n := range others {
			n.elapse(n.limits.tickMilli)
		}
		m.settle()
	}
	if least := guilds / (2 * shards * most) / 2; ticks < least {
		t.Errorf("all were back after %d ticks, want %d or more", ticks, least)
	}
	for _, n := range others {
		for _, s := range n.shards {
			if len(s.adrift)+len(s.adriftLine) > 0 {
				t.Errorf("%s is left with %d guilds adrift", n.name, len(s.adrift))
			}
		}
	}
	for i, c := range clients {
		if n := back(c); n != guilds {
			t.Errorf("client %d heard of %d guilds anew, want %d", i, n, guilds)
		}
	}
}
