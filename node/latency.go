package node

import (
	"math/bits"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"throng/fanout"
	"throng/tuning"
)

// How long events take from who publishes them to the sockets of who is told, this node's alone:
// another node's clock is another.
//
// The obvious way takes the time of every frame, which is two readings of the clock of 30 ns each
// where giving a frame to a session costs 40, and eight bytes in every session's ring. So some
// events carry the time at which they were asked for (see timedEvents), and of each pass over a
// guild's receivers some are looked at, evenly spread, each standing for its share of them (see
// fanout.Meter). What a frame costs that is not timed is the look at one flag per write; see
// BenchmarkMeter in fanout.

// timedEvents picks the events of a shard that are timed.
//
// Owned by the shard's goroutine.
type timedEvents struct {
	passed int   // events since the last one
	last   int64 // when that was asked for
}

// mark has an event's steps carry when it was asked for, if it is one that is timed. It is called
// before the steps are given away. To go by the interval alone would time the first event of each
// burst, which waits for nobody.
func (t *timedEvents) mark(asked int64, c *fanout.Change) {
	t.passed++
	if t.passed < tuning.LatencyEvery && asked-t.last < int64(tuning.LatencyInterval) {
		return
	}
	t.passed, t.last = 0, asked
	for i := range c.Msgs {
		if e := c.Msgs[i].Event; e != nil && e.Update == nil {
			e.Asked = asked
		}
	}
}

// latency is what a loop has timed, and the receivers that it waits for.
type latency struct {
	// Static after construction.
	loop *loop

	// Owned by the loop goroutine.
	waiting []timedFrame

	// Atomic: written by the loop, read by whoever looks; receivers by bucket, and nanoseconds.
	spread [latencyBuckets]atomic.Uint64
	sum    atomic.Uint64
}

// timedFrame is a frame that has not been written yet.
type timedFrame struct {
	socket *socket
	seq    uint32
	weight uint32
	asked  int64
}

// Timed waits for a session's frame to be written.
func (t *latency) Timed(e *fanout.Event, slot, seq uint32, weight int) {
	s := t.loop.sessions[slot]
	if s == nil || s.socket == nil {
		return
	}
	if len(t.waiting) >= tuning.LatencyWaitMax {
		t.sweep()
		if len(t.waiting) >= tuning.LatencyWaitMax {
			return
		}
	}
	s.awaited = true
	t.waiting = append(t.waiting, timedFrame{s.socket, seq, uint32(weight), e.Asked})
}

// sweep forgets those that are not on their way to a socket any more: it has been closed, or its
// peer takes nothing, of which throng_blocked_sockets tells.
func (t *latency) sweep() {
	left := t.waiting[:0]
	for _, f := range t.waiting {
		if f.socket.state == socketLive && f.socket.stuck == 0 {
			left = append(left, f)
		}
	}
	clear(t.waiting[len(left):])
	t.waiting = left
}

// wrote says that what waited for a socket's session has been written, as far as its outbox says.
func (t *latency) wrote(k *socket) {
	if k.session != nil && k.session.awaited {
		t.settle(k)
	}
}

// settle books what has been written.
func (t *latency) settle(k *socket) {
	_, sent, _ := t.loop.out.Seqs(k.session.slot)
	now := nanos()
	k.session.awaited = false
	left := t.waiting[:0]
	for _, f := range t.waiting {
		switch {
		case f.socket != k:
			left = append(left, f)
		case f.seq > sent:
			left = append(left, f)
			k.session.awaited = true
		default:
			t.spread[latencyBucket(now-f.asked)].Add(uint64(f.weight))
			t.sum.Add(uint64(now-f.asked) * uint64(f.weight))
		}
	}
	clear(t.waiting[len(left):])
	t.waiting = left
}

// Buckets are a quarter of their lower end wide, from four of a unit, 1 µs, on.
const (
	latencyUnitBits = 10
	latencyBuckets  = 4 * 26 // The last begins at two minutes.
)

func latencyBucket(span int64) int {
	n := uint64(max(span, 0)) >> latencyUnitBits
	e := max(bits.Len64(n)-3, 0)
	return min(e*4+int(n>>e), latencyBuckets-1)
}

// latencyEnd is where a bucket ends, in nanoseconds.
func latencyEnd(bucket int) int64 {
	e := max(bucket/4-1, 0)
	return int64(bucket-4*e+1) << (e + latencyUnitBits)
}

// latencies are all loops' buckets.
func (n *Node) latencies() (spread [latencyBuckets]uint64, sum uint64) {
	for _, l := range n.core.loops {
		for i := range spread {
			spread[i] += l.latency.spread[i].Load()
		}
		sum += l.latency.sum.Load()
	}
	return spread, sum
}

// latency is the same as it is scraped: the buckets that end at four, eight, sixteen of the unit
// and so on.
func (n *Node) latency() prometheus.Metric {
	spread, sum := n.latencies()
	ends := map[float64]uint64{}
	var below uint64
	for i, count := range spread[:len(spread)-1] {
		below += count
		if i%4 == 3 {
			ends[seconds(latencyEnd(i))] = below
		}
	}
	return prometheus.MustNewConstHistogram(descLatency, below+spread[len(spread)-1],
		seconds(int64(sum)), ends)
}
