package wire

import (
	"bytes"
	"unsafe"
)

// member is one key and value of an object, in place.
type member struct {
	key   []byte // Between the quotes, escapes as they are.
	value []byte
}

// nextMember finds the member at or after i, where i is 0 or what the last call returned. It
// reports false at the end of the object, and for what is no object.
func nextMember(object []byte, i int) (m member, next int, ok bool) {
	i = skipSpace(object, i)
	if i >= len(object) || object[i] != '{' && object[i] != ',' {
		return m, i, false
	}
	start := skipSpace(object, i+1)
	if start >= len(object) || object[start] != '"' {
		return m, i, false
	}
	i = skipString(object, start)
	if i-start < 2 {
		return m, i, false
	}
	m.key = object[start+1 : i-1]
	i = skipSpace(object, i)
	if i >= len(object) || object[i] != ':' {
		return m, i, false
	}
	i = skipSpace(object, i+1)
	next = skipValue(object, i)
	m.value = object[i:next:next]
	return m, next, next > i
}

// skipValue returns the index after the value at i, or i when no value begins there.
func skipValue(b []byte, i int) int {
	if i >= len(b) {
		return i
	}
	switch b[i] {
	case '"':
		return skipString(b, i)
	case '{', '[':
		return skipContainer(b, i)
	case '}', ']', ',', ':':
		return i
	}
	return skipScalar(b, i)
}

// skipContainer keeps no stack: brackets of valid JSON match, so counting them is enough.
func skipContainer(b []byte, i int) int {
	depth := 0
	for i < len(b) {
		switch b[i] {
		case '"':
			i = skipString(b, i)
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		i++
		if depth == 0 {
			break
		}
	}
	return i
}

// skipScalar goes to the end of a number or a literal.
func skipScalar(b []byte, i int) int {
	for i < len(b) {
		switch b[i] {
		case ',', ':', '}', ']', ' ', '\n', '\t', '\r':
			return i
		}
		i++
	}
	return i
}

// skipString returns the index after the closing quote of the string at i. A quote closes when
// an even number of backslashes precede it.
func skipString(b []byte, i int) int {
	start := i + 1
	for i = start; i < len(b); i++ {
		quote := bytes.IndexByte(b[i:], '"')
		if quote < 0 {
			break
		}
		i += quote
		slash := i
		for slash > start && b[slash-1] == '\\' {
			slash--
		}
		if (i-slash)%2 == 0 {
			return i + 1
		}
	}
	return len(b)
}

// keyIs compares a raw key with a plain one. Escaped spellings of a key are the same key.
func keyIs(raw []byte, key string) bool {
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw) == key
	}
	var buf [64]byte
	return string(appendUnescaped(buf[:0], raw)) == key
}

// Field finds the raw value of a top-level key. Of a key that comes twice the first counts,
// here and in everything that reads through Field. It allocates nothing.
//
// To refuse the second would be to remember the keys of every object, of which a message of 15,360
// octets has thousands, or to compare each with each. It would guard nobody: harm comes of two
// readers of which one takes the last, and a command has no other.
func Field(object []byte, key string) (raw []byte, ok bool) {
	for i := 0; ; {
		m, next, ok := nextMember(object, i)
		if !ok {
			return nil, false
		}
		if keyIs(m.key, key) {
			return m.value, true
		}
		i = next
	}
}

// EachField calls f for every member in order until f returns false. It allocates nothing
// unless a key has escapes, for which the price is that key lies in object's memory.
//
// NB: to keep a key beyond the life of object, clone it.
func EachField(object []byte, f func(key string, raw []byte) bool) {
	for i := 0; ; {
		m, next, ok := nextMember(object, i)
		if !ok || !f(keyOf(m.key), m.value) {
			return
		}
		i = next
	}
}

func keyOf(raw []byte) string {
	if bytes.IndexByte(raw, '\\') >= 0 {
		return string(appendUnescaped(nil, raw))
	}
	return unsafe.String(unsafe.SliceData(raw), len(raw))
}

// EachElement calls f for every element in order until f returns false.
func EachElement(array []byte, f func(raw []byte) bool) {
	i := skipSpace(array, 0)
	if i >= len(array) || array[i] != '[' {
		return
	}
	for i < len(array) && (array[i] == '[' || array[i] == ',') {
		i = skipSpace(array, i+1)
		end := skipValue(array, i)
		if end == i || !f(array[i:end:end]) {
			return
		}
		i = skipSpace(array, end)
	}
}

// IsNull reports whether raw is null.
func IsNull(raw []byte) bool { return string(raw) == "null" }

// IsObject and IsArray look at the first byte of a raw value.
func IsObject(raw []byte) bool { return len(raw) > 0 && raw[0] == '{' }
func IsArray(raw []byte) bool  { return len(raw) > 0 && raw[0] == '[' }
