package fanout

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"throng/wire"
)

var (
	listSeeds = flag.Uint64("memberlist.seeds", 8, "seeds that member lists are tried with")
	listFirst = flag.Uint64("memberlist.first", 1, "the first of them")
)

// listRun is one seed: a guild, its lists, clients that look at them, and perhaps a worker with a
// build.
type listRun struct {
	t       testing.TB
	r       *rand.Rand
	w       *listWorld
	ls      *memberLists
	clients []*listClient
	nextID  wire.Snowflake
	slot    uint32
	build   *listBuild
	paused  int // Slices that ended in the middle of a round.
	late    int // Builds that came back after changes.
}

// TestMemberListsAreTheModels lets members join, leave, take other names, roles and presences,
// roles and channels change, and clients scroll about, and compares after each step all rows that
// each client has with those of the naive model. The name of a failed test ends in its seed:
//
//	go test ./fanout -run MemberListsAreTheModels -memberlist.first SEED -memberlist.seeds 1
func TestMemberListsAreTheModels(t *testing.T) {
	for seed := *listFirst; seed < *listFirst+*listSeeds; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			run := newListRun(t, seed)
			for range 250 {
				run.steps()
				run.settle()
				run.check()
			}
			run.end()
		})
	}
}

// TestMemberListsInSlices works in slices of any size, the least included, lets builds come back at
// any time, and lets the guild and its clients change in between. Whenever a round is over, clients
// have the lists as they are, and in the end those of the model.
func TestMemberListsInSlices(t *testing.T) {
	for seed := *listFirst; seed < *listFirst+*listSeeds; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			run := newListRun(t, seed)
			for range 600 {
				if run.r.IntN(3) == 0 {
					run.steps()
				}
				run.slice()
				if run.r.IntN(30) == 0 {
					run.settle()
					run.check()
				}
			}
			run.settle()
			run.check()
			run.end()
			if run.paused < 50 || run.late < 5 {
				t.Errorf("%d slices ended within a round, %d builds came late", run.paused, run.late)
			}
		})
	}
}

func newListRun(t testing.TB, seed uint64) *listRun {
	run := &listRun{
		t: t, r: rand.New(rand.NewPCG(seed, 4)), nextID: 1000,
		w: &listWorld{
			members:  make(map[wire.Snowflake]*listMember),
			roles:    make(map[wire.Snowflake]*listRole),
			channels: make(map[wire.Snowflake]*listPlace),
		},
	}
	for role := range wire.Snowflake(5) {
		run.w.roles[role+1] = &listRole{position: run.r.IntN(4), hoist: run.r.IntN(2) == 0}
	}
	for channel := range wire.Snowflake(4) {
		run.w.channels[channel+11] = &listPlace{}
		if channel > 1 {
			run.w.channels[channel+11].only = []wire.Snowflake{channel}
		}
	}
	for range []int{3, 90, 130, 320}[seed%4] {
		run.join()
	}
	run.ls = newMemberLists(guildID, run.w)
	return run
}

func (run *listRun) join() wire.Snowflake {
	run.nextID += wire.Snowflake(1 + run.r.IntN(9))
	run.w.members[run.nextID] = run.w.randomMember(run.r)
	return run.nextID
}

func (run *listRun) steps() {
	for range 1 + run.r.IntN(4)*run.r.IntN(3) {
		run.step()
	}
}

// slice works a little, and perhaps a worker does as well.
func (run *listRun) slice() {
	if run.r.IntN(2) == 0 {
		run.takeBuild(run.r.IntN(10) == 0)
	}
	limit := []int{1, 1 + run.r.IntN(40), 1 + run.r.IntN(1000)}[run.r.IntN(3)]
	if run.ls.work(run.r.IntN(2) == 0, limit) {
		run.paused++
	}
	run.deliver()
	run.checkShown()
}

