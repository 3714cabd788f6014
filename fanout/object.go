package fanout

import (
	"strconv"

	"throng/wire"
)

// object is a JSON object taken apart at its top level, in the order it was written. Values stay
// raw, so that what the node does not know about passes through it untouched.
type object []field

type field struct {
	key string
	raw []byte
}

// parseObject takes raw apart. Of a repeated key the last value counts, as in most readers.
// REQUIRES: raw is a valid JSON object.
func parseObject(raw []byte) object {
	o := make(object, 0, 24)
	wire.EachField(raw, func(key string, value []byte) bool {
		o.set(key, value)
		return true
	})
	return o
}

// get returns the raw value of key, or nil when it is absent.
func (o object) get(key string) []byte {
	for i := range o {
		if o[i].key == key {
			return o[i].raw
		}
	}
	return nil
}

// present reports whether key is there with a value other than null.
func (o object) present(key string) bool {
	raw := o.get(key)
	return raw != nil && !wire.IsNull(raw)
}

// id returns the snowflake under key, written as a string or a number.
func (o object) id(key string) (wire.Snowflake, bool) {
	return parseID(o.get(key))
}

// set replaces key's value, or adds it last.
func (o *object) set(key string, raw []byte) {
	for i := range *o {
		if (*o)[i].key == key {
			(*o)[i].raw = raw
			return
		}
	}
	*o = append(*o, field{key, raw})
}

// setDefault adds key when it is absent.
func (o *object) setDefault(key, raw string) {
	if o.get(key) == nil {
		*o = append(*o, field{key, []byte(raw)})
	}
}

// setID sets key to a snowflake.
func (o *object) setID(key string, id wire.Snowflake) { o.set(key, quotedID(id)) }

// drop removes the keys.
func (o *object) drop(keys ...string) {
	kept := (*o)[:0]
next:
	for _, f := range *o {
		for _, key := range keys {
			if f.key == key {
				continue next
			}
		}
		kept = append(kept, f)
	}
	*o = kept
}

// merge lays the fields of patch over o.
func (o *object) merge(patch object) {
	for _, f := range patch {
		o.set(f.key, f.raw)
	}
}

// clone returns a copy whose fields can be set apart from o's.
func (o object) clone() object { return append(make(object, 0, len(o)+4), o...) }

// appendFields appends the fields, comma-joined, without the braces.
func (o object) appendFields(dst []byte) []byte {
	for i, f := range o {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = wire.AppendString(dst, f.key)
		dst = append(dst, ':')
		dst = append(dst, f.raw...)
	}
	return dst
}

// bytes returns the object as JSON.
func (o object) bytes() []byte {
	size := 2
	for _, f := range o {
		size += len(f.key) + len(f.raw) + 4
	}
	dst := append(make([]byte, 0, size), '{')
	return append(o.appendFields(dst), '}')
}

func isText(raw []byte) bool { return len(raw) > 0 && raw[0] == '"' }
func isTrue(raw []byte) bool { return len(raw) > 0 && raw[0] == 't' }
func isBool(raw []byte) bool { return isTrue(raw) || len(raw) > 0 && raw[0] == 'f' }
func isNumber(raw []byte) bool {
	return len(raw) > 0 && (raw[0] == '-' || raw[0] >= '0' && raw[0] <= '9')
}

// parseID reads a snowflake written as a string or a number. Zero is none.
func parseID(raw []byte) (wire.Snowflake, bool) {
	if isText(raw) {
		raw = raw[1 : len(raw)-1]
	}
	if len(raw) == 0 {
		return 0, false
	}
	id, ok := wire.ParseSnowflakeBytes(raw)
	return id, ok && id != 0
}

// parseInt reads a JSON integer.
func parseInt(raw []byte) (int64, bool) {
	n, err := strconv.ParseInt(string(raw), 10, 64)
	return n, err == nil
}

// parsePermissions reads a permission set written as a string or a number.
func parsePermissions(raw []byte) (wire.Permissions, bool) {
	if isText(raw) {
		raw = raw[1 : len(raw)-1]
	}
	n, err := strconv.ParseUint(string(raw), 10, 64)
	return wire.Permissions(n), err == nil
}

func quotedID(id wire.Snowflake) []byte { return id.AppendJSON(make([]byte, 0, 22)) }

func appendTime(dst []byte, milli int64) []byte {
	return append(wire.AppendTime(append(dst, '"'), milli), '"')
}

func quotedTime(milli int64) []byte { return appendTime(make([]byte, 0, 36), milli) }

func jsonBool(v bool) []byte { return wire.AppendBool(nil, v) }

func jsonString(s string) []byte { return wire.AppendString(make([]byte, 0, len(s)+2), s) }
