package node

import "golang.org/x/sys/unix"

// accept takes the next connection from a listener, without waiting for one.
func accept(listener int) (fd int, from endpoint, err error) {
	fd, peer, err := unix.Accept4(listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
	return fd, endpointOfPeer(peer), err
}
