package api

import (
	"context"
	"strings"
	"testing"
	"time"
)

func (n *fakeNode) PutVoiceServer(ctx context.Context, name string, s VoiceServerInput) error {
	if err := n.enter(ctx); err != nil {
		return err
	}
	defer n.mu.Unlock()
	n.voice[name] = s
	return nil
}

func (n *fakeNode) ReportVoiceServer(ctx context.Context, name string, load int,
	expiresIn time.Duration) error {
	if err := n.enter(ctx); err != nil {
		return err
	}
	defer n.mu.Unlock()
	s, ok := n.voice[name]
	if !ok {
		return UnknownVoiceServer
	}
	s.Load, s.ExpiresIn = &load, expiresIn
	n.voice[name] = s
	return nil
}

func (n *fakeNode) RemoveVoiceServer(ctx context.Context, name string) error {
	if err := n.enter(ctx); err != nil {
		return err
	}
	defer n.mu.Unlock()
	if _, ok := n.voice[name]; !ok {
		return UnknownVoiceServer
	}
	delete(n.voice, name)
	return nil
}

func (n *fakeNode) VoiceServers(ctx context.Context) ([]VoiceServerInfo, error) {
	if err := n.enter(ctx); err != nil {
		return nil, err
	}
	defer n.mu.Unlock()
	var all []VoiceServerInfo
	for name, s := range n.voice {
		all = append(all, VoiceServerInfo{Name: name, Region: s.Region, Endpoint: s.Endpoint})
	}
	return all, nil
}

func TestVoiceServerRoutes(t *testing.T) {
	const good = `{"region":"eu","endpoint":"a.test:443","capacity":100`
	const unknown = `{"error":"there is no such voice server"}`
	for _, c := range []struct {
		name, method, path, body string
		status                   int
		want                     string
	}{
		{"put", "PUT", "/a-1.b_c", good + `}`, 200, `{"name":"a-1.b_c"}`},
		{"put with everything", "PUT", "/b", good + `,"secret":"0123456789abcdef","load":0,` +
			`"expires_in":0.5,"unknown":[1]}`, 200, ""},
		{"a bad name", "PUT", "/-a", good + `}`, 400, ""},
		{"a long name", "PUT", "/" + strings.Repeat("a", 65), good + `}`, 400, ""},
		{"no region", "PUT", "/b", `{"endpoint":"a:1","capacity":1}`, 400,
			`{"error":"want a string of 1 to 128 bytes","field":"region"}`},
		{"no port", "PUT", "/b", `{"region":"eu","endpoint":"a","capacity":1}`, 400,
			`{"error":"want host:port","field":"endpoint"}`},
		{"a port that is none", "PUT", "/b", `{"region":"eu","endpoint":"a:x","capacity":1}`, 400,
			`{"error":"want host:port","field":"endpoint"}`},
		{"no capacity", "PUT", "/b", `{"region":"eu","endpoint":"a:1"}`, 400,
			`{"error":"want a number from 1 to 10000000","field":"capacity"}`},
		{"a capacity that is text", "PUT", "/b", `{"capacity":"1"}`, 400,
			`{"error":"a string is of no use here","field":"capacity"}`},
		{"a short secret", "PUT", "/b", good + `,"secret":"short"}`, 400,
			`{"error":"want a string of 16 to 256 bytes","field":"secret"}`},
		{"a bad load", "PUT", "/b", good + `,"load":-1}`, 400, ""},
		{"no time at all", "PUT", "/b", good + `,"expires_in":0}`, 400,
			`{"error":"want seconds, at most 86400","field":"expires_in"}`},
		{"no object", "PUT", "/b", `[]`, 400, ""},
		{"report", "POST", "/a/load", `{"load":7}`, 204, ""},
		{"report with a time", "POST", "/a/load", `{"load":7,"expires_in":5}`, 204, ""},
		{"report without a load", "POST", "/a/load", `{}`, 400,
			`{"error":"want the number of users","field":"load"}`},
		{"report of nobody", "POST", "/z/load", `{"load":7}`, 404, unknown},
		{"delete", "DELETE", "/a", "", 204, ""},
		{"delete nobody", "DELETE", "/z", "", 404, unknown},
		{"list", "GET", "", "", 200, `[{"name":"a","region":"eu","endpoint":"a.test:443",` +
			`"capacity":0,"load":0,"users":0,"channels":0,"up":false,"expires_in":0}]`},
		{"wrong method", "POST", "/a", "", 405, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := newFake()
			n.voice["a"] = VoiceServerInput{Region: "eu", Endpoint: "a.test:443"}
			url := serve(t, Admin(n, Config{}))
			request(t, c.method, url+"/v1/voice/servers"+c.path, c.body).want(t, c.status, c.want)
			if b := n.voice["b"]; c.name == "put with everything" && (b.Load == nil ||
				b.Secret != "0123456789abcdef" || b.ExpiresIn != time.Second/2) {
				t.Errorf("got %+v", b)
			}
		})
	}
	url := serve(t, Admin(newFake(), Config{}))
	request(t, "GET", url+"/v1/voice/servers", "").want(t, 200, "[]")
}
