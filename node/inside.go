package node

import (
	"bytes"
	"crypto/tls"
	"reflect"
	"unsafe"

	"throng/tuning"
)

// inside is where in a tls.Conn the buffers are that it reads into.
//
// It keeps them as long as the connection lasts: one that the longest record fitted into, which is
// mostly the client's hello, 2 KB and up, and one with the handshake's messages, as large. Nobody
// reads either again. Any client can make it more by one long record, 18 KB for ever. They were
// more than half of what TLS takes for an idle connection: 6,660 bytes with them, without 3,090, of
// which 1,800 are the keys as the processor wants them (TestTLSMemory).
//
// crypto/tls has no way to let go of them, so the fields are found by name and set from here. What
// is relied on is that both are a bytes.Buffer and may be replaced by another with the same unread
// bytes, which the tests of TLS would notice; where a field is not there, or is another type, its
// buffer just stays. While a loop reads, it lends the connection a buffer of its own, with room for
// the two records that bytes.Buffer wants before it moves its bytes instead of growing.
type inside struct {
	raw, hand uintptr // where the fields are
	known     bool
}

// rawBytes: a record, its header, and what bytes.Buffer wants to be free behind it, twice.
const rawBytes = 2 * (tuning.TLSRecordBytesMax + 256 + recordHeaderBytes + bytes.MinRead)

func lookInside() (in inside) {
	buffer := reflect.TypeFor[bytes.Buffer]()
	raw, ok := reflect.TypeFor[tls.Conn]().FieldByName("rawInput")
	hand, ok2 := reflect.TypeFor[tls.Conn]().FieldByName("hand")
	return inside{raw.Offset, hand.Offset,
		ok && ok2 && raw.Type == buffer && hand.Type == buffer}
}

func (in inside) bufferAt(c *tls.Conn, offset uintptr) *bytes.Buffer {
	return (*bytes.Buffer)(unsafe.Add(unsafe.Pointer(c), offset))
}

// forgetHandshake lets go of the handshake's messages.
//
// REQUIRES: the handshake is over, and nobody reads c meanwhile; so of the others.
func (in inside) forgetHandshake(c *tls.Conn) {
	if !in.known {
		return
	}
	if hand := in.bufferAt(c, in.hand); hand.Len() == 0 {
		*hand = bytes.Buffer{}
	}
}

// lend has c read into buf, unless it is in the middle of a record. It reports whether it does.
func (in inside) lend(c *tls.Conn, buf []byte) bool {
	if !in.known {
		return false
	}
	raw := in.bufferAt(c, in.raw)
	if raw.Len() > 0 {
		return false
	}
	*raw = *bytes.NewBuffer(buf[:0])
	return true
}

// takeBack has c read into a buffer of its own again, if it needs one.
func (in inside) takeBack(c *tls.Conn, lent bool) {
	if !in.known {
		return
	}
	switch raw := in.bufferAt(c, in.raw); {
	case raw.Len() == 0:
		*raw = bytes.Buffer{}
	case lent:
		*raw = *bytes.NewBuffer(bytes.Clone(raw.Bytes()))
	}
}

// held is what c has of its own, besides what newSecure makes.
func (in inside) held(c *tls.Conn) int {
	if !in.known {
		return 0
	}
	return in.bufferAt(c, in.raw).Cap() + in.bufferAt(c, in.hand).Cap()
}
