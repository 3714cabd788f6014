package api

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestLinesAreTakenOneByOne(t *testing.T) {
	for _, c := range []struct{ name, body, want string }{
		{"empty", "", `{"accepted":0,"rejected":[],"rejected_count":0}`},
		{"only blanks", "\n \r\n\t\n", `{"accepted":0,"rejected":[],"rejected_count":0}`},
		{"one line without its newline", `{"id":"1"}`,
			`{"accepted":1,"rejected":[],"rejected_count":0}`},
		{"two lines, blank ones between, CRLF", "{\"id\":\"1\"}\r\n\r\n\n{\"id\":\"2\"}\r\n",
			`{"accepted":2,"rejected":[],"rejected_count":0}`},
		{"a bad line between good ones", "{\"id\":\"1\"}\n\n{\"id\":}\n{\"id\":\"2\"}\n",
			`{"accepted":2,"rejected":[{"line":3,` +
				`"error":"not valid JSON, or nested deeper than 64"}],"rejected_count":1}`},
		{"a line without an id", "{}", `{"accepted":0,"rejected":[{"line":1,` +
			`"error":"id: want the user's snowflake"}],"rejected_count":1}`},
		{"a line that the node refuses, before one that does not parse",
			"{\"id\":\"7\",\"token\":\"tok.en\"}\n[]\n",
			`{"accepted":0,"rejected":[{"line":1,"error":"token: the token is another user's"},` +
				`{"line":2,"error":"want a JSON object"}],"rejected_count":2}`},
		{"a line too long", "{\"id\":\"1\"}\n" + strings.Repeat("x", 300) + "\n{\"id\":\"2\"}",
			`{"accepted":2,"rejected":[{"line":2,"error":"the line is larger than 200 bytes"}],` +
				`"rejected_count":1}`},
		{"a last line too long", strings.Repeat("x", 300),
			`{"accepted":0,"rejected":[{"line":1,"error":"the line is larger than 200 bytes"}],` +
				`"rejected_count":1}`},
		{"more refused than are listed", strings.Repeat("{}\n", 5),
			`{"accepted":0,"rejected":[{"line":1,"error":"id: want the user's snowflake"},` +
				`{"line":2,"error":"id: want the user's snowflake"}],"rejected_count":5}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			url := serve(t, Admin(furnished(), Config{Limits: Limits{Line: 200, Rejected: 2}}))
			request(t, "POST", url+"/v1/users", c.body).want(t, 200, c.want)
			// The same in chunks of a byte, of no announced length.
			a, err := send("POST", url+"/v1/users", oneByOne{strings.NewReader(c.body)})
			if err != nil {
				t.Fatal(err)
			}
			a.want(t, 200, c.want)
		})
	}
}

// oneByOne reads a byte at a time.
type oneByOne struct{ r io.Reader }

func (o oneByOne) Read(p []byte) (int, error) { return o.r.Read(p[:min(len(p), 1)]) }

func TestMembersReachTheNodeInOrderAndInBatches(t *testing.T) {
	n := furnished()
	url := serve(t, Admin(n, Config{Limits: Limits{Batch: 100}}))
	var body strings.Builder
	var want []string
	for i := range 250 {
		fmt.Fprintf(&body, "{\"user_id\":\"%d\"}\n", 1000+i)
		want = append(want, fmt.Sprint(1000+i))
	}
	request(t, "POST", url+"/v1/guilds/5/members?announce=1", body.String()).
		want(t, 200, `{"accepted":250,"rejected":[],"rejected_count":0}`)
	if got := n.guilds[5]; !slices.Equal(got.members, want) || !got.announce {
		t.Errorf("got members %v, announced %v", got.members, got.announce)
	}
	if want := []int{100, 100, 50}; !slices.Equal(n.batches, want) {
		t.Errorf("got batches of %v, want %v", n.batches, want)
	}
}

func TestMembersOfNoGuildAreRefusedAsAWhole(t *testing.T) {
	url := serve(t, Admin(furnished(), Config{}))
	request(t, "POST", url+"/v1/guilds/9/members", "").
		want(t, 404, `{"error":"Unknown Guild","accepted":0,"rejected":[],"rejected_count":0,`+
			`"line":1}`)
	request(t, "POST", url+"/v1/guilds/9/members", "{\"user_id\":\"1\"}\n").want(t, 404, "")
	request(t, "POST", url+"/v1/guilds/x/members", "").want(t, 400, "")
	request(t, "POST", url+"/v1/guilds/2/members?announce=perhaps", "").
		want(t, 400, `{"error":"want 1 or 0","field":"announce"}`)
}

func TestStreamThatTheNodeStopsSaysHowFarItCame(t *testing.T) {
	n := furnished()
	n.fail, n.skip = Busy(2*time.Second, "the shard is full"), 1
	url := serve(t, Admin(n, Config{Limits: Limits{Batch: 2}}))
	body := "{\"user_id\":\"7\"}\n{}\n\n{\"user_id\":\"8\"}\n{\"user_id\":\"9\"}\n"
	a := request(t, "POST", url+"/v1/guilds/2/members", body)
	a.want(t, 429, `{"error":"the shard is full","accepted":1,"rejected":[{"line":2,`+
		`"error":"user_id: want a snowflake"}],"rejected_count":1,"line":3}`)
	if got := a.header.Get("Retry-After"); got != "2" {
		t.Errorf("got Retry-After %q", got)
	}
}

func TestStreamPastItsLimitKeepsWhatWasWhole(t *testing.T) {
	n := furnished()
	url := serve(t, Admin(n, Config{Limits: Limits{Stream: 40}}))
	line := "{\"user_id\":\"7\"}\n" // 16 bytes: two and a half lines fit.
	request(t, "POST", url+"/v1/guilds/5/members", strings.Repeat(line, 4)).want(t, 413,
		`{"error":"the body is larger than 40 bytes","accepted":2,"rejected":[],`+
			`"rejected_count":0,"line":3}`)
	if got := len(n.guilds[5].members); got != 2 {
		t.Errorf("got %d members, want 2", got)
	}
}

func TestBodyThatEndsEarlyDoesNotCountItsLastLine(t *testing.T) {
	n := furnished()
	url := serve(t, Admin(n, Config{}))
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	line := `{"user_id":"7"}`
	fmt.Fprintf(conn, "POST /v1/guilds/5/members HTTP/1.1\r\nHost: localhost\r\n"+
		"Content-Length: 1000\r\n\r\n%s\n%s", line, line)
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	reply, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(reply), `"accepted":1`) || !strings.HasPrefix(string(reply),
		"HTTP/1.1 400") {
		t.Errorf("got %s", reply)
	}
	if got := len(n.guilds[5].members); got != 1 {
		t.Errorf("got %d members, want 1", got)
	}
}

func TestEventsAreOneOrMany(t *testing.T) {
	const nd = "application/x-ndjson"
	one, two := `{"t":"A","d":{"x":1}}`, `{"t":"B","d":{}}`
	for _, c := range []struct {
		name, kind, body string
		status           int
		want             string
		events           int
	}{
		{"one", "", one, 202, `{"event_index":1}`, 1},
		{"one, whatever it is called", "text/plain", one, 202, `{"event_index":1}`, 1},
		{"one and a newline", "", one + "\n\n", 202, `{"event_index":1}`, 1},
		{"one on several lines", "application/json", "{\n \"t\": \"A\",\n \"d\": {}\n}\n", 202,
			`{"event_index":1}`, 1},
		{"one as NDJSON", nd, one, 202,
			`{"event_index":1,"accepted":1,"rejected":[],"rejected_count":0}`, 1},
		{"two", "", one + "\n" + two, 202,
			`{"event_index":2,"accepted":2,"rejected":[],"rejected_count":0}`, 2},
		{"two as NDJSON", nd + "; charset=utf-8", one + "\n" + two + "\n", 202,
			`{"event_index":2,"accepted":2,"rejected":[],"rejected_count":0}`, 2},
		{"two and a bad one", "", one + "\n{\"t\":\"a b\",\"d\":{}}\n" + two, 202,
			`{"event_index":2,"accepted":2,"rejected":[{"line":2,` +
				`"error":"t: want an event's name of 1 to 64 of A-Z, 0-9 and _"}],` +
				`"rejected_count":1}`, 2},
		{"one that the guild refuses", "", `{"t":"CHANNEL_DELETE","d":{}}`, 400,
			`{"error":"there is no such channel","field":"d.id"}`, 0},
		{"two, one refused by the guild", "", `{"t":"CHANNEL_DELETE","d":{}}` + "\n" + two, 202,
			`{"event_index":1,"accepted":1,"rejected":[{"line":1,` +
				`"error":"d.id: there is no such channel"}],"rejected_count":1}`, 1},
		{"none", "", "", 400, `{"error":"the body is empty, want a JSON object"}`, 0},
		{"none as NDJSON", nd, "\n", 202,
			`{"event_index":0,"accepted":0,"rejected":[],"rejected_count":0}`, 0},
		{"broken", "", `{"t":`, 400, "", 0},
		{"broken on several lines", "", "{\"t\":\n\"A\"", 400,
			`{"error":"not valid JSON, or nested deeper than 64"}`, 0},
		{"a list", "", `[]`, 400, `{"error":"want a JSON object"}`, 0},
		{"without t", "", `{"d":{}}`, 400, "", 0},
		{"t that is a number", "", `{"t":1,"d":{}}`, 400, "", 0},
		{"t in lower case", "", `{"t":"message_create","d":{}}`, 400, "", 0},
		{"t of 65 characters", "", `{"t":"` + strings.Repeat("A", 65) + `","d":{}}`, 400, "", 0},
		{"without d", "", `{"t":"A"}`, 400, `{"error":"want the event's payload","field":"d"}`, 0},
		{"d that is no object", "", `{"t":"A","d":[]}`, 400,
			`{"error":"want an object","field":"d"}`, 0},
		{"what only the node sends", "", `{"t":"READY","d":{}}`, 400, "", 0},
		{"nested too deep", "", `{"t":"A","d":{"x":` + strings.Repeat("[", 63) +
			strings.Repeat("]", 63) + `}}`, 400, "", 0},
		{"more than one event's limit, and one line", "", `{"t":"A","d":{"x":"` +
			strings.Repeat("x", 500) + `"}}`, 413,
			`{"error":"the event is larger than 400 bytes"}`, 0},
		{"more than one event's limit, and lines", "", strings.Repeat(two+"\n", 50), 202,
			`{"event_index":50,"accepted":50,"rejected":[],"rejected_count":0}`, 50},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := furnished()
			url := serve(t, Admin(n, Config{Limits: Limits{Event: 400}}))
			request(t, "POST", url+"/v1/guilds/2/events", c.body, "Content-Type", c.kind).
				want(t, c.status, c.want)
			if got := len(n.guilds[2].events); got != c.events {
				t.Errorf("the guild got %d events, want %d", got, c.events)
			}
		})
	}
}

func TestEventsKeepTheirBytes(t *testing.T) {
	n := furnished()
	url := serve(t, Admin(n, Config{}))
	request(t, "POST", url+"/v1/guilds/2/events",
		`{"op":0,"s":5,"d":{"b":1e3, "a":"\u0041"},"t":"X_1"}`).
		want(t, 202, `{"event_index":1}`)
	got := n.guilds[2].events[0]
	if got.Type != "X_1" || string(got.Data) != `{"b":1e3, "a":"\u0041"}` {
		t.Errorf("got %s %s", got.Type, got.Data)
	}
	request(t, "POST", url+"/v1/guilds/9/events", `{"t":"A","d":{}}`).
		want(t, 404, `{"error":"Unknown Guild"}`)
	request(t, "POST", url+"/v1/guilds/nine/events", `{"t":"A","d":{}}`).want(t, 400, "")
}

func TestUserEventsSayHowManySessionsTheyReach(t *testing.T) {
	n := furnished()
	url := serve(t, Admin(n, Config{}))
	request(t, "POST", url+"/v1/users/1/events", `{"t":"SESSIONS_REPLACE","d":[]}`).
		want(t, 202, `{"sessions":1}`)
	request(t, "POST", url+"/v1/users/1/events", `{"t":"A","d":1}`+"\n"+`{"t":"B","d":2}`).
		want(t, 202, `{"sessions":1,"accepted":2,"rejected":[],"rejected_count":0}`)
	request(t, "POST", url+"/v1/users/9/events", `{"t":"A","d":1}`).want(t, 404, "")
	request(t, "POST", url+"/v1/users/x/events", `{"t":"A","d":1}`).want(t, 400, "")
	if got := len(n.toUsers[1]); got != 3 {
		t.Errorf("got %d events, want 3", got)
	}
}

func TestStreamedEventLeavesBeforeTheNextLineIsThere(t *testing.T) {
	n := furnished()
	seen := make(chan int)
	url := serve(t, Admin(&watched{n, seen}, Config{}))
	body, lines := io.Pipe()
	done := make(chan answer)
	go func() {
		a, err := send("POST", url+"/v1/guilds/2/events", body,
			"Content-Type", "application/x-ndjson")
		if err != nil {
			t.Error(err)
		}
		done <- a
	}()
	for want := 1; want <= 3; want++ {
		fmt.Fprintln(lines, `{"t":"A","d":{}}`)
		if got := <-seen; got != want { // The request is still open.
			t.Errorf("got %d events, want %d", got, want)
		}
	}
	_ = lines.Close()
	a := <-done
	a.want(t, 202, `{"event_index":3,"accepted":3,"rejected":[],"rejected_count":0}`)
}

func TestProducerThatFallsSilentIsCutOff(t *testing.T) {
	s := httptest.NewUnstartedServer(nil)
	config := Config{Limits: Limits{Body: 250 * time.Millisecond}}
	s.Config = NewServer(Admin(furnished(), config), config)
	s.Start()
	defer s.Close()
	body, lines := io.Pipe()
	defer func() { _ = lines.Close() }()
	go func() { fmt.Fprintln(lines, `{"t":"A","d":{}}`) }()
	a, err := send("POST", s.URL+"/v1/guilds/2/events", body,
		"Content-Type", "application/x-ndjson")
	if err != nil {
		t.Fatal(err)
	}
	a.want(t, 408, `{"error":"the body did not arrive in time","accepted":1,"rejected":[],`+
		`"rejected_count":0,"line":2}`)
}

func TestServerHasBounds(t *testing.T) {
	s := NewServer(http.NotFoundHandler(), Config{})
	if s.ReadHeaderTimeout != 5*time.Second || s.ReadTimeout == 0 || s.WriteTimeout == 0 ||
		s.IdleTimeout == 0 || s.MaxHeaderBytes != 16<<10 {
		t.Errorf("got %+v", s)
	}
	h := httptest.NewUnstartedServer(nil)
	h.Config = NewServer(Admin(furnished(), Config{}), Config{})
	h.Start()
	defer h.Close()
	a := request(t, "GET", h.URL+"/healthz", "", "X-Long", strings.Repeat("x", 32<<10))
	a.want(t, 431, "")
}
