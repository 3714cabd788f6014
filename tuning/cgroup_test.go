package tuning

import (
	"testing"
	"testing/fstest"
)

// hostFiles is a file system of small text files.
func hostFiles(files map[string]string) fstest.MapFS {
	root := fstest.MapFS{}
	for name, text := range files {
		root[name] = &fstest.MapFile{Data: []byte(text + "\n")}
	}
	return root
}

func TestReadQuota(t *testing.T) {
	if got := ReadQuota(nil); got != (Quota{}) {
		t.Errorf("got %+v of no file system, want no limits", got)
	}
	for _, c := range []struct {
		name  string
		files map[string]string
		want  Quota
	}{
		{"no control groups", map[string]string{}, Quota{}},
		{"version 2 without limits", map[string]string{
			"proc/self/cgroup":         "0::/",
			"sys/fs/cgroup/memory.max": "max",
			"sys/fs/cgroup/cpu.max":    "max 100000",
		}, Quota{}},
		{"version 2, the parent is tighter", map[string]string{
			"proc/self/cgroup":                                     "0::/system.slice/throng.service",
			"sys/fs/cgroup/system.slice/memory.max":                "1073741824",
			"sys/fs/cgroup/system.slice/cpu.max":                   "max 100000",
			"sys/fs/cgroup/system.slice/throng.service/memory.max": "2147483648",
			"sys/fs/cgroup/system.slice/throng.service/cpu.max":    "150000 100000",
		}, Quota{1 << 30, 1.5, "sys/fs/cgroup/system.slice"}},
		{"version 2 in a container that sees the host's path", map[string]string{
			"proc/self/cgroup":         "0::/docker/abc",
			"sys/fs/cgroup/memory.max": "536870912",
			"sys/fs/cgroup/cpu.max":    "50000 100000",
		}, Quota{512 << 20, 0.5, "sys/fs/cgroup"}},
		{"version 1 without limits", map[string]string{
			"proc/self/cgroup":                           "4:memory:/\n1:cpu:/",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
			"sys/fs/cgroup/cpu/cpu.cfs_quota_us":         "-1",
			"sys/fs/cgroup/cpu/cpu.cfs_period_us":        "100000",
		}, Quota{}},
		{"version 1 with joined controllers", map[string]string{
			"proc/self/cgroup": "4:memory:/a/b\n2:cpu,cpuacct:/a",
			"sys/fs/cgroup/memory/a/b/memory.limit_in_bytes": "268435456",
			"sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us":   "200000",
			"sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us":  "100000",
		}, Quota{256 << 20, 2, "sys/fs/cgroup/memory/a/b"}},
		{"hybrid", map[string]string{
			"proc/self/cgroup": "4:memory:/pod\n0::/pod",
			"sys/fs/cgroup/memory/pod/memory.limit_in_bytes": "268435456",
			"sys/fs/cgroup/unified/pod/cpu.max":              "100000 100000",
		}, Quota{256 << 20, 1, "sys/fs/cgroup/memory/pod"}},
		{"nonsense", map[string]string{
			"proc/self/cgroup":         "\n:::\n0::/../..\nx",
			"sys/fs/cgroup/memory.max": "lots",
			"sys/fs/cgroup/cpu.max":    "100000 0",
		}, Quota{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := ReadQuota(hostFiles(c.files)); got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}
