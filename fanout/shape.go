package fanout

import (
	"bytes"
	"fmt"
	"strconv"

	"throng/wire"
)

// shape is what a value of a document may be.
type shape uint8

const (
	shapeString shape = iota
	shapeBool
	shapeInt
	shapeNumber
	shapeID
	shapePermissions
	shapeTime
	shapeArray
	shapeIDs
	shapeObject
)

var shapeNames = [...]string{
	"a string", "true or false", "an integer", "a number", "an id", "a permission set",
	"an ISO 8601 time", "an array", "an array of ids", "an object",
}

// rule is what the node demands of one field of a document, and what it fills in.
// Null is taken where nullable is set; elsewhere it counts as absent, because client libraries
// fail on a null they do not expect.
type rule struct {
	key      string
	shape    shape
	nullable bool
	value    string // Default as JSON; "" leaves an absent field absent.
}

// apply checks the object against the rules, fills in defaults and turns ids and permission sets
// written as numbers into strings. The error's field is relative to the object.
func applyRules(o *object, rules []rule) *Error {
	for i := range rules {
		r := &rules[i]
		raw := o.get(r.key)
		switch {
		case raw != nil && wire.IsNull(raw) && !r.nullable && r.value == "":
			o.drop(r.key)
		case raw != nil && !wire.IsNull(raw):
			normal, ok := r.shape.normal(raw)
			if !ok {
				return &Error{Field: r.key, Reason: "It must be " + shapeNames[r.shape] + "."}
			}
			o.set(r.key, normal)
		case r.value != "" && (raw == nil || !r.nullable):
			o.set(r.key, []byte(r.value))
		}
	}
	return nil
}

// normal returns raw in the form that goes out, or false when it has another shape.
func (s shape) normal(raw []byte) ([]byte, bool) {
	switch s {
	case shapeString:
		return raw, isText(raw)
	case shapeBool:
		return raw, isBool(raw)
	case shapeInt:
		_, ok := parseInt(raw)
		return raw, ok
	case shapeNumber:
		return raw, isNumber(raw)
	case shapeID:
		return normalID(raw)
	case shapePermissions:
		p, ok := parsePermissions(raw)
		if !ok || isText(raw) {
			return raw, ok
		}
		return []byte(strconv.Quote(p.String())), true
	case shapeTime:
		if !isText(raw) {
			return raw, false
		}
		_, ok := wire.ParseTime(string(raw[1 : len(raw)-1]))
		return raw, ok
	case shapeArray:
		return raw, wire.IsArray(raw)
	case shapeIDs:
		ids, ok := parseIDs(raw)
		if !ok {
			return raw, false
		}
		return wire.AppendSnowflakes(nil, ids), true
	default:
		return raw, wire.IsObject(raw)
	}
}

// normalID takes any decimal number of 64 bits; zero is how some writers say "none".
func normalID(raw []byte) ([]byte, bool) {
	text := raw
	if isText(raw) {
		text = raw[1 : len(raw)-1]
	}
	id, ok := wire.ParseSnowflakeBytes(text)
	if !ok || isText(raw) {
		return raw, ok
	}
	return quotedID(id), true
}

// parseIDs reads an array of ids, or of objects that have one.
func parseIDs(raw []byte) (ids []wire.Snowflake, ok bool) {
	if !wire.IsArray(raw) {
		return nil, false
	}
	ok = true
	wire.EachElement(raw, func(value []byte) bool {
		if wire.IsObject(value) {
			value, _ = wire.Field(value, "id")
		}
		var id wire.Snowflake
		id, ok = parseID(value)
		ids = append(ids, id)
		return ok
	})
	return ids, ok
}

// invalid returns a refusal of what stands in field.
func invalid(field, reason string) *Error { return &Error{Field: field, Reason: reason} }

// notFound returns a refusal because the guild has not what field names.
func notFound(field, reason string) *Error {
	return &Error{Kind: NotFound, Field: field, Reason: reason}
}

// conflict returns a refusal because of what the guild has.
func conflict(field, reason string) *Error {
	return &Error{Kind: Conflict, Field: field, Reason: reason}
}

// under moves err's field below the given path: "type" under "channels[3]" is "channels[3].type".
func (e *Error) under(path string) *Error {
	moved := *e
	switch {
	case moved.Field == "":
		moved.Field = path
	case path != "":
		moved.Field = path + "." + e.Field
	}
	return &moved
}

func indexed(list string, index int) string { return fmt.Sprintf("%s[%d]", list, index) }

// eachObject calls f for each object of the array under list, and puts list and index before the
// field of the error that f returns.
func eachObject(raw []byte, list string, max int, f func(index int, o object) *Error) *Error {
	if raw == nil || wire.IsNull(raw) {
		return nil
	}
	if !wire.IsArray(raw) {
		return invalid(list, "It must be an array.")
	}
	var err *Error
	index := 0
	wire.EachElement(raw, func(value []byte) bool {
		switch {
		case index >= max:
			err = invalid(list, fmt.Sprintf("It holds more than %d.", max))
		case !wire.IsObject(value):
			err = invalid(indexed(list, index), "It must be an object.")
		default:
			if err = f(index, parseObject(value)); err != nil {
				err = err.under(indexed(list, index))
			}
		}
		index++
		return err == nil
	})
	return err
}

// compact returns a copy of raw that does not hold on to the request it came in.
func compact(raw []byte) []byte { return bytes.Clone(raw) }
