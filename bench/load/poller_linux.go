package load

import (
	"net/netip"

	"golang.org/x/sys/unix"
)

// supported: the loops are made of epoll.
const supported = true

// poller is an epoll instance and what its last wait returned.
type poller struct {
	fd     int
	events [pollEventsMax]unix.EpollEvent
}

// pollEventsMax is how many sockets one wait may name, as sink.c has it.
const pollEventsMax = 2048

func newPoller() (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	return &poller{fd: fd}, err
}

func (p *poller) close() { _ = unix.Close(p.fd) }

// wait returns how many sockets have something; at tells which.
func (p *poller) wait(milli int) (int, error) {
	n, err := unix.EpollWait(p.fd, p.events[:], milli)
	if err == unix.EINTR {
		return 0, nil
	}
	return n, err
}

func (p *poller) at(i int) (slot, generation uint32) {
	return uint32(p.events[i].Fd), uint32(p.events[i].Pad)
}

// interest is what a socket is watched for; its end is always.
type interest uint32

const (
	interestNone  interest = 0
	interestRead  interest = unix.EPOLLIN
	interestWrite interest = unix.EPOLLOUT
)

func (p *poller) add(c *conn, i interest) error    { return p.control(unix.EPOLL_CTL_ADD, c, i) }
func (p *poller) change(c *conn, i interest) error { return p.control(unix.EPOLL_CTL_MOD, c, i) }

func (p *poller) control(op int, c *conn, i interest) error {
	event := unix.EpollEvent{Events: uint32(i), Fd: int32(c.slot), Pad: int32(c.generation)}
	return unix.EpollCtl(p.fd, op, int(c.fd), &event)
}

// dial begins to connect a socket. A source that is valid is bound without a port, so that the
// kernel chooses one per target and not one per source.
func dial(source, target netip.AddrPort, receiveBuffer int) (int32, error) {
	flags := unix.SOCK_STREAM | unix.SOCK_NONBLOCK | unix.SOCK_CLOEXEC
	fd, err := unix.Socket(unix.AF_INET, flags, 0)
	if err != nil {
		return -1, err
	}
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	if receiveBuffer > 0 {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer)
	}
	if source.IsValid() {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
		err = unix.Bind(fd, &unix.SockaddrInet4{Addr: source.Addr().As4()})
	}
	if err == nil {
		address := unix.SockaddrInet4{Addr: target.Addr().As4(), Port: int(target.Port())}
		err = unix.Connect(fd, &address)
	}
	if err != nil && err != unix.EINPROGRESS {
		_ = unix.Close(fd)
		return -1, err
	}
	return int32(fd), nil
}

// dialed is how a connect that dial began has ended.
func dialed(fd int32) error {
	code, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && code != 0 {
		err = unix.Errno(code)
	}
	return err
}

// errorName is short and the same for the same fault, since faults are counted by it.
func errorName(err error) string {
	if errno, ok := err.(unix.Errno); ok {
		return unix.ErrnoName(errno)
	}
	return err.Error()
}
