package load

import (
	"bytes"
	"encoding/binary"
)

// envelope is what is read of a gateway payload. Its slices lie in the payload.
type envelope struct {
	op   int
	seq  uint32 // 0: none.
	name []byte // t, or nothing.
}

// scanJSON reads op, s and t of a JSON payload. It stops at d as soon as nothing is missing: most
// gateways write d last, and d is most of the bytes. Blanks may stand anywhere, since some write s
// into a hole of fixed width. False: not an object with an op.
func scanJSON(p []byte) (e envelope, ok bool) {
	e.op = -1
	var haveSeq, haveName bool
	i := blank(p, 0)
	if i >= len(p) || p[i] != '{' {
		return e, false
	}
	for i++; ; i++ {
		i = blank(p, i)
		if i >= len(p) || p[i] != '"' {
			return e, e.op >= 0
		}
		end := bytes.IndexByte(p[i+1:], '"')
		if end < 0 {
			return e, false
		}
		key := p[i+1 : i+1+end]
		i = blank(p, i+end+2)
		if i >= len(p) || p[i] != ':' {
			return e, false
		}
		i = blank(p, i+1)
		start := i
		switch {
		case len(key) == 1 && key[0] == 's':
			e.seq, i = digits(p, i)
			haveSeq = true
		case len(key) == 2 && key[0] == 'o' && key[1] == 'p':
			var op uint32
			if op, i = digits(p, i); i > start {
				e.op = int(op)
			}
		case len(key) == 1 && key[0] == 'd':
			if e.op > 0 || e.op == 0 && haveSeq && haveName {
				return e, true
			}
		}
		if i == start {
			i = skipJSON(p, i)
			if len(key) == 1 && key[0] == 't' {
				haveName = true
				if i-start >= 2 && p[start] == '"' {
					e.name = p[start+1 : i-1]
				}
			}
		}
		i = blank(p, i)
		if i >= len(p) || p[i] != ',' {
			return e, e.op >= 0
		}
	}
}

func blank(p []byte, i int) int {
	for i < len(p) && (p[i] == ' ' || p[i] == '\n' || p[i] == '\t' || p[i] == '\r') {
		i++
	}
	return i
}

// digits reads a number without sign or fraction; what is none is left where it is.
func digits(p []byte, i int) (n uint32, end int) {
	for i < len(p) && p[i]-'0' <= 9 {
		n = n*10 + uint32(p[i]-'0')
		i++
	}
	return n, i
}

