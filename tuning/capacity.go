package tuning

import (
	"cmp"
	"fmt"
	"io/fs"
	"math"
	"path"
	"slices"
	"strconv"
)

// What a delivery is taken for when doctor says how many a host can make.
const (
	// DeliveryBytes on the wire: a frame of 500 bytes, and 66 of Ethernet, IP and TCP.
	DeliveryBytes = 566

	// DeliveryRate a second to each connection is what doctor reckons with; its -rate is another.
	DeliveryRate = 1.0
)

// Demand is what connections are sent, and what this host has been seen to send.
type Demand struct {
	Rate     float64 // Deliveries a second to each connection; 0 = DeliveryRate.
	Measured float64 // Deliveries a second in all; 0 = nobody has looked.
}

// Ceiling is how many connections one thing lets a host hold.
type Ceiling struct {
	Name        string
	Have        string
	Connections uint64 // 0 when Unknown, or when there is not enough for a single one.
	Unknown     bool   // The host does not say.
	Raise       string // What would raise it.
}

// Ceilings is what bounds the connections of a host, the tightest first and the unknown last.
func Ceilings(h Host, d Demand) []Ceiling {
	if h.Loops == 0 {
		h.Loops = h.Processors
	}
	if d.Rate <= 0 {
		d.Rate = DeliveryRate
	}
	e := examination{host: h, quota: ReadQuota(h.Root)}
	all := []Ceiling{e.descriptorCeiling(), processorCeiling(h, d)}
	if h.Root != nil {
		all = append(all, e.memoryCeiling(), bandwidthCeiling(h.Root, d))
		if tracked := e.sysctl(conntrackMax); len(tracked) == 1 {
			all = append(all, Ceiling{Name: "firewall", Have: number(tracked[0]) + " entries",
				Connections: tracked[0] / 5 * 4,
				Raise:       "sysctl -w " + conntrackMax + ", or a NOTRACK rule"})
		}
	}
	slices.SortStableFunc(all, func(a, b Ceiling) int {
		if a.Unknown != b.Unknown {
			return cmp.Compare(toInt(a.Unknown), toInt(b.Unknown))
		}
		return cmp.Compare(a.Connections, b.Connections)
	})
	return all
}

func toInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// descriptorCeiling: the process's limit, or what is left of all processes' together.
func (e *examination) descriptorCeiling() Ceiling {
	c := Ceiling{Name: "descriptors", Raise: "ulimit -n, or LimitNOFILE= in the systemd unit"}
	have := e.host.Descriptors
	if all := e.fileMax(); all > 0 && all/17*16 < have {
		have, c.Raise = all/17*16, "sysctl -w fs.file-max"
	}
	if c.Unknown = have == 0; c.Unknown {
		c.Have = "not readable"
		return c
	}
	connections, _ := Descriptors(have, e.host.Loops)
	c.Have, c.Connections = number(have), uint64(connections)
	return c
}

func (e *examination) fileMax() uint64 {
	if e.host.Root == nil {
		return 0
	}
	if all := e.sysctl("fs.file-max"); len(all) == 1 {
		return all[0]
	}
	return 0
}

// memoryCeiling: a node refuses new sessions from PressureNewPercent on.
func (e *examination) memoryCeiling() Ceiling {
	c := Ceiling{Name: "memory", Raise: "more memory, or a larger memory.max of the control group"}
	have, where := e.memoryHad()
	if c.Unknown = have == 0; c.Unknown {
		c.Have = "not readable"
		return c
	}
	c.Have = bytesText(have) + " " + where
	usable := memoryUsable(have)
	if fixed := e.memoryFixed(); usable > fixed {
		c.Connections = (usable - fixed) / e.host.connectionBytes()
	}
	return c
}

// processorCeiling: what was measured, shared by all. It is one delivery a write and has clients on
// the same processors; a busy node puts several in one write and makes more.
func processorCeiling(h Host, d Demand) Ceiling {
	c := Ceiling{Name: "processors", Raise: "more processors, or publishing in batches"}
	if c.Unknown = d.Measured <= 0; c.Unknown {
		c.Have = fmt.Sprintf("%d, not measured", h.Processors)
		return c
	}
	c.Have = fmt.Sprintf("%d, %s deliveries/s, each written by itself", h.Processors,
		number(uint64(d.Measured)))
	c.Connections = uint64(d.Measured / d.Rate)
	return c
}

// bandwidthCeiling: the fastest interface that is no loopback. A virtual one has no speed of its
// own, or says one that means nothing; then nobody knows but who sold it.
func bandwidthCeiling(root fs.FS, d Demand) Ceiling {
	c := Ceiling{Name: "bandwidth", Unknown: true, Have: "no interface says its speed",
		Raise: "a faster network interface"}
	const folder = "sys/class/net"
	entries, _ := fs.ReadDir(root, folder)
	fastest := 0
	for _, entry := range entries {
		in := path.Join(folder, entry.Name())
		if _, err := fs.Stat(root, path.Join(in, "device")); err != nil {
			continue // Virtual: loopback, bridges, a container's end of a pair.
		}
		megabits, err := strconv.Atoi(readText(root, path.Join(in, "speed")))
		state := readText(root, path.Join(in, "operstate"))
		if err != nil || megabits <= fastest || state == "down" {
			continue
		}
		fastest = megabits
		c.Unknown = false
		c.Have = fmt.Sprintf("%s Mbit/s of %s", number(uint64(megabits)), entry.Name())
		c.Connections = uint64(float64(megabits) * 1e6 / 8 / DeliveryBytes / d.Rate)
	}
	return c
}

// memoryHad is the memory there is, and whose limit that is.
func (e *examination) memoryHad() (have uint64, where string) {
	have, where = e.memoryTotal(), "of the machine"
	if limit := uint64(e.quota.MemoryBytes); limit > 0 && (have == 0 || limit < have) {
		have, where = limit, "of the control group"
	}
	return have, where
}

// memoryFixed is what a node takes whoever is connected.
func (e *examination) memoryFixed() uint64 {
	return BaseBytes + uint64(e.host.Loops)*JournalBytes
}

// memoryUsable is what of so much memory sessions are let in for, and memoryFor the other way.
func memoryUsable(have uint64) uint64 {
	return (have - min(have, PressureReserveBytes)) / 100 * PressureNewPercent
}

func memoryFor(usable uint64) uint64 {
	return uint64(math.Ceil(float64(usable)/PressureNewPercent))*100 + PressureReserveBytes
}
