//go:build !linux

package node

import "time"

// threadTime is the thread that the caller runs on, and the processor time that it has used; 0 is
// that nobody knows.
func threadTime() (thread int, used time.Duration) { return 0, 0 }
