package node

// Writing. One send(2) costs about 8 µs of kernel time however small it is, and copying a frame
// 30 ns. So a loop first works through what has come, which gives frames to sessions and marks
// these dirty, and then writes each dirty session once, with everything that waits for it in one
// buffer. When the node is idle an event leaves at once; when it is busy ten events leave in one
// write. There is no timer and no added delay: the batch is what came while the last was written.
//
// The buffer is the loop's own and is written synchronously, partial writes and all. To keep what
// the kernel does not take, as event libraries do, is a copy for each slow reader without a limit.
// Here a session that cannot be written keeps nothing but its place in the journal, and is looked
// at again on the tick.

// flushSoon writes to so many of the sessions that were given what few others get.
func (l *loop) flushSoon(sessions int) {
	for range sessions {
		slot, ok := l.out.NextSoon()
		if !ok {
			return
		}
		l.flushSlot(slot)
	}
}

// flushLate writes to a share of those who were given what many others get. While turns are left
// the writes are put off, up to a bound on the receivers looked at: a session that is written once
// with all the events of a burst costs little more than one that is written with the first of them.
// Then comes a round: all who stand in line at that moment are written, share by share, and events
// that are handed out meanwhile, up to the same bound, go along with those whose turn has not come.
func (l *loop) flushLate() {
	if l.owed == 0 {
		if l.board.Busy() && l.putOff < int(l.dials.putOff) {
			return
		}
		l.owed, l.putOff = l.out.Late(), 0
	}
	for range min(l.owed, int(l.dials.flushPass)) {
		l.owed--
		slot, ok := l.out.NextLate()
		if !ok {
			l.owed = 0
			return
		}
		l.flushSlot(slot)
	}
}

func (l *loop) flushSlot(slot uint32) {
	if s := l.sessions[slot]; s != nil {
		l.stats.on(kindFlush, 0)
		l.flushSession(s)
	}
}

func (l *loop) flushSession(s *session) {
	defer l.save(s.socket, "flush")
	switch {
	case s.socket == nil:
		if l.out.Lost(s.slot) {
			l.finish(s)
		}
	case s.socket.stuck != 0:
		l.checkLag(s.socket)
	default:
		l.write(s.socket)
	}
}

// write sends what waits for the socket, as much as one write may hold. It does nothing while the
// socket is blocked.
func (l *loop) write(k *socket) {
	if k.stuck != 0 {
		if len(k.control) > l.core.limits.controlBytesMax && k.state != socketClosing {
			l.core.closes[SlowReader].Add(1)
			l.detach(k, SlowReader)
			l.hangUp(k)
		}
		return
	}
	l.writeNow(k)
}

// writeNow tries to write whatever the socket's state.
func (l *loop) writeNow(k *socket) {
	if k.holding && !l.writeHeld(k) {
		return
	}
	if k.stream != nil {
		l.writeStream(k)
		return
	}
	s := k.session
	buf := l.scratch[:0]
	if s != nil && l.out.Partial(s.slot) {
		var ok bool
		if buf, ok = l.collect(k, buf, 0, 1); !ok {
			l.lose(k)
			return
		}
		if !l.put(k, buf, 0) {
			return
		}
		if k.stuck != 0 {
			k.stuck = l.time // It took that, whether or not it takes what follows.
		}
		buf = buf[:0]
	}
	buf = append(buf, k.control...)
	control := len(buf)
	if s != nil && k.state == socketLive {
		var ok bool
		if buf, ok = l.collect(k, buf, control, l.core.limits.flushBytesMax); !ok {
			l.lose(k)
			return
		}
	}
	l.scratch = buf
	if !l.put(k, buf, control) {
		return
	}
	k.stuck = 0
	if s != nil && k.state == socketLive && l.out.Unsent(s.slot) > 0 {
		// One write may hold no more; the rest goes when the others have had theirs.
		l.out.MarkDirty(s.slot)
	}
}

