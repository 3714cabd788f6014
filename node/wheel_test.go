package node

import (
	"log/slog"
	"math/rand/v2"
	"testing"

	"throng/store"
	"throng/tuning"
	"throng/wire"
)

// TestWheelGivesRoomBack: many entries, at another moment each time, leave no more room behind than
// a few buckets have.
func TestWheelGivesRoomBack(t *testing.T) {
	const step = 250
	w := newWheel(0, step)
	now := int64(0)
	for round := range wheelBuckets {
		for range 100 << (round % 8) {
			w.add(timer{}, now+step)
		}
		now += 2 * step
		w.advance(now, func(timer) int64 { return 0 })
	}
	room := 0
	for _, b := range w.buckets {
		room += cap(b)
	}
	if room != 0 || len(w.spare) > wheelSpareMax {
		t.Errorf("empty buckets have room for %d entries, and %d are spare", room, len(w.spare))
	}
	for _, b := range w.spare {
		if cap(b) > wheelSpareTimers || len(b) > 0 {
			t.Errorf("a spare one has room for %d entries, and %d", cap(b), len(b))
		}
	}
}

// TestWheelMeetsEveryDeadline lets many deadlines be set, moved and dropped at random, and holds
// that each fires once, not before its time, and no later than a step and the time between two
// looks.
func TestWheelMeetsEveryDeadline(t *testing.T) {
	const step = 250
	type subject struct {
		deadline int64
		entry    int64 // the earliest entry that the wheel has for it
		fired    bool
		dropped  bool
	}
	for seed := range uint64(40) {
		random := rand.New(rand.NewPCG(seed, 7))
		now := 1 + random.Int64N(10*step)
		w := newWheel(now, step)
		var subjects []*subject
		far := []int64{3 * step, 60 * step, 3 * wheelBuckets * step}
		set := func(s *subject, deadline int64) {
			// As loop.due does it: only what is earlier needs an entry of its own.
			if s.deadline == 0 || deadline < s.deadline {
				w.add(timer{index: uint32(s.entry)}, deadline)
			}
			s.deadline = deadline
		}
		left, gap := 0, int64(0)
		fire := func(e timer) int64 {
			s := subjects[e.index]
			switch {
			case s.fired || s.dropped:
				return 0
			case s.deadline > now:
				return s.deadline
			}
			if late := now - s.deadline; late > step+gap {
				t.Fatalf("seed %d: %d is %d ms late, looked at every %d ms", seed, e.index, late, gap)
			}
			s.fired = true
			left--
			return 0
		}
		for round := 0; round < 3000 || left > 0; round++ {
			if round < 3000 && random.IntN(3) == 0 {
				s := &subject{entry: int64(len(subjects))}
				subjects = append(subjects, s)
				set(s, now+random.Int64N(far[random.IntN(len(far))]))
				left++
			}
			if len(subjects) > 0 && random.IntN(2) == 0 {
				s := subjects[random.IntN(len(subjects))]
				switch {
				case s.fired || s.dropped:
				case random.IntN(10) == 0:
					s.dropped = true
					left--
				default:
					set(s, now+random.Int64N(far[random.IntN(len(far))]))
				}
			}
			gap = random.Int64N(2 * step)
			if round >= 3000 {
				gap = random.Int64N(200 * step)
			}
			now += gap
			w.advance(now, fire)
			// A clock that stands still, or is looked at twice, fires nothing twice.
			w.advance(now, fire)
		}
		for i, s := range subjects {
			if !s.fired && !s.dropped {
				t.Fatalf("seed %d: %d never fired", seed, i)
			}
		}
		now += 2 * wheelBuckets * step
		w.advance(now, fire)
		for i := range w.buckets {
			if len(w.buckets[i]) > 0 {
				t.Fatalf("seed %d: bucket %d still holds %v", seed, i, w.buckets[i])
			}
		}
	}
}

// handLoop is a loop without a poller, whose clock and ticks are the test's.
type handLoop struct {
	*loop
	now int64
}

func newHandLoop(t *testing.T, tweaks ...func(*settings)) *handLoop {
	t.Helper()
	cfg, err := Config{Journal: 1 << 20, InMemory: true}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	s := settingsOf(cfg)
	for _, tweak := range tweaks {
		tweak(&s)
	}
	h := &handLoop{now: 1}
	c := newCore(s, slog.New(slog.DiscardHandler), store.NewMemory())
	c.clock = func() int64 { return h.now }
	c.wall = func() int64 { return 1e12 + h.now }
	c.random = func(b []byte) { clear(b) }
	c.submit = func(_ messageKind, job func()) bool {
		job()
		return true
	}
	c.authenticate = func(string) (wire.Snowflake, error) { return 1, nil }
	err = c.dir.Apply([]store.Op{{Kind: store.OpPutUser, User: 1, UserRecord: &store.User{ID: 1,
		Bot: true, Doc: `{"id":"1"}`}}})
	if err != nil {
		t.Fatal(err)
	}
	h.loop = newLoop(c, 0, func() {}, func() {})
	c.loops = []*loop{h.loop}
	return h
}

// elapse lets time pass, with a tick whenever one is due.
func (h *handLoop) elapse(milli int64) {
	tick := h.core.limits.tickMilli
	for end := h.now + milli; h.now < end; {
		h.now = min(h.now+tick, end)
		h.tick()
	}
}

