package node

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"throng/node/api"
	"throng/wire"
)

// rig is a node in this process, on ports that the kernel picked.
type rig struct {
	*Node
	t      testing.TB
	doors  map[string]string // name of a door -> its address
	cancel context.CancelFunc
	ended  chan struct{}
	result error // of Run, once ended is closed

	secure *tls.Config // of clients that speak TLS
	header []byte      // what a proxy says ahead of its clients

	panics uint64 // how many the test means to cause
	gaveUp chan struct{}
}

// patience is how long a test waits for what must come. No good run waits that long.
const patience = 60 * time.Second

// startRig runs a node. What a test leaves out of cfg is chosen for tests: two loops, in memory, a
// drain without pauses. tweaks see the core before the node runs, and may change its limits.
func startRig(t testing.TB, cfg Config, tweaks ...func(*core)) *rig {
	t.Helper()
	r := newRig(t, cfg, tweaks...)
	r.run()
	t.Cleanup(r.stop)
	return r
}

func newRig(t testing.TB, cfg Config, tweaks ...func(*core)) *rig {
	t.Helper()
	const any = "127.0.0.1:0"
	cfg.Listen, cfg.API, cfg.Admin = any, any, any
	cfg.InMemory = cfg.Data == ""
	if cfg.Loops == 0 {
		cfg.Loops = 2
	}
	if cfg.Journal == 0 {
		cfg.Journal = 8 << 20
	}
	if cfg.DrainGrace == 0 {
		cfg.DrainGrace = -1
	}
	if cfg.DrainSpread == 0 {
		cfg.DrainSpread = -1
	}
	r := &rig{t: t, ended: make(chan struct{}), gaveUp: make(chan struct{})}
	doors := 3
	if cfg.Etcd != "" {
		doors++
	}
	listens := &listenLog{addresses: make(chan [2]string, doors)}
	n, err := New(cfg, slog.New(listens))
	if err != nil {
		t.Fatal(err)
	}
	r.Node = n
	var once sync.Once
	n.core.giveUp = func() { once.Do(func() { close(r.gaveUp) }) }
	n.core.limits.lingerMilli = 1000
	// Test clients beat only where beating is the question, and a machine may be slow.
	n.core.limits.deadMilli = 3_600_000
	for _, tweak := range tweaks {
		tweak(n.core)
	}
	r.doors = map[string]string{}
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	go func() {
		r.result = n.Run(ctx)
		close(r.ended)
	}()
	for len(r.doors) < doors {
		select {
		case a := <-listens.addresses:
			r.doors[a[0]] = a[1]
		case <-r.ended:
			t.Fatalf("Run ended: %v", r.result)
		case <-time.After(patience):
			t.Fatalf("the node listens only to %v", r.doors)
		}
	}
	return r
}

// run waits until the node takes sessions.
func (r *rig) run() {
	r.t.Helper()
	r.until("ready", func() bool { return r.Ready() == nil })
}

// stop checks the node's invariants and ends it. It may be called again.
func (r *rig) stop() {
	r.t.Helper()
	select {
	case <-r.ended:
		return
	default:
	}
	if r.state.Load() != stateDraining { // Else its loops may have ended already.
		r.sound()
	}
	r.cancel()
	select {
	case <-r.ended:
	case <-time.After(patience):
		buf := make([]byte, 1<<20)
		r.t.Fatalf("Run goes on:\n%s", buf[:runtime.Stack(buf, true)])
	}
	if r.result != nil {
		r.t.Errorf("Run returned %v", r.result)
	}
}

// sound holds the live state against its invariants.
func (r *rig) sound() {
	r.t.Helper()
	if err := r.Check(r.context()); err != nil {
		r.t.Errorf("check: %v", err)
	}
	if got := r.core.panics.Load(); got != r.panics {
		r.t.Errorf("%d panics, want %d", got, r.panics)
	}
}

// context ends when the test has waited long enough.
func (r *rig) context() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	r.t.Cleanup(cancel)
	return ctx
}

// until waits for a condition.
func (r *rig) until(what string, ok func() bool) {
	r.t.Helper()
	until(r.t, what, ok)
}

func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	limit := time.After(patience)
	for !ok() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// user makes a user; its token is what tokenOf says. The news of it are over when it returns, and
// come between nothing that the test looks at.
func (r *rig) user(id wire.Snowflake, bot bool) {
	r.t.Helper()
	doc := fmt.Appendf(nil, `{"id":"%d","username":"u%d","discriminator":"0","global_name":null,`+
		`"avatar":null,"bot":%t}`, id, id, bot)
	errs, err := r.PutUsers(r.context(), []api.UserInput{{ID: id, Doc: doc, Token: tokenOf(id)}})
	if err = errors.Join(append(errs, err)...); err != nil {
		r.t.Fatal(err)
	}
	r.until("the user is told of", func() bool { return r.core.courier.renames.ahead.Load() == 0 })
}

func tokenOf(id wire.Snowflake) string { return fmt.Sprintf("token.of.%d", id) }

// guild makes a guild with a text channel, which has the guild's id plus one, and these members.
func (r *rig) guild(id wire.Snowflake, members ...wire.Snowflake) {
	r.t.Helper()
	r.guildDoc(id, fmt.Sprintf(`{"name":"g%d","owner_id":"1","channels":[`+
		`{"id":"%d","type":0,"name":"general"},{"id":"%d","type":2,"name":"voice"}]}`,
		id, id+1, id+2), members...)
}

