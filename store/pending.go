package store

// pending is one session's place in its stream: which sequence numbers it has been given, sent
// and seen to acknowledge, and where in the journal the frames between are. It holds no pointer,
// so a slab of a million of them costs the collector nothing.
//
// Invariant: acked <= sent <= seq. The frames acked+1 … seq have their positions in a list of
// chunks; when acked == seq there is no chunk at all, which is how an idle session looks.
type pending struct {
	gen     uint32
	seq     uint32 // the last number given
	sent    uint32 // the last number written to the socket in full
	acked   uint32 // the last number that the client has seen, or that had to be forgotten
	partial uint32 // bytes of frame sent+1 that are already written
	first   uint32 // chunk that holds acked+1; 0 = no chunk
	cursor  uint32 // chunk that holds sent+1, or the last chunk when all is sent
	last    uint32 // chunk that holds seq

	// Places within these chunks; lastAt is one past the end.
	firstAt, cursorAt, lastAt uint8

	flags uint8
}

const (
	pendingDirty  = 1 << iota // in a line of those who have something unsent
	pendingSoon               // in the soon line
	pendingLost               // a frame not yet sent, or not yet acknowledged, is gone for good
	pendingOpened             // the slot is in use

	pendingInLine = pendingDirty | pendingSoon
)

// chunk is a piece of a session's list of positions: one cache line.
type chunk struct {
	next uint32
	at   [chunkEntries]Position
}

const (
	chunkEntries   = 15
	chunkPageBits  = 12
	chunkPageCount = 1 << chunkPageBits
)

// chunks is a slab of chunk, in pages so that growing copies nothing. Number 0 is nobody's.
type chunks struct {
	pages [][]chunk
	free  uint32 // head of the list of free chunks, linked by next
	used  int
}

func (c *chunks) get(n uint32) *chunk {
	return &c.pages[n>>chunkPageBits][n&(chunkPageCount-1)]
}

func (c *chunks) take() uint32 {
	if c.free == 0 {
		c.grow()
	}
	n := c.free
	k := c.get(n)
	c.free, k.next = k.next, 0
	c.used++
	return n
}

func (c *chunks) grow() {
	base := uint32(len(c.pages)) << chunkPageBits
	page := make([]chunk, chunkPageCount)
	c.pages = append(c.pages, page)
	for i := chunkPageCount - 1; i >= 0; i-- {
		if n := base + uint32(i); n != 0 {
			page[i].next = c.free
			c.free = n
		}
	}
}

func (c *chunks) put(n uint32) {
	c.get(n).next = c.free
	c.free = n
	c.used--
}

// push gives the next sequence number to the frame at p.
func (s *pending) push(c *chunks, p Position) {
	switch {
	case s.last == 0:
		n := c.take()
		s.first, s.cursor, s.last = n, n, n
		s.firstAt, s.cursorAt, s.lastAt = 0, 0, 0
	case s.lastAt == chunkEntries:
		n := c.take()
		c.get(s.last).next = n
		s.last, s.lastAt = n, 0
	}
	c.get(s.last).at[s.lastAt] = p
	s.lastAt++
	s.seq++
}

// ack drops the positions up to and including number seq.
//
// REQUIRES: acked <= seq <= sent; or seq <= s.seq, and rewind follows.
func (s *pending) ack(c *chunks, seq uint32) {
	if seq == s.seq {
		s.clear(c)
		s.acked = seq
		return
	}
	for s.acked < seq {
		if s.firstAt == chunkEntries {
			s.dropFirst(c)
		}
		step := min(seq-s.acked, uint32(chunkEntries-s.firstAt))
		s.firstAt += uint8(step)
		s.acked += step
	}
}

// trim forgets up to a chunk of the oldest numbers that are sent. It reports false when there
// are none.
func (s *pending) trim(c *chunks) bool {
	to := min(s.sent, s.acked+chunkEntries)
	if to == s.acked {
		return false
	}
	s.ack(c, to)
	return true
}

// dropFirst gives the first chunk back; the cursor steps on with it when it stood at its end.
func (s *pending) dropFirst(c *chunks) {
	old := s.first
	next := c.get(old).next
	if s.cursor == old {
		s.cursor, s.cursorAt = next, 0
	}
	s.first, s.firstAt = next, 0
	c.put(old)
}

// clear drops every position.
func (s *pending) clear(c *chunks) {
	for n := s.first; n != 0; {
		next := c.get(n).next
		c.put(n)
		n = next
	}
	s.first, s.cursor, s.last = 0, 0, 0
	s.firstAt, s.cursorAt, s.lastAt = 0, 0, 0
}

// rewind makes everything after the last acknowledged number unsent again.
func (s *pending) rewind() {
	s.cursor, s.cursorAt = s.first, s.firstAt
	s.sent, s.partial = s.acked, 0
}
