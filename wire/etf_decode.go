package wire

import (
	"encoding/binary"
	"errors"
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"
)

// etfBigBytesMax bounds the digits of a big integer. Ids have eight bytes; the time to write a
// number in decimal grows with the square of its length, and a stranger chooses that length.
const etfBigBytesMax = 64

var (
	errETFShort    = errors.New("the term ends too early")
	errETFTrailing = errors.New("bytes follow the term")
	errETFDepth    = errors.New("the term is nested too deep")
	errETFTag      = errors.New("the term has a tag that is not accepted")
	errETFAtom     = errors.New("the term has an atom that is not accepted")
	errETFKey      = errors.New("a map has a key that is not a binary")
	errETFTail     = errors.New("a list is not proper")
	errETFText     = errors.New("a binary is not valid UTF-8")
	errETFNumber   = errors.New("a number cannot be written in JSON")
)

// AppendJSON appends an external term, without its version byte, as JSON. It takes what clients
// with erlpack send and a little more: the atoms nil, null, true and false in every form of an
// atom, tuples as arrays, text as binaries, integers that exceed 64 bits as strings of digits.
// Maps have binary keys; atoms there are refused, as the documentation promises.
//
// Counts and lengths are held against the bytes that are left before anything is done with
// them, and JSON is at most six times as long as its term, so a short message can neither
// allocate nor loop out of proportion.
func AppendJSON(dst, term []byte, depthMax int) ([]byte, error) {
	d := etfDecoder{rest: term}
	dst, err := d.value(dst, depthMax)
	if err == nil && len(d.rest) > 0 {
		err = errETFTrailing
	}
	return dst, err
}

// etfDecoder is what is left of a term.
type etfDecoder struct {
	rest []byte
}

// take removes n bytes. A length of 32 bits is negative where int has no more than those.
func (d *etfDecoder) take(n int) ([]byte, error) {
	if n < 0 || n > len(d.rest) {
		return nil, errETFShort
	}
	b := d.rest[:n:n]
	d.rest = d.rest[n:]
	return b, nil
}

// number reads a big-endian number of width bytes.
func (d *etfDecoder) number(width int) (int, error) {
	b, err := d.take(width)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, c := range b {
		n = n<<8 | int(c)
	}
	return n, nil
}

// sized reads a length of width bytes and then so many.
func (d *etfDecoder) sized(width int) ([]byte, error) {
	n, err := d.number(width)
	if err != nil {
		return nil, err
	}
	return d.take(n)
}

func (d *etfDecoder) value(dst []byte, depth int) ([]byte, error) {
	tag, err := d.number(1)
	if err != nil {
		return dst, err
	}
	switch tag {
	case etfSmallInteger, etfInteger, etfSmallBig, etfLargeBig:
		return d.integer(dst, tag)
	case etfNewFloat, etfFloat:
		return d.float(dst, tag)
	case etfSmallAtom, etfSmallAtomUTF8:
		return d.atom(dst, 1)
	case etfAtom, etfAtomUTF8:
		return d.atom(dst, 2)
	case etfBinary:
		return d.text(dst)
	}
	if depth == 0 {
		return dst, errETFDepth
	}
	switch tag {
	case etfNil:
		return append(dst, '[', ']'), nil
	case etfString:
		return d.byteList(dst)
	case etfList:
		return d.list(dst, depth)
	case etfSmallTuple:
		return d.array(dst, 1, depth)
	case etfLargeTuple:
		return d.array(dst, 4, depth)
	case etfMap:
		return d.object(dst, depth)
	}
	return dst, errETFTag
}

func (d *etfDecoder) atom(dst []byte, width int) ([]byte, error) {
	name, err := d.sized(width)
	if err != nil {
		return dst, err
	}
	switch string(name) {
	case "nil", "null":
		return append(dst, "null"...), nil
	case "true", "false":
		return append(dst, name...), nil
	}
	return dst, errETFAtom
}

func (d *etfDecoder) text(dst []byte) ([]byte, error) {
	text, err := d.sized(4)
	if err != nil {
		return dst, err
	}
	if !utf8.Valid(text) {
		return dst, errETFText
	}
	return appendQuoted(dst, text), nil
}

func (d *etfDecoder) byteList(dst []byte) ([]byte, error) {
	list, err := d.sized(2)
	if err != nil {
		return dst, err
	}
	dst = append(dst, '[')
	for _, c := range list {
		dst = AppendInt(AppendComma(dst), int64(c))
	}
	return append(dst, ']'), nil
}

