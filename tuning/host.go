package tuning

import (
	"fmt"
	"io/fs"
	"math"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
)

// State says what a finding means for the wanted number of connections.
type State uint8

const (
	StateFine    State = iota // Nothing to do.
	StateAdvice               // It works, but worse than it could under load.
	StateBlocks               // The wanted number cannot be reached.
	StateUnknown              // The host does not say.
)

// String is the word in doctor's first column.
func (s State) String() string {
	return [...]string{"fine", "advice", "BLOCKS", "unknown"}[s]
}

// Host is what is examined. Root is its file system from "/" on, of which only /proc and the
// control groups are read; nil where there is none to read.
type Host struct {
	Root        fs.FS
	Descriptors uint64 // RLIMIT_NOFILE as the process has it, 0 = unknown.
	Processors  int    // GOMAXPROCS.
	Loops       int    // Event loops that a node would run, 0 = Processors.
	PageBytes   int
	TLS         bool // TLS would be in the node.
}

// connectionBytes is what one is reckoned with.
func (h Host) connectionBytes() uint64 {
	if h.TLS {
		return SessionBytes + SocketBytes + TLSBytes
	}
	return SessionBytes + SocketBytes
}

// ThisHost is the machine that the process runs on. Only Linux is examined beyond descriptors;
// other systems are for development.
func ThisHost() Host {
	h := Host{
		Descriptors: DescriptorLimit(),
		Processors:  runtime.GOMAXPROCS(0),
		PageBytes:   os.Getpagesize(),
	}
	if runtime.GOOS == "linux" {
		h.Root = os.DirFS("/")
	}
	return h
}

// DescriptorLimit is RLIMIT_NOFILE, 0 when it cannot be read. Go has raised the soft limit to the
// hard one before main.
func DescriptorLimit() uint64 {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0
	}
	return uint64(limit.Cur)
}

// Finding is one thing looked at.
type Finding struct {
	Name  string
	State State
	Have  string
	Want  string
	Mend  string // The command or setting that mends it; "" when fine.
}

// Examine compares the host with what so many connections need, in the order in which one would
// mend things. It changes nothing.
func Examine(h Host, connections int) []Finding {
	if h.Loops == 0 {
		h.Loops = h.Processors
	}
	e := examination{host: h, quota: ReadQuota(h.Root), connections: uint64(max(connections, 1))}
	e.descriptors()
	if h.Root == nil {
		return e.findings
	}
	e.memory()
	e.conntrack()
	e.backlog()
	e.socketMemory()
	e.socketMinimum("net.ipv4.tcp_rmem")
	e.socketMinimum("net.ipv4.tcp_wmem")
	e.ports()
	e.processors()
	return e.findings
}

// Blocked reports whether any finding blocks: doctor's exit code.
func Blocked(findings []Finding) bool {
	for _, f := range findings {
		if f.State == StateBlocks {
			return true
		}
	}
	return false
}

type examination struct {
	host        Host
	quota       Quota
	connections uint64
	findings    []Finding
}

func (e *examination) add(name string, state State, have, want, mend string) {
	if state == StateFine {
		mend = ""
	}
	e.findings = append(e.findings, Finding{name, state, have, want, mend})
}

// sysctl reads the numbers of one kernel setting; nil when it is not there.
func (e *examination) sysctl(name string) []uint64 {
	text := readText(e.host.Root, "proc/sys/"+strings.ReplaceAll(name, ".", "/"))
	var numbers []uint64
	for _, field := range strings.Fields(text) {
		n, err := strconv.ParseUint(field, 10, 64)
		if err != nil {
			return nil
		}
		numbers = append(numbers, n)
	}
	return numbers
}

// atLeast adds a finding about a setting of one number.
func (e *examination) atLeast(name string, want uint64, below State) {
	mend := fmt.Sprintf("sysctl -w %s=%d", name, want)
	have := e.sysctl(name)
	switch {
	case len(have) != 1:
		e.add(name, StateUnknown, "not readable", number(want), mend)
	case have[0] < want:
		e.add(name, below, number(have[0]), number(want), mend)
	default:
		e.add(name, StateFine, number(have[0]), number(want), "")
	}
}

// descriptors: one per connection and the reserve. The process's limit cannot pass fs.nr_open, and
// all processes together cannot pass fs.file-max.
func (e *examination) descriptors() {
	want := e.descriptorsWanted()
	mend := fmt.Sprintf("ulimit -n %d, or LimitNOFILE=%d in the systemd unit", want, want)
	switch have := e.host.Descriptors; {
	case have == 0:
		e.add("descriptors", StateUnknown, "not readable", number(want), mend)
	case have < want:
		e.add("descriptors", StateBlocks, number(have), number(want), mend)
	default:
		e.add("descriptors", StateFine, number(have), number(want), "")
	}
	if e.host.Root != nil {
		e.atLeast("fs.nr_open", want, StateBlocks)
		e.atLeast("fs.file-max", want+want/16, StateBlocks) // Others on the host need some too.
	}
}

// descriptorsWanted is the smallest limit from which Descriptors gives the wanted connections.
func (e *examination) descriptorsWanted() uint64 {
	low, high := e.connections, 2*e.connections+2*APIConnectionsMax
	high += uint64(DescriptorReserve + DescriptorsPerLoop*e.host.Loops)
	for low < high {
		middle := (low + high) / 2
		if got, _ := Descriptors(middle, e.host.Loops); uint64(got) >= e.connections {
			high = middle
		} else {
			low = middle + 1
		}
	}
	return low
}

