package node

import (
	"flag"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"throng/store"
	"throng/tuning"
	"throng/wire"
)

var stampede = flag.Int("stampede", 5000, "sessions of the stampede; with 100000 there are 10,000 "+
	"guilds, and the limits are the real ones")

// Where a herd comes from: all sessions of a cluster's lost node at once, on a node that has just
// started and has read nothing. The original lost its registries to one: calls timed out and stayed
// in line, retries piled up on them, sessions' own queues grew behind that, and the machine died
// for want of memory.
const (
	stampedeFull   = 100_000
	stampedeGuilds = 5   // per user on average
	stampedePerish = 50  // one in so many clients loses patience before it is served
	stampedeWork   = 100 // jobs of the full herd that workers do in a millisecond: two, at 20 µs each
)

// herd is clients that all identify at once.
type herd struct {
	*handNode
	rng     *rand.Rand
	clients []*handClient
	member  [][]wire.Snowflake // of each client's user
	again   map[int64][]int    // when -> clients that were refused and come again
	told    []int              // refusals that a client has acted on
	gone    []bool
	guilds  int
}

// newHerd makes users and guilds in a directory that the node has read nothing of. Its limits are in
// proportion to the herd, so that a small one meets each of them as the full one does.
func newHerd(t testing.TB, sessions int) *herd {
	r := rand.New(rand.NewPCG(1, uint64(sessions)))
	guilds := max(sessions*10_000/stampedeFull, 1)
	dir := store.NewMemory()
	people(t, dir, sessions)
	members := make([][]wire.Snowflake, guilds)
	w := &herd{rng: r, again: map[int64][]int{}, guilds: guilds,
		member: make([][]wire.Snowflake, sessions), told: make([]int, sessions),
		gone: make([]bool, sessions)}
	for i := range sessions {
		for range 1 + r.IntN(2*stampedeGuilds-1) {
			g := r.IntN(guilds)
			id := wire.Snowflake(1000 * (g + 1))
			known := false
			for _, m := range w.member[i] {
				known = known || m == id
			}
			if !known {
				w.member[i] = append(w.member[i], id)
				members[g] = append(members[g], wire.Snowflake(i+1))
			}
		}
	}
	users := store.NewUsers()
	for g, of := range members {
		putAway(t, dir, users, wire.Snowflake(1000*(g+1)), of...)
	}
	share := func(n int) int { return max(n*sessions/stampedeFull, 1) }
	w.handNode = newHandNode(t, dir, func(s *settings) {
		s.identifyBurst = int64(share(tuning.IdentifyBurstMax))
		s.identifyRate = int64(share(tuning.IdentifyRateMax))
		s.lookupsMax = share(tuning.IdentifyLookupsMax)
		s.loopJoinsMax = share(tuning.LoopJoinsMax)
		s.journalBytes = max(share(tuning.JournalBytes), tuning.JournalBytesMin)
		s.loopPassMax, s.flushPassMax = share(tuning.LoopPassMax), share(tuning.FlushPassMax)
		s.writeLineMax = share(tuning.WriteLineMax)
		s.acceptRate = 0
	})
	w.jobMax = share(tuning.WorkerQueueMax)
	return w
}

// arrive has everybody connect and identify before anybody is answered.
func (w *herd) arrive() {
	for i := range w.member {
		c := w.dial(i%2, wire.Snowflake(i+1))
		w.clients = append(w.clients, c)
		c.identify()
	}
}

// moment lets a millisecond pass: workers do what they can, owners take a turn, clients that have
// been refused come again after a pause of their own, and some lose patience.
func (w *herd) moment() {
	w.work(max(stampedeWork*len(w.clients)/stampedeFull, 1))
	w.turn()
	w.now++
	if w.now%w.limits.tickMilli == 0 {
		for _, l := range w.loops {
			l.tick()
		}
		for _, s := range w.shards {
			s.ringTick()
		}
		w.look()
	}
	for _, i := range w.again[w.now] {
		if !w.gone[i] && !w.clients[i].closed {
			w.clients[i].identify()
		}
	}
	delete(w.again, w.now)
}