// skipJSON is the end of the value that begins at i.
func skipJSON(p []byte, i int) int {
	depth := 0
	for i < len(p) {
		switch p[i] {
		case '"':
			i = skipString(p, i)
			if depth == 0 {
				return i
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth <= 0 {
				return i + depth + 1 // A bracket that closes what is around stays.
			}
		case ',', ' ', '\n', '\t', '\r':
			if depth == 0 {
				return i
			}
		}
		i++
	}
	return i
}

func skipString(p []byte, i int) int {
	for i++; i < len(p); i++ {
		switch p[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(p)
}

// Terms of ETF that a gateway sends.
const (
	etfVersion  = 131
	etfMap      = 116
	etfList     = 108
	etfNil      = 106
	etfBinary   = 109
	etfString   = 107
	etfSmall    = 97
	etfInteger  = 98
	etfFloat    = 70
	etfSmallBig = 110
	etfAtom     = 100
	etfAtomUTF8 = 118
	etfAtom8    = 115
	etfAtomUTF  = 119
)

// scanETF does for an ETF payload what scanJSON does.
func scanETF(p []byte) (e envelope, ok bool) {
	e.op = -1
	if len(p) < 6 || p[0] != etfVersion || p[1] != etfMap {
		return e, false
	}
	var haveSeq, haveName bool
	pairs := int(binary.BigEndian.Uint32(p[2:]))
	i := 6
	for range pairs {
		key, next, good := textETF(p, i)
		if !good {
			return e, false
		}
		i = next
		end := skipETF(p, i, 0)
		if end <= i {
			return e, e.op >= 0 && string(key) == "d"
		}
		switch string(key) {
		case "op":
			if n, good := numberETF(p[i:end]); good {
				e.op = int(n)
			}
		case "s":
			n, _ := numberETF(p[i:end])
			e.seq, haveSeq = uint32(n), true
		case "t":
			haveName = true
			if p[i] == etfBinary {
				e.name, _, _ = textETF(p, i)
			}
		}
		i = end
		if e.op > 0 || e.op == 0 && haveSeq && haveName {
			return e, true
		}
	}
	return e, e.op >= 0
}

// sizeETF is the size of a term that is all in one piece, header included. False: it is not, or
// p ends before that can be told.
func sizeETF(p []byte) (int, bool) {
	head := func(at, width int) (int, bool) {
		if len(p) < at+width {
			return 0, false
		}
		n := 0
		for _, b := range p[at : at+width] {
			n = n<<8 | int(b)
		}
		return n, true
	}
	if len(p) == 0 {
		return 0, false
	}
	switch p[0] {
	case etfNil:
		return 1, true
	case etfSmall:
		return 2, true
	case etfInteger:
		return 5, true
	case etfFloat:
		return 9, true
	case etfBinary:
		n, ok := head(1, 4)
		return 5 + n, ok
	case etfString, etfAtom, etfAtomUTF8:
		n, ok := head(1, 2)
		return 3 + n, ok
	case etfAtom8, etfAtomUTF:
		n, ok := head(1, 1)
		return 2 + n, ok
	case etfSmallBig:
		n, ok := head(1, 1)
		return 3 + n, ok
	}
	return 0, false
}

// textETF reads a binary or an atom.
func textETF(p []byte, i int) (text []byte, end int, ok bool) {
	if i >= len(p) {
		return nil, i, false
	}
	size, ok := sizeETF(p[i:])
	if !ok || i+size > len(p) {
		return nil, i, false
	}
	switch p[i] {
	case etfBinary:
		return p[i+5 : i+size], i + size, true
	case etfAtom, etfAtomUTF8:
		return p[i+3 : i+size], i + size, true
	case etfAtom8, etfAtomUTF:
		return p[i+2 : i+size], i + size, true
	}
	return nil, i, false
}

// numberETF reads a whole number that is not negative.
func numberETF(p []byte) (uint64, bool) {
	size, ok := sizeETF(p)
	if !ok || len(p) < size {
		return 0, false
	}
	switch p[0] {
	case etfSmall:
		return uint64(p[1]), true
	case etfInteger:
		return uint64(binary.BigEndian.Uint32(p[1:])), true
	case etfSmallBig:
		if size > 3+8 || p[2] != 0 {
			return 0, false
		}
		var n uint64
		for k := size - 1; k >= 3; k-- {
			n = n<<8 | uint64(p[k])
		}
		return n, true
	}
	return 0, false
}

const etfDepthMax = 64

// skipETF is the end of the term at i, or 0 when it is cut off, too deep or of another kind.
func skipETF(p []byte, i, depth int) int {
	if i >= len(p) || depth > etfDepthMax {
		return 0
	}
	if p[i] != etfMap && p[i] != etfList {
		size, ok := sizeETF(p[i:])
		if !ok || i+size > len(p) {
			return 0
		}
		return i + size
	}
	if i+5 > len(p) {
		return 0
	}
	terms := int(binary.BigEndian.Uint32(p[i+1:]))
	if p[i] == etfMap {
		terms *= 2
	} else {
		terms++ // The tail.
	}
	i += 5
	for range terms {
		if i = skipETF(p, i, depth+1); i == 0 {
			return 0
		}
	}
	return i
}

// The mark in either encoding: a key, and nanoseconds since 1970.
var (
	markJSON = []byte(`"ts":`)
	markETF  = []byte("\x6d\x00\x00\x00\x02ts")
)

// nanoMin keeps out what is called ts and is no such mark: it is September 2001.
const nanoMin = 1e18

// marker finds marks. Events of one kind have it at the same place, so that it looks where the
// last one was before it searches.
type marker struct{ hint int }

// find is the time that the mark in p says, or 0.
func (m *marker) find(p []byte) int64 {
	at := m.hint
	if at+len(markJSON) > len(p) || string(p[at:at+len(markJSON)]) != string(markJSON) {
		if at = bytes.Index(p, markJSON); at < 0 {
			return 0
		}
		m.hint = at
	}
	i := blank(p, at+len(markJSON))
	if i < len(p) && p[i] == '"' {
		i++
	}
	var n int64
	for ; i < len(p) && p[i]-'0' <= 9; i++ {
		n = n*10 + int64(p[i]-'0')
	}
	if n < nanoMin {
		return 0
	}
	return n
}

// findETF is find for ETF.
func (m *marker) findETF(p []byte) int64 {
	at := bytes.Index(p, markETF)
	if at < 0 {
		return 0
	}
	n, ok := numberETF(p[at+len(markETF):])
	if !ok || n < nanoMin || n > 1<<62 {
		return 0
	}
	return int64(n)
}
