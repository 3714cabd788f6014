package node

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"throng/wire"
)

// wsClient is a gateway client that does what a test tells it, and nothing by itself.
type wsClient struct {
	t    testing.TB
	rig  *rig
	conn net.Conn
	in   *bufio.Reader
	enc  wire.Encoding
	// stream decodes what comes on a compressed connection.
	stream *decoder
	target string // of its upgrade

	user    wire.Snowflake
	session string
	seq     uint32 // of the last dispatch
	number  int64  // of the last event, for tests that count
}

// heard is one thing the server said: a payload, a control frame, or a close.
type heard struct {
	Op   int             `json:"op"`
	Seq  *uint32         `json:"s"`
	Type string          `json:"t"`
	Data json.RawMessage `json:"d"`

	opcode wire.Opcode
	raw    []byte
	code   wire.CloseCode // of a close frame
	reason string
}

func (h *heard) String() string {
	switch h.opcode {
	case wire.OpcodeClose:
		return fmt.Sprintf("close %d %q", h.code, h.reason)
	case wire.OpcodePing, wire.OpcodePong:
		return fmt.Sprintf("%v %q", h.opcode, h.raw)
	}
	return fmt.Sprintf("%.200s", h.raw)
}

// connect opens a TCP connection to the gateway.
func (r *rig) connect() *wsClient {
	r.t.Helper()
	c, err := r.tryConnect(0)
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}

// tryConnect may have the kernel keep little for the client to read.
func (r *rig) tryConnect(receiveBuffer int) (*wsClient, error) {
	d := net.Dialer{Timeout: patience, Control: receiveBufferControl(receiveBuffer)}
	conn, err := d.Dial("tcp", r.doors["gateway"])
	if err != nil {
		return nil, err
	}
	r.t.Cleanup(func() { conn.Close() })
	if len(r.header) > 0 {
		if _, err := conn.Write(r.header); err != nil {
			return nil, err
		}
	}
	if r.secure != nil {
		conn = tls.Client(conn, r.secure)
	}
	return &wsClient{t: r.t, rig: r, conn: conn, in: bufio.NewReader(conn)}, nil
}

const upgradeKey = "dGhlIHNhbXBsZSBub25jZQ=="

func upgradeRequest(target string) string {
	return "GET " + target + " HTTP/1.1\r\nHost: gateway.test\r\nUpgrade: websocket\r\n" +
		"Connection: Upgrade\r\nSec-WebSocket-Key: " + upgradeKey +
		"\r\nSec-WebSocket-Version: 13\r\n\r\n"
}

// dial opens a connection and reads the handshake's reply, not HELLO.
func (r *rig) dial(target string) *wsClient {
	r.t.Helper()
	c := r.connect()
	c.upgrade(target)
	return c
}

func (c *wsClient) upgrade(target string) {
	c.t.Helper()
	if err := c.tryUpgrade(target); err != nil {
		c.t.Fatal(err)
	}
}

func (c *wsClient) tryUpgrade(target string) error {
	if strings.Contains(target, "encoding=etf") {
		c.enc = wire.EncodingETF
	}
	c.stream, c.target = decoderFor(c.t, target), target
	if err := c.tryWrite([]byte(upgradeRequest(target))); err != nil {
		return err
	}
	status, body, err := c.readHTTP()
	if err != nil {
		return err
	}
	if status != 101 {
		return &statusError{status, body}
	}
	return nil
}

type statusError struct {
	status int
	body   string
}

func (e *statusError) Error() string { return fmt.Sprintf("%d %s", e.status, e.body) }

// readHTTP reads an HTTP answer's head and, unless it is a 101, its body.
func (c *wsClient) readHTTP() (status int, body string, err error) {
	c.conn.SetReadDeadline(time.Now().Add(patience))
	length := 0
	for first := true; ; first = false {
		line, err := c.in.ReadString('\n')
		if err != nil {
			return status, "", err
		}
		if line = strings.TrimRight(line, "\r\n"); line == "" {
			break
		}
		if first {
			if _, err := fmt.Sscanf(line, "HTTP/1.1 %d", &status); err != nil {
				return 0, "", fmt.Errorf("status line %q: %w", line, err)
			}
		}
		if key, ok := strings.CutPrefix(line, "Sec-WebSocket-Accept: "); ok &&
			key != string(wire.AppendAccept(nil, upgradeKey)) {
			return status, "", fmt.Errorf("the accept key is %q", key)
		}
		fmt.Sscanf(line, "Content-Length: %d", &length)
	}
	b := make([]byte, length)
	_, err = io.ReadFull(c.in, b)
	return status, string(b), err
}

func (c *wsClient) tryWrite(b []byte) error {
	c.conn.SetWriteDeadline(time.Now().Add(patience))
	_, err := c.conn.Write(b)
	return err
}

func (c *wsClient) write(b []byte) {
	c.t.Helper()
	if err := c.tryWrite(b); err != nil {
		c.t.Fatal(err)
	}
}

