package node

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"throng/fanout"
	"throng/node/tracing"
	"throng/tuning"
)

// publishing is an event on its way through its guild, as far as that is traced. A nil one is not.
type publishing struct {
	tracer *tracing.Tracer
	in     tracing.Context
	asked  time.Time // when the door gave it to the shard
	taken  time.Time // when the shard came to it
}

// publishing begins to trace what a caller asks for, if it is to be.
func (n *Node) publishing(ctx context.Context) *publishing {
	if n.core.tracer == nil {
		return nil
	}
	in, ok := tracing.From(ctx)
	if !ok {
		return nil
	}
	return &publishing{tracer: n.core.tracer, in: in, asked: time.Now()}
}

// take notes that the shard has come to it.
func (p *publishing) take() {
	if p != nil {
		p.taken = time.Now()
	}
}

// mark has an event's steps carry the trace, in a span of their own. It is called by the guild's
// shard before the steps are given away. end is to be called when they have been.
//
// permille is how many of the usual number of receivers get spans of their own.
func (p *publishing) mark(g *fanout.Guild, name string, c *fanout.Change, permille int64) (
	end func()) {
	if p == nil {
		return func() {}
	}
	info := g.Info()
	span := p.tracer.Begin(p.in, "guild.publish", p.asked,
		attribute.String("guild.id", g.ID().String()), attribute.String("event.type", name),
		attribute.Int64("event.index", int64(info.EventIndex)),
		attribute.Int("receivers", info.SessionCount))
	span.Note("taken", p.taken)
	in := span.Context()
	t := &fanout.Trace{ID: in.Trace, Span: in.Span,
		Share: fanout.ShareOf(tuning.TraceShare(info.SessionCount) * float64(permille) / 1000)}
	for i := range c.Msgs {
		if e := c.Msgs[i].Event; e != nil && e.Update == nil {
			e.Trace = t
		}
	}
	return func() { span.End(time.Now()) }
}

// loopTraces are the traced events on a loop, and the receivers that are followed to their sockets.
type loopTraces struct {
	// Static after construction.
	loop   *loop
	tracer *tracing.Tracer

	// Owned by the loop goroutine.
	begun   map[*fanout.Trace]begunTrace
	writes  map[uint32][]tracedWrite // by slot
	waiting int                      // in writes
}

// begunTrace is an event that is being told to its receivers.
type begunTrace struct {
	span *tracing.Span
	in   tracing.Context
}

// tracedWrite is a frame that has not been written yet.
type tracedWrite struct {
	gen, seq uint32
	at       time.Time
	in       tracing.Context
	event    string
}

// follow has the loop trace.
func (l *loop) follow(t *tracing.Tracer) {
	l.traces = &loopTraces{loop: l, tracer: t, begun: map[*fanout.Trace]begunTrace{},
		writes: map[uint32][]tracedWrite{}}
	l.board.Follow(l.traces)
}

// begin takes note of an event that has come to the loop. t may be nil.
func (t *loopTraces) begin(m *fanout.Msg) {
	if t == nil || m.Event == nil || m.Event.Trace == nil || !t.loop.board.Has(m.Guild) {
		return
	}
	if len(t.begun) >= tuning.TraceEventsMax {
		// Most have no end: the last receiver went while the event was under way.
		for _, b := range t.begun {
			b.span.End(time.Now())
		}
		clear(t.begun)
	}
	of := m.Event.Trace
	in := tracing.Context{Trace: of.ID, Span: of.Span}
	span := t.tracer.Begin(in, "loop.deliver", time.Now(), attribute.String("owner",
		t.loop.stats.name), attribute.String("node", t.loop.core.limits.node))
	t.begun[of] = begunTrace{span, span.Context()}
}

// Told ends the span of an event.
func (t *loopTraces) Told(e *fanout.Event, looked int) {
	if b, ok := t.begun[e.Trace]; ok {
		b.span.End(time.Now(), attribute.Int("receivers", looked))
		delete(t.begun, e.Trace)
	}
}

// Given follows a session's frame to its socket.
func (t *loopTraces) Given(e *fanout.Event, slot, seq uint32) {
	s := t.loop.sessions[slot]
	if s == nil || t.waiting >= tuning.TraceWritesMax {
		return
	}
	in := tracing.Context{Trace: e.Trace.ID, Span: e.Trace.Span}
	if b, ok := t.begun[e.Trace]; ok {
		in = b.in
	}
	t.writes[slot] = append(t.writes[slot],
		tracedWrite{s.gen, seq, time.Now(), in, e.Dispatch.Name()})
	t.waiting++
}

// wrote says that what waited for a session has been written, as far as its outbox says. It is
// called after every write, and t may be nil.
func (t *loopTraces) wrote(s *session) {
	if t == nil || t.waiting == 0 {
		return
	}
	t.settle(s, false)
}

// settle ends the spans of what has been written, or, when the session has ended, of all.
func (t *loopTraces) settle(s *session, ended bool) {
	writes, ok := t.writes[s.slot]
	if !ok {
		return
	}
	_, sent, _ := t.loop.out.Seqs(s.slot)
	left := writes[:0]
	for _, w := range writes {
		if w.gen == s.gen && w.seq > sent && !ended {
			left = append(left, w)
			continue
		}
		t.waiting--
		if w.gen != s.gen {
			continue
		}
		about := []attribute.KeyValue{attribute.String("session.id", s.id.String()),
			attribute.String("user.id", s.user.String()), attribute.String("event.type", w.event),
			attribute.Bool("written", w.seq <= sent)}
		t.tracer.Begin(w.in, "session.write", w.at, about...).End(time.Now())
	}
	if t.writes[s.slot] = left; len(left) == 0 {
		delete(t.writes, s.slot)
	}
}

// ended says that a session is no more.
func (t *loopTraces) ended(s *session) {
	if t != nil && t.waiting > 0 {
		t.settle(s, true)
	}
}

var _ fanout.Follower = (*loopTraces)(nil)
