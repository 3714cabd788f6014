package wire

import "sync"

// Shared is the beginning of a body that many dispatches have in common: the opening brace and the
// first members of an object. GUILD_CREATE is such a body. Roles and channels are the same for all
// sessions, and are most of it; what differs follows them.
//
// A body of 100 channels is 22 KB, and packing that takes 0.4 ms with zlib. A storm of 18,000
// identifies on compressed connections would spend seconds of a core on saying the same again. So
// the beginning is packed once for a compression, as blocks that may follow anything (see
// stream.go), and a session's dispatch is a copy of them between two small parts of its own. See
// BenchmarkJoin. ETF cannot share like that: its object begins with the number of its members; it
// is encoded and packed whole.
//
// It is safe for use by many goroutines. The text must not be written to.
type Shared struct {
	text       []byte
	zlib, zstd struct {
		once   sync.Once
		blocks []byte
	}
}

// Room is the room that the text has. What it is when it is packed is not in that: whoever packs it
// may be at it now.
func (s *Shared) Room() int { return cap(s.text) }

// NewShared takes the beginning of a JSON object, with no comma at its end, and owns it.
func NewShared(text []byte) *Shared { return &Shared{text: text} }

// Text is the beginning of the object as JSON.
func (s *Shared) Text() []byte { return s.text }

// deflated are the text as deflate blocks that may follow anything.
func (s *Shared) deflated() []byte {
	s.zlib.once.Do(func() { s.zlib.blocks = appendShared(nil, s.text) })
	return s.zlib.blocks
}

// kept are the text as kept blocks of JSON streams.
func (s *Shared) kept(p *packer) []byte {
	s.zstd.once.Do(func() {
		s.zstd.blocks, _ = p.appendKept(nil, s.text, eventDepth, false, nil)
	})
	return s.zstd.blocks
}

// NewDispatchAfter makes a dispatch whose d is head followed by rest, which begins with a comma
// and closes the object. It owns rest. REQUIRES: as for NewDispatch.
func NewDispatchAfter(name string, head *Shared, rest []byte) *Dispatch {
	return &Dispatch{name: name, head: head, body: rest}
}
