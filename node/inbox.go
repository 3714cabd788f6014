package node

import "sync"

// inbox is the bounded queue of messages to one owner.
//
// Many push, one takes. Messages of one sender come out in the order in which that sender pushed
// them. The owner takes everything at once and works through it, so that under load one lock and
// one doorbell serve hundreds of messages.
type inbox[T any] struct {
	// Static after construction.
	ring func() // wakes the owner; called without the lock, once per idle period

	// Guarded by mu.
	mu      sync.Mutex
	limit   int
	room    sync.Cond
	waiting []T
	rung    bool
	closed  bool
	since   int64 // when the first of waiting came; see nanos
	taken   int   // how many the owner took the last time, 0 when it found none
	oldest  int64 // when the first of those had come
}

func newInbox[T any](limit int, ring func()) *inbox[T] {
	q := &inbox[T]{limit: limit, ring: ring}
	q.room.L = &q.mu
	return q
}

// limitTo changes how many may wait.
func (q *inbox[T]) limitTo(limit int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.limit = limit
	q.room.Broadcast()
}

// push adds a message whatever the limit. It is for messages whose number is bounded elsewhere: at
// most a few per session, socket or request.
func (q *inbox[T]) push(m T) { q.put(m) }

// tryPush adds a message unless the inbox is full.
func (q *inbox[T]) tryPush(m T) bool {
	q.mu.Lock()
	if len(q.waiting) >= q.limit {
		q.mu.Unlock()
		return false
	}
	q.add(m)
	return true
}

// pushWait adds a message and waits while the inbox is full. Only shards call it, towards loops:
// loops never wait for anybody, so nobody can wait in a circle.
func (q *inbox[T]) pushWait(m T) {
	q.mu.Lock()
	for len(q.waiting) >= q.limit && !q.closed {
		q.room.Wait()
	}
	q.add(m)
}

func (q *inbox[T]) put(m T) {
	q.mu.Lock()
	q.add(m)
}

// add appends, unlocks and rings. REQUIRES: mu is held.
func (q *inbox[T]) add(m T) {
	if len(q.waiting) == 0 {
		q.since = nanos() // Once for all that come until the owner takes them.
	}
	q.waiting = append(q.waiting, m)
	first := !q.rung
	q.rung = true
	q.mu.Unlock()
	if first {
		q.ring()
	}
}

// take moves all messages out; the owner gives back the slice it has worked through, emptied, for
// the next ones. After an empty take the next message rings again.
func (q *inbox[T]) take(done []T) []T {
	clear(done)
	q.mu.Lock()
	m := q.waiting
	q.waiting = done[:0]
	q.taken, q.oldest = len(m), q.since
	if len(m) == 0 {
		q.rung = false
	} else if len(m) >= q.limit {
		q.room.Broadcast()
	}
	q.mu.Unlock()
	return m
}

// full says whether tryPush would refuse.
func (q *inbox[T]) full() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting) >= q.limit
}

// depth is how many messages wait.
func (q *inbox[T]) depth() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting)
}

// queueState is how an inbox stands.
type queueState struct {
	depth, limit int
	taken        int   // messages of the batch that the owner is at
	age          int64 // of the oldest: of that batch, or else of those that wait; nanoseconds
}

// state is how the inbox stands now. Of a batch that the owner is at, nobody but the owner knows
// how far it has come: what is told is the age of its first message.
func (q *inbox[T]) state() queueState {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := queueState{depth: len(q.waiting), limit: q.limit, taken: q.taken}
	switch {
	case q.taken > 0:
		s.age = nanos() - q.oldest
	case len(q.waiting) > 0:
		s.age = nanos() - q.since
	}
	return s
}

// close lets everybody who waits for room go on; the owner is gone.
func (q *inbox[T]) close() {
	q.mu.Lock()
	q.closed = true
	q.room.Broadcast()
	q.mu.Unlock()
}
