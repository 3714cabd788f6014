package node

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"throng/fanout"
	"throng/node/api"
	"throng/tuning"
	"throng/wire"
)

// timed is what a shard has to say about one kind of message.
func (r *rig) timed(s *shard, kind messageKind) timing {
	r.t.Helper()
	for _, p := range r.pictures(r.context()) {
		if p.watch == &s.stats.stopwatch {
			return p.timings[kind]
		}
	}
	r.t.Fatal("there is no such shard")
	return timing{}
}

// TestRunsAreBooked: sums are exact, what stands out is seen, and what does not is shared.
func TestRunsAreBooked(t *testing.T) {
	for _, c := range []struct {
		name           string
		runs           [][2]int64 // calls and what they took together
		least, longest int64
		outside        int64 // calls of 128 ns or more
	}{
		{"one call", [][2]int64{{1, 100}}, 100, 100, 0},
		{"alike", [][2]int64{{10, 1000}, {10, 1100}}, 100, 110, 0},
		{"one of a run stands out", [][2]int64{{10, 1000}, {10, 5900}}, 100, 5000, 1},
		{"the first run has no usual", [][2]int64{{10, 5900}}, 590, 590, 10},
		{"a single call that stands out", [][2]int64{{1, 100}, {1, 9000}}, 100, 9000, 1},
		{"time without a call", [][2]int64{{1, 100}, {0, 50}}, 100, 100, 0},
	} {
		var row timing
		var count, sum, outside int64
		for _, run := range c.runs {
			row.add(run[0], run[1])
			count += run[0]
			sum += run[1]
		}
		total := int64(0)
		for i, n := range row.spread {
			total += int64(n)
			if i > 7 {
				outside += int64(n)
			}
		}
		if row.count != count || row.sum != sum || total != count {
			t.Errorf("%s: %d calls of %d ns, %d in the buckets, want %d of %d", c.name, row.count,
				row.sum, total, count, sum)
		}
		if row.least != c.least || row.longest != c.longest || outside != c.outside {
			t.Errorf("%s: %d to %d ns, %d outside, want %d to %d, %d", c.name, row.least,
				row.longest, outside, c.least, c.longest, c.outside)
		}
		var both timing
		both.merge(&timing{})
		both.merge(&row)
		if both != row {
			t.Errorf("%s: merged with nothing it is %+v, want %+v", c.name, both, row)
		}
	}
}

func TestQuantiles(t *testing.T) {
	var row timing
	for range 98 {
		row.add(1, 100)
	}
	row.add(1, 3000)
	row.add(1, 70_000)
	for q, want := range map[float64]int64{0: 128, 0.5: 128, 0.97: 128, 0.98: 4096, 0.99: 70_000,
		1: 70_000} {
		if got := row.quantile(q); got != want {
			t.Errorf("%v: got %d, want %d", q, got, want)
		}
	}
}

// TestStopwatchCutsRuns has an owner do things, and looks at what is counted as what.
func TestStopwatchCutsRuns(t *testing.T) {
	w := stopwatch{stalls: newStalls(slog.New(slog.DiscardHandler))}
	w.stalls.limit.Store(int64(time.Hour)) // However slow the machine is, these are brief.
	const messages = 100
	for range messages {
		w.on(kindPublish, 1)
	}
	if _, kind, guild, ok := w.doing(); !ok || kind != kindPublish || guild != 1 {
		t.Errorf("it is at %v of guild %d: %v", kind, guild, ok)
	}
	// The clock has been read after the first, of which nothing was known, and where runs of 32
	// ended, and not for the fourth, which goes on.
	if got := w.timings[kindPublish].count; got != 1+messages/runMessagesMax*runMessagesMax {
		t.Errorf("%d are booked", got)
	}
	w.on(kindPublish, 2)
	w.on(kindJoin, 2)
	w.on(kindJoin, 2)
	w.uncount()
	w.within(kindEnded)
	w.rest()
	w.within(kindEnded)
	w.rest()
	for kind, want := range map[messageKind]int64{kindPublish: messages + 1, kindJoin: 1,
		kindEnded: 1} {
		if got := w.timings[kind].count; got != want {
			t.Errorf("%v: %d are booked, want %d", kind, got, want)
		}
	}
	if _, _, _, ok := w.doing(); ok {
		t.Error("it rests, and is said not to")
	}
}

