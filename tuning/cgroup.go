package tuning

import (
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// Quota is what the control group grants this process. Zero means no limit.
type Quota struct {
	MemoryBytes int64
	Processors  float64
	MemoryGroup string // Folder below the root of the group that grants the memory.
}

// unlimitedBytes: version 1 writes "no limit" as the largest page-aligned int64, which differs
// with the page size, so anything from an exbibyte on is taken for it.
const unlimitedBytes = 1 << 60

// ReadQuota finds the tightest limit on the way from this process's control group to the root, in
// version 2, version 1 and the hybrid of both. root is the host's file system; nil has no limits.
//
// Inside a container the path in /proc/self/cgroup may be the host's, while only the container's
// own group is mounted, at the top. So each level is tried and those that are not there are
// passed over; the top is always tried.
func ReadQuota(root fs.FS) Quota {
	var q Quota
	if root == nil {
		return q
	}
	for line := range strings.Lines(readText(root, "proc/self/cgroup")) {
		_, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		controllers, group, ok := strings.Cut(rest, ":")
		if !ok {
			continue
		}
		if controllers == "" {
			q.tighten(quota2(root, "sys/fs/cgroup", group))
			q.tighten(quota2(root, "sys/fs/cgroup/unified", group))
		}
		for _, controller := range strings.Split(controllers, ",") {
			q.tighten(quota1(root, controller, controllers, group))
		}
	}
	return q
}

func (q *Quota) tighten(other Quota) {
	if other.MemoryBytes > 0 && (q.MemoryBytes == 0 || other.MemoryBytes < q.MemoryBytes) {
		q.MemoryBytes, q.MemoryGroup = other.MemoryBytes, other.MemoryGroup
	}
	if other.Processors > 0 && (q.Processors == 0 || other.Processors < q.Processors) {
		q.Processors = other.Processors
	}
}

// quota2 reads memory.max and cpu.max; each holds "max" when there is no limit.
func quota2(root fs.FS, mount, group string) Quota {
	var q Quota
	eachLevel(group, func(level string) {
		dir := path.Join(mount, level)
		memory, _ := strconv.ParseInt(readText(root, path.Join(dir, "memory.max")), 10, 64)
		share, period, _ := strings.Cut(readText(root, path.Join(dir, "cpu.max")), " ")
		q.tighten(Quota{memory, ratio(share, period), dir})
	})
	return q
}

// quota1 reads one controller of version 1. Controllers that are mounted together have a folder
// of the joined name, mostly with a link for each, but not in every container.
func quota1(root fs.FS, controller, joined, group string) Quota {
	var q Quota
	for _, mount := range []string{"sys/fs/cgroup/" + controller, "sys/fs/cgroup/" + joined} {
		eachLevel(group, func(level string) {
			dir := path.Join(mount, level)
			switch controller {
			case "memory":
				text := readText(root, path.Join(dir, "memory.limit_in_bytes"))
				memory, _ := strconv.ParseInt(text, 10, 64)
				if memory < unlimitedBytes {
					q.tighten(Quota{MemoryBytes: memory, MemoryGroup: dir})
				}
			case "cpu":
				share := readText(root, path.Join(dir, "cpu.cfs_quota_us"))
				period := readText(root, path.Join(dir, "cpu.cfs_period_us"))
				q.tighten(Quota{Processors: ratio(share, period)})
			}
		})
	}
	return q
}

// eachLevel calls f for /a/b/c, /a/b, /a and the top.
func eachLevel(group string, f func(level string)) {
	for level := path.Clean("/" + group); ; level = path.Dir(level) {
		f(strings.TrimPrefix(level, "/"))
		if level == "/" {
			return
		}
	}
}

func ratio(share, period string) float64 {
	s, errShare := strconv.ParseFloat(share, 64)
	p, errPeriod := strconv.ParseFloat(period, 64)
	if errShare != nil || errPeriod != nil || s <= 0 || p <= 0 {
		return 0
	}
	return s / p
}

// readText is a small file without its last newline, or "" when it cannot be read.
func readText(root fs.FS, name string) string {
	text, err := fs.ReadFile(root, name)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}
