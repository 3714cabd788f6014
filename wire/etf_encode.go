package wire

import (
	"encoding/binary"
	"errors"
	"math"
	"strconv"
)

var (
	errJSON      = errors.New("transcode to ETF: not valid JSON")
	errJSONDepth = errors.New("transcode to ETF: nested too deep")
)

// AppendETF appends a JSON text as an external term, without the version byte. It writes what
// Discord does: text as binaries, null as the atom nil, objects as maps with binary keys. Whole
// numbers are integers up to 64 bits and floats beyond, as they are in JavaScript; what is too
// large for a float becomes the largest one. It fails for invalid JSON (though it does not
// look for all there is to find) and for nesting beyond JSONDepthMax. dst grows as it needs to
// even then.
//
// NB: a key that comes twice in an object comes twice in the map, which Erlang refuses to read.
func AppendETF(dst, json []byte) ([]byte, error) {
	dst, end, err := etfValue(dst, json, skipSpace(json, 0), JSONDepthMax)
	if err != nil {
		return dst, err
	}
	if skipSpace(json, end) != len(json) {
		return dst, errJSON
	}
	return dst, nil
}

// etfValue appends the value at b[i:] and returns the index after it. It goes through the text
// once; lengths and counts are written as zero and filled in when they are known.
func etfValue(dst, b []byte, i, depth int) ([]byte, int, error) {
	if i >= len(b) {
		return dst, i, errJSON
	}
	switch c := b[i]; {
	case c == '"':
		return etfText(dst, b, i)
	case (c == '{' || c == '[') && depth == 0:
		return dst, i, errJSONDepth
	case c == '{':
		return etfObject(dst, b, i, depth)
	case c == '[':
		return etfArray(dst, b, i, depth)
	case c == '-' || '0' <= c && c <= '9':
		return etfNumber(dst, b, i)
	case c == 't':
		return etfLiteral(dst, b, i, "true", "true")
	case c == 'f':
		return etfLiteral(dst, b, i, "false", "false")
	case c == 'n':
		return etfLiteral(dst, b, i, "null", "nil")
	}
	return dst, i, errJSON
}

func etfLiteral(dst, b []byte, i int, word, atom string) ([]byte, int, error) {
	end := validLiteral(b, i, word)
	if end < 0 {
		return dst, i, errJSON
	}
	return appendAtom(dst, atom), end, nil
}

func appendAtom(dst []byte, atom string) []byte {
	dst = append(dst, etfSmallAtom, byte(len(atom)))
	return append(dst, atom...)
}

func etfText(dst, b []byte, i int) ([]byte, int, error) {
	end := skipString(b, i)
	if end-i < 2 || b[end-1] != '"' {
		return dst, i, errJSON
	}
	dst = append(dst, etfBinary, 0, 0, 0, 0)
	start := len(dst)
	dst = appendUnescaped(dst, b[i+1:end-1])
	binary.BigEndian.PutUint32(dst[start-4:], uint32(len(dst)-start))
	return dst, end, nil
}

// etfBinaryText appends text that needs no unescaping.
func etfBinaryText(dst []byte, text string) []byte {
	dst = append(dst, etfBinary)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(text)))
	return append(dst, text...)
}

func etfObject(dst, b []byte, i, depth int) ([]byte, int, error) {
	dst = append(dst, etfMap, 0, 0, 0, 0)
	start := len(dst)
	count := uint32(0)
	i = skipSpace(b, i+1)
	if i < len(b) && b[i] == '}' {
		return dst, i + 1, nil
	}
	for {
		if i >= len(b) || b[i] != '"' {
			return dst, i, errJSON
		}
		var err error
		if dst, i, err = etfText(dst, b, i); err != nil {
			return dst, i, err
		}
		i = skipSpace(b, i)
		if i >= len(b) || b[i] != ':' {
			return dst, i, errJSON
		}
		if dst, i, err = etfValue(dst, b, skipSpace(b, i+1), depth-1); err != nil {
			return dst, i, err
		}
		count++
		i = skipSpace(b, i)
		if i >= len(b) || b[i] != ',' && b[i] != '}' {
			return dst, i, errJSON
		}
		if b[i] == '}' {
			binary.BigEndian.PutUint32(dst[start-4:], count)
			return dst, i + 1, nil
		}
		i = skipSpace(b, i+1)
	}
}

func etfArray(dst, b []byte, i, depth int) ([]byte, int, error) {
	i = skipSpace(b, i+1)
	if i < len(b) && b[i] == ']' {
		return append(dst, etfNil), i + 1, nil
	}
	dst = append(dst, etfList, 0, 0, 0, 0)
	start := len(dst)
	count := uint32(0)
	for {
		var err error
		if dst, i, err = etfValue(dst, b, i, depth-1); err != nil {
			return dst, i, err
		}
		count++
		i = skipSpace(b, i)
		if i >= len(b) || b[i] != ',' && b[i] != ']' {
			return dst, i, errJSON
		}
		if b[i] == ']' {
			binary.BigEndian.PutUint32(dst[start-4:], count)
			return append(dst, etfNil), i + 1, nil
		}
		i = skipSpace(b, i+1)
	}
}

func etfNumber(dst, b []byte, i int) ([]byte, int, error) {
	end := validNumber(b, i)
	if end < 0 {
		return dst, i, errJSON
	}
	text := b[i:end]
	negative := text[0] == '-'
	if negative {
		text = text[1:]
	}
	if n, ok := parseDigits(text); ok && (!negative || n <= 1<<63) {
		return appendInteger(dst, n, negative), end, nil
	}
	// ParseFloat rounds to infinity what it reports as out of range, and to zero what is small.
	f, _ := strconv.ParseFloat(string(b[i:end]), 64)
	f = max(min(f, math.MaxFloat64), -math.MaxFloat64)
	dst = append(dst, etfNewFloat)
	return binary.BigEndian.AppendUint64(dst, math.Float64bits(f)), end, nil
}

// appendInteger picks the shortest of the three forms, as Erlang does.
func appendInteger(dst []byte, n uint64, negative bool) []byte {
	switch {
	case n <= math.MaxUint8 && (!negative || n == 0):
		return append(dst, etfSmallInteger, byte(n))
	case n <= math.MaxInt32 && !negative:
		return binary.BigEndian.AppendUint32(append(dst, etfInteger), uint32(n))
	case n <= -math.MinInt32 && negative:
		return binary.BigEndian.AppendUint32(append(dst, etfInteger), -uint32(n))
	}
	sign := byte(0)
	if negative {
		sign = 1
	}
	dst = append(dst, etfSmallBig, 0, sign)
	count := len(dst) - 2
	for ; n > 0; n >>= 8 {
		dst = append(dst, byte(n))
		dst[count]++
	}
	return dst
}
