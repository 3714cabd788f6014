package wire

import (
	"encoding/binary"
	"sync"
)

// The frame and its hole.
//
// A dispatch is one event as a session gets it, and it is the same for every session but for s,
// the session's sequence number. The naive way is to marshal {op, d, s, t} per receiver. For a
// message of 660 bytes that takes some 10 microseconds and two allocations, so an event for
// 30,000 sessions takes a third of a second, all of it to write the same 650 bytes again. See
// BenchmarkMarshalPerSession.
//
// Here the complete WebSocket frame, header included, is built once with a hole where the
// number goes. Whoever sends it copies the frame and calls PutSeq, which writes into the hole
// of the copy: about 40 ns for both, and no allocation. See BenchmarkSend and BenchmarkPutSeq.
//
// The hole must have one width for every number, or the frame's length, and with it the header,
// would depend on the session:
//
//   - JSON: ten bytes, as many as 2^32-1 has digits. Digits stand at the right, blanks before
//     them, which RFC 8259 2 allows before any value. Leading zeros would not be a number.
//   - ETF: the four bytes of an INTEGER_EXT. The shorter form for numbers below 256 is an
//     option of the encoder; decoders take both. Numbers from 2^31 on come out negative there,
//     so a session must end before: at a thousand events a second that is 24 days.
//
// Invariant: the hole lies before d, and nothing after it differs between sessions, so that
// what a compressor shares is the tail of the frame.
//
// Ways that were rejected: s as the last member, after the body, which puts the hole at a place
// that is far from the start and differs for every event; a header and a prefix per session and
// a shared body, sent by writev, which costs two more entries per frame in every system call
// and keeps the kernel from taking many frames in one copy; digits with fixed zeros (no JSON).

const (
	// HoleBytesJSON is the width of the hole in JSON: the digits of the largest uint32.
	HoleBytesJSON = 10
	// HoleBytesETF is the width of the hole in ETF: the payload of an INTEGER_EXT.
	HoleBytesETF = 4
)

// What surrounds name and body.
const (
	jsonHead = `{"t":"`
	jsonSeq  = `","s":`
	jsonHole = `          `
	jsonBody = `,"op":0,"d":`
	jsonTail = `}`
)

// Frame is a complete unmasked WebSocket frame of the server, text for JSON and binary for ETF,
// with a hole for the sequence number at Bytes[Hole:]. It is shared and never written to: copy
// it, then PutSeq into the copy. For a zstd stream it is a parcel in place of a frame: see
// AppendStreamed.
type Frame struct {
	Bytes []byte
	Hole  int
}

// Dispatch is the body of one event together with its frames, each of which is built at most
// once, by whoever needs it first. It is safe for use by many goroutines.
type Dispatch struct {
	name           string
	head           *Shared // what body follows, or nil
	body, stripped []byte
	frames         [VariantCount]lazyFrame
}

type lazyFrame struct {
	once  sync.Once
	frame Frame
}

// NewDispatch takes d as JSON, and the same without what MESSAGE_CONTENT opens, or nil when
// that is no different. It owns both from then on. REQUIRES: ValidEventName(name), and valid
// JSON of at most JSONDepthMax levels.
func NewDispatch(name string, body, stripped []byte) *Dispatch {
	return &Dispatch{name: name, body: body, stripped: stripped}
}

// Name is the t of the dispatch.
func (d *Dispatch) Name() string { return d.name }

// Body is the full d. It must not be written to.
func (d *Dispatch) Body() []byte { return join(d.head, d.body) }

// BodyBytes is the length of the full d.
func (d *Dispatch) BodyBytes() int { return headBytes(d.head) + len(d.body) }

func headBytes(head *Shared) int {
	if head == nil {
		return 0
	}
	return len(head.text)
}

// join is a body with its head, which is the body itself when it has none.
func join(head *Shared, body []byte) []byte {
	if head == nil {
		return body
	}
	return append(append(make([]byte, 0, len(head.text)+len(body)), head.text...), body...)
}

