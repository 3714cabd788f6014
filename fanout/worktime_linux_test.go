package fanout

import (
	"runtime"
	"syscall"
	"time"
	"unsafe"
)

// workTime is the processor time that f takes: the machine may have other work.
func workTime(f func()) time.Duration {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	start := threadTime()
	f()
	return threadTime() - start
}

func threadTime() time.Duration {
	var used syscall.Timespec
	const ofThread = 3 // CLOCK_THREAD_CPUTIME_ID
	_, _, errno := syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, ofThread,
		uintptr(unsafe.Pointer(&used)), 0)
	if errno != 0 {
		panic(errno)
	}
	return time.Duration(used.Nano())
}
