package faulttest

import (
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

// Deafen has the kernel throw away every packet that comes for a connection, as if the host at its
// end had lost its network: nothing is read, and nothing acknowledged.
func Deafen(conn net.Conn) error {
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		return err
	}
	drop := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: 0}
	var fault error
	err = raw.Control(func(fd uintptr) {
		fault = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
			&unix.SockFprog{Len: 1, Filter: &drop})
	})
	if err == nil {
		err = fault
	}
	if err != nil {
		return fmt.Errorf("attach a filter: %w", err)
	}
	return nil
}
