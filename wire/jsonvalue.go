package wire

import (
	"bytes"
	"math"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// DecodeString is the text of a raw value that is a string.
func DecodeString(raw []byte) (string, bool) {
	if len(raw) < 2 || raw[0] != '"' {
		return "", false
	}
	raw = raw[1 : len(raw)-1]
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw), true
	}
	return string(appendUnescaped(nil, raw)), true
}

// DecodeSnowflake is the id of a raw value, a string of digits or a whole number.
func DecodeSnowflake(raw []byte) (Snowflake, bool) {
	if len(raw) >= 2 && raw[0] == '"' {
		return ParseSnowflakeBytes(raw[1 : len(raw)-1])
	}
	return ParseSnowflakeBytes(raw)
}

// DecodeBool is the value of a raw true or false.
func DecodeBool(raw []byte) (value, ok bool) {
	return string(raw) == "true", string(raw) == "true" || string(raw) == "false"
}

// intFloatMax bounds the whole numbers that a float holds exactly.
const intFloatMax = 1 << 53

// DecodeInt is the value of a raw whole number. Whole numbers with a fraction or an exponent
// count: clients in ETF send whatever exceeds 32 bits as a float.
func DecodeInt(raw []byte) (int64, bool) {
	if len(raw) == 0 || raw[0] != '-' && (raw[0] < '0' || raw[0] > '9') {
		return 0, false
	}
	magnitude, negative := bytes.CutPrefix(raw, []byte("-"))
	n, ok := parseDigits(magnitude)
	switch {
	case ok && n <= 1<<63 && negative:
		return -int64(n), true
	case ok && n <= math.MaxInt64 && !negative:
		return int64(n), true
	}
	f, err := strconv.ParseFloat(string(raw), 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) > intFloatMax {
		return 0, false
	}
	return int64(f), true
}

// SnowflakeField is the id under a top-level key. Null is no id.
func SnowflakeField(object []byte, key string) (Snowflake, bool) {
	raw, _ := Field(object, key)
	return DecodeSnowflake(raw)
}

// StringField is the text under a top-level key.
func StringField(object []byte, key string) (string, bool) {
	raw, _ := Field(object, key)
	return DecodeString(raw)
}

// IntField is the whole number under a top-level key.
func IntField(object []byte, key string) (int64, bool) {
	raw, _ := Field(object, key)
	return DecodeInt(raw)
}

// BoolField is the true or false under a top-level key.
func BoolField(object []byte, key string) (value, ok bool) {
	raw, _ := Field(object, key)
	return DecodeBool(raw)
}

// appendUnescaped appends the text of what stands between the quotes of a JSON string. Half of
// a surrogate pair alone becomes U+FFFD, as in encoding/json.
func appendUnescaped(dst, raw []byte) []byte {
	for {
		i := bytes.IndexByte(raw, '\\')
		if i < 0 || i+1 >= len(raw) {
			return append(dst, raw...)
		}
		dst = append(dst, raw[:i]...)
		escape := raw[i+1]
		if escape != 'u' {
			dst = append(dst, unescapeByte(escape))
			raw = raw[i+2:]
			continue
		}
		r, ok := hex4(raw, i+2)
		if !ok {
			return utf8.AppendRune(dst, utf8.RuneError)
		}
		raw = raw[i+6:]
		if utf16.IsSurrogate(r) {
			pair := rune(utf8.RuneError)
			if len(raw) >= 6 && raw[0] == '\\' && raw[1] == 'u' {
				low, _ := hex4(raw, 2)
				pair = utf16.DecodeRune(r, low)
			}
			if pair != utf8.RuneError {
				raw = raw[6:]
			}
			r = pair
		}
		dst = utf8.AppendRune(dst, r)
	}
}

func unescapeByte(c byte) byte {
	switch c {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return c
}
