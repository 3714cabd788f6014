package tuning

import (
	"encoding/json"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestCeilings: each thing in turn is made the tightest, and is named with what raises it.
func TestCeilings(t *testing.T) {
	wide := Host{Descriptors: 2 << 20, Processors: 4, PageBytes: 4096}
	narrow := wide
	narrow.Descriptors = 20_000
	interfaces := map[string]string{
		"sys/class/net/lo/speed":           "",
		"sys/class/net/docker0/speed":      "10", // Virtual: it has no device.
		"sys/class/net/eth0/speed":         "10000",
		"sys/class/net/eth0/operstate":     "up",
		"sys/class/net/eth0/device/vendor": "0x8086",
		"sys/class/net/eth1/speed":         "100000",
		"sys/class/net/eth1/operstate":     "down",
		"sys/class/net/eth1/device/vendor": "0x8086",
	}
	for _, c := range []struct {
		name        string
		host        Host
		demand      Demand
		file, text  string // Replaces a file; "" as text removes it.
		tightest    string
		connections uint64
		raise       string
	}{
		{"descriptors", narrow, Demand{Measured: 1e9}, "", "", "descriptors",
			20_000 - 120 - 12 - (312 - 96), "LimitNOFILE"},
		{"descriptors of all processes", wide, Demand{Measured: 1e9}, "proc/sys/fs/file-max",
			"17000", "descriptors", 16_000 - 120 - 12 - (250 - 96), "fs.file-max"},
		{"memory", wide, Demand{Measured: 1e9, Rate: 0.001}, "sys/fs/cgroup/memory.max",
			"1073741824", "memory", ((1<<30-16<<20)/100*80 - 512<<20) / 5632, "memory.max"},
		{"no memory at all", wide, Demand{Measured: 1e9}, "sys/fs/cgroup/memory.max",
			"268435456", "memory", 0, "memory.max"},
		{"processors", wide, Demand{Measured: 600_000, Rate: 2}, "", "", "processors", 300_000,
			"processors"},
		{"bandwidth", wide, Demand{Measured: 1e9, Rate: 5}, "", "", "bandwidth",
			10_000 * 1_000_000 / 8 / 566 / 5, "interface"},
		{"a tracking firewall", wide, Demand{Measured: 1e9},
			"proc/sys/net/netfilter/nf_conntrack_max", "10000", "firewall", 8000, "NOTRACK"},
	} {
		t.Run(c.name, func(t *testing.T) {
			files := maps.Clone(largeHost())
			maps.Copy(files, interfaces)
			if delete(files, c.file); c.text != "" {
				files[c.file] = c.text
			}
			c.host.Root = hostFiles(files)
			got := Ceilings(c.host, c.demand)
			if len(got) != 5 {
				t.Errorf("%d ceilings, want 5: %+v", len(got), got)
			}
			first := got[0]
			if first.Name != c.tightest || first.Connections != c.connections ||
				!strings.Contains(first.Raise, c.raise) || first.Unknown {
				t.Errorf("got %+v, want %s, %d, %q", first, c.tightest, c.connections, c.raise)
			}
			var text strings.Builder
			Diagnosis{Connections: 1, Ceilings: got, Rate: 1}.Write(&text)
			want := "The tightest limit is " + c.tightest + ", " + number(c.connections) +
				" connections; what raises it: " + first.Raise
			if !strings.Contains(text.String(), want) {
				t.Errorf("no %q in:\n%s", want, text.String())
			}
		})
	}
}

// TestCeilingsAreReached: what the host can hold by memory and descriptors is a number for which
// Examine finds that nothing blocks, and one more is not.
func TestCeilingsAreReached(t *testing.T) {
	for _, c := range []struct {
		name string
		host Host
		file string
		text string
	}{
		{"descriptors", Host{Descriptors: 65_536, Processors: 4}, "", ""},
		{"memory", Host{Descriptors: 2 << 20, Processors: 4}, "proc/meminfo",
			"MemTotal: 4194304 kB"},
		{"memory", Host{Descriptors: 2 << 20, Processors: 4, TLS: true}, "proc/meminfo",
			"MemTotal: 4194304 kB"},
	} {
		t.Run(c.name, func(t *testing.T) {
			files := largeHost()
			delete(files, c.file)
			files[c.file] = c.text
			delete(files, "")
			c.host.Root = hostFiles(files)
			first := Ceilings(c.host, Demand{Measured: 1e12})[0]
			if first.Name != c.name {
				t.Fatalf("the tightest is %+v, want %s", first, c.name)
			}
			if f := Examine(c.host, int(first.Connections)); Blocked(f) {
				t.Errorf("%d connections: %+v", first.Connections, f)
			}
			if more := int(first.Connections) + 2; !Blocked(Examine(c.host, more)) {
				t.Errorf("%d connections: nothing blocks", more)
			}
		})
	}
}

// TestTLSTakesRoom: doctor reckons with it when asked.
func TestTLSTakesRoom(t *testing.T) {
	files := largeHost()
	files["proc/meminfo"] = "MemTotal: 4194304 kB"
	h := Host{Root: hostFiles(files), Descriptors: 2 << 20, Processors: 4}
	plain := Ceilings(h, Demand{})[0].Connections
	h.TLS = true
	secure := Ceilings(h, Demand{})[0].Connections
	if want := plain * (SessionBytes + SocketBytes) / (SessionBytes + SocketBytes + TLSBytes); want != secure {
		t.Errorf("%d with TLS and %d without, want %d", secure, plain, want)
	}
}

// TestTLSBytesAreThoseMeasured holds what doctor reckons with against the result of bench/tls: with
// less it promises connections that the host has no memory for.
func TestTLSBytesAreThoseMeasured(t *testing.T) {
	text, err := os.ReadFile("../bench/results/tls.json")
	if err != nil {
		t.Fatal(err)
	}
	var result struct{ Samples map[string][]float64 }
	if err := json.Unmarshal(text, &result); err != nil {
		t.Fatal(err)
	}
	median := func(what string) float64 {
		all := slices.Sorted(slices.Values(result.Samples[what]))
		if len(all) == 0 {
			t.Fatalf("the result has no %q", what)
		}
		return all[len(all)/2]
	}
	measured := median("TLS in the node B") - median("no TLS B")
	// From one run to the next it differs by some percent.
	if off := math.Abs(TLSBytes-measured) / measured; off > 0.1 {
		t.Errorf("TLSBytes are %d, and %.0f were measured", TLSBytes, measured)
	}
}

// TestUnknownCeilings: what a host does not say is last, and is said to be unknown.
func TestUnknownCeilings(t *testing.T) {
	files := largeHost()
	files["sys/class/net/eth0/speed"] = "-1"
	files["sys/class/net/eth0/device/vendor"] = "0x1af4"
	h := Host{Root: hostFiles(files), Descriptors: 2 << 20, Processors: 4}
	got := Ceilings(h, Demand{})
	last := got[len(got)-2:]
	if !last[0].Unknown || !last[1].Unknown || last[0].Name != "processors" ||
		last[1].Name != "bandwidth" {
		t.Errorf("the last are %+v, want processors and bandwidth, unknown", last)
	}
	var text strings.Builder
	Diagnosis{Connections: 1, Ceilings: got, Rate: 1}.Write(&text)
	if !strings.Contains(text.String(), "unless processors or bandwidth is tighter") {
		t.Errorf("unknown ceilings are not named:\n%s", text.String())
	}
	none := Ceilings(Host{}, Demand{})
	text.Reset()
	Diagnosis{Ceilings: none}.Write(&text)
	if !none[0].Unknown || !strings.Contains(text.String(), "Nothing here says") {
		t.Errorf("a host that says nothing: %+v\n%s", none, text.String())
	}
}
