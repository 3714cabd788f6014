package node

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"throng/node/cluster/enginetest"
	"throng/wire"
)

// restartVariable has the test binary be a node with this configuration, in JSON, that can be
// restarted.
const restartVariable = "THRONG_TEST_RESTART"

// spoilVariable has the process that takes over do wrong: "journal" has it be of another size,
// "die" has it end when it has taken everything, "never" has it never be prepared; see also endingLog.
const spoilVariable = "THRONG_TEST_SPOIL"

// runRestartable says on standard output where its doors are, behind the number of the process.
func runRestartable() error {
	var cfg Config
	if err := json.Unmarshal([]byte(os.Getenv(restartVariable)), &cfg); err != nil {
		return err
	}
	cfg.Inherits, _ = strconv.Atoi(os.Getenv(TakeoverVariable))
	_ = os.Unsetenv(TakeoverVariable)
	if cfg.Inherits > 0 && os.Getenv(spoilVariable) == "journal" {
		cfg.Journal *= 2
	}
	if cfg.Inherits > 0 && os.Getenv(spoilVariable) == "never" {
		return errors.New("a start that fails")
	}
	listens := &listenLog{addresses: make(chan [2]string, 9)}
	log := slog.New(listens)
	if cfg.Inherits > 0 && os.Getenv(spoilVariable) == "die" {
		log = slog.New(deadlyLog{listens})
	}
	endLog := &endingLog{Handler: listens, spoil: os.Getenv(spoilVariable)}
	if strings.HasPrefix(endLog.spoil, "end") {
		log = slog.New(endLog)
	}
	n, err := New(cfg, log)
	if err != nil {
		return err
	}
	endLog.node = n
	n.core.limits.deadMilli, n.core.limits.lingerMilli = 3_600_000, 1000
	go func() {
		for a := range listens.addresses {
			fmt.Println(os.Getpid(), a[0], a[1])
		}
	}()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	restart := make(chan os.Signal, 1)
	signal.Notify(restart, syscall.SIGUSR2)
	go func() {
		for range restart {
			n.Restart(os.Args[1:], os.Stdout, os.Stderr)
			fmt.Println(os.Getpid(), "restart", "over")
		}
	}()
	return n.Run(ctx)
}

// deadlyLog ends the process when it says that it has everything.
type deadlyLog struct{ slog.Handler }

func (l deadlyLog) Handle(ctx context.Context, r slog.Record) error {
	if r.Message == "sessions are taken over" {
		os.Exit(3)
	}
	return l.Handler.Handle(ctx, r)
}

// restartable is a node in another process, which can be restarted.
type restartable struct {
	*rig
	cmd        *exec.Cmd
	supervisor *net.UnixConn

	// Owned by the test.
	pid   int         // of who serves
	lines chan string // of what the processes say
}

func startRestartable(t *testing.T, cfg Config, spoil string) *restartable {
	t.Helper()
	const any = "127.0.0.1:0"
	cfg.Listen, cfg.API, cfg.Admin = any, any, any
	cfg.InMemory = cfg.Data == ""
	cfg.Loops, cfg.Journal, cfg.DrainGrace, cfg.DrainSpread = 2, 8<<20, -1, -1
	cfg.DrainHard = patience
	text, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	n := &restartable{rig: &rig{t: t, doors: map[string]string{}}, lines: make(chan string, 99),
		cmd: exec.Command(os.Args[0], "-test.run", "^$", fmt.Sprintf("-test.v=%v",
			testing.Verbose()))}
	n.supervisor = listenSupervisor(t)
	n.cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+n.supervisor.LocalAddr().String(),
		restartVariable+"="+string(text), spoilVariable+"="+spoil)
	n.cmd.Stderr = os.Stderr
	out, err := n.cmd.StdoutPipe()
	if err == nil {
		err = n.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(n.lines)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			n.lines <- lines.Text()
		}
	}()
	t.Cleanup(func() {
		_ = syscall.Kill(n.pid, syscall.SIGKILL)
		_ = n.cmd.Process.Kill()
		_ = n.cmd.Wait()
	})
	n.pid = n.cmd.Process.Pid
	n.opened()
	n.waitReady()
	return n
}

