package load

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"throng/wire"
)

// gateway is a server of the Discord protocol as small as can be: one guild with everybody in it,
// sessions that are kept for ever, a backend door.
type gateway struct {
	t     *testing.T
	admin *httptest.Server
	url   string

	mu       sync.Mutex
	users    map[string]bool // Tokens.
	members  int
	sessions map[string]*gatewaySession
	clients  int
	skip     bool // Leaves a number out of every event.
}

type gatewaySession struct {
	conn   net.Conn // nil: away.
	frames []string // Of dispatches, the first has the number 1.
	number uint32   // Of the last one.
}

func newGateway(t *testing.T) *gateway {
	g := &gateway{t: t, users: map[string]bool{}, sessions: map[string]*gatewaySession{}}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	g.url = "ws://" + listener.Addr().String() + "/gateway"
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go g.serve(conn)
		}
	}()
	g.admin = httptest.NewServer(http.HandlerFunc(g.backend))
	t.Cleanup(g.admin.Close)
	return g
}

// backend is the door to provision and to publish.
func (g *gateway) backend(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	lines := bufio.NewScanner(r.Body)
	for lines.Scan() {
		line := lines.Bytes()
		switch {
		case strings.HasSuffix(r.URL.Path, "/users"):
			token, _ := wire.StringField(line, "token")
			g.users[token] = true
		case strings.HasSuffix(r.URL.Path, "/members"):
			g.members++
		case strings.HasSuffix(r.URL.Path, "/events"):
			name, _ := wire.StringField(line, "t")
			body, _ := wire.Field(line, "d")
			for _, s := range g.sessions {
				s.dispatch(name, string(body))
				if g.skip {
					s.number++
				}
			}
		}
	}
	_, _ = io.WriteString(w, `{"accepted":1}`)
}

// dispatch numbers an event and sends it to whoever is there.
func (s *gatewaySession) dispatch(name, body string) {
	s.number++
	frame := fmt.Sprintf(`{"t":%q,"s":%10d,"op":0,"d":%s}`, name, s.number, body)
	s.frames = append(s.frames, frame)
	s.send(frame)
}

func (s *gatewaySession) send(frame string) {
	if s.conn != nil {
		_, _ = s.conn.Write(wire.AppendFrame(nil, wire.OpcodeText, []byte(frame)))
	}
}

var testLimits = wire.Limits{HeaderBytes: 4096, Headers: 50, MessageBytes: 1 << 20, Fragments: 9}

// serve is one connection.
func (g *gateway) serve(conn net.Conn) {
	defer conn.Close()
	var s *gatewaySession
	defer func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		if s != nil && s.conn == conn {
			s.conn = nil
		}
	}()
	var in []byte
	var chunk [4096]byte
	var parser wire.Parser
	open := false
	for {
		n, err := conn.Read(chunk[:])
		if err != nil {
			return
		}
		in = append(in, chunk[:n]...)
		if !open {
			h, n, _ := wire.ParseHandshake(in, testLimits)
			if n == 0 {
				continue
			}
			in, open = in[n:], true
			_, _ = conn.Write(wire.AppendFrame(wire.AppendHandshakeReply(nil, h.Key),
				wire.OpcodeText, []byte(`{"t":null,"s":null,"op":10,"d":{"heartbeat_interval":60000}}`)))
		}
		for {
			m, n, err := parser.Next(in, testLimits)
			if err != nil {
				g.t.Errorf("a client sent what is no frame: %v", err)
				return
			}
			if n == 0 {
				break
			}
			if m.Opcode == wire.OpcodeClose {
				_, _ = conn.Write(wire.AppendClose(nil, wire.CloseNormal, ""))
				return
			}
			s = g.command(conn, s, m.Payload)
			in = in[n:]
		}
	}
}

