package node

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"throng/tuning"
)

// A node's store follows the log, and is some milliseconds behind what other nodes were told is
// stored. A backend makes a user's token on one of them, and its user comes to this one: to say
// that the token is nobody's would be wrong, and libraries take it for final. So before it says so
// a node has its store catch up, once, with all that was stored by then.
//
// That is a write to the log (replica.Directory.Sync), and whoever guesses tokens could have this
// node do nothing else. So one is under way at a time, those who have come meanwhile share the
// next, and between two there is a pause: ten a second, whoever asks.

// newest has those who ask wait for what was stored when they came.
type newest struct {
	// Static after construction.
	sync    func(context.Context) error
	wake    chan struct{}
	ring    func()
	stopped context.Context

	// Atomic: written by anyone.
	asked atomic.Uint64

	// Guarded by mu.
	mu      sync.Mutex
	waiting []func(error)
}

var errBehindLog = errors.New("this node's store is behind the cluster's log")

func newNewest(stopped context.Context, sync func(context.Context) error) *newest {
	n := &newest{sync: sync, stopped: stopped}
	n.wake, n.ring = bell()
	return n
}

// ask calls done when this node's store has all that was stored before the call, or with an error.
func (n *newest) ask(done func(error)) {
	n.mu.Lock()
	full := len(n.waiting) >= tuning.NewestAsksMax
	if !full {
		n.waiting = append(n.waiting, done)
	}
	n.mu.Unlock()
	n.asked.Add(1)
	if full {
		done(errBehindLog)
		return
	}
	n.ring()
}

func (n *newest) run() {
	for {
		select {
		case <-n.wake:
		case <-n.stopped.Done():
			return
		}
		n.mu.Lock()
		batch := n.waiting
		n.waiting = nil
		n.mu.Unlock()
		if len(batch) == 0 {
			continue
		}
		ctx, cancel := context.WithTimeout(n.stopped, tuning.NewestTimeout)
		err := n.sync(ctx)
		cancel()
		if err != nil {
			err = fmt.Errorf("%w: %w", errBehindLog, err)
		}
		for _, done := range batch {
			done(err)
		}
		select {
		case <-time.After(tuning.NewestPause):
		case <-n.stopped.Done():
			return
		}
	}
}

// nobody says whether the directory knows nobody for the token.
func (id *identity) nobody() bool { return id.err == nil && id.user == nil }

// lookLate has the token of an IDENTIFY looked up anew when the store has caught up.
func (l *loop) lookLate(a *identified, o *opening) {
	answer := func(id *identity) {
		a.identity = id
		l.calls.push(a)
	}
	cmd := a.identity.command
	l.core.newest.ask(func(err error) {
		job := func() {
			id := &identity{err: errInternal}
			defer func() { answer(id) }()
			id = l.core.lookUp(cmd)
		}
		switch {
		case o.gone.Load():
			l.core.abandoned.Add(1)
		case err != nil:
			answer(&identity{command: cmd, err: err})
		case !l.core.submitLookup(job):
			answer(&identity{command: cmd, err: errBehindLog})
		}
	})
}

// catchUp waits until the store has caught up.
func (n *newest) catchUp(ctx context.Context) error {
	done := make(chan error, 1)
	n.ask(func(err error) { done <- err })
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
