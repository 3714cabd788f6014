package wire

import (
	"encoding/binary"
	"errors"
	"net/netip"
)

// Proxy is what a PROXY protocol header of version 2 says of a connection.
type Proxy struct {
	Source netip.AddrPort // The client's address.
	// Local: the proxy itself has connected, to see whether the gateway is well, or does not say
	// for whom it has. Source is empty, and the peer's own address holds.
	Local bool
}

// Why a PROXY header is refused. The sentences are for the log: whoever sends one is a proxy that
// is set up wrongly, or nobody that is to be told anything.
var (
	ErrProxySignature = errors.New("it does not begin with a PROXY header of version 2")
	ErrProxyCommand   = errors.New("its PROXY header has an unknown version or command")
	ErrProxyFamily    = errors.New("its PROXY header is not of TCP over IPv4 or IPv6")
	ErrProxyLength    = errors.New("its PROXY header has a wrong length")
)

// Of the PROXY protocol, section 2.2.
const (
	proxySignature = "\r\n\r\n\x00\r\nQUIT\n"
	proxyFixed     = len(proxySignature) + 4 // command, family, length

	proxyLocal = 0x20
	proxyProxy = 0x21

	proxyUnspec = 0x00

	proxyTCP4 = 0x11
	proxyTCP6 = 0x21

	proxyBytes4 = 2*4 + 2*2
	proxyBytes6 = 2*16 + 2*2
)

// ParseProxy reads a PROXY protocol header of version 2 from the front of buf, which must begin
// with one: whether a peer sends it is settled, never guessed (section 2). consumed is 0 with a nil
// error while it has not all arrived. What follows the addresses, and the whole of a header that is
// LOCAL or of no family, is skipped, and is no longer than bytesMax with the rest of the header.
func ParseProxy(buf []byte, bytesMax int) (p Proxy, consumed int, err error) {
	if n := min(len(buf), len(proxySignature)); string(buf[:n]) != proxySignature[:n] {
		return Proxy{}, 0, ErrProxySignature
	}
	if len(buf) < proxyFixed {
		return Proxy{}, 0, nil
	}
	head := buf[len(proxySignature):]
	command, family := head[0], head[1]
	length := int(binary.BigEndian.Uint16(head[2:]))
	local := command == proxyLocal
	least := 0
	switch {
	case local:
	case command != proxyProxy:
		return Proxy{}, 0, ErrProxyCommand
	case family == proxyUnspec:
		// A receiver must take the real addresses of the connection (section 2.2).
		local = true
	case family == proxyTCP4:
		least = proxyBytes4
	case family == proxyTCP6:
		least = proxyBytes6
	default:
		return Proxy{}, 0, ErrProxyFamily
	}
	whole := proxyFixed + length
	if length < least || whole > bytesMax {
		return Proxy{}, 0, ErrProxyLength
	}
	if len(buf) < whole {
		return Proxy{}, 0, nil
	}
	if local {
		return Proxy{Local: true}, whole, nil
	}
	return Proxy{Source: proxySource(family, buf[proxyFixed:])}, whole, nil
}

// proxySource reads source address, destination address, source port, destination port.
func proxySource(family byte, b []byte) netip.AddrPort {
	if family == proxyTCP4 {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b)), binary.BigEndian.Uint16(b[2*4:]))
	}
	return netip.AddrPortFrom(netip.AddrFrom16([16]byte(b)).Unmap(),
		binary.BigEndian.Uint16(b[2*16:]))
}

// AppendProxy writes the header that ParseProxy reads: what a proxy does.
func AppendProxy(b []byte, source, destination netip.AddrPort) []byte {
	b = append(b, proxySignature...)
	if source.Addr().Is4() && destination.Addr().Is4() {
		b = append(b, proxyProxy, proxyTCP4, 0, proxyBytes4)
		b = append(b, source.Addr().AsSlice()...)
		b = append(b, destination.Addr().AsSlice()...)
	} else {
		b = append(b, proxyProxy, proxyTCP6, 0, proxyBytes6)
		from, to := source.Addr().As16(), destination.Addr().As16()
		b = append(append(b, from[:]...), to[:]...)
	}
	b = binary.BigEndian.AppendUint16(b, source.Port())
	return binary.BigEndian.AppendUint16(b, destination.Port())
}

// AppendProxyLocal writes the header of a proxy that asks for itself.
func AppendProxyLocal(b []byte) []byte {
	return append(append(b, proxySignature...), proxyLocal, 0, 0, 0)
}