func (g *gateway) command(conn net.Conn, s *gatewaySession, payload []byte) *gatewaySession {
	g.mu.Lock()
	defer g.mu.Unlock()
	op, _ := wire.IntField(payload, "op")
	d, _ := wire.Field(payload, "d")
	switch wire.Op(op) {
	case wire.OpHeartbeat:
		_, _ = conn.Write(wire.AppendFrame(nil, wire.OpcodeText, []byte(`{"op":11,"d":null}`)))
	case wire.OpIdentify:
		token, _ := wire.StringField(d, "token")
		if !g.users[token] {
			g.t.Errorf("nobody has the token %q", token)
		}
		g.clients++
		id := fmt.Sprint("session", g.clients)
		s = &gatewaySession{conn: conn}
		g.sessions[id] = s
		s.dispatch("READY", `{"session_id":"`+id+`","guilds":[{"id":"1"}]}`)
		s.dispatch("GUILD_CREATE", `{"id":"1"}`)
	case wire.OpResume:
		id, _ := wire.StringField(d, "session_id")
		seq, _ := wire.IntField(d, "seq")
		if s = g.sessions[id]; s == nil {
			g.t.Errorf("nobody has the session %q", id)
			return nil
		}
		s.conn = conn
		for _, frame := range s.frames[seq:] {
			s.send(frame)
		}
		s.dispatch("RESUMED", "{}")
	}
	return s
}

func TestRun(t *testing.T) {
	g := newGateway(t)
	var progress bytes.Buffer
	report, err := Run(t.Context(), Config{
		URL: g.url, Admin: g.admin.URL, Provision: true, Connections: 50, Loops: 2,
		Burst: 20, Bursts: 2, Settle: time.Millisecond, Cut: 0.5, CutAt: time.Millisecond,
		Duration: 100 * time.Millisecond, ServerPID: 1, Commit: "c0ffee", OpeningMax: 10,
	}, &progress)
	if err != nil {
		t.Fatal(err)
	}
	total := report.Total
	if report.Connections != 50 || report.Ready != 50 || report.Live != 50 || report.Interrupted ||
		report.Commit != "c0ffee" || g.members != 50 || report.Members != 50 {
		t.Errorf("got %+v, %d members", report, g.members)
	}
	if total.Published != 40 || total.Expected != 2000 || total.Delivered != 2000 {
		t.Errorf("%d published, %d of %d delivered", total.Published, total.Delivered,
			total.Expected)
	}
	if total.SequenceGaps+total.Duplicates+total.PublishFailed != 0 || len(total.Closes) != 0 {
		t.Errorf("got %+v", total.Counts)
	}
	cuts := total.Cuts
	if cuts == 0 || total.Resumes["asked"] != cuts || total.Resumes["resumed"] != cuts ||
		total.Connects != 50+cuts || total.Back.Count != cuts || total.Resume.Count != cuts {
		t.Errorf("%d cuts, %d connects, resumes %v", cuts, total.Connects, total.Resumes)
	}
	if total.Event.Count != 2000 || total.Connect.Count != total.Connects ||
		total.Identify.Count != 50 || total.Available.Count != 50 || total.Publish.Count != 2 {
		t.Errorf("times are missing: %+v", total)
	}
	var names []string
	for _, p := range report.Phases {
		names = append(names, p.Name)
	}
	if got := strings.Join(names, " "); got != "connect burst burst-2 hold storm after" &&
		got != "connect burst burst-2 hold storm after tail" {
		t.Errorf("phases %s", got)
	}
	if _, err := json.Marshal(report); err != nil {
		t.Error(err)
	}
	if text := progress.String(); !strings.Contains(text, "making 50 users") {
		t.Errorf("progress: %q", text)
	}
}

func TestRunFindsGaps(t *testing.T) {
	g := newGateway(t)
	g.skip = true
	report, err := Run(t.Context(), Config{
		URL: g.url, Admin: g.admin.URL, Provision: true, Connections: 4,
		Burst: 5, Settle: time.Millisecond, Duration: time.Millisecond,
	}, nil)
	// Of five events a number is missing before the last four.
	if err != nil || report.Total.SequenceGaps != 16 || report.Total.SequenceMissing != 16 {
		t.Errorf("%d gaps of %d, %v", report.Total.SequenceGaps, report.Total.SequenceMissing, err)
	}
}

