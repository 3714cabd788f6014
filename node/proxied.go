package node

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"

	"throng/tuning"
	"throng/wire"
)

// What a connection begins with before its first request: a PROXY header, where it comes from a
// proxy that is trusted, and a TLS handshake, where the node has a certificate. All of it is within
// the time of the handshake. See also secure.go.

// networks are those of -proxy-from.
type networks []netip.Prefix

// mappedBits are before an IPv4 address in an IPv6 one.
const mappedBits = 96

// parseNetworks reads a list with commas, of networks or single addresses.
func parseNetworks(list string) (n networks, err error) {
	if list == "" {
		return nil, nil
	}
	for text := range strings.SplitSeq(list, ",") {
		text = strings.TrimSpace(text)
		p, err := netip.ParsePrefix(text)
		if a, failed := netip.ParseAddr(text); failed == nil {
			p, err = netip.PrefixFrom(a, a.BitLen()), nil
		}
		if p.Addr().Is4In6() { // As no address is that is asked about.
			p = netip.PrefixFrom(p.Addr().Unmap(), max(p.Bits()-mappedBits, -1))
		}
		if err != nil || p != p.Masked() {
			return nil, fmt.Errorf("%q is no network such as 10.0.0.0/8", text)
		}
		n = append(n, p)
	}
	return n, nil
}

func (n networks) contain(a netip.Addr) bool {
	for _, p := range n {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// guest is whom a connection is from.
type guest struct {
	remote  endpoint
	counted bool // among those of its address
}

// What a connection has to begin with.
const (
	frontProxy = 1 << iota
	frontTLS
)

// frontOf is what a connection from this peer begins with.
func (e *engine) frontOf(peer endpoint) (front uint8) {
	if len(e.core.limits.proxies) > 0 && e.core.limits.proxies.contain(peer.addr()) {
		front |= frontProxy
	}
	if e.certificates != nil {
		front |= frontTLS
	}
	return front
}

// admit counts a connection, unless there are too many. Behind a proxy an address is counted when
// it is known.
func (e *engine) admit(from endpoint, front uint8) (g guest, r CloseReason, ok bool) {
	g.remote = from
	if e.core.pressure() >= tuning.PressureTrim {
		return g, NodeShort, false
	}
	if e.core.connections.Add(1) > e.core.limits.connectionsMax {
		e.core.connections.Add(-1)
		return g, NodeFull, false
	}
	if front&frontProxy == 0 && !e.count(&g) {
		e.core.connections.Add(-1)
		return g, AddressRefused, false
	}
	return g, 0, true
}

// count counts a guest among those of its address.
func (e *engine) count(g *guest) bool {
	if e.addresses.on() {
		g.counted = e.addresses.enter(g.remote, e.core.clock())
		return g.counted
	}
	return true
}

// left uncounts a connection.
func (e *engine) left(g guest) {
	e.core.connections.Add(-1)
	if g.counted {
		e.addresses.leave(g.remote, e.core.clock())
	}
}

// errAddress is for who has as many connections as an address may have, or opens them too fast.
var errAddress = &wire.HandshakeError{Status: http.StatusTooManyRequests,
	Reason: "Too many connections from this address."}

// take takes what has arrived, at whatever the connection is.
func (x *connection) take(buf []byte) {
	switch {
	case x.front != 0:
		x.takeFront(buf)
	case x.secure != nil:
		x.secure.take(x, buf)
	default:
		x.offer(buf)
	}
}

// takeFront reads what comes before the first request, and goes on with what is behind it.
func (x *connection) takeFront(buf []byte) {
	if len(x.rest) > 0 {
		x.rest = append(x.rest, buf...)
		buf = x.rest
	}
	if x.front&frontProxy != 0 {
		n, err := x.takeProxy(buf)
		if err != nil {
			x.driver.engine.core.log.Debug("a proxy's connection is refused", "peer", x.Remote(),
				"error", err)
			x.driver.loop.closeSocket(x.socket, ProxyRefused, "")
		}
		if n == 0 || x.closing {
			x.keep(buf)
			return
		}
		buf = buf[n:]
		x.front &^= frontProxy
	}
	if x.front&frontTLS != 0 {
		if !x.takeHello(buf) {
			x.keep(buf)
			return
		}
		buf = nil
	}
	x.front = 0
	rest := append([]byte(nil), buf...)
	x.rest = nil
	if len(rest) > 0 {
		x.offer(rest)
	}
}

// takeProxy reads a PROXY header; consumed is 0 while it has not all come.
func (x *connection) takeProxy(buf []byte) (consumed int, err error) {
	p, n, err := wire.ParseProxy(buf, tuning.ProxyHeaderBytesMax)
	if n == 0 || p.Local {
		return n, err
	}
	e := x.driver.engine
	x.remote = endpointOf(p.Source)
	if !e.count(&x.guest) {
		if x.front&frontTLS == 0 {
			x.socket.control = wire.AppendHandshakeRefusal(nil, errAddress)
			x.driver.loop.write(x.socket)
		}
		x.driver.loop.closeSocket(x.socket, AddressRefused, "")
	}
	return n, nil
}
