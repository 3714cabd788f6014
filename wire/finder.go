package wire

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// source is text to find matches in: for a position, the earlier ones with the same four bytes.
type source struct {
	text  []byte
	heads []int32 // by hash: the last position, -1 for none
	prev  []int32 // by position: the one before with the same hash
	shift int
}

const (
	hashBytes   = 4
	hashBitsMin = 8
	hashBitsMax = 15
)

// reset makes the source one of text, with no position in it yet.
func (s *source) reset(text []byte) {
	width := min(max(bits.Len(uint(len(text))), hashBitsMin), hashBitsMax)
	s.text, s.shift = text, 32-width
	s.heads = slices.Grow(s.heads[:0], 1<<width)[:1<<width]
	s.clear()
	if cap(s.prev) < len(text) {
		s.prev = make([]int32, len(text))
	}
	s.prev = s.prev[:len(text)]
}

// clear forgets all positions.
func (s *source) clear() {
	for i := range s.heads {
		s.heads[i] = -1
	}
}

func (s *source) hash(text []byte) uint32 {
	return binary.LittleEndian.Uint32(text) * 2654435761 >> s.shift
}

// add adds the positions [from, to).
func (s *source) add(from, to int) {
	for i := from; i < min(to, len(s.text)-hashBytes+1); i++ {
		h := s.hash(s.text[i:])
		s.prev[i] = s.heads[h]
		s.heads[h] = int32(i)
	}
}

// match says that length bytes are those at a distance back. Where they are in the template, that
// is the distance if the template stood where the block's text begins.
type match struct {
	length, back int
	base         uint8
	gain         int // bits that it saves
}

// What a sequence takes in bits, as far as it can be known before it is written.
const (
	sequenceBits = 9  // codes of lengths
	repeatBits   = 2  // the code of an offset that was just used
	offsetBits   = 3  // the code of any other
	templateBits = 18 // the further bits of an offset to the template
)

// finder divides a text into literals and matches. It looks in the text itself, in the template,
// and in a history: what each stream that the block goes to has just before it.
type finder struct {
	depth    int // candidates that are looked at
	template *source
	history  *source
	self     source
	text     []byte
	saved    []int32 // by position: bits of the literals before it
	repeats  repeats
	reach    int // how far into the history matches go
	reachMax int // and may go
}

// best is the match at a position that saves most.
func (f *finder) best(at int) (m match) {
	for _, r := range f.repeats {
		if r.known {
			f.repeated(&m, at, r)
		}
	}
	if at+hashBytes > len(f.text) {
		return m
	}
	f.search(&m, at, &f.self, baseNone, 0, at)
	if f.history != nil {
		f.search(&m, at, f.history, baseNone, len(f.history.text), len(f.history.text))
	}
	if f.template != nil {
		f.search(&m, at, f.template, baseTemplate, 0, len(f.template.text))
	}
	return m
}

// search looks at candidates in a source whose text begins so many bytes before the block's, and
// whose positions up to end may be copied from.
func (f *finder) search(m *match, at int, s *source, base uint8, before, end int) {
	from := s.heads[s.hash(f.text[at:])]
	for n := f.depth; from >= 0 && n > 0 && before-int(from) <= f.reachMax; n-- {
		if m.length >= matchEnough {
			return
		}
		back := at - int(from) + before
		cost := sequenceBits + offsetBits + templateBits
		if base == baseNone {
			cost = sequenceBits + offsetBits + bits.Len(uint(back))
		}
		// A longer match is looked for: what is further off costs more.
		if past := int(from) + m.length; int(from) < end && past < len(s.text) &&
			at+m.length < len(f.text) && s.text[past] == f.text[at+m.length] {
			f.try(m, at, s.text[from:], match{back: back, base: base}, cost)
		}
		from = s.prev[from]
	}
}

