package tuning

import (
	"io/fs"
	"maps"
	"runtime"
	"testing"
)

func TestPressure(t *testing.T) {
	const budget = 1000
	for _, c := range []struct {
		name         string
		was          Pressure
		held, spare  int64
		want         Pressure
		budgetUnsaid bool
	}{
		{"calm", PressureNone, 799, 0, PressureNone, false},
		{"garbage does not count", PressureNone, 970, 400, PressureNone, false},
		{"no new sessions", PressureNone, 800, 0, PressureNew, false},
		{"and so for a while", PressureNew, 775, 0, PressureNew, false},
		{"until it is well below", PressureNew, 769, 0, PressureNone, false},
		{"from none to trim", PressureNone, 905, 0, PressureTrim, false},
		{"from close to trim", PressureClose, 910, 0, PressureTrim, false},
		{"close stays", PressureClose, 925, 0, PressureClose, false},
		{"from close to none", PressureClose, 500, 0, PressureNone, false},
		{"close", PressureNone, 950, 0, PressureClose, false},
		{"the kernel counts garbage too", PressureNone, 985, 900, PressureClose, false},
		{"nobody knows the budget", PressureClose, 985, 0, PressureNone, true},
	} {
		u := MemoryUse{Budget: budget, Held: c.held, Heap: c.held, Spare: c.spare}
		if c.budgetUnsaid {
			u.Budget = 0
		}
		if got := u.Next(c.was); got != c.want {
			t.Errorf("%s: %v after %v, want %v", c.name, got, c.was, c.want)
		}
	}
}

// TestHeapMax holds that what the kernel takes for sockets is taken off Go's part, and that the
// collector is not set to do what it cannot.
func TestHeapMax(t *testing.T) {
	u := MemoryUse{Budget: 10_000, Held: 7000, Heap: 4000, Spare: 1000}
	if got := u.HeapMax(); got != 9500-3000 {
		t.Errorf("%d beside 3000 of the kernel's, want 6500", got)
	}
	u.Held = 10_500
	if got := u.HeapMax(); got != 3000 {
		t.Errorf("%d when there is no room, want the 3000 that are alive", got)
	}
}

func TestMemoryReader(t *testing.T) {
	const connections, queued, mb = 10, 300 << 20, 1 << 20
	machine := map[string]string{
		"proc/self/cgroup":   "0::/",
		"proc/self/statm":    "900 500 100 1 0 1 0",
		"proc/meminfo":       "MemTotal: 999 kB\nMemAvailable: 2048000 kB",
		"sys/fs/cgroup/none": "",
	}
	version2 := map[string]string{
		"proc/self/cgroup":               "0::/a",
		"sys/fs/cgroup/a/memory.max":     "1048576000",
		"sys/fs/cgroup/a/memory.current": "734003200",
		"sys/fs/cgroup/a/memory.stat": "anon 1\nfile 209715200\nsock 5\ninactive_file 62914560\n" +
			"active_file 41943040",
	}
	version1 := map[string]string{
		"proc/self/cgroup": "4:memory:/a",
		"sys/fs/cgroup/memory/a/memory.limit_in_bytes":          "1048576000",
		"sys/fs/cgroup/memory/a/memory.usage_in_bytes":          "524288000",
		"sys/fs/cgroup/memory/a/memory.kmem.tcp.usage_in_bytes": "262144000",
		"sys/fs/cgroup/memory/a/memory.stat": "cache 9\ninactive_file 1\ntotal_inactive_file 31457280\n" +
			"total_active_file 20971520",
	}
	counted := maps.Clone(version1)
	counted["sys/fs/cgroup/memory/a/memory.kmem.tcp.usage_in_bytes"] = "419430400"
	const own = 400*4096 + connections*SocketBytes + queued
	for _, c := range []struct {
		name         string
		files        map[string]string
		limit        int64
		budget, held int64
	}{
		{"the machine", machine, 0, own + 2000*mb, own},
		{"the machine, with a limit", machine, 900 * mb, 1000 * mb, own},
		{"version 2", version2, 0, 1000 * mb, 600 * mb},
		{"version 2, with a limit", version2, 450 * mb, 500 * mb, 600 * mb},
		{"version 1", version1, 0, 1000 * mb, 750 * mb},
		{"version 1, where sockets are counted", counted, 0, 1000 * mb, 850 * mb},
	} {
		r := NewMemoryReader(Host{Root: hostFiles(c.files), PageBytes: 4096})
		got := r.Read(c.limit, connections, queued)
		c.budget -= PressureReserveBytes
		if got.Budget != c.budget || got.Held != c.held {
			t.Errorf("%s: %d of %d, want %d of %d", c.name, got.Held, got.Budget, c.held, c.budget)
		}
	}
}

// TestMemoryReaderThatCannotRead: whoever has no descriptor left to look with goes by what was.
func TestMemoryReaderThatCannotRead(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"the machine": {
			"proc/self/cgroup": "0::/",
			"proc/self/statm":  "90000 50000 100 1 0 1 0",
			"proc/meminfo":     "MemTotal: 999 kB\nMemAvailable: 2048000 kB",
		},
		"a group": {
			"proc/self/cgroup":               "0::/a",
			"sys/fs/cgroup/a/memory.max":     "1048576000",
			"sys/fs/cgroup/a/memory.current": "734003200",
			"sys/fs/cgroup/a/memory.stat":    "inactive_file 62914560\nactive_file 41943040",
		},
	} {
		root := &fadingFiles{FS: hostFiles(files)}
		r := NewMemoryReader(Host{Root: root, PageBytes: 4096})
		was := r.Read(0, 10, 0)
		root.gone = true
		if got := r.Read(0, 20, 0); got != was || got.Budget == 0 {
			t.Errorf("%s: %+v after %+v", name, got, was)
		}
		root.gone = false
		if got := r.Read(0, 10, 0); got.Budget == 0 || got.Held != was.Held {
			t.Errorf("%s, when it can be read again: %+v after %+v", name, got, was)
		}
	}
	if (MemoryUse{Held: 1}).Near() {
		t.Error("near a budget that nobody knows")
	}
}

// fadingFiles are files that cannot be opened at times.
type fadingFiles struct {
	fs.FS
	gone bool
}

func (f *fadingFiles) Open(name string) (fs.File, error) {
	if f.gone {
		return nil, fs.ErrPermission
	}
	return f.FS.Open(name)
}

// TestMemoryReaderOfThisProcess holds the figures of the running process against each other.
func TestMemoryReaderOfThisProcess(t *testing.T) {
	const grown = 64 << 20
	r := NewMemoryReader(ThisHost())
	runtime.GC()
	before := r.Read(0, 0, 0)
	ballast := make([]byte, grown)
	for i := 0; i < len(ballast); i += 4096 {
		ballast[i] = 1
	}
	runtime.GC()
	after := r.Read(0, 0, 0)
	runtime.KeepAlive(ballast)
	if got := after.Heap - after.Spare - (before.Heap - before.Spare); got < grown*9/10 {
		t.Errorf("%d bytes more of Go's are needed, want about %d", got, grown)
	}
	if runtime.GOOS == "linux" && (after.Budget <= after.Held || after.Held < grown) {
		t.Errorf("%+v after %+v and %d more", after, before, grown)
	}
}
