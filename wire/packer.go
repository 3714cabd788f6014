package wire

import (
	"encoding/binary"
	"slices"
	"sync"

	"github.com/klauspost/compress/huff0"
)

// packer makes kept blocks of texts: the part of compression that is done once per event. It
// belongs to one goroutine.
type packer struct {
	lesson    *lesson
	finder    finder
	literals  []byte
	sequences []sequence
	packed    []byte // scratch
	scratch   *huff0.Scratch
}

// sequence is one match with the literals before it.
type sequence struct {
	literals, length uint32
	base             uint8
	offset           uint32 // as it is kept: see keptBias
}

// newPacker makes a packer for streams that were taught the lesson.
func newPacker(l *lesson) *packer {
	return &packer{lesson: l, scratch: l.literals.scratch()}
}

// appendKept appends text as kept blocks, with matches in the text itself and, if it is to be so,
// in the template and in the history that ends where text begins. reach is how far into the history
// they go.
func (p *packer) appendKept(dst, text []byte, depth int, template bool, h *source) (
	out []byte, reach int) {
	p.finder.template = nil
	if template {
		p.finder.template = &p.lesson.source
	}
	p.finder.depth, p.finder.history = depth, h
	for len(text) > 0 {
		n := min(len(text), keptTextMax)
		dst = p.appendBlock(dst, text[:n])
		reach = max(reach, p.finder.reach)
		text = text[n:]
		p.finder.history = nil // It does not end where the next block begins.
	}
	return dst, reach
}

// appendBlock appends one block.
func (p *packer) appendBlock(dst, text []byte) []byte {
	if !p.divide(text) {
		p.finder.reach = 0
		return appendKeptRaw(dst, text)
	}
	start := len(dst)
	dst = append(dst, make([]byte, keptHeaderBytes)...)
	dst = p.lesson.literals.appendLiterals(dst, p.literals, p.scratch, false)
	lits := len(dst) - start - keptHeaderBytes
	// A far offset takes 17 bits.
	if zstdBlockHeader+lits+len(p.sequences)*4 >= len(text) {
		p.finder.reach = 0
		return appendKeptRaw(dst[:start], text)
	}
	dst, litState, matchState := p.appendSequences(dst)
	count := len(p.sequences)
	if !slices.ContainsFunc(p.sequences, func(s sequence) bool { return s.base != baseNone }) {
		kept := dst[start+keptHeaderBytes+lits:]
		p.packed = p.lesson.appendPacked(p.packed[:0], kept, 0, matchState, litState)
		dst = append(dst[:len(dst)-len(kept)], p.packed...)
		lits, count = lits+len(p.packed), keptReady
	}
	head := dst[start:]
	head[10], head[11] = litState, matchState
	binary.LittleEndian.PutUint32(head, uint32(len(text)))
	binary.LittleEndian.PutUint32(head[4:], uint32(lits))
	binary.LittleEndian.PutUint16(head[8:], uint16(count))
	return dst
}

// appendKeptRaw appends a block whose text goes as it is.
func appendKeptRaw(dst, text []byte) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(text)))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(text)))
	dst = binary.LittleEndian.AppendUint32(dst, keptRaw)
	return append(dst, text...)
}

// divide makes literals and sequences of a text. It reports false when it cannot: too long a run of
// literals has no code here, and does not come where compression is of any use.
func (p *packer) divide(text []byte) (ok bool) {
	p.literals, p.sequences, ok = p.literals[:0], p.sequences[:0], true
	repeats := &p.finder.repeats
	from := 0
	p.finder.parse(text, &p.lesson.literals.bits, func(at int, m match) {
		run := at - from
		ok = ok && run <= litRunMax
		p.literals = append(p.literals, text[from:at]...)
		from = at + m.length
		for left := m.length; left > 0; run = 0 {
			n := left
			if n > matchBytesMax {
				n = min(matchBytesMax, left-hashBytes)
			}
			left -= n
			s := sequence{literals: uint32(run), length: uint32(n), base: m.base}
			if code := repeats.use(m, run > 0); code > 0 {
				s.base, s.offset = baseNone, uint32(code)
			} else if s.offset = uint32(m.back + offsetCodesReserved); m.base != baseNone {
				s.offset += keptBias
			}
			p.sequences = append(p.sequences, s)
		}
	})
	p.literals = append(p.literals, text[from:]...)
	return ok
}

// appendSequences appends the sequences as they are kept, from the last to the first, and says in
// which states that ends.
func (p *packer) appendSequences(dst []byte) (out []byte, litState, matchState uint8) {
	end := len(dst)
	dst = append(dst, make([]byte, keptSequenceBytes*len(p.sequences))...)
	for i := len(p.sequences) - 1; i >= 0; i-- {
		s := &p.sequences[i]
		l, m := litCode(s.literals), matchCode(s.length)
		var chunk uint64
		var count uint8
		if i == len(p.sequences)-1 {
			litState, matchState = p.lesson.lits.first[l.code], p.lesson.matches.first[m.code]
		} else {
			a := p.lesson.matches.steps[m.code][matchState]
			b := p.lesson.lits.steps[l.code][litState]
			chunk, count = uint64(a.value)|uint64(b.value)<<a.bits, a.bits+b.bits
			matchState, litState = a.state, b.state
		}
		chunk |= uint64(s.literals-l.base) << count
		count += l.bits
		chunk |= uint64(s.length-m.base) << count
		count += m.bits
		binary.LittleEndian.PutUint64(dst[end+keptSequenceBytes*i:], uint64(count)|
			uint64(s.base)<<keptBaseShift|uint64(s.offset)<<keptOffsetShift|chunk<<keptChunkShift)
	}
	return dst, litState, matchState
}

// packers are kept for texts of each encoding.
var packers [EncodingETF + 1]sync.Pool

func takePacker(e Encoding) *packer {
	if p, ok := packers[e].Get().(*packer); ok {
		return p
	}
	return newPacker(lessonOf(e))
}
