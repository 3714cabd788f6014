package node

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"

	"github.com/panjf2000/gnet/v2/pkg/queue"
	"golang.org/x/sys/unix"
)

// Moving a socket to another loop, for a RESUME; see resume.go.
//
// The descriptor itself moves: one poller forgets it and the other is told of it, so that it costs
// no other descriptor, and is counted as one connection all the time. Nobody holds it in between
// but the task that the other loop has been given, and there are no more of these than connections.

// move is a connection between two loops.
type move struct {
	fd     int
	guest  guest
	secure *secure // nil: no TLS
	to     *driver
	socket *movedSocket
}

// Move takes the descriptor away from this loop and gives it to the other one, or to the node of
// the session that it wants.
func (x *connection) Move(to *loop, m *movedSocket) {
	d := x.driver
	x.moved = true
	delete(d.connections, int(x.fd))
	err := d.poller.Delete(int(x.fd))
	moving := move{fd: int(x.fd), guest: x.guest, secure: x.secure,
		to: d.engine.drivers[to.index], socket: m}
	if x.secure != nil {
		x.secure.own(d.engine.inside)
	}
	switch {
	case err != nil:
		_ = unix.Close(moving.fd)
		d.engine.strand(moving)
	case len(m.far) > 0:
		m.remote = x.Remote()
		go d.engine.away(moving)
	default:
		d.engine.lineUp(moving)
	}
}

// lineUp gives a connection to its new loop.
func (e *engine) lineUp(m move) {
	if !m.to.trigger(queue.LowPriority, func(any) error { return m.to.arrive(m) }) {
		_ = unix.Close(m.fd)
		e.strand(m)
	}
}

// arrive takes a connection in that another loop, or another node, has given up.
func (d *driver) arrive(m move) error {
	x := &connection{driver: d, fd: int32(m.fd), guest: m.guest, secure: m.secure}
	if x.secure != nil {
		x.secure.fd = m.fd
	}
	if err := d.register(x); err != nil {
		d.engine.core.log.Debug("resume: the connection cannot change its loop", "error", err)
		d.engine.strand(m)
		return nil
	}
	d.guard(x, func() {
		d.loop.stats.on(kindOpened, 0)
		var consumed int
		x.socket, consumed = d.loop.adopted(x, m.socket)
		x.keep(m.socket.rest[consumed:])
		if x.secure != nil && !x.moved { // It may be on its way again.
			x.secure.take(x, nil)
		}
		d.loop.afterTraffic()
	})
	d.settle(x)
	return nil
}

// away has a connection carried to the node of the session that it wants, or gives it to the loop
// when that is not to be.
func (e *engine) away(m move) {
	conn, err := m.conn()
	client := conn
	if err == nil && m.secure != nil {
		client = m.secure.tunnelled(conn)
	}
	if err == nil && e.core.tunnels.carry(client, m.socket) {
		e.left(m.guest)
		return
	}
	if err != nil {
		e.core.tunnels.release()
	} else {
		m.fd, err = descriptorOf(conn)
	}
	if m.secure != nil {
		m.secure.tunnelled(nil)
	}
	if err != nil {
		e.strand(m)
		return
	}
	e.lineUp(m)
}

// conn makes the descriptor a connection of Go's, which has another descriptor.
func (m *move) conn() (net.Conn, error) {
	f := os.NewFile(uintptr(m.fd), "moved")
	defer f.Close()
	return net.FileConn(f)
}

// strand gives up a connection that has not arrived. Its descriptor is closed.
func (e *engine) strand(m move) {
	e.left(m.guest)
	e.core.closes[ConnectionLost].Add(1)
	e.core.dropStream(m.socket.stream)
}

var errNoDescriptor = errors.New("the connection has no descriptor")

// descriptorOf takes the descriptor of a connection or listener of Go's, which ends with that.
func descriptorOf(of io.Closer) (fd int, err error) {
	defer of.Close()
	s, ok := of.(syscall.Conn)
	if !ok {
		return -1, errNoDescriptor
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return -1, err
	}
	failed := raw.Control(func(of uintptr) { fd, err = duplicate(int(of)) })
	return fd, errors.Join(err, failed)
}

func duplicate(fd int) (int, error) { return unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0) }

// endpointFrom reads what Remote has said on another node.
func endpointFrom(remote string) endpoint {
	a, err := netip.ParseAddrPort(remote)
	if err != nil {
		return endpoint{}
	}
	return endpointOf(a)
}
