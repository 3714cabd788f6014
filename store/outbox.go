package store

// None is no slot.
const None = ^uint32(0)

// Fill appends a frame that is about to be sent, as the journal has it, with its sequence number:
// what it appends is what the socket gets. For the same frame and number of a session it appends
// the same as long as the frame is only sent in part.
type Fill func(dst, frame []byte, hole int, kind uint8, seq uint32) []byte

// The journals of an Outbox, by the top bits of a Position: what many sessions share, what one
// session alone gets (READY, GUILD_CREATE), and parts of long answers (member chunks). Each pushes
// out its own kind only: a crowd that logs in does not take the replay history of everyone else,
// and clients that ask for a million members take one another's answers.
const (
	journalShared = iota
	journalPrivate
	journalAnswers
	journalCount

	// In eighths of what there is for all of them.
	sharedEighths  = 4
	privateEighths = 3
	answersEighths = 1
)

// Outbox is what one loop has to send: journals of frames and, per session slot, the positions of
// the frames given to that session and not yet acknowledged.
//
// Order of calls for a session: Open, then any of Push/Send, Collect with Advance after the
// write, Ack, Rewind; Close ends it and makes handles of it stale. It never blocks, never
// allocates per delivery, and touches no socket.
type Outbox struct {
	// Static after construction.
	fill       Fill
	pendingMax uint32

	// Owned by the loop goroutine.
	journals [journalCount]Journal
	slots    []pending
	free     []uint32
	chunks   chunks
	soon     line // slots whose frames are for a few
	late     line // the others, and again those that soon has taken over
	opened   int
	swept    [journalCount]uint64
	pushed   uint64
	ends     []uint32 // of the frames that Collect gave, in what it gave
}

// NewOutbox makes an outbox with journalBytes for all of its journals. A session remembers at most
// pendingMax frames: beyond that the oldest of those already sent are forgotten, which
// shortens what a resume can ask for, and a session with that many unsent ones is lost.
func NewOutbox(journalBytes int, pendingMax int, fill Fill) *Outbox {
	return &Outbox{
		fill:       fill,
		pendingMax: uint32(pendingMax),
		journals: [journalCount]Journal{
			journalShared:  NewJournal(journalBytes / 8 * sharedEighths),
			journalPrivate: NewJournal(journalBytes / 8 * privateEighths),
			journalAnswers: NewJournal(journalBytes / 8 * answersEighths),
		},
	}
}

// Open takes a slot for a new session, whose first frame will be number 1.
func (o *Outbox) Open() (slot, gen uint32) {
	if n := len(o.free); n > 0 {
		slot = o.free[n-1]
		o.free = o.free[:n-1]
	} else {
		slot = uint32(len(o.slots))
		o.slots = append(o.slots, pending{})
	}
	s := &o.slots[slot]
	*s = pending{gen: s.gen + 1, flags: pendingOpened | s.flags&pendingInLine}
	o.opened++
	return slot, s.gen
}

// Close gives a session's slot back.
func (o *Outbox) Close(slot uint32) {
	s := &o.slots[slot]
	if s.flags&pendingOpened == 0 {
		panic("store: a slot closed twice")
	}
	s.clear(&o.chunks)
	s.flags &= pendingInLine
	s.gen++
	o.free = append(o.free, slot)
	o.opened--
}

// Live says whether slot still belongs to the session that was given gen.
func (o *Outbox) Live(slot, gen uint32) bool {
	return int(slot) < len(o.slots) && o.slots[slot].gen == gen &&
		o.slots[slot].flags&pendingOpened != 0
}

// Share puts a frame for many into the journal. NB: the position is only good until the journal
// has come round, so it is pushed at once.
//
// REQUIRES: len(frame) <= FrameBytesMax().
func (o *Outbox) Share(frame []byte, hole int, kind uint8) Position {
	return o.append(journalShared, frame, hole, kind)
}

func (o *Outbox) append(to int, frame []byte, hole int, kind uint8) Position {
	return o.journals[to].Append(frame, hole, kind) | Position(to)<<positionBits
}

// FrameBytesMax is the longest frame that Share and Send take.
func (o *Outbox) FrameBytesMax() int { return o.journals[journalPrivate].FrameBytesMax() }

// Push gives the frame at p to a session as its next number, to be written when those who have
// waited longer have been.
func (o *Outbox) Push(slot uint32, p Position) {
	if o.push(slot, p) {
		o.MarkDirty(slot)
	}
}

// PushSoon is Push for a frame that only a few sessions get: they do not wait behind the many.
func (o *Outbox) PushSoon(slot uint32, p Position) {
	if o.push(slot, p) {
		o.markSoon(slot)
	}
}

