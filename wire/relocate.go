package wire

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// Relocated blocks.
//
// Blocks that refer to nothing before themselves may stand in any connection's stream, and are
// packed once for all (see stream.go). They cost bytes: a message of 780 is 430 of them, and 80
// where a compressor of the connection's own remembers what it has sent before, for a megabyte of
// memory and tens of microseconds per receiver.
//
// But all connections have been sent nearly the same: the template in HELLO, whose text is the
// shape of common events (lesson.go); and, whoever listens to the same guild, the same events just
// before (history.go). Only where the template stands differs, since frames for one session alone
// lie between. A match of zstd (RFC 8878 3.1.1.3.2.1) is how many literals go before it, how long
// it is, and how far back it copies from. The first two, and the literals, are the same for all
// connections. The third is
//
//	how far back the template begins + where in the block - where in the template
//
// of which the connection contributes one number. So the search for matches and the literals' code
// are done once per event, and once more per loop for a history, and per connection the offsets
// alone are packed; and not even these when all matches are in the history, whose distance is the
// same for all. See BenchmarkAppendRelocated and BenchmarkAppendAgreed.
//
// What a sequence says goes into one stream of bits, backwards, in three codes whose states are
// interwoven: each step of each state writes some bits, and how many depends on what follows. Those
// of the literal and the match lengths depend on nothing else, so what they write for a sequence is
// a chunk of bits that is made once; then come the further bits of both lengths, which are constant
// too. The state of the offset code stands before that chunk and the offset's further bits behind
// it: this is the order of RFC 8878 3.1.1.3.2.2, read from the end. So a sequence is kept in eight
// bytes: the chunk, its length, the constant part of the offset, and what is to be added to it.
//
//	bits 0-5 length of the chunk | 6 base | 8-26 offset | 27-63 chunk
//
// A decoder remembers the last three offsets, and a code may name one of them. What they are at the
// start of a block nobody knows here, nor is it asked: an offset is repeated by its code only when
// the same block has used it explicitly before, and whether two sequences have the same offset does
// not depend on the connection when both add the same base. So no block has to put the offsets
// back, as shared blocks for libzstd's encoders would need, and blocks of any events may stand
// behind each other in one flush.
//
// The decoder remembers more between blocks, and that is used: literals and sequences refer to the
// tables that it was taught with the template (Treeless_Literals_Block, Repeat_Mode), so a block
// has no tables. A table for 100 literals takes 40 bytes, and the predefined tables of sequences
// know nothing of matches that are mostly far. That is only right while every block of the stream
// keeps to it; all are made here. See lesson.go.
//
// So what a decoder makes of a block depends on the connection in three ways, and no others. That
// it was taught the tables: all of its blocks since are made here and repeat them, and raw blocks
// leave them (RFC 8878 3.1.1.3.1.1, 3.1.1.3.2.1). How far back the template begins: Stream counts
// that, in text, with every frame that is written whole, and nothing is packed against the template
// once the block's last match might reach past the window. And that the text just before it is what
// the history says: Stream compares places, and any frame that is no part of the history ends what
// they agree on. A frame is made when it is written, from the Stream as it is then, and is made
// again, byte by byte the same, when the kernel took part of it; so frames that never go out, for a
// session that lags, resumes or is moved, have never been counted. Nothing is known by its position
// from the start, which is why positions may wrap.
//
// What was measured, on the events of bench/corpus with 19 bytes of number and frame: 160 bytes
// against the template alone, 107 with the first 84 KB of a history; see bench/compression for now,
// beside zstd's and zlib's own. A guild's GUILD_CREATE as the dictionary was tried in the place of
// the history: 153 bytes in place of 150 at that time. It has roles and channels, and of members
// hardly anybody but the session's own; if it had all authors it would be 128, and cost 8 bytes for
// each guild of each session. That would still be worth it for who hears several guilds in turns,
// and so has no agreement with any: such a session has the template alone.
//
// What was rejected: to search with libzstd's or Go's encoder against the template as a dictionary,
// which give no sequences but finished blocks; repeat codes of the block before, which need a block
// that resets them, 14 bytes a message; a dictionary as RFC 8878 5 has it, since the clients' query
// cannot name one.

// A block is kept as: the length of its text; that of its literals section, which comes next; the
// number of its sequences, which come last; the first states of the two lengths' codes.
const (
	keptHeaderBytes   = 12
	keptSequenceBytes = 8

	keptBaseShift   = 6
	keptOffsetShift = 8
	keptChunkShift  = 27
	keptBaseMask    = 1
	keptChunkMask   = 1<<keptBaseShift - 1
	keptOffsetMask  = 1<<(keptChunkShift-keptOffsetShift) - 1

	// keptBias keeps offsets positive that are yet to be relocated.
	keptBias = 1 << 18

	// keptRaw is the number of sequences of a block whose text goes as it is, and keptReady that of
	// one that is packed already: none of its matches is in the template.
	keptRaw   = 0xffff
	keptReady = 0xfffe

	// keptTextMax is the text of one block: with the template it is within keptBias, and it has
	// fewer sequences than keptRaw.
	keptTextMax = 64 << 10
)

const _ = uint(64 - keptChunkShift - chunkBitsMax)
const _ = uint(keptBaseMask - (baseCount - 1))
const _ = uint(keptBias - keptTextMax - TemplateBytesMax - offsetCodesReserved)

