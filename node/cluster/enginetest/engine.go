package enginetest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	// startTimeout and endTimeout are for a machine that does much else.
	startTimeout = 2 * time.Minute
	endTimeout   = time.Minute

	// tailLines of an engine's log are kept for the error that says why it ended.
	tailLines = 30
)

// Engine is a server that a test has started. Its methods are called by one goroutine at a time.
type Engine struct {
	// Static after construction.
	t    testing.TB
	kind string
	args []string

	// Owned by the test's goroutine.
	cmd     *exec.Cmd
	stdin   io.Closer
	gone    chan struct{} // closed when the process has ended
	frozen  bool
	address string

	// Guarded by mu.
	mu   sync.Mutex
	tail []string
}

// Address is the URL for clients. It stays the same when the engine is started again.
func (e *Engine) Address() string { return e.address }

// Host is the address without the scheme.
func (e *Engine) Host() string {
	_, host, _ := strings.Cut(e.address, "://")
	return host
}

// newEngine makes an engine that is not running, and ends it at the end of the test.
func newEngine(t testing.TB, kind string, args []string) *Engine {
	e := &Engine{t: t, kind: kind, args: args}
	t.Cleanup(func() {
		if e.cmd != nil {
			e.Kill()
		}
	})
	return e
}

// Start starts the engine, or starts it again on its data, and waits until it is ready.
func (e *Engine) Start() {
	e.t.Helper()
	await := e.launch()
	if err := await(); err != nil {
		e.t.Fatal(err)
	}
}

// launch starts the process; what it returns waits until the engine is ready.
func (e *Engine) launch() (await func() error) {
	e.t.Helper()
	path, err := build()
	if err != nil {
		e.t.Fatal(err)
	}
	if e.cmd != nil {
		e.t.Fatalf("%s runs already", e.kind)
	}
	args := append([]string{e.kind, "-attached"}, e.args...)
	e.cmd, e.gone = exec.Command(path, args...), make(chan struct{})
	out, err := e.cmd.StdoutPipe()
	if err != nil {
		e.t.Fatal(err)
	}
	log, err := e.cmd.StderrPipe()
	if err != nil {
		e.t.Fatal(err)
	}
	if e.stdin, err = e.cmd.StdinPipe(); err != nil {
		e.t.Fatal(err)
	}
	if err := e.cmd.Start(); err != nil {
		e.t.Fatal(err)
	}
	ready := make(chan string, 1)
	var reading sync.WaitGroup
	reading.Go(func() { readReady(out, ready) })
	reading.Go(func() { e.follow(log) })
	go func(cmd *exec.Cmd, gone chan struct{}) {
		reading.Wait()
		_ = cmd.Wait()
		close(gone)
	}(e.cmd, e.gone)
	return func() error { return e.await(ready) }
}

func readReady(out io.Reader, ready chan<- string) {
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		var doors struct{ Client string }
		if json.Unmarshal(lines.Bytes(), &doors) == nil && doors.Client != "" {
			ready <- doors.Client
			break
		}
	}
	_, _ = io.Copy(io.Discard, out)
}

func (e *Engine) follow(log io.Reader) {
	lines := bufio.NewScanner(log)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		e.mu.Lock()
		e.tail = append(e.tail, lines.Text())
		e.tail = e.tail[max(len(e.tail)-tailLines, 0):]
		e.mu.Unlock()
	}
	_, _ = io.Copy(io.Discard, log)
}

func (e *Engine) await(ready <-chan string) error {
	select {
	case e.address = <-ready:
		return nil
	case <-e.gone:
	case <-time.After(startTimeout):
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return fmt.Errorf("%s is not ready; its last lines:\n  %s", e.kind,
		strings.Join(e.tail, "\n  "))
}

// Stop ends the engine in order and waits until it is gone.
func (e *Engine) Stop() { e.end(syscall.SIGTERM) }

// Kill ends the engine as kill -9 does and waits until it is gone.
func (e *Engine) Kill() { e.end(os.Kill) }

func (e *Engine) end(signal os.Signal) {
	e.t.Helper()
	if e.cmd == nil {
		e.t.Fatalf("%s does not run", e.kind)
	}
	if e.frozen && signal != os.Kill {
		e.Thaw()
	}
	_ = e.cmd.Process.Signal(signal)
	select {
	case <-e.gone:
	case <-time.After(endTimeout):
		e.t.Errorf("%s does not end", e.kind)
	}
	_ = e.stdin.Close()
	e.cmd, e.frozen = nil, false
}

// Freeze stops the process where it is (SIGSTOP); its connections stay open and nobody answers. It
// waits until all of it has stopped: the signal is on its way when it has been sent, and each
// thread goes on until it comes to it.
func (e *Engine) Freeze() {
	e.t.Helper()
	e.signal(syscall.SIGSTOP, true)
	for end := time.Now().Add(endTimeout); !e.stopped(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			e.t.Fatalf("%s does not stop", e.kind)
		}
	}
}

// stopped says whether each thread of the process has.
func (e *Engine) stopped() bool {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", e.cmd.Process.Pid))
	if err != nil || len(files) == 0 {
		return false
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		// The state is behind the name in parentheses.
		_, state, _ := strings.Cut(string(text), ") ")
		if err != nil || !strings.HasPrefix(state, "T") {
			return false
		}
	}
	return true
}

// Thaw lets it go on.
func (e *Engine) Thaw() { e.signal(syscall.SIGCONT, false) }

func (e *Engine) signal(signal os.Signal, frozen bool) {
	e.t.Helper()
	if err := e.cmd.Process.Signal(signal); err != nil {
		e.t.Fatal(err)
	}
	e.frozen = frozen
}
