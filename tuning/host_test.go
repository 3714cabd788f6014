package tuning

import (
	"io/fs"
	"maps"
	"strings"
	"testing"
)

// largeHost is one on which a million connections fit.
func largeHost() map[string]string {
	return map[string]string{
		"proc/self/cgroup":                        "0::/",
		"proc/meminfo":                            "MemTotal:       33554432 kB",
		"proc/sys/fs/nr_open":                     "2097152",
		"proc/sys/fs/file-max":                    "9223372036854775807",
		"proc/sys/net/core/somaxconn":             "65535",
		"proc/sys/net/ipv4/tcp_max_syn_backlog":   "65535",
		"proc/sys/net/ipv4/tcp_mem":               "1000000\t1500000\t2000000",
		"proc/sys/net/ipv4/tcp_rmem":              "4096\t131072\t6291456",
		"proc/sys/net/ipv4/tcp_wmem":              "4096\t16384\t4194304",
		"proc/sys/net/ipv4/ip_local_port_range":   "1024\t65535",
		"proc/sys/net/netfilter/nf_conntrack_max": "2000000",
		"sys/fs/cgroup/cpu.max":                   "400000 100000",
		"sys/fs/cgroup/memory.max":                "max",
	}
}

func TestExamineLargeHost(t *testing.T) {
	h := Host{Root: hostFiles(largeHost()), Descriptors: 2 << 20, Processors: 4, PageBytes: 4096}
	findings := Examine(h, 1_000_000)
	if len(findings) < 10 {
		t.Errorf("got %d findings, want all", len(findings))
	}
	for _, f := range findings {
		if f.State != StateFine || f.Mend != "" || f.Have == "" || f.Want == "" {
			t.Errorf("got %+v, want fine and nothing to mend", f)
		}
	}
	if Blocked(findings) {
		t.Error("Blocked, want not")
	}
}

func TestExamineNamesWhatToMend(t *testing.T) {
	large := Host{Descriptors: 2 << 20, Processors: 4, PageBytes: 4096}
	small := large
	small.Descriptors = 20_000
	wide := large
	wide.Processors = 64
	for _, c := range []struct {
		name    string
		host    Host
		file    string // Replaced by text; "" as text removes it.
		text    string
		finding string
		state   State
		mend    string
	}{
		{"few descriptors", small, "", "", "descriptors", StateBlocks, "LimitNOFILE=10041"},
		{"nr_open", large, "proc/sys/fs/nr_open", "1000000", "fs.nr_open", StateBlocks,
			"sysctl -w fs.nr_open=10041"},
		{"file-max", large, "proc/sys/fs/file-max", "1000000", "fs.file-max", StateBlocks,
			"sysctl -w fs.file-max="},
		{"memory of the machine", large, "proc/meminfo", "MemTotal: 4194304 kB", "memory",
			StateBlocks, "GiB"},
		{"memory of the group", large, "sys/fs/cgroup/memory.max", "4294967296", "memory",
			StateBlocks, "memory.max"},
		{"memory unreadable", large, "proc/meminfo", "", "memory", StateUnknown, "GiB"},
		{"conntrack", large, "proc/sys/net/netfilter/nf_conntrack_max", "262144",
			"net.netfilter.nf_conntrack_max", StateBlocks, "=1250000"},
		{"no conntrack", large, "proc/sys/net/netfilter/nf_conntrack_max", "",
			"net.netfilter.nf_conntrack_max", StateFine, ""},
		{"backlog", large, "proc/sys/net/core/somaxconn", "4096", "net.core.somaxconn",
			StateAdvice, "=15625"},
		{"tcp_mem", large, "proc/sys/net/ipv4/tcp_mem", "287901 383868 575802",
			"net.ipv4.tcp_mem", StateAdvice, "'625000 937500 1250000'"},
		{"tcp_mem nonsense", large, "proc/sys/net/ipv4/tcp_mem", "a b c",
			"net.ipv4.tcp_mem", StateUnknown, "sysctl"},
		{"tcp_wmem", large, "proc/sys/net/ipv4/tcp_wmem", "65536 65536 4194304",
			"net.ipv4.tcp_wmem", StateAdvice, "'4096 65536 4194304'"},
		{"ports", large, "proc/sys/net/ipv4/ip_local_port_range", "32768 60999",
			"net.ipv4.ip_local_port_range", StateAdvice, "16 source addresses"},
		{"quota", wide, "", "", "processors", StateAdvice, "GOMAXPROCS=4"},
		{"part of a processor", large, "sys/fs/cgroup/cpu.max", "50000 100000", "processors",
			StateAdvice, "GOMAXPROCS=1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			files := maps.Clone(largeHost())
			delete(files, c.file)
			if c.text != "" {
				files[c.file] = c.text
			}
			c.host.Root = hostFiles(files)
			findings := Examine(c.host, 1_000_000)
			for _, f := range findings {
				if f.Name != c.finding {
					if f.State != StateFine {
						t.Errorf("%+v, want fine", f)
					}
					continue
				}
				if f.State != c.state || !strings.Contains(f.Mend, c.mend) {
					t.Errorf("got %v, mend %q, want %v, %q", f.State, f.Mend, c.state, c.mend)
				}
			}
			if got := Blocked(findings); got != (c.state == StateBlocks) {
				t.Errorf("Blocked is %v for %v", got, c.state)
			}
		})
	}
}

func TestDescriptorsWantedAreEnoughAndNoMore(t *testing.T) {
	for _, connections := range []uint64{1, 100, 19_000, 1_000_000, 5_000_000} {
		for _, loops := range []int{1, 2, 64} {
			e := examination{host: Host{Loops: loops}, connections: connections}
			want := e.descriptorsWanted()
			if got, _ := Descriptors(want, loops); uint64(got) < connections {
				t.Errorf("%d descriptors give %d of %d connections", want, got, connections)
			}
			if got, _ := Descriptors(want-1, loops); uint64(got) >= connections {
				t.Errorf("%d descriptors are one too many for %d", want, connections)
			}
		}
	}
}

// TestExamineThisHost reads the real files: whatever they hold, nothing may fail on them.
func TestExamineThisHost(t *testing.T) {
	h := ThisHost()
	if h.Descriptors == 0 || h.Processors == 0 || h.PageBytes == 0 {
		t.Errorf("got %+v, want every number known", h)
	}
	for _, connections := range []int{-1, 0, 1} {
		if findings := Examine(h, connections); len(findings) == 0 {
			t.Errorf("Examine(%d) finds nothing", connections)
		}
	}
	var none fs.FS
	if got := Examine(Host{Root: none, Descriptors: 1024}, 10); len(got) != 1 {
		t.Errorf("without /proc: %+v, want descriptors alone", got)
	}
}
