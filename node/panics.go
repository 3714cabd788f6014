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

// abandon ends a connection whose handling has panicked.
func (l *loop) abandon(k *socket) {
	defer func() {
		if r := recover(); r != nil {
			// Even saying so failed: only the descriptor is left to close.
			l.core.panics.Add(1)
			l.hangUp(k)
		}
	}()
	l.closeSocket(k, Panicked, "Something failed inside the node.")
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
