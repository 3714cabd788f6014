package wire

import (
	"bufio"
	"bytes"
	"net/http"
	"strings"
	"testing"
)

// FuzzHandshake: nothing panics; what is said of a request does not depend on how it is cut; and
// what is taken means the same to net/http, so that a proxy before the gateway reads it alike.
func FuzzHandshake(f *testing.F) {
	f.Add(requestWith(""))
	f.Add(requestWith("request", "GET http://[::1]:1/p%41?compress=zstd-stream&v=%31 HTTP/1.1"))
	f.Add(requestWith("more", "Origin: a", "User-Agent: b", "Content-Length: 0"))
	f.Add(requestWith("more", "X: y", " folded"))
	f.Add(append(requestWith("upgrade", "Upgrade: h2c", "upgrade: ,WebSocket"), "more"...))
	f.Fuzz(func(t *testing.T, request []byte) {
		h, used, err := ParseHandshake(request, limitsForTest)
		if used < 0 || used > len(request) || used > 0 && err != nil {
			t.Fatalf("got %d of %d, %v", used, len(request), err)
		}
		for n := range len(request) {
			cutH, cutUsed, cutErr := ParseHandshake(request[:n], limitsForTest)
			switch {
			case cutErr != nil && cutErr != err:
				t.Fatalf("%d bytes: got %v, of all %v", n, cutErr, err)
			case cutUsed > 0 && (cutUsed != used || cutH != h):
				t.Fatalf("%d bytes: got %+v, of all %+v", n, cutH, h)
			case used > 0 && n >= used && cutUsed == 0:
				t.Fatalf("%d bytes: more asked for, taken were %d", n, used)
			}
		}
		if err != nil {
			b := AppendHandshakeRefusal(nil, err)
			if _, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(b)), nil); err != nil {
				t.Fatalf("refusal %q: %v", b, err)
			}
		}
		if used > 0 {
			compareWithHTTP(t, request[:used], h)
		}
	})
}

// compareWithHTTP reads a handshake that was taken with net/http.
func compareWithHTTP(t *testing.T, request []byte, h Handshake) {
	if h.Path == "" && bytes.HasPrefix(request, []byte("GET ?")) {
		// The one thing that some clients send and net/http does not take: no path at all.
		request = append([]byte("GET /"), request[len("GET "):]...)
		h.Path = "/"
	}
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(request)))
	if err != nil {
		t.Fatalf("net/http refuses %q: %v", request, err)
	}
	path, _, _ := strings.Cut(r.RequestURI, "?")
	if i := strings.Index(path, "://"); i >= 0 && path[0] != '/' {
		_, rest, ok := strings.Cut(path[i+3:], "/")
		if path = ""; ok {
			path = "/" + rest
		}
	}
	query := r.URL.Query()
	want := Handshake{
		Path:      path,
		Version:   h.Version,
		Encoding:  query.Get("encoding"),
		Compress:  query.Get("compress"),
		Host:      r.Host,
		Key:       r.Header.Get("Sec-WebSocket-Key"),
		Origin:    r.Header.Get("Origin"),
		UserAgent: r.Header.Get("User-Agent"),
	}
	if strings.Contains(r.URL.RawQuery, ";") {
		// net/http drops what has a semicolon in it, which once was another separator.
		want.Encoding, want.Compress = h.Encoding, h.Compress
	} else if v := query.Get("v"); query.Has("v") {
		want.Version = versionNumber([]byte(v))
	} else if h.Version != 0 {
		t.Fatalf("got version %d of a query without one", h.Version)
	}
	if h != want {
		t.Fatalf("got %+v, net/http has %+v", h, want)
	}
}
