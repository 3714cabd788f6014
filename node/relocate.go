package node

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"throng/wire"
)

// Connections with zstd-stream are written blocks that were packed once for all, but for the
// offsets of their matches: see wire/relocate.go. For that a socket knows where its decoder is
// (wire.Stream): behind everything that has been written, as far as it is whole frames. A frame
// that was written in part is made again, the same, from where the decoder was before it; frames of
// the connection's own that came meanwhile, an answer to a heartbeat, count from when the last of
// them is written, since they go behind it.

// streamed is a loop's scratch for the frames of one write, and its figures.
type streamed struct {
	// Owned by the loop goroutine.
	at     wire.Stream   // behind the frame that was made last
	after  []wire.Stream // behind each frame that Collect gave
	counts [wire.ModeCount]modeCount
	taught uint64

	// Atomic: written by the loop, read by metrics.
	shown [wire.ModeCount]struct{ frames, text, packed atomic.Uint64 }
	again atomic.Uint64
}

type modeCount struct{ frames, text, packed uint64 }

// relocates says that the socket's stream has blocks that are relocated.
func (k *socket) relocates() bool {
	return k.stream == nil && k.variant.Compression() == wire.CompressionZstd
}

// say adds a frame of the connection's own.
func (k *socket) say(frame func(dst []byte, v wire.Variant) []byte) {
	from := len(k.control)
	k.control = frame(k.control, k.variant)
	if k.relocates() {
		k.said.Add(k.control[from:], k.variant.Encoding())
	}
}

// teachStranger teaches a stream that another node has begun, before its first dispatch: what its
// decoder knows is that node's, and so is the window.
func (k *socket) teachStranger() {
	if k.opening.far && k.relocates() && !k.zstd.Narrowed() {
		k.zstd.Narrow()
		k.say(wire.AppendLesson)
	}
}

// collect is Outbox.Collect for the socket's session, behind control bytes of its own.
func (l *loop) collect(k *socket, dst []byte, control, limitBytes int) (out []byte, ok bool) {
	l.streamed.at, l.streamed.after = k.zstd, l.streamed.after[:0]
	if control > 0 {
		l.streamed.at.Say(k.said, l.core.limits.window)
	}
	return l.out.Collect(k.session.slot, dst, limitBytes)
}

// appendFrame is what the outbox makes a socket's bytes with.
func (l *loop) appendFrame(dst, frame []byte, hole int, kind uint8, seq uint32) []byte {
	v := wire.Variant(kind)
	if v.Compression() != wire.CompressionZstd {
		start := len(dst)
		dst = append(dst, frame...)
		wire.PutSeq(dst[start:], hole, v, seq)
		return dst
	}
	start, s := len(dst), &l.streamed
	dst, p := wire.AppendStreamed(dst, frame, seq, &s.at, l.core.limits.window)
	s.after = append(s.after, s.at)
	c := &s.counts[p.Mode]
	c.frames++
	c.text += uint64(p.Text)
	c.packed += uint64(len(dst) - start)
	return dst
}

// spoke notes that all of the connection's own frames are written.
func (l *loop) spoke(k *socket) {
	if k.said.Text > 0 {
		k.zstd.Say(k.said, l.core.limits.window)
		k.said = wire.Said{}
	}
}

// wroteFrames notes that so many of the frames that were collected are written whole.
func (l *loop) wroteFrames(k *socket, frames int) {
	if frames > 0 && len(l.streamed.after) > 0 {
		k.zstd = l.streamed.after[frames-1]
	}
}

// publish makes the figures readable.
func (s *streamed) publish() {
	for m := range s.counts {
		s.shown[m].frames.Store(s.counts[m].frames)
		s.shown[m].text.Store(s.counts[m].text)
		s.shown[m].packed.Store(s.counts[m].packed)
	}
	s.again.Store(s.taught)
}

var (
	descStreamFrames = desc("zstd_frames_total", "Dispatches made for zstd streams, by what they "+
		"were packed against.", "dictionary")
	descStreamBytes = desc("zstd_bytes_total", "Their bytes, before packing and after.",
		"dictionary", "side")
	descStreamLessons = desc("zstd_lessons_total", "Templates that were sent again.")
)

// collectStreamed gives the figures of compressors and of all loops' streams.
func (n *Node) collectStreamed(gauge func(d *prometheus.Desc, v float64, labels ...string),
	count func(d *prometheus.Desc, v uint64, labels ...string)) {
	gauge(descContexts, float64(n.core.contexts.Load()))
	gauge(descContextSize, float64(n.core.contextBytes.Load()))
	lessons := uint64(0)
	for _, l := range n.core.loops {
		lessons += l.streamed.again.Load()
	}
	count(descStreamLessons, lessons)
	for m := range wire.ModeCount {
		var frames, text, packed uint64
		for _, l := range n.core.loops {
			c := &l.streamed.shown[m]
			frames += c.frames.Load()
			text += c.text.Load()
			packed += c.packed.Load()
		}
		count(descStreamFrames, frames, m.String())
		count(descStreamBytes, text, m.String(), "before")
		count(descStreamBytes, packed, m.String(), "after")
	}
}
