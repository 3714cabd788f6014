package wire

// What one client sets as its activity, every other client of its guilds has to parse, and some
// of them close the connection over a field of the wrong type. So activities are rewritten to
// the documented shape: what does not fit is left out, ids become strings, and null is absent.
// Secrets are for the server's eyes and are never passed on.

// ActivitiesBytesMax bounds the activities of one presence. They go to everybody who shares a
// guild: at 30,000 receivers each kilobyte here is 30 MB to send.
const ActivitiesBytesMax = 4096

type shapeKind uint8

const (
	shapeText shapeKind = iota
	shapeTexts
	shapeInt
	shapePair // Two numbers.
	shapeFlag
	shapeID
	shapeObject
)

// shape is a member an object may have.
type shape struct {
	key    string
	kind   shapeKind
	fields []shape // Of a shapeObject.
}

// activityShape lists what an activity may have besides its name and type.
var activityShape = []shape{
	{key: "url"},
	{key: "created_at", kind: shapeInt},
	{key: "timestamps", kind: shapeObject, fields: []shape{
		{key: "start", kind: shapeInt},
		{key: "end", kind: shapeInt},
	}},
	{key: "application_id", kind: shapeID},
	{key: "details"},
	{key: "state"},
	{key: "emoji", kind: shapeObject, fields: []shape{
		{key: "name"},
		{key: "id", kind: shapeID},
		{key: "animated", kind: shapeFlag},
	}},
	{key: "party", kind: shapeObject, fields: []shape{
		{key: "id"},
		{key: "size", kind: shapePair},
	}},
	{key: "assets", kind: shapeObject, fields: []shape{
		{key: "large_image"},
		{key: "large_text"},
		{key: "small_image"},
		{key: "small_text"},
	}},
	{key: "instance", kind: shapeFlag},
	{key: "flags", kind: shapeInt},
	{key: "buttons", kind: shapeTexts},
}

// activityTypeMax is the largest type there is: competing.
const activityTypeMax = 5

// appendActivities appends an array of the usable activities in raw, which is an array or a
// single activity, up to ActivitiesBytesMax.
func appendActivities(dst, raw []byte) []byte {
	dst = append(dst, '[')
	start := len(dst)
	add := func(raw []byte) bool {
		end := len(dst)
		dst = appendActivity(dst, raw)
		if len(dst)-start >= ActivitiesBytesMax {
			dst = dst[:end]
		}
		return true
	}
	if IsObject(raw) {
		add(raw)
	} else {
		EachElement(raw, add)
	}
	return append(dst, ']')
}

// appendActivity appends one activity, or nothing when it has no name or an unknown type.
func appendActivity(dst, raw []byte) []byte {
	name, _ := StringField(raw, "name")
	kind, hasKind := IntField(raw, "type")
	if name == "" || hasKind && (kind < 0 || kind > activityTypeMax) {
		return dst
	}
	dst = append(AppendComma(dst), '{')
	dst = AppendString(AppendKey(dst, "name"), name)
	dst = AppendInt(AppendKey(dst, "type"), kind)
	return append(appendShape(dst, raw, activityShape), '}')
}

// appendShape appends the members of object that fields lists and that are what it says.
func appendShape(dst, object []byte, fields []shape) []byte {
	for _, field := range fields {
		raw, ok := Field(object, field.key)
		if !ok {
			continue
		}
		end := len(dst)
		dst, ok = appendShaped(AppendKey(dst, field.key), raw, field)
		if !ok {
			dst = dst[:end]
		}
	}
	return dst
}

func appendShaped(dst, raw []byte, field shape) ([]byte, bool) {
	switch field.kind {
	case shapeText:
		text, ok := DecodeString(raw)
		return AppendString(dst, text), ok
	case shapeInt:
		n, ok := DecodeInt(raw)
		return AppendInt(dst, n), ok
	case shapeFlag:
		value, ok := DecodeBool(raw)
		return AppendBool(dst, value), ok
	case shapeID:
		id, ok := DecodeSnowflake(raw)
		return id.AppendJSON(dst), ok
	case shapeObject:
		return append(appendShape(append(dst, '{'), raw, field.fields), '}'), IsObject(raw)
	case shapeTexts:
		dst, _, ok := appendElements(dst, raw, shapeText)
		return dst, ok
	case shapePair:
		dst, count, ok := appendElements(dst, raw, shapeInt)
		return dst, ok && count == 2
	}
	return dst, false
}

// appendElements appends an array all of whose elements must be of one kind.
func appendElements(dst, raw []byte, kind shapeKind) (out []byte, count int, ok bool) {
	ok = IsArray(raw)
	dst = append(dst, '[')
	EachElement(raw, func(raw []byte) bool {
		dst, ok = appendShaped(AppendComma(dst), raw, shape{kind: kind})
		count++
		return ok
	})
	return append(dst, ']'), count, ok
}
