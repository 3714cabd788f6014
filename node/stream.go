package node

import (
	"throng/tuning"
	"throng/wire"
)

// stream is what a connection with a compressor of its own has beside its socket. The others, by
// far the most, are sent blocks that were compressed once for all; see wire/stream.go.
//
// Frames for such a session are kept plain in the journal and compressed when they are written, so
// what a write has taken from the journal counts as sent, and the compressed bytes that the kernel
// did not take wait here: at most one write's worth.
type stream struct {
	// Owned by the loop goroutine.
	context *wire.Context
	unsent  []byte
}

// takeContext gives a connection that asked for compression a compressor of its own while the
// budget lasts: who asks first gets one.
func (l *loop) takeContext(k *socket, c wire.Compression) {
	cost := int64(wire.ContextBytes(c))
	if c == wire.CompressionNone || cost > l.core.limits.contextBytes ||
		l.core.pressure() >= tuning.PressureNew {
		return
	}
	if l.core.contextBytes.Add(cost) > l.core.limits.contextBytes {
		l.core.contextBytes.Add(-cost)
		return
	}
	l.core.contexts.Add(1)
	k.stream = &stream{context: wire.NewContext(c)}
	k.variant = wire.VariantOf(k.variant.Encoding(), wire.CompressionNone)
}

// dropContext gives a connection's compressor back to the budget.
func (l *loop) dropContext(k *socket) {
	l.core.dropStream(k.stream)
	k.stream = nil
}

// dropStream gives a compressor back that no connection has any more. s may be nil.
func (c *core) dropStream(s *stream) {
	if s == nil {
		return
	}
	if cost := int64(s.context.Bytes()); cost > 0 {
		c.contextBytes.Add(-cost)
		c.contexts.Add(-1)
	}
}

// matchStream makes the socket send what the session it resumes has in the journal. Shared blocks
// may follow anything, so a context is given up for them; plain frames go stored where there is no
// context left. It reports false when what is still unsent stands in the way.
func (l *loop) matchStream(k *socket, s *session) bool {
	if s.variant == k.variant {
		return true
	}
	if k.stream != nil {
		if len(k.stream.unsent) > 0 || len(k.control) > 0 {
			return false
		}
		l.dropContext(k)
	} else if k.stuck != 0 || len(k.control) > 0 {
		// A frame may be half written, and is made for the stream that the connection has had; one
		// that comes from another loop does not know whether it was stuck there.
		return false
	} else {
		k.stream = &stream{context: wire.NewStored(k.compression)}
	}
	k.variant = s.variant
	if k.relocates() {
		// What its decoder knows is the compressor's, and so is the window.
		k.zstd.Narrow()
		k.say(wire.AppendLesson)
	}
	return true
}

// writeStream is writeNow for a connection with a compressor of its own.
func (l *loop) writeStream(k *socket) {
	if len(k.stream.unsent) > 0 && !l.putStream(k, k.stream.unsent) {
		return
	}
	s := k.session
	frames := append(l.scratch[:0], k.control...)
	k.control = nil
	if s != nil && k.state == socketLive {
		control := len(frames)
		var ok bool
		if frames, ok = l.out.Collect(s.slot, frames, l.core.limits.flushBytesMax); !ok {
			l.lose(k)
			return
		}
		l.out.Advance(s.slot, len(frames)-control)
		l.traces.wrote(s)
		l.replayed(k)
	}
	l.scratch = frames
	l.packed = k.stream.context.AppendFrames(l.packed[:0], frames)
	if len(l.packed) > 0 && !l.putStream(k, l.packed) {
		return
	}
	k.stuck = 0
	l.latency.wrote(k)
	if s != nil && k.state == socketLive && l.out.Unsent(s.slot) > 0 {
		l.out.MarkDirty(s.slot)
	}
}

// putStream writes compressed bytes and keeps those that the kernel does not take.
func (l *loop) putStream(k *socket, buf []byte) (all bool) {
	n, err := k.io.Write(buf)
	if k.holding = holds(err); err != nil && !k.holding {
		l.writeFailed(k)
		return false
	}
	l.stats.wrote(n)
	if k.session != nil {
		k.session.sentBytes += int64(n)
	}
	k.stream.unsent = nil
	if n == len(buf) && err == nil {
		return true
	}
	if n < len(buf) {
		k.stream.unsent = append([]byte(nil), buf[n:]...)
	}
	l.block(k, n > 0 || err == errHeld)
	return false
}
