package node

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"

	"throng/node/api"
	"throng/node/cluster"
	"throng/node/cluster/enginetest"
	"throng/node/cluster/replica"
	"throng/store"
)

// refusingDirectory takes nothing.
type refusingDirectory struct {
	store.Directory
	err     error
	applied int
}

func (d *refusingDirectory) Apply([]store.Op) error {
	d.applied++
	return d.err
}

// TestKeeperWhileTheLogIsAway: a batch that the log does not take is not tried part by part, each
// of them for as long as the first; one that has a bad part is.
func TestKeeperWhileTheLogIsAway(t *testing.T) {
	const parts = 5
	for _, c := range []struct {
		err  error
		want int
	}{
		{replica.ErrUnavailable, 1}, {replica.ErrFenced, 1}, {replica.ErrNotApplied, 1},
		{cluster.ErrLogUnknown, 1}, {errInternal, 1 + parts},
	} {
		dir := &refusingDirectory{Directory: store.NewMemory(), err: fmt.Errorf("no: %w", c.err)}
		k := newKeeper(newCore(settings{}, slog.New(slog.DiscardHandler), dir), parts)
		told := 0
		for range parts {
			k.keep([]store.Op{{}}, func(err error) {
				if told++; !errors.Is(err, c.err) {
					t.Errorf("%v: told %v", c.err, err)
				}
			})
		}
		k.pass()
		if dir.applied != c.want || told != parts {
			t.Errorf("%v: tried %d times, %d told, want %d and %d", c.err, dir.applied, told,
				c.want, parts)
		}
	}
}

// answer is what a door says to a request.
func (r *rig) answer(method, path, body string) (status int, retryAfter, said string) {
	req, err := http.NewRequest(method, "http://"+r.doors["admin"]+path, strings.NewReader(body))
	if err != nil {
		return 0, "", err.Error()
	}
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		return 0, "", err.Error()
	}
	defer res.Body.Close()
	b, _ := io.ReadAll(res.Body)
	return res.StatusCode, res.Header.Get("Retry-After"), string(b)
}

// changes are what backends ask for that has to be kept.
var changes = [][3]string{
	{"POST", "/v1/users", `{"id":"2","username":"u2","token":"t"}`},
	{"PUT", "/v1/guilds/200", `{"name":"g","owner_id":"1"}`},
	{"POST", "/v1/guilds/100/members", `{"user_id":"1","nick":"n"}`},
	{"POST", "/v1/guilds/100/events", `{"t":"GUILD_ROLE_CREATE",` +
		`"d":{"role":{"id":"150","name":"r","permissions":"8"}}}`},
	{"DELETE", "/v1/users/1/tokens", ""},
}

// refuseChanges asks for all of them at once, as each takes as long as the log is given to come
// back. The function that is returned waits for the answers.
func (r *rig) refuseChanges() (wait func()) {
	var asking sync.WaitGroup
	for _, q := range changes {
		asking.Go(func() {
			status, retry, said := r.answer(q[0], q[1], q[2])
			if status != http.StatusServiceUnavailable || retry == "" {
				r.t.Errorf("%s %s: %d, again after %q: %s", q[0], q[1], status, retry, said)
			}
		})
	}
	return asking.Wait
}

// takesChanges waits until the log is back.
func (r *rig) takesChanges() {
	r.t.Helper()
	r.until("writes are taken", func() bool {
		status, _, said := r.answer("PUT", "/v1/guilds/200", `{"name":"g","owner_id":"1"}`)
		if status/100 != 2 && status != http.StatusServiceUnavailable {
			r.t.Fatalf("%d %s", status, said)
		}
		return status/100 == 2
	})
	r.user(3, true)
	r.admin("POST", "/v1/guilds/100/members", `{"user_id":"3"}`)
	r.login(3).joined(1)
}

// TestLogAway: while NATS and with it the log is away, what is to be kept is refused, with 503 and
// when to come again; sessions go on with the guilds of their node, and when it is back all is as
// it was.
func TestLogAway(t *testing.T) {
	e := startEngines(t)
	r := startNodes(t, e.config("node-a"))[0]
	r.user(1, true)
	r.guild(100, 1)
	c := r.login(1)
	c.joined(1)
	e.nats.Kill()
	r.until("the log is away", func() bool { return !r.others.log.Reads() })
	wait := r.refuseChanges()
	for n := range 100 {
		r.publish(100, n)
		c.wantNumber(n)
	}
	if _, err := r.PostMessage(r.context(), 101, 1, api.MessageInput{Content: "hi"}); err != nil {
		t.Errorf("a client's message: %v", err)
	}
	c.wantEvent("MESSAGE_CREATE")
	wait()
	r.publish(100, 100)
	c.wantNumber(100)
	r.login(1).joined(1)
	stranger := r.dial("/")
	stranger.send(2, identifyBody(77, ""))
	stranger.wantClose(closeRows[NodeBusy].code)

	e.nats.Start()
	r.takesChanges()
	r.publish(100, 101)
	c.wantNumber(101)
}

// TestLogWithoutQuorum: when most servers of NATS are away, nothing can be kept, and nodes hear each
// other by the one that is left: guilds go on for all sessions, and what comes by NATS is taken.
func TestLogWithoutQuorum(t *testing.T) {
	needEngines(t)
	servers := enginetest.NATSCluster(t, 3)
	e := engines{enginetest.Etcd(t), servers[2]}
	config := func(name string) Config {
		cfg := e.config(name)
		cfg.NATS = strings.Join(enginetest.Addresses(servers), ",")
		return cfg
	}
	rigs := startNodes(t, config("node-a"), config("node-b"))
	home, away := ownerOf(100, rigs)
	home.user(1, true)
	home.guild(100, 1)
	conn, err := nats.Connect(e.nats.Address())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	servers[0].Kill()
	servers[1].Kill()
	for _, r := range rigs {
		r.until("NATS is there", r.others.bus.Connected)
	}
	wait := home.refuseChanges()
	near, far := home.login(1), away.login(1)
	near.joined(1)
	far.joined(1)
	for n := range 100 {
		if n%2 == 0 {
			home.publish(100, n)
		} else if said, ok := publishByNATS(t, conn, 100, n); !ok {
			t.Errorf("event %d: %s", n, said)
		}
		near.wantNumber(n)
		far.wantNumber(n)
	}
	wait()
	servers[0].Start()
	servers[1].Start()
	away.takesChanges()
	home.publish(100, 100)
	near.wantNumber(100)
	far.wantNumber(100)
	for _, r := range rigs {
		r.until("it is fit", r.others.fit)
	}
}
