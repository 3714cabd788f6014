package node

import (
	"flag"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"testing"
)

// The simulation is the project's main proof that what the node promises holds whatever comes when:
// each session gets the events of its guilds that it may see, all of them, once, in order, with
// numbers that grow by one across resumes, or is told that it cannot; and when everybody has gone,
// nothing is left. One goroutine runs a node's loops, shards, workers and keeper, its clients and
// its network (simulation_world_test.go); a model says what every session is to get
// (simulation_model_test.go). A failure is replayed by its seed.

var (
	simSeeds = flag.Uint64("sim.seeds", 0, "how many seeds the simulation runs; 0 = as many as fit")
	simFirst = flag.Uint64("sim.first", 1, "the first of them")
)

// simSeedsDefault seeds take half a minute of processor time.
const simSeedsDefault = 1000

// TestSimulation runs many small nodes.
func TestSimulation(t *testing.T) {
	seeds := *simSeeds
	if seeds == 0 {
		seeds = fewer(simSeedsDefault)
	}
	t.Parallel()
	var next atomic.Uint64
	var tally simTally
	t.Cleanup(func() { tally.report(t, seeds >= simSeedsDefault && !t.Failed()) })
	for i := range runtime.GOMAXPROCS(0) {
		t.Run(fmt.Sprint("worker", i), func(t *testing.T) {
			t.Parallel()
			for n := next.Add(1) - 1; n < seeds; n = next.Add(1) - 1 {
				seed := *simFirst + n
				var err error
				compute(func() { _, err = simulate(seed, false, &tally) })
				if err != nil {
					next.Add(seeds)
					t.Fatalf("seed %d, %v\n\nreplay: go test ./node -run 'TestSimulation$' "+
						"-sim.first=%d -sim.seeds=1", seed, err, seed)
				}
			}
		})
	}
}

// processors bounds how many simulations run at a time. Besides them are tests of nodes and engines,
// which run side by side as well and must get a processor now and then.
var processors = make(chan struct{}, runtime.GOMAXPROCS(0))

func compute(f func()) {
	processors <- struct{}{}
	defer func() { <-processors }()
	f()
}

// computes has a test of simulated nodes run side by side with others, as one of these.
func computes(t *testing.T) {
	t.Helper()
	t.Parallel()
	processors <- struct{}{}
	t.Cleanup(func() { <-processors })
}

// fewer is how many of so many seeds are run. The race detector slows a simulation down ten times
// and has nothing to find in its one goroutine, so a twentieth of them is enough then.
func fewer(seeds uint64) uint64 {
	if testing.Short() || raceDetected() {
		return (seeds + 19) / 20
	}
	return seeds
}

func raceDetected() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// TestSimulationOfThousands has as many sessions as make relays, journals and queues go over
// several pages.
func TestSimulationOfThousands(t *testing.T) {
	t.Parallel()
	var err error
	compute(func() { _, err = simulate(*simFirst, true, nil) })
	if err != nil {
		t.Fatalf("seed %d, %v\n\nreplay: go test ./node -run TestSimulationOfThousands "+
			"-sim.first=%d", *simFirst, err, *simFirst)
	}
}

// TestSimulationIsReplayed holds that a seed is all there is to a run.
func TestSimulationIsReplayed(t *testing.T) {
	t.Parallel()
	for seed := range fewer(5) {
		var first, second uint32
		var err error
		compute(func() {
			first, err = simulate(seed, false, nil)
			second, _ = simulate(seed, false, nil)
		})
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if first != second {
			t.Errorf("seed %d: two runs sent different bytes", seed)
		}
	}
}

// TestSimulationSeedsOfLongRuns has the seeds in which runs of many thousands found something: a
// resumed connection that got a stream of whole frames while it was within one, and two ends that
// are no faults. They come too seldom for the seeds of each change.
func TestSimulationSeedsOfLongRuns(t *testing.T) {
	t.Parallel()
	seeds := []uint64{1158, 2687, 6700, 52_696, 55_517}
	for _, seed := range seeds[:fewer(uint64(len(seeds)))] {
		var err error
		compute(func() { _, err = simulate(seed, false, nil) })
		if err != nil {
			t.Errorf("seed %d, %v", seed, err)
		}
	}
}

// simulate runs one seed. The checksum is of all bytes that clients have read.
func simulate(seed uint64, large bool, tally *simTally) (checksum uint32, err error) {
	w := newWorld(seed, large)
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("step %d: panic: %v\n%s", w.steps, r, debug.Stack())
		}
	}()
	w.begin(large)
	for range w.opts.steps {
		if w.step(); w.err != nil {
			break
		}
		if w.steps%250 == 0 {
			w.check()
		}
	}
	w.settle()
	if w.err == nil {
		w.compare()
	}
	w.end()
	if tally != nil {
		tally.add(w)
	}
	return w.checksum, w.err
}

