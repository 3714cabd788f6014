package wire

import (
	"slices"

	"github.com/klauspost/compress/huff0"
)

// huffman is the Huffman code for literals (RFC 8878 4.2) that a connection's decoder was taught.
type huffman struct {
	table []byte        // its description, as a block has it
	first huff0.Scratch // has nothing but the code: each packer has its own scratch
	bits  [256]uint8
}

// newHuffman makes a code for bytes of these frequencies, all of which are at least 1.
func newHuffman(counts *[256]uint32) *huffman {
	h := &huffman{}
	err := h.first.BuildCTable(counts)
	if err == nil {
		h.table, err = h.first.AppendTable(nil)
	}
	if err != nil {
		panic("wire: literals: " + err.Error())
	}
	for b := range h.bits {
		const eight = 8 // of a byte take as many bytes as one takes bits
		var one [256]uint32
		one[b] = eight
		h.bits[b] = uint8(h.first.EstimateSize(&one))
	}
	return h
}

// scratch is what packing by the code needs, for one goroutine.
func (h *huffman) scratch() *huff0.Scratch {
	s := &huff0.Scratch{Reuse: huff0.ReusePolicyMust}
	s.TransferCTable(&h.first)
	return s
}

// The kinds of a literals section (RFC 8878 3.1.1.3.1.1), and from how many literals on these are
// in four streams.
const (
	literalsTable    = 2
	literalsTreeless = 3
	fourStreams      = 1024
)

// appendLiterals appends a literals section: by the code that the decoder knows, or, to teach it,
// behind the code's table; raw where that is shorter.
func (h *huffman) appendLiterals(dst, lits []byte, s *huff0.Scratch, teach bool) []byte {
	var packed []byte
	var err error
	four := len(lits) >= fourStreams
	if !four {
		packed, _, err = huff0.Compress1X(lits, s)
	} else {
		packed, _, err = huff0.Compress4X(lits, s)
	}
	if err != nil || !teach && len(packed)+1 >= len(lits) {
		if teach {
			panic("wire: literals that teach nothing")
		}
		return appendRawLiterals(dst, lits)
	}
	v := uint64(literalsTreeless)
	if teach {
		v = literalsTable
		packed = slices.Concat(h.table, packed)
	}
	header := 3
	switch size := max(len(lits), len(packed)); {
	case size < 1<<10:
		v |= uint64(len(lits))<<4 | uint64(len(packed))<<14
		if four {
			v |= 1 << 2
		}
	case size < 1<<14:
		header, v = 4, v|2<<2|uint64(len(lits))<<4|uint64(len(packed))<<18
	default:
		header, v = 5, v|3<<2|uint64(len(lits))<<4|uint64(len(packed))<<22
	}
	for i := range header {
		dst = append(dst, byte(v>>(8*i)))
	}
	return append(dst, packed...)
}

func appendRawLiterals(dst, lits []byte) []byte {
	switch n := len(lits); {
	case n < 32:
		dst = append(dst, byte(n<<3))
	case n < 4096:
		dst = append(dst, byte(n<<4)|1<<2, byte(n>>4))
	default:
		dst = append(dst, byte(n<<4)|3<<2, byte(n>>4), byte(n>>12))
	}
	return append(dst, lits...)
}
