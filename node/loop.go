package node

import (
	"sync/atomic"

	"throng/fanout"
	"throng/store"
	"throng/wire"
)

// loop is one event loop: a part of the node's sockets and sessions, and everything these need.
//
// It runs on one goroutine, its driver's: one of the engine's in a process, the simulation in a
// test. The driver calls opened, traffic, ended, pass and tick; nothing else touches a loop's
// fields. A loop never waits.
type loop struct {
	// Static after construction.
	core  *core
	index int
	inbox *inbox[loopMessage] // what guilds say, in their order
	calls *inbox[loopMessage] // what does not wait behind that; see answered
	again func()              // asks the driver for another pass after it has served sockets

	// In tests of the frames: in place of command. Else nil.
	echo func(k *socket, m wire.Message)

	// Owned by the loop goroutine.
	dials      dials // a copy of its own
	out        *store.Outbox
	board      *fanout.Board
	sessions   []*session // by slot
	sockets    []*socket  // by index
	gens       []uint32   // by socket index
	unused     []uint32   // socket indexes
	blocked    []*socket
	joining    int // of sessions: joins that their guilds have not answered
	streams    []*memberStream
	making     int // of streams: at how many workers are
	asking     int // of streams: of how many another node is asked for a chunk
	asks       uint64
	answer     []byte              // scratch
	rooms      []*fanout.ChunkRoom // scratch, of no more streams than workers are at
	heldSince  int64               // streams: by the loop's time, 0 when they are not
	streamTurn int                 // of streams: behind the one that was made for last
	sentAway   int                 // sockets that a drain has told to reconnect
	parted     bool                // the sessions are another process's, see HandOver
	queuedAt   int64               // when countQueued was last called
	forgetAt   int                 // of sessions: where forgetAway ended
	closeAt    int                 // of sockets: where closeLargest ended
	someAt     int                 // of sockets: how often some were looked at
	putOff     int                 // receivers looked at since the last writes to many
	traces     *loopTraces         // nil: nothing is traced
	latency    latency
	owed       int   // sessions with events for many that are to be written next
	said       share // of inbox
	called     share // of calls
	wheel      wheel
	time       int64 // the loop's own clock, see tick
	ticked     int64 // the driver's clock at the last tick
	scratch    []byte
	packed     []byte // scratch for what a connection's own compressor makes
	streamed   streamed
	decoded    []byte // scratch for inbound ETF
	private    fanout.Private
	stepped    func(*fanout.Msg)

	// Atomic: written by the loop, read by metrics.
	stats loopStats

	// Atomic: set by who has told it to hold less, until it has.
	shedding   atomic.Bool
	recounting atomic.Bool

	// Atomic: set before the first session begins here, read by loops that it may be resumed on.
	hosted atomic.Bool
}

// loopMessage is something that another owner tells a loop.
type loopMessage interface {
	// do is called on the loop's goroutine.
	do(l *loop)
	// kind names the message in throng_handle_seconds.
	kind() messageKind
}

func newLoop(c *core, index int, ring, again func()) *loop {
	l := &loop{
		core:  c,
		index: index,
		dials: dialsOf(&c.limits),
		inbox: newInbox[loopMessage](c.limits.loopInboxMax, ring),
		calls: newInbox[loopMessage](c.limits.loopInboxMax, ring),
		again: again,
		time:  1,
	}
	l.out = store.NewOutbox(c.limits.journalBytes, c.limits.pendingMax, l.appendFrame)
	l.said.inbox, l.called.inbox = l.inbox, l.calls
	l.board = fanout.NewBoard(l.out, c.limits.smallMax, c.limits.histories)
	l.latency.loop = l
	l.board.Measure(&l.latency)
	l.ticked = c.clock()
	l.wheel = newWheel(l.time, c.limits.tickMilli)
	l.private = l.sendPrivate
	l.stepped = l.afterStep
	l.stats.init(c, "loop", index, ring)
	return l
}

