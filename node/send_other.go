//go:build !linux

package node

import "golang.org/x/sys/unix"

// send writes b to a non-blocking socket; 0 and no error when the kernel takes nothing now.
func send(fd int, b []byte) (n int, err error) {
	for {
		n, err = unix.Write(fd, b)
		switch err {
		case unix.EINTR:
		case unix.EAGAIN:
			return 0, nil
		default:
			return max(n, 0), err
		}
	}
}

// sendQueue does not know what the kernel holds.
func sendQueue(int) int { return 0 }
