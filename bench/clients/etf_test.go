package clients

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"reflect"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// TestEncodingsSayTheSame connects the same bot twice, with JSON and with ETF, and wants what both
// are told to be equal value by value. No library under test speaks ETF without a native module.
func TestEncodingsSayTheSame(t *testing.T) {
	t.Parallel()
	p := startProxy(t)
	n := startNode(t, p)
	provision(t, n)
	p.pointAt(n)
	// With a session that is there already both find the bot online, not only the second of them.
	already := dialRaw(t, p, false)
	for _, name := range []string{"READY", "GUILD_CREATE", "GUILD_CREATE"} {
		already.next(t, name)
	}
	plain := dialRaw(t, p, false)
	terms := dialRaw(t, p, true)

	ready := [2]map[string]any{plain.next(t, "READY"), terms.next(t, "READY")}
	for i, name := range []string{"json", "etf"} {
		if ready[i]["session_id"] == "" || ready[i]["session_id"] == nil {
			t.Errorf("%s: READY without session_id", name)
		}
		delete(ready[i], "session_id") // the one thing that must differ
	}
	wantSame(t, "READY", ready[0], ready[1])
	guilds := map[string][]any{}
	for range 2 {
		for _, c := range []*rawClient{plain, terms} {
			d := c.next(t, "GUILD_CREATE")
			id := fmt.Sprint(d["id"])
			guilds[id] = append(guilds[id], d)
		}
	}
	for id, both := range guilds {
		if len(both) != 2 {
			t.Fatalf("guild %s came %d times, want once in each encoding", id, len(both))
		}
		wantSame(t, "GUILD_CREATE "+id, both[0], both[1])
	}
	for _, content := range []string{"plain", "é → 🐘 \"quoted\" \\ \u0000 \u2028", "", "null"} {
		publish(t, n, content)
		d := plain.next(t, "MESSAGE_CREATE")
		if d["content"] != content {
			t.Errorf("got content %q, want %q", d["content"], content)
		}
		wantSame(t, "MESSAGE_CREATE", d, terms.next(t, "MESSAGE_CREATE"))
	}
	n.call(t, "POST", "/v1/guilds/"+largeGuild+"/events", map[string]any{"t": "ODD_VALUES",
		"d": map[string]any{"deep": []any{[]any{}, map[string]any{}, nil, true, false, 1.5, -1e300},
			"small": 255, "wide": 256, "low": -1, "edge": math.MinInt32, "more": 1 << 33,
			"big": json.Number("9007199254740993"), "huge": json.Number("18446744073709551615")}})
	wantSame(t, "ODD_VALUES", plain.next(t, "ODD_VALUES"), terms.next(t, "ODD_VALUES"))
}

// wantSame compares two values and names the innermost place where they differ.
func wantSame(t *testing.T, where string, plain, terms any) {
	t.Helper()
	switch p := plain.(type) {
	case map[string]any:
		if e, ok := terms.(map[string]any); ok {
			for key := range p {
				if _, ok := e[key]; ok {
					wantSame(t, where+"."+key, p[key], e[key])
				} else {
					t.Errorf("%s.%s is missing in etf", where, key)
				}
			}
			for key := range e {
				if _, ok := p[key]; !ok {
					t.Errorf("%s.%s is missing in json", where, key)
				}
			}
			return
		}
	case []any:
		if e, ok := terms.([]any); ok && len(e) == len(p) {
			for i := range p {
				wantSame(t, fmt.Sprintf("%s[%d]", where, i), p[i], e[i])
			}
			return
		}
	}
	if !reflect.DeepEqual(plain, terms) {
		t.Errorf("%s differs\njson %v\n etf %v", where, plain, terms)
	}
}

// rawClient is a bare WebSocket that identifies and reads dispatches.
type rawClient struct {
	conn *websocket.Conn
	etf  bool
	seq  int
}

func dialRaw(t *testing.T, p *proxy, etf bool) *rawClient {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	encoding := map[bool]string{false: "json", true: "etf"}[etf]
	conn, _, err := websocket.Dial(ctx, p.url()+"/?v=10&encoding="+encoding, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.CloseNow() })
	conn.SetReadLimit(-1)
	c := &rawClient{conn: conn, etf: etf}
	if hello := c.read(t); hello["op"] != "10" {
		t.Fatalf("the first message is %v, want HELLO", hello)
	}
	identify := map[string]any{"op": opIdentify, "d": map[string]any{
		"token": botToken, "intents": 53608447, "large_threshold": 250, "shard": []any{0, 1},
		"properties": map[string]any{"os": "linux", "browser": "raw", "device": "raw"}}}
	kind, data := websocket.MessageText, []byte(nil)
	if etf {
		kind, data = websocket.MessageBinary, appendTerm([]byte{131}, identify)
	} else if data, err = json.Marshal(identify); err != nil {
		t.Fatal(err)
	}
	if err := conn.Write(ctx, kind, data); err != nil {
		t.Fatal(err)
	}
	return c
}