// The texts that a match may copy from.
const (
	baseNone     = iota // the stream just before: the offset is what it is
	baseTemplate        // the template: relocation is added
	baseCount
)

// AppendRelocated appends the first of some kept blocks to a stream that has decoded to position
// bytes, of which the dictionary, which is the template, begins at the other position: only their
// difference counts, modulo 2^32. It returns what it did not take of the blocks, and how much text
// it appended.
//
// REQUIRES: the stream was taught, and the dictionary is in its window.
func (l *lesson) AppendRelocated(dst, blocks []byte, position, dictionary uint32) (
	out, rest []byte, text uint32) {
	text = binary.LittleEndian.Uint32(blocks)
	lits := int(binary.LittleEndian.Uint32(blocks[4:]))
	count := int(binary.LittleEndian.Uint16(blocks[8:]))
	section := blocks[keptHeaderBytes : keptHeaderBytes+lits]
	rest = blocks[keptHeaderBytes+lits:]
	if count == keptRaw {
		return appendRawBlock(dst, section), rest, text
	}
	start := len(dst)
	dst = append(append(dst, 0, 0, 0), section...)
	if count != keptReady {
		size := keptSequenceBytes * count
		dst = l.appendPacked(dst, rest[:size], position-dictionary-keptBias, blocks[11], blocks[10])
		rest = rest[size:]
	}
	putBlockHeader(dst[start:], len(dst)-start-zstdBlockHeader, blockCompressed)
	return dst, rest, text
}

// appendPacked appends the sequences section of a block, with so much added to the offsets of
// matches in the template.
func (l *lesson) appendPacked(dst, sequences []byte, relocation uint32, matchState,
	litState uint8) []byte {
	count := len(sequences) / keptSequenceBytes
	dst = appendSequenceCount(dst, count)
	if count == 0 {
		return dst
	}
	dst = append(slices.Grow(dst, sequenceBytesMax*count+sequencesExtra), modesRepeat)
	end := packSequences(dst[:cap(dst)], len(dst), sequences, l.offsetSteps, relocation,
		uint64(matchState), uint64(litState))
	return dst[:end]
}

const (
	// sequenceBytesMax is what one takes at most: its chunk, a state and an offset's further bits.
	sequenceBytesMax = (chunkBitsMax + offsetLog + offsetCodes + 7) / 8
	// sequencesExtra is room for their number, the first states, and a word written whole.
	sequencesExtra = 24
)

// packSequences writes the bits of sequences at buf[at:], and says where they end. It is the loop
// that runs per connection: see BenchmarkAppendRelocated. A sequence's bits fit into a word with
// what is left of the one before, but for the longest, and so are written at once.
func packSequences(buf []byte, at int, sequences []byte, steps *offsetTable,
	relocation uint32, matchState, litState uint64) (end int) {
	var word uint64
	var count uint
	state := uint32(offsetNoState)
	for len(sequences) >= keptSequenceBytes {
		rest := len(sequences) - keptSequenceBytes
		kept := binary.LittleEndian.Uint64(sequences[rest:])
		sequences = sequences[:rest]
		offset := uint32(kept>>keptOffsetShift)&keptOffsetMask +
			relocation*(uint32(kept>>keptBaseShift)&keptBaseMask)
		code := uint(bits.Len32(offset)) - 1
		step := steps[(uint32(code)*offsetRow+state)%uint32(len(steps))]
		width := uint(step >> 16)
		chunk := uint64(step>>8&0xff) | kept>>keptChunkShift<<(width&63)
		state = step & 0xff
		word |= chunk << (count & 63)
		count += width + uint(kept&keptChunkMask)
		if count+code >= 64 {
			binary.LittleEndian.PutUint64(buf[at:], word)
			at += int(count >> 3)
			word >>= count & 56
			count &= 7
		}
		further := uint64(offset) ^ 1<<(code&63) // all but the highest bit
		word |= further << (count & 63)
		count += code
		binary.LittleEndian.PutUint64(buf[at:], word)
		at += int(count >> 3)
		word >>= count & 56
		count &= 7
	}
	word |= matchState<<count | uint64(state)<<(count+matchLog) |
		litState<<(count+matchLog+offsetLog) | 1<<(count+matchLog+offsetLog+litLog)
	count += matchLog + offsetLog + litLog + 1
	binary.LittleEndian.PutUint64(buf[at:], word)
	return at + int(count+7)/8
}

// The types of a block (RFC 8878 3.1.1.2.3), none of which is the last of the frame.
const (
	blockRaw        = 0
	blockRepeated   = 1
	blockCompressed = 2
)

func putBlockHeader(dst []byte, size, kind int) {
	head := size<<3 | kind<<1
	dst[0], dst[1], dst[2] = byte(head), byte(head>>8), byte(head>>16)
}

// appendBlanks appends so many blanks, in four bytes. REQUIRES: n <= zstdBlockBytesMax.
func appendBlanks(dst []byte, n int) []byte {
	start := len(dst)
	dst = append(dst, 0, 0, 0, ' ')
	putBlockHeader(dst[start:], n, blockRepeated)
	return dst
}

// appendRawBlock appends text as it is. REQUIRES: len(text) <= zstdBlockBytesMax.
func appendRawBlock(dst, text []byte) []byte {
	start := len(dst)
	dst = append(append(dst, 0, 0, 0), text...)
	putBlockHeader(dst[start:], len(text), blockRaw)
	return dst
}
