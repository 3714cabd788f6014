package clients

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long any single condition is waited for. The libraries themselves pause up to two
// seconds on a reconnect, and the machine may be busy.
const patience = 45 * time.Second

// nodeBinary is the node under test, built once by TestMain.
var nodeBinary string

func TestMain(m *testing.M) {
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	folder, err := os.MkdirTemp("", "throng-clients-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(folder)
	nodeBinary = filepath.Join(folder, "throng")
	out, err := exec.Command("go", "build", "-o", nodeBinary, "throng").CombinedOutput()
	if err != nil {
		fmt.Fprintf(os.Stderr, "build the node: %v\n%s", err, out)
		return 1
	}
	// Libraries wait most of the time: more of them run than there are processors.
	flag.Parse()
	if at := flag.Lookup("test.parallel"); at.Value.String() == at.DefValue {
		if err := flag.Set("test.parallel", "8"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return m.Run()
}

// watch is a value guarded by a lock that can be waited on.
type watch struct {
	mu      sync.Mutex
	changed chan struct{}
}

func newWatch() *watch { return &watch{changed: make(chan struct{})} }

// update runs change under the lock and wakes whoever waits.
func (w *watch) update(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
	close(w.changed)
	w.changed = make(chan struct{})
}

// until returns once done, called under the lock, says so; it fails the test after patience.
func (w *watch) until(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline := time.After(patience)
	for {
		w.mu.Lock()
		ok, changed := done(), w.changed
		w.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("waited %v in vain for %s", patience, what)
		}
	}
}

// tail keeps the last lines written to it, to be shown when a test fails.
type tail struct {
	mu    sync.Mutex
	lines []string
}

const tailLinesMax = 200

func (l *tail) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(string(p)) {
		l.lines = append(l.lines, strings.TrimRight(line, "\n"))
	}
	if extra := len(l.lines) - tailLinesMax; extra > 0 {
		l.lines = append(l.lines[:0], l.lines[extra:]...)
	}
	return len(p), nil
}

func (l *tail) showOnFailure(t *testing.T, who string) {
	t.Cleanup(func() {
		if t.Failed() {
			l.mu.Lock()
			defer l.mu.Unlock()
			t.Logf("last lines of %s:\n%s", who, strings.Join(l.lines, "\n"))
		}
	})
}

// node is one running process of the binary under test.
type node struct {
	cmd   *exec.Cmd
	log   *tail
	doors map[string]string // "gateway", "api", "admin" -> host:port
	ended chan struct{}     // closed when the process is gone
	err   error             // what it ended with, once ended is closed
}

// startNode starts a node in memory whose clients are told to come through the proxy.
func startNode(t *testing.T, p *proxy, flags ...string) *node {
	t.Helper()
	return startNodeWith(t, append(flags, "-public-url", p.url())...)
}

func startNodeWith(t *testing.T, flags ...string) *node {
	t.Helper()
	n := &node{log: &tail{}, ended: make(chan struct{})}
	n.log.showOnFailure(t, "the node")
	n.cmd = exec.Command(nodeBinary, append([]string{"serve",
		"-listen", "127.0.0.1:0", "-api", "127.0.0.1:0", "-admin", "127.0.0.1:0", "-data", "",
		"-log-format", "json", "-log-level", "debug",
		// Short, so that clients beat, and long enough for a machine that does much else: a library
		// that waits for an answer longer than that leaves, by itself and in the middle of a test.
		"-heartbeat-interval", "10s",
		// The hard limit stays out of reach: a drain must end because all clients have gone.
		"-drain-grace", "100ms", "-drain-spread", "200ms", "-drain-hard", "10m"}, flags...)...)
	stderr, err := n.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := n.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	opened := newWatch()
	n.doors = map[string]string{}
	go n.readLog(stderr, opened)
	t.Cleanup(func() { n.stop(t) })
	opened.until(t, "the node to open its three doors", func() bool {
		select {
		case <-n.ended:
			return true
		default:
			return len(n.doors) == 3
		}
	})
	if len(n.doors) != 3 {
		t.Fatalf("the node ended at its start: %v", n.err)
	}
	n.waitReady(t)
	return n
}

// readLog takes the node's stderr to its end, picks up the addresses, then reaps the process.
func (n *node) readLog(stderr io.Reader, opened *watch) {
	lines := bufio.NewScanner(stderr)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		fmt.Fprintf(n.log, "%s\n", lines.Bytes())
		var record struct{ Msg, Door, Addr string }
		if json.Unmarshal(lines.Bytes(), &record) == nil && record.Msg == "listening" {
			opened.update(func() { n.doors[record.Door] = record.Addr })
		}
	}
	n.err = n.cmd.Wait()
	close(n.ended)
	opened.update(func() {})
}

