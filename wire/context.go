package wire

import (
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
)

// Context is one connection's own compressor. It remembers what it has sent, so its messages are a
// quarter of what shared blocks take (see stream.go), for ContextBytes of memory and a compression
// per receiver. It belongs to one goroutine. Everything that the connection is sent has to go
// through it, in order: what the decoder has seen and the compressor has not shifts every later
// reference.
type Context struct {
	compression Compression
	stored      bool // Everything goes as it is: see NewStored.
	zlib        *zlib.Writer
	zstd        *zstd.Encoder
	sink        sink
}

// sink is where a compressor writes: to the end of a slice that changes from call to call.
type sink struct{ dst []byte }

func (s *sink) Write(b []byte) (int, error) {
	s.dst = append(s.dst, b...)
	return len(b), nil
}

// contextLevel takes 81 bytes for messages that level 6 packs in 74, and 0.8 MB instead of 1.1.
const contextLevel = 1

// ContextBytes is what a context takes, for budgets: measured, see TestContextBytes.
func ContextBytes(c Compression) int {
	if c == CompressionZstd {
		return 900_000
	}
	return 950_000
}

// NewContext makes the compressor of a connection that asked for c, which is not CompressionNone.
func NewContext(c Compression) *Context {
	x := &Context{compression: c}
	var err error
	if c == CompressionZstd {
		x.zstd, err = zstd.NewWriter(&x.sink, zstd.WithEncoderConcurrency(1),
			zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(zstdWindowBytes),
			zstd.WithLowerEncoderMem(true), zstd.WithEncoderCRC(false))
	} else {
		x.zlib, err = zlib.NewWriterLevel(&x.sink, contextLevel)
	}
	if err != nil {
		panic(err)
	}
	return x
}

// NewStored makes a stand-in for a context on a stream that has begun: it takes no memory and
// compresses nothing. A session whose frames are kept plain, because it had a context, can so be
// resumed on a connection for which there is none left.
func NewStored(c Compression) *Context { return &Context{compression: c, stored: true} }

// Bytes is what the context takes of a budget.
func (x *Context) Bytes() int {
	if x.stored {
		return 0
	}
	return ContextBytes(x.compression)
}

// Append appends text as the stream's next message, complete as far as a decoder is concerned. The
// first one begins with the stream's header.
func (x *Context) Append(dst, text []byte) []byte {
	if x.stored {
		return appendStored(dst, text, x.compression, true)
	}
	x.sink.dst = dst
	// The sink takes everything, so neither can fail.
	if x.compression == CompressionZstd {
		_, _ = x.zstd.Write(text)
		_ = x.zstd.Flush()
	} else {
		_, _ = x.zlib.Write(text)
		_ = x.zlib.Flush()
	}
	dst, x.sink.dst = x.sink.dst, nil
	return dst
}

// AppendFrames appends frames, whole plain frames of the server, as the stream has them: data
// frames compressed, control frames as they are (they are no part of the stream).
func (x *Context) AppendFrames(dst, frames []byte) []byte {
	for len(frames) > 0 {
		op, payload, size := splitFrame(frames)
		if op.Control() {
			dst = append(dst, frames[:size]...)
		} else {
			var start int
			dst, start = openFrame(dst)
			dst, _ = closeFrame(x.Append(dst, payload), start, OpcodeBinary)
		}
		frames = frames[size:]
	}
	return dst
}

// splitFrame takes the first of our own frames off a row of them.
func splitFrame(frames []byte) (op Opcode, payload []byte, size int) {
	op = Opcode(frames[0] & 0x0f)
	length, header := int(frames[1]), 2
	switch length {
	case 126:
		length, header = int(frames[2])<<8|int(frames[3]), 4
	case 127:
		length, header = 0, 10
		for _, b := range frames[2:10] {
			length = length<<8 | int(b)
		}
	}
	return op, frames[header : header+length], header + length
}
