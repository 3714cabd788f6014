package fanout

import (
	"strings"

	"throng/wire"
)

// Snowflakes go out as strings, whatever a backend wrote: several client libraries refuse numbers,
// and JavaScript rounds them. A backend that keeps ids as integers is common, though, so numbers
// are taken and rewritten here.
//
// What is an id cannot be told from the number alone. At the top level of an event every integer
// under "id" or "…_id" is one, but for the two small-integer ids the protocol has. Further down
// there are more of those (components, attachments), so there only integers of more digits than
// 32 bits have are rewritten: nothing but a snowflake is that large under such a key.

// idDigitsMin is the least number of digits that tells a snowflake from a small integer id.
const idDigitsMin = 11

// normalizeIDs returns raw with ids written as strings; raw itself when there is nothing to do.
func normalizeIDs(raw []byte) []byte {
	if !hasLongNumber(raw) {
		return raw
	}
	return appendNormal(make([]byte, 0, len(raw)+64), raw, "")
}

// hasLongNumber looks for a number of at least idDigitsMin digits outside strings, in one pass.
func hasLongNumber(raw []byte) bool {
	digits := 0
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case c >= '0' && c <= '9':
			if digits++; digits == idDigitsMin {
				return true
			}
		case c == '"':
			digits = 0
			for i++; i < len(raw) && raw[i] != '"'; i++ {
				if raw[i] == '\\' {
					i++
				}
			}
		default:
			digits = 0
		}
	}
	return false
}

func appendNormal(dst, raw []byte, key string) []byte {
	switch {
	case wire.IsObject(raw):
		dst = append(dst, '{')
		first := true
		wire.EachField(raw, func(key string, value []byte) bool {
			if !first {
				dst = append(dst, ',')
			}
			first = false
			dst = append(wire.AppendString(dst, key), ':')
			dst = appendNormal(dst, value, key)
			return true
		})
		return append(dst, '}')
	case wire.IsArray(raw):
		dst = append(dst, '[')
		first := true
		wire.EachElement(raw, func(value []byte) bool {
			if !first {
				dst = append(dst, ',')
			}
			first = false
			dst = appendNormal(dst, value, key)
			return true
		})
		return append(dst, ']')
	case len(raw) >= idDigitsMin && isNumber(raw) && namesID(key):
		if id, ok := wire.ParseSnowflakeBytes(raw); ok {
			return id.AppendJSON(dst)
		}
	}
	return append(dst, raw...)
}

// namesID reports whether what stands under key, alone or in an array, is a snowflake.
func namesID(key string) bool {
	switch key {
	case "id", "ids", "roles", "mention_roles", "mentions", "answer_id", "animation_id":
		return key != "answer_id" && key != "animation_id"
	}
	return strings.HasSuffix(key, "_id") || strings.HasSuffix(key, "_ids")
}

// normalizeTop rewrites the integers under id keys at the top level.
func (o object) normalizeTop() {
	for i, f := range o {
		if !isNumber(f.raw) || !namesID(f.key) {
			continue
		}
		if id, ok := wire.ParseSnowflakeBytes(f.raw); ok {
			o[i].raw = quotedID(id)
		}
	}
}
