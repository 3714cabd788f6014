package fanout

import (
	"fmt"
	"math/rand/v2"
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
func (s *benchSource) hoisted() []wire.Snowflake      { return s.roles }
func (s *benchSource) totals() (members, online int)  { return len(s.all), len(s.all) }
func (s *benchSource) sight() string                  { return "" }
func (s *benchSource) scan([]wire.Snowflake) listScan { return benchScan{s} }

func (s *benchSource) appendMember(dst []byte, user wire.Snowflake) []byte {
	return fmt.Appendf(dst, `{"user":{"id":"%d","username":%q,"discriminator":"0","avatar":null},`+
		`"nick":null,"roles":["1","2"],"joined_at":"2024-01-01T00:00:00.000000+00:00",`+
		`"mute":false,"deaf":false,"presence":{"status":"online","activities":[],`+
		`"client_status":{"web":"online"}}}`, user, s.names[user-1])
}

// benchScan is for as long as nobody changes.
type benchScan struct{ *benchSource }

func (s benchScan) views(channel wire.Snowflake) bool { return true }
func (s benchScan) each(onlineOnly bool, f func(user wire.Snowflake, l listing)) {
	for _, user := range s.all {
		l, _ := s.listing(user)
		f(user, l)
	}
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
			ls.work(true, 1<<30)
			build := ls.build()
			build.run(noPause)
			ls.done(build, true)
			ls.work(true, 1<<30)
			ls.take()
			events, told, steps := 0, 0, 0
			b.ReportAllocs()
			for b.Loop() {
				for range c.batch {
					user := r.IntN(c.members)
					s.names[user] = s.names[r.IntN(c.members)]
					ls.touch(wire.Snowflake(user + 1))
				}
				ls.work(true, 1<<30)
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

// BenchmarkMemberListBuild measures what the making of a guild's lists takes a worker.
func BenchmarkMemberListBuild(b *testing.B) {
	for _, lists := range []int{1, 5} {
		const members = 200_000
		s := newBenchSource(members)
		b.Run(fmt.Sprintf("lists=%d", lists), func(b *testing.B) {
			ls := newMemberLists(guildID, s)
			for i := range lists {
				ls.subscribe(Handle{Slot: uint32(i)}, 1,
					[]listChannel{{wire.Snowflake(1 + i), []uint32{0}}})
			}
			ls.work(true, 1<<30)
			built := 0
			for b.Loop() {
				build := ls.build()
				build.run(noPause)
				ls.done(build, false)
				built += members
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(built), "ns/member")
		})
	}
}
