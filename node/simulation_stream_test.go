package node

import (
	"errors"
	"io"
	"math/rand/v2"

	"github.com/klauspost/compress/zstd"

	"throng/fanout"
	"throng/wire"
)

// simDecoder is a client's decoder of a zstd-stream: one for the life of a connection.
type simDecoder struct {
	decoder *zstd.Decoder
	in      []byte
	block   []byte
}

var errSimDrained = errors.New("the decoder wants more than the message has")

// Read gives the decoder what has come.
func (s *simDecoder) Read(p []byte) (n int, err error) {
	if len(s.in) == 0 {
		return 0, errSimDrained
	}
	n = copy(p, s.in)
	s.in = s.in[n:]
	return n, nil
}

// message decodes a message, which is whole blocks: the decoder reads one at a time.
func (s *simDecoder) message(payload []byte) (text []byte, err error) {
	const blockBytesMax = 128 << 10
	if s.decoder == nil {
		s.block = make([]byte, blockBytesMax+1)
		s.decoder, err = zstd.NewReader(io.Reader(s), zstd.WithDecoderConcurrency(1),
			zstd.WithDecoderLowmem(true))
	}
	s.in = payload
	for len(s.in) > 0 && err == nil {
		var n int
		n, err = s.decoder.Read(s.block)
		text = append(text, s.block[:n]...)
	}
	return text, err
}

// drawStreams chooses how compressed connections are served. It has a generator of its own, so that
// a seed's other choices are what they were.
func (w *world) drawStreams(s *settings) {
	r := rand.New(rand.NewPCG(w.seed, 0x7a737464))
	s.window = wire.WindowBytesMin
	s.histories = fanout.HistoryLimits{Max: r.IntN(3), ReceiversMin: 1 + r.IntN(3)}
	if r.IntN(12) == 0 {
		s.contextBytes = int64(wire.ContextBytes(wire.CompressionZstd)) * 2
	}
}

// drawStream chooses whether the client asks for compression.
func (c *simClient) drawStream() {
	c.zstd = rand.New(rand.NewPCG(c.w.seed, uint64(c.index))).IntN(5) == 0
}

// relearns says that a lesson may be no answer to a heartbeat: the stream was another's before the
// session was resumed on it. But it may also be one, to a heartbeat of before RESUMED.
func (p *simPipe) relearns(text []byte) bool {
	lesson, _ := wire.Field(text, "_")
	return lesson != nil && p.resuming
}
