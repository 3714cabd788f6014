package node

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"throng/wire"
)

// siege is a node with a witness, whose session must not notice what others send.
type siege struct {
	*rig
	witness *wsClient
	events  int
	before  usage
}

func besiege(t *testing.T, tweaks ...func(*core)) *siege {
	t.Helper()
	s := &siege{rig: startRig(t, Config{}, tweaks...)}
	s.user(1, true)
	s.guild(100, 1)
	s.witness = s.login(1)
	s.witness.joined(1)
	s.before = s.usage()
	return s
}

// unharmed holds that the witness still gets its events, and that what came has left nothing.
func (s *siege) unharmed() {
	s.t.Helper()
	s.events++
	s.publish(100, s.events)
	s.witness.wantNumber(s.events)
	s.backTo(s.before)
	s.sound()
}

// rawHeader is a client frame's header with any bits and any length.
func rawHeader(first byte, masked bool, form byte, length uint64) string {
	mask := byte(0)
	if masked {
		mask = 0x80
	}
	b := []byte{first, mask | form}
	switch form {
	case 126:
		b = binary.BigEndian.AppendUint16(b, uint16(length))
	case 127:
		b = binary.BigEndian.AppendUint64(b, length)
	}
	return string(b)
}

func masked(first byte, payload string) string {
	b := frame(wire.OpcodeText, payload)
	b[0] = first
	return string(b)
}

// fragments is a text in so many pieces.
func fragments(text string, count int) string {
	var b strings.Builder
	size := (len(text) + count - 1) / count
	for i := range count {
		first := byte(0)
		if i == 0 {
			first = 1
		}
		if i == count-1 {
			first |= 0x80
		}
		b.WriteString(masked(first, text[min(i*size, len(text)):min((i+1)*size, len(text))]))
	}
	return b.String()
}

func padded(size int) string {
	const beat = `{"op":1,"d":null,"x":""}`
	return strings.Replace(beat, `""`, `"`+repeat("y", size-len(beat))+`"`, 1)
}

// badFrames are what a peer may send after the handshake that ends its connection.
var badFrames = []struct {
	name, send string
	code       wire.CloseCode
}{
	{"length with the top bit", rawHeader(0x81, true, 127, 1<<63), 1002},
	{"length of all bits", rawHeader(0x81, true, 127, 1<<64-1), 1002},
	{"length of 2^63-1", rawHeader(0x81, true, 127, 1<<63-1), 4002},
	{"length of 2^31", rawHeader(0x82, true, 127, 1<<31), 4002},
	{"length of 65,536", rawHeader(0x81, true, 127, 1<<16), 4002},
	{"length not in its shortest form", rawHeader(0x81, true, 126, 5), 1002},
	{"one octet too many", string(frame(wire.OpcodeText, padded(15_361))), 4002},
	{"one octet too many in fragments", fragments(padded(15_361), 3), 4002},
	{"17 fragments", fragments(padded(1700), 17), 1008},
	{"empty fragments without end", masked(1, "{") + repeat(masked(0, ""), 40), 1008},
	{"compressed without an extension", masked(0xc1, "x"), 1002},
	{"RSV2", masked(0xa1, "x"), 1002},
	{"RSV3 on a close", masked(0x98, "\x03\xe8"), 1002},
	{"reserved opcode 3", masked(0x83, "x"), 1002},
	{"reserved opcode 11", masked(0x8b, ""), 1002},
	{"not masked", "\x81\x02{}", 1002},
	{"a continuation of nothing", masked(0x80, "x"), 1002},
	{"a text within a text", masked(1, "{") + masked(0x81, "}"), 1002},
	{"a ping in two fragments", masked(9, "x"), 1002},
	{"a ping of 126 octets", rawHeader(0x89, true, 126, 126), 1002},
	{"a close of one octet", masked(0x88, "\x03"), 1002},
	{"a close with 1005", masked(0x88, "\x03\xed"), 1002},
	{"a close with 999", masked(0x88, "\x03\xe7"), 1002},
	{"a close with 5000", masked(0x88, "\x13\x88"), 1002},
	{"a close reason that is not UTF-8", masked(0x88, "\x03\xe8\xff"), 1007},
	{"a text that is not UTF-8", masked(0x81, "{\xff}"), 1007},
	{"a surrogate", masked(0x81, "{\"\xed\xa0\x80\"}"), 1007},
	{"a text that ends in a code point", masked(0x81, "{\"\xe2\x82"), 1007},
	{"a code point cut by a fragment and broken", masked(1, "\xe2\x82") + masked(0x80, "x"), 1007},
	{"bad UTF-8 at the start of a frame that does not end",
		rawHeader(0x81, true, 126, 15_000) + "\x00\x00\x00\x00\xff\xff", 1007},
	{"33 levels of arrays", masked(0x81, `{"op":1,"d":`+repeat("[", 33)+repeat("]", 33)+"}"), 4002},
	{"7,000 levels of objects", masked2(repeat(`{"a":`, 3000)), 4002},
	{"a number of a thousand digits", masked2(`{"op":` + repeat("9", 1000) + `}`), 4002},
	{"an exponent of a thousand digits", masked2(`{"op":1e` + repeat("9", 1000) + `}`), 4002},
	{"an op of 2^64", masked2(`{"op":18446744073709551616}`), 4002},
	{"a number of no form", masked2(`{"op":01}`), 4002},
	{"a lone surrogate as the key", masked2(`{"\ud800":1}`), 4002},
	{"a control in a string", masked2("{\"op\":1,\"d\":\"\x01\"}"), 4002},
	{"a NUL behind the object", masked2("{\"op\":1}\x00"), 4002},
	{"a second object", masked2(`{"op":1}{"op":1}`), 4002},
	{"a byte order mark", masked2("\ufeff" + `{"op":1}`), 4002},
	{"single quotes", masked2(`{'op':1}`), 4002},
	{"NaN", masked2(`{"op":NaN}`), 4002},
	{"HTTP again", upgradeRequest("/"), 1002},
	{"an empty binary message", masked(0x82, ""), 4002},
}