var maskKey = [4]byte{0x37, 0xfa, 0x21, 0x3d}

// frame is a masked frame of the client.
func frame(op wire.Opcode, payload string) []byte {
	return wire.AppendMaskedFrame(nil, op, []byte(payload), maskKey)
}

// command is a gateway command in the client's encoding.
func (c *wsClient) command(op int, d string) []byte {
	text := fmt.Sprintf(`{"op":%d,"d":%s}`, op, d)
	if c.enc == wire.EncodingJSON {
		return frame(wire.OpcodeText, text)
	}
	term, err := wire.AppendETF([]byte{131}, []byte(text))
	if err != nil {
		panic(err)
	}
	return frame(wire.OpcodeBinary, string(term))
}

func (c *wsClient) send(op int, d string) {
	c.t.Helper()
	c.write(c.command(op, d))
}

func closeFrame(code int) []byte {
	return frame(wire.OpcodeClose, string(binary.BigEndian.AppendUint16(nil, uint16(code))))
}

// read reads the next thing the server says. A dispatch must have the next number.
func (c *wsClient) read() (*heard, error) {
	c.conn.SetReadDeadline(time.Now().Add(patience))
	h, err := readServerFrame(c.in)
	if err != nil || h.opcode.Control() {
		return h, err
	}
	text := h.raw
	if c.stream != nil {
		if h.raw, err = c.stream.text(h.raw); err != nil {
			return h, err
		}
		text, h.opcode = h.raw, wire.OpcodeText
	} else if h.opcode == wire.OpcodeBinary && len(text) > 0 && text[0] == 0x78 {
		if text, err = inflateDocument(text); err != nil {
			return h, err
		}
	} else if c.enc == wire.EncodingETF {
		if len(text) == 0 || text[0] != 131 || h.opcode != wire.OpcodeBinary {
			return h, fmt.Errorf("%v frame %.20x is no ETF", h.opcode, text)
		}
		if text, err = wire.AppendJSON(nil, text[1:], 64); err != nil {
			return h, err
		}
	} else if h.opcode != wire.OpcodeText {
		return h, fmt.Errorf("a %v frame with JSON", h.opcode)
	}
	h.raw = text
	if err := json.Unmarshal(text, h); err != nil {
		return h, fmt.Errorf("%w in %.200s", err, text)
	}
	if h.Op != 0 {
		return h, nil
	}
	if h.Seq == nil || *h.Seq != c.seq+1 {
		return h, fmt.Errorf("after number %d came %v", c.seq, h)
	}
	c.seq++
	return h, nil
}

func readServerFrame(in *bufio.Reader) (*heard, error) {
	var head [2]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return nil, err
	}
	if head[0]&0xf0 != 0x80 || head[1]&0x80 != 0 {
		return nil, fmt.Errorf("a server's frame begins %x", head)
	}
	length := uint64(head[1])
	switch length {
	case 126:
		var b [2]byte
		if _, err := io.ReadFull(in, b[:]); err != nil {
			return nil, err
		}
		length = uint64(binary.BigEndian.Uint16(b[:]))
	case 127:
		var b [8]byte
		if _, err := io.ReadFull(in, b[:]); err != nil {
			return nil, err
		}
		length = binary.BigEndian.Uint64(b[:])
	}
	if length > 64<<20 {
		return nil, fmt.Errorf("a frame of %d octets", length)
	}
	h := &heard{opcode: wire.Opcode(head[0] & 15), raw: make([]byte, length)}
	if _, err := io.ReadFull(in, h.raw); err != nil {
		return nil, err
	}
	if h.opcode == wire.OpcodeClose {
		var fault *wire.CloseError
		if h.code, h.reason, fault = wire.ParseClose(h.raw); fault != nil {
			return nil, fault
		}
	}
	return h, nil
}

func (c *wsClient) next() *heard {
	c.t.Helper()
	h, err := c.read()
	if err != nil {
		c.t.Fatalf("read: %v", err)
	}
	return h
}

// wantOp reads until a payload of that op comes; dispatches on the way are passed over, and so is
// the lesson of a zstd stream that another kind of stream began.
func (c *wsClient) wantOp(op wire.Op) *heard {
	c.t.Helper()
	for {
		h := c.next()
		switch {
		case h.opcode.Control():
			c.t.Fatalf("got %v, want %v", h, op)
		case h.Op == int(op):
			return h
		case h.Op != 0 && !bytes.Contains(h.raw, []byte(`"_":`)):
			c.t.Fatalf("got %v, want %v", h, op)
		}
	}
}

// wantEvent reads until a dispatch of that type comes.
func (c *wsClient) wantEvent(name string) *heard {
	c.t.Helper()
	for {
		if h := c.wantOp(wire.OpDispatch); h.Type == name {
			return h
		}
	}
}

