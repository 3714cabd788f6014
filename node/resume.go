package node

import (
	"crypto/subtle"

	"throng/wire"
)

// movedSocket is a connection on its way to the loop of the session that it wants to resume.
type movedSocket struct {
	variant  wire.Variant
	version  uint8
	opening  *opening
	commands uint16
	left     int64 // milliseconds until it has to have a session
	resume   wire.Resume
	rest     []byte // what had arrived behind the RESUME
	control  []byte // what had not been written
	stream   *stream
	asked    wire.Compression
	arrived  bool // set by the loop that it has come to
}

// resume takes a RESUME. It comes on a new socket, most likely on another loop than the session's.
// The socket moves, not the session: the ring, the relays and the order of the session's stream
// stay where they are, and nothing that another owner holds of it changes.
func (l *loop) resume(k *socket, d []byte, rest []byte) (moved bool) {
	r, fault := wire.ParseResume(d)
	if fault != nil {
		l.core.resumes.wrong.Add(1)
		l.fail(k, fault)
		return false
	}
	id, ok := parseSessionID(r.SessionID)
	if !ok {
		l.refuseResume(k)
		return false
	}
	home, _ := placeOf(id)
	if home == l.index {
		l.resumeHere(k, r, id)
		return false
	}
	if home >= len(l.core.loops) || !l.core.loops[home].hosted.Load() {
		l.refuseResume(k)
		return false
	}
	m := &movedSocket{
		variant: k.variant, version: k.version, opening: k.opening, commands: k.commands, resume: r,
		rest: append([]byte(nil), rest...), control: k.control,
		stream: k.stream, asked: k.compression, left: l.core.limits.identifyMilli,
	}
	if k.opening.moved {
		m.left = k.deadline - l.time
	}
	k.opening.moved = true
	k.stream = nil
	io := k.io
	l.release(k)
	io.Move(l.core.loops[home], m)
	return true
}

// adopted takes a moved socket in and goes on where its old loop stopped. It returns the socket
// and how much of m.rest is done with.
func (l *loop) adopted(io transport, m *movedSocket) (k *socket, consumed int) {
	k = l.opened(io)
	k.state = socketHello
	k.variant, k.version, k.opening = m.variant, m.version, m.opening
	k.control, k.commands, k.window = m.control, m.commands, l.time
	k.stream, k.compression = m.stream, m.asked
	l.due(k, l.time+m.left)
	id, _ := parseSessionID(m.resume.SessionID)
	l.resumeHere(k, m.resume, id)
	if k.state == socketClosed {
		return k, len(m.rest)
	}
	return k, l.traffic(k, m.rest)
}

// resumeHere puts the socket in the place of the session's last one and sends what was missed.
func (l *loop) resumeHere(k *socket, r wire.Resume, id sessionID) {
	s := l.byID(id)
	if s == nil || r.Seq == 0 {
		// Some libraries resume with 0 after they lost their number: that is a new session.
		l.refuseResume(k)
		return
	}
	hash := tokenHash(r.Token)
	if subtle.ConstantTimeCompare(hash[:], s.token[:]) != 1 {
		l.core.resumes.wrong.Add(1)
		l.closeSocket(k, WrongToken, "The session belongs to another token.")
		return
	}
	if s.version != k.version || s.compression != k.compression ||
		s.variant.Encoding() != k.variant.Encoding() || !l.matchStream(k, s) {
		l.refuseResume(k)
		return
	}
	switch given, _, acked := l.out.Seqs(s.slot); {
	case r.Seq > given:
		l.core.resumes.wrong.Add(1)
		l.closeSocket(k, WrongSeq, "That number was never sent.")
		return
	case r.Seq < acked:
		// The session stays as it is: this may be a RESUME of before, by a client that has gone on
		// since, which was longer on its way between two loops than the one after it.
		l.core.resumes.late.Add(1)
		l.refuseSession(k)
		return
	}
	if old := s.socket; old != nil {
		l.closeSocket(old, Superseded, "The session was resumed on another connection.")
	}
	if l.byID(id) != s {
		l.refuseResume(k)
		return
	}
	if !l.out.Rewind(s.slot, r.Seq) {
		l.core.resumes.late.Add(1)
		l.finish(s)
		l.refuseSession(k)
		return
	}
	k.session, s.socket, k.state = s, k, socketLive
	l.due(k, l.time+l.core.limits.deadMilli)
	k.opening = nil
	l.stats.live++
	l.stats.detached--
	l.core.resumes.ok.Add(1)
	l.sendPrivate(s.handle(l), []*wire.Dispatch{
		wire.NewDispatch("RESUMED", []byte(`{"_trace":[`+l.core.limits.traceJSON+`]}`), nil),
	})
	s.resumedSeq, _, _ = l.out.Seqs(s.slot)
}

func (l *loop) refuseResume(k *socket) {
	l.core.resumes.refused.Add(1)
	l.refuseSession(k)
}

// byID finds a session of this loop by its whole id.
func (l *loop) byID(id sessionID) *session {
	home, slot := placeOf(id)
	if home != l.index || int(slot) >= len(l.sessions) {
		return nil
	}
	s := l.sessions[slot]
	if s == nil || subtle.ConstantTimeCompare(s.id[:], id[:]) != 1 {
		return nil
	}
	return s
}