// waitReady polls /readyz, the one condition that nobody announces.
func (n *node) waitReady(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for pause := time.NewTicker(10 * time.Millisecond); ; {
		request, _ := http.NewRequestWithContext(ctx, "GET", n.admin("/readyz"), nil)
		response, err := http.DefaultClient.Do(request)
		if err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				pause.Stop()
				return
			}
		}
		select {
		case <-pause.C:
		case <-n.ended:
			t.Fatalf("the node ended before it was ready: %v", n.err)
		case <-ctx.Done():
			t.Fatalf("/readyz does not answer 200: %v", err)
		}
	}
}

func (n *node) api() string              { return "http://" + n.doors["api"] + "/api" }
func (n *node) admin(path string) string { return "http://" + n.doors["admin"] + path }

// call makes one admin request, wants a 2xx answer and returns its body. A body that is a string is
// sent as NDJSON, anything else as JSON.
func (n *node) call(t *testing.T, method, path string, body any) []byte {
	t.Helper()
	kind, data := "application/x-ndjson", []byte(nil)
	switch b := body.(type) {
	case nil:
	case string:
		data = []byte(b)
	default:
		kind = "application/json"
		var err error
		if data, err = json.Marshal(b); err != nil {
			t.Fatal(err)
		}
	}
	request, err := http.NewRequest(method, n.admin(path), bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", kind)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode/100 != 2 {
		t.Fatalf("%s %s: status %d, %v: %s", method, path, response.StatusCode, err, answer)
	}
	return answer
}

// stop ends the node as an orchestrator would, after asking it whether its state is sound.
func (n *node) stop(t *testing.T) {
	t.Helper()
	select {
	case <-n.ended:
	default:
		n.checkSound(t)
		err := n.cmd.Process.Signal(syscall.SIGTERM)
		if err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Errorf("signal the node: %v", err)
		}
	}
	n.waitExit(t)
}

// waitExit wants the process to end by itself with exit code 0, and removes it if it does not.
func (n *node) waitExit(t *testing.T) {
	t.Helper()
	select {
	case <-n.ended:
	case <-time.After(patience):
		t.Errorf("the node has not ended %v after it was told to drain", patience)
		_ = n.cmd.Process.Kill()
		<-n.ended
		return
	}
	if n.err != nil {
		t.Errorf("a drained node must end with exit code 0, got: %v", n.err)
	}
}

// checkSound asks for the invariants over live state and for panics that were recovered.
func (n *node) checkSound(t *testing.T) {
	t.Helper()
	for path, bad := range map[string]func(status int, body string) bool{
		"/debug/check": func(status int, _ string) bool { return status != http.StatusOK },
		"/metrics": func(_ int, body string) bool {
			return !strings.Contains(body, "\nthrong_panics_total 0\n")
		},
	} {
		response, err := http.Get(n.admin(path))
		if err != nil {
			t.Errorf("%s of a node that should be running: %v", path, err)
			continue
		}
		body, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if bad(response.StatusCode, string(body)) {
			t.Errorf("%s: status %d: %s", path, response.StatusCode, panicLine(body))
		}
	}
}

// panicLine cuts the metrics page down to the line that matters.
func panicLine(body []byte) string {
	for line := range strings.Lines(string(body)) {
		if strings.HasPrefix(line, "throng_panics_total") {
			return line
		}
	}
	return string(body[:min(len(body), 400)])
}
