package load

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// loop holds a share of the connections: those whose number is its index modulo the loops.
//
// Everything is guarded by mu, which the loop's own goroutine holds but while it waits, so that
// the run can look in between two passes and do things to connections, such as cutting them.
type loop struct {
	// Static after construction.
	run     *run
	index   int
	poll    *poller
	dialect dialect

	// Guarded by mu.
	mu     sync.Mutex
	conns  []conn
	timers timers
	fresh  int      // The next connection that was never opened.
	again  []uint32 // Connections to open again, in order.
	stats  *stats   // Of the phase.

	opening, live, gone, away int

	fresher, returner pace

	buf   []byte   // One read.
	out   []byte   // One write.
	text  []byte   // One payload in the making.
	spare [][]byte // Small buffers for the rests of connections.
	mark  marker
	now   int64 // Of the read in hand, nanoseconds since the start of the run.
	wall  int64 // The same, nanoseconds since 1970.

	// Atomic: written by the loop, read by the run.
	deliveries atomic.Uint64
}

// dialect is what differs between targets once the WebSocket is open. A loop calls it with its
// lock held.
type dialect interface {
	// path is the request's, with its query.
	path(given string) string
	// opened comes after the upgrade.
	opened(l *loop, c *conn)
	// message takes a complete message, which may be overwritten afterwards.
	message(l *loop, c *conn, payload []byte)
	// beat is called when a heartbeat is due.
	beat(l *loop, c *conn)
	// door is where a publisher hands in its events.
	door(r *run) (door, error)
}

const (
	readBytes     = 256 << 10 // Several hundred frames of a burst.
	readBytesMax  = 64 << 20  // A frame may be as long.
	openBatchMax  = 256       // Connections opened before sockets are looked at again.
	spareMax      = 4096      // Buffers kept.
	spareBytesMax = 4096      // The largest of them.
	waitMilliMax  = 20        // The loop looks for new orders so often.
)

func newLoop(r *run, index int) (*loop, error) {
	p, err := newPoller()
	if err != nil {
		return nil, fmt.Errorf("open epoll: %w", err)
	}
	n := (r.config.Connections - index + r.config.Loops - 1) / r.config.Loops
	l := &loop{
		run: r, index: index, poll: p, dialect: r.dialect,
		conns: make([]conn, n), stats: &stats{}, buf: make([]byte, readBytes),
	}
	for i := range l.conns {
		l.conns[i].slot, l.conns[i].fd = uint32(i), -1
	}
	loops := float64(r.config.Loops)
	l.fresher.rate, l.returner.rate = r.config.Ramp/loops, r.config.CutRamp/loops
	return l, nil
}

// clock is nanoseconds since the start of the run.
func (l *loop) clock() int64 { return int64(time.Since(l.run.start)) }