// Parts are what the dispatch was made of: the head that it shares with others, or nil, and what
// follows that or is all; the body without what MESSAGE_CONTENT opens, or nil. They must not be
// written to.
func (d *Dispatch) Parts() (head *Shared, body, stripped []byte) {
	return d.head, d.body, d.stripped
}

// HasStripped reports whether sessions without MESSAGE_CONTENT get another body.
func (d *Dispatch) HasStripped() bool { return d.stripped != nil }

// AppendFrame appends what Frame returns to dst, and keeps none: for who is the only one to get it.
func (d *Dispatch) AppendFrame(dst []byte, v Variant) (f Frame) {
	body, v := d.bodyFor(v)
	f.Bytes, f.Hole = appendDispatch(dst, v, d.name, d.head, body)
	return f
}

// bodyFor is the body that a variant has, and the variant without what makes no difference.
func (d *Dispatch) bodyFor(v Variant) ([]byte, Variant) {
	switch {
	case d.stripped == nil:
		return d.body, v &^ VariantStripped
	case v&VariantStripped != 0:
		return d.stripped, v
	}
	return d.body, v
}

// Frame is the frame of a variant. VariantStripped means nothing when there is no such body.
func (d *Dispatch) Frame(v Variant) Frame {
	body, v := d.bodyFor(v)
	lazy := &d.frames[v]
	lazy.once.Do(func() {
		room := make([]byte, 0, frameCapacity(v, d.name, headBytes(d.head)+len(body)))
		lazy.frame.Bytes, lazy.frame.Hole = appendDispatch(room, v, d.name, d.head, body)
	})
	return lazy.frame
}

// frameCapacity is exact for JSON, and for ETF a guess that seldom has to grow.
func frameCapacity(v Variant, name string, bodyBytes int) int {
	payload := jsonDispatchBytes(name, bodyBytes)
	if v.Compression() != CompressionNone {
		payload = payload/2 + streamBytesExtra
	} else if v&VariantETF != 0 {
		payload += payload / 4
	}
	return FrameHeaderBytes(payload) + payload
}

func jsonDispatchBytes(name string, bodyBytes int) int {
	return len(jsonHead) + len(name) + len(jsonSeq) + HoleBytesJSON + len(jsonBody) + bodyBytes +
		len(jsonTail)
}

// AppendDispatch appends a whole frame and says where in out its hole is. REQUIRES: as for
// NewDispatch; a body that ETF cannot carry is a fault of ours and panics.
func AppendDispatch(dst []byte, v Variant, name string, body []byte) (out []byte, hole int) {
	return appendDispatch(dst, v, name, nil, body)
}

// appendDispatch appends a frame whose d is head, if there is one, followed by body.
func appendDispatch(dst []byte, v Variant, name string, head *Shared, body []byte) ([]byte, int) {
	switch v.Compression() {
	case CompressionZlib:
		return appendDispatchStream(dst, v, name, head, body)
	case CompressionZstd:
		return appendDispatchParcel(dst, v.Encoding(), name, head, body), 0
	}
	if v&VariantETF != 0 {
		return appendDispatchETF(dst, name, join(head, body))
	}
	dst = AppendFrameHeader(dst, OpcodeText, jsonDispatchBytes(name, headBytes(head)+len(body)))
	dst, hole := appendPrefix(dst, name)
	if head != nil {
		dst = append(dst, head.text...)
	}
	dst = append(dst, body...)
	return append(dst, jsonTail...), hole
}

// appendPrefix appends what stands before d in JSON, and says where in it the hole is.
func appendPrefix(dst []byte, name string) (out []byte, hole int) {
	dst = append(append(append(dst, jsonHead...), name...), jsonSeq...)
	hole = len(dst)
	return append(append(dst, jsonHole...), jsonBody...), hole
}

