package node

import "throng/tuning"

// countQueued adds up what the kernel holds for peers: for those who take nothing, and, when memory
// may become short, for the others too, by looking at some of them. A client that has stopped to
// read is one of these until its buffers are full, which may be megabytes, and a thousand of them
// are gigabytes before the first is found to take nothing.
func (l *loop) countQueued() {
	sum := 0
	for _, k := range l.blocked {
		sum += k.io.Waiting()
	}
	if l.core.nearShort.Load() {
		asked, queued := 0, 0
		l.some(tuning.QueueSampleMax, func(k *socket) {
			asked++
			queued += k.io.Waiting()
		})
		if asked > 0 {
			sum += queued / asked * max(int(l.stats.live)-len(l.blocked), asked)
		}
	}
	l.stats.queued.Store(int64(sum))
	l.queuedAt = l.time
}

// recount has a loop count before its next tick.
type recount struct{}

func (*recount) kind() messageKind { return kindOperate }

func (*recount) do(l *loop) {
	l.recounting.Store(false)
	l.countQueued()
}

// some calls f for live sockets that take what they are sent, of so many places at most. These are
// spread over all, since sockets that came together behave alike, and others the next time.
func (l *loop) some(most int, f func(k *socket)) {
	stride := len(l.sockets)/most + 1
	l.someAt++
	for i := l.someAt % stride; i < len(l.sockets); i += stride {
		if k := l.sockets[i]; k != nil && k.state == socketLive && k.stuck == 0 {
			f(k)
		}
	}
}
