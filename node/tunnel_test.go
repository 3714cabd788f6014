package node

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"sync"
	"testing"

	"throng/node/api"
	"throng/node/cluster"
	"throng/node/cluster/enginetest"
	"throng/store"
	"throng/tuning"
	"throng/wire"
)

// twoRigs are a node that has guild 100 and its members' sessions, and another that knows of it as
// nodes of a cluster do, by a view.
type twoRigs struct {
	home, away *rig
	door       *http.Server // of home, for away
	view       cluster.View // as away has it
}

const doorKey = "the door's key"

func startTwo(t testing.TB, cfg Config, secure bool, tweaks ...func(*core)) *twoRigs {
	t.Helper()
	two := &twoRigs{}
	var files *enginetest.Authority
	if secure {
		files = enginetest.NewAuthority(t)
		tweaks = append(tweaks, func(c *core) { c.tunnels.tls = files.Client })
	}
	cfg.Node = "node-home"
	two.home = startRig(t, cfg, tweaks...)
	two.home.user(1, true)
	two.home.user(2, true)
	two.home.guild(100, 1, 2)
	cfg.Node = "node-away"
	two.away = startRig(t, cfg, tweaks...)

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if secure {
		pair, err := tls.LoadX509KeyPair(files.CertFile, files.KeyFile)
		if err != nil {
			t.Fatal(err)
		}
		l = tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{pair}})
	}
	c := api.Config{Peers: true}
	two.door = api.NewServer(peerHandler(doorKey, two.home.Node, c), c)
	go func() { _ = two.door.Serve(l) }()
	t.Cleanup(func() { _ = two.door.Close() })
	two.show(cluster.Node{Name: "node-home", Door: address, Key: doorKey})
	return two
}

// show shows away these nodes and itself.
func (two *twoRigs) show(nodes ...cluster.Node) {
	ring, err := store.NewRing(store.RingConfig{Nodes: []store.RingNode{
		{Name: "node-home", Weight: store.RingWeight}}})
	if err != nil {
		two.away.t.Fatal(err)
	}
	two.view = cluster.View{Generation: two.view.Generation + 1, Ring: ring,
		Nodes: append([]cluster.Node{{Name: "node-away"}}, nodes...)}
	view := two.view
	two.away.core.mesh.view.Store(&view)
}

// resumeAt resumes c's session on a node, up to RESUME.
func (c *wsClient) resumeAt(r *rig, target string) *wsClient {
	c.t.Helper()
	next := r.dial(target)
	next.wantOp(wire.OpHello)
	next.takeOver(c)
	return next
}

// given waits until a node has no connection and no tunnel any more.
func (r *rig) given() {
	r.t.Helper()
	r.until("no connection is left", func() bool {
		return r.core.connections.Load() == 0 && r.core.tunnels.held.Load() == 0
	})
}

// wantVerdict reads Invalid Session with that d.
func (c *wsClient) wantVerdict(d string) {
	c.t.Helper()
	c.wantOp(wire.OpHeartbeat)
	if h := c.wantOp(wire.OpInvalidSession); string(h.Data) != d {
		c.t.Errorf("got %v, want d to be %s", h, d)
	}
}

// exchange has a client say something at its place and hear something.
func (c *wsClient) exchange(home *rig, n int) {
	c.t.Helper()
	c.send(1, fmt.Sprint(c.seq))
	c.wantOp(wire.OpHeartbeatAck)
	c.write(frame(wire.OpcodePing, "p"))
	if h := c.next(); h.opcode != wire.OpcodePong {
		c.t.Fatalf("got %v, want a pong", h)
	}
	home.publish(100, n)
	c.wantNumber(n)
}

func TestResumeOnAnotherNode(t *testing.T) {
	for _, secure := range []bool{false, true} {
		for _, budget := range []tuning.Size{0, 64 << 20} {
			for _, target := range []string{
				"/?encoding=json", "/?v=9&encoding=etf",
				"/?encoding=json&compress=zlib-stream", "/?encoding=etf&compress=zstd-stream",
				"/?encoding=etf&compress=zlib-stream", "/?encoding=json&compress=zstd-stream",
			} {
				t.Run(fmt.Sprintf("tls %t, contexts %d, %s", secure, budget, target),
					func(t *testing.T) {
						two := startTwo(t, Config{CompressContext: budget}, secure)
						two.goAndReturn(t, target)
					})
			}
		}
	}
}