func appendDispatchETF(dst []byte, name string, body []byte) (out []byte, hole int) {
	dst, start := openFrame(dst)
	dst = append(dst, etfVersion, etfMap, 0, 0, 0, 4)
	dst = etfBinaryText(etfBinaryText(dst, "t"), name)
	dst = append(etfBinaryText(dst, "s"), etfInteger)
	hole = len(dst)
	dst = append(dst, 0, 0, 0, 0)
	dst = append(etfBinaryText(dst, "op"), etfSmallInteger, byte(OpDispatch))
	dst, err := AppendETF(etfBinaryText(dst, "d"), body)
	if err != nil {
		panic("wire: dispatch " + name + ": " + err.Error())
	}
	dst, moved := closeFrame(dst, start, OpcodeBinary)
	return dst, hole + moved
}

// streamBytesExtra is room for a stream's block headers and the prefix, which is not compressed.
const streamBytesExtra = 128

// appendDispatchStream appends a frame of a zlib stream: the prefix with the hole stored, the rest
// shared; see stream.go.
func appendDispatchStream(dst []byte, v Variant, name string, head *Shared, body []byte) (
	out []byte, hole int) {
	var prefixBuf [streamBytesExtra]byte
	var prefix, rest []byte
	if v&VariantETF != 0 {
		body, head = join(head, body), nil
		prefix, hole, rest = splitDispatchETF(prefixBuf[:0], name, body)
	} else {
		prefix, hole = appendPrefix(prefixBuf[:0], name)
		rest = append(append(make([]byte, 0, len(body)+len(jsonTail)), body...), jsonTail...)
	}
	dst, start := openFrame(dst)
	dst = appendStored(dst, prefix, CompressionZlib, false)
	hole += len(dst) - len(prefix)
	if head != nil {
		dst = append(dst, head.deflated()...)
	}
	dst = appendShared(dst, rest)
	dst, moved := closeFrame(dst, start, OpcodeBinary)
	return dst, hole + moved
}

// splitDispatchETF is a dispatch in ETF as its prefix with the hole and the rest.
func splitDispatchETF(dst []byte, name string, body []byte) (prefix []byte, hole int, rest []byte) {
	dst = append(dst, etfVersion, etfMap, 0, 0, 0, 4)
	dst = etfBinaryText(etfBinaryText(dst, "t"), name)
	dst = append(etfBinaryText(dst, "s"), etfInteger)
	hole = len(dst)
	dst = append(dst, 0, 0, 0, 0)
	dst = append(etfBinaryText(dst, "op"), etfSmallInteger, byte(OpDispatch))
	rest, err := AppendETF(etfBinaryText(make([]byte, 0, len(body)+len(body)/4), "d"), body)
	if err != nil {
		panic("wire: dispatch " + name + ": " + err.Error())
	}
	return dst, hole, rest
}

// headerBytesGuess is the header of payloads from 126 bytes to 64 KB, which most are.
const headerBytesGuess = 4

// openFrame leaves room for the header of a frame whose length is known only when it is done.
func openFrame(dst []byte) (out []byte, start int) {
	return append(dst, make([]byte, headerBytesGuess)...), len(dst)
}

// closeFrame writes the header of the frame that was opened at start, and says how far that has
// moved the payload.
func closeFrame(dst []byte, start int, op Opcode) (out []byte, moved int) {
	payload := start + headerBytesGuess
	size := len(dst) - payload
	header := FrameHeaderBytes(size)
	if moved = header - headerBytesGuess; moved != 0 {
		dst = append(dst, make([]byte, max(moved, 0))...)[:start+header+size]
		copy(dst[start+header:], dst[payload:payload+size])
	}
	AppendFrameHeader(dst[:start], op, size)
	return dst, moved
}

// PutSeq writes a session's sequence number into the hole of a copy of a frame. Hole is where
// it is in frame, and v the variant the frame was made for.
func PutSeq(frame []byte, hole int, v Variant, seq uint32) {
	if v&VariantSealed != 0 {
		return
	}
	if v&VariantETF != 0 {
		binary.BigEndian.PutUint32(frame[hole:hole+HoleBytesETF], seq)
		return
	}
	digits := frame[hole : hole+HoleBytesJSON]
	copy(digits, jsonHole)
	for i := HoleBytesJSON - 1; ; i-- {
		digits[i] = byte('0' + seq%10)
		seq /= 10
		if seq == 0 {
			return
		}
	}
}
