package wire

import (
	_ "embed"
	"encoding/binary"
	"hash/crc32"
	"sync"
)

// The lesson.
//
// What HELLO says beyond its words: a text that has the shape of common events, as a row of whole
// dispatches without anything that was ever said or anybody's id, and with it the three tables of
// sequences and that of literals that every later block goes by. It is the same for all connections
// of a node's epoch, so it is packed once, and each connection's HELLO copies the bytes. The text
// stands under the key "_" beside op and d: within a string of _trace each quote would be escaped,
// and a client that reads _trace as a list of strings would refuse anything else there.
//
// It is made by go run ./bench/template, which plays bench/corpus to a node.

// TemplateBytesMax bounds the text, and LessonBytesMax what is sent of it.
const (
	TemplateBytesMax = 16 << 10
	LessonBytesMax   = 3 << 10
)

// lesson is what a stream's decoder was taught.
type lesson struct {
	text     []byte
	source   source
	literals *huffman
	lits     *fse
	matches  *fse
	offsets  *fse

	offsetSteps *offsetTable // of offsets: see fse.offsetSteps
	block       []byte       // the block that teaches it
}

// Tables are how often what occurs in texts and their sequences, for a lesson.
type Tables struct {
	Literals               [256]uint32
	Lits, Matches, Offsets []int16
}

//go:embed template.json
var templateJSON []byte

//go:embed template.etf
var templateETF []byte

var lessons = [...]func() *lesson{
	EncodingJSON: sync.OnceValue(func() *lesson { return newLesson(templateJSON, &tablesJSON) }),
	EncodingETF:  sync.OnceValue(func() *lesson { return newLesson(templateETF, &tablesETF) }),
}

func lessonOf(e Encoding) *lesson { return lessons[e]() }

func newLesson(text []byte, t *Tables) *lesson {
	l := &lesson{text: text, literals: newHuffman(&t.Literals), lits: newFSE(t.Lits, litLog),
		matches: newFSE(t.Matches, matchLog), offsets: newFSE(t.Offsets, offsetLog)}
	l.offsetSteps = l.offsets.offsetSteps()
	l.source.reset(text)
	l.source.add(0, len(text))
	l.block = l.appendTeaching(nil)
	return l
}

// teachingText is all literals, of which the decoder learns their code.
const teachingText = `"01234567890123456789012345678901234567890123456789",`

// appendTeaching appends two blocks, which decode to teachingText and the template, and leave all
// tables. They refer to nothing before themselves.
func (l *lesson) appendTeaching(dst []byte) []byte {
	p := newPacker(l)
	start := len(dst)
	dst = append(dst, 0, 0, 0)
	dst = l.literals.appendLiterals(dst, []byte(teachingText), p.scratch, true)
	dst = appendSequenceCount(dst, 0)
	putBlockHeader(dst[start:], len(dst)-start-zstdBlockHeader, blockCompressed)

	p.finder.depth = teachingDepth
	if !p.divide(l.text) || len(p.sequences) == 0 {
		panic("wire: the template cannot be packed")
	}
	start = len(dst)
	dst = append(dst, 0, 0, 0)
	dst = l.literals.appendLiterals(dst, p.literals, p.scratch, false)
	dst = append(appendSequenceCount(dst, len(p.sequences)), modesTable)
	for _, f := range []*fse{l.lits, l.offsets, l.matches} {
		dst = f.appendTable(dst)
	}
	kept, litState, matchState := p.appendSequences(nil)
	end := len(dst)
	dst = append(dst, make([]byte, sequenceBytesMax*len(p.sequences)+sequencesExtra)...)
	end = packSequences(dst, end, kept, l.offsetSteps, 0, uint64(matchState),
		uint64(litState))
	putBlockHeader(dst[start:], end-start-zstdBlockHeader, blockCompressed)
	return dst[:end]
}

const teachingDepth = 64

// LessonSum tells lessons apart: what is packed for a stream is right only for one that was taught
// the same.
func LessonSum() uint32 {
	return crc32.Update(crc32.ChecksumIEEE(lessonOf(EncodingJSON).block), crc32.IEEETable,
		lessonOf(EncodingETF).block)
}

// DispatchText appends the text of a dispatch behind its number: what all sessions have in common.
// REQUIRES: as for NewDispatch.
func DispatchText(dst []byte, e Encoding, name string, body []byte) []byte {
	if e == EncodingETF {
		dst = etfBinaryText(etfBinaryText(dst, "t"), name)
		dst = append(etfBinaryText(dst, "op"), etfSmallInteger, byte(OpDispatch))
		dst, err := AppendETF(etfBinaryText(dst, "d"), body)
		if err != nil {
			panic("wire: dispatch " + name + ": " + err.Error())
		}
		return dst
	}
	dst = append(append(append(dst, `,"t":"`...), name...), `","op":0,"d":`...)
	return append(append(dst, body...), '}')
}

// appendLesson appends a frame of a zstd stream with the template as one more member, "_", of the
// text's outer object. header is what the stream begins with, if it does here.
func appendLesson(dst []byte, v Variant, header, text []byte) []byte {
	l := lessonOf(v.Encoding())
	var tail []byte
	if v.Encoding() == EncodingETF {
		const pairs = 5 // the lowest byte of their number
		text[pairs]++
		text = append(etfBinaryText(text, "_"), etfBinary)
		text = binary.BigEndian.AppendUint32(text, uint32(len(teachingText)+len(l.text)))
	} else {
		text, tail = append(text[:len(text)-1], `,"_":[`...), []byte("]}")
	}
	dst, start := openFrame(dst)
	dst = appendRawBlock(append(dst, header...), text)
	dst = append(dst, l.block...)
	if len(tail) > 0 {
		dst = appendRawBlock(dst, tail)
	}
	dst, _ = closeFrame(dst, start, OpcodeBinary)
	return dst
}