// serve is the loop's goroutine. It ends with ctx.
func (l *loop) serve(ctx context.Context) error {
	defer l.poll.close()
	for ctx.Err() == nil {
		l.mu.Lock()
		wait := l.prepare()
		l.mu.Unlock()
		n, err := l.poll.wait(wait)
		if err != nil {
			return fmt.Errorf("wait for sockets: %w", err)
		}
		l.mu.Lock()
		for i := range n {
			slot, generation := l.poll.at(i)
			c := &l.conns[slot]
			switch {
			case c.generation != generation:
			case c.state == stateConnecting:
				l.connected(c)
			default:
				l.readable(c, len(l.buf))
			}
		}
		l.mu.Unlock()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.conns {
		l.drop(&l.conns[i])
	}
	return nil
}

// pace holds a rate: at most so many since it began.
type pace struct {
	rate float64 // A second; 0: no limit.
	nano int64   // When it began.
	done int
}

// allows is how many may be done now.
func (p *pace) allows(now int64) int {
	if p.rate == 0 {
		return openBatchMax
	}
	if p.nano == 0 {
		p.nano, p.done = now, 0
	}
	return int(float64(now-p.nano)/1e9*p.rate) + 1 - p.done
}

// prepare does what is due and returns for how many milliseconds there is nothing else.
func (l *loop) prepare() int {
	l.now = l.clock()
	for len(l.timers) > 0 && l.timers[0].at <= l.now {
		t := l.timers.pop()
		if c := &l.conns[t.slot]; c.generation == t.generation {
			l.fire(c, t.task)
		}
	}
	if busy := l.openSome(); busy {
		return 1
	}
	if len(l.timers) == 0 {
		return waitMilliMax
	}
	return int(min(max((l.timers[0].at-l.now)/1e6+1, 0), waitMilliMax))
}

// openSome opens connections, as many as the rates allow. It reports whether more are to come.
func (l *loop) openSome() bool {
	if l.run.stopping.Load() {
		return false
	}
	n := min(l.returner.allows(l.now), openBatchMax, len(l.again))
	for _, slot := range l.again[:max(n, 0)] {
		l.open(&l.conns[slot])
		l.returner.done++
	}
	l.again = l.again[max(n, 0):]
	if len(l.again) == 0 {
		l.returner.nano = 0
	}
	limit := max(1, l.run.config.OpeningMax/l.run.config.Loops)
	n = min(l.fresher.allows(l.now), openBatchMax, len(l.conns)-l.fresh, limit-l.opening)
	for range n {
		l.open(&l.conns[l.fresh])
		l.fresh++
		l.fresher.done++
	}
	return l.fresh < len(l.conns) || len(l.again) > 0
}

func (l *loop) fire(c *conn, what task) {
	switch what {
	case taskBeat:
		l.dialect.beat(l, c)
	case taskDial:
		l.again = append(l.again, c.slot)
	case taskLogin:
		l.dialect.opened(l, c)
	case taskSip:
		l.sip(c)
	}
}

// readable reads once. What is left after that makes the poller report the socket again.
func (l *loop) readable(c *conn, bytesMax int) {
	have := copy(l.buf, c.rest)
	n, err := unix.Read(int(c.fd), l.buf[have:min(len(l.buf), have+bytesMax)])
	now := time.Now()
	l.now, l.wall = int64(now.Sub(l.run.start)), now.UnixNano()
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		return
	case err != nil:
		l.lost(c, "reset")
		return
	case n == 0:
		l.lost(c, "eof")
		return
	}
	l.stats.Bytes += uint64(n)
	l.stats.Reads++
	generation := c.generation
	used := l.consume(c, l.buf[:have+n])
	if c.generation == generation {
		l.keep(c, l.buf[used:have+n])
	}
}

// keep stores the beginning of a frame until the rest has come.
func (l *loop) keep(c *conn, rest []byte) {
	switch {
	case len(rest) == 0:
		l.recycle(c.rest)
		c.rest = nil
		return
	case len(rest) > readBytesMax:
		l.lost(c, "frame too long")
		return
	case len(rest) > len(l.buf)/2:
		// The frame is longer than a read; make one as long as it may get.
		larger := make([]byte, 2*len(l.buf))
		copy(larger, rest)
		l.buf, rest = larger, larger[:len(rest)]
	}
	if c.rest == nil && len(l.spare) > 0 && len(rest) <= spareBytesMax {
		c.rest = l.spare[len(l.spare)-1]
		l.spare = l.spare[:len(l.spare)-1]
	}
	c.rest = append(c.rest[:0], rest...)
}

func (l *loop) recycle(b []byte) {
	if cap(b) > 0 && cap(b) <= spareBytesMax && len(l.spare) < spareMax {
		l.spare = append(l.spare, b[:0])
	}
}

// delivered notes an event with a mark, or 0 where it could not be read.
func (l *loop) delivered(c *conn, mark int64) {
	if c.has(flagImpaired) {
		return
	}
	l.stats.delivered(1, l.now)
	l.deliveries.Add(1)
	switch {
	case mark == 0:
	case c.has(flagResuming):
		l.stats.record(measureReplayed, l.wall-mark)
	default:
		l.stats.record(measureEvent, l.wall-mark)
	}
}

// sipEvery is how often a slow reader reads.
const sipEvery = 100 * time.Millisecond

// sip reads a slow reader's share.
func (l *loop) sip(c *conn) {
	if c.state != stateReady {
		return
	}
	generation := c.generation
	l.readable(c, max(1, l.run.config.SlowRate/int(time.Second/sipEvery)))
	if c.generation == generation {
		l.later(c, sipEvery, taskSip)
	}
}
