package server

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"throng/bench/internal/host"
)

// Throng is a node of the tree under test.
type Throng struct {
	*Process
	Gateway string // host:port
	Admin   string // host:port
	Token   string // Of the admin door; "" on loopback.

	// Static after construction.
	client    *http.Client
	takeovers chan Takeover

	// Guarded by collections.mu.
	collections struct {
		mu   sync.Mutex
		list []Collection
	}
}

// ThrongFlags are what every node of a bench is started with, before the bench's own flags: free
// ports on loopback, everything in memory, and a log that a program can read.
func ThrongFlags(more ...string) []string {
	return append([]string{"serve", "-listen", "127.0.0.1:0", "-api", "127.0.0.1:0", "-admin",
		"127.0.0.1:0", "-data", "", "-log-format", "json"}, more...)
}

// StartThrong runs the program and waits until all its doors are open. The collector's trace is
// on, which costs one line per collection.
func StartThrong(ctx context.Context, program string, flags ...string) (*Throng, error) {
	return startThrong(ctx, "gctrace=1", nil, program, flags...)
}

// StartThrongCounted is the same for a node whose profile of the heap has every allocation in it,
// and not one in half a million bytes. Its processor time and resident memory are not those of a
// node.
func StartThrongCounted(ctx context.Context, program string, flags ...string) (*Throng, error) {
	return startThrong(ctx, "gctrace=1,memprofilerate=1", nil, program, flags...)
}

// StartThrongIn is the same in a network namespace, or in this one when it has no name. The doors
// are open beyond loopback and want a token; the flags say where.
func StartThrongIn(ctx context.Context, namespace, token, program string, flags ...string) (
	*Throng, error) {
	var before []string
	if namespace != "" {
		before = []string{"ip", "netns", "exec", namespace}
	}
	t, err := startThrong(ctx, "gctrace=1", before, program,
		append([]string{"-admin-token", token}, flags...)...)
	if err == nil {
		t.Token = token
	}
	return t, err
}

// StartThrongUnder is the same in a control group with a limit of memory.
func StartThrongUnder(ctx context.Context, g *host.MemoryGroup, program string,
	flags ...string) (*Throng, error) {
	join := []string{"/bin/sh", "-c", `echo $$ > "$0" && exec "$@"`, g.Members()}
	return startThrong(ctx, "gctrace=1", join, program, flags...)
}

// startThrong runs a node; before is what comes before it on the command line, if anything.
func startThrong(ctx context.Context, debug string, before []string, program string,
	flags ...string) (*Throng, error) {
	t := &Throng{client: &http.Client{Timeout: 10 * time.Minute, Transport: &http.Transport{
		MaxIdleConnsPerHost: 16}}, takeovers: make(chan Takeover, 1)}
	type door struct{ name, address string }
	doors := make(chan door, 3)
	forced, takeover := false, Takeover{}
	line := func(text string) {
		if text == forcedLine {
			forced = true
			return
		}
		if c, ok := parseCollection(text); ok {
			c.Forced, forced = c.Forced || forced, false
			t.collections.mu.Lock()
			t.collections.list = append(t.collections.list, c)
			t.collections.mu.Unlock()
			return
		}
		if takeover.parse(logEntry(text)) {
			t.takeovers <- takeover
			takeover = Takeover{}
		}
		var entry struct{ Msg, Door, Addr string }
		if json.Unmarshal(logEntry(text), &entry) == nil && entry.Msg == "listening" {
			select {
			case doors <- door{entry.Door, entry.Addr}:
			default: // A process that has taken over listens where this one did.
			}
		}
	}
	env := []string{"GODEBUG=" + debug}
	var err error
	command := slices.Concat(before, []string{program}, ThrongFlags(flags...))
	t.Process, err = start("throng", env, line, command[0], command[1:]...)
	if err != nil {
		return nil, err
	}
	for t.Gateway == "" || t.Admin == "" {
		d, err := wait(ctx, t.Process, doors, "where it listens")
		if err != nil {
			return nil, err
		}
		switch {
		case strings.HasPrefix(d.name, "gateway"):
			t.Gateway = d.address
		case strings.HasPrefix(d.name, "admin"):
			t.Admin = d.address
		}
	}
	return t, nil
}

// logEntry is the JSON in a line of output: a line of the log may stand after a piece of the
// collector's trace, which is not written at once.
func logEntry(line string) []byte {
	return []byte(line[max(strings.IndexByte(line, '{'), 0):])
}

// Collections are the garbage collections so far.
func (t *Throng) Collections() []Collection {
	t.collections.mu.Lock()
	defer t.collections.mu.Unlock()
	return append([]Collection(nil), t.collections.list...)
}
