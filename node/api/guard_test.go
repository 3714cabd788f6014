package api

import (
	"io"
	"net/http"
	"testing"
)

// TestAdminTokenIsNeededForAllButHealth: and but for the files of the console's page.
func TestAdminTokenIsNeededForAllButHealth(t *testing.T) {
	n := furnished()
	page := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "page")
	})
	url := serve(t, Admin(n, Config{AdminToken: "s3cret",
		Pages: map[string]http.Handler{"/": page, "/console/a.js": page},
		Live:  func(http.ResponseWriter, *http.Request) error { return nil }}))
	for _, c := range []struct {
		name   string
		header []string
		status int
	}{
		{"none", nil, 401},
		{"wrong", []string{"Authorization", "Bearer s3cres"}, 401},
		{"empty", []string{"Authorization", "Bearer "}, 401},
		{"a prefix", []string{"Authorization", "Bearer s3cre"}, 401},
		{"longer", []string{"Authorization", "Bearer s3crett"}, 401},
		{"bare", []string{"Authorization", "s3cret"}, 401},
		{"another scheme", []string{"Authorization", "Basic s3cret"}, 401},
		{"right", []string{"Authorization", "Bearer s3cret"}, 202},
		{"right, scheme in lower case", []string{"Authorization", "bearer s3cret"}, 202},
		{"right, through a proxy", []string{"Authorization", "Bearer s3cret",
			"X-Forwarded-For", "203.0.113.5", "Host", "throng.example"}, 202},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := request(t, "POST", url+"/v1/guilds/2/events", `{"t":"A","d":{}}`, c.header...)
			a.want(t, c.status, "")
			if c.status == 401 && a.header.Get("WWW-Authenticate") == "" {
				t.Error("401 does not say what it wants")
			}
		})
	}
	closed := append(adminRoutes(t), adminRoute{"GET", "/metrics"}, adminRoute{"GET", "/nowhere"},
		adminRoute{"GET", "/debug/pprof/"}, adminRoute{"GET", "/debug/pprof/profile"},
		adminRoute{"GET", "/console/"}, adminRoute{"GET", "/console/b.js"},
		adminRoute{"POST", "/"}, adminRoute{"GET", "/v1/drain"})
	for _, c := range closed {
		request(t, c.method, url+c.path, "").
			want(t, 401, `{"error":"the admin token is missing or wrong"}`)
	}
	request(t, "GET", url+"/healthz", "").want(t, 200, "")
	request(t, "GET", url+"/readyz", "").want(t, 200, "")
	for _, path := range []string{"/", "/console/a.js"} {
		request(t, "GET", url+path, "").want(t, 200, "page")
	}
	if got := len(n.guilds[2].events); got != 3 || n.drained {
		t.Errorf("got %d events, drained %v; want 3, false", got, n.drained)
	}
}

func TestWithoutTokenOnlyThisHostGetsIn(t *testing.T) {
	n := furnished()
	page := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "page")
	})
	url := serve(t, Admin(n, Config{Pages: map[string]http.Handler{"/": page}}))
	for _, c := range []struct {
		name   string
		header []string
		status int
	}{
		{"direct", nil, 202},
		{"by name", []string{"Host", "localhost:9090"}, 202},
		{"by IPv6", []string{"Host", "[::1]:9090"}, 202},
		{"by an address mapped to IPv6", []string{"Host", "[::ffff:127.0.0.1]"}, 202},
		{"forwarded", []string{"X-Forwarded-For", "127.0.0.1"}, 403},
		{"forwarded by the standard's header", []string{"Forwarded", "for=127.0.0.1"}, 403},
		{"forwarded by nginx's header", []string{"X-Real-IP", "127.0.0.1"}, 403},
		{"forwarded by Apache", []string{"X-Forwarded-Server", "a"}, 403},
		{"forwarded, says the protocol alone", []string{"X-Forwarded-Proto", "https"}, 403},
		{"by way of somebody", []string{"Via", "1.1 caddy"}, 403},
		{"under a name of somebody's own", []string{"Host", "evil.example:9090"}, 403},
		{"under a name that begins right", []string{"Host", "127.0.0.1.evil.example"}, 403},
		{"by another address", []string{"Host", "192.0.2.1:9090"}, 403},
		{"from a page elsewhere", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"from a page of another port", []string{"Sec-Fetch-Site", "same-site"}, 403},
		{"from elsewhere, and it says both", []string{"Sec-Fetch-Site", "same-origin", "Origin",
			"http://evil.example"}, 403},
		{"from a page elsewhere, old browser", []string{"Origin", "http://evil.example"}, 403},
		{"from a page of no origin", []string{"Origin", "null"}, 403},
		{"from a page of the door's own", []string{"Sec-Fetch-Site", "same-origin"}, 202},
		{"from its own, old browser", []string{"Origin", "http://localhost:9090", "Host",
			"localhost:9090"}, 202},
		{"by who types the address", []string{"Sec-Fetch-Site", "none"}, 202},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := len(n.guilds[2].events)
			request(t, "POST", url+"/v1/guilds/2/events", `{"t":"A","d":{}}`, c.header...).
				want(t, c.status, "")
			if got := len(n.guilds[2].events) > before; got != (c.status == 202) {
				t.Errorf("published: %v", got)
			}
			looks := c.status
			if looks == 202 {
				looks = 200
			}
			for _, path := range []string{"/v1/node", "/debug/stacks"} {
				request(t, "GET", url+path, "", c.header...).want(t, looks, "")
			}
			request(t, "GET", url+"/", "", c.header...).want(t, 200, "page")
			request(t, "GET", url+"/healthz", "", c.header...).want(t, 200, "")
		})
	}
}
