package tuning

import (
	"io/fs"
	"path"
	"runtime/metrics"
	"strconv"
	"strings"
)

// MemoryUse is what a process holds of the memory that there is for it, in bytes.
type MemoryUse struct {
	Budget int64 // What may be held; 0 = nobody knows.
	Held   int64 // What is: the process and its sockets, as the kernel counts them.
	Heap   int64 // Of Held, what is Go's.
	Spare  int64 // Of Heap, what a collection would give back.
}

// Near says whether it is worth looking often.
func (u MemoryUse) Near() bool {
	return u.Budget > 0 && u.Held*100 >= u.Budget*PressureNearPercent
}

// Needed is what is held and cannot be given back but by holding less.
func (u MemoryUse) Needed() int64 { return u.Held - u.Spare }

// Over says whether the reserve is in use: then more is held than what the budget leaves out of it.
func (u MemoryUse) Over() bool { return u.Budget > 0 && u.Held > u.Budget }

// HeapMax is how large Go's part may become beside what the kernel holds for the process now.
// GOMEMLIMIT does not know of sockets: at a hundred thousand connections they are 400 MB, and ten
// times that when clients do not read, all of which a fixed share of the budget leaves out.
func (u MemoryUse) HeapMax() int64 {
	return max(u.Budget/100*HeapMaxPercent-(u.Held-u.Heap), u.Heap-u.Spare)
}

// MemoryReader reads a process's use of memory again and again.
type MemoryReader struct {
	// Static after construction.
	root  fs.FS
	quota Quota
	page  int64

	// Owned by whoever reads.
	samples []metrics.Sample
	blind   bool      // something could not be read this time
	last    MemoryUse // when everything could
}

// NewMemoryReader looks for what bounds the process: its control group, or else the machine.
func NewMemoryReader(h Host) *MemoryReader {
	r := &MemoryReader{root: h.Root, quota: ReadQuota(h.Root), page: int64(h.PageBytes)}
	for _, name := range []string{
		"/memory/classes/total:bytes", "/memory/classes/heap/released:bytes",
		"/gc/heap/live:bytes", "/memory/classes/heap/objects:bytes",
		"/memory/classes/heap/unused:bytes", "/memory/classes/heap/free:bytes",
	} {
		r.samples = append(r.samples, metrics.Sample{Name: name})
	}
	return r
}

// Read is the use now, with so many connections, for which so many bytes wait in the kernel. The
// GOMEMLIMIT that is wanted (0 = none) is taken for MemoryLimitPercent of what there is, if that is
// less. It takes 50 to 100 µs. A process that has no descriptor left cannot read, and what it held
// the last time counts until it can: to take nothing for what the machine has would close whom it
// serves.
func (r *MemoryReader) Read(limit, connections, queued int64) (u MemoryUse) {
	metrics.Read(r.samples)
	r.blind = false
	value := func(i int) int64 { return int64(r.samples[i].Value.Uint64()) }
	u.Heap = value(0) - value(1)
	live := value(2)
	u.Spare = max(value(3)+value(4)+value(5)-live-live/TrimShare, 0)
	switch {
	case r.root == nil:
		u.Held = u.Heap + connections*SocketBytes + queued
	case r.quota.MemoryBytes > 0:
		u.Budget, u.Held = r.quota.MemoryBytes, r.group(queued)
	default:
		u.Held = r.process() + connections*SocketBytes + queued
		// What others on this machine hold is not to be had.
		u.Budget = u.Held + r.field("proc/meminfo", "MemAvailable:")*1024
	}
	if r.blind {
		return r.last
	}
	if limit > 0 && (u.Budget == 0 || limit/MemoryLimitPercent*100 < u.Budget) {
		u.Budget = limit / MemoryLimitPercent * 100
	}
	u.Budget = max(u.Budget-PressureReserveBytes, 0)
	r.last = u
	return u
}

// group is what the control group counts, less file pages, which the kernel takes back by itself.
// Version 1 counts the buffers of sockets apart, and only where they have a limit.
func (r *MemoryReader) group(queued int64) int64 {
	in := func(name string) string { return path.Join(r.quota.MemoryGroup, name) }
	if current, ok := r.number(in("memory.current")); ok {
		return current - r.field(in("memory.stat"), "inactive_file") -
			r.field(in("memory.stat"), "active_file")
	}
	usage, ok := r.number(in("memory.usage_in_bytes"))
	r.blind = r.blind || !ok
	sockets, _ := r.number(in("memory.kmem.tcp.usage_in_bytes"))
	return usage + max(sockets, queued) - r.field(in("memory.stat"), "total_inactive_file") -
		r.field(in("memory.stat"), "total_active_file")
}

// process is the process's own memory that is no file's.
func (r *MemoryReader) process() int64 {
	fields := strings.Fields(readText(r.root, "proc/self/statm"))
	if len(fields) < 3 {
		r.blind = true
		return 0
	}
	resident, _ := strconv.ParseInt(fields[1], 10, 64)
	shared, _ := strconv.ParseInt(fields[2], 10, 64)
	return (resident - shared) * r.page
}

func (r *MemoryReader) number(name string) (int64, bool) {
	n, err := strconv.ParseInt(readText(r.root, name), 10, 64)
	return n, err == nil
}

// field is the number behind a name at the beginning of a line.
func (r *MemoryReader) field(file, name string) int64 {
	text := readText(r.root, file)
	r.blind = r.blind || text == ""
	for line := range strings.Lines(text) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == name {
			n, _ := strconv.ParseInt(fields[1], 10, 64)
			return n
		}
	}
	return 0
}
