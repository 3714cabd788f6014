package load

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
)

// ticksPerSecond is what /proc counts processor time in, on every Linux (USER_HZ).
const ticksPerSecond = 100

// usageOf reads what a process has taken since it began.
func usageOf(pid int) (Usage, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return Usage{}, err
	}
	return parseUsage(string(text))
}

// parseUsage reads /proc/PID/stat. The name in it, in brackets, may have blanks and brackets.
func parseUsage(stat string) (Usage, error) {
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	const userField, systemField, residentField = 11, 12, 21
	if len(fields) <= residentField {
		return Usage{}, fmt.Errorf("%.40q is no process", stat)
	}
	number := func(field int) float64 {
		n, _ := strconv.ParseFloat(fields[field], 64)
		return n
	}
	return Usage{
		UserSeconds:   number(userField) / ticksPerSecond,
		SystemSeconds: number(systemField) / ticksPerSecond,
		RSSBytes:      uint64(number(residentField)) * uint64(os.Getpagesize()),
	}, nil
}

// since is what was taken between two readings.
func (u Usage) since(before Usage) Usage {
	u.UserSeconds -= before.UserSeconds
	u.SystemSeconds -= before.SystemSeconds
	return u
}

// plus joins what was taken in two phases, the later one last.
func (u Usage) plus(later Usage) Usage {
	later.UserSeconds += u.UserSeconds
	later.SystemSeconds += u.SystemSeconds
	return later
}

// thisHost describes where the run takes place. What cannot be read stays empty.
func thisHost() Host {
	h := Host{Processors: runtime.NumCPU(), Go: runtime.Version()}
	h.Name, _ = os.Hostname()
	h.Kernel = strings.TrimSpace(readText("/proc/sys/kernel/osrelease"))
	h.Processor = lineOf(readText("/proc/cpuinfo"), "model name")
	kilobytes, _, _ := strings.Cut(lineOf(readText("/proc/meminfo"), "MemTotal"), " ")
	n, _ := strconv.ParseUint(kilobytes, 10, 64)
	h.MemoryBytes = n << 10
	return h
}

func readText(name string) string {
	text, _ := os.ReadFile(name)
	return string(text)
}

// lineOf is the value of the first line "key : value".
func lineOf(text, key string) string {
	for line := range strings.Lines(text) {
		name, value, ok := strings.Cut(line, ":")
		if ok && strings.TrimSpace(name) == key {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