// put writes buf, whose first bytes are control frames and whose rest is the session's, and notes
// how far that came. It reports whether all of it is written.
func (l *loop) put(k *socket, buf []byte, control int) (all bool) {
	if len(buf) == 0 {
		return true
	}
	n, err := k.io.Write(buf)
	if k.holding = holds(err); err != nil && !k.holding {
		l.writeFailed(k)
		return false
	}
	l.stats.wrote(n)
	c := min(n, control)
	if k.control = k.control[c:]; len(k.control) == 0 {
		k.control = nil
		l.spoke(k)
	}
	if n > control {
		l.wroteFrames(k, l.out.Advance(k.session.slot, n-control))
		l.traces.wrote(k.session)
		l.latency.wrote(k)
		k.session.sentBytes += int64(n - control)
		l.replayed(k)
	}
	if n == len(buf) && err == nil {
		return true
	}
	l.block(k, n > 0 || err == errHeld)
	return false
}

// holds says whether an error of Write is that the transport has something left to write.
func holds(err error) bool { return err == errHeld || err == errFull }

// writeHeld writes what is left of a record of TLS, and reports whether that is all.
func (l *loop) writeHeld(k *socket) bool {
	_, err := k.io.Write(nil)
	k.holding = holds(err)
	switch {
	case err == nil:
		return true
	case k.holding:
		l.block(k, err == errHeld)
	default:
		l.writeFailed(k)
	}
	return false
}

// writeFailed ends a connection that is no more. One that is being closed ends for the reason that
// it is closed for: a client that is done may be gone before it has our answer.
func (l *loop) writeFailed(k *socket) {
	if k.state != socketClosing {
		l.core.closes[ConnectionLost].Add(1)
		l.detach(k, ConnectionLost)
	}
	l.hangUp(k)
}

// block notes that the kernel took nothing more, or as much as nothing.
func (l *loop) block(k *socket, progress bool) {
	if k.stuck == 0 {
		l.blocked = append(l.blocked, k)
		l.stats.blocked.Store(int64(len(l.blocked)))
		k.stuck = l.time
	} else if progress {
		k.stuck = l.time
	}
}

// replayed gives a client that has been sent all that it missed a whole heartbeat interval: some
// libraries beat again only after RESUMED.
func (l *loop) replayed(k *socket) {
	s := k.session
	if s.resumedSeq == 0 {
		return
	}
	if _, sent, _ := l.out.Seqs(s.slot); sent >= s.resumedSeq {
		s.resumedSeq = 0
		if !k.told {
			k.deadline = max(k.deadline, l.time+l.core.limits.deadMilli)
		}
	}
}

// retryBlocked tries the sockets that took nothing more the last time, and gives up on those that
// have taken nothing for too long or have fallen too far behind.
func (l *loop) retryBlocked() {
	kept := l.blocked[:0]
	for _, k := range l.blocked {
		if k.state == socketClosed || k.stuck == 0 {
			continue
		}
		l.retry(k)
		if k.state != socketClosed && k.stuck != 0 {
			kept = append(kept, k)
		}
	}
	clear(l.blocked[len(kept):])
	l.blocked = kept
	l.stats.blocked.Store(int64(len(kept)))
	if l.time-l.queuedAt >= l.core.limits.tickMilli {
		l.countQueued()
	}
}

func (l *loop) retry(k *socket) {
	defer l.save(k, "retry")
	l.writeNow(k)
	if k.state == socketLive && k.stuck != 0 {
		l.checkLag(k)
	}
}

// checkLag closes a reader that is too slow while its session can still be resumed: the journal
// has come round by three quarters since the oldest frame that it has not been sent. Who has just
// come back may be that far behind already, and has until the frame is gone: closed for it, it
// would come back again and again, each time for as much as the kernel takes at once.
func (l *loop) checkLag(k *socket) {
	if k.session == nil || k.state != socketLive {
		return
	}
	lag, end := l.out.Lag(k.session.slot)
	if lag > end/4*3 && k.session.resumedSeq == 0 {
		l.closeSocket(k, SlowReader, "Reading too slowly: too far behind.")
	} else if l.time-k.stuck > l.core.limits.lagMilli {
		l.closeSocket(k, SlowReader, "Reading too slowly: nothing was taken for too long.")
	}
}

// lose ends a session whose stream has a gap. NB: detach sees that it is lost and keeps nothing.
func (l *loop) lose(k *socket) {
	k.session.broken = true
	l.core.closes[SlowReader].Add(1)
	l.detach(k, SlowReader)
	l.hangUp(k)
}