// wantNumber reads until the event of that number comes; no other number may come before it.
func (c *wsClient) wantNumber(n int) {
	c.t.Helper()
	h := c.wantEvent("TEST_EVENT")
	if got, _ := wire.IntField(h.Data, "n"); int(got) != n {
		c.t.Fatalf("got event %d, want %d", got, n)
	}
}

// wantClose reads until the server closes, and holds that it says why, and that it closes the
// connection as soon as the client has answered.
func (c *wsClient) wantClose(code wire.CloseCode) *heard {
	c.t.Helper()
	for {
		h, err := c.read()
		if err != nil {
			c.t.Fatalf("got %v, want close %d", err, code)
		}
		if h.opcode != wire.OpcodeClose {
			continue
		}
		if h.code != code {
			c.t.Fatalf("got %v, want code %d", h, code)
		}
		if h.reason == "" || len(h.reason) > 123 {
			c.t.Errorf("close %d gives the reason %q", h.code, h.reason)
		}
		_ = c.tryWrite(closeFrame(int(code)))
		c.wantEnd()
		return h
	}
}

// wantEnd holds that the connection ends without another octet.
func (c *wsClient) wantEnd() {
	c.t.Helper()
	c.conn.SetReadDeadline(time.Now().Add(patience))
	n, err := c.in.Read(make([]byte, 1))
	var timeout net.Error
	if n != 0 || err == nil || errors.As(err, &timeout) && timeout.Timeout() {
		c.t.Fatalf("the connection goes on: %d octets, %v", n, err)
	}
}

func identifyBody(user wire.Snowflake, more string) string {
	return fmt.Sprintf(`{"token":"%s","properties":{"os":"linux","browser":"t","device":"t"},`+
		`"intents":%d%s}`, tokenOf(user), testIntents, more)
}

// testIntents are GUILDS, GUILD_MESSAGES and MESSAGE_CONTENT.
const testIntents = wire.IntentGuilds | wire.IntentGuildMessages | wire.IntentMessageContent

// login opens a session and reads READY. Its guilds are still to come.
func (r *rig) login(user wire.Snowflake) *wsClient {
	r.t.Helper()
	return r.loginAt("/?v=10&encoding=json", user)
}

func (r *rig) loginAt(target string, user wire.Snowflake) *wsClient {
	r.t.Helper()
	c := r.dial(target)
	c.wantOp(wire.OpHello)
	c.identify(user, "")
	return c
}

// loginNarrow is login over a connection whose kernel takes so many bytes; 0 for what it likes.
func (r *rig) loginNarrow(user wire.Snowflake, receiveBuffer int) *wsClient {
	r.t.Helper()
	c, err := r.tryConnect(receiveBuffer)
	if err != nil {
		r.t.Fatal(err)
	}
	c.upgrade("/")
	c.wantOp(wire.OpHello)
	c.identify(user, "")
	return c
}

func (c *wsClient) identify(user wire.Snowflake, more string) *heard {
	c.t.Helper()
	c.send(2, identifyBody(user, more))
	return c.ready(user)
}

// ready reads READY.
func (c *wsClient) ready(user wire.Snowflake) *heard {
	c.t.Helper()
	h := c.wantEvent("READY")
	c.user = user
	c.session, _ = wire.StringField(h.Data, "session_id")
	return h
}

// joined reads GUILD_CREATE of so many guilds.
func (c *wsClient) joined(guilds int) {
	c.t.Helper()
	for range guilds {
		c.wantEvent("GUILD_CREATE")
	}
}

func (c *wsClient) resumeBody() string {
	return fmt.Sprintf(`{"token":"%s","session_id":"%s","seq":%d}`, tokenOf(c.user), c.session,
		c.seq)
}

// again opens a connection that goes on where c stopped, up to RESUME.
func (c *wsClient) again() *wsClient {
	c.t.Helper()
	target := "/?v=10&encoding=" + c.enc.String()
	next := c.rig.dial(target)
	next.wantOp(wire.OpHello)
	next.takeOver(c)
	return next
}

// takeOver sends RESUME for c's session.
func (c *wsClient) takeOver(old *wsClient) {
	c.t.Helper()
	c.user, c.session, c.seq = old.user, old.session, old.seq
	c.send(6, c.resumeBody())
}

// loop is the loop that has the session.
func (c *wsClient) home() int {
	id, _ := parseSessionID(c.session)
	home, _ := placeOf(id)
	return home
}

// at is the loop that has the connection, -1 when none has.
func (c *wsClient) at() (index int) {
	c.t.Helper()
	index = -1
	local := c.conn.LocalAddr().String()
	c.rig.eachSocket(func(l *loop, k *socket) {
		if k.io.Remote() == local {
			index = l.index
		}
	})
	return index
}

// tryConnectTo opens a connection to one of the doors.
func (r *rig) tryConnectTo(door string) (net.Conn, error) {
	return net.DialTimeout("tcp", r.doors[door], patience)
}
