//go:build !linux

package node

import "time"

// threadTime is the processor time that the caller's thread has used, which nobody knows here.
func threadTime() (used time.Duration, known bool) { return 0, false }
