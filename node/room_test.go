package node

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"throng/fanout"
	"throng/store"
	"throng/wire"
)

// crowded is a cold node with a guild, 100, of users 1 to 50, and the clients of the first n.
func crowded(t *testing.T, n int, tweaks ...func(*settings)) (*handNode, []*handClient) {
	t.Helper()
	const members = 50
	dir := store.NewMemory()
	people(t, dir, members)
	ids := make([]wire.Snowflake, members)
	for i := range ids {
		ids[i] = wire.Snowflake(i + 1)
	}
	putAway(t, dir, store.NewUsers(), 100, ids...)
	h := newHandNode(t, dir, tweaks...)
	var clients []*handClient
	for i := range n {
		c := h.dial(i%2, ids[i])
		c.identify()
		clients = append(clients, c)
	}
	return h, clients
}

// begin has all tokens looked up, so that sessions wait for the guild.
func (h *handNode) begin() {
	for n := len(h.jobs); n > 0; n-- {
		h.work(1)
	}
	h.rest()
}

func (h *handNode) wantReads(guild uint64, want int) {
	h.t.Helper()
	if got := h.dir.guilds[guild]; got != want {
		h.t.Errorf("guild %d was read %d times, want %d", guild, got, want)
	}
}

func TestAGuildIsReadOnceForAllWhoWait(t *testing.T) {
	h, clients := crowded(t, 50)
	h.begin()
	if len(h.jobs) != 1 {
		t.Fatalf("%d jobs for one guild", len(h.jobs))
	}
	h.settle()
	h.wantReads(100, 1)
	for i, c := range clients {
		if c.ready != 1 || c.guilds != 1 {
			t.Errorf("client %d has got %d READY and %d guilds", i, c.ready, c.guilds)
		}
	}
}

// TestWhoLeavesIsNotWaitedFor ends the sessions of some, or of all, who wait for a guild.
func TestWhoLeavesIsNotWaitedFor(t *testing.T) {
	for _, leaving := range []int{1, 20, 40} {
		h, clients := crowded(t, 40)
		h.begin()
		for _, c := range clients[:leaving] {
			c.leave(1000)
		}
		h.rest()
		h.settle()
		if leaving == len(clients) {
			h.wantReads(100, 0)
			if n := len(h.shardOf(100).guilds); n != 0 {
				t.Errorf("%d places are left", n)
			}
			continue
		}
		h.wantReads(100, 1)
		g := h.shardOf(100).guilds[100].guild
		if got, want := g.Info().SessionCount, len(clients)-leaving; got != want {
			t.Errorf("%d leave: %d sessions, want %d", leaving, got, want)
		}
		if got := h.abandoned.Load(); got != uint64(leaving) {
			t.Errorf("%d leave: %d requests were struck out", leaving, got)
		}
	}
}

// TestWhoComesBackIsWaitedFor: everybody leaves, and somebody comes before or after the worker has
// found that nobody waits.
func TestWhoComesBackIsWaitedFor(t *testing.T) {
	for _, skipped := range []bool{false, true} {
		h, clients := crowded(t, 5)
		h.begin()
		for _, c := range clients {
			c.leave(1000)
		}
		h.rest()
		read := h.jobs[0]
		h.jobs = nil
		if skipped {
			read()
		}
		late := h.dial(0, 7)
		late.identify()
		h.begin()
		if !skipped {
			read()
		}
		h.settle()
		h.wantReads(100, 1)
		if late.ready != 1 || late.guilds != 1 {
			t.Errorf("skipped %v: who came late has %d READY and %d guilds", skipped, late.ready,
				late.guilds)
		}
	}
}

// TestWhoDetachesIsWaitedFor: a session that only lost its connection is taken in all the same.
func TestWhoDetachesIsWaitedFor(t *testing.T) {
	h, clients := crowded(t, 3)
	h.begin()
	for _, c := range clients {
		c.leave(4000)
	}
	h.settle()
	h.wantReads(100, 1)
	if n := h.shardOf(100).guilds[100].guild.Info().SessionCount; n != 3 {
		t.Errorf("%d sessions, want 3", n)
	}
}

