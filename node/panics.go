package node

import (
	"runtime/debug"
	"sync"
	"time"

	"throng/tuning"
)

// panicked counts a panic that somebody was saved from. A few are bad luck, or one client's doing;
// many in a minute mean that the node's own state is wrong, and then ending, so that sessions
// resume elsewhere, serves them better.
func (c *core) panicked(where string, what any, stack []byte) {
	c.panics.Add(1)
	c.log.Error("a panic was contained", "in", where, "panic", what, "stack", string(stack))
	if c.failures.more(time.Now()) {
		c.log.Error("too many panics, giving up", "max", tuning.PanicsMax,
			"window", tuning.PanicsWindow)
		c.giveUp()
	}
}

// failures is a count in a sliding window.
type failures struct {
	// Guarded by mu.
	mu   sync.Mutex
	last [tuning.PanicsMax]time.Time
	at   int
}

// more notes one more and reports whether that is more than PanicsMax in PanicsWindow.
func (f *failures) more(now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	oldest := f.last[f.at]
	f.last[f.at] = now
	f.at = (f.at + 1) % len(f.last)
	return !oldest.IsZero() && now.Sub(oldest) < tuning.PanicsWindow
}

// abandon ends a connection whose handling has panicked. What fails on the way there is left out.
func (l *loop) abandon(k *socket) {
	if l.holds(func() { l.closeSocket(k, Panicked, closeRows[Panicked].sentence) }) {
		return
	}
	l.holds(func() { l.detach(k, Panicked) })
	l.holds(func() { l.hangUp(k) })
}

// holds reports whether f came to its end. When it did not, that is counted.
func (l *loop) holds(f func()) (ok bool) {
	defer func() {
		if recover() != nil {
			l.core.panics.Add(1)
		}
	}()
	f()
	return true
}

// save keeps a panic in one connection's turn from the turns of others. It is to be deferred; k
// may be nil.
func (l *loop) save(k *socket, where string) {
	if r := recover(); r != nil {
		l.core.panicked(where, r, debug.Stack())
		if k != nil {
			l.abandon(k)
		}
	}
}

// recoverMessage keeps a panic in one message from the others of the inbox. When the message is
// about one connection, that connection ends.
func (l *loop) recoverMessage(m loopMessage) {
	r := recover()
	if r == nil {
		return
	}
	l.core.panicked("message "+m.kind().String(), r, debug.Stack())
	if i, ok := m.(*identified); ok && l.gens[i.index] == i.gen {
		l.abandon(l.sockets[i.index])
	}
}
