package wire

import "strconv"

// CommandDepthMax is the deepest nesting of a command. The deepest a client has reason to send
// is a presence with activities, six levels.
const CommandDepthMax = 32

// Command is what a client sent, before its op has looked at d.
type Command struct {
	Op   Op
	Data []byte // Raw JSON of d, nil when absent.
}

// ParseCommand reads one message of a client. An ETF message is written as JSON over scratch,
// which comes back, perhaps grown, for the next call. Data lies in payload or in scratchOut:
// what is to outlive them must be copied, as the Parse functions of this package do.
//
// Keys other than op and d are not looked at; some clients add s and t.
func ParseCommand(
	enc Encoding, payload, scratch []byte,
) (cmd Command, scratchOut []byte, err *CloseError) {
	text := payload
	if enc == EncodingETF {
		if len(payload) == 0 || payload[0] != etfVersion {
			return cmd, scratch, NewCloseError(CloseDecode, "the message is not an ETF term")
		}
		term, fault := AppendJSON(scratch[:0], payload[1:], CommandDepthMax)
		scratch, text = term, term
		if fault != nil {
			return cmd, scratch, NewCloseError(CloseDecode, fault.Error())
		}
	} else if !ValidJSON(payload, CommandDepthMax) {
		return cmd, scratch, NewCloseError(CloseDecode, "the message is not valid JSON")
	}
	cmd, err = commandOf(text[skipSpace(text, 0):])
	return cmd, scratch, err
}

func commandOf(text []byte) (cmd Command, err *CloseError) {
	if !IsObject(text) {
		return cmd, NewCloseError(CloseDecode, "the message is not an object")
	}
	op, ok := IntField(text, "op")
	if !ok {
		return cmd, NewCloseError(CloseDecode, "op must be a whole number")
	}
	cmd.Op = Op(op)
	if int64(cmd.Op) != op || !cmd.Op.FromClient() {
		reason := "op " + strconv.FormatInt(op, 10) + " is not one a client may send"
		return cmd, NewCloseError(CloseUnknownOpcode, reason)
	}
	cmd.Data, _ = Field(text, "d")
	return cmd, nil
}

// payloadReader reads the fields of a command's d. It keeps the first fault, after which every
// read gives a zero value, so that a command is read straight through and asked once at the
// end. A field that is null counts as absent.
type payloadReader struct {
	op  Op
	d   []byte
	err *CloseError
}

func readPayload(op Op, d []byte) *payloadReader {
	r := &payloadReader{op: op, d: d}
	if !IsObject(d) {
		r.refuse(CloseDecode, "d", "an object")
	}
	return r
}

func (r *payloadReader) refuse(code CloseCode, key, want string) {
	if r.err == nil {
		r.err = NewCloseError(code, r.op.String()+": "+key+" must be "+want)
	}
}

// value is the raw value under key, nil when there is none.
func (r *payloadReader) value(key string) []byte {
	if r.err != nil {
		return nil
	}
	raw, ok := Field(r.d, key)
	if !ok || IsNull(raw) {
		return nil
	}
	return raw
}

func (r *payloadReader) text(key string) (text string, present bool) {
	raw := r.value(key)
	if raw == nil {
		return "", false
	}
	text, ok := DecodeString(raw)
	if !ok {
		r.refuse(CloseDecode, key, "a string")
	}
	return text, ok
}

func (r *payloadReader) textRequired(key string) string {
	text, present := r.text(key)
	if !present {
		r.refuse(CloseDecode, key, "a string")
	}
	return text
}

func (r *payloadReader) flag(key string) bool {
	raw := r.value(key)
	if raw == nil {
		return false
	}
	value, ok := DecodeBool(raw)
	if !ok {
		r.refuse(CloseDecode, key, "true or false")
	}
	return value
}

func (r *payloadReader) number(key string) (n int64, present bool) {
	raw := r.value(key)
	if raw == nil {
		return 0, false
	}
	n, ok := DecodeInt(raw)
	if !ok {
		r.refuse(CloseDecode, key, "a whole number")
	}
	return n, ok
}

// id is the id under key, 0 when there is none.
func (r *payloadReader) id(key string) Snowflake {
	raw := r.value(key)
	if raw == nil {
		return 0
	}
	id, ok := DecodeSnowflake(raw)
	if !ok {
		r.refuse(CloseDecode, key, "an id")
	}
	return id
}

// ids reads one id or an array of at most countMax.
func (r *payloadReader) ids(key string, countMax int) []Snowflake {
	raw := r.value(key)
	if raw == nil {
		return nil
	}
	want := "an id or an array of at most " + strconv.Itoa(countMax) + " ids"
	if !IsArray(raw) {
		id, ok := DecodeSnowflake(raw)
		if !ok {
			r.refuse(CloseDecode, key, want)
			return nil
		}
		return []Snowflake{id}
	}
	var ids []Snowflake
	EachElement(raw, func(raw []byte) bool {
		id, ok := DecodeSnowflake(raw)
		if !ok || len(ids) == countMax {
			r.refuse(CloseDecode, key, want)
			return false
		}
		ids = append(ids, id)
		return true
	})
	return ids
}
