package node

import (
	"slices"
	"testing"

	"throng/store"
	"throng/tuning"
	"throng/wire"
)

// TestRateAdmitsInEverySecond looks at later seconds too: a limiter whose burst hides that nothing
// is refilled admits one connection a second for ever after.
func TestRateAdmitsInEverySecond(t *testing.T) {
	var r rate
	r.set(100, 250)
	now := int64(10_000)
	admit := func(asked int) (taken int) {
		for range asked {
			if r.take(now) {
				taken++
			}
		}
		return taken
	}
	if got := admit(1000); got != 250 {
		t.Errorf("at once: got %d, want the burst of 250", got)
	}
	for second := range 5 {
		now += 1000
		if got := admit(1000); got < 99 || got > 101 {
			t.Errorf("second %d: got %d, want 100", second+1, got)
		}
	}
	now += 3_600_000
	if got := admit(1000); got != 250 {
		t.Errorf("after an hour: got %d, want the burst of 250", got)
	}
	var none rate
	for range 2 {
		if !none.take(0) {
			t.Error("without a limit: refused")
		}
	}
}

// TestNoRateLetsNobodyIn within the bounds of what an operator may set, on a cold node too.
func TestNoRateLetsNobodyIn(t *testing.T) {
	bounds := map[string]tuning.Setting{}
	for _, s := range tuning.Settings() {
		bounds[s.Name] = s
	}
	const now, hour = 10_000, 3_600_000
	for _, door := range []string{"accept", "identify", "resume"} {
		rates, bursts := bounds[door+"_rate"], bounds[door+"_burst"]
		for _, perSecond := range []int64{rates.Least, 20_000, rates.Most} {
			for _, burst := range []int64{bursts.Least, 1000, bursts.Most} {
				for name, cool := range map[string]int64{"warm": 0, "cold": hour} {
					var r rate
					r.set(perSecond, burst)
					r.cool(now, cool)
					if count, _ := r.left(now); count == 0 || !r.take(now) {
						t.Errorf("%d %ss a second and %d at once, %s: refused, %d left",
							perSecond, door, burst, name, count)
					}
					// The tenth of one a second is one in ten seconds.
					if !r.take(now + 10_000) {
						t.Errorf("%d %ss a second and %d at once, %s: refused later",
							perSecond, door, burst, name)
					}
				}
			}
		}
	}
}

// TestHerdIsAdmittedInShares has more clients come at once than the node takes in: those above it
// are told to come again, in the protocol's terms, and can.
func TestHerdIsAdmittedInShares(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{}, func(c *core) {
		c.starts.set(1000, 2)
		c.returns.set(1000, 1)
		c.clock = func() int64 { return 1000 } // Nothing is refilled.
	})
	r.user(10, true)
	r.guild(100, 10)
	first, second := r.login(10), r.login(10)
	third := r.dial("/?v=10&encoding=json")
	third.wantOp(wire.OpHello)
	third.send(2, identifyBody(10, ""))
	third.wantOp(wire.OpHeartbeat)
	if h := third.wantOp(wire.OpInvalidSession); string(h.Data) != "false" {
		t.Errorf("an IDENTIFY too many: got d %s, want false", h.Data)
	}
	first.conn.Close()
	second.conn.Close()
	back := first.again()
	back.wantEvent("RESUMED")
	late := second.again()
	late.wantOp(wire.OpHeartbeat)
	if h := late.wantOp(wire.OpInvalidSession); string(h.Data) != "true" {
		t.Errorf("a RESUME too many: got d %s, want true", h.Data)
	}
}

// TestHerdIsAdmittedInEverySecond has a thousand clients connect to a node and ask four times a
// second until they are let in: in each second as many sessions begin as the rate says, and not in
// the first alone. Time is the test's own.
func TestHerdIsAdmittedInEverySecond(t *testing.T) {
	const herd, perSecond, burst, asks = 1000, 100, 200, 4
	dir := store.NewMemory()
	people(t, dir, herd)
	h := newHandNode(t, dir, func(s *settings) {
		s.identifyRate, s.identifyBurst = perSecond, burst
	})
	waiting := make([]*handClient, herd)
	for i := range waiting {
		waiting[i] = h.dial(i%2, wire.Snowflake(i+1))
	}
	// The burst is there at first, and all but the first ask of that second find a refill.
	want := burst + perSecond*(asks-1)/asks
	for second := 1; len(waiting) > 0; second++ {
		before := len(waiting)
		for range asks {
			for _, c := range waiting {
				c.identify()
			}
			h.settle()
			waiting = slices.DeleteFunc(waiting, func(c *handClient) bool { return c.ready == 1 })
			h.elapse(1000 / asks)
		}
		got, due := before-len(waiting), min(want, before)
		if got < due-1 || got > due+1 {
			t.Fatalf("second %d: %d sessions began, want %d; %d waited", second, got, due, before)
		}
		if got := int(h.identifies.ok.Load()); got != herd-len(waiting) {
			t.Errorf("second %d: %d are counted, want %d", second, got, herd-len(waiting))
		}
		want = perSecond
	}
}

// TestUserHasSoManySessions counts those that are detached, too.
func TestUserHasSoManySessions(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{}, func(c *core) { c.limits.userSessionsMax = 3 })
	r.user(10, true)
	r.user(11, true)
	for range 2 {
		r.login(10).conn.Close()
	}
	r.until("two are detached", func() bool { return r.totals().detached == 2 })
	r.login(10)
	more := r.dial("/?v=10&encoding=json")
	more.wantOp(wire.OpHello)
	more.send(2, identifyBody(10, ""))
	more.wantClose(wire.CloseUnknown)
	r.login(11)
}

// TestColdNodeAdmitsLess: a tenth at first, evenly more, and everything in the end; what is left to
// be admitted says so as well.
func TestColdNodeAdmitsLess(t *testing.T) {
	var r rate
	r.set(1000, 100)
	now := int64(10_000)
	r.cool(now, 10_000)
	inSecond := func() (taken int) {
		for range 1000 {
			for left, _ := r.left(now); left > 0; left, _ = r.left(now) {
				if !r.take(now) {
					t.Fatalf("at %d: %d are left, and none is admitted", now, left)
				}
				taken++
			}
			if r.take(now) {
				t.Fatalf("at %d: none is left, and one is admitted", now)
			}
			now++
		}
		return taken
	}
	last := 0
	for second := range 10 {
		got := inSecond()
		if want := 100 * max(second, 1); got < want-20 || got > want+130 {
			t.Errorf("second %d: %d were admitted, want some %d", second, got, want)
		}
		if got < last {
			t.Errorf("second %d: %d were admitted, and %d before", second, got, last)
		}
		last = got
	}
	for got := range 2 {
		if n := inSecond(); got > 0 && (n < 999 || n > 1001) {
			t.Errorf("warm: %d were admitted, want 1000", n)
		}
	}
	if _, wait := r.left(now - 1); wait < 1 || wait > 3 {
		t.Errorf("the next is in %d ms, want one or two", wait)
	}
}
