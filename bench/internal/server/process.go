// Package server builds, starts, feeds and stops the programs under test. Each is a process of its
// own, built from the tree that is measured, so that its processor time and memory are its alone
// and its collector does not see the bench's heap.
//
// A process is ended by its own id and waited for, and it dies with the bench even when that is
// killed. Servers listen on loopback ports that they choose. Users, guilds and events go in
// through a node's admin door, as a backend's would. What is read from outside (processor time,
// resident memory, /metrics) is read between two moments, as differences. Nothing here opens a
// gateway connection: that is package load's part. Start reading at StartThrong.
package server

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"throng/bench/internal/host"
)

const (
	startTimeout = 30 * time.Second
	endTimeout   = 10 * time.Second
)

// Process is a running program.
type Process struct {
	// Static after construction.
	Name string
	PID  int // Of who serves: that may be another one than was started, see Throng.Restart.
	cmd  *exec.Cmd
	gone chan struct{} // closed when it has ended

	// Guarded by mu.
	mu   sync.Mutex
	tail []string // its last lines of output
}

// tailLines is how much of a program's output is kept for the error that says why it ended.
const tailLines = 12

// StartProgram runs a program that is not ours, of which nothing is read.
func StartProgram(program string, args ...string) (*Process, error) {
	return start(program, nil, nil, program, args...)
}

// start runs a program. Each line of its output is given to line, which may be nil.
func start(name string, env []string, line func(string), program string, args ...string) (
	*Process, error) {
	p := &Process{Name: name, cmd: exec.Command(program, args...), gone: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	p.cmd.Stdout, p.cmd.Stderr = in, in
	err = p.cmd.Start()
	_ = in.Close()
	if err != nil {
		_ = out.Close()
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p.PID = p.cmd.Process.Pid
	go func() {
		p.follow(out, line)
		_ = out.Close()
		_ = p.cmd.Wait()
		close(p.gone)
	}()
	return p, nil
}

func (p *Process) follow(out io.Reader, line func(string)) {
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		text := lines.Text()
		p.mu.Lock()
		p.tail = append(p.tail, text)
		p.tail = p.tail[max(len(p.tail)-tailLines, 0):]
		p.mu.Unlock()
		if line != nil {
			line(text)
		}
	}
	_, _ = io.Copy(io.Discard, out)
}

// failed is an error with the program's last words.
func (p *Process) failed(what string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return fmt.Errorf("%s %s; its last lines:\n  %s", p.Name, what, strings.Join(p.tail, "\n  "))
}

// Alive is nil while the process runs.
func (p *Process) Alive() error {
	select {
	case <-p.gone:
		return p.failed("has ended")
	default:
		return nil
	}
}

// Signal sends it a signal.
func (p *Process) Signal(s os.Signal) error { return p.cmd.Process.Signal(s) }

// Drain asks it to end in order.
func (p *Process) Drain() error { return p.Signal(syscall.SIGTERM) }

// Gone is closed when it has ended.
func (p *Process) Gone() <-chan struct{} { return p.gone }

// Stop ends the process at once and waits until it is gone, and with it its sockets.
func (p *Process) Stop() error {
	_ = p.cmd.Process.Kill()
	if p.PID != p.cmd.Process.Pid {
		_ = syscall.Kill(p.PID, syscall.SIGKILL)
	}
	select {
	case <-p.gone:
		return nil
	case <-time.After(endTimeout):
		return fmt.Errorf("%s (process %d) does not end", p.Name, p.PID)
	}
}

// CPU is the processor time it has used so far.
func (p *Process) CPU() (time.Duration, error) { return host.CPU(p.PID) }

// Resident is its resident memory.
func (p *Process) Resident() (int64, error) { return host.Resident(p.PID) }

// ResidentMost is the most that it has been.
func (p *Process) ResidentMost() (int64, error) { return host.ResidentMost(p.PID) }

// wait waits for a value that a line of output brings.
func wait[T any](ctx context.Context, p *Process, values <-chan T, what string) (v T, err error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	select {
	case v = <-values:
		return v, nil
	case <-p.gone:
		return v, p.failed("ended before it said " + what)
	case <-ctx.Done():
		_ = p.Stop()
		return v, p.failed("did not say " + what)
	}
}

// Build compiles a main package of the module in folder, as a static binary.
func Build(ctx context.Context, folder, pkg, output string) error {
	return build(ctx, folder, pkg, "CGO_ENABLED=0", "-o", output)
}

// BuildRace compiles it with the race detector, which is several times slower.
func BuildRace(ctx context.Context, folder, pkg, output string) error {
	return build(ctx, folder, pkg, "CGO_ENABLED=1", "-race", "-o", output)
}

func build(ctx context.Context, folder, pkg, env string, flags ...string) error {
	cmd := exec.CommandContext(ctx, "go", append(append([]string{"build"}, flags...), pkg)...)
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), env)
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", pkg, err, text)
	}
	return nil
}

// Raw is the kernel's own price of a fan-out, see bench/rawlimit.
type Raw struct {
	CPUMicros  float64 // Processor time per write.
	WallMicros float64
	PerSecond  float64 // Writes per second until all was read.
}

// BuildRawlimit compiles bench/rawlimit with the C compiler.
func BuildRawlimit(ctx context.Context, root, output string) error {
	source := filepath.Join(root, "bench", "rawlimit", "rawlimit.c")
	text, err := exec.CommandContext(ctx, "cc", "-O2", "-Wall", "-o", output, source).
		CombinedOutput()
	if err != nil {
		return fmt.Errorf("compile rawlimit: %w\n%s", err, text)
	}
	return nil
}

// RunRawlimit runs it.
func RunRawlimit(ctx context.Context, program string, sockets, bytes, rounds int) (
	r Raw, err error) {
	cmd := exec.CommandContext(ctx, program, strconv.Itoa(sockets), strconv.Itoa(bytes),
		strconv.Itoa(rounds))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.Output()
	if err != nil {
		var failed *exec.ExitError
		if errors.As(err, &failed) {
			err = fmt.Errorf("%w: %s", err, failed.Stderr)
		}
		return r, fmt.Errorf("rawlimit: %w", err)
	}
	return parseRaw(string(out))
}

func parseRaw(text string) (r Raw, err error) {
	for _, pair := range []struct {
		name  string
		value *float64
	}{{"cpu_us", &r.CPUMicros}, {"wall_us", &r.WallMicros}, {"writes_per_s", &r.PerSecond}} {
		_, rest, ok := strings.Cut(" "+text, " "+pair.name+"=")
		number, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
		if *pair.value, err = strconv.ParseFloat(number, 64); !ok || err != nil {
			return r, fmt.Errorf("rawlimit says %q, without %s", text, pair.name)
		}
	}
	return r, nil
}
