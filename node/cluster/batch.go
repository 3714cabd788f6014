package cluster

import (
	"encoding/binary"
	"errors"

	"throng/tuning"
)

// A batch on the wire, integers big-endian, varints as in encoding/binary:
//
//	version (1) flags (1) from: length (1) and name, from and to incarnation (8 + 8),
//	round (8) number (8), then items: length and flag (varint: length × 2 + more), bytes
//
// An item with the flag more is continued by the first one of the next batch.
const (
	batchVersion = 1

	flagBeat = 1 << 0
	flagAsk  = 1 << 1

	headerFixedBytes = 3 + 4*8
)

var errBatch = errors.New("this is no batch")

// headerBytes is the size of a header from a node of that name.
func headerBytes(from string) int { return headerFixedBytes + len(from) }

// putHeader writes a header over the first headerBytes(h.from) bytes of b.
func putHeader(b []byte, h header) {
	b = append(b[:0], batchVersion, 0, byte(len(h.from)))
	if h.beat {
		b[1] |= flagBeat
	}
	if h.ask {
		b[1] |= flagAsk
	}
	b = append(b, h.from...)
	for _, v := range [...]uint64{h.fromInc, h.toInc, h.round, h.seq} {
		b = binary.BigEndian.AppendUint64(b, v)
	}
}

// parseHeader reads a header; the rest are its items.
func parseHeader(b []byte) (h header, items []byte, err error) {
	if len(b) < headerFixedBytes || b[0] != batchVersion || b[1]&^(flagBeat|flagAsk) != 0 {
		return h, nil, errBatch
	}
	h.beat, h.ask = b[1]&flagBeat != 0, b[1]&flagAsk != 0
	length := int(b[2])
	if len(b) < headerFixedBytes+length {
		return h, nil, errBatch
	}
	h.from = string(b[3 : 3+length])
	if !ValidName(h.from) {
		return h, nil, errBatch
	}
	b = b[3+length:]
	for i, v := range [...]*uint64{&h.fromInc, &h.toInc, &h.round, &h.seq} {
		*v = binary.BigEndian.Uint64(b[8*i:])
	}
	items = b[4*8:]
	if h.beat != (len(items) == 0) || (!h.beat && h.seq == 0) || h.round == 0 || h.fromInc == 0 {
		return h, nil, errBatch
	}
	return h, items, nil
}

// items takes batches apart in order, and puts together what was cut.
type items struct {
	part []byte
	cut  bool // The next item continues part.
}

// appendAll appends the items of a batch to dst. They are parts of b, or memory of their own, and
// stay as they are. After an error the stream cannot go on.
func (s *items) appendAll(dst [][]byte, b []byte) ([][]byte, error) {
	for len(b) > 0 {
		v, n := binary.Uvarint(b)
		if n <= 0 || v>>1 > uint64(len(b)-n) {
			return dst, errBatch
		}
		item := b[n : n+int(v>>1) : n+int(v>>1)]
		b = b[n+int(v>>1):]
		more := v&1 != 0
		if !s.cut && !more {
			dst = append(dst, item)
			continue
		}
		if len(s.part)+len(item) > tuning.BusItemBytesMax || (more && len(b) > 0) {
			return dst, errBatch
		}
		s.part, s.cut = append(s.part, item...), more
		if !more {
			dst = append(dst, s.part)
			s.part = nil
		}
	}
	return dst, nil
}

// clear forgets a part whose rest will not come.
func (s *items) clear() { *s = items{} }
