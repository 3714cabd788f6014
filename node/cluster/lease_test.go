package cluster

import (
	"testing"
	"time"
)

func TestLeaseEndsBeforeTheServers(t *testing.T) {
	base := time.Now()
	at := func(ms int) time.Time { return base.Add(time.Duration(ms) * time.Millisecond) }
	const ttl, margin = 2 * time.Second, 200 * time.Millisecond
	l := newLease(base)
	check := func(ms int, want bool) {
		t.Helper()
		if got := l.held(at(ms)); got != want {
			t.Errorf("at %d ms the lease is held: %v, want %v", ms, got, want)
		}
		if left := l.left(at(ms)); (left > 0) != want {
			t.Errorf("at %d ms %v is left", ms, left)
		}
	}
	check(0, false)
	l.renew(at(100), ttl, margin)
	check(100, true)
	check(1899, true)
	check(1900, false)
	// A renewal that was begun at 500 and answered at 1,700 reached the server at 500 or later, so
	// that there the lease ends at 2,500 or later.
	l.renew(at(500), ttl, margin)
	check(2299, true)
	check(2300, false)
	// A late one makes up for a pause: the server has the lease still.
	l.renew(at(9000), ttl, margin)
	check(9001, true)
	l.end()
	check(9001, false)
	check(0, false)
}
