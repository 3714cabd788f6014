package push

import (
	"sync"

	"throng/wire"
)

// buffer is the pushes that no connection has asked for yet: a ring of fixed size with an index of
// what can be replaced.
//
// A newer push takes the older one's place in the ring and does not go to the end of it. At the end
// it would be fairer to the others, but in an overload a busy channel would push its reader back
// with every message, and he would be the one who never hears of it.
//
// Guilds wait for the lock, so all that is done under it is short: to put in the users of one
// message, or to look at lookMax entries.
type buffer struct {
	// Static after construction.
	ageMax  int64 // milliseconds
	lookMax int

	// Guarded by mu.
	mu    sync.Mutex
	ring  []Push
	first uint64         // Number of the oldest; it is at ring[first%len].
	next  uint64         // Number of the next. Invariant: first <= next <= first+len(ring).
	index map[key]uint64 // Number of the push to replace.
	ended bool           // Nothing is taken in any more.
	tally tally
}

// key names pushes of which only the newest matters.
type key struct{ user, channel wire.Snowflake }

func (p *Push) key() key { return key{p.User, p.Note.Channel} }

// tally counts what has come in and what became of it before a connection asked for it.
type tally struct {
	offered   uint64
	collapsed uint64 // Replaced by a newer one.
	shed      uint64 // The oldest of a full buffer.
	expired   uint64
	ended     uint64 // Came after the end, or was left at it.
	taken     uint64
	waited    int64 // Milliseconds, of all that were taken.
	waitedMax int64
}

func newBuffer(max, lookMax int, ageMax int64) *buffer {
	return &buffer{
		ageMax: ageMax, lookMax: lookMax, ring: make([]Push, max), index: map[key]uint64{},
	}
}

// offer puts pushes in; it is false when the end has come.
func (b *buffer) offer(n *Note, users []wire.Snowflake, now int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tally.offered += uint64(len(users))
	if b.ended {
		b.tally.ended += uint64(len(users))
		return false
	}
	for _, user := range users {
		b.put(Push{User: user, Note: n, Count: 1, offered: now})
	}
	return true
}

// put puts one in. REQUIRES: mu is held.
func (b *buffer) put(p Push) {
	if at, ok := b.index[p.key()]; ok {
		old := b.at(at)
		p.Count += old.Count
		*old = p
		b.tally.collapsed++
		return
	}
	if b.next-b.first == uint64(len(b.ring)) {
		b.pop()
		b.tally.shed++
	}
	b.index[p.key()] = b.next
	*b.at(b.next) = p
	b.next++
}

func (b *buffer) at(number uint64) *Push { return &b.ring[number%uint64(len(b.ring))] }

// pop takes the oldest out. REQUIRES: there is one.
func (b *buffer) pop() Push {
	at := b.at(b.first)
	p := *at
	*at = Push{}
	delete(b.index, p.key())
	b.first++
	return p
}

// take returns up to limit pushes, the oldest first, and throws away those that are too old. more
// says that others wait, also when none was returned.
func (b *buffer) take(limit int, now int64) (batch []Push, more bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for looked := 0; b.first < b.next && len(batch) < limit && looked < b.lookMax; looked++ {
		p := b.pop()
		waited := now - p.offered
		if waited > b.ageMax {
			b.tally.expired++
			continue
		}
		b.tally.taken++
		b.tally.waited += waited
		b.tally.waitedMax = max(b.tally.waitedMax, waited)
		batch = append(batch, p)
	}
	return batch, b.first < b.next
}

// end refuses what comes from now on.
func (b *buffer) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = true
}

// clear throws away what is left, and says how much that is.
func (b *buffer) clear() (left int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.first < b.next {
		b.pop()
		left++
	}
	b.tally.ended += uint64(left)
	return left
}

func (b *buffer) count() (tally, int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.tally, int(b.next - b.first)
}
