package wire

import (
	"encoding/binary"
	"strconv"
	"unicode/utf8"
)

// Opcode says how the payload of a frame is to be read. RFC 6455 5.2.
type Opcode uint8

const (
	OpcodeContinuation Opcode = 0x0
	OpcodeText         Opcode = 0x1
	OpcodeBinary       Opcode = 0x2
	OpcodeClose        Opcode = 0x8
	OpcodePing         Opcode = 0x9
	OpcodePong         Opcode = 0xA
)

// Control reports whether frames of this opcode are control frames: the top bit of the four says
// so, for the reserved ones too. RFC 6455 5.5.
func (o Opcode) Control() bool { return o&0x8 != 0 }

// Reserved reports whether no meaning has been given to the opcode. RFC 6455 5.2.
func (o Opcode) Reserved() bool { return o > OpcodePong || o > OpcodeBinary && o < OpcodeClose }

func (o Opcode) String() string {
	switch o {
	case OpcodeContinuation:
		return "continuation"
	case OpcodeText:
		return "text"
	case OpcodeBinary:
		return "binary"
	case OpcodeClose:
		return "close"
	case OpcodePing:
		return "ping"
	case OpcodePong:
		return "pong"
	}
	return "reserved opcode " + strconv.Itoa(int(o))
}

// Bits of the first two octets, and the markers of the longer length forms. RFC 6455 5.2.
const (
	bitFIN     = 0x80
	bitsRSV    = 0x70
	bitsOpcode = 0x0F
	bitMask    = 0x80
	bitsLength = 0x7F
	length16   = 126
	length64   = 127
)

const (
	// FrameHeaderBytesMax is the longest header of a frame that a client sends: two octets, a
	// 64-bit length and the masking key. RFC 6455 5.2.
	FrameHeaderBytesMax = 2 + 8 + 4
	// ControlBytesMax is the longest payload of a control frame. RFC 6455 5.5.
	ControlBytesMax = 125
	// closeReasonBytesMax is what the code leaves of a close frame's payload. RFC 6455 5.5.1.
	closeReasonBytesMax = ControlBytesMax - 2
	// closeTLSHandshake is, like CloseNoStatus and CloseAbnormal, never sent. RFC 6455 7.4.1.
	closeTLSHandshake CloseCode = 1015
)

// FrameHeaderBytes is the size of the header that AppendFrameHeader writes for a payload of that
// length.
func FrameHeaderBytes(length int) int {
	switch {
	case length < length16:
		return 2
	case length <= 0xFFFF:
		return 4
	}
	return 10
}

// AppendFrameHeader appends the header of a complete server frame: FIN set, not masked (RFC 6455
// 5.1), the length in its shortest form (RFC 6455 5.2). REQUIRES: length >= 0.
func AppendFrameHeader(dst []byte, op Opcode, length int) []byte {
	return appendHeader(dst, op, length, 0)
}

func appendHeader(dst []byte, op Opcode, length int, mask byte) []byte {
	first := bitFIN | byte(op)
	switch {
	case length < length16:
		return append(dst, first, mask|byte(length))
	case length <= 0xFFFF:
		dst = append(dst, first, mask|length16)
		return binary.BigEndian.AppendUint16(dst, uint16(length))
	}
	dst = append(dst, first, mask|length64)
	return binary.BigEndian.AppendUint64(dst, uint64(length))
}

// AppendFrame appends a complete server frame.
func AppendFrame(dst []byte, op Opcode, payload []byte) []byte {
	return append(AppendFrameHeader(dst, op, len(payload)), payload...)
}

// AppendMaskedFrame appends a complete client frame, for whatever plays the client: the load
// generator, links between nodes, tests. The key is to come from a strong source where an
// intermediary may be on the way, since it is what keeps a payload from looking like another
// protocol. RFC 6455 5.3, 10.3.
func AppendMaskedFrame(dst []byte, op Opcode, payload []byte, key [4]byte) []byte {
	dst = appendHeader(dst, op, len(payload), bitMask)
	dst = append(dst, key[:]...)
	dst = append(dst, payload...)
	Mask(dst[len(dst)-len(payload):], key)
	return dst
}

// AppendClose appends a close frame. A reason that does not fit is cut between two code points,
// as it must stay valid UTF-8 (RFC 6455 5.5.1). Codes that only ever stand for something that was
// not sent, such as CloseNoStatus, make an empty close frame (RFC 6455 7.4.1), so that the code
// which ParseClose returns can be echoed as it is.
func AppendClose(dst []byte, code CloseCode, reason string) []byte {
	if code == CloseNoStatus || code == CloseAbnormal || code == closeTLSHandshake {
		return AppendFrameHeader(dst, OpcodeClose, 0)
	}
	if len(reason) > closeReasonBytesMax {
		end := closeReasonBytesMax
		for end > 0 && !utf8.RuneStart(reason[end]) {
			end--
		}
		reason = reason[:end]
	}
	dst = AppendFrameHeader(dst, OpcodeClose, 2+len(reason))
	dst = binary.BigEndian.AppendUint16(dst, uint16(code))
	return append(dst, reason...)
}

// ParseClose reads the payload of a close frame. An empty one is CloseNoStatus. RFC 6455 5.5.1,
// 7.1.5.
func ParseClose(payload []byte) (code CloseCode, reason string, err *CloseError) {
	if err := checkClose(payload); err != nil {
		return 0, "", err
	}
	if len(payload) == 0 {
		return CloseNoStatus, "", nil
	}
	return CloseCode(binary.BigEndian.Uint16(payload)), string(payload[2:]), nil
}