func TestRunEndsWithAReport(t *testing.T) {
	g := newGateway(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	report, err := Run(ctx, Config{
		URL: g.url, Admin: g.admin.URL, Provision: true, Connections: 4, Duration: time.Hour,
		Burst: 1, Settle: time.Millisecond, ProgressEvery: time.Millisecond,
	}, writerFunc(func(p []byte) (int, error) {
		if bytes.Contains(p, []byte(" hold ")) {
			cancel()
		}
		return len(p), nil
	}))
	if err != nil || !report.Interrupted || report.Total.Delivered != 4 {
		t.Errorf("interrupted %v, %d delivered, %v", report.Interrupted, report.Total.Delivered, err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestRunWithoutAServer(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := "ws://" + listener.Addr().String() + "/"
	_ = listener.Close()
	_, err = Run(t.Context(), Config{URL: url, Connections: 3, NoReturn: true}, nil)
	if err == nil || !strings.Contains(err.Error(), "ECONNREFUSED:3") {
		t.Errorf("got %v", err)
	}
}

// TestPublisherSkipsNothing has a publisher begin an hour late: every event has the mark of its own
// time.
func TestPublisherSkipsNothing(t *testing.T) {
	c := Config{URL: "ws://127.0.0.1:1/", Admin: "http://127.0.0.1:1", Rate: 1.0 / 60, Publishers: 2}
	r, err := newRun(t.Context(), c, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.receivers = []uint32{3}
	d := &recorder{}
	p := &publisher{r, 1, newAuthor(r, 1), d}
	end := time.Now()
	start := end.Add(-time.Hour)
	p.paced(t.Context(), start, end)
	if len(d.marks) != 60 {
		t.Fatalf("%d events, want 60", len(d.marks))
	}
	for k, mark := range d.marks {
		// The second of two publishers is half an interval behind the first.
		want := start.Add(time.Duration(k)*time.Minute + 30*time.Second).UnixNano()
		if diff := mark - want; diff < -1000 || diff > 1000 {
			t.Fatalf("event %d is %d ns from its time", k, diff)
		}
	}
	if s := r.stats; s.Published != 60 || s.Expected != 180 ||
		s.quantiles(measurePublish).Max < 3_500_000 {
		t.Errorf("got %+v", s.phase("", 1))
	}
}

type recorder struct{ marks []int64 }

func (d *recorder) publish(_ context.Context, _ int, events [][]byte) (answer, error) {
	for _, event := range events {
		d.marks = append(d.marks, (&marker{}).find(event))
	}
	return answer{accepted: len(events)}, nil
}

func (d *recorder) close() {}

// relay is a server that sends what a client says to all the others, through translate.
func relay(t *testing.T, greeting string, translate func(said string) (reply, toAll string)) string {
	var mu sync.Mutex
	conns := map[*websocket.Conn]bool{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer func() {
			mu.Lock()
			delete(conns, c)
			mu.Unlock()
			_ = c.CloseNow()
		}()
		send := func(c *websocket.Conn, text string) {
			if text != "" {
				_ = c.Write(r.Context(), websocket.MessageText, []byte(text))
			}
		}
		mu.Lock()
		conns[c] = true
		send(c, greeting)
		mu.Unlock()
		for {
			_, said, err := c.Read(r.Context())
			if err != nil {
				return
			}
			reply, toAll := translate(string(said))
			mu.Lock()
			send(c, reply)
			for other := range conns {
				if other != c {
					send(other, toAll)
				}
			}
			mu.Unlock()
		}
	}))
	t.Cleanup(s.Close)
	return "ws" + strings.TrimPrefix(s.URL, "http") + "/"
}

func TestRunOtherTargets(t *testing.T) {
	for _, c := range []struct {
		name   string
		config Config
		url    string
	}{
		{"ws", Config{Target: TargetWS, Send: []string{"hello"}, PublishFrame: `say {body}`},
			relay(t, "", func(said string) (string, string) {
				event, ok := strings.CutPrefix(said, "say ")
				if !ok {
					return "", ""
				}
				return "", event
			})},
		{"nats", Config{Target: TargetNATS}, relay(t, "INFO {}\r\n", func(said string) (string, string) {
			reply := ""
			if strings.HasSuffix(said, "PING\r\n") {
				reply = "PONG\r\n"
			}
			published, ok := strings.CutPrefix(strings.TrimSuffix(said, "PING\r\n"), "PUB room-0 ")
			if !ok {
				return reply, ""
			}
			published = strings.ReplaceAll(published, "PUB room-0 ", "MSG room-0 1 ")
			return reply, "MSG room-0 1 " + published
		})},
		{"centrifuge", Config{Target: TargetCentrifuge}, relay(t, "", func(said string) (string, string) {
			var replies, pushes []string
			for line := range strings.SplitSeq(said, "\n") {
				id, _ := wire.IntField([]byte(line), "id")
				replies = append(replies, fmt.Sprintf(`{"id":%d}`, id))
				if publish, ok := wire.Field([]byte(line), "publish"); ok {
					data, _ := wire.Field(publish, "data")
					pushes = append(pushes, `{"push":{"channel":"room-0","pub":{"data":`+
						string(data)+`}}}`)
				}
			}
			return strings.Join(replies, "\n"), strings.Join(pushes, "\n")
		})},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.config.URL, c.config.Connections, c.config.Burst = c.url, 5, 8
			c.config.Settle, c.config.Duration = time.Millisecond, time.Millisecond
			report, err := Run(t.Context(), c.config, nil)
			if err != nil {
				t.Fatal(err)
			}
			total := report.Total
			if report.Ready != 5 || total.Published != 8 || total.Expected != 40 ||
				total.Delivered != 40 || total.PublishFailed != 0 {
				t.Errorf("%d ready, %d of %d delivered of %d, %v", report.Ready, total.Delivered,
					total.Expected, total.Published, total.Closes)
			}
		})
	}
}

func TestCentrifugeAPI(t *testing.T) {
	var got []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got = append(got, r.Header.Get("X-API-Key")+" "+string(b))
		_, _ = io.WriteString(w, map[bool]string{true: `{"result":{}}`, false: `{"error":{}}`}[len(got) < 2])
	}))
	defer s.Close()
	r, err := newRun(t.Context(), Config{Target: TargetCentrifuge, URL: "ws://127.0.0.1:1/",
		PublishURL: s.URL + "/api/publish", PublishAPIKey: "k"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	d, err := r.dialect.door(r)
	if err != nil {
		t.Fatal(err)
	}
	taken, err := d.publish(t.Context(), 0, [][]byte{[]byte(`{"a":1}`), []byte(`{"a":2}`)})
	want := `k {"channel":"room-0","data":{"a":1}}`
	if taken.accepted != 1 || err == nil || len(got) != 2 || got[0] != want {
		t.Errorf("got %q, %+v, %v", got, taken, err)
	}
}

// TestAnswers holds how the answers of a backend door are counted.
func TestAnswers(t *testing.T) {
	status, reply := 0, ""
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, reply)
	}))
	defer s.Close()
	r, err := newRun(t.Context(), Config{URL: "ws://127.0.0.1:1/", Admin: s.URL}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		status int
		reply  string
		want   answer
		fails  bool
	}{
		{202, `{"event_index":5}`, answer{accepted: 2}, false},
		{202, `{"rejected":[{"line":1,"error":"x"}],"rejected_count":1}`, answer{accepted: 1}, true},
		{429, `{}`, answer{refused: 2}, false},
		{503, `{}`, answer{refused: 2}, false},
		{404, `{"error":"no guild"}`, answer{}, true},
	} {
		status, reply = c.status, c.reply
		got, err := r.adminDoor().publish(t.Context(), 0, [][]byte{[]byte("{}"), []byte("{}")})
		if got != c.want || (err != nil) != c.fails {
			t.Errorf("%d %s: %+v, %v", c.status, c.reply, got, err)
		}
	}
}