// look is what clients do of their own.
func (w *herd) look() {
	for i, c := range w.clients {
		switch {
		case w.gone[i] || w.served(i):
		case c.closed:
			w.clients[i] = w.dial(i%2, c.user)
			w.told[i] = 0
			w.clients[i].identify()
		case c.refused > w.told[i]:
			// Clients wait one to five seconds.
			w.told[i] = c.refused
			at := w.now + 1000 + w.rng.Int64N(4000)
			w.again[at] = append(w.again[at], i)
		case i%stampedePerish == 0 && w.rng.IntN(4) == 0:
			w.gone[i] = true
			c.leave(1000)
		}
	}
}

// served says whether a client has its session and all its guilds.
func (w *herd) served(i int) bool {
	c := w.clients[i]
	return c.ready == 1 && c.guilds == len(w.member[i])
}

// unserved counts those who wait.
func (w *herd) unserved() (n int) {
	for i := range w.clients {
		if !w.gone[i] && !w.served(i) {
			n++
		}
	}
	return n
}

// TestStampede has everybody identify at once on a node that has read nothing, and holds that
// everybody is served, that each guild is read once, and that nothing waits beyond its bound.
//
//	go test ./node -run TestStampede -v -stampede 100000
func TestStampede(t *testing.T) {
	w := newHerd(t, *stampede)
	before := heapInUse()
	began := time.Now()
	reads, left := w.run()
	if reads > 1 {
		t.Errorf("a guild was read %d times", reads)
	}
	w.wantBounds()
	if n := w.closes[SlowReader].Load(); n > 0 {
		t.Errorf("%d were given more than the journal holds before they were written", n)
	}
	if left == 0 || w.abandoned.Load() == 0 || w.identifies.late.Load() == 0 {
		t.Errorf("%d lost patience, %d requests were given up, %d were refused: want some of each",
			left, w.abandoned.Load(), w.identifies.late.Load())
	}
	t.Logf("%d sessions of %d guilds: served after %.1f s of the node's time, in %.1f s of ours; "+
		"%d times refused, %d lost patience, %d requests given up; at most %d jobs, %d joins and "+
		"%d loads waited; heap %d MiB, of which %d for the sessions", len(w.clients), w.guilds,
		float64(w.now)/1000, time.Since(began).Seconds(), w.identifies.late.Load(), left,
		w.abandoned.Load(), w.most.jobs, w.most.joining, w.most.reading, heapInUse()>>20,
		(heapInUse()-before)>>20)
}

// BenchmarkStampede is that of the full herd.
func BenchmarkStampede(b *testing.B) {
	for b.Loop() {
		w := newHerd(b, stampedeFull)
		before := heapInUse()
		reads, _ := w.run()
		b.ReportMetric(float64(reads), "reads-most")
		b.ReportMetric(float64(heapInUse()-before)/1e6, "MB")
		b.ReportMetric(float64(w.most.jobs), "jobs-most")
		b.ReportMetric(float64(w.most.joining), "joins-most")
	}
}

// run has everybody identify until all are served who have not lost patience. It returns how often
// one guild was read at most, and who did.
func (w *herd) run() (reads, left int) {
	w.t.Helper()
	w.arrive()
	const patience = 120_000 // milliseconds
	for unserved := 1; unserved > 0; {
		for range 250 {
			w.moment()
		}
		if unserved = w.unserved(); unserved > 0 && w.now > patience {
			w.t.Fatalf("%d of %d have not been served after %d s", unserved, len(w.clients),
				patience/1000)
		}
	}
	w.settle()
	for i, c := range w.clients {
		if w.gone[i] {
			left++
		} else if c.ready != 1 || c.away != 0 {
			w.t.Fatalf("client %d has got %d READY and lost %d guilds", i, c.ready, c.away)
		}
	}
	for g := range w.guilds {
		reads = max(reads, w.dir.guilds[uint64(1000*(g+1))])
	}
	return reads, left
}

// wantBounds holds that what waits is bounded by limits and not by how many come.
func (w *herd) wantBounds() {
	w.t.Helper()
	loads := len(w.shards) * w.limits.guildLoadsMax
	for _, b := range []struct {
		what       string
		got, bound int
	}{
		{"jobs of workers", w.most.jobs, w.limits.lookupsMax + loads},
		{"joins of guilds", w.most.joining, len(w.clients) +
			len(w.loops)*w.limits.loopJoinsMax},
		{"guilds being read", w.most.reading, loads},
	} {
		if b.got > b.bound || b.got < b.bound/10 {
			w.t.Errorf("%d %s at a time; the bound is %d, and the herd is to come near it", b.got,
				b.what, b.bound)
		}
	}
}

func heapInUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
