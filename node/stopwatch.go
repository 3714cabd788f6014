package node

import (
	"strconv"
	"sync/atomic"
	"time"

	"throng/wire"
)

// stopwatch times what an owner does, message by message.
//
// The naive way reads the clock before and after each message: 110 ns of this machine, where lining
// an event up takes 40 and a presence update a microsecond. Here messages of one kind for one guild
// that follow on each other are a run, which is timed as one: its end is the beginning of the next,
// so that a run costs one reading, and one that stands alone two. Under load, when it matters,
// nearly all runs are long; they end after runMessagesMax, so that what one message has taken can
// be told from the others (see timing.add). Messages that take so long that a run of them could
// hide one that passes the stall limit are timed one by one: the clock costs next to nothing there.
//
// Who watches for owners that are stuck (see watchdog) has to see what this one is at: the
// beginning of the run and its kind in one word, and the guild in another, each 2.4 ns to write.
// See BenchmarkStopwatch.
type stopwatch struct {
	// Static after construction.
	name   string  // of the owner
	serial string  // the same of no other owner in the process
	core   *core   //
	stalls *stalls // nil: nobody waits for this owner, however long it takes
	ring   func()  // wakes the owner

	// Owned by the owner's goroutine.
	timings timings
	clock   *stallClock // nil: its thread is not its own
	running bool
	kind    messageKind
	guild   wire.Snowflake
	count   int64 // messages of the run that are done, or being done
	looked  int   // messages since the clock was read
	most    int   // of looked: then it is read again
	began   int64

	// Atomic: written by the owner, read by the watchdog. at is 0 while the owner rests.
	at      atomic.Uint64
	atGuild atomic.Uint64

	// Atomic: written by the owner when it is asked, read by whoever asks.
	told atomic.Pointer[told]

	aside aside
}

// watchSerial is how many stopwatches there were.
var watchSerial atomic.Uint64

// init makes it that of an owner whom others wait for.
func (w *stopwatch) init(c *core, kind string, index int, ring func()) {
	w.name, w.serial = kind+strconv.Itoa(index), strconv.FormatUint(watchSerial.Add(1), 10)
	w.core, w.stalls, w.ring = c, c.stalls, ring
}

// runMessagesMax messages are timed together at most, and only one if so many usually take more
// than one of runsInLimit parts of the stall limit. A run that passes the limit has then taken that
// many times the usual, and what stands out in it is known to one part.
const (
	runMessagesMax = 32
	runsInLimit    = 16
)

// The word that says what an owner is at: when it began, and with what.
const (
	atKindBits = 8
	atKindMask = 1<<atKindBits - 1
)

// Nanoseconds on the process's own clock, of which 2^55, as many as fit beside a kind, are a year.
// To read only this clock costs 30 ns, time.Now 54.
func nanos() int64 { return int64(time.Since(clockBase)) }

var clockBase = time.Now()

// on says what the owner does from now on: one more of this kind, for this guild, 0 being none.
func (w *stopwatch) on(kind messageKind, guild wire.Snowflake) {
	if !w.joins(kind, guild) {
		w.cut(kind, guild, nanos())
	}
}

// joins counts one more in the run that is going on, if it is to be part of that.
func (w *stopwatch) joins(kind messageKind, guild wire.Snowflake) bool {
	if w.running && w.kind == kind && w.guild == guild && w.looked < w.most {
		w.looked++
		w.count++
		return true
	}
	return false
}

// cut ends the run, if there is one, and begins the next.
func (w *stopwatch) cut(kind messageKind, guild wire.Snowflake, now int64) {
	if w.running {
		w.end(now)
	}
	w.running, w.kind, w.guild, w.began, w.count, w.looked = true, kind, guild, now, 1, 1
	w.most = runMessagesMax
	if w.stalls == nil {
		return
	}
	if !w.timings[kind].brief(w.stalls.limit.Load() / (runMessagesMax * runsInLimit)) {
		w.most = 1
	}
	if g := uint64(guild); w.atGuild.Load() != g {
		w.at.Store(0) // Or the watchdog takes one's guild for the other's.
		w.atGuild.Store(g)
	}
	w.at.Store(uint64(now)<<atKindBits | uint64(kind))
}

// within says the same of what may be a part of something else, which then has its time.
func (w *stopwatch) within(kind messageKind) {
	if !w.running {
		w.on(kind, 0)
	}
}

// uncount says that what was begun last is not to be counted: it is done later, and counts then.
func (w *stopwatch) uncount() { w.count-- }

// rest says that the owner has nothing more to do, or that what it does is nobody's.
func (w *stopwatch) rest() {
	if !w.running {
		return
	}
	w.end(nanos())
	w.running = false
	w.at.Store(0)
}

// end books the run.
func (w *stopwatch) end(now int64) {
	span := now - w.began
	t := &w.timings[w.kind]
	longest := t.add(w.count, span)
	worked := int64(-1) // Not known.
	if w.clock != nil {
		worked = w.clock.worked(span, now)
		t.worked = max(t.worked, worked)
	}
	// In a run of several that takes so long one stands out; see runsInLimit.
	if w.stalls != nil && span >= w.stalls.limit.Load() {
		w.stalls.note(w, now, longest, worked)
	}
}

// pause answers who has asked something. It is called where the owner's state is whole.
func (w *stopwatch) pause() {
	if w.aside.asked.Load() {
		w.aside.serve(w.core)
	}
}

// ask has the owner answer a question, past its inbox.
func (w *stopwatch) ask(question func()) {
	w.aside.put(question)
	w.ring()
}

// doing is what the owner is at: when that began, and with what. ok is false while it rests.
func (w *stopwatch) doing() (began int64, kind messageKind, guild wire.Snowflake, ok bool) {
	for {
		at := w.at.Load()
		guild = wire.Snowflake(w.atGuild.Load())
		if at == w.at.Load() {
			return int64(at >> atKindBits), messageKind(at & atKindMask), guild, at != 0
		}
	}
}
