package node

import (
	"encoding/json"
	"math"
	"runtime"
	"testing"
	"time"

	"throng/node/api"
	"throng/store"
	"throng/tuning"
	"throng/wire"
)

// measure asks the owners of a node without goroutines for what they hold.
func (h *handNode) measure() *measured {
	h.t.Helper()
	all := h.core.sharedMemory()
	for _, l := range h.loops {
		all.merge(l.memory())
	}
	for _, s := range h.shards {
		w := s.newGuildWalk()
		w.goOn()
		for len(w.done) == 0 {
			h.rest()
			s.pass()
		}
		all.merge(<-w.done)
	}
	return all
}

func (m *measured) sum() (sum tuning.Estimate) {
	for _, p := range m.parts {
		sum = sum.Add(p.estimate)
	}
	return sum
}

// TestMemoryAgreesWithTheHeap has sessions come, in one large guild and thousands of small ones,
// and holds what the node says that they take against what the heap has grown by.
func TestMemoryAgreesWithTheHeap(t *testing.T) {
	const sessions, each = 20_000, 5
	dir := store.NewMemory()
	people(t, dir, sessions)
	users := store.NewUsers()
	const large = wire.Snowflake(1000)
	everybody := make([]wire.Snowflake, sessions)
	for i := range everybody {
		everybody[i] = wire.Snowflake(i + 1)
	}
	putAway(t, dir, users, large, everybody...)
	for i := 0; i < sessions; i += each {
		putAway(t, dir, users, wire.Snowflake(1000*(i+2)), everybody[i:i+each]...)
	}
	h := newHandNode(t, dir, func(s *settings) {
		s.identifyBurst, s.lookupsMax, s.loopJoinsMax = sessions, sessions, sessions
		s.guildLoadsMax, s.acceptRate = sessions, 0
	})
	clients := make([]*handClient, sessions)
	before, empty := heapInUse(), h.measure()
	for i := range clients {
		clients[i] = h.dial(i%2, everybody[i])
		clients[i].identify()
		if i%100 == 0 {
			h.work(len(h.jobs))
			h.rest()
		}
	}
	h.settle()
	for _, c := range clients {
		if c.ready != 1 || c.guilds != 2 {
			t.Fatalf("user %d: %d READY, %d guilds", c.user, c.ready, c.guilds)
		}
	}
	grown := float64(heapInUse()-before) - float64(sessions*tuning.HeapBytes(sizeOf[handClient]()))
	began := time.Now()
	full := h.measure()
	took := time.Since(began)
	// The directory had the users' records before.
	r := newRuler()
	table := store.ConcurrentBytes(&r.Ruler, sessions, 16)
	estimate := full.sum().Sum - empty.sum().Sum - full.parts[partUsers].estimate.Sum +
		float64(table)
	t.Logf("%.0f B a session in the heap, %.0f ± %.0f estimated, in %v", grown/sessions,
		estimate/sessions, full.sum().Bound()/sessions, took)
	for _, name := range full.names {
		p := full.parts[name]
		t.Logf("%-10s %8d  %10.0f B  ± %.0f", name, p.count, p.estimate.Sum, p.estimate.Bound())
	}
	if off := math.Abs(estimate-grown) / grown; off > 0.1 {
		t.Errorf("the heap has grown by %.0f B, and %.0f are accounted for", grown, estimate)
	}
	for name, count := range map[string]int{partSessions: sessions, partSockets: sessions,
		partUsers: sessions, partGuilds: sessions/each + 1} {
		if got := full.parts[name].count; got != count {
			t.Errorf("%d %s, want %d", got, name, count)
		}
	}
	runtime.KeepAlive(clients)
	runtime.KeepAlive(h)
	runtime.KeepAlive(users)
}

// TestMemoryOfTheDirectoryAgreesWithTheHeap fills a directory in memory, with users in one large
// guild and many small ones.
func TestMemoryOfTheDirectoryAgreesWithTheHeap(t *testing.T) {
	const users, each = 40_000, 5
	before := heapInUse()
	dir := store.NewMemory()
	people(t, dir, users)
	table := store.NewUsers()
	everybody := make([]wire.Snowflake, users)
	for i := range everybody {
		everybody[i] = wire.Snowflake(i + 1)
	}
	putAway(t, dir, table, 1000, everybody...)
	for i := 0; i < users; i += each {
		putAway(t, dir, table, wire.Snowflake(1000*(i+2)), everybody[i:i+each]...)
	}
	grown := float64(heapInUse()-before) - 8*users
	r := newRuler()
	began := time.Now()
	estimate := float64(dir.(inMemory).Memory(&r.Ruler, table))
	t.Logf("%.1f MB in the heap, %.1f estimated, in %v", grown/1e6, estimate/1e6, time.Since(began))
	if math.Abs(estimate-grown) > 0.1*grown {
		t.Errorf("the heap has grown by %.0f B, and %.0f are accounted for", grown, estimate)
	}
	for _, user := range everybody {
		u, err := dir.User(uint64(user))
		if err != nil {
			t.Fatal(err)
		}
		table.Put(u)
	}
	if shared := float64(dir.(inMemory).Memory(&r.Ruler, table)); shared > estimate-100*users {
		t.Errorf("%.0f B without what the table has, %.0f with it", shared, estimate)
	}
	runtime.KeepAlive(everybody)
}

// TestMemoryOfANode asks a node with a few sessions for what it holds.
func TestMemoryOfANode(t *testing.T) {
	t.Parallel()
	r := startRig(t, Config{})
	r.user(1, true)
	r.guild(100, 1)
	for range 5 {
		r.login(1).joined(1)
	}
	status, body, err := r.get("admin", "/v1/memory")
	var info api.MemoryInfo
	if err == nil {
		err = json.Unmarshal([]byte(body), &info)
	}
	if err != nil || status != 200 || len(info.Missing) > 0 {
		t.Fatalf("got %d %s: %v", status, body, err)
	}
	parts := map[string]api.MemoryPart{}
	var sum int64
	for _, p := range info.Parts {
		parts[p.Part] = p
		sum += p.Bytes
	}
	if parts[partJournals].Bytes < 2*8<<20*9/10 || parts[partSessions].Count != 5 ||
		parts[partConns].Count != 5 || parts[partConns].Bytes < 5*80 ||
		parts[partReceivers].Bytes < 5*72 || parts[partMembers].Count != 1 ||
		parts[partDirectory].Bytes < 500 {
		t.Errorf("got %s", body)
	}
	if off := sum - info.Bytes; off < -20 || off > 20 || info.Process["heap_live"] < info.Bytes/2 {
		t.Errorf("the parts are %d, the sum %d of a heap of %d", sum, info.Bytes,
			info.Process["heap_live"])
	}
}
