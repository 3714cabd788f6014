package node

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"throng/node/cluster/enginetest"
	"throng/wire"
)

// descriptorLimit is what the node in the other process may open, all told.
const descriptorLimit = 256

// childVariable has the test binary be that node, and silenceVariable says after how many
// milliseconds of a client's silence it takes that one for dead.
const (
	childVariable   = "THRONG_TEST_NODE"
	silenceVariable = "THRONG_TEST_SILENCE"
)

func TestMain(m *testing.M) {
	flag.Parse()
	if os.Getenv(dialVariable) != "" {
		runDialer()
		os.Exit(0)
	}
	if os.Getenv(restartVariable) != "" {
		if err := runRestartable(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if os.Getenv(childVariable) != "" {
		if err := runChild(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(enginetest.Main(m))
}

// runChild runs a node until standard input ends. It says on standard output where its doors are.
func runChild() error {
	limit := &unix.Rlimit{Cur: descriptorLimit, Max: descriptorLimit}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, limit); err != nil {
		return err
	}
	const any = "127.0.0.1:0"
	listens := &listenLog{addresses: make(chan [2]string, 3)}
	n, err := New(Config{Listen: any, API: any, Admin: any, Data: os.Getenv(childVariable), Loops: 2,
		DrainGrace: -1, DrainSpread: -1, DrainHard: 2 * time.Second}, slog.New(listens))
	if err != nil {
		return err
	}
	if milli, err := strconv.Atoi(os.Getenv(silenceVariable)); err == nil {
		n.core.limits.deadMilli = int64(milli)
	}
	go func() {
		for a := range listens.addresses {
			fmt.Println(a[0], a[1])
		}
	}()
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	return n.Run(ctx)
}

// startChild runs a node in another process, with few descriptors. wait ends it and returns how it
// ended.
func startChild(t *testing.T) (r *rig, wait func() error) {
	t.Helper()
	r, _, wait = startChildProcess(t)
	return r, wait
}

func startChildProcess(t *testing.T, environment ...string) (r *rig, pid int,
	wait func() error) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run", "^$", fmt.Sprintf("-test.v=%v", testing.Verbose()))
	cmd.Env = append(append(os.Environ(), childVariable+"="+t.TempDir()), environment...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	r = &rig{t: t, doors: map[string]string{}}
	for lines := bufio.NewScanner(out); len(r.doors) < 3 && lines.Scan(); {
		name, address, _ := strings.Cut(lines.Text(), " ")
		r.doors[name] = address
	}
	if len(r.doors) < 3 {
		t.Fatalf("the node listens only to %v", r.doors)
	}
	return r, cmd.Process.Pid, func() error {
		in.Close()
		return cmd.Wait()
	}
}

// TestDescriptorsUsedUp opens connections until the node refuses, and far beyond. Nothing ends: the
// operator gets answers, those who are in stay in, and when some leave others are taken.
func TestDescriptorsUsedUp(t *testing.T) {
	r, wait := startChild(t)
	var in []*wsClient
	refused := 0
	for range 2 * descriptorLimit {
		c, err := r.tryConnect(0)
		if err != nil {
			t.Fatal(err)
		}
		err = c.tryUpgrade("/")
		var status *statusError
		switch {
		case err == nil:
			in = append(in, c)
		case errors.As(err, &status) && status.status == 503 && strings.HasSuffix(status.body, ".\n"):
			refused++
			c.wantEnd()
			c.conn.Close()
		default:
			t.Fatalf("connection %d: %v", len(in)+refused, err)
		}
	}
	if len(in) < descriptorLimit/2 || refused < descriptorLimit {
		t.Errorf("%d were taken and %d refused", len(in), refused)
	}
	// HTTP has a share of its own, all of which is now taken by those who say nothing.
	for range 2 * descriptorLimit {
		c, err := r.tryConnectTo("api")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	for _, path := range []string{"/healthz", "/metrics", "/v1/node"} {
		if status, body, err := r.get("admin", path); status != 200 || err != nil {
			t.Errorf("%s: %d %.200s %v", path, status, body, err)
		}
	}
	if status, body, _ := r.get("admin", "/readyz"); status != 503 {
		t.Errorf("readyz: %d %s", status, body)
	}
	if got := r.metric("throng_connections"); got != fmt.Sprint(len(in)) {
		t.Errorf("throng_connections is %s, want %d", got, len(in))
	}
	if got := r.metric(`throng_closes_total{reason="node_full"}`); got != fmt.Sprint(refused) {
		t.Errorf("%s were refused, want %d", got, refused)
	}
	for _, c := range in {
		c.wantOp(wire.OpHello)
		c.send(1, "null")
		c.wantOp(wire.OpHeartbeatAck)
	}
	for _, c := range in[:10] {
		c.conn.Close()
	}
	taken := 0
	until(t, "ten more are taken", func() bool {
		c, err := r.tryConnect(0)
		if err != nil {
			t.Fatal(err)
		}
		if c.tryUpgrade("/") == nil {
			taken++
		} else {
			c.conn.Close()
		}
		return taken == 10
	})
	if status, _, err := r.get("admin", "/healthz"); status != 200 || err != nil {
		t.Errorf("healthz at the end: %d %v", status, err)
	}
	if err := wait(); err != nil {
		t.Errorf("the node ended with %v", err)
	}
}

// TestDescriptorsTakenAway is row 15 of the matrix where the cap does not help: the process may
// open nothing more, whatever it has been told. It waits, and says so.
func TestDescriptorsTakenAway(t *testing.T) {
	r, pid, wait := startChildProcess(t)
	limit := func(n uint64) {
		t.Helper()
		l := &unix.Rlimit{Cur: n, Max: descriptorLimit}
		if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, l, nil); err != nil {
			t.Fatal(err)
		}
	}
	inside := r.dial("/")
	inside.wantOp(wire.OpHello)
	operator := http.Client{Timeout: patience} // Keeps its connection.
	ask := func(path string) (status int, body string) {
		t.Helper()
		res, err := operator.Get("http://" + r.doors["admin"] + path)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, _ := io.ReadAll(res.Body)
		return res.StatusCode, string(b)
	}
	if status, body := ask("/readyz"); status != 200 {
		t.Fatalf("readyz: %d %s", status, body)
	}
	limit(3)
	var waiting []*wsClient
	for range 20 {
		waiting = append(waiting, r.connect())
	}
	until(t, "the node says that it is full", func() bool {
		status, body := ask("/readyz")
		return status == 503 && strings.Contains(body, "too many open files")
	})
	inside.send(1, "null")
	inside.wantOp(wire.OpHeartbeatAck)
	limit(descriptorLimit)
	for _, c := range waiting {
		c.upgrade("/")
		c.wantOp(wire.OpHello)
	}
	until(t, "ready", func() bool { status, _ := ask("/readyz"); return status == 200 })
	operator.CloseIdleConnections()
	if err := wait(); err != nil {
		t.Errorf("the node ended with %v", err)
	}
}

// TestConnectionsHaveACap: above it a handshake is refused, and readiness says so.
func TestConnectionsHaveACap(t *testing.T) {
	r := startRig(t, Config{MaxConnections: 5})
	var in []*wsClient
	for range 5 {
		c := r.dial("/")
		c.wantOp(wire.OpHello)
		in = append(in, c)
	}
	if err := r.Ready(); err == nil || !strings.Contains(err.Error(), "5") {
		t.Errorf("ready says %v", err)
	}
	for n := range uint64(50) {
		c := r.connect()
		if status, body, err := c.readHTTP(); status != 503 || err != nil {
			t.Errorf("got %d %q %v", status, body, err)
		}
		c.wantEnd()
		c.conn.Close()
		if got := r.closes(NodeFull); got != n+1 {
			t.Errorf("%d were counted, want %d", got, n+1)
		}
	}
	in[0].conn.Close()
	r.until("there is room", func() bool { return r.Ready() == nil })
	r.dial("/").wantOp(wire.OpHello)
	for _, c := range in[1:] {
		c.send(1, "null")
		c.wantOp(wire.OpHeartbeatAck)
	}
}
