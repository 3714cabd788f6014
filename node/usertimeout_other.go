//go:build !linux

package node

import "time"

// setUserTimeout does nothing where there is no such option; heartbeats find the dead there.
func setUserTimeout(int, time.Duration) {}
