package node

import (
	"cmp"
	"runtime/debug"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"throng/tuning"
)

// Holding less.
//
// A node that runs out of memory is killed by the kernel, and everybody comes back to it at once.
// So it gives up what can be given up before that, in the order in which it hurts least: first it
// takes no new sessions, who find room on another node; then no connections and no more state,
// and it forgets sessions whose client is away; at last it closes connections, those first for
// which most waits in the kernel. See tuning.Pressure for when.
//
// The naive way is to look at what the process holds. With GOMEMLIMIT a busy process holds all of
// its limit all the time, nearly all of it garbage, and would refuse everybody; with the size of
// the live heap alone the buffers of sockets, which GOMEMLIMIT does not know, are found out by the
// kernel. What counts here is what a collection would leave and what the kernel holds for us, and
// GOMEMLIMIT moves down as the kernel's part grows.

// memoryGuard watches the node's memory.
type memoryGuard struct {
	// Static after construction.
	core *core

	// Owned by the guard's goroutine.
	most    int64     // GOMEMLIMIT as the operator wants it, 0 = none
	heapMax int64     // GOMEMLIMIT in force
	cycles  uint64    // collections when it last changed
	since   time.Time // then
	shed    time.Time // when the loops were last told to hold less
	idle    time.Time // when there was last no need to close who reads
}

func newMemoryGuard(c *core) *memoryGuard {
	limit := c.heapMost.Load()
	return &memoryGuard{core: c, most: limit, heapMax: limit}
}

// memoryUse returns what reads the use of memory, for one goroutine.
func (c *core) memoryUse() func() tuning.MemoryUse {
	reader := tuning.NewMemoryReader(tuning.ThisHost())
	return func() tuning.MemoryUse {
		queued := int64(0)
		for _, l := range c.loops {
			queued += l.stats.queued.Load()
		}
		return reader.Read(c.heapMost.Load(), c.connections.Load(), queued)
	}
}

// run looks until stop is closed.
func (g *memoryGuard) run(stop <-chan struct{}) {
	t := time.NewTimer(0)
	defer t.Stop()
	for {
		select {
		case <-stop:
			return
		case <-t.C:
		}
		if g.look().Near() {
			t.Reset(tuning.PressureIntervalNear)
		} else {
			t.Reset(tuning.PressureInterval)
		}
	}
}

// look reads the use once and acts on it.
func (g *memoryGuard) look() tuning.MemoryUse {
	u := g.core.readMemory()
	g.limitHeap(u)
	was := g.core.pressure()
	now := u.Next(was)
	g.core.pressed.Store(uint32(now))
	g.core.memory.Store(&u)
	if now != was {
		g.core.log.Warn("memory: the node gives up more, or less", "pressure", now.String(),
			"was", was.String(), "needed", u.Needed(), "held", u.Held, "budget", u.Budget)
	}
	g.collect(now)
	if now < tuning.PressureClose || g.core.blocked() > 0 || !u.Over() {
		g.idle = time.Now()
	}
	g.core.nearShort.Store(u.Near())
	if u.Near() {
		for _, l := range g.core.loops {
			if l.recounting.CompareAndSwap(false, true) {
				l.calls.push(&recount{})
			}
		}
	}
	g.tellLoops(now, u)
	return u
}

// tellLoops has the loops hold less: each a portion now and then, and whatever is too much of what
// peers do not read at once, since that may come faster than any portion goes.
func (g *memoryGuard) tellLoops(now tuning.Pressure, u tuning.MemoryUse) {
	due := time.Since(g.shed) >= tuning.PressureInterval
	excess := int64(0)
	if now == tuning.PressureClose {
		excess = u.Excess()
	}
	if now < tuning.PressureTrim || !due && excess == 0 {
		return
	}
	if due {
		g.shed = time.Now()
	}
	all := int64(0)
	for _, l := range g.core.loops {
		all += l.stats.queued.Load()
	}
	for _, l := range g.core.loops {
		if l.shedding.CompareAndSwap(false, true) {
			queued := l.stats.queued.Load()
			share := float64(queued) / float64(max(all, 1))
			l.calls.push(&shed{pressure: now, portion: due, excess: int64(share * float64(excess)),
				queued: queued, any: time.Since(g.idle) > tuning.ShedAnyAfter})
		}
	}
}

// limitHeap moves GOMEMLIMIT with the kernel's part. To set it stops the world, so small changes
// are let be.
func (g *memoryGuard) limitHeap(u tuning.MemoryUse) {
	const step = 64
	if most := g.core.heapMost.Load(); most != g.most {
		g.most, g.heapMax = most, most
		debug.SetMemoryLimit(heapLimit(most))
	}
	if g.most == 0 || u.Budget == 0 {
		return
	}
	most := min(g.most, u.HeapMax())
	if d := most - g.heapMax; d < g.heapMax/step && d > -g.heapMax/step {
		return
	}
	g.heapMax = most
	debug.SetMemoryLimit(most)
}