// begin puts guilds, members and clients there.
func (w *world) begin(large bool) {
	for _, g := range w.model.guilds {
		w.putGuild(g)
		w.runAll()
		w.putMembers(g, w.crowd())
	}
	for range w.rng.IntN(6) {
		w.voiceServer()
	}
	for range w.opts.clients {
		w.newClient()
	}
}

// crowd is how many users are members of a guild at first.
func (w *world) crowd() int {
	if len(w.users) > simMembersShown {
		return len(w.users)
	}
	return len(w.users) * (1 + w.rng.IntN(3)) / 3
}

// check looks at the invariants of every owner.
func (w *world) check() {
	for i, l := range w.core.loops {
		if err := l.check(); err != nil {
			w.fail("loop %d: %v", i, err)
		}
	}
	for _, s := range w.core.shards {
		for _, p := range s.guilds {
			if p.guild == nil {
				continue
			}
			if err := p.guild.Check(); err != nil {
				w.fail("%v", err)
			}
		}
	}
	if err := w.core.voice.Check(); err != nil {
		w.fail("%v", err)
	}
	if n := w.core.panics.Load(); n > 0 {
		w.fail("%d panics", n)
	}
}

// runAll lets everyone run until nobody has anything to do but wait for time to pass.
func (w *world) runAll() {
	for range 500_000 {
		busy := false
		for i := range w.loops {
			busy = busy || w.loops[i].ready
			w.runLoop(i)
		}
		for i := range w.shards {
			busy = busy || w.shards[i].ready
			w.runShard(i)
		}
		busy = busy || len(w.jobs)+len(w.keeps)+len(w.gone) > 0 || w.courier.ready
		w.runCourier()
		w.runJob()
		w.runKeep()
		w.runGone()
		if !busy || w.err != nil {
			return
		}
	}
	w.fail("the node does not come to rest")
}

// tickAll lets time pass.
func (w *world) tickAll(milli int64) {
	w.now += milli
	w.courier.ready = w.courier.ready || w.late
	for _, l := range w.core.loops {
		w.tick(l)
	}
	for _, s := range w.core.shards {
		s.ringTick()
	}
}

// settle ends all trouble and lets every client come back and read everything.
func (w *world) settle() {
	w.calm = true
	w.opts.roomBytes = 1 << 20
	for _, p := range w.orphans {
		p.sever()
	}
	waits := ""
	for range 2000 {
		if w.err != nil {
			return
		}
		w.steps++
		for _, c := range w.clients {
			c.actCalmly()
		}
		w.runAll()
		w.checkWritten()
		w.tickAll(50)
		if waits = w.waiting(); waits == "" {
			return
		}
	}
	w.fail("not everybody got everything: %s", waits)
}

// tick holds that a loop tries each blocked connection on every tick.
func (w *world) tick(l *loop) {
	w.ticks++
	l.tick()
	for i, s := range w.core.shards {
		w.shards[i].ready = w.shards[i].ready || len(s.unread) > 0 // As tickShards does.
	}
	for _, k := range l.blocked {
		if p := k.io.(*simPipe); k.state < socketClosing && p.triedAt != w.ticks {
			w.fail("%v: blocked, and not tried again", p)
		}
	}
}

// checkWritten holds that nothing waits for a tick that could be written at once.
func (w *world) checkWritten() {
	for i, l := range w.core.loops {
		for _, k := range l.sockets {
			if k == nil || k.state != socketLive || k.stuck != 0 {
				continue
			}
			if n := l.out.Unsent(k.session.slot); n > 0 {
				w.fail("loop %d has left %d frames to the tick", i, n)
			}
		}
	}
}

// actCalmly is what a client does that has no troubles.
func (c *simClient) actCalmly() {
	p := c.pipe
	if p != nil && p.done {
		c.lose(p)
		p = nil
	}
	if p == nil {
		c.connect()
		return
	}
	p.room = 1 << 20
	if p.hello && c.w.now >= c.beatDue && !p.closing {
		c.beat(p)
	}
	p.deliver(len(p.in))
	p.take(len(p.out))
}

// waiting names a client that has not got everything, "" when there is none.
func (w *world) waiting() string {
	for _, c := range w.clients {
		p := c.pipe
		switch {
		case p == nil || !p.live:
			return fmt.Sprintf("client %d is not connected", c.index)
		case p.acks > p.perhaps || len(p.out) > 0 || len(p.in) > 0 || p.closing || p.expects != 0:
			return fmt.Sprintf("client %d waits for %d answers", c.index, p.acks)
		}
		if what := c.record.complete(); what != "" {
			return fmt.Sprintf("client %d waits for %s", c.index, what)
		}
	}
	for _, what := range []string{w.untold(), w.oldNames(), w.wrongServer()} {
		if what != "" {
			return what
		}
	}
	return ""
}
