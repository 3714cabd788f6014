package node

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"throng/fanout"
	"throng/node/api"
	"throng/store"
	"throng/wire"
)

// rename gives a user another name, through the doors.
func (r *rig) rename(user wire.Snowflake, name string) {
	r.t.Helper()
	errs, err := r.PutUsers(r.context(), []api.UserInput{{ID: user,
		Doc: fmt.Appendf(nil, `{"username":"%s","bot":true}`, name)}})
	if err != nil || errs[0] != nil {
		r.t.Fatal(err, errs)
	}
}

// collect reads dispatches until there were so many of each name, and counts what there was.
func (c *wsClient) collect(wanted map[string]int) (counts map[string]int, last map[string][]byte) {
	c.t.Helper()
	counts, last = map[string]int{}, map[string][]byte{}
	for missing := true; missing; {
		h := c.wantOp(wire.OpDispatch)
		counts[h.Type]++
		last[h.Type] = bytes.Clone(h.Data)
		missing = false
		for name, n := range wanted {
			missing = missing || counts[name] < n
		}
	}
	return counts, last
}

// watcher is a session that hears of members and presences.
func (r *rig) watcher(user wire.Snowflake) *wsClient {
	r.t.Helper()
	c := r.dial("/")
	c.wantOp(wire.OpHello)
	c.send(2, fmt.Sprintf(`{"token":"%s","intents":%d}`, tokenOf(user),
		testIntents|wire.IntentGuildMembers|wire.IntentGuildPresences))
	c.ready(user)
	return c
}

// TestRenameReachesEverySessionOnce: with 50 guilds in common, the user's own sessions hear of a new
// name by one USER_UPDATE each, and the others in each guild.
func TestRenameReachesEverySessionOnce(t *testing.T) {
	const guilds = 50
	r := startRig(t, Config{})
	r.user(1, true)
	r.user(2, true)
	for g := range wire.Snowflake(guilds) {
		r.guild(1000+10*g, 1, 2)
	}
	own := []*wsClient{r.login(1), r.login(1)}
	for _, c := range own {
		c.joined(guilds)
	}
	other := r.watcher(2)
	other.joined(guilds)

	r.rename(1, "anna")
	r.rename(1, "anna") // Nothing has changed.
	for i, c := range own {
		_, bodies := c.collect(map[string]int{"USER_UPDATE": 1, "GUILD_MEMBER_UPDATE": guilds})
		u := object(t, bodies["USER_UPDATE"])
		if u["username"] != "anna" || u["id"] != "1" || u["verified"] != true {
			t.Errorf("own session %d: USER_UPDATE is %v", i, u)
		}
	}
	_, bodies := other.collect(map[string]int{"GUILD_MEMBER_UPDATE": guilds,
		"PRESENCE_UPDATE": guilds})
	for _, name := range []string{"GUILD_MEMBER_UPDATE", "PRESENCE_UPDATE"} {
		user := object(t, bodies[name])["user"].(map[string]any)
		if user["username"] != "anna" {
			t.Errorf("%s is of %v", name, user)
		}
	}
	for g := range wire.Snowflake(guilds) {
		r.publish(1000+10*g, 7)
	}
	for i, c := range append(own, other) {
		counts, _ := c.collect(map[string]int{"TEST_EVENT": guilds})
		if counts["USER_UPDATE"]+counts["GUILD_MEMBER_UPDATE"] > 0 {
			t.Errorf("session %d was told again: %v", i, counts)
		}
	}
}

// TestLatestNameIsTheOneTold: of many names in a row the last comes last, wherever it is heard.
func TestLatestNameIsTheOneTold(t *testing.T) {
	r := startRig(t, Config{})
	r.user(1, true)
	r.guild(100, 1)
	c := r.login(1)
	c.joined(1)
	const names = 200
	for n := range names {
		r.rename(1, fmt.Sprintf("name %03d", n))
	}
	last := map[string]string{}
	want := fmt.Sprintf("name %03d", names-1)
	for last["USER_UPDATE"] != want || last["GUILD_MEMBER_UPDATE"] != want {
		h := c.wantOp(wire.OpDispatch)
		u := object(t, h.Data)
		if h.Type == "GUILD_MEMBER_UPDATE" {
			u = u["user"].(map[string]any)
		}
		if name, _ := u["username"].(string); name < last[h.Type] {
			t.Fatalf("%s tells of %q after %q", h.Type, name, last[h.Type])
		} else {
			last[h.Type] = name
		}
	}
}

