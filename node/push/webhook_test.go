package push

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"throng/wire"
)

// received is what a webhook's server reads.
type received struct {
	Node   string
	Pushes []struct {
		User    wire.Snowflake `json:"user_id"`
		Guild   wire.Snowflake `json:"guild_id"`
		Channel wire.Snowflake `json:"channel_id"`
		Message wire.Snowflake `json:"message_id"`
		Author  wire.Snowflake `json:"author_id"`
		Name    string         `json:"author_name"`
		Content string
		Count   int
	}
}

func hook(t *testing.T, address, token string) Conn {
	t.Helper()
	w, err := NewWebhook(address, token, "one")
	if err != nil {
		t.Fatal(err)
	}
	c, err := w.Connect()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestWebhookPosts(t *testing.T) {
	var got received
	var header http.Header
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		header = r.Header
		text, _ := io.ReadAll(r.Body)
		if err := json.Unmarshal(text, &got); err != nil {
			t.Errorf("%v in %s", err, text)
		}
	}))
	defer server.Close()
	n := &Note{Guild: 2, Channel: 3, Message: 4, Author: 5, Name: `a"da`, Text: "hé\n"}
	a := hook(t, server.URL+"/x", "secret").Send(context.Background(),
		[]Push{{User: 1, Note: n, Count: 3}, {User: 6, Note: n, Count: 1}})
	if a.Result != Sent || a.Err != nil {
		t.Fatalf("the answer is %+v", a)
	}
	if header.Get("Authorization") != "Bearer secret" ||
		header.Get("Content-Type") != "application/json" {
		t.Errorf("the header is %v", header)
	}
	if got.Node != "one" || len(got.Pushes) != 2 || got.Pushes[1].User != 6 {
		t.Fatalf("got %+v", got)
	}
	p := got.Pushes[0]
	if p.User != 1 || p.Guild != 2 || p.Channel != 3 || p.Message != 4 || p.Author != 5 ||
		p.Name != `a"da` || p.Content != "hé\n" || p.Count != 3 {
		t.Errorf("got %+v", p)
	}
}

func TestWebhookStatuses(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		status int
		after  string
		want   Result
		pause  time.Duration
	}{
		{200, "", Sent, 0}, {204, "", Sent, 0},
		{302, "", Refused, 0}, {400, "", Refused, 0}, {401, "", Refused, 0}, {413, "", Refused, 0},
		{408, "", Failed, 0}, {425, "", Failed, 0},
		{429, "", Later, 0}, {429, "7", Later, 7 * time.Second},
		{429, "Sat, 21 Nov 2026 12:00:30 GMT", Later, 30 * time.Second},
		{429, "Sat, 21 Nov 2026 11:00:00 GMT", Later, 0},
		{429, "-3", Later, 0}, {429, "soon", Later, 0},
		{500, "", Failed, 0}, {502, "", Failed, 0}, {503, "", Failed, 0},
		{503, "2", Later, 2 * time.Second},
	} {
		a := judge(test.status, test.after, now)
		if a.Result != test.want || a.Pause != test.pause || (a.Err == nil) != (a.Result == Sent) {
			t.Errorf("%d with Retry-After %q is %+v, want %v after %v", test.status, test.after, a,
				test.want, test.pause)
		}
	}
}

// TestWebhookTimesOut: a server that does not answer costs what the try has, and its connection.
func TestWebhookTimesOut(t *testing.T) {
	end := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-end }))
	defer server.Close()
	defer close(end)
	c := hook(t, server.URL, "")
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	a := c.Send(ctx, []Push{{User: 1, Note: note(1, 1), Count: 1}})
	if a.Result != Failed || a.Err == nil {
		t.Errorf("the answer is %+v, want failed", a)
	}
}

func TestWebhookKeepsItsAddressToItself(t *testing.T) {
	w, err := NewWebhook("http://me:secret@127.0.0.1:1/secret?key=secret", "secret", "one")
	if err != nil {
		t.Fatal(err)
	}
	c, _ := w.Connect()
	defer c.Close()
	a := c.Send(context.Background(), []Push{{User: 1, Note: note(1, 1), Count: 1}})
	if a.Result != Failed || strings.Contains(a.Err.Error()+w.String(), "secret") {
		t.Errorf("%v says %v", w, a.Err)
	}
}

// TestWebhookFollowsNobody: a redirect would take the token elsewhere.
func TestWebhookFollowsNobody(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("the redirect was followed")
	}))
	defer elsewhere.Close()
	server := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	defer server.Close()
	a := hook(t, server.URL, "secret").Send(context.Background(), []Push{{User: 1, Note: note(1, 1)}})
	if a.Result != Refused {
		t.Errorf("the answer is %+v, want refused", a)
	}
}

func TestSinkAddresses(t *testing.T) {
	for address, want := range map[string]bool{
		"http://127.0.0.1:1": true, "https://push.example.com/throng?x=1": true,
		"": false, "push.example.com": false, "ftp://push.example.com": false, "http://": false,
	} {
		if _, err := NewWebhook(address, "", "one"); (err == nil) != want {
			t.Errorf("webhook %q: %v", address, err)
		}
	}
	for address, want := range map[string]bool{
		"nats://127.0.0.1:4222": true, "tls://a:1,nats://b:2": true, "nats://token@a:1": true,
		"": false, "127.0.0.1:4222": false, "http://a:1": false, "nats://a:1,": false,
	} {
		if _, err := NewNATS(address, "x", "one"); (err == nil) != want {
			t.Errorf("nats %q: %v", address, err)
		}
	}
	for subject, want := range map[string]bool{
		"push": true, "throng.push": true, "a.b-c_d.e": true,
		"": false, "a..b": false, ".a": false, "a.*": false, "a.>": false, "a b": false,
	} {
		if ValidSubject(subject) != want {
			t.Errorf("subject %q: want %v", subject, want)
		}
	}
}

// TestPipelineToWebhook goes all the way, with a server that wants a pause first.
func TestPipelineToWebhook(t *testing.T) {
	var count int
	users := make(chan wire.Snowflake, 100)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if count++; count == 1 {
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		var got received
		_ = json.NewDecoder(r.Body).Decode(&got)
		for _, p := range got.Pushes {
			users <- p.User
		}
	}))
	defer server.Close()
	w, err := NewWebhook(server.URL, "", "one")
	if err != nil {
		t.Fatal(err)
	}
	p := startSink(t, w, Limits{Connections: 1, RetryPause: time.Millisecond})
	offer(p, 0, 50)
	if left := stop(p, false); left != 0 {
		t.Errorf("%d were left", left)
	}
	seen := map[wire.Snowflake]bool{}
	for range 50 {
		seen[<-users] = true
	}
	if len(seen) != 50 || len(users) > 0 {
		t.Errorf("%d users were told, and %d more; want 50 once each", len(seen), len(users))
	}
	wantStats(t, p, func(s Stats) bool { return s.Sent == 50 && s.Answers[Later] == 1 })
}