// memory: the budgets of a session and a socket, a journal per loop, and the process itself, of
// what a node lets sessions in for. A control group of version 2 counts the kernel's part too.
func (e *examination) memory() {
	want := memoryFor(e.connections*e.host.connectionBytes() + e.memoryFixed())
	have, where := e.memoryHad()
	mend := fmt.Sprintf("give the host, or the control group, %s (memory.max, MemoryMax=)",
		bytesText(want))
	switch {
	case have == 0:
		e.add("memory", StateUnknown, "not readable", bytesText(want), mend)
	case have < want:
		e.add("memory", StateBlocks, bytesText(have)+" "+where, bytesText(want), mend)
	default:
		e.add("memory", StateFine, bytesText(have)+" "+where, bytesText(want), "")
	}
}

func (e *examination) memoryTotal() uint64 {
	for line := range strings.Lines(readText(e.host.Root, "proc/meminfo")) {
		if rest, ok := strings.CutPrefix(line, "MemTotal:"); ok {
			kilobytes, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
			n, _ := strconv.ParseUint(kilobytes, 10, 64)
			return n << 10
		}
	}
	return 0
}

const conntrackMax = "net.netfilter.nf_conntrack_max"

// conntrack: every connection through a tracking firewall takes an entry, and a full table drops
// new connections in silence. A quarter above the wanted number is for those in TIME_WAIT.
func (e *examination) conntrack() {
	const name = conntrackMax
	want := e.connections + e.connections/4
	have := e.sysctl(name)
	switch {
	case len(have) != 1:
		e.add(name, StateFine, "not in use", number(want), "")
	case have[0] < want:
		e.add(name, StateBlocks, number(have[0]), number(want),
			fmt.Sprintf("sysctl -w %s=%d, or a NOTRACK rule for the gateway's port", name, want))
	default:
		e.add(name, StateFine, number(have[0]), number(want), "")
	}
}

// backlog: when a million clients come back within 30 s they are 33,000 a second, and a loop may
// be away for half a second. 65,535 is the most that is of use.
func (e *examination) backlog() {
	want := min(max(e.connections/64, 1024), 65_535)
	e.atLeast("net.core.somaxconn", want, StateAdvice)
	e.atLeast("net.ipv4.tcp_max_syn_backlog", want, StateAdvice)
}

// socketMemory: tcp_mem counts pages of queued bytes over all sockets. A socket with a frame in
// flight holds at least one, so a storm that touches everybody holds a page per connection;
// above the last number the kernel drops.
func (e *examination) socketMemory() {
	const name = "net.ipv4.tcp_mem"
	want := e.connections + e.connections/4
	mend := fmt.Sprintf("sysctl -w %s='%d %d %d'", name, want/2, want*3/4, want)
	page := bytesText(want * uint64(max(e.host.PageBytes, 1)))
	wanted := fmt.Sprintf("last %s pages (%s)", number(want), page)
	switch have := e.sysctl(name); {
	case len(have) != 3:
		e.add(name, StateUnknown, "not readable", wanted, mend)
	case have[2] < want:
		e.add(name, StateAdvice, "last "+number(have[2])+" pages", wanted, mend)
	default:
		e.add(name, StateFine, "last "+number(have[2])+" pages", wanted, "")
	}
}

// socketMinimum: the first number is granted to each socket even when memory is short, so a large
// one times a million is a promise that the host cannot keep.
func (e *examination) socketMinimum(name string) {
	const most = 8192
	have := e.sysctl(name)
	switch {
	case len(have) != 3:
		e.add(name, StateUnknown, "not readable", "first at most 8,192", "")
	case have[0] > most:
		e.add(name, StateAdvice, "first "+number(have[0]), "first at most 8,192",
			fmt.Sprintf("sysctl -w %s='4096 %d %d'", name, have[1], have[2]))
	default:
		e.add(name, StateFine, "first "+number(have[0]), "first at most 8,192", "")
	}
}

// ports matter to whoever dials: a load generator on this host, or a proxy in front of the node.
func (e *examination) ports() {
	const name = "net.ipv4.ip_local_port_range"
	mend := fmt.Sprintf("sysctl -w %s='1024 65535', and %d source addresses", name,
		(e.connections+64_511)/64_512)
	have := e.sysctl(name)
	switch {
	case len(have) != 2:
		e.add(name, StateUnknown, "not readable", "1024 to 65535 to dial from here", mend)
	case have[1]-have[0]+1 < min(e.connections, 64_512):
		e.add(name, StateAdvice, fmt.Sprintf("%d to %d", have[0], have[1]),
			"1024 to 65535 to dial from here", mend)
	default:
		e.add(name, StateFine, fmt.Sprintf("%d to %d", have[0], have[1]),
			"1024 to 65535 to dial from here", "")
	}
}

// processors: more threads than the quota pays for are stopped by the kernel in mid-work, for up
// to a tenth of a second at a time.
func (e *examination) processors() {
	have := fmt.Sprintf("GOMAXPROCS %d, no quota", e.host.Processors)
	if e.quota.Processors == 0 {
		e.add("processors", StateFine, have, "no more than the quota", "")
		return
	}
	most := int(math.Ceil(e.quota.Processors))
	have = fmt.Sprintf("GOMAXPROCS %d, quota %.4g", e.host.Processors, e.quota.Processors)
	state := StateFine
	if e.host.Processors > max(most, 1) {
		state = StateAdvice
	}
	e.add("processors", state, have, "no more than the quota",
		fmt.Sprintf("GOMAXPROCS=%d, or raise cpu.max", max(most, 1)))
}

func number(n uint64) string { return Grouped(int64(min(n, math.MaxInt64))) }

// bytesText is a size for people, rounded to a tenth.
func bytesText(n uint64) string {
	if n >= 1<<30 {
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}
