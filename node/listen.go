package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"throng/tuning"
)

// claim finds out where the gateway will listen, and keeps the port until release is called.
//
// Every loop listens for itself with SO_REUSEPORT, which would also let a second node on the same
// host take half of this one's connections without a word, and would give each loop a port of its
// own when the port is 0. So a given port is first tried without that option, and for port 0 one
// is taken by a socket that is bound but never listens.
func claim(address string) (actual string, release func(), err error) {
	want, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return "", nil, err
	}
	if want.Port != 0 {
		l, err := net.ListenTCP("tcp", want)
		if err != nil {
			return "", nil, err
		}
		actual = address
		return actual, func() {}, l.Close()
	}
	fd, port, err := bindAny(want.IP)
	if err != nil {
		return "", nil, fmt.Errorf("bind %s: %w", address, err)
	}
	host, _, _ := net.SplitHostPort(address)
	return net.JoinHostPort(host, strconv.Itoa(port)), func() { _ = unix.Close(fd) }, nil
}

// bindAny binds a socket to a free port.
func bindAny(ip net.IP) (fd, port int, err error) {
	family, address := unix.AF_INET6, unix.Sockaddr(&unix.SockaddrInet6{})
	if v4 := ip.To4(); v4 != nil {
		family, address = unix.AF_INET, &unix.SockaddrInet4{Addr: [4]byte(v4)}
	} else if ip != nil {
		address = &unix.SockaddrInet6{Addr: [16]byte(ip.To16())}
	}
	if fd, err = unix.Socket(family, unix.SOCK_STREAM, 0); err != nil {
		return 0, 0, err
	}
	unix.CloseOnExec(fd)
	err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	if err == nil {
		err = unix.Bind(fd, address)
	}
	var bound unix.Sockaddr
	if err == nil {
		bound, err = unix.Getsockname(fd)
	}
	if err != nil {
		_ = unix.Close(fd)
		return 0, 0, err
	}
	switch a := bound.(type) {
	case *unix.SockaddrInet4:
		return fd, a.Port, nil
	case *unix.SockaddrInet6:
		return fd, a.Port, nil
	}
	return fd, 0, nil
}

// listen opens one of the gateway's listeners. What it is set to, those that it accepts inherit.
func listen(address string, cfg Config) (fd int, err error) {
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		set := func(fd, level, option, value int) {
			err = errors.Join(err, unix.SetsockoptInt(fd, level, option, value))
		}
		failed := c.Control(func(fd uintptr) {
			set(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
			set(int(fd), unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
			if cfg.SocketSendBuffer > 0 {
				set(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUF, int(cfg.SocketSendBuffer))
			}
			if cfg.SocketReceiveBuffer > 0 {
				set(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, int(cfg.SocketReceiveBuffer))
			}
		})
		return errors.Join(err, failed)
	}}
	config.SetMultipathTCP(false) // It takes more memory, and has no TCP_USER_TIMEOUT.
	l, err := config.Listen(context.Background(), "tcp", address)
	if err != nil {
		return -1, err
	}
	fd, err = descriptorOf(l)
	if err == nil {
		setUserTimeout(fd, tuning.TCPUserTimeout)
	}
	return fd, err
}