// TestRunsHideNoStall has messages of known length follow on each other: each that passes the limit
// is written down, and nothing else is, whatever is usual for its kind.
func TestRunsHideNoStall(t *testing.T) {
	const limit = 50 * time.Millisecond
	for _, c := range []struct {
		name                string
		usual, others, long time.Duration
	}{
		{"of a brief kind", time.Microsecond, time.Microsecond, 60 * time.Millisecond},
		{"that just passes it", 90 * time.Microsecond, time.Microsecond, limit},
		{"among brief ones of a kind that takes long", 10 * time.Millisecond, time.Millisecond,
			60 * time.Millisecond},
		{"of a kind that takes nearly as long", 40 * time.Millisecond, 40 * time.Millisecond, limit},
		{"of which there were none before", 0, time.Millisecond, 60 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := stopwatch{stalls: newStalls(slog.New(slog.DiscardHandler))}
			w.stalls.limit.Store(int64(limit))
			now := int64(0)
			do := func(took time.Duration, times int) {
				for range times {
					if !w.joins(kindPublish, 1) {
						w.cut(kindPublish, 1, now)
					}
					now += int64(took)
				}
			}
			if c.usual > 0 {
				do(c.usual, 10*runMessagesMax)
			}
			do(c.others, runMessagesMax/2)
			do(c.long, 1)
			do(c.others, 2*runMessagesMax)
			w.end(now)
			kept, count := w.stalls.newest()
			if count != 1 {
				t.Fatalf("%d are written down, want 1: %+v", count, kept)
			}
			got, part := time.Duration(kept[0].span), limit/runsInLimit
			if got < c.long-part || got > c.long+part {
				t.Errorf("it is said to have taken %v, want %v", got, c.long)
			}
		})
	}
}

// TestStallOfWhatIsNotCounted: what is begun here and counted where it is done may take long too.
func TestStallOfWhatIsNotCounted(t *testing.T) {
	w := stopwatch{stalls: newStalls(slog.New(slog.DiscardHandler))}
	w.cut(kindJoin, 1, 0)
	w.uncount()
	w.end(int64(time.Second))
	if kept, _ := w.stalls.newest(); len(kept) != 1 || kept[0].span != int64(time.Second) ||
		kept[0].messages != 1 {
		t.Errorf("got %+v", kept)
	}
}

// BenchmarkStopwatch is what timing costs for a message: in a run of its kind, and when each is of
// another guild.
func BenchmarkStopwatch(b *testing.B) {
	for name, guilds := range map[string]wire.Snowflake{"run": 1, "alone": 2} {
		b.Run(name, func(b *testing.B) {
			w := stopwatch{stalls: newStalls(slog.New(slog.DiscardHandler))}
			i := wire.Snowflake(0)
			for b.Loop() {
				i++
				w.on(kindPublish, 1+i%guilds)
			}
		})
	}
}

// TestTimingsOfANode looks at what owners tell after a session and events.
func TestTimingsOfANode(t *testing.T) {
	t.Parallel()
	r := startRig(t, Config{})
	r.user(1, true)
	r.guild(100, 1)
	c := r.login(1)
	c.joined(1)
	r.publish(100, 1, 2, 3)
	for i := range 3 {
		c.wantNumber(i + 1)
	}
	info, err := r.Timings(r.context())
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int64{}
	for _, o := range info.Owners {
		if o.AgeSeconds != 0 || o.Queue.Limit == 0 {
			t.Errorf("%s: figures of %v s ago, an inbox of %d", o.Owner, o.AgeSeconds,
				o.Queue.Limit)
		}
		share := 0.0
		for _, row := range o.Types {
			share += row.Share
			checkTypeTimings(t, o.Owner, row)
			seen[o.Owner[:4]+" "+row.Type] += row.Count
		}
		if len(o.Types) > 0 && (share > 1.001 || o.BusySeconds <= 0) {
			t.Errorf("%s: shares of %v of %v s", o.Owner, share, o.BusySeconds)
		}
	}
	for what, least := range map[string]int64{"loop relay_publish": 1, "loop flush": 1,
		"loop traffic": 2, "loop opened": 1, "loop relay_admit": 1, "shar publish": 1,
		"shar join": 1, "work job_lookup": 1, "keep keep": 1} {
		if seen[what] < least {
			t.Errorf("%s: %d, want %d or more; seen: %v", what, seen[what], least, seen)
		}
	}
	sum := map[string]int64{}
	for _, row := range info.Sum {
		sum[row.Type] = row.Count
	}
	if sum["flush"] != seen["loop flush"] || sum["job_lookup"] != seen["work job_lookup"] {
		t.Errorf("the sum is %v, of %v", sum, seen)
	}
}