// takeBuild begins a build, runs the one there is, or gives it back.
func (run *listRun) takeBuild(fails bool) {
	switch b := run.build; {
	case b == nil:
		run.build = run.ls.build()
	case fails:
		run.ls.done(b, false)
		run.build = nil
	case b.scan != nil:
		b.run(noPause)
	default:
		if len(run.ls.since) > 0 {
			run.late++
		}
		run.ls.done(b, true)
		run.build = nil
	}
}

// settle works until there is nothing to do.
func (run *listRun) settle() {
	run.t.Helper()
	for range 10_000 {
		more := run.ls.work(true, 1<<30)
		run.deliver()
		run.takeBuild(false)
		if !more && run.build == nil && !run.ls.stale && run.ls.settled() {
			return
		}
	}
	run.t.Fatal("the lists have more to do for ever")
}

// end sends everybody away and looks for what is left.
func (run *listRun) end() {
	for _, c := range slices.Clone(run.clients) {
		run.wants(c, nil)
		run.settle()
		run.check()
	}
	ls := run.ls
	if ls.table != nil || len(ls.lists)+len(ls.subscribers)+len(ls.all)+len(ls.sessions) != 0 {
		run.t.Fatalf("nobody looks, and there are %d lists", len(ls.lists))
	}
}

func (run *listRun) someone() wire.Snowflake {
	users := run.w.users()
	return users[run.r.IntN(len(users))]
}

// step changes the guild or a client in one way.
func (run *listRun) step() {
	r, w := run.r, run.w
	user := run.someone()
	m := w.members[user]
	switch k := r.IntN(100); {
	case k < 12:
		user = run.join()
	case k < 22:
		if !run.watches(user) && len(w.members) > 2 {
			delete(w.members, user)
		}
	case k < 34:
		m.name = w.randomName(r)
	case k < 46:
		m.roles = w.randomRoles(r)
	case k < 66:
		m.online = !m.online
	case k < 72:
		m.version++
	case k < 76: // Many at once.
		online := r.IntN(2) == 0
		for _, other := range w.users() {
			if r.IntN(3) == 0 {
				w.members[other].online = online
				run.ls.touch(other)
			}
		}
	case k < 77:
		w.extra = 1000 - w.extra
	case k < 83:
		run.changeRole()
		return
	case k < 87:
		run.changeChannel()
		return
	default:
		run.changeClient()
		return
	}
	run.ls.touch(user)
}

func (run *listRun) watches(user wire.Snowflake) bool {
	return slices.ContainsFunc(run.clients, func(c *listClient) bool { return c.user == user })
}

func (run *listRun) changeRole() {
	r, w := run.r, run.w
	id := wire.Snowflake(1 + r.IntN(5))
	switch role := w.roles[id]; {
	case role == nil:
		w.roles[id] = &listRole{position: r.IntN(4), hoist: r.IntN(2) == 0}
	case r.IntN(4) == 0:
		delete(w.roles, id)
	case r.IntN(2) == 0:
		role.hoist = !role.hoist
	default:
		role.position = r.IntN(5)
	}
	run.ls.regroup()
}

func (run *listRun) changeChannel() {
	r, w := run.r, run.w
	id := wire.Snowflake(11 + r.IntN(4))
	switch c := w.channels[id]; {
	case c == nil:
		w.channels[id] = &listPlace{}
	case r.IntN(4) == 0:
		delete(w.channels, id)
	case r.IntN(3) == 0:
		w.blind = wire.Snowflake(r.IntN(8))
	default:
		c.only = nil
		for role := range wire.Snowflake(5) {
			if r.IntN(3) == 0 {
				c.only = append(c.only, role+1)
			}
		}
	}
	run.ls.resight()
}