// read takes one message; numbers come as text, so that both encodings compare.
func (c *rawClient) read(t *testing.T) map[string]any {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	kind, data, err := c.conn.Read(ctx)
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	if binaryKind := kind == websocket.MessageBinary; binaryKind != c.etf {
		t.Fatalf("a message came with WebSocket type %v, etf is %v", kind, c.etf)
	}
	var value any
	if c.etf {
		reader := &termReader{rest: data}
		if reader.byte() != 131 {
			t.Fatalf("a term must start with 131: % x", data[:min(len(data), 16)])
		}
		value = reader.term()
		if reader.bad || len(reader.rest) != 0 {
			t.Fatalf("undecodable term, %d bytes left: %q", len(reader.rest), data)
		}
	} else {
		decoder := json.NewDecoder(bytes.NewReader(data))
		decoder.UseNumber()
		if err := decoder.Decode(&value); err != nil {
			t.Fatalf("undecodable message: %v: %s", err, data)
		}
		value = numbersAsText(value)
	}
	message, ok := value.(map[string]any)
	if !ok {
		t.Fatalf("a message must be an object: %v", value)
	}
	return message
}

// next reads to the next dispatch, which must be the named one, and returns its d.
func (c *rawClient) next(t *testing.T, name string) map[string]any {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		message := c.read(t)
		if message["op"] != "0" {
			continue
		}
		c.seq++
		if message["s"] != strconv.Itoa(c.seq) || message["t"] != name {
			t.Fatalf("got dispatch s %v t %v, want s %d t %s", message["s"], message["t"], c.seq, name)
		}
		d, _ := message["d"].(map[string]any)
		return d
	}
	t.Fatalf("no dispatch within %v, want %s", patience, name)
	return nil
}

// numbersAsText turns JSON numbers into the form that termReader gives numbers.
func numbersAsText(value any) any {
	switch v := value.(type) {
	case json.Number:
		if _, ok := new(big.Int).SetString(v.String(), 10); ok {
			return v.String()
		}
		float, _ := v.Float64()
		return strconv.FormatFloat(float, 'g', -1, 64)
	case []any:
		for i := range v {
			v[i] = numbersAsText(v[i])
		}
	case map[string]any:
		for key := range v {
			v[key] = numbersAsText(v[key])
		}
	}
	return value
}

// termReader decodes the external term format, as far as a gateway may send it.
type termReader struct {
	rest []byte
	bad  bool
}

func (r *termReader) take(n int) []byte {
	if n < 0 || n > len(r.rest) {
		r.bad = true
		return make([]byte, min(max(n, 0), 16))
	}
	taken := r.rest[:n]
	r.rest = r.rest[n:]
	return taken
}

func (r *termReader) byte() byte { return r.take(1)[0] }
func (r *termReader) word() int  { return int(binary.BigEndian.Uint32(r.take(4))) }

func (r *termReader) term() any {
	switch tag := r.byte(); tag {
	case 70: // NEW_FLOAT
		float := math.Float64frombits(binary.BigEndian.Uint64(r.take(8)))
		return strconv.FormatFloat(float, 'g', -1, 64)
	case 97: // SMALL_INTEGER
		return strconv.Itoa(int(r.byte()))
	case 98: // INTEGER
		return strconv.Itoa(int(int32(r.word())))
	case 110: // SMALL_BIG
		size, sign := int(r.byte()), r.byte()
		digits := slices.Clone(r.take(size))
		slices.Reverse(digits)
		number := new(big.Int).SetBytes(digits)
		if sign != 0 {
			number.Neg(number)
		}
		return number.String()
	case 100, 115: // ATOM, SMALL_ATOM
		size := 0
		if tag == 115 {
			size = int(r.byte())
		} else {
			size = int(binary.BigEndian.Uint16(r.take(2)))
		}
		switch name := string(r.take(size)); name {
		case "nil", "null":
			return nil
		case "true", "false":
			return name == "true"
		}
		r.bad = true
	case 109: // BINARY
		return string(r.take(r.word()))
	case 106: // NIL, the empty list
		return []any{}
	case 108: // LIST
		list := []any{}
		for count := r.word(); count > 0 && !r.bad; count-- {
			list = append(list, r.term())
		}
		r.bad = r.bad || r.byte() != 106
		return list
	case 116: // MAP
		object := map[string]any{}
		for count := r.word(); count > 0 && !r.bad; count-- {
			key, ok := r.term().(string)
			r.bad = r.bad || !ok
			object[key] = r.term()
		}
		return object
	default:
		r.bad = true
	}
	return nil
}

// appendTerm encodes what an identify needs: objects, lists, strings and small numbers.
func appendTerm(dst []byte, value any) []byte {
	switch v := value.(type) {
	case map[string]any:
		dst = binary.BigEndian.AppendUint32(append(dst, 116), uint32(len(v)))
		for key, field := range v {
			dst = appendTerm(appendTerm(dst, key), field)
		}
	case []any:
		dst = binary.BigEndian.AppendUint32(append(dst, 108), uint32(len(v)))
		for _, item := range v {
			dst = appendTerm(dst, item)
		}
		dst = append(dst, 106)
	case string:
		dst = binary.BigEndian.AppendUint32(append(dst, 109), uint32(len(v)))
		dst = append(dst, v...)
	case int:
		dst = binary.BigEndian.AppendUint32(append(dst, 98), uint32(v))
	default:
		panic(fmt.Sprintf("no term for %T", value))
	}
	return dst
}