func (o *Outbox) push(slot uint32, p Position) bool {
	s := &o.slots[slot]
	if s.flags&pendingLost != 0 {
		return false
	}
	if s.seq-s.acked >= o.pendingMax && !s.trim(&o.chunks) {
		o.Lose(slot)
		return false
	}
	s.push(&o.chunks, p)
	o.pushed++
	return true
}

// Lose marks a session lost: something it should have been given could not be.
func (o *Outbox) Lose(slot uint32) {
	s := &o.slots[slot]
	s.clear(&o.chunks)
	s.flags |= pendingLost
	o.MarkDirty(slot)
}

// Send gives a frame to one session alone. It reports false when the frame is longer than the
// journal takes; the session then cannot go on.
func (o *Outbox) Send(slot uint32, frame []byte, hole int, kind uint8) bool {
	return o.send(slot, journalPrivate, frame, hole, kind)
}

// Answer is Send for a part of a long answer. One that is longer than the answers' own journal
// takes goes where Send puts it.
func (o *Outbox) Answer(slot uint32, frame []byte, hole int, kind uint8) bool {
	to := journalAnswers
	if len(frame) > o.journals[to].FrameBytesMax() {
		to = journalPrivate
	}
	return o.send(slot, to, frame, hole, kind)
}

func (o *Outbox) send(slot uint32, to int, frame []byte, hole int, kind uint8) bool {
	if len(frame) > o.journals[to].FrameBytesMax() {
		return false
	}
	o.PushSoon(slot, o.append(to, frame, hole, kind))
	return true
}

// Collect appends to dst what the session has not been sent, numbers filled in, until dst holds
// limitBytes or more, or limitBytes is reached within a frame: only whole writes count, see
// Advance. ok is false when a frame is gone: the session is lost.
func (o *Outbox) Collect(slot uint32, dst []byte, limitBytes int) (out []byte, ok bool) {
	o.ends = o.ends[:0]
	s := &o.slots[slot]
	if s.flags&pendingLost != 0 {
		return dst, false
	}
	at, place, skip, first := s.cursor, s.cursorAt, int(s.partial), len(dst)
	for seq := s.sent; seq != s.seq && len(dst) < limitBytes; {
		if place == chunkEntries {
			at, place = o.chunks.get(at).next, 0
		}
		p := o.chunks.get(at).at[place]
		j := o.journal(p)
		if !j.Has(p) {
			s.flags |= pendingLost
			return dst, false
		}
		seq++
		place++
		frame, hole, kind := j.Frame(p)
		start := len(dst)
		dst = o.fill(dst, frame, hole, kind, seq)
		if skip > 0 {
			dst = append(dst[:start], dst[start+skip:]...)
			skip = 0
		}
		o.ends = append(o.ends, uint32(len(dst)-first))
	}
	return dst, true
}

// Advance notes that n bytes of what Collect gave are written. It returns how many whole frames
// that completed. REQUIRES: the last call of Collect was for this slot.
func (o *Outbox) Advance(slot uint32, n int) (frames int) {
	s := &o.slots[slot]
	begin := uint32(0)
	for _, end := range o.ends {
		if uint32(n) < end {
			s.partial += uint32(n) - begin
			return frames
		}
		if s.cursorAt == chunkEntries {
			s.cursor, s.cursorAt = o.chunks.get(s.cursor).next, 0
		}
		begin, s.partial = end, 0
		s.cursorAt++
		s.sent++
		frames++
	}
	return frames
}

// Partial says whether the socket is in the middle of a frame: nothing else may be written.
func (o *Outbox) Partial(slot uint32) bool { return o.slots[slot].partial > 0 }

// Unsent is how many frames wait to be written.
func (o *Outbox) Unsent(slot uint32) int {
	s := &o.slots[slot]
	return int(s.seq - s.sent)
}

// Seqs gives the last number given, sent and acknowledged.
func (o *Outbox) Seqs(slot uint32) (seq, sent, acked uint32) {
	s := &o.slots[slot]
	return s.seq, s.sent, s.acked
}

// Lost says whether the session's stream has a gap that nothing can fill any more.
func (o *Outbox) Lost(slot uint32) bool { return o.slots[slot].flags&pendingLost != 0 }

// Ack notes that the client has seen everything up to seq. Numbers that it cannot have seen, and
// old ones, change nothing.
func (o *Outbox) Ack(slot uint32, seq uint32) {
	s := &o.slots[slot]
	if s.flags&pendingLost != 0 || seq <= s.acked || seq > s.sent {
		return
	}
	s.ack(&o.chunks, seq)
}

