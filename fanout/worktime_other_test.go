//go:build !linux

package fanout

import "time"

// workTime is how long f takes: here nobody tells what of that is work.
func workTime(f func()) time.Duration {
	start := time.Now()
	f()
	return time.Since(start)
}