// sink is a transport that takes everything.
type sink struct{ closed, full bool }

func (s *sink) Write(b []byte) (int, error) {
	if s.full {
		return 0, nil
	}
	return len(b), nil
}
func (s *sink) Close()                 { s.closed = true }
func (*sink) Move(*loop, *movedSocket) {}
func (*sink) Remote() string           { return "test" }
func (*sink) Waiting() int             { return 0 }
func (*sink) Reset()                   {}

func (h *handLoop) dial() *socket { return h.opened(&sink{}) }

func (h *handLoop) say(k *socket, b []byte) {
	h.traffic(k, b)
	h.pass()
}

func (h *handLoop) identified() *socket {
	k := h.dial()
	h.say(k, []byte(upgradeRequest("/")))
	h.say(k, frame(wire.OpcodeText, `{"op":2,"d":{"token":"x","intents":1}}`))
	return k
}

// TestStallDeclaresNobodyDead stops a loop for longer than every deadline it has, and holds that
// each of them still gets its time afterwards, less what a late tick may cost.
func TestStallDeclaresNobodyDead(t *testing.T) {
	const deadline, stall = 5000, 100_000
	h := newHandLoop(t, func(s *settings) {
		s.handshakeMilli, s.identifyMilli = deadline, deadline
		s.deadMilli, s.resumeMilli = deadline, deadline
	})
	silent, hello, live, gone := h.dial(), h.dial(), h.identified(), h.identified()
	h.say(hello, []byte(upgradeRequest("/")))
	kept := gone.session
	h.ended(gone)
	if live.state != socketLive || h.stats.live != 1 || h.stats.detached != 1 {
		t.Fatalf("state %d, %d live, %d detached", live.state, h.stats.live, h.stats.detached)
	}
	there := func() int {
		n := 0
		if h.sessions[kept.slot] == kept {
			n++
		}
		for _, k := range []*socket{silent, hello, live} {
			if k.state != socketClosed && k.state != socketClosing {
				n++
			}
		}
		return n
	}
	h.elapse(1000)
	for range 3 { // Three stalls cost three tolerances.
		h.now += stall
		h.tick()
	}
	if got := there(); got != 4 {
		t.Fatalf("after the stalls %d are there, want 4", got)
	}
	h.elapse(deadline - 1000 - 3*h.core.limits.stallMilli - 100)
	if got := there(); got != 4 {
		t.Errorf("before their time %d are there, want 4", got)
	}
	h.elapse(600)
	if got := there(); got != 0 {
		t.Errorf("after their time %d are there, want none", got)
	}
	if err := h.check(); err != nil {
		t.Error(err)
	}
	if tolerance := tuning.StallTolerance.Milliseconds(); h.core.limits.stallMilli != tolerance {
		t.Errorf("the tolerance is %d, want %d", h.core.limits.stallMilli, tolerance)
	}
}

// TestBeatsMoveTheDeadlineOnly: a heartbeat costs no entry in the wheel, however many there are.
func TestBeatsMoveTheDeadlineOnly(t *testing.T) {
	h := newHandLoop(t)
	k := h.identified()
	entries := func() (n int) {
		for i := range h.wheel.buckets {
			n += len(h.wheel.buckets[i])
		}
		return n
	}
	before := entries()
	for range 500 { // More than five hours.
		h.elapse(41_250)
		k.commands = 0
		h.say(k, frame(wire.OpcodeText, `{"op":1,"d":null}`))
		if k.state != socketLive {
			t.Fatal("it was closed")
		}
	}
	if got := entries(); got > before || got == 0 {
		t.Errorf("the wheel has %d entries, had %d", got, before)
	}
	var lost int64
	for lost = 0; k.state == socketLive; lost += 250 {
		h.elapse(250)
	}
	if want := h.core.limits.deadMilli; lost < want || lost > want+500 {
		t.Errorf("the silent client was closed after %d ms, want %d", lost, want)
	}
}

// TestLagIsCounted holds a reader against the clock: it is closed when it has taken nothing for
// longer than the limit, and not before; whatever it takes in between begins the time anew.
func TestLagIsCounted(t *testing.T) {
	const lag = 5000
	h := newHandLoop(t, func(s *settings) { s.lagMilli, s.deadMilli = lag, 1_000_000 })
	io := &sink{}
	k := h.opened(io)
	h.say(k, []byte(upgradeRequest("/")))
	h.say(k, frame(wire.OpcodeText, `{"op":2,"d":{"token":"t","intents":1,"properties":{}}}`))
	h.pass()
	if k.state != socketLive {
		t.Fatalf("state %d, want live", k.state)
	}
	send := func() {
		h.sendPrivate(k.session.handle(h.loop), []*wire.Dispatch{
			wire.NewDispatch("TEST", []byte(`{}`), nil)})
		h.pass()
	}
	io.full = true
	send()
	h.elapse(lag - 500)
	io.full = false
	h.elapse(100) // It takes what was waiting.
	io.full = true
	send()
	h.elapse(lag - 500)
	if k.state != socketLive {
		t.Fatal("closed before it had taken nothing for the limit")
	}
	h.elapse(1000)
	if k.state == socketLive || h.core.closes[SlowReader].Load() != 1 {
		t.Errorf("state %d and %d closed, want it closed for reading too slowly", k.state,
			h.core.closes[SlowReader].Load())
	}
}