// goAndReturn has a session go on at home and away, in turns.
func (two *twoRigs) goAndReturn(t *testing.T, target string) {
	c := two.home.loginAt(target, 1)
	c.joined(1)
	n := 0
	for turn := range 6 {
		c.conn.Close()
		for range 3 {
			two.home.publish(100, n)
			n++
		}
		at := two.home
		if turn%3 != 2 {
			at = two.away
		}
		next := c.resumeAt(at, target)
		for i := n - 3; i < n; i++ {
			next.wantNumber(i)
		}
		next.wantEvent("RESUMED")
		next.exchange(two.home, n)
		n++
		all, err := two.home.SessionsOf(two.home.context(), 1)
		if err != nil || len(all) != 1 || all[0].Remote != next.conn.LocalAddr().String() {
			t.Errorf("the session is %+v, %v", all, err)
		}
		c = next
	}
	if got := two.away.core.tunnels.carried.Load(); got != 4 {
		t.Errorf("%d were carried, want 4", got)
	}
	c.write(closeFrame(1000))
	for c.next().opcode != wire.OpcodeClose {
	}
	c.wantEnd()
	two.home.given()
	two.away.given()
	for _, r := range []*rig{two.home, two.away} {
		if n, size := r.core.contexts.Load(), r.core.contextBytes.Load(); n != 0 || size != 0 {
			t.Errorf("%s: %d contexts of %d octets are left", r.core.limits.node, n, size)
		}
	}
}

// TestManyResumeOnAnotherNode has all clients come to the other node at once, twice: the second
// time while their first tunnels are there.
func TestManyResumeOnAnotherNode(t *testing.T) {
	t.Parallel()
	const clients = 200
	two := startTwo(t, Config{}, false)
	all := make([]*wsClient, clients)
	for i := range all {
		all[i] = two.home.login(1)
		all[i].joined(1)
	}
	for round := range 2 {
		two.home.publish(100, 2*round)
		var resuming sync.WaitGroup
		for i := range all {
			resuming.Go(func() {
				c, err := all[i].tryResumeAt(two.away, "/")
				if err == nil {
					err = c.untilNumber(2*round + 1)
				}
				if err != nil {
					t.Errorf("client %d: %v", i, err)
					return
				}
				all[i] = c
			})
		}
		two.home.until("all have resumed", func() bool {
			return t.Failed() || two.home.core.resumes.ok.Load() == uint64(clients*(round+1))
		})
		two.home.publish(100, 2*round+1)
		resuming.Wait()
		if t.Failed() {
			return
		}
	}
	two.away.until("the first tunnels have ended", func() bool {
		return two.away.core.tunnels.held.Load() == clients
	})
	for _, c := range all {
		c.conn.Close()
	}
	two.home.given()
	two.away.given()
}

// tryResumeAt is resumeAt for a goroutine that is not the test's.
func (c *wsClient) tryResumeAt(r *rig, target string) (*wsClient, error) {
	next, err := r.tryConnect(0)
	if err != nil {
		return nil, err
	}
	if err := next.tryUpgrade(target); err != nil {
		return nil, err
	}
	if h, err := next.read(); err != nil || h.Op != int(wire.OpHello) {
		return nil, fmt.Errorf("%v %w", h, err)
	}
	next.user, next.session, next.seq = c.user, c.session, c.seq
	return next, next.tryWrite(next.command(6, next.resumeBody()))
}

// untilNumber reads until the event of that number comes. Dispatches have no gap, or read says so.
func (c *wsClient) untilNumber(n int) error {
	for {
		h, err := c.read()
		if err != nil {
			return err
		}
		if got, _ := wire.IntField(h.Data, "n"); h.Type == "TEST_EVENT" && int(got) == n {
			return nil
		}
	}
}

// TestBytesBehindResumeOnAnotherNode has a command and a half arrive with the RESUME.
func TestBytesBehindResumeOnAnotherNode(t *testing.T) {
	for _, secure := range []bool{false, true} {
		two := startTwo(t, Config{}, secure)
		c := two.home.login(1)
		c.joined(1)
		c.conn.Close()
		next := two.away.dial("/")
		next.wantOp(wire.OpHello)
		next.user, next.session, next.seq = c.user, c.session, c.seq
		b := next.command(1, "null")
		b = append(b, next.command(6, next.resumeBody())...)
		b = append(b, next.command(1, "null")...)
		b = append(b, next.command(1, "1")...)
		next.write(b[:len(b)-3])
		for acks, resumed := 0, false; acks < 2 || !resumed; {
			switch h := next.next(); {
			case h.Op == int(wire.OpHeartbeatAck):
				acks++
			case h.Type == "RESUMED":
				resumed = true
			default:
				t.Fatalf("got %v", h)
			}
		}
		next.write(b[len(b)-3:])
		next.wantOp(wire.OpHeartbeatAck)
		next.exchange(two.home, 1)
	}
}

