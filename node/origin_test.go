package node

import (
	"strings"
	"testing"
)

// TestOrigins is row 30 of the matrix: who is let in by what a browser says of its page.
func TestOrigins(t *testing.T) {
	t.Parallel()
	r := startRig(t, Config{Origins: "https://app.example.com, HTTPS://Two.example.com:443," +
		"http://localhost:3000"})
	for _, c := range []struct {
		name, header string
		status       int
	}{
		{"the page", "Origin: https://app.example.com\r\n", 101},
		{"the second, by its plain name", "Origin: https://two.example.com\r\n", 101},
		{"with its port", "Origin: http://localhost:3000\r\n", 101},
		{"absent", "", 101},
		{"evil", "Origin: https://evil.example.com\r\n", 403},
		{"null", "Origin: null\r\n", 403},
		{"other scheme", "Origin: http://app.example.com\r\n", 403},
		{"other port", "Origin: https://app.example.com:8443\r\n", 403},
		{"port missing", "Origin: http://localhost\r\n", 403},
		{"prefix", "Origin: https://app.example.com.evil.com\r\n", 403},
		{"suffix", "Origin: https://evil-app.example.com\r\n", 403},
		{"a path", "Origin: https://app.example.com/\r\n", 403},
		{"empty", "Origin:\r\n", 101},
		{"twice", "Origin: https://app.example.com\r\nOrigin: https://evil.example.com\r\n", 400},
	} {
		client := r.connect()
		client.write([]byte(strings.Replace(upgradeRequest("/"), "Host:", c.header+"Host:", 1)))
		status, body, err := client.readHTTP()
		if status != c.status || err != nil {
			t.Errorf("%s: got %d %q %v, want %d", c.name, status, body, err, c.status)
		}
		if status != 101 {
			client.wantEnd()
		}
	}
	if got := r.closes(OriginRefused); got != 8 {
		t.Errorf("%d were counted, want 8", got)
	}
	r.eachSocket(func(_ *loop, k *socket) {
		if k.state == socketHandshaking {
			t.Error("one that was refused is still held")
		}
	})
}

func TestOriginsAreExact(t *testing.T) {
	for _, text := range []string{
		"*", "https://*", "https://*.example.com", "app.example.com", "https://", "null",
		"https://app.example.com/", "https://app.example.com/path", "https://app.example.com?a",
		"https://me@app.example.com", "https://a.example.com,,", ":8080", "https://:443",
	} {
		if o, err := parseOrigins(text); err == nil {
			t.Errorf("%q was taken as %v", text, o)
		}
	}
}
