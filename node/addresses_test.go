package node

import (
	"fmt"
	"strings"
	"testing"

	"throng/wire"
)

func addressesWith(connections int, perSecond int64, entries int) *addresses {
	return newAddresses(settings{addressConnections: connections, addressRate: perSecond,
		addressesMax: entries})
}

// TestAddressRateInEverySecond: as many as allowed are let in in each second, and not only in the
// first one.
func TestAddressRateInEverySecond(t *testing.T) {
	a := addressesWith(0, 5, 100)
	one, other := endpointFrom("203.0.113.1:1"), endpointFrom("203.0.113.2:1")
	for second := range int64(10) {
		in := 0
		for milli := range int64(1000) {
			if a.enter(one, second*1000+milli) {
				in++
			}
		}
		// A burst of five at the beginning, and five as the bucket fills again.
		want := 5
		if second == 0 {
			want = 9
		}
		if in < want || in > want+1 {
			t.Errorf("second %d: %d were let in, want %d", second, in, want)
		}
	}
	if !a.enter(other, 10_000) {
		t.Error("one address pays for another")
	}
	for range 5 {
		if !a.enter(one, 60_000) {
			t.Fatal("it may not have its burst after a minute")
		}
	}
	if a.enter(one, 60_000) {
		t.Error("the burst has grown")
	}
}

func TestAddressConnectionsAreGivenBack(t *testing.T) {
	a := addressesWith(2, 0, 100)
	one := endpointFrom("[2001:db8:1:2::1]:1")
	same, next := endpointFrom("[2001:db8:1:2:ffff::9]:7"), endpointFrom("[2001:db8:1:3::1]:1")
	for round := range int64(3) {
		if !a.enter(one, round) || !a.enter(same, round) || a.enter(one, round) ||
			a.enter(same, round) {
			t.Fatalf("round %d: a /64 may have two", round)
		}
		if !a.enter(next, round) {
			t.Errorf("round %d: the next /64 may not have one", round)
		}
		a.leave(one, round)
		a.leave(same, round)
		a.leave(next, round)
		if a.size() != 0 {
			t.Errorf("round %d: %d addresses are left", round, a.size())
		}
	}
	v4, mapped := endpointFrom("10.0.0.1:1"), endpointFrom("[::ffff:10.0.0.1]:1")
	if !a.enter(v4, 9) || !a.enter(mapped, 9) || a.enter(v4, 9) || !a.enter(endpointFrom("10.0.0.2:1"), 9) {
		t.Error("IPv4 is counted by address")
	}
}

// TestAddressesAreBounded: addresses that come once each do not make the table grow.
func TestAddressesAreBounded(t *testing.T) {
	const entries = 2 * addressesKept
	a := addressesWith(0, 1, entries)
	let := 0
	for n := range 20 * entries {
		e := endpointFrom(fmt.Sprintf("[2001:db8:%x:%x::1]:1", n>>16, n&0xFFFF))
		if a.enter(e, int64(n)/100) {
			let++
			a.leave(e, int64(n)/100)
		}
		if a.size() > entries {
			t.Fatalf("%d addresses, want %d at most", a.size(), entries)
		}
	}
	if let < entries {
		t.Errorf("only %d were let in", let)
	}
}

// TestAddressesAreLookedThroughSeldom: a full table is not looked through for each who comes.
func TestAddressesAreLookedThroughSeldom(t *testing.T) {
	a := addressesWith(1, 0, 10)
	a.full = 10
	from := func(n int) endpoint { return endpointFrom(fmt.Sprintf("10.0.%d.%d:1", n>>8, n&255)) }
	for n := range 10 {
		a.enter(from(n), 5000)
	}
	for n := range 1000 {
		if a.enter(from(100+n), 5000+int64(n)) || a.looked != 5000 {
			t.Fatalf("at %d: looked through at %d, %d addresses", n, a.looked, a.size())
		}
	}
	a.leave(from(0), 5500)
	if !a.enter(from(2000), 6500) {
		t.Error("there is room")
	}
}

// TestAddressLimits at a node: who is above them is told so, and comes in when there is room.
func TestAddressLimits(t *testing.T) {
	t.Parallel()
	r := startRig(t, Config{AddressConnections: 3})
	var in []*wsClient
	for range 3 {
		c := r.dial("/")
		c.wantOp(wire.OpHello)
		in = append(in, c)
	}
	for range 5 {
		c := r.connect()
		if status, body, err := c.readHTTP(); status != 429 || err != nil ||
			!strings.Contains(body, "address") {
			t.Errorf("got %d %q %v", status, body, err)
		}
		c.wantEnd()
	}
	if got := r.closes(AddressRefused); got != 5 {
		t.Errorf("%d were counted, want 5", got)
	}
	in[0].conn.Close()
	r.until("there is room", func() bool {
		c := r.connect()
		if c.tryUpgrade("/") == nil {
			return true
		}
		c.conn.Close()
		return false
	})
}
