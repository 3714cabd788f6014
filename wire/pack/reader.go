package pack

import (
	"encoding/binary"
	"math"

	"throng/wire"
)

// Reader reads the binary form. It fails once and stays failed, so that whoever reads asks only at
// the end, see Done; until then it gives zeros. The zero Reader has nothing to read.
type Reader struct {
	left   []byte
	failed bool
}

// NewReader reads b. Texts that it gives are parts of b.
func NewReader(b []byte) Reader { return Reader{left: b} }

// Fail makes the reader fail: the caller knows better than it what can be.
func (r *Reader) Fail() { r.left, r.failed = nil, true }

// Failed says whether something could not be read.
func (r *Reader) Failed() bool { return r.failed }

// Done says whether everything could be read and nothing is left.
func (r *Reader) Done() bool { return !r.failed && len(r.left) == 0 }

// Uint reads what AppendUint wrote, of at most that size.
func (r *Reader) Uint(most uint64) uint64 {
	v, n := binary.Uvarint(r.left)
	if n <= 0 || v > most {
		r.Fail()
		return 0
	}
	r.left = r.left[n:]
	return v
}

// Uint32 reads what AppendUint wrote.
func (r *Reader) Uint32() uint32 { return uint32(r.Uint(math.MaxUint32)) }

// Uint64 reads what AppendUint64 wrote.
func (r *Reader) Uint64() uint64 {
	b := r.Bytes(8)
	if b == nil {
		return 0
	}
	return binary.LittleEndian.Uint64(b)
}

// Count reads the length of a list whose elements take so many bytes each at least.
func (r *Reader) Count(elementBytesMin int) int {
	return int(r.Uint(uint64(len(r.left) / elementBytesMin)))
}

// Bytes reads so many bytes, or nil when there are not as many.
func (r *Reader) Bytes(count int) []byte {
	if count > len(r.left) {
		r.Fail()
		return nil
	}
	b := r.left[:count:count]
	r.left = r.left[count:]
	return b
}

// Byte reads one byte.
func (r *Reader) Byte() byte {
	b := r.Bytes(1)
	if b == nil {
		return 0
	}
	return b[0]
}

// Rest is all that is left, for another reader.
func (r *Reader) Rest() (b []byte) {
	b, r.left = r.left, nil
	return b
}

// Flags are up to eight flags.
type Flags byte

// Has says whether the flag that was appended at that place is set.
func (f Flags) Has(place int) bool { return f>>place&1 != 0 }

// Flags reads so many flags.
func (r *Reader) Flags(count int) Flags {
	b := r.Byte()
	if b>>count != 0 {
		r.Fail()
		return 0
	}
	return Flags(b)
}

// ID reads an id.
func (r *Reader) ID() wire.Snowflake { return wire.Snowflake(r.Uint64()) }

// IDs reads what AppendIDs wrote, of at most that length.
func (r *Reader) IDs(most int) []wire.Snowflake {
	n := int(r.Uint(uint64(min(most, len(r.left)/8)) + 1))
	if n == 0 {
		return nil
	}
	ids := make([]wire.Snowflake, 0, n-1)
	for range n - 1 {
		ids = append(ids, r.ID())
	}
	if r.failed {
		return nil
	}
	return ids
}

// Text reads what AppendText wrote.
func (r *Reader) Text() []byte {
	n := r.Uint(uint64(len(r.left)) + 1)
	if n == 0 {
		return nil
	}
	return r.Bytes(int(n - 1))
}

// String reads what AppendString wrote, of at most that length.
func (r *Reader) String(most int) string {
	return string(r.Bytes(int(r.Uint(uint64(min(most, len(r.left)))))))
}

// Alike reads what AppendAlike wrote, for the same base. It is a text of its own, as long as base
// and what was read together at most.
func (r *Reader) Alike(base []byte) []byte {
	head := int(r.Uint(uint64(len(base))))
	tail := int(r.Uint(uint64(len(base) - head)))
	middle := r.Bytes(r.Count(1))
	if r.failed {
		return nil
	}
	text := make([]byte, 0, head+len(middle)+tail)
	text = append(append(text, base[:head]...), middle...)
	return append(text, base[len(base)-tail:]...)
}
