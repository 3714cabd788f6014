package node

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"throng/node/api"
	"throng/node/cluster/enginetest"
	"throng/wire"
)

// secureRig is a node with TLS; its clients trust it, and show nothing.
func secureRig(t testing.TB, cfg Config, tweaks ...func(*core)) (*rig, *enginetest.Authority) {
	t.Helper()
	files := enginetest.NewAuthority(t)
	cfg.TLSCert, cfg.TLSKey = files.CertFile, files.KeyFile
	r := startRig(t, cfg, tweaks...)
	r.secure = &tls.Config{RootCAs: files.Client.RootCAs, ServerName: "127.0.0.1"}
	r.user(1, true)
	r.user(2, true)
	r.guild(100, 1, 2)
	return r, files
}

// emptied waits until nothing is left of any connection. Other tests run meanwhile, so what counts
// is what this node knows of.
func (r *rig) emptied() {
	r.t.Helper()
	r.until("nothing is left", func() bool {
		sockets := 0
		r.eachSocket(func(*loop, *socket) { sockets++ })
		running, waiting := r.engine.handshakes.count()
		return sockets+running+waiting == 0 && r.core.connections.Load() == 0
	})
}

// TestTLS has sessions come, resume from each loop and go, with events of all sizes: smaller than a
// record, larger than one, and larger than a write.
func TestTLS(t *testing.T) {
	t.Parallel()
	r, _ := secureRig(t, Config{})
	witness := r.login(2)
	witness.joined(1)
	c := r.login(1)
	c.joined(1)
	state := c.conn.(*tls.Conn).ConnectionState()
	if state.Version != tls.VersionTLS13 || state.NegotiatedProtocol != "" {
		t.Errorf("it speaks %x, %q", state.Version, state.NegotiatedProtocol)
	}
	n := 0
	moved := map[bool]int{}
	for round := 0; round < 40 && (round < 8 || moved[true] == 0 || moved[false] == 0); round++ {
		for _, size := range []int{10, 5000, 40_000, 200_000} {
			big := strings.Repeat("x", size)
			r.publishEvent(100, api.EventInput{Type: "TEST_EVENT",
				Data: fmt.Appendf(nil, `{"n":%d,"big":"%s"}`, n, big)})
			for _, reader := range []*wsClient{c, witness} {
				h := reader.wantEvent("TEST_EVENT")
				got, _ := wire.StringField(h.Data, "big")
				if number, _ := wire.IntField(h.Data, "n"); int(number) != n || got != big {
					t.Fatalf("got event %d of %d bytes, want %d of %d", number, len(got), n, size)
				}
			}
			n++
		}
		c.send(1, "null")
		c.wantOp(wire.OpHeartbeatAck)
		_ = c.conn.(*tls.Conn).NetConn().Close()
		next := r.dial("/")
		next.wantOp(wire.OpHello)
		moved[next.at() != c.home()]++
		// What is behind the RESUME, in the same record and in others, goes along.
		next.user, next.session, next.seq = c.user, c.session, c.seq
		next.write(append(next.command(6, next.resumeBody()), next.command(1, "null")...))
		for range 3 {
			next.send(1, "null")
		}
		for acks, resumed := 0, false; acks < 4 || !resumed; {
			switch h := next.next(); {
			case h.Op == int(wire.OpHeartbeatAck):
				acks++
			case h.Type == "RESUMED":
				resumed = true
			default:
				t.Fatalf("got %v", h)
			}
		}
		c = next
	}
	if moved[true] == 0 || moved[false] == 0 {
		t.Errorf("between loops and on one: %v", moved)
	}
	c.write(closeFrame(1000))
	if h := c.next(); h.opcode != wire.OpcodeClose {
		t.Errorf("got %v", h)
	}
	if _, err := c.in.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("the end is not said: %v", err)
	}
	c.conn.Close()
	witness.conn.Close()
	r.emptied()
}

// TestTLSResumeURL: what clients are told of the gateway is where they can reach it.
func TestTLSResumeURL(t *testing.T) {
	t.Parallel()
	r, _ := secureRig(t, Config{})
	c := r.dial("/")
	c.wantOp(wire.OpHello)
	h := c.identify(1, "")
	if url, _ := wire.StringField(h.Data, "resume_gateway_url"); url != "wss://gateway.test" {
		t.Errorf("resume_gateway_url is %q", url)
	}
	status, body, err := r.get("api", "/api/v10/gateway")
	_, port, _ := net.SplitHostPort(r.doors["gateway"])
	want := `{"url":"wss://127.0.0.1:` + port + `"}`
	if status != 200 || strings.TrimSpace(body) != want {
		t.Errorf("got %d %s %v, want %s", status, body, err, want)
	}
}

