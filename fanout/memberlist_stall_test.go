package fanout

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"throng/wire"
)

// listTurns is a guild of a million members, all of them online, and what its calls take.
type listTurns struct {
	b   *testing.B
	g   *Guild
	now int64
	r   *rand.Rand

	// Of the scenario so far, worker of what was done elsewhere.
	turns                  int
	longest, total, worker time.Duration
}

func newListTurns(b *testing.B) *listTurns {
	lt := &listTurns{b: b, g: newMillion(b, millionMembers), now: testNow,
		r: rand.New(rand.NewPCG(1, 5))}
	idle := idlePresences[0][wire.StatusOnline]
	for i := range millionMembers {
		user := millionUser(i)
		u, err := ParseUser(user, fmt.Appendf(nil, `{"username":"%x"}`, lt.r.Uint32()))
		if err != nil {
			b.Fatal(err)
		}
		lt.g.users.Put(u)
		lt.g.presences.set(user, idle)
	}
	lt.publish("CHANNEL_CREATE", `{"id":"7002","type":0,"name":"b","permission_overwrites":[
		{"id":"%d","type":0,"allow":"0","deny":"1024"},
		{"id":"%d","type":0,"allow":"1024","deny":"0"}]}`, guildID, millionRole(1))
	return lt
}

// turn is one call to the guild.
func (lt *listTurns) turn(f func() (Change, error)) {
	var err error
	took := workTime(func() { _, err = f() })
	if err != nil {
		lt.b.Fatal(err)
	}
	lt.turns++
	lt.longest, lt.total = max(lt.longest, took), lt.total+took
}

func (lt *listTurns) publish(name, format string, args ...any) {
	body := fmt.Appendf(nil, format, args...)
	lt.turn(func() (Change, error) { return lt.g.Publish(name, body, lt.now) })
}

// settle lets time pass until the lists have told everything.
func (lt *listTurns) settle() {
	for due := lt.g.NextTick(); due != 0; due = lt.g.NextTick() {
		lt.now = max(lt.now, due)
		lt.turn(func() (Change, error) { return lt.g.Tick(lt.now), nil })
		if b := lt.g.ListBuild(lt.now); b != nil {
			lt.worker += workTime(func() { b.Run(noPause) })
			lt.turn(func() (Change, error) { return lt.g.Listed(b, true, lt.now), nil })
		}
	}
}

// look has the member's session look at these blocks of the channel's list.
func (lt *listTurns) look(member int, channel wire.Snowflake, blocks ...int) {
	h := Handle{Slot: uint32(member), Gen: 1}
	if lt.g.receivers.get(h) == nil {
		r := Receiver{Handle: h, User: millionUser(member), Intents: wire.IntentGuilds}
		if _, err := lt.g.Join(r, lt.now); err != nil {
			lt.b.Fatal(err)
		}
	}
	listens := true
	s := wire.Subscription{Typing: &listens, Channels: []wire.ListRanges{}}
	for _, block := range blocks {
		s.Channels = append(s.Channels, wire.ListRanges{Channel: channel, Ranges: []wire.ListRange{
			{First: block * ListRangeRows, Last: block*ListRangeRows + ListRangeRows - 1}}})
	}
	lt.turn(func() (Change, error) { return lt.g.Subscribe(h, s, lt.now), nil })
}

// presences lets so many members come or go.
func (lt *listTurns) presences(count int) {
	for range count {
		user := millionUser(lt.r.IntN(millionMembers))
		status := []string{"idle", "offline"}[lt.r.IntN(2)]
		lt.publish("PRESENCE_UPDATE", `{"user":{"id":"%d"},"status":"%s"}`, user, status)
	}
}

// measure reports of one of the scenarios how long the shard stands still for it at most.
func (lt *listTurns) measure(name string, f func(i int)) {
	lt.b.Run(name, func(b *testing.B) {
		lt.turns, lt.longest, lt.total, lt.worker = 0, 0, 0, 0
		i := 0
		for ; b.Loop(); i++ {
			f(i)
			lt.settle()
		}
		b.ReportMetric(float64(lt.longest.Microseconds())/1000, "ms/longest")
		b.ReportMetric(float64(lt.total.Microseconds())/1000/float64(i), "ms/shard")
		b.ReportMetric(float64(lt.worker.Microseconds())/1000/float64(i), "ms/worker")
		b.ReportMetric(float64(lt.turns)/float64(i), "turns/op")
	})
}

// BenchmarkMemberListStall reports how long the shard of a guild with a million members online
// stands still for what happens to its lists, when 1,800 sessions look at 360 windows.
func BenchmarkMemberListStall(b *testing.B) {
	lt := newListTurns(b)
	lt.measure("first build", func(int) {
		lt.look(0, 7001)
		lt.look(0, 7001, 0)
	})
	lt.measure("1,800 sessions", func(int) {
		for member := range 1800 {
			at := 2 * (1 + lt.r.IntN(359))
			lt.look(member, 7001, 0, at, at+1)
		}
	})
	lt.measure("past all windows", func(i int) {
		lt.publish("GUILD_MEMBER_UPDATE", `{"user":{"id":"%d"},"nick":"%s"}`, millionUser(5000),
			[]string{"000", "zzz"}[i%2])
	})
	lt.measure("100 presences", func(int) { lt.presences(100) })
	lt.measure("10,000 presences", func(int) { lt.presences(10_000) })
	lt.measure("100 permission edits", func(int) {
		for i := range 100 {
			lt.publish("GUILD_ROLE_UPDATE", `{"role":{"id":"%d","permissions":"%d"}}`,
				millionRole(2), 1024*(i%2))
		}
	})
	lt.measure("second list", func(int) {
		lt.look(2001, 7002) // One who has the role.
		lt.look(2001, 7002, 0)
	})
	lt.measure("100 permission edits, 2 lists", func(int) {
		for i := range 101 {
			lt.publish("GUILD_ROLE_UPDATE", `{"role":{"id":"%d","permissions":"%d"}}`,
				millionRole(2), 1024*(i%2))
		}
	})
	lt.measure("role hoisted", func(i int) {
		lt.publish("GUILD_ROLE_UPDATE", `{"role":{"id":"%d","hoist":%v}}`, millionRole(30), i%2 == 0)
	})
}