// collect has the collector run when it has not for a while: what is needed is what the last
// collection left, and a node that has given up much would not know it.
func (g *memoryGuard) collect(p tuning.Pressure) {
	if cycles := readHeap().cycles; cycles != g.cycles {
		g.cycles, g.since = cycles, time.Now()
	} else if p > tuning.PressureNone && time.Since(g.since) > tuning.TrimInterval {
		debug.FreeOSMemory()
	}
}

// pressure is how near the node is to the end of its memory.
func (c *core) pressure() tuning.Pressure { return tuning.Pressure(c.pressed.Load()) }

// blocked is how many sockets take nothing.
func (c *core) blocked() (sum int64) {
	for _, l := range c.loops {
		sum += l.stats.blocked.Load()
	}
	return sum
}

// shed tells a loop to hold less.
type shed struct {
	pressure tuning.Pressure
	portion  bool  // a portion goes, whatever it holds
	any      bool  // of that also those who take what they are sent
	excess   int64 // bytes in the kernel that are too much
	queued   int64 // when so many were there
}

func (m *shed) kind() messageKind { return kindOperate }

func (m *shed) do(l *loop) {
	l.shedding.Store(false)
	due := 0
	if m.portion {
		l.forgetAway()
		due = l.portion(l.stats.live)
	}
	if m.excess > 0 {
		// Who reads has taken much of it since.
		l.countQueued()
		m.excess -= max(m.queued-l.stats.queued.Load(), 0)
	}
	if m.pressure == tuning.PressureClose {
		l.closeAny(l.closeLargest(due, m.excess), m.any)
	}
}

// portion is how many of so many go at once.
func (l *loop) portion(of int64) int {
	return max(int(of)/l.core.limits.shedShare, l.core.limits.shedMin)
}

// forgetAway ends a portion of the sessions without a socket, going on where the last call ended.
func (l *loop) forgetAway() {
	due := l.portion(l.stats.detached)
	for range len(l.sessions) {
		if due == 0 || l.stats.detached == 0 {
			return
		}
		if l.forgetAt++; l.forgetAt >= len(l.sessions) {
			l.forgetAt = 0
		}
		if s := l.sessions[l.forgetAt]; s != nil && s.socket == nil {
			l.core.forgotten.Add(1)
			l.finish(s)
			due--
		}
	}
}

// closeLargest closes so many connections that take nothing, those first for which most waits, and
// more as long as what waited for all of them is less than the excess: then also those who have yet
// to fill what the kernel holds for them. It returns how many are still due.
func (l *loop) closeLargest(due int, excess int64) (left int) {
	var stuck, slow []waiting
	for _, k := range l.blocked {
		if k.state == socketLive && k.stuck != 0 {
			stuck = append(stuck, waiting{k, k.io.Waiting() + len(k.control)})
		}
	}
	if excess > 0 {
		l.some(tuning.ShedLookMax, func(k *socket) {
			if n := k.io.Waiting(); n >= tuning.ShedQueueMin {
				slow = append(slow, waiting{k, n})
			}
		})
	}
	largest := func(a, b waiting) int { return cmp.Compare(b.bytes, a.bytes) }
	slices.SortFunc(stuck, largest)
	slices.SortFunc(slow, largest)
	for _, w := range append(stuck, slow...) {
		if excess <= 0 && (due == 0 || w.k.stuck == 0) {
			break
		}
		excess -= int64(w.bytes)
		due = max(due-1, 0)
		// What waits for a peer that does not read would outlive a close by as long as TCP tries.
		l.core.closes[NodeShort].Add(1)
		l.detach(w.k, NodeShort)
		w.k.io.Reset()
		l.hangUp(w.k)
	}
	l.countQueued()
	return due
}

// waiting is a connection and what waits for it in the kernel.
type waiting struct {
	k     *socket
	bytes int
}

// closeAny closes so many connections, if that is to be, going on where the last call ended.
func (l *loop) closeAny(due int, is bool) {
	for range len(l.sockets) {
		if due == 0 || !is {
			return
		}
		if l.closeAt++; l.closeAt >= len(l.sockets) {
			l.closeAt = 0
		}
		if k := l.sockets[l.closeAt]; k != nil && k.state == socketLive {
			l.closeSocket(k, NodeShort, shortOfMemory)
			due--
		}
	}
}

const shortOfMemory = "The node is short of memory."

var (
	descPressure = desc("memory_pressure", "0: none; 1: no new sessions; 2: no connections and "+
		"no more state; 3: the largest are closed.")
	descMemory    = desc("memory_bytes", "Of the memory there is, by part.", "part")
	descForgotten = desc("sessions_forgotten_total",
		"Sessions without a socket that ended for want of memory.")
)

func (c *core) memoryMetrics(gauge func(*prometheus.Desc, float64, ...string),
	count func(*prometheus.Desc, uint64, ...string)) {
	gauge(descPressure, float64(c.pressure()))
	if u := c.memory.Load(); u != nil {
		gauge(descMemory, float64(u.Budget), "budget")
		gauge(descMemory, float64(u.Held), "held")
		gauge(descMemory, float64(u.Needed()), "needed")
	}
	count(descForgotten, c.forgotten.Load())
}
