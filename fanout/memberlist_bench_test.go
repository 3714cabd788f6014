package fanout

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"throng/wire"
)

// benchSource is a guild in which everyone is online and has a random name.
type benchSource struct {
	names [][]byte
	roles []wire.Snowflake
	all   []wire.Snowflake
}

func newBenchSource(count int) *benchSource {
	r := rand.New(rand.NewPCG(1, 3))
	s := &benchSource{roles: []wire.Snowflake{3, 2, 1}}
	for i := range count {
		s.names = append(s.names, fmt.Appendf(nil, "%x", r.Uint32()))
		s.all = append(s.all, wire.Snowflake(i+1))
	}
	return s
}

func (s *benchSource) listing(user wire.Snowflake) (listing, bool) {
	l := listing{name: s.names[user-1], online: true}
	if user%50 == 0 {
		l.role = s.roles[user/50%3]
	}
	return l, true
}

func (s *benchSource) views(user, channel wire.Snowflake) bool { return true }
func (s *benchSource) listID(channel wire.Snowflake) string {
	if channel == 1 {
		return wire.MemberListEveryone
	}
	return channel.String()
}
func (s *benchSource) hoisted() []wire.Snowflake          { return s.roles }
func (s *benchSource) totals() (members, online int)      { return len(s.all), len(s.all) }
func (s *benchSource) users(online bool) []wire.Snowflake { return slices.Clone(s.all) }
func (s *benchSource) appendMember(dst []byte, user wire.Snowflake) []byte {
	return fmt.Appendf(dst, `{"user":{"id":"%d","username":%q,"discriminator":"0","avatar":null},`+
		`"nick":null,"roles":["1","2"],"joined_at":"2024-01-01T00:00:00.000000+00:00",`+
		`"mute":false,"deaf":false,"presence":{"status":"online","activities":[],`+
		`"client_status":{"web":"online"}}}`, user, s.names[user-1])
}

// BenchmarkMemberListMove measures one member taking another name, with all that follows for the
// subscribers, in guilds with so many online. They look at the beginning, and two thirds of them at
// two more ranges somewhere. Half of those are passed by a move on average, and each then has an
// event of its own: what the figure shows is chiefly how much batches save.
func BenchmarkMemberListMove(b *testing.B) {
	for _, c := range []struct{ members, lists, subscribers, batch int }{
		{1000, 1, 100, 1}, {100_000, 1, 1800, 1}, {100_000, 1, 1800, 50}, {100_000, 5, 1800, 1},
		{1_000_000, 1, 1800, 1},
	} {
		name := fmt.Sprintf("members=%d/lists=%d/subscribers=%d/batch=%d",
			c.members, c.lists, c.subscribers, c.batch)
		b.Run(name, func(b *testing.B) {
			s := newBenchSource(c.members)
			ls := newMemberLists(guildID, s)
			r := rand.New(rand.NewPCG(1, 4))
			for i := range c.subscribers {
				blocks := []uint32{0}
				if at := uint32(r.IntN(max(c.members/100, 4))); i%3 > 0 && at > 0 {
					blocks = append(blocks, at, at+1)
				}
				ls.subscribe(Handle{Slot: uint32(i)}, 1,
					[]listChannel{{wire.Snowflake(1 + i%c.lists), blocks}})
			}
			for ls.work(10_000) {
				ls.take()
			}
			ls.take()
			events, told, steps := 0, 0, 0
			b.ReportAllocs()
			for b.Loop() {
				for range c.batch {
					user := r.IntN(c.members)
					s.names[user] = s.names[r.IntN(c.members)]
					ls.touch(wire.Snowflake(user + 1))
				}
				ls.work(0)
				for _, n := range ls.take() {
					events++
					told += len(n.to)
				}
				steps += c.batch
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(steps), "ns/move")
			b.ReportMetric(float64(events)/float64(steps), "events/move")
			b.ReportMetric(float64(told)/float64(steps), "told/move")
		})
	}
}

// BenchmarkMemberListWork measures what a slice of the making of a list takes a member, and of a
// sweep that moves nobody.
func BenchmarkMemberListWork(b *testing.B) {
	const members = 200_000
	s := newBenchSource(members)
	for _, sweep := range []bool{false, true} {
		b.Run(fmt.Sprintf("sweep=%v", sweep), func(b *testing.B) {
			var ls *memberLists
			looked := 0
			for b.Loop() {
				if ls == nil || !sweep {
					ls = newMemberLists(guildID, s)
					ls.subscribe(Handle{}, 1, []listChannel{{1, []uint32{0}}})
				} else {
					ls.sweep()
				}
				for ls.work(2000) {
				}
				looked += members
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(looked), "ns/member")
		})
	}
}