func (d *etfDecoder) list(dst []byte, depth int) ([]byte, error) {
	dst, err := d.array(dst, 4, depth)
	if err != nil {
		return dst, err
	}
	tail, err := d.number(1)
	if err == nil && tail != etfNil {
		err = errETFTail
	}
	return dst, err
}

// array reads a count of width bytes and then so many terms.
func (d *etfDecoder) array(dst []byte, width, depth int) ([]byte, error) {
	count, err := d.number(width)
	if err != nil {
		return dst, err
	}
	if count > len(d.rest) { // The shortest term has one byte.
		return dst, errETFShort
	}
	dst = append(dst, '[')
	for range count {
		if dst, err = d.value(AppendComma(dst), depth-1); err != nil {
			return dst, err
		}
	}
	return append(dst, ']'), nil
}

func (d *etfDecoder) object(dst []byte, depth int) ([]byte, error) {
	const pairBytesMin = 5 + 1 // An empty binary and the shortest term.
	count, err := d.number(4)
	if err != nil {
		return dst, err
	}
	if count > len(d.rest)/pairBytesMin {
		return dst, errETFShort
	}
	dst = append(dst, '{')
	for range count {
		tag, err := d.number(1)
		if err != nil {
			return dst, err
		}
		if tag != etfBinary {
			return dst, errETFKey
		}
		if dst, err = d.text(AppendComma(dst)); err != nil {
			return dst, err
		}
		if dst, err = d.value(append(dst, ':'), depth-1); err != nil {
			return dst, err
		}
	}
	return append(dst, '}'), nil
}

func (d *etfDecoder) integer(dst []byte, tag int) ([]byte, error) {
	switch tag {
	case etfSmallInteger:
		n, err := d.number(1)
		return AppendInt(dst, int64(n)), err
	case etfInteger:
		n, err := d.number(4)
		return AppendInt(dst, int64(int32(uint32(n)))), err
	case etfSmallBig:
		return d.bigInteger(dst, 1)
	}
	return d.bigInteger(dst, 4)
}

// bigInteger reads a sign and magnitude, the least significant byte first.
func (d *etfDecoder) bigInteger(dst []byte, width int) ([]byte, error) {
	count, err := d.number(width)
	if err != nil {
		return dst, err
	}
	if count > etfBigBytesMax {
		return dst, errETFNumber
	}
	b, err := d.take(1 + count)
	if err != nil {
		return dst, err
	}
	negative, magnitude := b[0] != 0, b[1:]
	for len(magnitude) > 0 && magnitude[len(magnitude)-1] == 0 {
		magnitude = magnitude[:len(magnitude)-1]
	}
	if len(magnitude) > 8 {
		return appendHugeInteger(dst, magnitude, negative), nil
	}
	var padded [8]byte
	copy(padded[:], magnitude)
	n := binary.LittleEndian.Uint64(padded[:])
	switch {
	case !negative || n == 0:
		return strconv.AppendUint(dst, n, 10), nil
	case n <= 1<<63:
		return strconv.AppendInt(dst, -int64(n), 10), nil
	}
	return appendHugeInteger(dst, magnitude, true), nil
}

// appendHugeInteger appends what exceeds 64 bits as a string: no reader would keep its digits.
func appendHugeInteger(dst, magnitude []byte, negative bool) []byte {
	reversed := make([]byte, 0, etfBigBytesMax)
	for i := len(magnitude) - 1; i >= 0; i-- {
		reversed = append(reversed, magnitude[i])
	}
	n := new(big.Int).SetBytes(reversed)
	if negative {
		n.Neg(n)
	}
	dst = append(dst, '"')
	dst = n.Append(dst, 10)
	return append(dst, '"')
}

func (d *etfDecoder) float(dst []byte, tag int) ([]byte, error) {
	var f float64
	if tag == etfNewFloat {
		b, err := d.take(8)
		if err != nil {
			return dst, err
		}
		f = math.Float64frombits(binary.BigEndian.Uint64(b))
	} else {
		b, err := d.take(etfOldFloatBytes)
		if err != nil {
			return dst, err
		}
		f, err = strconv.ParseFloat(strings.TrimRight(string(b), "\x00"), 64)
		if err != nil {
			return dst, errETFNumber
		}
	}
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return dst, errETFNumber
	}
	return appendFloat(dst, f), nil
}

// appendFloat writes whole numbers as such: erlpack sends every number beyond 32 bits as a
// float, and a time in milliseconds is to come out as 1700000000000, not as 1.7e+12.
func appendFloat(dst []byte, f float64) []byte {
	if f == math.Trunc(f) && math.Abs(f) <= intFloatMax {
		return strconv.AppendFloat(dst, f, 'f', -1, 64)
	}
	return strconv.AppendFloat(dst, f, 'g', -1, 64)
}
