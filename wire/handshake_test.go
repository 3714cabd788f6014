package wire

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
)

const keyForTest = "dGhlIHNhbXBsZSBub25jZQ==" // The example of RFC 6455 1.3.

// goodLines are the lines of a handshake that is taken, by what tests leave out or change.
var goodLines = [...]struct{ name, line string }{
	{"request", "GET /?v=10&encoding=json HTTP/1.1"},
	{"host", "Host: gateway.example:8080"},
	{"upgrade", "Upgrade: websocket"},
	{"connection", "Connection: Upgrade"},
	{"key", "Sec-WebSocket-Key: " + keyForTest},
	{"version", "Sec-WebSocket-Version: 13"},
}

// requestWith is a good handshake in which the line of that name is replaced by others.
func requestWith(name string, lines ...string) []byte {
	var b strings.Builder
	for _, good := range goodLines {
		if good.name != name {
			b.WriteString(good.line + "\r\n")
			continue
		}
		for _, line := range lines {
			b.WriteString(line + "\r\n")
		}
	}
	if name == "more" {
		for _, line := range lines {
			b.WriteString(line + "\r\n")
		}
	}
	return []byte(b.String() + "\r\n")
}

func TestHandshakeTakesWhatClientsSend(t *testing.T) {
	plain := Handshake{Path: "/", Version: 10, Encoding: "json", Host: "gateway.example:8080",
		Key: keyForTest}
	with := func(change func(*Handshake)) Handshake {
		h := plain
		change(&h)
		return h
	}
	for _, tt := range []struct {
		name    string
		request []byte
		want    Handshake
	}{
		{"plain", requestWith(""), plain},
		{"no path", requestWith("request", "GET ?v=9 HTTP/1.1"), with(func(h *Handshake) {
			h.Path, h.Version, h.Encoding = "", 9, ""
		})},
		{"double slash and a longer path", requestWith("request", "GET //gateway/x HTTP/1.1"),
			with(func(h *Handshake) { h.Path, h.Version, h.Encoding = "//gateway/x", 0, "" })},
		{"absolute URI", requestWith("request", "GET http://other:1/p?v=10 HTTP/1.1"),
			with(func(h *Handshake) { h.Path, h.Host, h.Encoding = "/p", "other:1", "" })},
		{"escaped query", requestWith("request", "GET /?%76=1%30&encoding=e%74f&"+
			"compress=zlib%2Dstream&v=9 HTTP/1.1"), with(func(h *Handshake) {
			h.Encoding, h.Compress = "etf", "zlib-stream"
		})},
		{"unknown and broken query keys", requestWith("request",
			"GET /?x=%zz&%&&v=10&"+strings.Repeat("k", 99)+"=1&encoding=json HTTP/1.1"), plain},
		{"version that is no number", requestWith("request", "GET /?v=ten&encoding=json HTTP/1.1"),
			with(func(h *Handshake) { h.Version = -1 })},
		{"version beyond any int", requestWith("request",
			"GET /?v=99999999999999999999&encoding=json HTTP/1.1"),
			with(func(h *Handshake) { h.Version = -1 })},
		{"names and values in other cases", requestWith("upgrade", "uPGRADE:  WebSocket\t"), plain},
		{"upgrade among others", requestWith("connection",
			"Connection: keep-alive, Upgrade"), plain},
		{"lists over several lines", requestWith("connection", "Connection: keep-alive",
			"Connection: ,upgrade,"), plain},
		{"offers are not taken", requestWith("more",
			"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
			"Sec-WebSocket-Protocol: chat, superchat"), plain},
		{"origin and agent", requestWith("more", "Origin: https://a", "User-Agent: DiscordBot (x)"),
			with(func(h *Handshake) { h.Origin, h.UserAgent = "https://a", "DiscordBot (x)" })},
		{"agent twice", requestWith("more", "User-Agent: first", "User-Agent: second"),
			with(func(h *Handshake) { h.UserAgent = "first" })},
		{"empty body", requestWith("more", "Content-Length: 0"), plain},
		{"IPv6 host", requestWith("host", "Host: [2001:db8::1]:8080"),
			with(func(h *Handshake) { h.Host = "[2001:db8::1]:8080" })},
	} {
		h, used, err := ParseHandshake(tt.request, limitsForTest)
		if err != nil || used != len(tt.request) || h != tt.want {
			t.Errorf("%s: got %+v, %d, %v, want %+v", tt.name, h, used, err, tt.want)
		}
	}
}

