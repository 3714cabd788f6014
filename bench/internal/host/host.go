// Package host reads, from outside, what a bench has to know of the machine, of the tree that is
// measured, and of the processes under test: processor time, resident memory, the kernel's memory.
//
// It measures nothing by itself and changes nothing; it starts no process but git, uname-like
// facts come from /proc. Times of processes come from the scheduler's clock of that process, in
// nanoseconds, and not from /proc/PID/stat, which counts in hundredths of a second and charges a
// whole tick to whoever is caught running. Linux only. Start reading at Describe and CPU.
package host

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Machine is what a figure was measured on.
type Machine struct {
	CPU         string `json:"cpu"`
	Cores       int    `json:"cores"`
	MemoryBytes int64  `json:"memory_bytes"`
	Kernel      string `json:"kernel"`
	Go          string `json:"go"`
	Descriptors uint64 `json:"descriptors"`
}

// Describe says what this machine is. What cannot be read stays empty.
func Describe() Machine {
	m := Machine{Cores: runtime.NumCPU(), Go: runtime.Version()}
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		m.CPU = field(text, "model name")
	}
	m.MemoryBytes, _ = meminfo("MemTotal")
	if text, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.Kernel = "Linux " + strings.TrimSpace(string(text))
	}
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) == nil {
		m.Descriptors = limit.Cur
	}
	return m
}

// String is one line for a page.
func (m Machine) String() string {
	return fmt.Sprintf("%s, %d cores, %d GB, %s, %s", m.CPU, m.Cores, (m.MemoryBytes+1<<29)>>30,
		m.Kernel, m.Go)
}

// field finds "name : value" in a file of such lines.
func field(text []byte, name string) string {
	for line := range bytes.Lines(text) {
		key, value, ok := bytes.Cut(line, []byte(":"))
		if ok && string(bytes.TrimSpace(key)) == name {
			return string(bytes.TrimSpace(value))
		}
	}
	return ""
}

// meminfo reads one row of /proc/meminfo, in bytes.
func meminfo(name string) (int64, error) {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, err
	}
	return kilobytes(field(text, name))
}

func kilobytes(value string) (int64, error) {
	number, _, _ := strings.Cut(value, " ")
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("parse %q: %w", value, err)
	}
	return n << 10, nil
}

// KernelMemory is what the kernel holds in slabs, which is where sockets live, and in the queues
// of TCP. It is the whole machine's: only differences mean something, while nothing else runs.
func KernelMemory() (int64, error) {
	slab, err := meminfo("Slab")
	if err != nil {
		return 0, err
	}
	text, err := os.ReadFile("/proc/net/sockstat")
	if err != nil {
		return slab, nil
	}
	if _, pages, ok := strings.Cut(field(text, "TCP"), "mem "); ok {
		n, _ := strconv.ParseInt(strings.TrimSpace(pages), 10, 64)
		slab += n * int64(os.Getpagesize())
	}
	return slab, nil
}

// CPU is the processor time that a process has used since it began, all its threads, in user and
// kernel mode.
func CPU(pid int) (time.Duration, error) {
	// As clock_getcpuclockid(3) does: the complement of the id above three bits; 2 is the
	// scheduler's clock.
	const schedulerClock = 2
	var spec unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|schedulerClock), &spec); err != nil {
		return 0, fmt.Errorf("read the processor time of process %d: %w", pid, err)
	}
	return time.Duration(spec.Nano()), nil
}

// Resident is a process's resident memory in bytes.
func Resident(pid int) (int64, error) { return statusOf(pid, "VmRSS") }

// ResidentMost is the most that it has been.
func ResidentMost(pid int) (int64, error) { return statusOf(pid, "VmHWM") }

func statusOf(pid int, name string) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	return kilobytes(field(text, name))
}

// RaiseDescriptors raises the limit of this process to what it may have, and returns it.
func RaiseDescriptors() uint64 {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		return 0
	}
	limit.Cur = limit.Max
	_ = unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
	return limit.Cur
}

// Tree is the working tree that is measured.
type Tree struct {
	Root   string
	Commit string
	// Changed are the files that differ from the commit, but for those that benches write.
	Changed []string
}

// ReadTree finds the tree around the current folder.
func ReadTree() (t Tree, err error) {
	root, err := git(".", "rev-parse", "--show-toplevel")
	if err != nil {
		return t, err
	}
	t.Root = filepath.Clean(root)
	if t.Commit, err = git(t.Root, "rev-parse", "HEAD"); err != nil {
		return t, err
	}
	changed, err := git(t.Root, "status", "--porcelain", "--", ".", ":!bench/results",
		":!bench/README.md", ":!README.md")
	if err != nil {
		return t, err
	}
	for line := range strings.Lines(changed) {
		t.Changed = append(t.Changed, strings.TrimSpace(line))
	}
	return t, nil
}

func git(folder string, args ...string) (string, error) {
	out, err := exec.Command("git", append([]string{"-C", folder}, args...)...).Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w", args[0], err)
	}
	return strings.TrimSpace(string(out)), nil
}
