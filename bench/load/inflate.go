package load

import (
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/klauspost/compress/zstd"

	"throng/wire"
)

// inflater reads one connection's compressed stream, a message at a time.
//
// Decompressors pull: they ask a reader for more and cannot be left half way. A loop pushes: it
// has one message and wants its text. A coroutine stands between the two. When the decompressor
// asks for more than there is, the message has come to its end, since gateways flush after each
// one, and control goes back to the loop until the next.
//
// It costs some 50 KB, so only sampled connections keep theirs; the others read their streams up
// to READY or RESUMED, for the session's id and number, and count messages from then on.
type inflater struct {
	in, out []byte
	err     error
	next    func() (struct{}, bool)
	stop    func()
	suspend func(struct{}) bool
}

// inflatedChunkBytes is how much is taken from a decompressor at once.
const inflatedChunkBytes = 4096

func newInflater(compression wire.Compression) *inflater {
	f := &inflater{}
	f.next, f.stop = iter.Pull(func(yield func(struct{}) bool) {
		f.suspend = yield
		f.err = f.inflate(compression)
	})
	return f
}

// push gives a message in and returns its text, which is valid until the next push.
func (f *inflater) push(message []byte) ([]byte, error) {
	f.in, f.out = message, f.out[:0]
	if _, ok := f.next(); !ok {
		if f.err == nil {
			f.err = io.ErrUnexpectedEOF
		}
		return nil, f.err
	}
	return f.out, nil
}

// Read is the decompressor's source.
func (f *inflater) Read(p []byte) (int, error) {
	for len(f.in) == 0 {
		if !f.suspend(struct{}{}) {
			return 0, io.EOF
		}
	}
	n := copy(p, f.in)
	f.in = f.in[n:]
	return n, nil
}

func (f *inflater) inflate(compression wire.Compression) error {
	var source io.Reader
	if compression == wire.CompressionZstd {
		decoder, err := zstd.NewReader(f, zstd.WithDecoderConcurrency(1),
			zstd.WithDecoderLowmem(true))
		if err != nil {
			return fmt.Errorf("read zstd: %w", err)
		}
		defer decoder.Close()
		source = decoder
	} else {
		decoder, err := zlib.NewReader(f)
		if err != nil {
			return fmt.Errorf("read zlib: %w", err)
		}
		source = decoder
	}
	var chunk [inflatedChunkBytes]byte
	for {
		n, err := source.Read(chunk[:])
		f.out = append(f.out, chunk[:n]...)
		if err == nil && len(f.out) > readBytesMax {
			err = errors.New("message too long")
		}
		if err != nil {
			return fmt.Errorf("inflate: %w", err)
		}
	}
}
