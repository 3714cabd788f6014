package fanout

import (
	"fmt"
	"testing"
	"time"

	"throng/store"
	"throng/wire"
)

// joinMillion has the first count members of a guild join, and says how long the longest took.
func joinMillion(tb testing.TB, g *Guild, count int) (longest time.Duration) {
	for i := range count {
		var err error
		longest = max(longest, workTime(func() {
			_, err = g.Join(Receiver{Handle: Handle{Loop: uint16(i % 2), Slot: uint32(i + 1)},
				User: millionUser(i), LargeThreshold: 250}, testNow)
		}))
		if err != nil {
			tb.Fatal(err)
		}
	}
	return longest
}

// BenchmarkMillionSessions is for how long the shard stands still for one thing when all of a
// million members have a session: the last of them joins, classes die, the guild is deleted.
func BenchmarkMillionSessions(b *testing.B) {
	b.Run("join", func(b *testing.B) {
		for b.Loop() {
			longest := joinMillion(b, newMillion(b, millionMembers), millionMembers)
			b.ReportMetric(float64(longest.Microseconds())/1000, "ms/longest")
		}
	})
	b.Run("delete", func(b *testing.B) {
		for b.Loop() {
			g := newMillion(b, millionMembers)
			joinMillion(b, g, millionMembers)
			took := workTime(func() { g.Delete(testNow) })
			b.ReportMetric(float64(took.Microseconds())/1000, "ms/delete")
		}
	})
	b.Run("classes", func(b *testing.B) {
		for b.Loop() {
			g := newMillion(b, millionMembers)
			joinMillion(b, g, millionMembers)
			var longest time.Duration
			// Each has a class of its own for a moment, by an overwrite that names it.
			for i := range 4 * deadClassesMax {
				body := fmt.Appendf(nil, `{"id":"7001","permission_overwrites":[
					{"id":"%d","type":1,"allow":"0","deny":"1024"}]}`, millionUser(i))
				longest = max(longest, workTime(func() {
					if _, err := g.Publish("CHANNEL_UPDATE", body, testNow); err != nil {
						b.Fatal(err)
					}
				}))
			}
			b.ReportMetric(float64(longest.Microseconds())/1000, "ms/longest")
		}
	})
}

// BenchmarkLargeCreate is GUILD_CREATE to somebody who hears presences, in a guild of which so many
// are online.
func BenchmarkLargeCreate(b *testing.B) {
	for _, members := range []int{10_000, createPresenceMembersMax} {
		b.Run(fmt.Sprint(members), func(b *testing.B) {
			g := NewGuild(guildID, store.NewUsers())
			if err := g.Restore([]byte(`{"owner_id":"1"}`)); err != nil {
				b.Fatal(err)
			}
			records := make([]store.MemberRecord, members)
			for i := range records {
				records[i].User = uint64(millionUser(i))
			}
			g.RestoreMembers(records)
			online := wire.PresenceCommand{Status: wire.StatusOnline}
			for i := range members {
				h := Handle{Slot: uint32(i + 1)}
				_, _ = g.Join(Receiver{Handle: h, User: millionUser(i)}, testNow)
				g.SetPresence(h, online, testNow)
			}
			r := Receiver{Handle: Handle{Loop: 1}, User: millionUser(members / 2),
				Intents: wire.IntentsUser, LargeThreshold: 250}
			b.ResetTimer()
			for b.Loop() {
				if _, err := g.Join(r, testNow); err != nil {
					b.Fatal(err)
				}
				g.Leave(r.Handle, testNow)
			}
		})
	}
}
