package node

import (
	"net/netip"
	"strings"
	"testing"

	"throng/wire"
)

var clientAddress = netip.MustParseAddrPort("203.0.113.9:4711")

func proxyHeader() []byte {
	return wire.AppendProxy(nil, clientAddress, netip.MustParseAddrPort("10.0.0.1:443"))
}

// remotes are the addresses of all sockets.
func (r *rig) remotes() (all []string) {
	r.t.Helper()
	r.eachSocket(func(_ *loop, k *socket) { all = append(all, k.io.Remote()) })
	return all
}

// TestProxyHeaders is row 31 of the matrix.
func TestProxyHeaders(t *testing.T) {
	t.Parallel()
	big := append(proxyHeader()[:14], 255, 255)
	request := []byte(upgradeRequest("/"))
	for _, c := range []struct {
		name, from string
		sent       []byte
		remote     string // "" = the real peer's, "-" = closed
	}{
		{"trusted", "127.0.0.0/8", append(proxyHeader(), request...), clientAddress.String()},
		{"trusted, one address", "10.0.0.0/8, 127.0.0.1", append(proxyHeader(), request...),
			clientAddress.String()},
		{"LOCAL", "127.0.0.1/32", append(wire.AppendProxyLocal(nil), request...), ""},
		{"of no family", "127.0.0.1/32", append(append(append([]byte(nil), proxyHeader()[:13]...),
			0, 0, 0), request...), ""},
		{"untrusted, with a header", "10.0.0.0/8", append(proxyHeader(), request...), "-"},
		{"untrusted, without", "10.0.0.0/8", request, ""},
		{"no proxies, with a header", "", append(proxyHeader(), request...), "-"},
		{"trusted, without", "127.0.0.0/8", request, "-"},
		{"version 1", "127.0.0.0/8", append([]byte("PROXY UNKNOWN\r\n"), request...), "-"},
		{"unknown family", "127.0.0.0/8", append(append(proxyHeader()[:13], 0x51, 0, 12),
			make([]byte, 12)...), "-"},
		{"65,535 long", "127.0.0.0/8", append(append([]byte(nil), big...), make([]byte, 5000)...), "-"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := startRig(t, Config{ProxyFrom: c.from})
			client := r.connect()
			for i := range c.sent { // However it is cut.
				if i < 40 {
					if client.tryWrite(c.sent[i:i+1]) != nil {
						break
					}
				}
			}
			if len(c.sent) > 40 {
				_ = client.tryWrite(c.sent[40:])
			}
			status, _, err := client.readHTTP()
			if c.remote == "-" {
				if status == 101 {
					t.Error("it was let in")
				}
				r.until("it is gone", func() bool { return r.core.connections.Load() == 0 })
				return
			}
			if status != 101 || err != nil {
				t.Fatalf("got %d, %v", status, err)
			}
			want := c.remote
			if want == "" {
				want = client.conn.LocalAddr().String()
			}
			if got := r.remotes(); len(got) != 1 || got[0] != want {
				t.Errorf("it is from %v, want %s", got, want)
			}
		})
	}
}

// TestProxyHeaderComesInTime: it is part of the handshake, and its time is that.
func TestProxyHeaderComesInTime(t *testing.T) {
	t.Parallel()
	r := startRig(t, Config{ProxyFrom: "127.0.0.0/8"}, func(c *core) { c.limits.handshakeMilli = 500 })
	for _, part := range [][]byte{nil, proxyHeader()[:15], proxyHeader()} {
		c := r.connect()
		_ = c.tryWrite(part)
		c.wantEnd()
	}
	if got := r.closes(HandshakeTimeout); got != 3 {
		t.Errorf("%d were counted, want 3", got)
	}
}

// TestProxiedAddressesAreLimited: behind a proxy it is the client's address that counts, with TLS
// or without, and it stays with the connection when that moves to another loop or another node.
func TestProxiedAddressesAreLimited(t *testing.T) {
	t.Parallel()
	for _, secure := range []bool{false, true} {
		cfg := Config{ProxyFrom: "127.0.0.0/8", AddressConnections: 2}
		var r *rig
		if secure {
			r, _ = secureRig(t, cfg)
		} else {
			r = startRig(t, cfg)
			r.user(1, true)
			r.guild(100, 1)
		}
		r.header = proxyHeader()
		ids := hostedEverywhereBy(t, r)
		r.until("all are uncounted", func() bool { return r.engine.addresses.size() == 0 })
		c := r.dial("/")
		c.wantOp(wire.OpHello)
		for hop := range 6 {
			c.send(6, `{"token":"x","session_id":"`+ids[hop&1]+`","seq":1}`)
			c.wantOp(wire.OpHeartbeat)
			c.wantOp(wire.OpInvalidSession)
			if got := r.remotes(); len(got) != 1 || got[0] != clientAddress.String() {
				t.Fatalf("after hop %d it is from %v", hop, got)
			}
		}
		r.dial("/").wantOp(wire.OpHello)
		third := r.connect()
		if err := third.tryUpgrade("/"); err == nil {
			t.Error("a third was let in")
		}
		r.header = wire.AppendProxy(nil, netip.MustParseAddrPort("203.0.113.10:1"), clientAddress)
		r.dial("/").wantOp(wire.OpHello)
		r.header = proxyHeader()
		c.conn.Close()
		r.until("there is room", func() bool {
			next := r.connect()
			if next.tryUpgrade("/") == nil {
				return true
			}
			next.conn.Close()
			return false
		})
	}
}

// hostedEverywhereBy is hostedEverywhere with one connection at a time.
func hostedEverywhereBy(t *testing.T, r *rig) (ids [2]string) {
	t.Helper()
	for range 200 {
		c := r.login(1)
		ids[c.home()] = strings.Repeat("a", 16) + c.session[16:]
		c.conn.Close()
		r.until("it is gone", func() bool { return r.core.connections.Load() == 0 })
		if ids[0] != "" && ids[1] != "" {
			return ids
		}
	}
	t.Fatal("the kernel gives all connections to one loop")
	return ids
}

func TestNetworks(t *testing.T) {
	for _, text := range []string{
		"10.0.0.1/8", "10.0.0.0/33", "localhost", "10.0.0.0/8,", "*", "::/129",
		"::ffff:10.0.0.0/90", "::ffff:10.0.0.1/104",
	} {
		if n, err := parseNetworks(text); err == nil {
			t.Errorf("%q was taken as %v", text, n)
		}
	}
	n, err := parseNetworks("10.0.0.0/8, 2001:db8::/32,192.0.2.1, ::ffff:172.16.0.0/108")
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]bool{"10.255.0.1": true, "11.0.0.0": false, "2001:db8::1": true,
		"2001:db9::1": false, "192.0.2.1": true, "192.0.2.2": false,
		"172.31.0.1": true, "172.32.0.1": false} {
		if got := n.contain(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: got %v", text, got)
		}
	}
}