// TestGuildsAreReadAFewAtATime has one user in many guilds, and a worker pool that is full at times.
func TestGuildsAreReadAFewAtATime(t *testing.T) {
	const guilds, loads, joins = 200, 3, 64
	dir := store.NewMemory()
	people(t, dir, 1)
	for i := range guilds {
		putAway(t, dir, store.NewUsers(), wire.Snowflake(1000*(i+1)), 1)
	}
	h := newHandNode(t, dir, func(s *settings) { s.guildLoadsMax = loads })
	c := h.dial(0, 1)
	c.identify()
	h.begin()
	if n := len(h.jobs); n != 2*loads {
		t.Errorf("workers have %d guilds to read, want %d for each of 2 shards", n, loads)
	}
	h.jobMax = 2
	for range guilds {
		h.settle()
		h.elapse(h.limits.tickMilli)
	}
	if c.guilds != guilds || c.away != 0 {
		t.Errorf("the client has got %d guilds and lost %d, want %d", c.guilds, c.away, guilds)
	}
	for i := range guilds {
		h.wantReads(uint64(1000*(i+1)), 1)
	}
	if h.most.joining > joins {
		t.Errorf("%d joins waited, want %d at most", h.most.joining, joins)
	}
}

// TestAFullPoolDelaysAndRefusesNobody: who waits for a guild that the workers have no room for waits
// until they have, though nothing else of its shard is under way.
func TestAFullPoolDelaysAndRefusesNobody(t *testing.T) {
	h, clients := crowded(t, 2)
	for n := len(h.jobs); n > 0; n-- {
		h.work(1)
	}
	h.jobMax = 0
	h.settle()
	h.elapse(5000)
	h.settle()
	h.wantReads(100, 0)
	if n := h.shardOf(100).loads.holders(); n != 0 {
		t.Errorf("%d permits are held", n)
	}
	h.jobMax = 1
	h.elapse(h.limits.tickMilli)
	h.settle()
	h.wantReads(100, 1)
	for _, c := range clients {
		if c.ready != 1 || c.away != 0 || c.guilds != 1 {
			t.Errorf("READY %d, guilds %d, unavailable %d", c.ready, c.guilds, c.away)
		}
	}
}

// TestJoinsOfALoopAreBounded: above the bound each session joins one guild at a time, and gets all.
func TestJoinsOfALoopAreBounded(t *testing.T) {
	const users, guilds, most = 20, 30, 40
	dir := store.NewMemory()
	people(t, dir, users)
	all := make([]wire.Snowflake, users)
	for i := range all {
		all[i] = wire.Snowflake(i + 1)
	}
	for i := range guilds {
		putAway(t, dir, store.NewUsers(), wire.Snowflake(1000*(i+1)), all...)
	}
	h := newHandNode(t, dir, func(s *settings) { s.loopJoinsMax = most })
	var clients []*handClient
	for _, user := range all {
		c := h.dial(0, user)
		c.identify()
		clients = append(clients, c)
	}
	h.begin()
	if n := h.loops[0].joining; n > most+users {
		t.Errorf("%d joins, want %d at most", n, most+users)
	}
	h.settle()
	for i, c := range clients {
		if c.guilds != guilds {
			t.Errorf("client %d has got %d guilds, want %d", i, c.guilds, guilds)
		}
	}
	if n := h.loops[0].joining; n != 0 || h.most.joining > most+users {
		t.Errorf("%d joins are left, %d waited", n, h.most.joining)
	}
}

