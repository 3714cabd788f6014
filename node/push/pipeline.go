package push

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"throng/tuning"
	"throng/wire"
)

// Pipeline carries pushes from guilds to a sink.
//
// Invariant: whatever was offered is in the buffer, in flight, or counted once as collapsed, sent
// or dropped.
type Pipeline struct {
	// Static after construction.
	limits Limits
	log    *slog.Logger
	panics func(v any, stack []byte)
	sink   Sink
	began  time.Time
	buffer *buffer
	conns  []*conn
	wake   chan struct{} // Holds a token when something may wait in the buffer.

	ctx    context.Context // Ends when flights are to be given up.
	cancel context.CancelFunc
	ending chan struct{} // Closed when nothing comes into the buffer any more.
	endNow sync.Once
	idle   sync.WaitGroup // Connections that run.

	// Atomic: written by connections, read by Stats.
	landed    atomic.Uint64 // Pushes whose flights are over.
	sent      atomic.Uint64
	drops     [dropReasonCount]atomic.Uint64 // But for those in the buffer's tally.
	answers   [resultCount]atomic.Uint64
	complains atomic.Int64 // When the log was last told of a failure, in milliseconds.
}

// Limits bound a pipeline. A zero is the limit of package tuning.
type Limits struct {
	QueueMax      int
	LookMax       int
	AgeMax        time.Duration
	InFlightMax   int // On one connection.
	Connections   int
	TriesMax      int
	TryTimeout    time.Duration
	RetryPause    time.Duration
	RetryPauseMax time.Duration
	AskedPauseMax time.Duration
}

func (l Limits) withDefaults() Limits {
	l.QueueMax = cmp.Or(l.QueueMax, tuning.PushQueueMax)
	l.LookMax = cmp.Or(l.LookMax, tuning.PushLookMax)
	l.AgeMax = cmp.Or(l.AgeMax, tuning.PushAgeMax)
	l.InFlightMax = cmp.Or(l.InFlightMax, tuning.PushInFlightMax)
	l.Connections = cmp.Or(l.Connections, tuning.PushConnectionsMax)
	l.TriesMax = cmp.Or(l.TriesMax, tuning.PushTriesMax)
	l.TryTimeout = cmp.Or(l.TryTimeout, tuning.PushTryTimeout)
	l.RetryPause = cmp.Or(l.RetryPause, tuning.PushRetryPause)
	l.RetryPauseMax = cmp.Or(l.RetryPauseMax, tuning.PushRetryPauseMax)
	l.AskedPauseMax = cmp.Or(l.AskedPauseMax, tuning.PushAskedPauseMax)
	return l
}

// Config is what a pipeline is made of.
type Config struct {
	Sink   Sink
	Limits Limits
	Log    *slog.Logger
	// Panicked is told of a panic in the sink, which costs one try.
	Panicked func(v any, stack []byte)
}

// Start connects to the sink and begins. Stop must be called in the end.
func Start(c Config) (*Pipeline, error) {
	l := c.Limits.withDefaults()
	p := &Pipeline{
		limits: l, log: c.Log, panics: c.Panicked, sink: c.Sink, began: time.Now(),
		buffer: newBuffer(l.QueueMax, l.LookMax, l.AgeMax.Milliseconds()),
		wake:   make(chan struct{}, 1), ending: make(chan struct{}),
	}
	p.complains.Store(-complaintPause.Milliseconds())
	p.ctx, p.cancel = context.WithCancel(context.Background())
	for range l.Connections {
		out, err := c.Sink.Connect()
		if err != nil {
			p.closeAll()
			return nil, fmt.Errorf("connect to %v: %w", c.Sink, err)
		}
		p.conns = append(p.conns, newConn(p, out))
	}
	for _, k := range p.conns {
		p.idle.Go(k.run)
	}
	return p, nil
}

func (p *Pipeline) closeAll() {
	for _, k := range p.conns {
		k.out.Close()
	}
}

// now is a monotonic time in milliseconds.
func (p *Pipeline) now() int64 { return time.Since(p.began).Milliseconds() }

// TrySend offers a note to users. It never waits; false says that the pipeline has been stopped. A
// push that is taken may still be dropped, which is counted.
func (p *Pipeline) TrySend(n *Note, users ...wire.Snowflake) bool {
	ok := p.buffer.offer(n, users, p.now())
	if ok {
		p.ring()
	}
	return ok
}

// HalfFull says whether so much waits that whoever has very many more had better come later.
func (p *Pipeline) HalfFull() bool {
	_, waiting := p.buffer.count()
	return waiting > p.limits.QueueMax/2
}

// Omit counts users of a message to whom nothing is offered.
func (p *Pipeline) Omit(users int) { p.drop(DropOmitted, users) }

func (p *Pipeline) drop(r DropReason, count int) { p.drops[r].Add(uint64(count)) }

// ring wakes a connection that waits for pushes. One token is enough: whoever takes it and leaves
// pushes behind puts it back.
func (p *Pipeline) ring() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// next waits for pushes and returns up to limit of them, none when the end has come.
func (p *Pipeline) next(limit int) []Push {
	for {
		ended := p.hasEnded() // Looked at first: what is offered before the end is still served.
		batch, more := p.buffer.take(limit, p.now())
		if len(batch) > 0 {
			if more {
				p.ring()
			}
			return batch
		}
		if more {
			continue
		}
		if ended {
			return nil
		}
		select {
		case <-p.wake:
		case <-p.ending:
		}
	}
}

func (p *Pipeline) hasEnded() bool {
	select {
	case <-p.ending:
		return true
	default:
		return false
	}
}

// Stop ends the pipeline: nothing is taken in any more, and what is there goes out until ctx ends.
// It returns how many pushes were left then, and logs it.
func (p *Pipeline) Stop(ctx context.Context) (left int) {
	before := p.drops[DropEnded].Load()
	p.endNow.Do(func() {
		p.buffer.end()
		close(p.ending)
	})
	drained := make(chan struct{})
	go func() {
		p.idle.Wait()
		close(drained)
	}()
	select {
	case <-drained:
	case <-ctx.Done():
		p.cancel()
		<-drained
	}
	p.cancel()
	left = p.buffer.clear() + int(p.drops[DropEnded].Load()-before)
	p.closeAll()
	if left > 0 {
		p.log.Warn("push: ended before the sink took everything", "sink", p.sink.String(),
			"dropped", left)
	}
	return left
}

// pause is how long to wait before a try: full jitter, and after what the sink asks for.
func (p *Pipeline) pause(try int, a Answer) time.Duration {
	most := min(p.limits.RetryPause<<min(try-1, 20), p.limits.RetryPauseMax)
	wait := rand.N(most + 1)
	if a.Result == Later {
		wait += min(max(a.Pause, 0), p.limits.AskedPauseMax)
	}
	return wait
}

// complaintPause is how often the log is told that the sink fails; the metrics count each time.
const complaintPause = 30 * time.Second

func (p *Pipeline) complain(a Answer) {
	now, last := p.now(), p.complains.Load()
	if now-last < complaintPause.Milliseconds() || !p.complains.CompareAndSwap(last, now) {
		return
	}
	p.log.Warn("push: the sink does not take pushes", "sink", p.sink.String(),
		"result", a.Result.String(), "error", a.Err)
}
