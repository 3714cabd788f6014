package wire

import (
	"bytes"
	"unicode/utf8"
)

// JSON here is scanned, not decoded. What passes through the node is forwarded as it came, and
// of a body only an id or two matter, so the scanner finds raw values in place and makes no
// tree of them. Two halves: ValidJSON, for what strangers sent, checks everything; the rest
// (Field, EachField, EachElement and what is built on them) takes valid JSON, skips fast, and
// promises of anything else only that it neither panics nor loops.

// JSONDepthMax is the deepest nesting that bodies may have, so that code which recurses over
// them has a bound. Commands of clients are held to CommandDepthMax.
const JSONDepthMax = 512

// ValidJSON reports whether b is one JSON value of at most depthMax nested arrays and objects,
// in valid UTF-8. encoding/json lets bad UTF-8 pass; here it would go into text frames, for
// which clients close the connection (RFC 6455 8.1).
func ValidJSON(b []byte, depthMax int) bool {
	if !utf8.Valid(b) {
		return false
	}
	end := validValue(b, skipSpace(b, 0), depthMax)
	return end >= 0 && skipSpace(b, end) == len(b)
}

// validValue returns the index after the value at i, or -1. It recurses once per level and
// hence at most depth times.
func validValue(b []byte, i, depth int) int {
	if i >= len(b) {
		return -1
	}
	switch c := b[i]; {
	case c == '"':
		return validString(b, i)
	case c == '{' && depth > 0:
		return validObject(b, i, depth)
	case c == '[' && depth > 0:
		return validArray(b, i, depth)
	case c == '-' || '0' <= c && c <= '9':
		return validNumber(b, i)
	case c == 't':
		return validLiteral(b, i, "true")
	case c == 'f':
		return validLiteral(b, i, "false")
	case c == 'n':
		return validLiteral(b, i, "null")
	}
	return -1
}

func validLiteral(b []byte, i int, word string) int {
	if len(b)-i < len(word) || string(b[i:i+len(word)]) != word {
		return -1
	}
	return i + len(word)
}

func validObject(b []byte, i, depth int) int {
	i = skipSpace(b, i+1)
	if i < len(b) && b[i] == '}' {
		return i + 1
	}
	for {
		if i >= len(b) || b[i] != '"' {
			return -1
		}
		i = validString(b, i)
		if i < 0 {
			return -1
		}
		i = skipSpace(b, i)
		if i >= len(b) || b[i] != ':' {
			return -1
		}
		i = validValue(b, skipSpace(b, i+1), depth-1)
		if i < 0 {
			return -1
		}
		i = skipSpace(b, i)
		if i >= len(b) {
			return -1
		}
		if b[i] == '}' {
			return i + 1
		}
		if b[i] != ',' {
			return -1
		}
		i = skipSpace(b, i+1)
	}
}

func validArray(b []byte, i, depth int) int {
	i = skipSpace(b, i+1)
	if i < len(b) && b[i] == ']' {
		return i + 1
	}
	for {
		i = validValue(b, i, depth-1)
		if i < 0 {
			return -1
		}
		i = skipSpace(b, i)
		if i >= len(b) {
			return -1
		}
		if b[i] == ']' {
			return i + 1
		}
		if b[i] != ',' {
			return -1
		}
		i = skipSpace(b, i+1)
	}
}

// validString checks escapes and that control characters are escaped. RFC 8259 7.
func validString(b []byte, i int) int {
	i++
	for i < len(b) {
		switch c := b[i]; {
		case c == '"':
			return i + 1
		case c < ' ':
			return -1
		case c != '\\':
			i++
		case i+1 < len(b) && b[i+1] == 'u':
			if _, ok := hex4(b, i+2); !ok {
				return -1
			}
			i += 6
		case i+1 < len(b) && bytes.IndexByte([]byte(`"\/bfnrt`), b[i+1]) >= 0:
			i += 2
		default:
			return -1
		}
	}
	return -1
}

// validNumber checks the grammar of RFC 8259 6: no leading zero, digits on both sides of a dot. How
// many digits there are is nothing to it: who reads the number refuses what does not fit, and of
// one that nobody reads only the octets are passed over.
func validNumber(b []byte, i int) int {
	if b[i] == '-' {
		i++
	}
	whole := skipDigits(b, i)
	if whole == i || b[i] == '0' && whole > i+1 {
		return -1
	}
	i = whole
	if i < len(b) && b[i] == '.' {
		fraction := skipDigits(b, i+1)
		if fraction == i+1 {
			return -1
		}
		i = fraction
	}
	if i < len(b) && (b[i] == 'e' || b[i] == 'E') {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		exponent := skipDigits(b, i)
		if exponent == i {
			return -1
		}
		i = exponent
	}
	return i
}

func skipDigits(b []byte, i int) int {
	for i < len(b) && '0' <= b[i] && b[i] <= '9' {
		i++
	}
	return i
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// hex4 reads the four digits of a \u escape.
func hex4(b []byte, i int) (rune, bool) {
	if len(b)-i < 4 {
		return 0, false
	}
	var r rune
	for _, c := range b[i : i+4] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}
