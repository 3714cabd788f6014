package node

import (
	"io"
	"net"
	"net/netip"

	"github.com/panjf2000/gnet/v2/pkg/netpoll"
	"golang.org/x/sys/unix"
)

// connection is a socket's transport: a descriptor that one loop reads and writes.
type connection struct {
	// Static after construction.
	driver *driver
	fd     int32

	// Owned by the loop goroutine.
	guest
	closing bool
	moved   bool
	front   uint8 // what it has to begin with, and has not yet
	socket  *socket
	secure  *secure // nil: no TLS
	rest    []byte  // what has arrived and is of no use before more does
}

// endpoint is an address with a port, as small as it can be: there is one for each connection.
type endpoint struct {
	ip   [16]byte
	port uint16
}

func endpointOf(a netip.AddrPort) endpoint { return endpoint{a.Addr().As16(), a.Port()} }

func endpointOfPeer(peer unix.Sockaddr) endpoint {
	switch a := peer.(type) {
	case *unix.SockaddrInet4:
		return endpointOf(netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port)))
	case *unix.SockaddrInet6:
		return endpoint{a.Addr, uint16(a.Port)}
	}
	return endpoint{}
}

// addr is the address, unmapped.
func (e endpoint) addr() netip.Addr { return netip.AddrFrom16(e.ip).Unmap() }

// String is as net.Addr has it, or nothing when there is no address.
func (e endpoint) String() string {
	if e == (endpoint{}) {
		return ""
	}
	return netip.AddrPortFrom(e.addr(), e.port).String()
}

// register has the loop's poller watch a connection. When it does not, the descriptor is closed.
func (d *driver) register(x *connection) error {
	fd := int(x.fd)
	if err := d.poller.AddRead(&netpoll.PollAttachment{FD: fd}, false); err != nil {
		_ = unix.Close(fd)
		return err
	}
	d.connections[fd] = x
	return nil
}

// read takes in what has arrived.
func (d *driver) read(x *connection) {
	n, err := receive(int(x.fd), d.received)
	switch {
	case err != nil:
		d.drop(x)
		return
	case n == 0:
		return
	}
	d.guard(x, func() {
		d.loop.stats.on(kindTraffic, 0)
		x.take(d.received[:n])
		d.loop.afterTraffic()
	})
	d.settle(x)
}

// settle does what could not be done within a connection's own callback.
func (d *driver) settle(x *connection) {
	if x.closing && !x.moved && d.connections[int(x.fd)] == x {
		d.drop(x)
	}
}

// drop ends a connection, whoever wants that.
func (d *driver) drop(x *connection) {
	delete(d.connections, int(x.fd))
	x.closing = true
	if x.secure != nil {
		x.secure.abandon()
	}
	d.engine.left(x.guest)
	if x.socket != nil {
		d.guard(nil, func() {
			d.loop.stats.within(kindEnded)
			d.loop.ended(x.socket)
		})
	}
	_ = unix.Close(int(x.fd))
}

// offer gives the loop what has arrived, behind what it has left before.
func (x *connection) offer(buf []byte) {
	if len(x.rest) > 0 {
		x.rest = append(x.rest, buf...)
		buf = x.rest
	}
	x.keep(buf[x.driver.loop.traffic(x.socket, buf):])
}

// keep holds on to what the loop can do nothing with as yet. It is no more than one message: what
// is longer is refused before it has all come.
func (x *connection) keep(rest []byte) {
	if len(rest) == 0 {
		x.rest = nil
		return
	}
	x.rest = append(x.rest[:0], rest...)
}

// Write writes what the kernel takes; see flush.go.
func (x *connection) Write(b []byte) (n int, err error) {
	if x.closing || x.moved {
		return 0, net.ErrClosed
	}
	if x.secure != nil {
		return x.secure.write(b, x.driver.engine.recordBytes)
	}
	return send(int(x.fd), b)
}

// Close ends the connection: after its own callback when that is running, and at once otherwise.
func (x *connection) Close() {
	if x.closing || x.moved {
		return
	}
	if x.secure != nil {
		x.secure.end()
	}
	x.closing = true
	if x.driver.current != x {
		x.driver.drop(x)
	}
}

// Remote is the peer's address.
func (x *connection) Remote() string { return x.remote.String() }

// Waiting is what the kernel's send queue holds, and what is sealed for it.
func (x *connection) Waiting() int {
	if x.closing || x.moved {
		return 0
	}
	if x.secure != nil {
		return sendQueue(int(x.fd)) + len(x.secure.held)
	}
	return sendQueue(int(x.fd))
}

// Reset has the kernel forget what waits as soon as the connection is closed.
func (x *connection) Reset() {
	if !x.closing && !x.moved {
		_ = unix.SetsockoptLinger(int(x.fd), unix.SOL_SOCKET, unix.SO_LINGER,
			&unix.Linger{Onoff: 1})
	}
}

// receive reads what has arrived: nothing and no error when that is nothing, io.EOF when no more
// will.
func receive(fd int, buf []byte) (n int, err error) {
	for {
		n, err = unix.Read(fd, buf)
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			return 0, nil
		case err == nil && n == 0:
			return 0, io.EOF
		default:
			return max(n, 0), err
		}
	}
}