func (run *listRun) changeClient() {
	r := run.r
	switch k := r.IntN(10); {
	case k < 3 && len(run.clients) < 12 || len(run.clients) == 0:
		run.slot++
		c := &listClient{
			t: run.t, user: run.someone(), strict: r.IntN(2) == 0,
			handle: Handle{Slot: run.slot}, lists: make(map[string]*clientList),
		}
		run.clients = append(run.clients, c)
		run.wants(c, run.randomWants())
	case k == 3:
		at := r.IntN(len(run.clients))
		run.ls.leave(run.clients[at].handle)
		run.clients = slices.Delete(run.clients, at, at+1)
	default:
		run.wants(run.clients[r.IntN(len(run.clients))], run.randomWants())
	}
}

func (run *listRun) randomWants() (wants []listChannel) {
	for channel := range wire.Snowflake(4) {
		if run.r.IntN(3) > 0 {
			continue
		}
		var ranges []wire.ListRange
		for range 1 + run.r.IntN(3) {
			first := run.r.IntN(5) * 100
			ranges = append(ranges, wire.ListRange{First: first, Last: first + 99})
		}
		wants = append(wants, listChannel{channel + 11, listBlocks(ranges)})
	}
	return wants
}

func (run *listRun) wants(c *listClient, wants []listChannel) {
	c.wants = wants
	run.ls.subscribe(c.handle, c.user, wants)
}

// deliver hands out the news. Whoever is not there any more must not be named.
func (run *listRun) deliver() {
	for _, news := range run.ls.take() {
		for _, h := range news.to {
			at := slices.IndexFunc(run.clients, func(c *listClient) bool { return c.handle == h })
			if at < 0 {
				run.t.Fatalf("news for session %d, which is gone", h.Slot)
			}
			run.clients[at].hear(news.dispatch)
		}
	}
}

// check compares all clients with the model.
func (run *listRun) check() {
	run.t.Helper()
	if err := run.ls.check(); err != nil {
		run.t.Fatal(err)
	}
	type shown struct {
		rows   []string
		groups string
	}
	lists := make(map[string]shown)
	for _, c := range run.clients {
		blocks := make(map[string][]uint32)
		for _, want := range c.wants {
			if run.w.views(c.user, want.channel) {
				id := run.w.listID(want.channel)
				blocks[id] = append(blocks[id], want.blocks...)
				if _, known := lists[id]; !known {
					rows, groups := run.w.rows(want.channel)
					lists[id] = shown{rows, groups}
				}
			}
		}
		for id, want := range blocks {
			c.check(id, want, lists[id].rows)
		}
		for id := range c.lists {
			if blocks[id] == nil {
				c.check(id, nil, nil)
			}
		}
	}
	if run.r.IntN(4) > 0 {
		return
	}
	run.ls.tellCounts()
	run.deliver()
	members, online := run.w.totals()
	for _, c := range run.clients {
		for _, v := range run.ls.viewsOf(&listSubscriber{user: c.user, channels: c.wants}) {
			l := c.lists[v.id]
			if l.groups != lists[v.id].groups || l.members != members || l.online != online {
				run.t.Fatalf("client %d list %s: got groups %q of %d, %d; want %q of %d, %d",
					c.handle.Slot, v.id, l.groups, l.members, l.online,
					lists[v.id].groups, members, online)
			}
		}
	}
}

// checkShown compares clients with the lists as they are, when no round is under way.
func (run *listRun) checkShown() {
	run.t.Helper()
	ls := run.ls
	if err := ls.check(); err != nil {
		run.t.Fatal(err)
	}
	if ls.stage != listsRest {
		return
	}
	for _, c := range run.clients {
		s := ls.subscribers[c.handle]
		if s == nil {
			continue
		}
		for _, v := range s.views {
			l := ls.list(v.id, 0)
			if v.audience.waits {
				continue
			}
			var rows []string
			for _, row := range l.appendRows(nil, ls.table.roster, 0, 1<<30) {
				if row.ref == 0 {
					id := ls.table.groups.appendID(nil, row.group)
					rows = append(rows, "group "+string(id[1:len(id)-1]))
				} else {
					rows = append(rows, fmt.Sprint(ls.table.roster.User(row.ref)))
				}
			}
			c.checkUsers(v.id, v.blocks, rows)
		}
	}
}
