package api

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"throng/wire"
)

// furnished is a fake node with a user, a guild with that user in it, a channel and a session.
func furnished() *fakeNode {
	n := newFake()
	n.users[1] = UserInput{ID: 1, Doc: []byte(`{"id":"1","username":"ada","bot":true,` +
		`"discriminator":"0","global_name":null,"avatar":null}`)}
	n.tokens["tok.en"] = 1
	n.guilds[2] = &fakeGuild{
		doc:     []byte(`{"id":"2","name":"g","roles":[]}`),
		members: []string{"1"},
	}
	n.guilds[5] = &fakeGuild{doc: []byte(`{"id":"5","name":"empty"}`)}
	n.channels[3], n.channels[6] = 2, 5
	n.sessions["abc"] = SessionInfo{ID: "abc", User: 1, State: "live"}
	return n
}

func TestAdminRoutesAnswer(t *testing.T) {
	session := `{"id":"abc","user_id":"1","state":"live","loop":0,"guilds":[],"intents":0,` +
		`"shard":[0,0],"encoding":"","compression":"","seq_sent":0,"seq_acknowledged":0,"lag":0,` +
		`"lag_bytes":0,"bytes":0,"age_seconds":0}`
	counts := `"member_count":1,"session_count":0,"active_count":0,"passive_count":0,` +
		`"event_index":0,"owner_node":"a"}`
	top := `{"id":"2","name":"","member_count":0,"session_count":1,"active_count":0,` +
		`"passive_count":0,"event_index":0,"owner_node":""}`
	for _, c := range []struct {
		name, method, path, body string
		status                   int
		want                     string
	}{
		{"put a user", "PUT", "/v1/users/7", `{"username":"x"}`, 200, `{"id":"7"}`},
		{"put a user with its id", "PUT", "/v1/users/7", `{"id":"7"}`, 200, `{"id":"7"}`},
		{"another id", "PUT", "/v1/users/7", `{"id":"8"}`, 400,
			`{"error":"8 is not the id in the path","field":"id"}`},
		{"user that is no snowflake", "PUT", "/v1/users/x7", `{}`, 400,
			`{"error":"\"x7\" is not a snowflake","field":"id"}`},
		{"user 0", "PUT", "/v1/users/0", `{}`, 400, ""},
		{"user without a body", "PUT", "/v1/users/7", ``, 400,
			`{"error":"the body is empty, want a JSON object"}`},
		{"user that is a list", "PUT", "/v1/users/7", `[]`, 400, `{"error":"want a JSON object"}`},
		{"user that is no JSON", "PUT", "/v1/users/7", `{"username":}`, 400, ""},
		{"user with bad UTF-8", "PUT", "/v1/users/7", "{\"username\":\"\xff\"}", 400,
			`{"error":"the JSON is not valid UTF-8"}`},
		{"user nested too deep", "PUT", "/v1/users/7",
			`{"a":` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + `}`, 400, ""},
		{"user that the node refuses", "PUT", "/v1/users/7", `{"username":5}`, 400,
			`{"error":"want a name","field":"username"}`},
		{"user with a number for a token", "PUT", "/v1/users/7", `{"token":5}`, 400,
			`{"error":"want a string","field":"token"}`},
		{"user with a bad token", "PUT", "/v1/users/7", `{"token":"Bot x"}`, 400, ""},
		{"user with a token that is taken", "PUT", "/v1/users/7", `{"token":"tok.en"}`, 409,
			`{"error":"the token is another user's","field":"token"}`},

		{"register a token", "POST", "/v1/users/1/tokens", `{"token":"abc"}`, 200,
			`{"token":"abc"}`},
		{"token for nobody", "POST", "/v1/users/9/tokens", ``, 404, `{"error":"Unknown User"}`},
		{"token that is a number", "POST", "/v1/users/1/tokens", `{"token":5}`, 400,
			`{"error":"want a string","field":"token"}`},
		{"empty token", "POST", "/v1/users/1/tokens", `{"token":""}`, 400, ""},
		{"revoke tokens", "DELETE", "/v1/users/1/tokens", ``, 204, ""},
		{"revoke tokens of nobody", "DELETE", "/v1/users/9/tokens", ``, 404, ""},

		{"put a guild", "PUT", "/v1/guilds/8", `{"name":"x"}`, 200, `{"id":"8"}`},
		{"guild with another id", "PUT", "/v1/guilds/8", `{"id":"9","name":"x"}`, 400, ""},
		{"guild that the node refuses", "PUT", "/v1/guilds/8", `{}`, 400,
			`{"error":"want a name","field":"name"}`},
		{"get a guild", "GET", "/v1/guilds/2", ``, 200,
			`{"roles":[],"id":"2","name":"g",` + counts},
		{"get no guild", "GET", "/v1/guilds/9", ``, 404, `{"error":"Unknown Guild"}`},
		{"largest", "GET", "/v1/guilds?top=sessions&limit=1", ``, 200, `[` + top + `]`},
		{"largest by something else", "GET", "/v1/guilds?top=age", ``, 400, ""},
		{"largest, none", "GET", "/v1/guilds?limit=0", ``, 400,
			`{"error":"want a number from 1 to 1000","field":"limit"}`},
		{"delete a guild", "DELETE", "/v1/guilds/2", ``, 204, ""},
		{"delete no guild", "DELETE", "/v1/guilds/9", ``, 404, ""},
		{"delete a member", "DELETE", "/v1/guilds/2/members/1", ``, 204, ""},
		{"delete no member", "DELETE", "/v1/guilds/2/members/9", ``, 404,
			`{"error":"Unknown Member"}`},
		{"member that is no snowflake", "DELETE", "/v1/guilds/2/members/x", ``, 400,
			`{"error":"\"x\" is not a snowflake","field":"user"}`},

		{"session", "GET", "/v1/sessions/abc", ``, 200, session},
		{"no session", "GET", "/v1/sessions/nope", ``, 404, `{"error":"Unknown Session"}`},
		{"sessions of a user", "GET", "/v1/sessions?user_id=1", ``, 200, `[` + session + `]`},
		{"sessions of another", "GET", "/v1/sessions?user_id=9", ``, 200, `[]`},
		{"sessions of nobody", "GET", "/v1/sessions", ``, 400,
			`{"error":"\"\" is not a snowflake","field":"user_id"}`},
		{"reconnect a session", "POST", "/v1/sessions/abc/reconnect", ``, 204, ""},
		{"reconnect no session", "POST", "/v1/sessions/nope/reconnect", ``, 404, ""},
		{"close a session", "DELETE", "/v1/sessions/abc", ``, 204, ""},
		{"close no session", "DELETE", "/v1/sessions/nope", ``, 404, ""},
		{"node", "GET", "/v1/node", ``, 200, `{"node":"a","version":"1","state":"ready",` +
			`"uptime_seconds":0,"loops":2,"limits":null,"counts":null}`},
		{"drain", "POST", "/v1/drain", ``, 202, `{"status":"draining"}`},
		{"check", "GET", "/debug/check", ``, 200, `{"status":"ok"}`},
		{"healthz", "GET", "/healthz", ``, 200, `{"status":"ok"}`},
		{"readyz", "GET", "/readyz", ``, 200, `{"status":"ready"}`},
		{"head of a route", "HEAD", "/v1/node", ``, 200, ""},
		{"pprof", "GET", "/debug/pprof/", ``, 200, ""},
		{"a profile", "GET", "/debug/pprof/goroutine", ``, 200, ""},
		{"metrics that are not there", "GET", "/metrics", ``, 404, ""},
		{"console", "GET", "/", ``, 404, ""},
		{"no route", "GET", "/v2/node", ``, 404, `{"error":"there is no such route"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			url := serve(t, Admin(furnished(), Config{}))
			got := request(t, c.method, url+c.path, c.body)
			got.want(t, c.status, c.want)
			kind := got.header.Get("Content-Type")
			if c.status != 204 && kind != "application/json" && !strings.Contains(c.path, "pprof") {
				t.Errorf("got content type %q", kind)
			}
		})
	}
}

func TestWrongMethodNamesTheRightOnes(t *testing.T) {
	url := serve(t, Admin(furnished(), Config{}))
	for path, allow := range map[string]string{
		"/v1/users":              "POST",
		"/v1/users/1":            "PUT",
		"/v1/users/1/tokens":     "DELETE, POST",
		"/v1/users/1/events":     "POST",
		"/v1/guilds":             "GET, HEAD",
		"/v1/guilds/2":           "DELETE, GET, HEAD, PUT",
		"/v1/guilds/2/members":   "GET, HEAD, POST",
		"/v1/guilds/2/members/1": "DELETE",
		"/v1/guilds/2/events":    "POST",
		"/v1/sessions":           "GET, HEAD",
		"/v1/sessions/abc":       "DELETE, GET, HEAD",
		"/v1/node":               "GET, HEAD",
		"/v1/drain":              "POST",
		"/debug/check":           "GET, HEAD",
	} {
		a := request(t, "PATCH", url+path, `{}`)
		a.want(t, 405, `{"error":"405: Method Not Allowed"}`)
		if got := a.header.Get("Allow"); got != allow {
			t.Errorf("%s: got Allow %q, want %q", path, got, allow)
		}
	}
}

func TestUserReachesTheNodeWholeAndWithoutItsToken(t *testing.T) {
	n := newFake()
	url := serve(t, Admin(n, Config{}))
	request(t, "PUT", url+"/v1/users/7", `{"username":"a\"b","token":"s.e.cret","bot":true,
		"x":{"y":[1, 2]}}`).want(t, 200, "")
	got := n.users[7]
	want := `{"username":"a\"b","bot":true,"x":{"y":[1, 2]}}`
	if got.ID != 7 || string(got.Doc) != want || got.Token != "s.e.cret" {
		t.Errorf("got %d %s %s\nwant 7 %s", got.ID, got.Doc, got.Token, want)
	}
}

func TestMintedTokenIsRegisteredAndHasTheShapeThatLibrariesRead(t *testing.T) {
	n := furnished()
	url := serve(t, Admin(n, Config{}))
	seen := map[string]bool{}
	for _, body := range []string{"", "{}", `{"token":null}`} {
		var got struct{ Token string }
		a := request(t, "POST", url+"/v1/users/1/tokens", body)
		if err := json.Unmarshal([]byte(a.body), &got); err != nil {
			t.Fatal(err)
		}
		parts := strings.Split(got.Token, ".")
		if len(parts) != 3 || parts[0] != "MQ" || len(parts[1]) != 6 || len(parts[2]) < 27 {
			t.Errorf("got token %q", got.Token)
		}
		if seen[got.Token] || n.tokens[got.Token] != 1 {
			t.Errorf("token %q is not new, or not registered", got.Token)
		}
		seen[got.Token] = true
	}
}

func TestNodeFailuresHaveTheirStatus(t *testing.T) {
	for _, c := range []struct {
		name       string
		err        error
		status     int
		body       string
		retryAfter string
	}{
		{"busy", Busy(1500*time.Millisecond, "the shard is full"), 429,
			`{"error":"the shard is full"}`, "2"},
		{"busy for no time", Busy(0, "full"), 429, `{"error":"full"}`, "1"},
		{"unavailable", Unavailable(30*time.Second, "draining"), 503, `{"error":"draining"}`, "30"},
		{"conflict", Conflict("id", "taken"), 409, `{"error":"taken","field":"id"}`, ""},
		{"unforeseen", errors.New("disk: secret path"), 500,
			`{"error":"500: Internal Server Error"}`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := furnished()
			n.fail = c.err
			url := serve(t, Admin(n, Config{}))
			for _, r := range [][3]string{
				{"GET", "/v1/guilds/2", ""}, {"GET", "/v1/guilds", ""},
				{"PUT", "/v1/guilds/2", "{}"}, {"DELETE", "/v1/guilds/2", ""},
				{"DELETE", "/v1/guilds/2/members/1", ""}, {"PUT", "/v1/users/1", "{}"},
				{"POST", "/v1/users/1/tokens", ""}, {"DELETE", "/v1/users/1/tokens", ""},
				{"POST", "/v1/guilds/2/events", `{"t":"A","d":{}}`},
				{"POST", "/v1/users/1/events", `{"t":"A","d":{}}`},
				{"GET", "/v1/sessions/abc", ""}, {"GET", "/v1/sessions?user_id=1", ""},
				{"DELETE", "/v1/sessions/abc", ""}, {"GET", "/v1/node", ""},
			} {
				a := request(t, r[0], url+r[1], r[2])
				a.want(t, c.status, c.body)
				if got := a.header.Get("Retry-After"); got != c.retryAfter {
					t.Errorf("%s %s: got Retry-After %q, want %q", r[0], r[1], got, c.retryAfter)
				}
			}
		})
	}
}

func TestHealthAndReadinessAndCheckTellApart(t *testing.T) {
	n := furnished()
	n.fail = errors.New("everything fails")
	n.notReady, n.broken = errors.New("draining"), errors.New("loop 1: 3 slots, 4 sessions")
	url := serve(t, Admin(n, Config{}))
	request(t, "GET", url+"/healthz", "").want(t, 200, "")
	a := request(t, "GET", url+"/readyz", "")
	a.want(t, 503, `{"error":"draining"}`)
	if a.header.Get("Retry-After") == "" {
		t.Error("503 without Retry-After")
	}
	request(t, "GET", url+"/debug/check", "").
		want(t, 500, `{"error":"loop 1: 3 slots, 4 sessions"}`)
	request(t, "POST", url+"/v1/drain", "").want(t, 202, "")
	if !n.drained {
		t.Error("the node was not told to drain")
	}
}

func TestMetricsComeFromTheRegistryHandedIn(t *testing.T) {
	registry := prometheus.NewRegistry()
	counter := prometheus.NewCounter(prometheus.CounterOpts{Name: "throng_test_total"})
	registry.MustRegister(counter)
	counter.Add(3)
	url := serve(t, Admin(furnished(), Config{Metrics: registry}))
	a := request(t, "GET", url+"/metrics", "")
	if a.status != 200 || !strings.Contains(a.body, "throng_test_total 3") {
		t.Errorf("got %d %s", a.status, a.body)
	}
}

func TestNodeThatDoesNotAnswerIsNotWaitedForLong(t *testing.T) {
	n := furnished()
	n.block = make(chan struct{})
	url := serve(t, Admin(n, Config{Limits: Limits{Answer: time.Millisecond}}))
	a := request(t, "GET", url+"/v1/guilds/2", "")
	a.want(t, 503, `{"error":"the node did not answer in time"}`)
}

func TestRequestsInFlightAreBounded(t *testing.T) {
	n := furnished()
	n.block = make(chan struct{})
	url := serve(t, Admin(n, Config{Limits: Limits{InFlight: 1}}))
	first := make(chan int)
	go func() {
		a, err := send("GET", url+"/v1/guilds/2", http.NoBody)
		if err != nil {
			a.status = -1
		}
		first <- a.status
	}()
	// Whichever of the two requests comes second is refused; the other waits for the node.
	second := make(chan int)
	go func() {
		a, err := send("GET", url+"/v1/guilds/2", http.NoBody)
		if err != nil {
			a.status = -1
		}
		second <- a.status
	}()
	var refused, served int
	select {
	case refused = <-first:
		first = second
	case refused = <-second:
	}
	request(t, "GET", url+"/healthz", "").want(t, 200, "")
	close(n.block)
	served = <-first
	if refused != 503 || served != 200 {
		t.Errorf("got %d while one was in flight and then %d, want 503 and 200", refused, served)
	}
}

func TestPanicIsAnsweredCountedAndContained(t *testing.T) {
	n := furnished()
	n.panic = "broken"
	count := 0
	url := serve(t, Admin(n, Config{Panicked: func() { count++ }}))
	request(t, "GET", url+"/v1/guilds/2", "").want(t, 500, "")
	n.panic = nil
	request(t, "GET", url+"/v1/guilds/2", "").want(t, 200, "")
	if count != 1 {
		t.Errorf("counted %d panics, want 1", count)
	}
}

func TestBodiesPastTheirLimitAreRefusedUnread(t *testing.T) {
	limits := Limits{Guild: 100, Event: 100, Line: 100}
	n := furnished()
	url := serve(t, Admin(n, Config{Limits: limits}))
	long := `{"name":"` + strings.Repeat("x", 100) + `"}`
	for _, c := range [][2]string{
		{"PUT", "/v1/guilds/2"}, {"PUT", "/v1/users/1"}, {"POST", "/v1/users/1/tokens"},
		{"POST", "/v1/guilds/2/events"},
	} {
		request(t, c[0], url+c[1], long).want(t, 413, "")
		// Without an announced length the limit shows only while reading.
		chunked, err := send(c[0], url+c[1], struct{ io.Reader }{strings.NewReader(long)})
		if err != nil {
			t.Fatal(err)
		}
		chunked.want(t, 413, "")
	}
	if _, ok := wire.StringField(n.guilds[2].doc, "name"); !ok || len(n.guilds[2].events) != 0 {
		t.Error("a refused body left something behind")
	}
}