func checkTypeTimings(t *testing.T, owner string, row api.TypeTimings) {
	t.Helper()
	var calls int64
	for _, b := range row.Histogram {
		calls += int64(b.Count)
	}
	if calls != row.Count || row.Count < 1 {
		t.Errorf("%s %s: %d calls, %d in buckets", owner, row.Type, row.Count, calls)
	}
	if row.LeastSeconds > row.MeanSeconds || row.MeanSeconds > row.LongestSeconds+1e-9 ||
		row.P50Seconds > row.P99Seconds || row.P99Seconds > row.LongestSeconds {
		t.Errorf("%s %s: %+v", owner, row.Type, row)
	}
}

// stuckRig is a node with a guild whose shard is kept busy by hold, until release.
func stuckRig(t *testing.T, limit time.Duration) (r *rig, release chan struct{}) {
	r = startRig(t, Config{StallLimit: limit})
	r.user(1, true)
	r.guild(100, 1)
	release = make(chan struct{})
	hold := &guildLook{guildCall{100}, callerOf(r.context()), holdUntil(release),
		make(chan error, 1)}
	r.core.shardOf(100).inbox.push(hold)
	return r, release
}

// TestStallIsWrittenDown has a shard stand still: the operator sees that while it lasts, and with
// the stack when it is over.
func TestStallIsWrittenDown(t *testing.T) {
	t.Parallel()
	r, release := stuckRig(t, tuning.StallLimitMin)
	s := r.core.shardOf(100)
	running := func() (one api.Stall, ok bool) {
		for _, one := range r.Stalls().Stalls {
			if one.Running && one.Owner == s.stats.name {
				return one, true
			}
		}
		return one, false
	}
	r.until("it is told of while it lasts", func() bool { _, ok := running(); return ok })
	info, err := r.Timings(r.context())
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range info.Owners {
		if o.Owner == s.stats.name && (o.Doing == nil || o.Doing.Type != "info" ||
			o.Doing.Guild == nil || *o.Doing.Guild != 100 || o.Queue.Taken != 1) {
			t.Errorf("the shard is shown as %+v, with an inbox of %+v", o.Doing, o.Queue)
		}
	}
	before, _ := running()
	close(release)
	r.until("it is over", func() bool { _, ok := running(); return !ok })
	for _, one := range r.Stalls().Stalls {
		if one.Owner != s.stats.name || one.Seconds < before.Seconds {
			continue // The machine may have been busy.
		}
		if one.Type != "info" || one.Guild == nil || *one.Guild != 100 || one.Messages != 1 {
			t.Errorf("it is written down as %+v, and was %+v", one, before)
		}
		if one.WorkedSeconds == nil || *one.WorkedSeconds > one.Seconds {
			t.Errorf("%v s of %v s were work", one.WorkedSeconds, one.Seconds)
		}
		if !strings.Contains(one.Stack, "holdUntil") {
			t.Errorf("its stack is %q", one.Stack)
		}
		return
	}
	t.Errorf("it is not among %+v", r.Stalls().Stalls)
}

// TestStallOfALoopHasItsStack: a loop runs on the goroutine of its poller, which is known too.
func TestStallOfALoopHasItsStack(t *testing.T) {
	t.Parallel()
	r := startRig(t, Config{StallLimit: tuning.StallLimitMin})
	r.user(1, true)
	r.guild(100, 1)
	c := r.login(1)
	c.joined(1)
	release := make(chan struct{})
	ended := make(chan error, 1)
	go func() {
		ended <- r.Node.onLoop(r.context(), c.home(), func(*loop) error {
			return holdUntil(release)(nil, 0)
		})
	}()
	r.until("its stack is taken", func() bool {
		for _, one := range r.Stalls().Stalls {
			if one.Type == "operate" && strings.Contains(one.Stack, "holdUntil") {
				return true
			}
		}
		return false
	})
	close(release)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// holdUntil is work that lasts until release is closed.
func holdUntil(release chan struct{}) func(*fanout.Guild, int64) error {
	return func(*fanout.Guild, int64) error {
		<-release
		return nil
	}
}
