package node

import "sync"

// addresses bounds what one client address may have: connections at a time, and new ones a second.
//
// Both are off unless an operator asks for them, since many people may share an address: all who
// are behind one carrier's translator, or in one office. IPv6 is counted by /64, which is what one
// customer is given, and may choose from at will. An address is the client's, so behind a proxy it
// is what the proxy says, see -proxy-from.
//
// An address is in the table while it has connections, and then until it may open as many as it
// ever may: a second at most. So the table is as large as the connections and those of the last
// second are many; what is above its bound is turned away.
type addresses struct {
	// Static after construction.
	connectionsMax int   // of one address, 0 = no limit
	perSecond      int64 // of one address, 0 = no limit; as many at once
	entriesMax     int

	// Guarded by mu.
	mu      sync.Mutex
	entries map[addressKey]address
	full    int   // how many there are when those without a meaning are looked for
	looked  int64 // when that was
}

// addressKey is an address, or the /64 that it is in.
type addressKey [16]byte

// address is what one has. Its bucket is rate's: microseconds at which it will be full again.
type address struct {
	open int
	full int64
}

const milliPerSecond = 1000

// addressesKept is how many may lie about before the old ones are looked for.
const addressesKept = 4096

func newAddresses(s settings) *addresses {
	return &addresses{connectionsMax: s.addressConnections, perSecond: s.addressRate,
		entriesMax: s.addressesMax, entries: map[addressKey]address{}, full: addressesKept}
}

func (a *addresses) on() bool { return a.connectionsMax > 0 || a.perSecond > 0 }

func keyOf(e endpoint) (k addressKey) {
	k = e.ip
	if !e.addr().Is4() {
		clear(k[8:])
	}
	return k
}

// enter counts a connection of an address at now, in milliseconds, or reports that it may not have
// another, or not yet.
func (a *addresses) enter(e endpoint, now int64) bool {
	const micros = 1000 * milliPerSecond
	k := keyOf(e)
	a.mu.Lock()
	defer a.mu.Unlock()
	x, known := a.entries[k]
	if !known && !a.room(now) || a.connectionsMax > 0 && x.open >= a.connectionsMax {
		return false
	}
	if a.perSecond > 0 {
		next := max(x.full, now*1000) + micros/a.perSecond
		if next-now*1000 > micros {
			return false
		}
		x.full = next
	}
	x.open++
	a.entries[k] = x
	return true
}

// leave uncounts a connection that enter has counted.
func (a *addresses) leave(e endpoint, now int64) {
	k := keyOf(e)
	a.mu.Lock()
	defer a.mu.Unlock()
	x := a.entries[k]
	x.open--
	if x.open <= 0 && x.full <= now*1000 {
		delete(a.entries, k)
		return
	}
	a.entries[k] = x
}

// room reports whether the table takes one more, and forgets those without a meaning from time to
// time. REQUIRES: mu is held.
func (a *addresses) room(now int64) bool {
	if len(a.entries) < a.full {
		return true
	}
	if now-a.looked < milliPerSecond && a.looked != 0 {
		return len(a.entries) < a.entriesMax // What is there now had a meaning a moment ago.
	}
	a.looked = now
	for k, x := range a.entries {
		if x.open <= 0 && x.full <= now*1000 {
			delete(a.entries, k)
		}
	}
	// Not again at the next one, when most of them are in use.
	a.full = min(max(addressesKept, 2*len(a.entries)), a.entriesMax)
	return len(a.entries) < a.entriesMax
}

// size is how many addresses are counted.
func (a *addresses) size() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.entries)
}
