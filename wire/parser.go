package wire

import (
	"encoding/binary"
	"unicode/utf8"
)

// Message is what Parser.Next found. Text and Binary are complete messages, Ping, Pong and Close
// single frames; Continuation, the zero value, is no message.
type Message struct {
	Opcode Opcode
	// Payload is unmasked. It lies in the caller's buffer, and is good for as long as those bytes
	// are; that of a message which came in fragments is a buffer of its own that nobody uses
	// again.
	Payload []byte
}

// Parser reads the frames of one client. The zero value is ready. It belongs to the one goroutine
// that owns the connection, and holds nothing but the fragments of a message that has not ended.
//
// The caller keeps the bytes that have not been consumed and offers them again, from their
// beginning, with what has come since. A frame is therefore parsed out of the bytes it arrived in
// and is never copied, and the buffer is bounded: once MessageBytes + FrameHeaderBytesMax bytes
// are there, a frame ends in them.
type Parser struct {
	// message holds the fragments taken so far.
	// Invariant: len(message) <= Limits.MessageBytes, and nil unless opcode is set.
	message []byte
	// seen is how far the payload of a frame that is still arriving has been found to be valid
	// UTF-8, counted in octets from the beginning of the unfinished code point in message, if
	// there is one.
	seen int
	// fragments counts the frames of the message that has not ended.
	fragments uint32
	// opcode is that of the message that has not ended, OpcodeContinuation when there is none.
	opcode Opcode
	// unfinished counts the octets at the end of message that begin a code point. Always 0 to 3.
	unfinished uint8
}

// frameHeader is a frame's header, judged. Its size is 0 when there are not enough bytes for it.
type frameHeader struct {
	opcode Opcode
	fin    bool
	size   int // octets of the header, masking key included
	length int // octets of the payload
	key    [4]byte
}

// Next takes the next frame from buf, the connection's unread bytes, and says how many of them it
// consumed. There are three outcomes without an error:
//   - consumed is 0: more bytes are needed, and buf is unchanged;
//   - consumed is positive and m.Opcode is OpcodeContinuation: a fragment was taken, the message
//     goes on;
//   - otherwise m is a message or a control frame. Its payload has been unmasked in place.
//
// An error carries the code to close with: CloseProtocolError, CloseInvalidPayload,
// CloseMessageTooBig or ClosePolicyViolation. After it, and after a Close, nothing more is to be
// read (RFC 6455 7.1.7, 5.5.1). A frame is refused by its header, before its payload is waited
// for, and a text as soon as the octets that are there cannot become valid UTF-8. How the bytes
// are cut into calls never changes what comes out.
func (p *Parser) Next(buf []byte, l Limits) (m Message, consumed int, err *CloseError) {
	h, err := p.header(buf, l)
	if err != nil || h.size == 0 {
		return Message{}, 0, err
	}
	payload := buf[h.size:]
	if len(payload) < h.length {
		return Message{}, 0, p.failFast(h, payload)
	}
	payload = payload[:h.length:h.length]
	Mask(payload, h.key)
	p.seen = 0
	consumed = h.size + h.length

	switch {
	case h.opcode.Control():
		if h.opcode == OpcodeClose {
			err = checkClose(payload)
		}
		m = Message{h.opcode, payload}
	case h.fin && h.opcode != OpcodeContinuation:
		if h.opcode == OpcodeText && !utf8.Valid(payload) {
			// "A text that is not UTF-8 fails the connection." RFC 6455 5.6, 8.1.
			err = errTextNotUTF8
		}
		m = Message{h.opcode, payload}
	default:
		m, err = p.fragment(h, payload)
	}
	if err != nil {
		return Message{}, 0, err
	}
	return m, consumed, nil
}

// header reads and judges the header at the front of buf. Each rule is applied as soon as the
// octets it speaks of are there, in the order of the octets, whether or not the rest has come.
func (p *Parser) header(buf []byte, l Limits) (h frameHeader, err *CloseError) {
	if len(buf) < 2 {
		return frameHeader{}, nil
	}
	if err := checkStart(buf[0], buf[1], p.opcode != 0); err != nil {
		return frameHeader{}, err
	}
	h.opcode = Opcode(buf[0] & bitsOpcode)
	h.fin = buf[0]&bitFIN != 0
	length := uint64(buf[1] & bitsLength)
	size := 2
	switch length {
	case length16:
		if len(buf) < 4 {
			return frameHeader{}, nil
		}
		length, size = uint64(binary.BigEndian.Uint16(buf[2:])), 4
		err = checkLength(length, 2)
	case length64:
		if len(buf) < 10 {
			return frameHeader{}, nil
		}
		length, size = binary.BigEndian.Uint64(buf[2:]), 10
		err = checkLength(length, 8)
	}
	if err == nil && !h.opcode.Control() {
		err = p.checkSize(h, length, l)
	}
	if err != nil || len(buf) < size+4 {
		return frameHeader{}, err
	}
	h.key = [4]byte(buf[size : size+4])
	h.size, h.length = size+4, int(length)
	return h, nil
}

// checkSize holds a data frame against the limits on its message. RFC 6455 10.4.
func (p *Parser) checkSize(h frameHeader, length uint64, l Limits) *CloseError {
	// The sum cannot wrap around: the length has its top bit clear and so has len.
	if length+uint64(len(p.message)) > uint64(max(l.MessageBytes, 0)) {
		return errTooLarge
	}
	// A message in one frame is one fragment, so that a limit of zero refuses it too.
	if int64(p.fragments)+1 > int64(l.Fragments) {
		return errFragments
	}
	return nil
}

// fragment adds a frame to the message it is part of, and returns that message when it was the
// last.
func (p *Parser) fragment(h frameHeader, payload []byte) (Message, *CloseError) {
	if h.opcode != OpcodeContinuation {
		p.opcode = h.opcode
	}
	p.fragments++
	start := len(p.message) - int(p.unfinished)
	p.message = append(p.message, payload...)
	if p.opcode == OpcodeText {
		whole, ok := validPrefix(p.message[start:])
		p.unfinished = uint8(len(p.message) - start - whole)
		if !ok || h.fin && p.unfinished > 0 {
			return Message{}, errTextNotUTF8
		}
	}
	if !h.fin {
		return Message{}, nil
	}
	m := Message{p.opcode, p.message}
	*p = Parser{}
	return m, nil
}

// failFast checks as much of a text as has arrived of its frame, and remembers how far it came.
// The octets in the caller's buffer stay as they are: the caller may well offer a copy of them
// the next time.
func (p *Parser) failFast(h frameHeader, masked []byte) *CloseError {
	text := h.opcode == OpcodeText || h.opcode == OpcodeContinuation && p.opcode == OpcodeText
	if !text {
		return nil
	}
	before := p.message[len(p.message)-int(p.unfinished):]
	total := len(before) + len(masked)
	var chunk [256]byte
	for at := p.seen; at < total; at = p.seen {
		n := min(total-at, len(chunk))
		for i := range n {
			if j := at + i - len(before); j >= 0 {
				chunk[i] = masked[j] ^ h.key[j&3]
			} else {
				chunk[i] = before[at+i]
			}
		}
		whole, ok := validPrefix(chunk[:n])
		if !ok {
			return errTextNotUTF8
		}
		if whole == 0 {
			break
		}
		p.seen = at + whole
	}
	return nil
}