// listenSupervisor is told what a process tells systemd.
func listenSupervisor(t *testing.T) *net.UnixConn {
	t.Helper()
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram",
		Name: filepath.Join(t.TempDir(), "notify")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// opened reads where a process has opened its doors, which must be where they were.
func (n *restartable) opened() {
	n.t.Helper()
	for range 3 {
		f := strings.Fields(n.line())
		if len(f) != 3 || f[1] == "restart" {
			n.t.Fatalf("a process says %q in place of where it listens", f)
		}
		if before := n.doors[f[1]]; before != "" && before != f[2] {
			n.t.Errorf("%s listens at %s, was %s", f[1], f[2], before)
		}
		n.pid, _ = strconv.Atoi(f[0])
		n.doors[f[1]] = f[2]
	}
}

func (n *restartable) line() string {
	n.t.Helper()
	select {
	case line, ok := <-n.lines:
		if !ok {
			n.t.Fatal("all processes have ended")
		}
		return line
	case <-time.After(patience):
		n.t.Fatal("no process says anything")
	}
	return ""
}

func (n *restartable) waitReady() {
	n.t.Helper()
	until(n.t, "ready", func() bool {
		status, _, err := n.get("admin", "/readyz")
		return status == 200 && err == nil
	})
}

// restart has another process take over, and returns when that serves.
func (n *restartable) restart() {
	n.t.Helper()
	before := n.pid
	if err := syscall.Kill(n.pid, syscall.SIGUSR2); err != nil {
		n.t.Fatal(err)
	}
	for opened := 0; opened < 4; opened++ {
		f := strings.Fields(n.line())
		if pid, _ := strconv.Atoi(f[0]); pid != before {
			n.pid = pid
			if n.doors[f[1]] != f[2] {
				n.t.Errorf("%s listens at %s, was %s", f[1], f[2], n.doors[f[1]])
			}
		} else if f[1] != "restart" {
			n.t.Fatalf("the process that was to go on says %q", f)
		}
	}
	if n.pid == before {
		n.t.Fatal("no other process serves")
	}
	_ = n.supervisor.SetReadDeadline(time.Now().Add(patience))
	told := make([]byte, 99)
	size, err := n.supervisor.Read(told)
	if want := fmt.Sprintf("MAINPID=%d", n.pid); string(told[:size]) != want || err != nil {
		n.t.Errorf("the supervisor is told %q, %v, want %s", told[:size], err, want)
	}
	n.waitReady()
}

// ask is a request to the operator's door that must succeed. One that came while the node was
// moving may have been cut off before anybody read it.
func (n *restartable) ask(method, path, body string) (answer string) {
	n.t.Helper()
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	req, err := http.NewRequest(method, "http://"+n.doors["admin"]+path, strings.NewReader(body))
	if err != nil {
		n.t.Fatal(err)
	}
	res, err := client.Do(req)
	if err != nil {
		n.t.Fatal(err)
	}
	defer res.Body.Close()
	b, _ := io.ReadAll(res.Body)
	if res.StatusCode/100 != 2 {
		n.t.Fatalf("%s %s: %d %s", method, path, res.StatusCode, b)
	}
	return string(b)
}

// furnish makes a guild with a text and a voice channel, and users, numbered from 1.
func (n *restartable) furnish(guild wire.Snowflake, users int) {
	n.t.Helper()
	var members bytes.Buffer
	for user := 1; user <= users; user++ {
		n.ask("PUT", fmt.Sprintf("/v1/users/%d", user), fmt.Sprintf(
			`{"username":"u%d","token":"%s"}`, user, tokenOf(wire.Snowflake(user))))
		fmt.Fprintf(&members, `{"user_id":"%d"}`+"\n", user)
	}
	n.ask("PUT", fmt.Sprintf("/v1/guilds/%d", guild), fmt.Sprintf(`{"name":"g","owner_id":"1",`+
		`"channels":[{"id":"%d","type":0,"name":"general"},{"id":"%d","type":2,"name":"voice"}]}`,
		guild+1, guild+2))
	n.ask("POST", fmt.Sprintf("/v1/guilds/%d/members", guild), members.String())
}

func (n *restartable) publishNumber(guild wire.Snowflake, number int) {
	n.t.Helper()
	n.ask("POST", fmt.Sprintf("/v1/guilds/%d/events", guild),
		fmt.Sprintf(`{"t":"TEST_EVENT","d":{"n":%d}}`, number))
}

// follow reads a session's events until it is told that there are no more, and comes back by RESUME
// whenever it has to. Events must come in their order, each once.
func follow(c *wsClient) (resumes int, err error) {
	for {
		h, err := c.read()
		switch {
		case err != nil || h.opcode == wire.OpcodeClose || h.Op == int(wire.OpReconnect):
			if err == nil && h.opcode == wire.OpcodeClose && h.code != 4000 {
				return resumes, fmt.Errorf("closed with %v", h)
			}
			_ = c.conn.Close()
			if resumes++; resumes > 50 {
				return resumes, fmt.Errorf("it never comes back: %v", err)
			}
			next, err := c.rig.tryConnect(0)
			if err == nil {
				err = next.tryUpgrade(c.target)
			}
			if err != nil {
				return resumes, fmt.Errorf("a dial: %w", err)
			}
			next.user, next.session, next.seq, next.number = c.user, c.session, c.seq, c.number
			c = next
			_ = c.tryWrite(c.command(6, c.resumeBody()))
		case h.Op == int(wire.OpInvalidSession):
			return resumes, fmt.Errorf("the session is not resumed: %v", h)
		case h.Type == "TEST_EVENT":
			number, _ := wire.IntField(h.Data, "n")
			if number != c.number+1 {
				return resumes, fmt.Errorf("event %d came behind %d", number, c.number)
			}
			c.number = number
		case h.Type == "TEST_END":
			if number, _ := wire.IntField(h.Data, "n"); number != c.number {
				return resumes, fmt.Errorf("of %d events %d came", number, c.number)
			}
			return resumes, c.conn.Close()
		}
	}
}

// dialUntil opens connections until stop is closed. Each must get HELLO.
func (n *restartable) dialUntil(stop <-chan struct{}) (dials int) {
	for ; ; dials++ {
		select {
		case <-stop:
			return dials
		default:
		}
		c, err := n.tryConnect(0)
		if err == nil {
			err = c.tryUpgrade("/")
		}
		if err == nil {
			_, err = c.read()
		}
		if err != nil {
			n.t.Errorf("dial %d: %v", dials, err)
			return dials
		}
		_ = c.conn.Close()
	}
}

// stir has events published and connections opened until the function that it returns is called,
// which holds that each session has got all of the events. Each must have resumed so often.
func (n *restartable) stir(guild wire.Snowflake, sessions []*wsClient) (settle func(least, most int)) {
	stop := make(chan struct{})
	published, dials := 0, 0
	var stirring, following sync.WaitGroup
	stirring.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				published++
				n.publishNumber(guild, published)
			}
		}
	})
	stirring.Go(func() { dials = n.dialUntil(stop) })
	results, resumes := make([]error, len(sessions)), make([]int, len(sessions))
	for i, s := range sessions {
		following.Go(func() { resumes[i], results[i] = follow(s) })
	}
	return func(least, most int) {
		n.t.Helper()
		close(stop)
		stirring.Wait()
		n.ask("POST", fmt.Sprintf("/v1/guilds/%d/events", guild),
			fmt.Sprintf(`{"t":"TEST_END","d":{"n":%d}}`, published))
		following.Wait()
		for i, err := range results {
			if err != nil || resumes[i] < least || resumes[i] > most {
				n.t.Errorf("session %d, %d resumes: %v", i, resumes[i], err)
			}
		}
		n.t.Logf("%d events, %d dials", published, dials)
	}
}