// TestTLSSlowReader has many sessions whose kernels take little at a time, so that records are
// written in parts, and reads all of it: nothing is missing and nothing is out of place.
func TestTLSSlowReader(t *testing.T) {
	t.Parallel()
	r, _ := secureRig(t, Config{SocketSendBuffer: 4 << 10}, func(c *core) {
		c.limits.lagMilli = 3_600_000
	})
	const readers, events = 4, 120
	var all sync.WaitGroup
	for range readers {
		c := r.loginNarrow(1, 2<<10)
		c.joined(1)
		all.Go(func() {
			for n := 0; n < events; n++ {
				h, err := c.read()
				if err != nil {
					t.Errorf("event %d: %v", n, err)
					return
				}
				if h.Op != int(wire.OpDispatch) {
					n--
					continue
				}
				big, _ := wire.StringField(h.Data, "big")
				want := strings.Repeat(string(rune('a'+n%26)), 100+n*97%9000)
				if got, _ := wire.IntField(h.Data, "n"); int(got) != n || big != want {
					t.Errorf("event %d came as %d with %d bytes", n, got, len(big))
					return
				}
				if n%7 == 0 {
					_ = c.tryWrite(c.command(1, "null"))
				}
			}
		})
	}
	for n := range events {
		r.publishEvent(100, api.EventInput{Type: "TEST_EVENT", Data: fmt.Appendf(nil,
			`{"n":%d,"big":"%s"}`, n, strings.Repeat(string(rune('a'+n%26)), 100+n*97%9000))})
	}
	all.Wait()
}

// TestTLSStuckReader: one who takes nothing holds one record, and is closed for it.
func TestTLSStuckReader(t *testing.T) {
	t.Parallel()
	r, _ := secureRig(t, Config{SocketSendBuffer: 4 << 10}, func(c *core) {
		c.limits.lagMilli = 500
	})
	stuck, err := r.tryConnect(2 << 10)
	if err != nil {
		t.Fatal(err)
	}
	stuck.upgrade("/")
	stuck.wantOp(wire.OpHello)
	stuck.identify(1, "")
	stuck.joined(1)
	for n := range 40 {
		r.publishEvent(100, api.EventInput{Type: "TEST_EVENT",
			Data: fmt.Appendf(nil, `{"n":%d,"big":"%s"}`, n, strings.Repeat("x", 20_000))})
		r.eachSocket(func(_ *loop, k *socket) {
			if x := k.io.(*connection); x.secure != nil && len(x.secure.held) > 5000 {
				t.Errorf("%d bytes are held", len(x.secure.held))
			}
		})
	}
	r.until("it is closed", func() bool { return r.closes(SlowReader) == 1 })
	back := stuck.again()
	for seen := stuck.seq; seen < 42; seen++ {
		back.wantOp(wire.OpDispatch)
	}
}

