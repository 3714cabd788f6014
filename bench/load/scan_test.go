package load

import (
	"encoding/json"
	"testing"

	"throng/wire"
)

var payloads = []struct {
	name, json string
	op         int
	seq        uint32
	event      string
}{
	{"a hole", `{"t":"MESSAGE_CREATE","s":         7,"op":0,"d":{"s":9,"op":3}}`, 0, 7,
		"MESSAGE_CREATE"},
	{"d first", `{"d":{"op":9,"t":"X","x":"}\"{","y":[1,{"s":4}]},"op":0,"s":12,"t":"A"}`, 0, 12,
		"A"},
	{"op before d", `{"op":0,"d":[],"s":3,"t":"B"}`, 0, 3, "B"},
	{"blanks", " {\n\t\"op\" : 11 , \"d\" : null , \"s\":null,\"t\" :null } ", 11, 0, ""},
	{"hello", `{"t":null,"s":null,"op":10,"d":{"heartbeat_interval":41250}}`, 10, 0, ""},
	{"d is a string", `{"d":"op","op":7}`, 7, 0, ""},
	{"d is a number", `{"d":-1.5e3,"op":1}`, 1, 0, ""},
	{"other keys", `{"x":{"op":5},"op":0,"s":1,"t":"READY","d":{}}`, 0, 1, "READY"},
	{"only op", `{"op":11}`, 11, 0, ""},
}

func TestScan(t *testing.T) {
	for _, p := range payloads {
		t.Run(p.name, func(t *testing.T) {
			want := envelope{p.op, p.seq, []byte(p.event)}
			check := func(encoding string, got envelope, ok bool) {
				t.Helper()
				if !ok || got.op != want.op || got.seq != want.seq ||
					string(got.name) != string(want.name) {
					t.Errorf("%s: got %d %d %q, %v; want %d %d %q", encoding, got.op, got.seq,
						got.name, ok, want.op, want.seq, want.name)
				}
			}
			got, ok := scanJSON([]byte(p.json))
			check("json", got, ok)
			term, err := wire.AppendETF([]byte{etfVersion}, []byte(p.json))
			if err != nil {
				t.Fatal(err)
			}
			got, ok = scanETF(term)
			check("etf", got, ok)
		})
	}
}

// TestScanOurs holds that the frames which our node writes are read without looking into d.
func TestScanOurs(t *testing.T) {
	for _, e := range []wire.Encoding{wire.EncodingJSON, wire.EncodingETF} {
		v := wire.VariantOf(e, wire.CompressionNone)
		frame := wire.NewDispatch("TYPING_START", []byte(`{"a":[1,2,"x"]}`), nil).Frame(v)
		b := append([]byte(nil), frame.Bytes...)
		wire.PutSeq(b, frame.Hole, v, 4_000_000_000)
		payload := b[wire.FrameHeaderBytes(len(b)-2):]
		scan := scanJSON
		if e == wire.EncodingETF {
			scan = scanETF
		}
		// Cut off within d, it reads as well.
		got, ok := scan(payload[:len(payload)-4])
		if !ok || got.op != 0 || got.seq != 4_000_000_000 || string(got.name) != "TYPING_START" {
			t.Errorf("%v: got %v %v %s", e, ok, got, got.name)
		}
	}
}

func TestScanRefuses(t *testing.T) {
	for _, text := range []string{"", "[]", "{}", `{"t":"A","s":1}`, `{"op`, `{"op"`, `{"op":`,
		"nonsense", `{"s":1,`} {
		if got, ok := scanJSON([]byte(text)); ok {
			t.Errorf("%q is read as %v", text, got)
		}
	}
	for _, term := range []string{"", "\x83", "\x83\x6a", "\x83\x74\x00\x00\x00\x00",
		"\x83\x74\xff\xff\xff\xff", "\x83\x74\x00\x00\x00\x01\x6d\x00\x00\x00\x02op",
		"\x83\x74\x00\x00\x00\x01\x6d\xff\xff\xff\xffop"} {
		if got, ok := scanETF([]byte(term)); ok {
			t.Errorf("%q is read as %v", term, got)
		}
	}
}

func FuzzScanJSON(f *testing.F) {
	for _, p := range payloads {
		f.Add([]byte(p.json))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, ok := scanJSON(b)
		var all map[string]json.RawMessage
		if !ok || json.Unmarshal(b, &all) != nil {
			return
		}
		fields := 0
		wire.EachField(b, func(string, []byte) bool {
			fields++
			return true
		})
		var want int
		// Of keys that come twice the first or the last may count.
		if len(all) == fields && json.Unmarshal(all["op"], &want) == nil && want > 0 &&
			want < 1000 && got.op != want {
			t.Errorf("%q: op %d, want %d", b, got.op, want)
		}
	})
}

func FuzzScanETF(f *testing.F) {
	for _, p := range payloads {
		term, _ := wire.AppendETF([]byte{etfVersion}, []byte(p.json))
		f.Add(term)
	}
	f.Fuzz(func(_ *testing.T, b []byte) {
		scanETF(b)
		(&marker{}).findETF(b)
		(&marker{}).find(b)
	})
}

func TestMarker(t *testing.T) {
	const mark = 1_790_000_000_123_456_789
	var m marker
	for _, c := range []struct {
		name, json string
		want       int64
	}{
		{"first", `{"ts":1790000000123456789}`, mark},
		{"in the middle", `{"t":"A","s":  1,"op":0,"d":{"x":1,"ts":1790000000123456789,"y":2}}`, mark},
		{"the same place again", `{"t":"A","s":  2,"op":0,"d":{"x":1,"ts":1790000000123456789}}`, mark},
		{"a string", `{"d":{"ts": "1790000000123456789"}}`, mark},
		{"seconds", `{"d":{"ts":1790000000}}`, 0},
		{"none", `{"d":{}}`, 0},
		{"at the end", `{"d":{"x":"ts":`, 0},
	} {
		if got := m.find([]byte(c.json)); got != c.want {
			t.Errorf("%s: got %d, want %d", c.name, got, c.want)
		}
	}
	term, err := wire.AppendETF(nil, []byte(`{"d":{"x":1,"ts":1790000000123456789}}`))
	if err != nil {
		t.Fatal(err)
	}
	if got := m.findETF(term); got != mark {
		t.Errorf("etf: got %d, want %d", got, int64(mark))
	}
	if got := m.findETF(term[:len(term)-3]); got != 0 {
		t.Errorf("etf, cut off: got %d", got)
	}
}

func BenchmarkScan(b *testing.B) {
	payload := []byte(`{"t":"MESSAGE_CREATE","s":         7,"op":0,"d":{"ts":1790000000123456789,` +
		`"id":"1","content":"` + string(make([]byte, 600)) + `"}}`)
	var m marker
	b.ReportAllocs()
	for b.Loop() {
		e, ok := scanJSON(payload)
		if !ok || e.seq != 7 || m.find(payload) == 0 {
			b.Fatal(e)
		}
	}
}
