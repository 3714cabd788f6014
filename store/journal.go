package store

// Position names a frame in a Journal in four bytes: the frame's start, counted in units of
// positionUnitBytes since the journal was made, modulo 2^30, with the top bits saying which of
// an Outbox's journals it is in.
//
// Positions are compared by distance, never by value: a frame is still there while the journal
// has not written more than its own size beyond it. Thirty bits of sixteen-byte units wrap after
// 16 GiB; Outbox.Sweep looks at every session long before that.
type Position uint32

const (
	positionUnitBytes  = 16
	positionBits       = 30
	positionMask       = 1<<positionBits - 1
	journalHeaderBytes = 8
)

// Journal is a ring of frames: a bounded buffer that keeps the newest bytes written to it.
//
// It is the send queue and the replay buffer of all sessions of a loop at once. The naive form
// is a queue of byte slices per session: at 9,000 receivers each holding 24 bytes of slice
// header and a pointer per frame, a stalled minute of a busy guild costs hundreds of megabytes
// that the collector walks, and no sum of per-session limits is also a limit for the node. Here
// a frame is stored once per loop, sessions hold four bytes each, and the size of the journal
// is the bound of everything that waits. Reference-counted frames were the other candidate; they
// need an atomic operation per receiver and a free list, and still have no bound of their own.
//
// The price is that the oldest frame goes when a new one needs the room, whether or not someone
// still wanted it. Whoever lags that far is closed before (see Outbox.Lag), and a resume that
// comes too late is told so.
type Journal struct {
	// Owned by the loop goroutine.
	ring  []byte
	head  uint64 // next free unit, counted from the beginning of time
	units uint64 // len(ring) in units
	wrote uint64 // bytes of frames written, headers and padding not counted
}

// NewJournal makes a journal of at least one unit; sizeBytes is rounded down to whole units.
func NewJournal(sizeBytes int) Journal {
	units := max(sizeBytes/positionUnitBytes, 1)
	return Journal{ring: make([]byte, units*positionUnitBytes), units: uint64(units)}
}

// FrameBytesMax is the longest frame that Append takes: two thirds of the ring, so that whoever
// gets one is not called slow at once.
func (j *Journal) FrameBytesMax() int { return len(j.ring)/3*2 - journalHeaderBytes }

// Bytes is how much of the ring has been written, at most its size.
func (j *Journal) Bytes() int { return int(min(j.head, j.units)) * positionUnitBytes }

// Append copies a frame in and says where it is. hole is the place of its sequence number and
// kind the caller's note of how to fill it; both come back from Frame.
//
// REQUIRES: len(frame) <= FrameBytesMax(), 0 <= hole < 65536.
func (j *Journal) Append(frame []byte, hole int, kind uint8) Position {
	need := uint64(journalHeaderBytes+len(frame)+positionUnitBytes-1) / positionUnitBytes
	if len(frame) > j.FrameBytesMax() || hole < 0 || hole > 0xffff {
		panic("store: a frame that the journal cannot hold")
	}
	at := j.head % j.units
	if at+need > j.units {
		// A frame is never split: leave the end of the ring unused and start over.
		j.head += j.units - at
		at = 0
	}
	p := Position(j.head & positionMask)
	b := j.ring[at*positionUnitBytes:]
	putUint32(b, uint32(len(frame)))
	b[4], b[5], b[6], b[7] = byte(hole), byte(hole>>8), kind, 0
	copy(b[journalHeaderBytes:], frame)
	j.head += need
	j.wrote += uint64(len(frame))
	return p
}

// Has says whether the frame at p is still there.
func (j *Journal) Has(p Position) bool { return j.distance(p) <= j.units }

// Frame gives the frame at p, its hole and its kind. The bytes are the journal's own: they are
// only to be read, and only until the next Append.
//
// REQUIRES: Has(p).
func (j *Journal) Frame(p Position) (frame []byte, hole int, kind uint8) {
	at := (j.head - j.distance(p)) % j.units * positionUnitBytes
	b := j.ring[at:]
	n := getUint32(b)
	hole = int(b[4]) | int(b[5])<<8
	return b[journalHeaderBytes : journalHeaderBytes+int(n) : journalHeaderBytes+int(n)], hole, b[6]
}

// distance is how many units ago the frame at p began.
func (j *Journal) distance(p Position) uint64 {
	return (j.head - uint64(p)) & positionMask
}

func putUint32(b []byte, v uint32) {
	_ = b[3]
	b[0], b[1], b[2], b[3] = byte(v), byte(v>>8), byte(v>>16), byte(v>>24)
}

func getUint32(b []byte) uint32 {
	_ = b[3]
	return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
}
