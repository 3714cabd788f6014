package wire_test

import (
	"bytes"
	"fmt"
	"net"
	"testing"

	"throng/wire"
	"throng/wire/conformance"
)

// chops are the three ways the octets of each case are cut.
var chops = []struct {
	name string
	size int
}{{"as the case says", 0}, {"octet by octet", 1}, {"at random", -20260}}

func TestConformanceTableIsComplete(t *testing.T) {
	want := map[string]int{"1": 16, "2": 11, "3": 7, "4": 10, "5": 20, "6": 145, "7": 37, "10": 1}
	got, ids := map[string]int{}, map[string]bool{}
	for _, c := range conformance.Cases() {
		if ids[c.ID] {
			t.Errorf("case %s is there twice", c.ID)
		}
		ids[c.ID] = true
		got[c.Group()]++
	}
	for group, n := range want {
		if got[group] != n {
			t.Errorf("group %s has %d cases, want %d", group, got[group], n)
		}
	}
	if len(ids) != 247 {
		t.Errorf("the table has %d cases, want 247", len(ids))
	}
	// The last numbers of the generated groups, so that a lost row cannot hide behind an added one.
	for _, id := range []string{"1.1.8", "1.2.8", "2.11", "4.2.5", "5.20", "6.4.4", "6.5.5",
		"6.6.11", "6.7.4", "6.8.2", "6.9.4", "6.10.3", "6.11.5", "6.12.8", "6.13.5", "6.14.10",
		"6.15.1", "6.16.3", "6.17.5", "6.18.5", "6.19.5", "6.20.7", "6.21.8", "6.22.34", "6.23.7",
		"7.1.6", "7.3.6", "7.5.1", "7.7.13", "7.9.9", "7.13.2"} {
		if !ids[id] {
			t.Errorf("case %s is missing", id)
		}
	}
}

// expect fails the test unless the verdict is the best that the case has.
func expect(t *testing.T, c conformance.Case, verdict conformance.Verdict, err error) {
	t.Helper()
	want := conformance.OK
	if c.Open {
		want = conformance.Informational
	}
	if verdict != want {
		t.Errorf("got %v, want %v: %v", verdict, want, err)
	}
}

func TestConformance(t *testing.T) {
	for _, chop := range chops {
		t.Run(chop.name, func(t *testing.T) {
			for _, c := range conformance.Cases() {
				e := conformance.Echo{Limits: conformance.Limits()}
				verdict, err := conformance.Drive(c, chop.size, func(in []byte) ([]byte, bool) {
					return e.Feed(nil, in)
				})
				expect(t, c, verdict, err)
			}
		})
	}
}

func TestConformanceOverConnection(t *testing.T) {
	for _, chop := range chops {
		t.Run(chop.name, func(t *testing.T) {
			t.Parallel()
			for _, c := range conformance.Cases() {
				verdict, err := conformance.Run(c, chop.size, dialEcho)
				expect(t, c, verdict, err)
			}
		})
	}
}

// dialEcho opens a connection to an echo server of its own, through the handshake.
func dialEcho() (net.Conn, error) {
	client, server := net.Pipe()
	go func() {
		defer server.Close()
		serveEcho(server)
	}()
	if err := conformance.Upgrade(client, "localhost", "/?v=10&encoding=json"); err != nil {
		client.Close()
		return nil, err
	}
	return client, nil
}

func serveEcho(conn net.Conn) {
	e := conformance.Echo{Limits: conformance.Limits()}
	var unread, out []byte
	buf := make([]byte, 4096)
	for upgraded := false; ; {
		n, err := conn.Read(buf)
		if err != nil {
			return
		}
		out = out[:0]
		open := true
		if upgraded {
			out, open = e.Feed(out, buf[:n])
		} else {
			unread = append(unread, buf[:n]...)
			h, used, refusal := wire.ParseHandshake(unread, e.Limits)
			switch {
			case refusal != nil:
				out, open = wire.AppendHandshakeRefusal(out, refusal), false
			case used > 0:
				upgraded = true
				out = wire.AppendHandshakeReply(out, h.Key)
				out, open = e.Feed(out, unread[used:])
			}
		}
		if len(out) > 0 {
			if _, err := conn.Write(out); err != nil {
				return
			}
		}
		if !open {
			return
		}
	}
}

// TestConformanceFindsFaults turns the table against servers that are wrong in one way each: a
// table that passes everything would prove nothing.
func TestConformanceFindsFaults(t *testing.T) {
	for _, fault := range []struct {
		name   string
		spoil  func(out []byte) []byte
		caught string // The number of a case that must notice.
	}{
		{"echoes something else", func(b []byte) []byte { b[len(b)-1] ^= 1; return b }, "1.1.2"},
		{"masks its frames", func(b []byte) []byte { b[1] |= 0x80; return b }, "1.1.1"},
		{"leaves FIN clear", func(b []byte) []byte { b[0] &^= 0x80; return b }, "1.1.1"},
		{"says nothing", func([]byte) []byte { return nil }, "2.1"},
		{"says all twice", func(b []byte) []byte { return append(b, b...) }, "7.1.3"},
		{"gives the wrong code", func(b []byte) []byte {
			return bytes.ReplaceAll(b, []byte{0x03, 0xEF}, []byte{0x03, 0xEA})
		}, "6.3.1"},
	} {
		caught := false
		for _, c := range conformance.Cases() {
			if c.ID != fault.caught {
				continue
			}
			e := conformance.Echo{Limits: conformance.Limits()}
			verdict, err := conformance.Drive(c, 0, func(in []byte) ([]byte, bool) {
				out, open := e.Feed(nil, in)
				if len(out) > 0 {
					out = fault.spoil(out)
				}
				return out, open
			})
			caught = verdict == conformance.Failed && err != nil
		}
		if !caught {
			t.Errorf("a server that %s passes case %s", fault.name, fault.caught)
		}
	}
}

func ExampleParser() {
	client := wire.AppendMaskedFrame(nil, wire.OpcodeText, []byte("hello"), [4]byte{1, 2, 3, 4})
	var p wire.Parser
	limits := wire.Limits{MessageBytes: 4096, Fragments: 16}
	m, consumed, err := p.Next(client, limits)
	fmt.Println(m.Opcode, string(m.Payload), consumed == len(client), err == nil)
	// Output: text hello true true
}