// TestMemberByEventHasItsName: a user that only the directory knows is not nameless in a guild.
func TestMemberByEventHasItsName(t *testing.T) {
	r := startRig(t, Config{})
	r.user(1, true)
	r.guild(100, 1)
	known := &store.User{ID: 5, Name: "known", Doc: `{"id":"5","username":"known"}`}
	if err := r.core.dir.Apply([]store.Op{{Kind: store.OpPutUser, UserRecord: known}}); err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{`{"user":{"id":"5"}}`, `{"user_id":"5"}`} {
		r.publishEvent(100, namedEvent("GUILD_MEMBER_ADD", d))
		err := r.look(r.context(), 100, func(g *fanout.Guild, _ int64) error {
			user := object(t, g.Member(5))["user"].(map[string]any)
			if user["username"] != "known" {
				t.Errorf("%s made %v", d, user)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// errandCore is a core with one shard, whose guilds are there, and a user who is in all of them.
func errandCore(t testing.TB, guilds int) *core {
	t.Helper()
	s := settingsOf(Config{})
	s.errandBatchMax, s.errandsMax, s.renameRoundMax, s.renamesMax = 10, 100, 5, 100
	s.shardInboxMax, s.loopInboxMax = 1000, 1<<20
	s.journalBytes, s.pendingMax = 1<<20, 100
	h := newHandLoop(t.(*testing.T), func(o *settings) { *o = s })
	c := h.core
	c.keep = func(ops []store.Op, done func(error)) { done(c.dir.Apply(ops)) }
	c.shards = []*shard{newShard(c, 0, func() {})}
	c.placeGuilds()
	var ops []store.Op
	for i := range guilds {
		id := wire.Snowflake(i + 1)
		g := fanout.NewGuild(id, c.users)
		change, err := g.Replace([]byte(`{}`), 1)
		if err != nil {
			t.Fatal(err)
		}
		ops = append(ops, change.Ops...)
		in, err := fanout.ParseMember([]byte(`{"user_id":"1"}`))
		if err != nil {
			t.Fatal(err)
		}
		change, _ = g.PutMembers([]fanout.MemberInput{in}, false, 1)
		ops = append(ops, change.Ops...)
		if i%2 == 0 {
			c.shards[0].adopt(g)
		}
	}
	if err := c.dir.Apply(ops); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestErrandsAreDoneInBoundedBatches: a user who is in a thousand guilds costs a shard a batch at a
// time, and what comes to the shard meanwhile waits for one batch and not for the thousand.
func TestErrandsAreDoneInBoundedBatches(t *testing.T) {
	const guilds = 1000
	c := errandCore(t, guilds)
	s := c.shards[0]
	c.usersReplaced([]*store.User{{ID: 1, Name: "new", Doc: `{"id":"1","username":"new"}`}})
	index := func() (sum uint64) {
		for _, p := range s.guilds {
			sum += p.guild.Info().EventIndex
		}
		return sum
	}
	rounds, before := 0, index()
	for ; rounds < guilds; rounds++ {
		c.courier.pass()
		if n := s.inbox.depth(); n > 1 {
			t.Fatalf("%d messages of the courier's wait for one shard", n)
		}
		was := index()
		if !s.pass() && c.courier.count == 0 && len(c.courier.returned) == 0 && rounds > 3 {
			break
		}
		// Two events a guild.
		if n := index() - was; n > uint64(2*c.limits.errandBatchMax) {
			t.Fatalf("one batch made %d events", n)
		}
	}
	if got := index() - before; got != guilds {
		t.Errorf("%d events, want two in each of the loaded half", got)
	}
	if least := guilds / 2 / c.limits.errandBatchMax; rounds < least {
		t.Errorf("%d batches, want %d at least", rounds, least)
	}
}

// TestErrandThatPanicsCostsItself: the others of the batch are done.
func TestErrandThatPanicsCostsItself(t *testing.T) {
	c := errandCore(t, 40)
	s, done := c.shards[0], 0
	c.courier.pass()
	for i := range 40 {
		c.courier.add(&testErrand{guild: wire.Snowflake(i + 1), do: func() {
			if done++; done == 3 {
				panic("test")
			}
		}})
	}
	for range 20 {
		c.courier.pass()
		s.pass()
	}
	if done != 20 || c.panics.Load() != 1 {
		t.Errorf("%d errands were begun with %d panics, want 20 with one", done, c.panics.Load())
	}
}

type testErrand struct {
	guild wire.Snowflake
	do    func()
}

func (e *testErrand) to() wire.Snowflake { return e.guild }

func (e *testErrand) run(*shard, *fanout.Guild, int) (int, bool) {
	e.do()
	return 1, false
}

// TestWhoPutsTooManyUsersIsHeldBack: and told to come again when it does not wait.
func TestWhoPutsTooManyUsersIsHeldBack(t *testing.T) {
	r := startRig(t, Config{}, func(c *core) { c.limits.renamesMax = 0 })
	gone, leave := context.WithCancel(r.context())
	leave()
	_, err := r.PutUsers(gone, []api.UserInput{{ID: 1, Doc: []byte(`{}`)}})
	if e, ok := err.(*api.Error); !ok || e.Status != 429 {
		t.Errorf("got %v, want 429", err)
	}
}

// BenchmarkRename is a new name of a user who is in a thousand guilds with one session each: how
// long the caller waits, how long until all is told, and the longest that a shard was busy with it.
func BenchmarkRename(b *testing.B) {
	const guilds = 1000
	r := startRig(b, Config{})
	r.user(1, true)
	r.user(2, true)
	for g := range wire.Snowflake(guilds) {
		r.guild(1_000_000+10*g, 1, 2)
	}
	c := r.watcher(2)
	c.joined(guilds)
	var call, told time.Duration
	n := 0
	for b.Loop() {
		n++
		start := time.Now()
		r.rename(1, fmt.Sprint("name ", n))
		call += time.Since(start)
		for seen := 0; seen < guilds; {
			if c.wantOp(wire.OpDispatch).Type == "GUILD_MEMBER_UPDATE" {
				seen++
			}
		}
		told += time.Since(start)
	}
	longest, busy := int64(0), int64(0)
	for _, s := range r.core.shards {
		longest = max(longest, s.stats.timings[kindErrands].longest)
		busy += s.stats.timings[kindErrands].sum
	}
	b.ReportMetric(float64(busy)/1000/float64(n*guilds), "µs/guild")
	b.ReportMetric(float64(call.Microseconds())/float64(n), "µs/call")
	b.ReportMetric(float64(told.Microseconds())/float64(n), "µs/told")
	b.ReportMetric(float64(longest)/1000, "µs/batch-max")
}