// masked2 is a whole text message of any length.
func masked2(payload string) string { return string(frame(wire.OpcodeText, payload)) }

// TestBadFrames sends each before and after IDENTIFY, whole and octet by octet.
func TestBadFrames(t *testing.T) {
	s := besiege(t)
	for _, bad := range badFrames {
		t.Run(bad.name, func(t *testing.T) {
			for _, live := range []bool{false, true} {
				c := s.dial("/")
				c.t = t
				c.wantOp(wire.OpHello)
				if live {
					c.identify(1, "")
				}
				// What comes behind the fault is not looked at.
				c.write([]byte(bad.send + "more"))
				c.wantClose(bad.code)
				c.conn.Close()
			}
		})
	}
	t.Run("octet by octet", func(t *testing.T) {
		for _, bad := range badFrames {
			if len(bad.send) > 300 {
				continue
			}
			c := s.dial("/")
			c.t = t
			c.wantOp(wire.OpHello)
			for i := range len(bad.send) {
				if c.tryWrite([]byte{bad.send[i]}) != nil {
					break
				}
			}
			c.wantClose(bad.code)
			c.conn.Close()
		}
	})
	t.Run("in half, and gone", func(t *testing.T) {
		for _, bad := range badFrames {
			c := s.dial("/")
			c.write([]byte(bad.send[:len(bad.send)/2]))
			c.conn.Close()
		}
	})
	s.unharmed()
	for _, reason := range []CloseReason{ProtocolViolation, BadUTF8, MessageTooBig,
		TooManyFragments, BadPayload} {
		if s.closes(reason) == 0 {
			t.Errorf("%s was never counted", reason)
		}
	}
}

