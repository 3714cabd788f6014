package wire

import (
	"strconv"
	"unicode/utf8"
)

const hexDigits = "0123456789abcdef"

// AppendString appends s as a JSON string. What is no UTF-8 becomes U+FFFD.
func AppendString(dst []byte, s string) []byte { return appendQuoted(dst, s) }

func appendQuoted[T string | []byte](dst []byte, s T) []byte {
	dst = append(dst, '"')
	plain := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			if size := runeBytes(s[i:]); size > 0 {
				i += size
				continue
			}
		}
		dst = append(dst, s[plain:i]...)
		dst = appendEscaped(dst, c)
		i++
		plain = i
	}
	dst = append(dst, s[plain:]...)
	return append(dst, '"')
}

// runeBytes is the length of the rune at the start of s, 0 when it is broken.
func runeBytes[T string | []byte](s T) int {
	n := min(len(s), utf8.UTFMax)
	var head [utf8.UTFMax]byte
	copy(head[:], s[:n])
	r, size := utf8.DecodeRune(head[:n])
	if r == utf8.RuneError && size == 1 {
		return 0
	}
	return size
}

func appendEscaped(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	}
	if c >= utf8.RuneSelf {
		return append(dst, "\ufffd"...)
	}
	return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
}

// AppendKey appends a key and its colon to an object that is being built, and the comma before
// it unless it is the first. The key must need no escaping.
//
//	b = append(b, '{')
//	b = id.AppendJSON(AppendKey(b, "id"))
//	b = AppendString(AppendKey(b, "name"), name)
//	b = append(b, '}')
func AppendKey(dst []byte, key string) []byte {
	dst = append(AppendComma(dst), '"')
	dst = append(dst, key...)
	return append(dst, '"', ':')
}

// AppendComma appends the comma that separates the next element or member from what is there,
// when there is one.
func AppendComma(dst []byte) []byte {
	if n := len(dst); n > 0 && dst[n-1] != '{' && dst[n-1] != '[' {
		return append(dst, ',')
	}
	return dst
}

// AppendInt appends a whole number.
func AppendInt(dst []byte, n int64) []byte { return strconv.AppendInt(dst, n, 10) }

// AppendBool appends true or false.
func AppendBool(dst []byte, value bool) []byte { return strconv.AppendBool(dst, value) }

// AppendSnowflakes appends an array of ids.
func AppendSnowflakes(dst []byte, ids []Snowflake) []byte {
	dst = append(dst, '[')
	for _, id := range ids {
		dst = id.AppendJSON(AppendComma(dst))
	}
	return append(dst, ']')
}

// appendMember appends a member with its key as it was written.
func appendMember(dst []byte, rawKey, value []byte) []byte {
	dst = append(AppendComma(dst), '"')
	dst = append(dst, rawKey...)
	dst = append(dst, '"', ':')
	return append(dst, value...)
}

// SetField appends object to dst with key set to value: in its place when it is there, else at
// the end. Further occurrences of key go, since readers that let the last one win would see
// the old value.
func SetField(dst, object []byte, key string, value []byte) []byte {
	dst = append(dst, '{')
	set := false
	for i := 0; ; {
		m, next, ok := nextMember(object, i)
		if !ok {
			break
		}
		i = next
		if !keyIs(m.key, key) {
			dst = appendMember(dst, m.key, m.value)
			continue
		}
		if !set {
			dst = appendMember(dst, m.key, value)
			set = true
		}
	}
	if !set {
		dst = append(AppendKey(dst, key), value...)
	}
	return append(dst, '}')
}

// DropField appends object to dst without any member of that key.
func DropField(dst, object []byte, key string) []byte {
	return DropFields(dst, object, key)
}

// DropFields appends object to dst without any member of those keys.
func DropFields(dst, object []byte, keys ...string) []byte {
	dst = append(dst, '{')
	for i := 0; ; {
		m, next, ok := nextMember(object, i)
		if !ok {
			return append(dst, '}')
		}
		i = next
		if !keyAmong(m.key, keys) {
			dst = appendMember(dst, m.key, m.value)
		}
	}
}

func keyAmong(raw []byte, keys []string) bool {
	for _, key := range keys {
		if keyIs(raw, key) {
			return true
		}
	}
	return false
}
