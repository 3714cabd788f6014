//go:build !linux

package node

import "golang.org/x/sys/unix"

// accept takes the next connection from a listener, without waiting for one.
func accept(listener int) (fd int, from endpoint, err error) {
	fd, peer, err := unix.Accept(listener)
	if err != nil {
		return fd, endpoint{}, err
	}
	unix.CloseOnExec(fd)
	return fd, endpointOfPeer(peer), unix.SetNonblock(fd, true)
}
