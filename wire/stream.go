package wire

import (
	"bytes"
	"encoding/binary"
	"hash/adler32"
	"sync"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zstd"
)

// Compress once.
//
// zlib-stream and zstd-stream are one compressed stream per connection, which asks for one
// compressor per connection: 60 KB to 1.5 MB of memory each, and a compression per receiver of
// tens of microseconds. At 9,000 receivers that is half a second of a core for one message.
//
// But a stream is a row of blocks, and blocks that refer to nothing before themselves may stand
// anywhere. So the part of a message that all sessions share is compressed once, as if it stood
// alone, and the same bytes are appended to every stream. Only the prefix with the hole for the
// sequence number goes uncompressed, as a stored block, in which PutSeq works as ever:
//
//	zlib  header 78 9c once, then per message
//	      stored block: prefix | deflate blocks: d and what follows | sync flush 00 00 ff ff
//	zstd  frame header once, then per message
//	      raw block: prefix | reset block | compressed blocks: d and what follows
//
// A zstd connection is one frame that never ends: Node's decoder stops at the end of the first
// frame, and no block is marked last. Its decoder remembers the last three match offsets across
// blocks, and an encoder at the start of a frame assumes that they are 1, 4 and 8. The reset block
// makes that true again: 14 constant bytes that decode to 17 blanks, which are legal between two
// JSON tokens, by three matches of exactly these offsets. In ETF, which knows no blanks, they are
// the value of a key that nobody reads. Huffman and FSE tables need no reset: the first block that
// an encoder makes never repeats a table.
//
// What it costs: bytes. On messages of 744 bytes shared blocks take 447 (zlib) and 464 (zstd),
// a context of the connection's own 105 to 110, since it remembers the messages before. What was
// rejected: a zstd frame per message (stops Node's and Python's decoders after the first), and
// deflate without the sync flush (clients find the end of a message by it).

const (
	// zlibHeader begins a zlib stream: deflate, 32 KiB window, default level (RFC 1950 2.2).
	zlibHeader = "\x78\x9c"
	// zstdHeader begins a zstd frame (RFC 8878 3.1.1): no size, no checksum, 128 KiB of window.
	zstdHeader = "\x28\xb5\x2f\xfd\x00\x38"
	// zstdReset decodes to zstdResetText and leaves the repeat offsets 1, 4, 8.
	zstdReset = "\x5c\x00\x00\x41\x20\x03\x00\x38\x00\x76\x00\x18\x50\xb8"
	// zstdResetText is what zstdReset decodes to.
	zstdResetText = "                 "
	// syncFlush is an empty stored block, and the end of a message for a zlib-stream client.
	syncFlush = "\x00\x00\x00\xff\xff"

	zstdWindowBytes   = 128 << 10
	zstdBlockBytesMax = 128 << 10
	zstdBlockHeader   = 3
	storedBytesMax    = 0xffff
)

// StreamHeader is what a connection's stream begins with, before its first message.
func StreamHeader(c Compression) string {
	switch c {
	case CompressionZlib:
		return zlibHeader
	case CompressionZstd:
		return zstdHeader
	}
	return ""
}

// appendStored appends text as it is: as stored or raw blocks. end says that the message ends
// with it.
func appendStored(dst, text []byte, c Compression, end bool) []byte {
	if c == CompressionZstd {
		for len(text) > 0 {
			n := min(len(text), zstdBlockBytesMax)
			dst = append(dst, byte(n<<3), byte(n>>5), byte(n>>13))
			dst = append(dst, text[:n]...)
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

// appendShared appends text compressed so that it may follow anything.
func appendShared(dst, text []byte, c Compression) []byte {
	if c == CompressionZstd {
		return appendSharedZstd(append(dst, zstdReset...), text)
	}
	return appendSharedZlib(dst, text)
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

func appendSharedZlib(dst, text []byte) []byte {
	d := deflaters.Get().(*deflater)
	defer deflaters.Put(d)
	d.out.Reset()
	d.deflate.Reset(&d.out)
	// Writing to a buffer cannot fail. Flush ends with a sync flush (RFC 1951 3.2.4).
	_, _ = d.deflate.Write(text)
	_ = d.deflate.Flush()
	return append(dst, d.out.Bytes()...)
}

// zstdEncoder is safe for concurrent use by EncodeAll, which takes an encoder out of its pool.
var zstdEncoder = sync.OnceValue(func() *zstd.Encoder {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedDefault),
		zstd.WithWindowSize(zstdWindowBytes), zstd.WithEncoderCRC(false),
		zstd.WithSingleSegment(false))
	if err != nil {
		panic(err)
	}
	return e
})

// appendSharedZstd appends the blocks of a frame of text, without the frame's header and with no
// block marked last.
func appendSharedZstd(dst, text []byte) []byte {
	start := len(dst)
	dst = zstdEncoder().EncodeAll(text, dst)
	blocks := zstdBlocks(dst[start:])
	for at := 0; at < len(blocks); {
		head := uint32(blocks[at]) | uint32(blocks[at+1])<<8 | uint32(blocks[at+2])<<16
		blocks[at] &^= 1
		size := int(head >> 3)
		if head>>1&3 == 1 {
			size = 1 // RLE: one byte stands for size of them.
		}
		at += zstdBlockHeader + size
	}
	return append(dst[:start], blocks...)
}

// zstdBlocks is a frame without its header (RFC 8878 3.1.1.1). REQUIRES: no dictionary id, no
// checksum, which is how zstdEncoder makes them.
func zstdBlocks(frame []byte) []byte {
	const magicBytes = 4
	descriptor := frame[magicBytes]
	single := descriptor >> 5 & 1
	at := magicBytes + 2 - int(single)
	switch descriptor >> 6 {
	case 0:
		at += int(single)
	case 1:
		at += 2
	case 2:
		at += 4
	case 3:
		at += 8
	}
	return frame[at:]
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
		dst = append(dst, d.head.blocks(CompressionZlib)...)
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
