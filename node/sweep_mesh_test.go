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
