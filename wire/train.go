package wire

import (
	"bytes"
	"math/bits"
)

// Train finds the tables for texts that are packed against a template. Tables and sequences depend
// on each other, so it goes round a few times.
func Train(template []byte, texts [][]byte) Tables {
	t := Tables{Lits: spread(make([]int, litCodes), litLog),
		Matches: spread(make([]int, matchCodes), matchLog),
		Offsets: spread(make([]int, offsetCodes), offsetLog)}
	for b := range t.Literals {
		t.Literals[b] = 1
	}
	for _, text := range texts {
		for _, b := range text {
			t.Literals[b]++
		}
	}
	const rounds = 4
	for range rounds {
		t = newLesson(template, &t).count(texts)
	}
	return t
}

// Literals that texts in other scripts have, which the corpus has not, get codes of not much more
// than their eight bits: one in so many is theirs.
const trainHighShare = 400

// count counts what packing texts takes.
func (l *lesson) count(texts [][]byte) (t Tables) {
	p := newPacker(l)
	lits, matches := make([]int, litCodes), make([]int, matchCodes)
	offsets := make([]int, offsetCodes)
	total := uint32(0)
	h := NewHistory(1, 0)
	for i, text := range texts {
		p.finder.template, p.finder.history, p.finder.depth = &l.source, nil, teachingDepth
		switch {
		case i%trainAloneShare == 0:
			p.finder.template = nil
		case i%trainAloneShare >= trainHistoryFrom:
			p.finder.history, p.finder.reachMax = &h.source, historyBytesMax
		}
		p.divide(text)
		p.finder.history = nil
		h.append(bytes.Repeat([]byte{0xff}, historyStart))
		h.append(text)
		for _, b := range p.literals {
			t.Literals[b]++
			total++
		}
		for _, s := range p.sequences {
			lits[litCode(s.literals).code]++
			matches[matchCode(s.length).code]++
			offset := s.offset
			if s.base != baseNone {
				// Wherever in a window of the default size.
				offset += uint32(i*7919%trainWindow) + trainWindow/8 - keptBias
			}
			offsets[bits.Len32(offset)-1]++
		}
	}
	for b := range t.Literals {
		if t.Literals[b]++; b >= 0x80 {
			t.Literals[b] += total / trainHighShare / 128
		}
	}
	t.Lits, t.Matches, t.Offsets = spread(lits, litLog), spread(matches, matchLog),
		spread(offsets, offsetLog)
	return t
}

const (
	trainWindow = 1 << 20
	// trainAloneShare: one text in so many goes without the template, as guilds and READY do.
	trainAloneShare  = 8
	trainHistoryFrom = 4
)

// spread makes cells of a table of counts: at least one of each.
func spread(counts []int, log int) []int16 {
	sum, most := 0, 0
	for i, c := range counts {
		sum += c
		if c > counts[most] {
			most = i
		}
	}
	cells := make([]int16, len(counts))
	left := 1<<log - len(counts)
	used := 0
	for i, c := range counts {
		cells[i] = 1
		if sum > 0 {
			n := c * left / sum
			cells[i] += int16(n)
			used += n
		}
	}
	cells[most] += int16(left - used)
	return cells
}
