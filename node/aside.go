package node

import (
	"runtime/debug"
	"sync"
	"sync/atomic"
)

// aside is what an owner is asked between two messages, past its inbox: what it is so busy with is
// asked when the inbox is long. An owner looks at a flag before each message, which costs nothing
// until somebody has asked.
type aside struct {
	// Guarded by mu.
	mu        sync.Mutex
	questions []func()

	// Atomic: raised under mu, looked at by the owner.
	asked atomic.Bool
}

// put lines a question up; the owner has to be rung after it. There are as many questions as there
// are requests of operators in flight, and a scrape or two.
func (a *aside) put(question func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.questions = append(a.questions, question)
	a.asked.Store(true)
}

// serve answers what has been asked. It is called on the owner's goroutine, between two messages.
func (a *aside) serve(c *core) {
	a.mu.Lock()
	questions := a.questions
	a.questions = nil
	a.asked.Store(false)
	a.mu.Unlock()
	for _, question := range questions {
		answer(c, question)
	}
}

func answer(c *core, question func()) {
	defer func() {
		if r := recover(); r != nil {
			c.panicked("question", r, debug.Stack())
		}
	}()
	question()
}