// Rewind prepares a resume after seq: what came later is unsent again. It reports false when it
// cannot: the number is older than the last acknowledgement, was never given, or a frame is gone.
// NB: seq may be beyond what counts as sent, when a resume that was under way for long has rewound
// further than the client had got by another connection.
func (o *Outbox) Rewind(slot uint32, seq uint32) bool {
	s := &o.slots[slot]
	if s.flags&pendingLost != 0 || seq < s.acked || seq > s.seq {
		return false
	}
	if seq > s.acked {
		s.ack(&o.chunks, seq)
	}
	s.rewind()
	if gone := o.lastGone(s); gone > 0 {
		s.flags |= pendingLost
		return false
	}
	if s.sent != s.seq {
		o.MarkDirty(slot)
	}
	return true
}

// Lag is how far the oldest unsent frame is behind the journal's head, in bytes, and how far it
// may be: at the second figure it is gone. Both are 0 when nothing waits.
func (o *Outbox) Lag(slot uint32) (lagBytes, endBytes int) {
	return o.lag(slot, 1<<journalCount-1)
}

// AnswersLag is Lag for the oldest unsent frame of an answer.
func (o *Outbox) AnswersLag(slot uint32) (lagBytes, endBytes int) {
	return o.lag(slot, 1<<journalAnswers)
}

// lag is that of the oldest unsent frame in one of the journals.
func (o *Outbox) lag(slot uint32, journals uint) (lagBytes, endBytes int) {
	s := &o.slots[slot]
	if s.flags&pendingLost != 0 {
		return 0, 0
	}
	at, place := s.cursor, s.cursorAt
	for seq := s.sent; seq != s.seq; seq++ {
		if place == chunkEntries {
			at, place = o.chunks.get(at).next, 0
		}
		p := o.chunks.get(at).at[place]
		if journals>>(p>>positionBits)&1 != 0 {
			j := o.journal(p)
			return int(j.distance(p)) * positionUnitBytes, len(j.ring)
		}
		place++
	}
	return 0, 0
}

func (o *Outbox) journal(p Position) *Journal { return &o.journals[p>>positionBits] }

// sweepUnits is how far a journal may advance between two sweeps: an eighth of the span in which
// two positions can be told apart.
const sweepUnits = positionMask / 8

// Sweep marks sessions lost whose oldest frame is gone, before positions can be mistaken for
// newer ones. It does nothing until a journal has advanced by 2 GiB since the last time, so it
// is called on every tick.
func (o *Outbox) Sweep() {
	due := false
	for i := range o.journals {
		due = due || o.journals[i].head-o.swept[i] >= sweepUnits
	}
	if !due {
		return
	}
	for i := range o.journals {
		o.swept[i] = o.journals[i].head
	}
	for i := range o.slots {
		s := &o.slots[i]
		if s.flags&pendingOpened == 0 || s.flags&pendingLost != 0 {
			continue
		}
		o.sweepSession(s)
	}
}

// sweepSession forgets what can no longer be replayed.
func (o *Outbox) sweepSession(s *pending) {
	gone := o.lastGone(s)
	if gone == 0 {
		return
	}
	if gone > s.sent {
		s.clear(&o.chunks)
		s.flags |= pendingLost
		return
	}
	s.ack(&o.chunks, gone)
}

// lastGone is the highest number whose frame the journals no longer have, 0 when all are there.
// It looks at every position: the journals advance apart from each other, so an old private
// frame may stand behind a young shared one.
func (o *Outbox) lastGone(s *pending) (gone uint32) {
	at, place := s.first, s.firstAt
	if at == 0 {
		return 0
	}
	for seq := s.acked + 1; seq-s.acked <= s.seq-s.acked; seq++ {
		if place == chunkEntries {
			at, place = o.chunks.get(at).next, 0
		}
		if p := o.chunks.get(at).at[place]; !o.journal(p).Has(p) {
			gone = seq
		}
		place++
	}
	return gone
}

// Stats are an outbox's figures for metrics and introspection.
type Stats struct {
	JournalBytes int     // written part of the journals
	Fill         float64 // the written share of the fullest of them: at 1 frames may be gone
	Chunks       int     // chunks of positions in use, 64 bytes each
	Sessions     int     // open slots
	Pushed       uint64  // frames given to sessions since the start
}

// Stats reads the outbox's figures.
func (o *Outbox) Stats() Stats {
	t := Stats{Chunks: o.chunks.used, Sessions: o.opened, Pushed: o.pushed}
	for i := range o.journals {
		j := &o.journals[i]
		t.JournalBytes += j.Bytes()
		t.Fill = max(t.Fill, float64(j.Bytes())/float64(len(j.ring)))
	}
	return t
}