// pass takes what the inbox holds, lets guilds have their turns, and writes to sessions that have
// something new. Each of these has a budget, and what is left goes on after the sockets have been
// served: the sockets, and a small guild's event, wait for no more than one turn of a huge guild
// and one share of writes.
func (l *loop) pass() {
	empty := l.answered()
	empty = l.takeInbox() && empty
	l.flushSoon(int(l.dials.flushPass))
	l.handOut()
	l.goOnStreams()
	l.flushLate()
	l.stats.rest()
	l.stats.pause()
	l.stats.publish(l)
	// NB: the inbox rings again only after it was found empty.
	if !empty || l.board.Busy() || l.out.HasDirty() {
		l.again()
	}
}

// handOut lets guilds have their turns, until as many receivers have been looked at as may be
// between two rounds of writes: what is handed out faster than it can be written only makes the
// sessions' lists longer, until they are lost.
func (l *loop) handOut() {
	if l.putOff >= int(l.dials.putOff) {
		return
	}
	if !l.board.Busy() {
		return
	}
	l.stats.on(kindRelay+messageKind(fanout.MsgPublish), 0)
	l.putOff += l.board.Work(int(l.dials.relayPass), l.private, l.stepped)
}

// takeInbox handles a share of the messages. It reports whether it found the inbox empty. While too
// many steps wait for their guilds' turns it takes nothing: the inbox fills, and shards wait.
func (l *loop) takeInbox() (empty bool) {
	for range l.dials.loopPass {
		if l.board.Queued() >= l.core.limits.loopInboxMax || l.mustWrite() {
			return false
		}
		m, ok := l.said.next()
		if !ok {
			return true
		}
		l.handle(m)
	}
	return false
}

// answered handles a share of what workers, the operator and a drain have to say. A flood in one
// guild can fill the inbox for a minute, and a client that identifies, or the end of the node,
// would wait as long. It reports whether it found nothing more.
func (l *loop) answered() (empty bool) {
	for range l.dials.loopPass {
		if l.mustWrite() {
			return false
		}
		m, ok := l.called.next()
		if !ok {
			return true
		}
		l.handle(m)
	}
	return false
}

// mustWrite says that so many sessions wait to be written that giving them more comes later: what
// they were given first would be gone from the journal before their turn came.
func (l *loop) mustWrite() bool { return l.out.Soon() >= l.core.limits.writeLineMax }

// share is what an owner has taken from an inbox and not worked through.
type share struct {
	inbox *inbox[loopMessage]
	work  []loopMessage
	done  int // messages of work that are handled
}

// next is the next message; there is none when the inbox was found empty.
func (s *share) next() (m loopMessage, ok bool) {
	if s.done == len(s.work) {
		s.work = s.inbox.take(s.work)
		if s.done = 0; len(s.work) == 0 {
			return nil, false
		}
	}
	m = s.work[s.done]
	s.work[s.done] = nil
	s.done++
	return m, true
}

// handle does one message. An event only gets in line for its guild's turn, which is timed there.
func (l *loop) handle(m loopMessage) {
	defer l.recoverMessage(m)
	l.stats.pause()
	s, ok := m.(*relayStep)
	if !ok {
		l.stats.on(m.kind(), 0)
		m.do(l)
		return
	}
	l.stats.on(s.kind(), s.Guild)
	l.traces.begin(&s.Msg)
	if !l.board.Handle(&s.Msg, l.private, l.stepped) && s.Kind == fanout.MsgPublish {
		l.stats.uncount()
	}
}

// relayStep is a step of a guild's relay; one value may be in several loops' inboxes, and is
// never changed.
type relayStep struct{ fanout.Msg }

func (s *relayStep) do(l *loop) {
	l.board.Handle(&s.Msg, l.private, l.stepped)
}
func (s *relayStep) kind() messageKind { return kindRelay + messageKind(s.Kind) }

// sendPrivate gives one session dispatches of its own.
func (l *loop) sendPrivate(to fanout.Handle, dispatches []*wire.Dispatch) {
	l.sendTo(to, dispatches, l.out.Send, (*wire.Dispatch).Frame)
}

// sendAnswer gives a session parts of a long answer. They are copied into the journal from the
// loop's scratch: a list of a million members is as much garbage otherwise, and whoever makes any
// while the collector marks has to help it, the shards among them.
func (l *loop) sendAnswer(to fanout.Handle, parts []*wire.Dispatch) {
	l.sendTo(to, parts, l.out.Answer, func(d *wire.Dispatch, v wire.Variant) wire.Frame {
		f := d.AppendFrame(l.answer[:0], v)
		if l.answer = f.Bytes; cap(l.answer) > answerKeptBytesMax {
			l.answer = nil
		}
		return f
	})
}

