package wire

import (
	"bytes"
	"net/netip"
	"strings"
)

// Characters of a token (RFC 9110 5.6.2) and of a host name (RFC 3986 3.2.2, no percent escapes)
// other than letters and digits.
const (
	tokenMarks = "!#$%&'*+-.^_`|~"
	hostMarks  = "-._~!$&'()*+,;="
)

func alphanumeric(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
}

func tokenByte(c byte) bool {
	return alphanumeric(c) || c < 0x80 && strings.IndexByte(tokenMarks, c) >= 0
}

func token(b []byte) bool {
	for _, c := range b {
		if !tokenByte(c) {
			return false
		}
	}
	return len(b) > 0
}

// equalFold compares ASCII without regard to case. REQUIRES: lower is in lower case. Unlike
// bytes.EqualFold it takes no other letter for an ASCII one, such as the Kelvin sign for a k.
func equalFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// listHas reports whether a comma-separated list names a token, in any case. RFC 9110 5.6.1.
func listHas(list []byte, lower string) bool {
	for len(list) > 0 {
		var item []byte
		item, list, _ = bytes.Cut(list, []byte{','})
		if equalFold(bytes.Trim(item, " \t"), lower) {
			return true
		}
	}
	return false
}

// validHost accepts a name, an IPv4 address or an IPv6 address in brackets, with or without a port.
// RFC 9110 7.2; an empty one names nothing that could be upgraded.
func validHost(b []byte) bool {
	var port []byte
	if len(b) > 0 && b[0] == '[' {
		end := bytes.IndexByte(b, ']')
		if end < 0 {
			return false
		}
		address, err := netip.ParseAddr(string(b[1:end]))
		if err != nil || !address.Is6() || address.Zone() != "" {
			return false
		}
		if b = b[end+1:]; len(b) == 0 {
			return true
		}
		if b[0] != ':' {
			return false
		}
		port = b[1:]
	} else {
		var name []byte
		name, port, _ = bytes.Cut(b, []byte{':'})
		if len(name) == 0 {
			return false
		}
		for _, c := range name {
			if !alphanumeric(c) && strings.IndexByte(hostMarks, c) < 0 {
				return false
			}
		}
	}
	for _, c := range port {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// readQuery takes the values that the gateway knows out of a query, the first of each. Other keys
// are ignored, broken ones too.
func (h *Handshake) readQuery(query []byte) *HandshakeError {
	var version, encoding, compress field
	var scratch [3 * len("encoding")]byte // Room for the longest key, all of it escaped.
	for len(query) > 0 {
		var pair []byte
		pair, query, _ = bytes.Cut(query, []byte{'&'})
		key, value, _ := bytes.Cut(pair, []byte{'='})
		if len(key) > len(scratch) {
			continue
		}
		key, _ = unescape(scratch[:0], key, true)
		var f *field
		switch string(key) {
		case "v":
			f = &version
		case "encoding":
			f = &encoding
		case "compress":
			f = &compress
		default:
			continue
		}
		if f.given {
			continue
		}
		decoded, ok := unescape(nil, value, true)
		if !ok {
			return errHandshakeEscape
		}
		f.value, f.given = decoded, true
	}
	if version.given {
		h.Version = versionNumber(version.value)
	}
	h.Encoding, h.Compress = string(encoding.value), string(compress.value)
	return nil
}

// versionNumber reads a version of up to three digits; what is anything else is -1.
func versionNumber(b []byte) int {
	if len(b) == 0 || len(b) > 3 {
		return -1
	}
	n := 0
	for _, c := range b {
		if c < '0' || c > '9' {
			return -1
		}
		n = n*10 + int(c-'0')
	}
	return n
}

// unescape decodes percent escapes (RFC 3986 2.1), in a query also the plus sign for a blank.
// What needs no decoding is returned as it is, and only the rest is appended to dst.
func unescape(dst, b []byte, query bool) (out []byte, ok bool) {
	if bytes.IndexByte(b, '%') < 0 && (!query || bytes.IndexByte(b, '+') < 0) {
		return b, true
	}
	for i := 0; i < len(b); i++ {
		c := b[i]
		switch {
		case c == '%':
			if i+2 >= len(b) {
				return nil, false
			}
			high, low := fromHex(b[i+1]), fromHex(b[i+2])
			if high|low > 0xF {
				return nil, false
			}
			c = high<<4 | low
			i += 2
		case c == '+' && query:
			c = ' '
		}
		dst = append(dst, c)
	}
	return dst, true
}

// fromHex returns the value of a hexadecimal digit, or 0xFF.
func fromHex(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10
	}
	return 0xFF
}