// TestWhatIsJustAllowed is the other side of each limit.
func TestWhatIsJustAllowed(t *testing.T) {
	s := besiege(t)
	for name, send := range map[string]string{
		"15,360 octets":                  masked2(padded(15_360)),
		"15,360 octets in 16 fragments":  fragments(padded(15_360), 16),
		"16 fragments, a ping between":   masked(1, `{"op":1`) + masked(0x89, "p") + masked(0x80, "}"),
		"binary JSON":                    masked(0x82, `{"op":1}`),
		"empty fragments":                masked(1, "") + masked(0, "") + masked(0x80, `{"op":1}`),
		"32 levels":                      masked2(`{"op":1,"d":` + repeat("[", 31) + repeat("]", 31) + `}`),
		"keys twice":                     masked2(`{"op":1,"d":null,"op":77,"d":{},"x":1,"x":2}`),
		"a number of a thousand digits":  masked2(`{"op":1,"d":null,"x":` + repeat("9", 1000) + `}`),
		"blanks":                         masked2(" \t\r\n{ \"op\" : 1 }\n"),
		"escapes in a key":               masked2(`{"\u006fp":1}`),
		"1,500 code points of 4 octets":  masked2(`{"op":1,"d":"` + repeat("𝄞", 1500) + `"}`),
		"a pong that nobody asked for":   masked(0x8a, "x") + masked2(`{"op":1}`),
		"a ping of 125 octets":           masked(0x89, repeat("p", 125)) + masked2(`{"op":1}`),
		"all of it in one packet, twice": masked2(`{"op":1}`),
	} {
		c := s.dial("/")
		c.wantOp(wire.OpHello)
		c.write([]byte(send))
		for {
			h, err := c.read()
			if err != nil || h.opcode == wire.OpcodeClose {
				t.Fatalf("%s: got %v, %v", name, h, err)
			}
			if h.Op == int(wire.OpHeartbeatAck) {
				break
			}
		}
		c.conn.Close()
	}
	s.unharmed()
}

// TestSessionOctetByOctet sends a whole session, handshake included, in packets of one octet.
func TestSessionOctetByOctet(t *testing.T) {
	s := besiege(t)
	c := s.connect()
	drip := func(b []byte) {
		for i := range b {
			c.write(b[i : i+1])
		}
	}
	drip([]byte(upgradeRequest("/?v=10&encoding=json")))
	if status, body, err := c.readHTTP(); status != 101 || err != nil {
		t.Fatalf("%d %s %v", status, body, err)
	}
	drip(append(c.command(2, identifyBody(1, "")), c.command(1, "null")...))
	got := map[string]int{}
	for range 4 {
		h := c.next()
		got[fmt.Sprint(h.Op, h.Type)]++
	}
	for _, want := range []string{"10", "11", "0READY", "0GUILD_CREATE"} {
		if got[want] != 1 {
			t.Errorf("got %v, want %s once", got, want)
		}
	}
	drip(c.command(8, `{"guild_id":"100","user_ids":["1"]}`))
	c.wantEvent("GUILD_MEMBERS_CHUNK")
	drip(closeFrame(1000))
	if h := c.next(); h.code != 1000 {
		t.Errorf("got %v", h)
	}
	c.wantEnd()
	c.conn.Close()
	s.unharmed()
}

// TestSlowHandshakeEnds: an octet now and then does not keep a connection, since the time is for
// the whole of the request.
func TestSlowHandshakeEnds(t *testing.T) {
	s := besiege(t, func(c *core) { c.limits.handshakeMilli = 700 })
	began := time.Now()
	slow, silent := s.connect(), s.connect()
	request := upgradeRequest("/")
	for i := 0; ; i = (i + 1) % (len(request) - 4) {
		if slow.tryWrite([]byte{request[i]}) != nil || slow.gone() {
			break
		}
	}
	if took := time.Since(began); took < 600*time.Millisecond || took > patience/2 {
		t.Errorf("the connection was held for %v", took)
	}
	slow.wantEnd()
	silent.wantEnd()
	slow.conn.Close()
	silent.conn.Close()
	s.until("both counted", func() bool { return s.closes(HandshakeTimeout) == 2 })
	s.unharmed()
}

// gone waits a moment for something to read, and says whether that is the end.
func (c *wsClient) gone() bool {
	c.conn.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	_, err := c.in.Peek(1)
	return err != nil && !strings.Contains(err.Error(), "timeout")
}
