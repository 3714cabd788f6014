package wire

import "math/bits"

// The sequences of a zstd block (RFC 8878 3.1.1.3.2): how many literals, how long a match, how far
// back. Each of the three is a code, which finite state entropy (FSE, 4.1) writes in a fraction of
// bits, and further bits as they are. An FSE encoder runs from the last sequence to the first and
// carries a state per kind; which state it comes to depends on the codes alone.

// The codes in use. What would need a higher one is divided, or goes raw: so all that a sequence
// has beside its offset fits into chunkBitsMax.
const (
	litCodes   = 32 // up to litRunMax literals
	matchCodes = 46 // up to matchBytesMax
	// offsetCodes reach 2^24 back, which is more than the largest window.
	offsetCodes = 25
	// offsetCodesReserved are the values that repeat an offset; others are greater by so much.
	offsetCodesReserved = 3

	litRunMax     = 8191
	matchBytesMin = 3 // of zstd; see finder for what is worth it
	matchBytesMax = 1026

	litLog    = 8 // bits of a state
	matchLog  = 8
	offsetLog = 7

	// chunkBitsMax are two steps and the further bits of both lengths.
	chunkBitsMax = litLog + matchLog + 12 + 9
)

// How the tables of a block's three codes are found (RFC 8878 3.1.1.3.2.1.2).
const (
	modesRepeat = 0b11_11_11_00
	modesTable  = 0b10_10_10_00
)

// appendSequenceCount appends how many sequences a block has. REQUIRES: count < 0x7f00.
func appendSequenceCount(dst []byte, count int) []byte {
	if count < 128 {
		return append(dst, byte(count))
	}
	return append(dst, byte(count>>8)+128, byte(count))
}

// step is an encoder's way from one state to the next: bits of value, and the state.
type step struct{ state, value, bits uint8 }

// fse is the encoder's side of one table.
type fse struct {
	norm  []int16 // cells of each code, all at least 1
	log   int
	first []uint8
	// steps of a code, by the state that the decoder is to be in afterwards.
	steps [][]step
}

// newFSE builds the table of RFC 8878 4.1.1. REQUIRES: the sum of norm is 1<<log.
func newFSE(norm []int16, log int) *fse {
	size := 1 << log
	cells := make([]uint8, size)
	at, stride := 0, size>>1+size>>3+3
	for code, n := range norm {
		for range n {
			cells[at] = uint8(code)
			at = (at + stride) & (size - 1)
		}
	}
	f := &fse{norm: norm, log: log, first: make([]uint8, len(norm)),
		steps: make([][]step, len(norm))}
	for code := range norm {
		f.steps[code] = make([]step, size)
	}
	next := append([]int16(nil), norm...)
	for state, code := range cells {
		x := int(next[code])
		next[code]++
		count := log - (bits.Len(uint(x)) - 1)
		base := x<<count - size
		for value := range 1 << count {
			f.steps[code][base+value] = step{uint8(state), uint8(value), uint8(count)}
		}
		if x == int(norm[code]) {
			f.first[code] = uint8(state)
		}
	}
	return f
}

// appendTable appends the table's description (RFC 8878 4.1.1).
func (f *fse) appendTable(dst []byte) []byte {
	var w bitWriter
	w.add(uint64(f.log-5), 4)
	left := 1<<f.log + 1
	for _, n := range f.norm {
		// One of left+1 values, those above the threshold in a bit less.
		value := int(n) + 1
		width := bits.Len(uint(left))
		low := 1<<width - 1 - left
		switch {
		case value < low:
			w.add(uint64(value), width-1)
		case value < 1<<(width-1):
			w.add(uint64(value), width)
		default:
			w.add(uint64(value+low), width)
		}
		if left -= int(n); left == 1 {
			break
		}
	}
	return append(dst, w.bytes()...)
}

// offsetTable is the code of offsets for the loop that runs per connection: a row for each code, in
// it a step for each state, and one for none yet, which is what the last sequence begins with. A
// step is
//
//	bits 0-7 state | 8-15 value | 16-31 bits
//
// It has more rows than codes, and rows longer than they need be, so that an index is cheap to make
// and needs no check: that and a single write per sequence are a third of the loop's time.
type offsetTable [offsetRows * offsetRow]uint32

const (
	offsetNoState = 1 << offsetLog
	offsetRow     = 256
	offsetRows    = 32
)

const _ = uint(offsetRows - offsetCodes)

// offsetSteps makes the table of a code of offsets.
func (f *fse) offsetSteps() *offsetTable {
	t := new(offsetTable)
	for code := range f.norm {
		row := t[code*offsetRow:]
		for state, s := range f.steps[code] {
			row[state] = uint32(s.state) | uint32(s.value)<<8 | uint32(s.bits)<<16
		}
		row[offsetNoState] = uint32(f.first[code])
	}
	return t
}

// bitWriter collects bits, the lowest first.
type bitWriter struct {
	out []byte
	acc uint64
	n   int
}

// add takes up to 56 bits.
func (w *bitWriter) add(value uint64, count int) {
	w.acc |= value << w.n
	for w.n += count; w.n >= 8; w.n -= 8 {
		w.out = append(w.out, byte(w.acc))
		w.acc >>= 8
	}
}

func (w *bitWriter) bytes() []byte {
	if w.n > 0 {
		w.out = append(w.out, byte(w.acc))
		w.acc, w.n = 0, 0
	}
	return w.out
}

// codeStep is a row of the tables of RFC 8878 3.1.1.3.2.1.1: code for values from base on.
type codeStep struct {
	code, bits uint8
	base       uint32
}

var litSteps = []codeStep{{16, 1, 16}, {17, 1, 18}, {18, 1, 20}, {19, 1, 22}, {20, 2, 24},
	{21, 2, 28}, {22, 3, 32}, {23, 3, 40}, {24, 4, 48}, {25, 6, 64}, {26, 7, 128}, {27, 8, 256},
	{28, 9, 512}, {29, 10, 1024}, {30, 11, 2048}, {31, 12, 4096}}

var matchSteps = []codeStep{{32, 1, 35}, {33, 1, 37}, {34, 1, 39}, {35, 1, 41}, {36, 2, 43},
	{37, 2, 47}, {38, 3, 51}, {39, 3, 59}, {40, 4, 67}, {41, 4, 83}, {42, 5, 99}, {43, 7, 131},
	{44, 8, 259}, {45, 9, 515}}

func litCode(n uint32) codeStep {
	if n < litSteps[0].base {
		return codeStep{code: uint8(n), base: n}
	}
	return stepOf(litSteps, n)
}

func matchCode(n uint32) codeStep {
	if n < matchSteps[0].base {
		return codeStep{code: uint8(n - matchBytesMin), base: n}
	}
	return stepOf(matchSteps, n)
}

func stepOf(steps []codeStep, n uint32) codeStep {
	i := len(steps) - 1
	for steps[i].base > n {
		i--
	}
	return steps[i]
}