func TestResumesOnAnotherNodeThatAreRefused(t *testing.T) {
	two := startTwo(t, Config{}, false)
	c := two.home.login(1)
	c.joined(1)
	body := func(token, session string, seq int) string {
		return fmt.Sprintf(`{"token":"%s","session_id":"%s","seq":%d}`, token, session, seq)
	}
	stranger := "0123456789abcdef" + c.session[16:]
	try := func(name, target, body string, verdict func(c *wsClient)) {
		t.Run(name, func(t *testing.T) {
			next := two.away.dial(target)
			next.t, next.user = t, 1
			next.wantOp(wire.OpHello)
			next.send(6, body)
			verdict(next)
			next.conn.Close()
			two.away.given()
			// Whoever knows better still gets in.
			again := c.resumeAt(two.away, "/")
			again.wantEvent("RESUMED")
			again.conn.Close()
			c.seq = again.seq
			two.away.given()
		})
	}
	closes := func(code wire.CloseCode) func(c *wsClient) {
		return func(c *wsClient) { c.wantClose(code) }
	}
	gone := func(c *wsClient) { c.wantVerdict("false") }
	goneHere := func(c *wsClient) {
		gone(c)
		if got := two.away.core.tunnels.carried.Load(); got%2 != 0 {
			t.Log(got)
		}
		c.send(1, "null")
		c.wantOp(wire.OpHeartbeatAck)
		if c.at() < 0 || two.away.core.tunnels.held.Load() != 0 {
			t.Error("the connection is not this node's")
		}
	}
	try("a wrong token", "/", body("x", c.session, 1), closes(wire.CloseAuthenticationFailed))
	try("a number too high", "/", body(tokenOf(1), c.session, 99), closes(wire.CloseInvalidSeq))
	try("number 0", "/", body(tokenOf(1), c.session, 0), gone)
	try("another version", "/?v=9", body(tokenOf(1), c.session, 1), gone)
	try("an id of nobody", "/", body(tokenOf(1), stranger, 1), goneHere)
	try("another node's tag", "/", body(tokenOf(1), c.session[:16]+"0000"+c.session[20:], 1),
		goneHere)
	try("a loop that is not there", "/", body(tokenOf(1), c.session[:20]+"ffff"+c.session[24:], 1),
		goneHere)
}

// TestResumeOfASessionThatCannotBeAsked: it is the view that says that a node is gone.
func TestResumeOfASessionThatCannotBeAsked(t *testing.T) {
	two := startTwo(t, Config{MaxConnections: 4}, false)
	c := two.home.login(1)
	c.joined(1)
	record := two.view.Nodes[1]
	expect := func(what, verdict string) {
		t.Helper()
		next := c.resumeAt(two.away, "/")
		next.wantVerdict(verdict)
		next.send(1, "null") // And the connection goes on.
		next.wantOp(wire.OpHeartbeatAck)
		next.conn.Close()
		two.away.given()
		if t.Failed() {
			t.Fatal(what)
		}
	}
	var others []*wsClient
	for range 3 {
		others = append(others, two.home.dial("/"))
	}
	expect("the session's node is full", "true")
	for _, o := range others {
		o.conn.Close()
	}
	for range 3 {
		others = append(others, two.away.dial("/"))
	}
	next := c.resumeAt(two.away, "/")
	next.wantVerdict("true") // This node is full.
	next.conn.Close()
	for _, o := range others {
		o.conn.Close()
	}
	two.away.given()

	wrong := record
	wrong.Key = "x"
	two.show(wrong)
	expect("the key is another's", "true")
	drains := record
	drains.Draining = true
	two.show(drains)
	expect("the session's node drains", "false")
	two.show(record)
	_ = two.door.Close()
	expect("nobody opens", "true")
	two.show()
	expect("the session's node is gone", "false")
}

func TestTunnelsAreBounded(t *testing.T) {
	two := startTwo(t, Config{}, false, func(c *core) { c.limits.tunnelsMax = 1 })
	a, b := two.home.login(1), two.home.login(2)
	a.joined(1)
	b.joined(1)
	first := a.resumeAt(two.away, "/")
	first.wantEvent("RESUMED")
	second := b.resumeAt(two.away, "/")
	second.wantVerdict("true")
	first.conn.Close()
	two.away.until("there is room", func() bool { return two.away.core.tunnels.held.Load() == 0 })
	second.takeOver(b)
	second.wantEvent("RESUMED")
}