func (r *rig) guildDoc(id wire.Snowflake, doc string, members ...wire.Snowflake) {
	r.t.Helper()
	if err := r.PutGuild(r.context(), id, []byte(doc)); err != nil {
		r.t.Fatal(err)
	}
	r.members(id, members...)
}

func (r *rig) members(guild wire.Snowflake, members ...wire.Snowflake) {
	r.t.Helper()
	var lines [][]byte
	for _, m := range members {
		lines = append(lines, fmt.Appendf(nil, `{"user_id":"%d"}`, m))
	}
	errs, err := r.PutMembers(r.context(), guild, lines, false)
	if err = errors.Join(append(errs, err)...); err != nil {
		r.t.Fatal(err)
	}
}

// event is one that the protocol does not know, so that every session of the guild gets it.
func event(number int) api.EventInput {
	return api.EventInput{Type: "TEST_EVENT", Data: fmt.Appendf(nil, `{"n":%d}`, number)}
}

// publish sends events with these numbers to a guild.
func (r *rig) publish(guild wire.Snowflake, numbers ...int) {
	r.t.Helper()
	for _, n := range numbers {
		r.publishEvent(guild, event(n))
	}
}

// publishEvent publishes as a backend does, which comes again when it is told to.
func (r *rig) publishEvent(guild wire.Snowflake, e api.EventInput) {
	r.t.Helper()
	var rejected []error
	var err error
	r.until("the guild takes an event", func() bool {
		var busy *api.Error
		_, rejected, err = r.Publish(r.context(), guild, []api.EventInput{e})
		return !errors.As(err, &busy) || busy.Status != http.StatusTooManyRequests
	})
	if err = errors.Join(append(rejected, err)...); err != nil {
		r.t.Fatal(err)
	}
}

// onLoop runs f on a loop's goroutine.
func (r *rig) onLoop(index int, f func(l *loop)) {
	r.t.Helper()
	err := r.Node.onLoop(r.context(), index, func(l *loop) error {
		f(l)
		return nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
}

// eachSocket looks at every socket, on its loop.
func (r *rig) eachSocket(f func(l *loop, k *socket)) {
	r.t.Helper()
	for i := range r.core.loops {
		r.onLoop(i, func(l *loop) {
			for _, k := range l.sockets {
				if k != nil {
					f(l, k)
				}
			}
		})
	}
}

func (r *rig) closes(reason CloseReason) uint64 { return r.core.closes[reason].Load() }

// get asks a door of HTTP.
func (r *rig) get(door, path string) (status int, body string, err error) {
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Get("http://" + r.doors[door] + path)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return res.StatusCode, string(b), err
}

// usage is what a node may leak.
type usage struct{ goroutines, descriptors, sockets int }

func (r *rig) usage() (u usage) {
	r.t.Helper()
	u.goroutines = runtime.NumGoroutine()
	u.descriptors = descriptors(r.t)
	r.eachSocket(func(*loop, *socket) { u.sockets++ })
	return u
}

func descriptors(t testing.TB) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// backTo waits until nothing is held that was not held before.
func (r *rig) backTo(before usage) {
	r.t.Helper()
	var now usage
	defer func() {
		if r.t.Failed() {
			r.t.Logf("in use: %+v, before: %+v", now, before)
		}
	}()
	r.until("everything given back", func() bool {
		now = r.usage()
		return now.goroutines <= before.goroutines && now.descriptors <= before.descriptors &&
			now.sockets <= before.sockets
	})
}

// listenLog is a log that listens for where the doors are.
type listenLog struct {
	addresses chan [2]string
}

func (*listenLog) Enabled(context.Context, slog.Level) bool { return true }
func (l *listenLog) WithAttrs([]slog.Attr) slog.Handler     { return l }
func (l *listenLog) WithGroup(string) slog.Handler          { return l }

func (l *listenLog) Handle(_ context.Context, r slog.Record) error {
	said := map[string]string{}
	r.Attrs(func(a slog.Attr) bool {
		said[a.Key] = a.Value.String()
		return true
	})
	if r.Message == "listening" {
		l.addresses <- [2]string{said["door"], said["addr"]}
	} else if testing.Verbose() && r.Level >= slog.LevelWarn {
		var all []string
		for _, key := range slices.Sorted(maps.Keys(said)) {
			all = append(all, key+"="+said[key])
		}
		fmt.Fprintln(os.Stderr, r.Message, strings.Join(all, " "))
	}
	return nil
}

// object reads JSON in a test.
func object(t testing.TB, raw []byte) map[string]any {
	t.Helper()
	var o map[string]any
	if err := json.Unmarshal(raw, &o); err != nil {
		t.Fatalf("%v in %s", err, raw)
	}
	return o
}

// withApplicationFlags is a bot whose application was granted what the flags say.
func withApplicationFlags(id wire.Snowflake, flags int) []api.UserInput {
	return []api.UserInput{{ID: id, Token: tokenOf(id), Doc: fmt.Appendf(nil,
		`{"id":"%d","username":"bot","discriminator":"0","global_name":null,"avatar":null,`+
			`"bot":true,"application_flags":%d}`, id, flags)}}
}

func namedEvent(name, d string) api.EventInput {
	return api.EventInput{Type: name, Data: []byte(d)}
}
