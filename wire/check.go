package wire

import (
	"encoding/binary"
	"unicode/utf8"
)

// Limits bound what a peer can make the parsers hold. The zero value refuses everything, so that a
// forgotten limit cannot become no limit.
type Limits struct {
	// HeaderBytes bounds the handshake from the first octet to the empty line, Headers its header
	// lines.
	HeaderBytes, Headers int
	// MessageBytes bounds a message over all its fragments, Fragments the number of frames it
	// comes in.
	MessageBytes, Fragments int
}

// One error per rule, made once: refusing a hostile peer must not cost more than serving a good
// one.
var (
	errReservedBits      = protocolError("A reserved bit is set and no extension was negotiated.")
	errReservedOpcode    = protocolError("The frame has a reserved opcode.")
	errNotMasked         = protocolError("Frames from a client must be masked.")
	errControlFragmented = protocolError("A control frame must not be fragmented.")
	errControlTooLong    = protocolError("A control frame carries at most 125 bytes.")
	errNothingToContinue = protocolError("There is no message to continue.")
	errNotContinued      = protocolError("The message before this one has not ended.")
	errLengthTopBit      = protocolError("The top bit of a 64-bit length must be zero.")
	errLengthNotMinimal  = protocolError("The length is not in its shortest form.")
	errCloseTooShort     = protocolError("A close payload is empty or begins with a two-byte code.")
	errCloseCode         = protocolError("The close code must not be sent.")

	errTextNotUTF8 = &CloseError{CloseInvalidPayload, "The text is not valid UTF-8."}
	errTooLarge    = &CloseError{CloseMessageTooBig, "The message is too large."}
	errFragments   = &CloseError{ClosePolicyViolation, "The message has too many fragments."}
)

func protocolError(reason string) *CloseError { return &CloseError{CloseProtocolError, reason} }

// checkStart judges the first two octets of a frame. within says that a message has begun and not
// ended.
func checkStart(first, second byte, within bool) *CloseError {
	op := Opcode(first & bitsOpcode)
	fin := first&bitFIN != 0
	switch {
	case first&bitsRSV != 0:
		// "MUST be 0 unless an extension is negotiated that defines meanings for non-zero values."
		// RFC 6455 5.2. None ever is, so that nobody can send a compressed frame either.
		return errReservedBits
	case op.Reserved():
		// "If an unknown opcode is received, the receiving endpoint MUST _Fail the WebSocket
		// Connection_." RFC 6455 5.2.
		return errReservedOpcode
	case second&bitMask == 0:
		// "The server MUST close the connection upon receiving a frame that is not masked."
		// RFC 6455 5.1.
		return errNotMasked
	case op.Control() && !fin:
		// "Control frames themselves MUST NOT be fragmented." RFC 6455 5.4.
		return errControlFragmented
	case op.Control() && second&bitsLength > ControlBytesMax:
		// "All control frames MUST have a payload length of 125 bytes or less." RFC 6455 5.5.
		return errControlTooLong
	case op == OpcodeContinuation && !within:
		// A continuation follows a frame with FIN clear. RFC 6455 5.4.
		return errNothingToContinue
	case op != OpcodeContinuation && !op.Control() && within:
		// "The fragments of one message MUST NOT be interleaved between the fragments of another
		// message." RFC 6455 5.4.
		return errNotContinued
	}
	return nil
}

// checkLength judges a length given in one of the longer forms: 16 bits when size is 2, 64 when
// it is 8. It runs on the unsigned value as it came, before anything is converted or added.
func checkLength(length uint64, size int) *CloseError {
	switch {
	case length>>63 != 0:
		// "The most significant bit MUST be 0." RFC 6455 5.2.
		return errLengthTopBit
	case size == 2 && length < length16, size == 8 && length <= 0xFFFF:
		// "The minimal number of bytes MUST be used to encode the length." RFC 6455 5.2.
		return errLengthNotMinimal
	}
	return nil
}

// checkClose judges the payload of a close frame.
func checkClose(payload []byte) *CloseError {
	switch {
	case len(payload) == 0:
		return nil
	case len(payload) == 1:
		// "If there is a body, the first two bytes of the body MUST be a 2-byte unsigned integer."
		// RFC 6455 5.5.1.
		return errCloseTooShort
	case !sendable(CloseCode(binary.BigEndian.Uint16(payload))):
		return errCloseCode
	case !utf8.Valid(payload[2:]):
		// The reason is UTF-8 (RFC 6455 5.5.1), and what is not fails the connection (RFC 6455
		// 8.1).
		return errTextNotUTF8
	}
	return nil
}

// sendable reports whether a peer may put the code on the wire. RFC 6455 7.4.1 defines or forbids
// those up to 1015, and IANA has since given 1012 to 1014 a meaning; the rest below 3000 is
// reserved, and from 3000 up to 4999 they belong to libraries and applications. RFC 6455 7.4.2.
func sendable(code CloseCode) bool {
	switch {
	case code >= 1000 && code <= 1003, code >= 1007 && code <= 1014:
		return true
	}
	return code >= 3000 && code <= 4999
}
