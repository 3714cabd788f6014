package wire

import (
	"bytes"
	"encoding/binary"
	"hash/adler32"
	"math/bits"
	"sync"

	"github.com/klauspost/compress/flate"
)

// Compress once.
//
// zlib-stream and zstd-stream are one compressed stream per connection, which asks for one
// compressor per connection: 60 KB to 1.5 MB of memory each, and a compression per receiver of
// tens of microseconds. At 9,000 receivers that is half a second of a core for one message.
//
// But a stream is a row of blocks, and blocks that refer to nothing before themselves may stand
// anywhere. So the part of a message that all sessions share is compressed once, as if it stood
// alone, and the same bytes are appended to every stream. Only what has the number in it goes
// uncompressed, as a stored block:
//
//	zlib  header 78 9c once, then per message
//	      stored block: prefix | deflate blocks: d and what follows | sync flush 00 00 ff ff
//	zstd  frame header once, then per message
//	      raw block: number | compressed blocks: t, op and d
//
// A zstd connection is one frame that never ends: Node's decoder stops at the end of the first
// frame, and no block is marked last. Its blocks refer to what the connection has been sent before;
// that is another essay's, in relocate.go. With zlib this stays out of reach: the distances of a
// deflate block are in Huffman codes among its lengths, and its window is 32 KiB.
//
// What it costs: bytes. On messages of 744 bytes shared deflate blocks take 447, a context of the
// connection's own 110, since it remembers the messages before. What was rejected: a zstd frame per
// message (stops Node's and Python's decoders after the first), and deflate without the sync flush
// (clients find the end of a message by it).

const (
	// zlibHeader begins a zlib stream: deflate, 32 KiB window, default level (RFC 1950 2.2).
	zlibHeader = "\x78\x9c"
	// zstdMagic begins a zstd frame (RFC 8878 3.1.1).
	zstdMagic = "\x28\xb5\x2f\xfd"
	// syncFlush is an empty stored block, and the end of a message for a zlib-stream client.
	syncFlush = "\x00\x00\x00\xff\xff"

	zstdWindowBytes      = 128 << 10 // of a connection's own compressor
	zstdBlockBytesMax    = 128 << 10
	zstdBlockHeader      = 3
	zstdFrameHeaderBytes = len(zstdMagic) + 2
	storedBytesMax       = 0xffff
)

// The windows that a connection's frame header can speak of here: a power of two.
const (
	WindowBytesMin = 128 << 10
	WindowBytesMax = 8 << 20
)

// appendZstdHeader appends a frame's header: no size, no checksum, and the window.
func appendZstdHeader(dst []byte, window int) []byte {
	const exponentMin, shift = 10, 3
	return append(append(dst, zstdMagic...), 0, byte(bits.Len(uint(window))-1-exponentMin)<<shift)
}

// appendStored appends text as it is: as stored or raw blocks. end says that the message ends
// with it.
func appendStored(dst, text []byte, c Compression, end bool) []byte {
	if c == CompressionZstd {
		for len(text) > 0 {
			n := min(len(text), zstdBlockBytesMax)
			dst = appendRawBlock(dst, text[:n])
			text = text[n:]
		}
		return dst
	}
	for len(text) > 0 {
		n := min(len(text), storedBytesMax)
		dst = append(dst, 0, byte(n), byte(n>>8), ^byte(n), ^byte(n>>8))
		dst = append(dst, text[:n]...)
		text = text[n:]
	}
	if end {
		dst = append(dst, syncFlush...)
	}
	return dst
}

// deflater is a compressor with the buffer that it writes to.
type deflater struct {
	out     bytes.Buffer
	deflate *flate.Writer
}

var deflaters = sync.Pool{New: func() any {
	d := &deflater{}
	d.deflate, _ = flate.NewWriter(&d.out, flate.DefaultCompression)
	return d
}}

// appendShared appends text compressed so that it may follow anything.
func appendShared(dst, text []byte) []byte {
	d := deflaters.Get().(*deflater)
	defer deflaters.Put(d)
	d.out.Reset()
	d.deflate.Reset(&d.out)
	// Writing to a buffer cannot fail. Flush ends with a sync flush (RFC 1951 3.2.4).
	_, _ = d.deflate.Write(text)
	_ = d.deflate.Flush()
	return append(dst, d.out.Bytes()...)
}

// Seal makes a frame with payload compression, the number filled in, for v, which has no stream.
// What many dispatches have in common goes into it as it was packed for zlib-stream.
func (d *Dispatch) Seal(v Variant, seq uint32) Frame {
	f := d.Frame(v)
	plain := bytes.Clone(f.Bytes)
	PutSeq(plain, f.Hole, v, seq)
	_, text, _ := splitFrame(plain)
	dst, start := openFrame(make([]byte, 0, len(plain)/2))
	if d.head == nil || v&VariantETF != 0 {
		dst = AppendZlibDocument(dst, text)
	} else {
		prefix := len(text) - len(d.head.text) - len(d.body) - len(jsonTail)
		dst = appendStored(append(dst, zlibHeader...), text[:prefix], CompressionZlib, false)
		dst = append(dst, d.head.deflated()...)
		dst = appendDeflated(dst, text[prefix+len(d.head.text):])
		dst = binary.BigEndian.AppendUint32(dst, adler32.Checksum(text))
	}
	dst, _ = closeFrame(dst, start, OpcodeBinary)
	return Frame{Bytes: dst}
}

// AppendZlibDocument appends text as one complete zlib document (RFC 1950): payload compression,
// for clients that asked for it in IDENTIFY and have no stream.
func AppendZlibDocument(dst, text []byte) []byte {
	dst = appendDeflated(append(dst, zlibHeader...), text)
	return binary.BigEndian.AppendUint32(dst, adler32.Checksum(text))
}

// appendDeflated appends text as deflate blocks, the last of which is marked so.
func appendDeflated(dst, text []byte) []byte {
	d := deflaters.Get().(*deflater)
	defer deflaters.Put(d)
	d.out.Reset()
	d.deflate.Reset(&d.out)
	_, _ = d.deflate.Write(text)
	_ = d.deflate.Close()
	return append(dst, d.out.Bytes()...)
}