// TestLookupsAreBounded: more IDENTIFYs than may be looked up are told to come again, on the same
// connection, and those of connections that have ended are not looked up.
func TestLookupsAreBounded(t *testing.T) {
	const most, gone = 5, 2
	h, clients := crowded(t, 8, func(s *settings) {
		s.lookupsMax = most
		s.identifyBurst, s.identifyRate = 1000, 1000
	})
	for i, c := range clients {
		if want := i / most; c.refused != want {
			t.Errorf("client %d was refused %d times, want %d", i, c.refused, want)
		}
	}
	clients[0].leave(1000)
	clients[1].loop.ended(clients[1].socket)
	h.settle()
	if got := h.dir.tokens.Load(); got != most-gone {
		t.Errorf("%d tokens were looked up, want %d", got, most-gone)
	}
	if got := h.abandoned.Load(); got != gone {
		t.Errorf("%d were given up, want %d", got, gone)
	}
	for _, c := range clients[most:] {
		c.identify()
	}
	h.settle()
	for i, c := range clients[gone:] {
		if c.ready != 1 || c.guilds != 1 || c.closed {
			t.Errorf("client %d has got %d READY and %d guilds", gone+i, c.ready, c.guilds)
		}
	}
	if n := h.lookups.holders(); n != 0 {
		t.Errorf("%d are still being looked up", n)
	}
}

// TestLostLookupsAreSwept has the workers lose jobs.
func TestLostLookupsAreSwept(t *testing.T) {
	h, _ := crowded(t, 3, func(s *settings) { s.lookupsMax = 3 })
	h.jobs = nil
	h.elapse(h.limits.lookupMilli / 2)
	late := h.dial(0, 9)
	late.identify()
	if late.refused != 1 {
		t.Fatalf("refused %d times, want once", late.refused)
	}
	h.elapse(h.limits.lookupMilli)
	late = h.dial(0, 9)
	late.identify()
	h.settle()
	if late.ready != 1 || late.guilds != 1 {
		t.Errorf("READY %d, guilds %d", late.ready, late.guilds)
	}
}

// TestListsOfWhoHasGoneAreNotMade: chunks of members for a session that has ended are not made.
func TestListsOfWhoHasGoneAreNotMade(t *testing.T) {
	h, clients := crowded(t, 2)
	h.settle()
	for _, c := range clients {
		c.say(`{"op":8,"d":{"guild_id":"100","query":"u","limit":10}}`)
	}
	h.rest()
	if len(h.jobs) != 2 {
		t.Fatalf("%d jobs, want 2", len(h.jobs))
	}
	before := h.abandoned.Load()
	clients[0].leave(1000)
	h.settle()
	if got := h.abandoned.Load() - before; got != 1 {
		t.Errorf("%d lists were given up, want 1", got)
	}
	for i, l := range h.loops {
		if l.making != 0 || len(l.streams) != 0 {
			t.Errorf("loop %d: %d lists are being made, %d in line", i, l.making, len(l.streams))
		}
	}
}

// TestARequestThatWasGivenUpIsNotDone: the caller of a door has gone before its turn came.
func TestARequestThatWasGivenUpIsNotDone(t *testing.T) {
	h, _ := crowded(t, 0)
	n := &Node{core: h.core, cfg: Config{Journal: 1 << 30}}
	ctx, giveUp := context.WithCancel(context.Background())
	giveUp()
	done := 0
	err := n.work(ctx, 100, kindProvision,
		func(_ *shard, g *fanout.Guild, _ int64) (*fanout.Guild, fanout.Change, error) {
			done++
			return g, fanout.Change{}, nil
		})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("work: %v", err)
	}
	err = n.look(ctx, 100, func(*fanout.Guild, int64) error {
		done++
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("look: %v", err)
	}
	h.settle()
	if done != 0 || h.abandoned.Load() != 2 {
		t.Errorf("%d were done and %d given up", done, h.abandoned.Load())
	}
}

// BenchmarkShardOf is the choice of a guild's shard, beside a multiplication and a shift.
func BenchmarkShardOf(b *testing.B) {
	for _, shards := range []int{2, 16, 64} {
		b.Run(fmt.Sprint(shards), func(b *testing.B) {
			c := &core{shards: make([]*shard, shards)}
			for i := range c.shards {
				c.shards[i] = &shard{index: i}
			}
			c.placeGuilds()
			sum := 0
			for guild := wire.Snowflake(0); b.Loop(); guild += 11_000 << 22 {
				sum += c.shardOf(guild).index
			}
			if sum == 0 {
				b.Fatal("all guilds are on the first shard")
			}
		})
	}
}
