package node

import (
	"testing"

	"throng/wire"
)

// TestSlowlorisHoldsLittle is row 4 of the matrix: peers that say what they begin with octet by
// octet hold next to nothing, and others come in meanwhile. That they end in time is in
// TestSlowHandshakeEnds, TestTLSHandshakes and TestProxyHeaderComesInTime.
func TestSlowlorisHoldsLittle(t *testing.T) {
	t.Parallel()
	const peers, octets = 150, 40
	tweak := func(c *core) { c.limits.handshakeMilli = 3_600_000 }
	t.Run("request", func(t *testing.T) {
		t.Parallel()
		slowly(t, startRig(t, Config{}, tweak), peers, []byte(upgradeRequest("/"))[:octets])
	})
	t.Run("hello", func(t *testing.T) {
		t.Parallel()
		r, _ := secureRig(t, Config{}, tweak)
		slowly(t, r, peers, helloOf(t, r.secure)[:octets])
	})
	t.Run("PROXY header", func(t *testing.T) {
		t.Parallel()
		r := startRig(t, Config{ProxyFrom: "127.0.0.0/8"}, tweak)
		r.header = proxyHeader()
		slowly(t, r, peers, append(proxyHeader(), upgradeRequest("/")...)[:octets])
	})
}

func slowly(t *testing.T, r *rig, peers int, says []byte) {
	secure, header := r.secure, r.header
	r.secure, r.header = nil, nil
	slow := make([]*wsClient, peers)
	for i := range slow {
		slow[i] = r.connect()
	}
	r.secure, r.header = secure, header
	for i, octet := range says {
		for _, c := range slow {
			c.write([]byte{octet})
		}
		if i%10 == 0 {
			r.dial("/").wantOp(wire.OpHello)
		}
	}
	handshaking := 0
	r.eachSocket(func(_ *loop, k *socket) {
		if k.state != socketHandshaking {
			return
		}
		handshaking++
		ruler := newRuler()
		if bytes := k.memory(&ruler.Ruler) + k.connectionMemory(&ruler.Ruler); bytes > 1<<10 {
			t.Errorf("a peer holds %d octets", bytes)
		}
	})
	if handshaking != peers {
		t.Errorf("%d are at it, want %d", handshaking, peers)
	}
}