// TestTLSHandshakes: what is no handshake, or does not go on, ends in time and holds nothing.
func TestTLSHandshakes(t *testing.T) {
	t.Parallel()
	r, _ := secureRig(t, Config{}, func(c *core) { c.limits.handshakeMilli = 1500 })
	secure := r.secure
	r.secure = nil
	t.Run("plain", func(t *testing.T) {
		c := r.connect()
		c.write([]byte(upgradeRequest("/")))
		if status, body, err := c.readHTTP(); status != 400 || !strings.Contains(body, "TLS") {
			t.Errorf("got %d %q %v", status, body, err)
		}
		c.wantEnd()
	})
	hello := helloOf(t, secure)
	for _, c := range []struct {
		name   string
		bytes  []byte
		reason CloseReason
	}{
		{"silent", nil, HandshakeTimeout},
		{"a part", hello[:20], HandshakeTimeout},
		{"a hello and no more", hello, HandshakeTimeout},
		{"nonsense", []byte{22, 3, 1, 0, 4, 9, 9, 9, 9}, TLSFailed},
		{"longer than a record", []byte{22, 3, 1, 255, 255}, TLSFailed},
		{"longer than a hello", []byte{22, 3, 1, 0x30, 0}, TLSFailed},
		{"flood", append(append([]byte(nil), hello...), make([]byte, 200_000)...), TLSFailed},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := r.closes(c.reason)
			client := r.connect()
			_ = client.tryWrite(c.bytes)
			client.conn.SetReadDeadline(time.Now().Add(patience))
			_, err := io.Copy(io.Discard, client.conn)
			var timeout net.Error
			if errors.As(err, &timeout) && timeout.Timeout() {
				t.Error("it is still there")
			}
			if got := r.closes(c.reason); got != before+1 {
				t.Errorf("%d were counted as %v, want 1", got-before, c.reason)
			}
		})
	}
	for name, config := range map[string]*tls.Config{
		"TLS 1.2":    {RootCAs: secure.RootCAs, MaxVersion: tls.VersionTLS12},
		"no trust":   {MinVersion: tls.VersionTLS13},
		"other ALPN": {RootCAs: secure.RootCAs, NextProtos: []string{"h2"}},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := tls.Dial("tcp", r.doors["gateway"], config)
			if err == nil {
				c.Close()
				t.Error("the handshake came to its end")
			}
		})
	}
	t.Run("byte by byte", func(t *testing.T) {
		c := r.connect()
		c.conn = tls.Client(&slowConn{Conn: c.conn}, secure)
		c.in.Reset(c.conn)
		c.upgrade("/")
		c.wantOp(wire.OpHello)
		c.conn.Close()
	})
	r.emptied()
}

// helloOf is the first message of a client.
func helloOf(t *testing.T, config *tls.Config) []byte {
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	go func() { _ = tls.Client(near, config).Handshake() }()
	buf := make([]byte, 1<<14)
	n, err := far.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	return buf[:n]
}

// slowConn writes one byte at a time.
type slowConn struct{ net.Conn }