// TestTakeoverLosesNothing restarts a node twice while events are published and clients dial: no
// session loses one, or gets one twice, and nobody is refused.
func TestTakeoverLosesNothing(t *testing.T) {
	t.Parallel()
	files := enginetest.NewAuthority(t)
	for _, c := range []struct {
		name, data string
		tls        bool
	}{{"in memory", "", false}, {"on disk, by TLS", t.TempDir(), true}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			const guild, users = 1000, 6
			cfg, secure := Config{Data: c.data}, (*tls.Config)(nil)
			if c.tls {
				cfg.TLSCert, cfg.TLSKey = files.CertFile, files.KeyFile
				secure = &tls.Config{RootCAs: files.Client.RootCAs, ServerName: "127.0.0.1",
					ClientSessionCache: tls.NewLRUClientSessionCache(9)}
			}
			n := startRestartable(t, cfg, "")
			n.secure = secure
			n.furnish(guild, users)
			var sessions []*wsClient
			for user := 1; user < users; user++ {
				s := n.loginAt("/?v=10&encoding="+[]string{"json", "etf",
					"json&compress=zstd-stream", "etf&compress=zstd-stream",
					"json&compress=zlib-stream"}[user-1], wire.Snowflake(user))
				s.joined(1)
				sessions = append(sessions, s)
			}
			sessions[0].send(3, `{"since":null,"activities":[],"status":"dnd","afk":false}`)
			sessions[0].send(4, fmt.Sprintf(`{"guild_id":"%d","channel_id":"%d","self_mute":true,`+
				`"self_deaf":false}`, guild, guild+2))
			sessions[0].send(1, "null")
			sessions[0].wantOp(wire.OpHeartbeatAck) // So the node has read what went before.
			settle := n.stir(guild, sessions)
			n.restart()
			n.restart()
			settle(2, 4)
			n.knows(guild, users)
			if err := syscall.Kill(n.pid, syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			for line := range n.lines { // Until the last process has ended.
				t.Logf("it says %s", line)
			}
		})
	}
}