// TestHandshakeBugCatalogue has a row for each rule whose lack has hurt a server, and for each of
// RFC 6455 4.2.1.
func TestHandshakeBugCatalogue(t *testing.T) {
	headers := strings.Repeat("X: y\r\n", limitsForTest.Headers) + "X: y"
	for _, tt := range []struct {
		name    string
		request []byte
		status  int
	}{
		{"not HTTP", []byte("\x16\x03\x01\x02\x00\x01"), 400},
		{"leading empty line", append([]byte("\r\n"), requestWith("")...), 400},
		{"bare line feeds", bytes.ReplaceAll(requestWith(""), []byte("\r\n"), []byte("\n")), 400},
		{"bare carriage return", requestWith("host", "Host: a\rX: y"), 400},
		{"no blanks in the request line", requestWith("request", "GET"), 400},
		{"blank in the target", requestWith("request", "GET / x HTTP/1.1"), 400},
		{"HTTP/0.9", requestWith("request", "GET /"), 400},
		{"HTTP/1.0", requestWith("request", "GET / HTTP/1.0"), 400},
		{"HTTP/2 preface", []byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 405},
		{"POST", requestWith("request", "POST / HTTP/1.1"), 405},
		{"method in lower case", requestWith("request", "get / HTTP/1.1"), 405},
		{"control in the target", requestWith("request", "GET /\x00 HTTP/1.1"), 400},
		{"fragment in the target", requestWith("request", "GET /#x HTTP/1.1"), 400},
		{"target of another scheme", requestWith("request", "GET file:///x HTTP/1.1"), 400},
		{"asterisk target", requestWith("request", "GET * HTTP/1.1"), 400},
		{"broken escape in the path", requestWith("request", "GET /%4 HTTP/1.1"), 400},
		{"broken escape in a value", requestWith("request", "GET /?v=%4x HTTP/1.1"), 400},
		{"header without colon", requestWith("more", "Header"), 400},
		{"blank before the colon", requestWith("host", "Host : a"), 400},
		{"folded header", requestWith("more", "X: y", " Sec-WebSocket-Key: x"), 400},
		{"header without name", requestWith("more", ": x"), 400},
		{"control in a value", requestWith("more", "X: \x01"), 400},
		{"host missing", requestWith("host"), 400},
		{"host empty", requestWith("host", "Host:"), 400},
		{"host twice", requestWith("more", "Host: other"), 400},
		{"host with a path", requestWith("host", "Host: a/b"), 400},
		{"host with user", requestWith("host", "Host: u@a"), 400},
		{"host with a name as port", requestWith("host", "Host: a:b"), 400},
		{"host with broken brackets", requestWith("host", "Host: [::1"), 400},
		{"host with more behind its brackets", requestWith("host", "Host: [::1]80"), 400},
		{"host with a zone", requestWith("host", "Host: [fe80::1%eth0]"), 400},
		{"host with IPv4 in brackets", requestWith("host", "Host: [127.0.0.1]"), 400},
		{"origin twice", requestWith("more", "Origin: a", "Origin: b"), 400},
		{"no upgrade", requestWith("upgrade"), 426},
		{"upgrade to something else", requestWith("upgrade", "Upgrade: h2c, websocketx"), 426},
		{"connection missing", requestWith("connection"), 400},
		{"connection without upgrade", requestWith("connection", "Connection: keep-alive"), 400},
		{"key missing", requestWith("key"), 400},
		{"key twice", requestWith("more", "Sec-WebSocket-Key: "+keyForTest), 400},
		{"key empty", requestWith("key", "Sec-WebSocket-Key:"), 400},
		{"key of 15 bytes", requestWith("key", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAA"), 400},
		{"key of 17 bytes", requestWith("key", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAAA="), 400},
		{"key of 18 bytes", requestWith("key", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAAAA"), 400},
		{"key no base64", requestWith("key", "Sec-WebSocket-Key: !!!!AAAAAAAAAAAAAAAAAA=="), 400},
		{"version missing", requestWith("version"), 400},
		{"version twice", requestWith("more", "Sec-WebSocket-Version: 13"), 400},
		{"version 8", requestWith("version", "Sec-WebSocket-Version: 8"), 426},
		{"body", requestWith("more", "Content-Length: 5"), 400},
		{"chunked body", requestWith("more", "Transfer-Encoding: chunked"), 400},
		{"headers beyond the cap do not hide the upgrade",
			requestWith("host", "Host: a", headers), 431},
		{"header beyond its bytes", requestWith("more", "X: "+strings.Repeat("y", 4096)), 431},
		{"header without end", bytes.Repeat([]byte("G"), 4096), 431},
	} {
		_, used, err := ParseHandshake(tt.request, limitsForTest)
		if err == nil || err.Status != tt.status || used != 0 {
			t.Errorf("%s: got %d, %v, want %d", tt.name, used, err, tt.status)
			continue
		}
		// The same at any cut, and nothing is said before there is reason to.
		for n := range len(tt.request) {
			_, used, e := ParseHandshake(tt.request[:n], limitsForTest)
			if used != 0 || e != nil && e != err {
				t.Errorf("%s: got %d, %v from %d bytes, want %v", tt.name, used, e, n, err)
			}
		}
	}
}

func TestHandshakeWaitsForItsEnd(t *testing.T) {
	request := requestWith("")
	for n := range len(request) {
		if _, used, err := ParseHandshake(request[:n], limitsForTest); used != 0 || err != nil {
			t.Fatalf("%d bytes: got %d, %v", n, used, err)
		}
	}
	frame := clientFrame(0x81, "\r\n\r\n")
	if _, used, err := ParseHandshake(append(request, frame...), limitsForTest); err != nil ||
		used != len(request) {
		t.Errorf("with a frame behind it: got %d, %v, want %d", used, err, len(request))
	}
}

func TestHandshakeTakesHeadersUpToTheLimits(t *testing.T) {
	lines := limitsForTest.Headers - len(goodLines) + 1
	request := requestWith("more", strings.Repeat("X: y\r\n", lines-1)+"X: y")
	if _, used, err := ParseHandshake(request, limitsForTest); err != nil || used != len(request) {
		t.Errorf("64 headers: got %d, %v", used, err)
	}
	request = requestWith("more", strings.Repeat("X: y\r\n", lines)+"X: y")
	if _, used, err := ParseHandshake(request, limitsForTest); err == nil || err.Status != 431 {
		t.Errorf("65 headers: got %d, %v, want 431", used, err)
	}
	empty := len(requestWith("more", "X: "))
	request = requestWith("more", "X: "+strings.Repeat("y", limitsForTest.HeaderBytes-empty))
	if _, used, err := ParseHandshake(request, limitsForTest); err != nil || used != len(request) {
		t.Errorf("4,096 bytes: got %d, %v", used, err)
	}
	if _, _, err := ParseHandshake(request, Limits{}); err == nil || err.Status != 431 {
		t.Errorf("no limits: got %v, want 431", err)
	}
}

// TestHandshakeSharesNoMemory overwrites the buffer, as the next bytes from the socket will.
func TestHandshakeSharesNoMemory(t *testing.T) {
	request := requestWith("more", "Origin: https://example", "User-Agent: agent")
	want, _, _ := ParseHandshake(bytes.Clone(request), limitsForTest)
	got, _, _ := ParseHandshake(request, limitsForTest)
	clear(request)
	if got != want {
		t.Errorf("got %+v after the buffer was overwritten, want %+v", got, want)
	}
}

// TestHandshakeWaitingDoesNotAllocate is what a peer that sends its header octet by octet meets.
func TestHandshakeWaitingDoesNotAllocate(t *testing.T) {
	request := requestWith("more", "Sec-WebSocket-Extensions: "+strings.Repeat(",x; y", 700))
	if n := testing.AllocsPerRun(10, func() {
		for n := range len(request) {
			ParseHandshake(request[:n], limitsForTest)
		}
	}); n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
}

func TestHandshakeReply(t *testing.T) {
	// The example of RFC 6455 1.3 and 4.2.2.
	accept := string(AppendAccept(nil, keyForTest))
	if want := "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="; accept != want {
		t.Errorf("got accept %q, want %q", accept, want)
	}
	reply := AppendHandshakeReply(nil, keyForTest)
	r, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(reply)), nil)
	if err != nil || r.StatusCode != 101 || r.Header.Get("Upgrade") != "websocket" ||
		r.Header.Get("Connection") != "Upgrade" || len(r.Header) != 3 {
		t.Errorf("got %q, %v", reply, err)
	}
	dst := make([]byte, 0, 1024)
	if n := testing.AllocsPerRun(100, func() {
		dst = AppendHandshakeReply(dst[:0], keyForTest)
		dst = AppendHandshakeRefusal(dst, errHandshakeKey)
	}); n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
}

func TestHandshakeRefusal(t *testing.T) {
	for _, tt := range []struct {
		err    *HandshakeError
		status int
		header string // One that has to be there.
		value  string
	}{
		{errHandshakeKey, 400, "Connection", "close"},
		{errHandshakeMethod, 405, "Allow", "GET"},
		{errHandshakeUpgrade, 426, "Upgrade", "websocket"},
		{errHandshakeUpgrade, 426, "Connection", "close, Upgrade"},
		{errHandshakeVersion, 426, "Sec-WebSocket-Version", "13"},
		{errHandshakeHeaders, 431, "Connection", "close"},
		{&HandshakeError{503, "The node is full."}, 503, "Connection", "close"},
		{&HandshakeError{418, "The node is a teapot."}, 500, "Connection", "close"},
		{&HandshakeError{}, 500, "Connection", "close"},
	} {
		b := AppendHandshakeRefusal(nil, tt.err)
		r, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(b)), nil)
		if err != nil {
			t.Errorf("%v: %v in %q", tt.err, err, b)
			continue
		}
		body, err := io.ReadAll(r.Body)
		if err != nil || string(body) != tt.err.Reason+"\n" || r.StatusCode != tt.status {
			t.Errorf("%v: got %d, %q, %v", tt.err, r.StatusCode, body, err)
		}
		if want := "\r\n" + tt.header + ": " + tt.value + "\r\n"; !bytes.Contains(b, []byte(want)) {
			t.Errorf("%v: got %q, want it to have %q", tt.err, b, want)
		}
	}
}

func BenchmarkHandshake(b *testing.B) {
	request := requestWith("more", "Origin: https://example", "User-Agent: DiscordBot (x)",
		"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits")
	b.Run("parse", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			ParseHandshake(request, limitsForTest)
		}
	})
	b.Run("reply", func(b *testing.B) {
		dst := make([]byte, 0, 1024)
		b.ReportAllocs()
		for b.Loop() {
			dst = AppendHandshakeReply(dst[:0], keyForTest)
		}
	})
	b.Run("4KiB octet by octet", func(b *testing.B) {
		long := requestWith("more", strings.Repeat("X: y\r\n", 50)+"X: "+strings.Repeat("y", 3500))
		for b.Loop() {
			for n := range len(long) {
				ParseHandshake(long[:n], limitsForTest)
			}
		}
	})
}