func (c *slowConn) Write(b []byte) (int, error) {
	for i := range b {
		if _, err := c.Conn.Write(b[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(b), nil
}

// TestTLSTickets: who comes back does not pay for a whole handshake, nor after the certificate has
// changed.
func TestTLSTickets(t *testing.T) {
	t.Parallel()
	r, files := secureRig(t, Config{})
	r.secure.ClientSessionCache = tls.NewLRUClientSessionCache(10)
	other := enginetest.NewAuthority(t)
	for round := range 4 {
		c := r.dial("/")
		c.wantOp(wire.OpHello)
		if got := c.conn.(*tls.Conn).ConnectionState().DidResume; got != (round > 0) {
			t.Errorf("round %d: resumed is %v", round, got)
		}
		c.conn.Close()
		if round == 1 {
			replaceFiles(t, files, other)
			r.refreshCertificates()
		}
	}
}

// TestTLSTicketsElsewhere: a ticket is good at other nodes and after a restart, for a day at least.
func TestTLSTicketsElsewhere(t *testing.T) {
	t.Parallel()
	files := enginetest.NewAuthority(t)
	config := &tls.Config{RootCAs: files.Client.RootCAs, ServerName: "127.0.0.1"}
	door, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer door.Close()
	now := time.Now()
	connect := func(after time.Duration) (resumed bool) {
		t.Helper()
		c, err := openCertificates(files.CertFile, files.KeyFile)
		if err == nil {
			_, err = c.refresh(now.Add(after))
		}
		if err != nil {
			t.Fatal(err)
		}
		// Not by net.Pipe: both ends may write before they read, and it holds nothing.
		near, err := net.Dial("tcp", door.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer near.Close()
		far, err := door.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer far.Close()
		go func() {
			s := tls.Server(far, c.config)
			_, _ = s.Write([]byte("x"))
		}()
		client := tls.Client(near, config)
		if _, err := client.Read(make([]byte, 1)); err != nil { // The ticket is before it.
			t.Fatal(err)
		}
		return client.ConnectionState().DidResume
	}
	for _, round := range []struct {
		after time.Duration
		want  bool
	}{{0, true}, {24 * time.Hour, true}, {-24 * time.Hour, true}, {48 * time.Hour, false}} {
		config.ClientSessionCache = tls.NewLRUClientSessionCache(1)
		connect(0)
		if got := connect(round.after); got != round.want {
			t.Errorf("%v later: resumed is %v", round.after, got)
		}
	}
	config.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	connect(0)
	replaceFiles(t, files, enginetest.NewAuthority(t))
	config.InsecureSkipVerify = true
	if connect(0) {
		t.Error("a ticket was taken that another certificate's key has made")
	}
}

func replaceFiles(t *testing.T, files, by *enginetest.Authority) {
	t.Helper()
	for name, from := range map[string]string{files.CertFile: by.CertFile, files.KeyFile: by.KeyFile} {
		content, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(name, content, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestTLSReload: new files are shown to who connects next; files that are none change nothing.
func TestTLSReload(t *testing.T) {
	t.Parallel()
	r, files := secureRig(t, Config{})
	other := enginetest.NewAuthority(t)
	inside := r.dial("/")
	inside.wantOp(wire.OpHello)
	shown := func() []byte {
		t.Helper()
		c, err := tls.Dial("tcp", r.doors["gateway"], &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		return c.ConnectionState().PeerCertificates[0].Raw
	}
	first := shown()
	key, err := os.ReadFile(files.KeyFile)
	if err == nil {
		err = os.WriteFile(files.KeyFile, []byte("nothing"), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.engine.certificates.refresh(time.Now()); err == nil {
		t.Error("a file without a key was taken")
	}
	if changed, err := r.engine.certificates.refresh(time.Now()); changed || err != nil {
		t.Errorf("the same files were tried again: %v %v", changed, err)
	}
	if !bytes.Equal(shown(), first) {
		t.Error("the certificate has changed")
	}
	if err := os.WriteFile(files.KeyFile, append(key, '\n'), 0o600); err != nil {
		t.Fatal(err)
	}
	r.refreshCertificates()
	if !bytes.Equal(shown(), first) {
		t.Error("the certificate has changed")
	}
	replaceFiles(t, files, other)
	r.refreshCertificates()
	now := shown()
	if bytes.Equal(now, first) {
		t.Error("the old certificate is still shown")
	}
	leaf, err := x509.ParseCertificate(now)
	if err != nil {
		t.Fatal(err)
	}
	ends, _ := strconv.ParseFloat(r.metric("throng_tls_certificate_expiry_seconds"), 64)
	if want := leaf.NotAfter.Unix(); int64(ends) != want {
		t.Errorf("it ends at %.0f, want %d", ends, want)
	}
	inside.send(1, "null")
	inside.wantOp(wire.OpHeartbeatAck)
}

func TestTLSFiles(t *testing.T) {
	files := enginetest.NewAuthority(t)
	for name, cfg := range map[string]Config{
		"no key": {TLSCert: files.CertFile}, "no certificate": {TLSKey: files.KeyFile},
		"not there": {TLSCert: "/nowhere", TLSKey: files.KeyFile},
		"swapped":   {TLSCert: files.KeyFile, TLSKey: files.CertFile},
	} {
		cfg.InMemory = true
		_, err := New(cfg, slog.New(slog.DiscardHandler))
		if err == nil || !strings.HasPrefix(err.Error(), "-tls-cert: ") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// TestTLSResumeOnAnotherNode: a tunnel carries what its end on this node opens and seals.
func TestTLSResumeOnAnotherNode(t *testing.T) {
	t.Parallel()
	files := enginetest.NewAuthority(t)
	two := startTwo(t, Config{TLSCert: files.CertFile, TLSKey: files.KeyFile}, false)
	for _, r := range []*rig{two.home, two.away} {
		r.secure = &tls.Config{RootCAs: files.Client.RootCAs, ServerName: "127.0.0.1"}
	}
	c := two.home.login(1)
	c.joined(1)
	_ = c.conn.(*tls.Conn).NetConn().Close()
	n := 0
	for range 3 {
		two.home.publish(100, n)
		next := c.resumeAt(two.away, "/")
		next.wantNumber(n)
		next.wantEvent("RESUMED")
		for range 20 {
			n++
			two.home.publish(100, n)
			next.wantNumber(n)
			next.send(1, "null")
			next.wantOp(wire.OpHeartbeatAck)
		}
		n++
		c = next
		_ = c.conn.(*tls.Conn).NetConn().Close()
	}
	if got := two.away.core.tunnels.carried.Load(); got != 3 {
		t.Errorf("%d were carried, want 3", got)
	}
	// No node has it: the connection goes on here.
	c.session = strings.Repeat("a", 16) + c.session[16:]
	next := c.resumeAt(two.away, "/")
	next.wantOp(wire.OpHeartbeat)
	next.wantOp(wire.OpInvalidSession)
	next.send(1, "null")
	next.wantOp(wire.OpHeartbeatAck)
}
