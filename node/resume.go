package node

import (
	"crypto/subtle"

	"throng/node/cluster"
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
	far      []cluster.Node // that may have the session
	later    bool           // one of them may, and could not be asked
	remote   string         // the client's address, between nodes
	rest     []byte         // what had arrived behind the RESUME
	control  []byte         // what had not been written
	stream   *stream
	zstd     wire.Stream
	said     wire.Said
	asked    wire.Compression
}

// resume takes a RESUME. It comes on a new socket, most likely on another loop than the session's.
// The socket moves, not the session: the ring, the relays and the order of the session's stream
// stay where they are, and nothing that another owner holds of it changes. So it is when the
// session is on another node; see tunnel.go.
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
	far := l.core.mesh.tagged(id)
	if k.opening.far {
		far = nil
	}
	if len(far) > 0 && !l.core.tunnels.admit() {
		l.askLater(k)
		return false
	}
	home, here := l.core.home(id)
	if !here {
		home = l.index // That says so, if nobody else has it either.
	}
	if home == l.index && len(far) == 0 {
		l.resumeHere(k, r, id)
		return false
	}
	l.moveSocket(k, home, r, rest, far)
	return true
}

// home is the loop of a session with this id, if it may be here.
func (c *core) home(id sessionID) (loop int, here bool) {
	loop, _ = placeOf(id)
	return loop, tagOf(id) == c.mesh.tag && loop < len(c.loops) && c.loops[loop].hosted.Load()
}

// moveSocket sends a socket on its way to its session.
func (l *loop) moveSocket(k *socket, home int, r wire.Resume, rest []byte, far []cluster.Node) {
	m := &movedSocket{
		variant: k.variant, version: k.version, opening: k.opening, commands: k.commands, resume: r,
		rest: append([]byte(nil), rest...), control: k.control,
		stream: k.stream, asked: k.compression, left: l.core.limits.identifyMilli, far: far,
		zstd: k.zstd, said: k.said,
	}
	if s := k.stream; s != nil && len(far) > 0 {
		// What another node makes comes behind this.
		s.unsent = s.context.AppendFrames(s.unsent, m.control)
		m.control = nil
	}
	if k.opening.moved {
		m.left = k.deadline - l.time
	}
	k.opening.moved = true
	k.stream = nil
	io := k.io
	l.release(k)
	io.Move(l.core.loops[home], m)
}

// adopted takes a moved socket in and goes on where its old loop stopped. It returns the socket
// and how much of m.rest is done with.
func (l *loop) adopted(io transport, m *movedSocket) (k *socket, consumed int) {
	k = l.opened(io)
	k.state = socketHello
	k.variant, k.version, k.opening = m.variant, m.version, m.opening
	k.control, k.commands, k.window = m.control, m.commands, l.time
	k.stream, k.compression, k.zstd, k.said = m.stream, m.asked, m.zstd, m.said
	l.due(k, l.time+m.left)
	if m.later {
		l.askLater(k)
	} else {
		id, _ := parseSessionID(m.resume.SessionID)
		l.resumeHere(k, m.resume, id)
	}
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
	k.teachStranger()
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

// askLater has a client resume again in some seconds: d is true. The heartbeat request is for
// discordgo; see refuseSession.
func (l *loop) askLater(k *socket) {
	l.core.resumes.late.Add(1)
	k.say(wire.AppendHeartbeatRequest)
	k.say(func(dst []byte, v wire.Variant) []byte {
		return wire.AppendInvalidSession(dst, v, true)
	})
	l.write(k)
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
