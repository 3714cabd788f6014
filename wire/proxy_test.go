package wire

import (
	"bytes"
	"errors"
	"net/netip"
	"testing"
)

// proxyWith is a header with this command, family, said length and rest.
func proxyWith(command, family byte, length int, rest ...byte) []byte {
	b := append([]byte(proxySignature), command, family, byte(length>>8), byte(length))
	return append(b, rest...)
}

var (
	proxyFour = []byte{203, 0, 113, 9, 10, 0, 0, 1, 0xC0, 0x01, 0x1F, 0x90}
	proxySix  = append(append(append(bytes.Repeat([]byte{0x20}, 16), bytes.Repeat([]byte{1}, 16)...),
		0xC0, 0x01), 0x1F, 0x90)
	proxyMapped = append(append(append(make([]byte, 10), 255, 255, 203, 0, 113, 9),
		make([]byte, 16)...), 0xC0, 0x01, 0x1F, 0x90)
)

const proxyMaxForTest = 4096

func TestParseProxy(t *testing.T) {
	for _, c := range []struct {
		name   string
		header []byte
		source string // "" = LOCAL
		err    error
	}{
		{"IPv4", proxyWith(0x21, 0x11, 12, proxyFour...), "203.0.113.9:49153", nil},
		{"IPv6", proxyWith(0x21, 0x21, 36, proxySix...),
			"[2020:2020:2020:2020:2020:2020:2020:2020]:49153", nil},
		{"IPv4 in IPv6", proxyWith(0x21, 0x21, 36, proxyMapped...), "203.0.113.9:49153", nil},
		{"with more behind the addresses",
			proxyWith(0x21, 0x11, 15, append(bytes.Clone(proxyFour), 4, 0, 0)...),
			"203.0.113.9:49153", nil},
		{"as long as it may be", proxyWith(0x21, 0x11, 4096-16,
			append(bytes.Clone(proxyFour), make([]byte, 4096-16-12)...)...), "203.0.113.9:49153", nil},
		{"LOCAL", proxyWith(0x20, 0, 0), "", nil},
		{"LOCAL with addresses", proxyWith(0x20, 0x11, 12, proxyFour...), "", nil},
		{"no family", proxyWith(0x21, 0x00, 0), "", nil},
		{"no family, and more", proxyWith(0x21, 0x00, 12, proxyFour...), "", nil},
		{"no family, too long", proxyWith(0x21, 0x00, 4096-15), "", ErrProxyLength},
		{"LOCAL of an unknown family", proxyWith(0x20, 0xFF, 3, 1, 2, 3), "", nil},

		{"unknown command", proxyWith(0x22, 0x11, 12, proxyFour...), "", ErrProxyCommand},
		{"version 1 in the second's clothes", proxyWith(0x11, 0x11, 12), "", ErrProxyCommand},
		{"version 3", proxyWith(0x31, 0x11, 12), "", ErrProxyCommand},
		{"UDP over IPv4", proxyWith(0x21, 0x12, 12, proxyFour...), "", ErrProxyFamily},
		{"a Unix socket", proxyWith(0x21, 0x31, 216), "", ErrProxyFamily},
		{"unknown family", proxyWith(0x21, 0x41, 12), "", ErrProxyFamily},
		{"too short for IPv4", proxyWith(0x21, 0x11, 11), "", ErrProxyLength},
		{"too short for IPv6", proxyWith(0x21, 0x21, 12, proxyFour...), "", ErrProxyLength},
		{"one too long", proxyWith(0x21, 0x11, 4096-15), "", ErrProxyLength},
		{"65,535 long", proxyWith(0x21, 0x11, 65535), "", ErrProxyLength},
		{"LOCAL and 65,535 long", proxyWith(0x20, 0x00, 65535), "", ErrProxyLength},
		{"version 1", []byte("PROXY TCP4 203.0.113.9 10.0.0.1 1 2\r\n"), "", ErrProxySignature},
		{"a request", requestWith(""), "", ErrProxySignature},
		{"nearly", []byte("\r\n\r\n\x00\r\nQUIX"), "", ErrProxySignature},
	} {
		t.Run(c.name, func(t *testing.T) {
			want := Proxy{Local: c.source == ""}
			if c.source != "" {
				want.Source = netip.MustParseAddrPort(c.source)
			}
			p, n, err := ParseProxy(append(bytes.Clone(c.header), "GET /"...), proxyMaxForTest)
			if c.err != nil {
				if !errors.Is(err, c.err) || n != 0 {
					t.Errorf("got %d, %v, want %v", n, err, c.err)
				}
				return
			}
			if p != want || n != len(c.header) || err != nil {
				t.Errorf("got %+v, %d of %d, %v, want %+v", p, n, len(c.header), err, want)
			}
		})
	}
}

// FuzzProxy: nothing panics, what is said of a header does not depend on how it is cut, and what is
// taken is within its bound and means the same when it is written again.
func FuzzProxy(f *testing.F) {
	f.Add(proxyWith(0x21, 0x11, 12, proxyFour...))
	f.Add(proxyWith(0x21, 0x21, 36, proxySix...))
	f.Add(proxyWith(0x20, 0x00, 2, 1, 2))
	f.Add(proxyWith(0x21, 0x11, 65535))
	f.Add([]byte("PROXY UNKNOWN\r\n"))
	f.Fuzz(func(t *testing.T, header []byte) {
		p, used, err := ParseProxy(header, proxyMaxForTest)
		if used < 0 || used > min(len(header), proxyMaxForTest) || used > 0 && err != nil {
			t.Fatalf("got %d of %d, %v", used, len(header), err)
		}
		for n := range len(header) {
			cut, cutUsed, cutErr := ParseProxy(header[:n], proxyMaxForTest)
			switch {
			case cutErr != nil && cutErr != err:
				t.Fatalf("%d bytes: got %v, of all %v", n, cutErr, err)
			case cutUsed > 0 && (cutUsed != used || cut != p):
				t.Fatalf("%d bytes: got %+v, of all %+v", n, cut, p)
			}
		}
		if err == nil && used == 0 && len(header) >= proxyMaxForTest {
			t.Fatalf("more is asked for than it may be: %d bytes", len(header))
		}
		if used == 0 || p.Local {
			return
		}
		again := AppendProxy(nil, p.Source, p.Source)
		if q, n, err := ParseProxy(again, proxyMaxForTest); q != p || n != len(again) || err != nil {
			t.Fatalf("%+v is written as %q: %+v, %v", p, again, q, err)
		}
	})
}
