package fanout

import (
	"fmt"
	"testing"
	"time"

	"throng/store"
	"throng/wire"
)

// millionMembers is the size of the guild whose stalls are measured.
const millionMembers = 1_000_000

// millionUser is the id of the guild's member at index i.
func millionUser(i int) wire.Snowflake { return wire.Snowflake(i+1) << 22 }

const millionRoles = 50

func millionRole(i int) uint64 { return uint64(3000 + i) }

// newMillion makes a guild of count members: every third has a nick, and each has two of 50 roles.
func newMillion(tb testing.TB, count int) *Guild {
	tb.Helper()
	doc := []byte(`{"owner_id":"1","channels":[{"id":"7001","type":0,"name":"a"}],"roles":[`)
	for i := range millionRoles {
		if i > 0 {
			doc = append(doc, ',')
		}
		doc = fmt.Appendf(doc, `{"id":"%d","name":"r","permissions":"0"}`, millionRole(i))
	}
	g := NewGuild(guildID, store.NewUsers())
	if err := g.Restore(append(doc, "]}"...)); err != nil {
		tb.Fatal(err)
	}
	records := make([]store.MemberRecord, count)
	const half = millionRoles / 2
	for i := range records {
		r := &records[i]
		r.Roles = []uint64{millionRole(i % half), millionRole(half + i%(half-1))}
		r.User, r.JoinedAt = uint64(millionUser(i)), testNow
		if i%3 == 0 {
			r.Extra = fmt.Sprintf(`"nick":"nick of %d"`, i)
		}
	}
	g.RestoreMembers(records)
	return g
}

// BenchmarkMillionStall reports how long the shard of a guild of a million members stands still
// for one message of each kind that could have to do with all members.
func BenchmarkMillionStall(b *testing.B) {
	g := newMillion(b, millionMembers)
	slot, deleted := uint32(0), 0
	empty := ""
	var load []MemberInput
	publish := func(name, format string, args ...any) {
		if _, err := g.Publish(name, fmt.Appendf(nil, format, args...), testNow); err != nil {
			b.Fatal(name, err)
		}
	}
	for _, bench := range []struct {
		name    string
		prepare func(i int)
		run     func(i int)
	}{
		{"join", nil, func(i int) {
			slot++
			r := Receiver{Handle: Handle{Slot: slot}, User: millionUser(i),
				Intents: wire.IntentsBot, LargeThreshold: 250}
			if _, err := g.Join(r, testNow); err != nil {
				b.Fatal(err)
			}
		}},
		{"overwrite", nil, func(i int) {
			publish("CHANNEL_UPDATE", `{"id":"7001","permission_overwrites":[
				{"id":"%d","type":1,"allow":"0","deny":"1024"}]}`, millionUser(i))
		}},
		{"rename", nil, func(i int) {
			publish("GUILD_MEMBER_UPDATE", `{"user":{"id":"%d"},"nick":"again %d"}`,
				millionUser(i*7919%millionMembers), i)
		}},
		{"new member", nil, func(i int) {
			publish("GUILD_MEMBER_ADD", `{"user":{"id":"%d"}}`,
				uint64(millionUser(i*7919%millionMembers))+uint64(i)+1)
		}},
		{"load", func(i int) {
			load = load[:0]
			for k := range MembersPassMax {
				user := uint64(millionUser((i*MembersPassMax+k)*7919%millionMembers)) + uint64(i%2)
				in, err := ParseMember(fmt.Appendf(nil,
					`{"user_id":"%d","nick":"x","roles":["%d"]}`, user, millionRole(3)))
				if err != nil {
					b.Fatal(err)
				}
				load = append(load, in)
			}
		}, func(i int) { g.PutMembers(load, false, testNow) }},
		{"list request", nil, func(i int) {
			cmd := wire.MembersCommand{Query: &empty}
			if _, err := g.MembersQuery(cmd, millionUser(1), wire.IntentsBot, testNow); err != nil {
				b.Fatal(err)
			}
		}},
		{"role delete", nil, func(int) {
			if deleted < millionRoles {
				publish("GUILD_ROLE_DELETE", `{"role_id":"%d"}`, millionRole(deleted))
				deleted++
			}
		}},
		{"replace", nil, func(i int) {
			if _, err := g.Replace(g.Doc(), testNow); err != nil {
				b.Fatal(err)
			}
		}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			var longest, total time.Duration
			i := 0
			for b.Loop() {
				if bench.prepare != nil {
					bench.prepare(i)
				}
				took := workTime(func() { bench.run(i) })
				longest, total = max(longest, took), total+took
				i++
			}
			b.ReportMetric(float64(longest.Microseconds())/1000, "ms/longest")
			b.ReportMetric(float64(total.Microseconds())/1000/float64(i), "ms/message")
		})
	}
}

// BenchmarkMillionList is what workers have to do for the list of all members.
func BenchmarkMillionList(b *testing.B) {
	g := newMillion(b, millionMembers)
	empty := ""
	var room ChunkRoom
	b.ReportAllocs()
	for b.Loop() {
		cmd := wire.MembersCommand{Query: &empty}
		q, err := g.MembersQuery(cmd, millionUser(1), wire.IntentsBot, testNow)
		if err != nil {
			b.Fatal(err)
		}
		start := time.Now()
		q.Next(1, &ChunkRoom{}, noPause)
		b.ReportMetric(float64(time.Since(start).Microseconds())/1000, "ms/first")
		for !q.Done() {
			room.TakeBack(q.Next(4, &room, noPause))
		}
	}
}