// answerKeptBytesMax of scratch are kept: those of a thousand members are 300 KB.
const answerKeptBytesMax = 1 << 20

func (l *loop) sendTo(to fanout.Handle, dispatches []*wire.Dispatch,
	send func(slot uint32, frame []byte, hole int, kind uint8) bool,
	frame func(*wire.Dispatch, wire.Variant) wire.Frame) {
	s := l.session(to)
	if s == nil {
		return
	}
	for _, d := range dispatches {
		var f wire.Frame
		v := s.variant
		if s.payload && d.BodyBytes() >= l.core.limits.sealBytesMin {
			// Its number is inside, so it has to be the one that Send is going to give.
			given, _, _ := l.out.Seqs(s.slot)
			f, v = d.Seal(v, given+1), wire.VariantSealed
		} else {
			f = frame(d, v)
		}
		if !send(s.slot, f.Bytes, f.Hole, uint8(v)) {
			l.endSession(s, OversizedDispatch)
			return
		}
	}
}

// afterStep goes on with a session's joins when a guild has taken it in or sent it away.
func (l *loop) afterStep(m *fanout.Msg) {
	switch m.Kind {
	case fanout.MsgGone:
		l.sessions[m.To.Slot].forget(m.Guild)
		return
	case fanout.MsgAdrift:
		s := l.sessions[m.To.Slot]
		s.unask(m.Guild)
		l.joinMore(s)
		return
	}
	s := l.session(m.To)
	if s == nil {
		return
	}
	switch m.Kind {
	case fanout.MsgAdmit:
		s.joining--
		l.joining--
		l.joinMore(s)
	case fanout.MsgExpel:
		s.forget(m.Guild)
	case fanout.MsgRefuse:
		s.joining--
		l.joining--
		s.forget(m.Guild)
		l.joinMore(s)
	case fanout.MsgRetry:
		s.joining--
		l.joining--
		s.unask(m.Guild)
		l.joinMore(s)
	case fanout.MsgInvite:
		l.invited(s, m.Guild)
	}
}

// session finds a live session by its handle, nil when it has ended.
func (l *loop) session(h fanout.Handle) *session {
	if int(h.Loop) != l.index || !l.out.Live(h.Slot, h.Gen) {
		return nil
	}
	return l.sessions[h.Slot]
}

// tick moves the loop's clock and does what has become due.
//
// The clock is the loop's own: it advances by the time since the last tick, but at most by the
// stall limit. When the process was stopped, or the loop was kept from ticking, deadlines move by
// as much as the loop was away, and nobody is declared dead for our own absence.
func (l *loop) tick() {
	l.stats.on(kindTick, 0)
	defer l.stats.rest()
	now := l.core.clock()
	l.time += min(now-l.ticked, l.core.limits.stallMilli)
	l.ticked = now
	l.wheel.advance(l.time, l.fire)
	if n := l.core.lookups.sweep(l.core.clock()); n > 0 {
		l.core.log.Warn("identify: tokens were looked up for too long", "count", n)
	}
	l.out.Sweep()
	l.retryBlocked()
	l.goOnStreams()
	l.flushSoon(int(l.dials.flushPass))
	l.flushLate()
	l.stats.publish(l)
	if l.out.HasDirty() {
		l.again()
	}
}

// fire looks at a deadline; see wheel.advance.
func (l *loop) fire(t timer) (deadline int64) {
	defer l.save(nil, "timer") // The other entries of the bucket are still to come.
	if t.session {
		return l.fireSession(t)
	}
	if l.gens[t.index] != t.gen {
		return 0
	}
	k := l.sockets[t.index]
	if k.deadline > l.time {
		return k.deadline
	}
	l.expire(k)
	if l.gens[t.index] == t.gen && k.deadline > l.time {
		return k.deadline
	}
	return 0
}

// afterTraffic is called by the driver when a socket's bytes have been worked through. What they
// made goes out at once, unless others wait before it.
func (l *loop) afterTraffic() {
	const few = 16
	l.flushSoon(few)
	if l.out.HasDirty() {
		l.again()
	}
}