// repeated looks at the text that an offset of before leads to.
func (f *finder) repeated(m *match, at int, r repeat) {
	from, s := at-r.back, &f.self
	switch {
	case r.base == baseTemplate:
		s = f.template
	case from < 0 && f.history != nil:
		s, from = f.history, from+len(f.history.text)
	}
	if from >= 0 && from < len(s.text) {
		f.try(m, at, s.text[from:], match{back: r.back, base: r.base}, sequenceBits+repeatBits)
	}
}

// try keeps a match with the text that begins with from if it saves more than m.
func (f *finder) try(m *match, at int, from []byte, next match, cost int) {
	next.length = matching(from, f.text[at:])
	if next.length < hashBytes {
		return
	}
	next.gain = int(f.saved[at+next.length]-f.saved[at]) - cost
	if next.gain > m.gain {
		*m = next
	}
}

// matching is how many bytes of a and b are equal.
func matching(a, b []byte) (n int) {
	most := min(len(a), len(b))
	for n+8 <= most {
		if d := binary.LittleEndian.Uint64(a[n:]) ^ binary.LittleEndian.Uint64(b[n:]); d != 0 {
			return n + bits.TrailingZeros64(d)/8
		}
		n += 8
	}
	for n < most && a[n] == b[n] {
		n++
	}
	return n
}

const (
	// lazySteps is how many bytes later a match may begin that is taken in place of one found.
	lazySteps = 2
	// matchEnough bytes are taken without looking for more: else a long text that repeats itself
	// would be compared with itself at each of its bytes.
	matchEnough = 512
)

// parse calls emit for each match, in order; what is between them are literals.
func (f *finder) parse(text []byte, cost *[256]uint8, emit func(at int, m match)) {
	f.text, f.reach, f.repeats = text, 0, repeats{}
	f.saved = append(f.saved[:0], 0)
	sum := int32(0)
	for _, b := range text {
		sum += int32(cost[b])
		f.saved = append(f.saved, sum)
	}
	f.self.reset(text)
	added, from := 0, 0
	best := func(at int) match {
		f.self.add(added, at)
		added = max(added, at)
		return f.best(at)
	}
	for at := 0; at < len(text); {
		m := best(at)
		if m.gain <= 0 {
			at++
			continue
		}
		for later := 1; later <= lazySteps && at+later < len(text) &&
			m.length < matchEnough; later++ {
			if next := best(at + later); next.gain > m.gain {
				m, at, later = next, at+later, 0
			}
		}
		at, m.length = f.widen(at, from, m)
		if m.base == baseNone && m.back > at {
			f.reach = max(f.reach, m.back-at)
		}
		emit(at, m)
		at += m.length
		from = at
	}
}

// widen lets a match begin earlier, where literals before it are the same as what it copies.
func (f *finder) widen(at, from int, m match) (begin, length int) {
	length = m.length
	for at > from {
		s, place := &f.self, at-1-m.back
		if m.base == baseTemplate {
			s = f.template
		} else if place < 0 && f.history != nil {
			s, place = f.history, place+len(f.history.text)
		}
		if place < 0 || s.text[place] != f.text[at-1] {
			break
		}
		at--
		length++
	}
	return at, length
}

// repeats are the last three offsets as a decoder will have them, as far as the block itself
// decides that.
type repeats [3]repeat

type repeat struct {
	back  int
	base  uint8
	known bool
}

// use remembers the offset of a match and says how it goes: 0 is as it is, 1 to 3 are the codes of
// RFC 8878 3.1.1.5, which mean something else where no literals go before.
func (r *repeats) use(m match, literals bool) (code int) {
	now := repeat{m.back, m.base, true}
	place := slices.Index(r[:], now)
	if place < 0 || place == 0 && !literals {
		r[0], r[1], r[2] = now, r[0], r[1]
		return 0
	}
	copy(r[1:place+1], r[:place])
	r[0] = now
	if literals {
		return place + 1
	}
	return place
}
