package node

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// receiveBufferControl has a dialled socket keep no more than so many bytes unread; 0 leaves that
// to the kernel.
func receiveBufferControl(bytes int) func(network, address string, c syscall.RawConn) error {
	if bytes == 0 {
		return nil
	}
	return func(_, _ string, c syscall.RawConn) error {
		var fault error
		err := c.Control(func(fd uintptr) {
			fault = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, bytes)
		})
		if err == nil {
			err = fault
		}
		return err
	}
}
