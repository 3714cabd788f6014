package node

import (
	"strings"
	"testing"

	"throng/wire"
)

// without is the upgrade request without, or with another one for, the header of that name.
func without(name, instead string) string {
	var b strings.Builder
	for line := range strings.Lines(upgradeRequest("/")) {
		if strings.HasPrefix(line, name) {
			line = instead
		}
		b.WriteString(line)
	}
	return b.String()
}

func and(more string) string {
	return strings.TrimSuffix(upgradeRequest("/"), "\r\n") + more + "\r\n"
}

var badHandshakes = []struct {
	name, send string
	status     int
}{
	{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400},
	{"an empty line", "\r\n" + upgradeRequest("/"), 400},
	{"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 405},
	{"bare line feeds", strings.ReplaceAll(upgradeRequest("/"), "\r\n", "\n"), 400},
	{"a browser's GET", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 426},
	{"a POST", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", 405},
	{"a POST of 300 KB", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n" +
		repeat("x", 300_000), 405},
	{"HTTP/1.0", strings.Replace(upgradeRequest("/"), "1.1", "1.0", 1), 400},
	{"no host", without("Host", ""), 400},
	{"two hosts", and("Host: b\r\n"), 400},
	{"no upgrade", without("Upgrade", ""), 426},
	{"another upgrade", without("Upgrade", "Upgrade: h2c\r\n"), 426},
	{"no connection", without("Connection", ""), 400},
	{"no key", without("Sec-WebSocket-Key", ""), 400},
	{"a short key", without("Sec-WebSocket-Key", "Sec-WebSocket-Key: AAAA\r\n"), 400},
	{"a key that is no base64", without("Sec-WebSocket-Key",
		"Sec-WebSocket-Key: "+repeat("!", 22)+"==\r\n"), 400},
	{"two keys", and("Sec-WebSocket-Key: " + upgradeKey + "\r\n"), 400},
	{"no version", without("Sec-WebSocket-Version", ""), 400},
	{"version 8", without("Sec-WebSocket-Version", "Sec-WebSocket-Version: 8\r\n"), 426},
	{"a body", and("Content-Length: 9\r\n"), 400},
	{"a chunked body", and("Transfer-Encoding: chunked\r\n"), 400},
	{"a folded header", and("X: a\r\n b\r\n"), 400},
	{"a blank before the colon", and("X : a\r\n"), 400},
	{"a control in a header", and("X: \x01\r\n"), 400},
	{"65 headers", and(repeat("X: a\r\n", 60)), 431},
	{"10,000 headers", and(repeat("X: a\r\n", 10_000)), 431},
	{"a header of 4 KB", and("X: " + repeat("y", 4096) + "\r\n"), 431},
	{"a header that has no end", "GET / HTTP/1.1\r\nX: " + repeat("y", 1<<20), 431},
	{"a target of 8 KB", upgradeRequest("/?" + repeat("y", 8192)), 431},
	{"a protocol list that is slow to a regular expression",
		and("Sec-WebSocket-Protocol: a" + repeat(" ", 3500) + "b\r\nX : y\r\n"), 400},
	{"a broken escape", upgradeRequest("/?v=%1"), 400},
}

// TestBadHandshakes has each answered with its status and one sentence.
func TestBadHandshakes(t *testing.T) {
	s := besiege(t)
	refused := s.closes(HandshakeRefused)
	for _, bad := range badHandshakes {
		t.Run(bad.name, func(t *testing.T) {
			for _, piece := range []int{1 << 20, 7, 1} {
				if len(bad.send)/piece > 5000 {
					continue
				}
				c := s.connect()
				for b := bad.send; len(b) > 0; b = b[min(piece, len(b)):] {
					if c.tryWrite([]byte(b[:min(piece, len(b))])) != nil {
						break // The answer has come before the end.
					}
				}
				status, body, err := c.readHTTP()
				if err != nil || status != bad.status {
					t.Errorf("in pieces of %d: got %d %q, %v, want %d", piece, status, body, err,
						bad.status)
				} else if !strings.HasSuffix(body, ".\n") || strings.Count(body, "\n") != 1 {
					t.Errorf("the body is %q", body)
				} else {
					c.wantEnd()
				}
				refused++
				c.conn.Close()
			}
		})
	}
	s.until("all are gone", func() bool { return s.core.connections.Load() == 1 })
	if got := s.closes(HandshakeRefused); got != refused {
		t.Errorf("%d refusals were counted, want %d", got, refused)
	}
	s.unharmed()
}

// TestHandshakeCutAnywhere drops the connection after each octet.
func TestHandshakeCutAnywhere(t *testing.T) {
	s := besiege(t)
	request := upgradeRequest("/") + string(frame(wire.OpcodeText, `{"op":1}`))
	for n := range len(request) {
		c := s.connect()
		c.write([]byte(request[:n]))
		c.conn.Close()
	}
	s.until("all are gone", func() bool { return s.core.connections.Load() == 1 })
	s.unharmed()
}

// TestFramesBehindTheHandshake: a client need not wait for the reply.
func TestFramesBehindTheHandshake(t *testing.T) {
	s := besiege(t)
	c := s.connect()
	c.write(append([]byte(upgradeRequest("/")), c.command(2, identifyBody(1, ""))...))
	if status, body, err := c.readHTTP(); status != 101 || err != nil {
		t.Fatalf("%d %s %v", status, body, err)
	}
	c.wantOp(wire.OpHello)
	c.ready(1)
	c.write(closeFrame(1000))
	c.drain()
	c.conn.Close()
	s.unharmed()
}

// drain reads up to the close.
func (c *wsClient) drain() {
	c.t.Helper()
	for c.next().opcode != wire.OpcodeClose {
	}
	c.wantEnd()
}
