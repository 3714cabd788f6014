package node

import (
	"errors"
	"fmt"
)

// seat is where an owner sits still: it does what it is told, and nothing else, until it is let go.
// Whoever has it sit may look at all that it owns meanwhile, by way of do.
type seat[T any] struct {
	// Static after construction.
	over  <-chan struct{} // nobody comes back to the seat when this is closed
	taken chan struct{}   // closed when the owner sits
	work  chan func(T) error
	did   chan error
}

func newSeat[T any](over <-chan struct{}) *seat[T] {
	return &seat[T]{over: over, taken: make(chan struct{}), work: make(chan func(T) error),
		did: make(chan error, 1)}
}

// sit is called by the owner, on its goroutine.
func (s *seat[T]) sit(owner T) {
	close(s.taken)
	for {
		select {
		case f, more := <-s.work:
			if !more {
				return
			}
			s.did <- attempt(f, owner)
		case <-s.over:
			return
		}
	}
}

// attempt makes a panic an error: the owner is to go on sitting.
func attempt[T any](f func(T) error, owner T) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	return f(owner)
}

// isTaken says whether the owner sits.
func (s *seat[T]) isTaken() bool {
	select {
	case <-s.taken:
		return true
	default:
		return false
	}
}

var errSeatOver = errors.New("the node has ended")

// do has the owner do something. REQUIRES: the seat is taken.
func (s *seat[T]) do(f func(T) error) error {
	select {
	case s.work <- f:
		return <-s.did
	case <-s.over:
		return errSeatOver
	}
}

// letGo lets the owner go on with what it did before, now or as soon as it sits.
func (s *seat[T]) letGo() { close(s.work) }