// knows holds that the node has what there was of its guild before it was restarted.
func (n *restartable) knows(guild wire.Snowflake, users int) {
	n.t.Helper()
	info := object(n.t, []byte(n.ask("GET", fmt.Sprintf("/v1/guilds/%d", guild), "")))
	if got := fmt.Sprint(info["session_count"]); got != fmt.Sprint(users-1) {
		n.t.Errorf("the guild has %s sessions, want %d", got, users-1)
	}
	n.ask("GET", "/debug/check", "")
	c := n.dial("/?v=10&encoding=json")
	c.wantOp(wire.OpHello)
	c.send(2, strings.Replace(identifyBody(wire.Snowflake(users), ""),
		fmt.Sprintf(`"intents":%d`, testIntents), fmt.Sprintf(`"intents":%d`,
			testIntents|wire.IntentGuildPresences|wire.IntentGuildVoiceStates), 1))
	c.ready(wire.Snowflake(users))
	create := string(c.wantEvent("GUILD_CREATE").Data)
	_ = c.conn.Close()
	for _, want := range []string{`"status":"dnd"`, `"self_mute":true`} {
		if !strings.Contains(create, want) {
			n.t.Errorf("a new session is not told of %s: %s", want, create)
		}
	}
}

// TestTakeoverThatFails: whatever the process that is to take over does wrong, the one that is
// there goes on, and no session notices.
func TestTakeoverThatFails(t *testing.T) {
	t.Parallel()
	for _, spoil := range []string{"never", "journal", "die"} {
		t.Run(spoil, func(t *testing.T) {
			t.Parallel()
			const guild, users = 1000, 4
			n := startRestartable(t, Config{Data: t.TempDir()}, spoil)
			n.furnish(guild, users)
			var sessions []*wsClient
			for user := 1; user < users; user++ {
				s := n.login(wire.Snowflake(user))
				s.joined(1)
				sessions = append(sessions, s)
			}
			settle := n.stir(guild, sessions)
			before := n.pid
			for range 2 {
				if err := syscall.Kill(n.pid, syscall.SIGUSR2); err != nil {
					t.Fatal(err)
				}
				for line := ""; line != fmt.Sprintf("%d restart over", before); {
					if line = n.line(); !strings.HasPrefix(line, fmt.Sprint(before)) {
						t.Fatalf("another process says %s", line)
					}
				}
			}
			settle(0, 0)
			n.furnish(guild, users) // It keeps what it is given.
			n.waitReady()
			n.ask("GET", "/debug/check", "")
		})
	}
}
