package wire

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

// jsonSamples are texts, good and bad, that tests and fuzz targets begin with.
var jsonSamples = []string{
	``, ` `, `{}`, `[]`, `null`, `true`, `false`, `0`, `-0`, `1`, `-1`, `12.5`, `1e5`, `1E+5`, `1e-5`,
	`1.`, `.5`, `01`, `-`, `+1`, `1e`, `1e+`, `--1`, `0x1`, `nul`, `truee`, `NaN`, `Infinity`,
	`""`, `"a"`, `"`, `"\"`, `"\\"`, `"\\\"`, `"\""`, `"\u00e9"`, `"\ud83d\ude00"`, `"\ud83d"`,
	`"\ude00\ud83d"`, `"\ud83dx"`, `"\u00"`, `"\u00g0"`, `"\x"`, `"é😀"`, "\"\xff\"", "\"\xed\xa0\x80\"",
	"\"\x00\"", "\"\n\"", `"\b\f\n\r\t\/"`, `"\u0000\u001f\u2028"`,
	`[1]`, `[1,2]`, `[1,]`, `[,1]`, `[1 2]`, `[`, `]`, `[[]`, `[]]`, `[1}`, ` [ 1 , 2 ] `,
	`{"a":1}`, `{"a":1,"b":[{}]}`, `{"a":1,}`, `{,}`, `{"a"}`, `{"a":}`, `{a:1}`, `{1:2}`, `{"a" 1}`,
	`{"a":1 "b":2}`, `{`, `{"a":{"b":{"c":[1,{"d":null}]}}}`, "\t{\r\n\"a\"\n:\n1 }\n",
	`{"a":"}","b":"]","c":"\"","d":"\\","e":{"a":2}}`, `{"\u0061":1,"b\n":2,"":3}`, `{"a":1,"a":2}`,
	`{"op":1,"d":null}`, `1 2`, `{} {}`, `{"s":12345678901234567890123}`, `[1e400,-1e400,1e-400]`,
	`18446744073709551615`, `-9223372036854775808`, `-9223372036854775809`, `4294967296`, `-256`,
}

func TestValidJSONAgreesWithTheStandardLibrary(t *testing.T) {
	for _, text := range jsonSamples {
		want := json.Valid([]byte(text)) && utf8.ValidString(text)
		if got := ValidJSON([]byte(text), 8); got != want {
			t.Errorf("ValidJSON(%q): got %v, want %v", text, got, want)
		}
	}
}

func TestJSONDepthIsBounded(t *testing.T) {
	nest := func(open, close string, depth int) []byte {
		return []byte(strings.Repeat(open, depth) + "1" + strings.Repeat(close, depth))
	}
	for _, pair := range [][2]string{{"[", "]"}, {`{"a":`, "}"}} {
		for depth := range 40 {
			if got, want := ValidJSON(nest(pair[0], pair[1], depth), 32), depth <= 32; got != want {
				t.Errorf("%d times %s: got %v, want %v", depth, pair[0], got, want)
			}
		}
	}
	deep := bytes.Repeat([]byte("["), 1<<20)
	if ValidJSON(deep, JSONDepthMax) {
		t.Error("a million brackets: got valid")
	}
	if _, err := AppendETF(nil, deep); err == nil {
		t.Error("a million brackets: got an ETF term")
	}
}

func TestFieldFindsTheFirstOccurrence(t *testing.T) {
	object := []byte(` { "a" : 1 , "b":{"a":2,"c":"}"},"a":3,"d":[1,"]"],"\u0065":"x","f":"q\"}" } `)
	for key, want := range map[string]string{
		"a": `1`, "b": `{"a":2,"c":"}"}`, "d": `[1,"]"]`, "e": `"x"`, "f": `"q\"}"`,
	} {
		raw, ok := Field(object, key)
		if !ok || string(raw) != want {
			t.Errorf("Field(%q): got %s, %v, want %s", key, raw, ok, want)
		}
	}
	for _, key := range []string{"c", "", "A", `\u0065`} {
		if raw, ok := Field(object, key); ok {
			t.Errorf("Field(%q): got %s, want none", key, raw)
		}
	}
}

func TestTypedFields(t *testing.T) {
	object := []byte(`{"id":"7","num":8,"null":null,"text":"a\u00e9\n","yes":true,"no":false,
		"big":1700000000000,"float":1.7e12,"half":1.5,"min":-9223372036854775808,"huge":1e300,
		"over":9223372036854775808,"bad":"7x","empty":""}`)
	ids := map[string]Snowflake{"id": 7, "num": 8, "null": 0, "bad": 0, "none": 0, "half": 0, "empty": 0,
		"over": 1 << 63}
	for key, want := range ids {
		if got, ok := SnowflakeField(object, key); got != want || ok != (want != 0) {
			t.Errorf("SnowflakeField(%q): got %d, %v, want %d", key, got, ok, want)
		}
	}
	ints := map[string]int64{"num": 8, "big": 17e11, "float": 17e11, "min": -1 << 63}
	for _, key := range []string{"id", "num", "null", "text", "big", "float", "half", "min", "huge", "over"} {
		want, isInt := ints[key]
		if got, ok := IntField(object, key); got != want || ok != isInt {
			t.Errorf("IntField(%q): got %d, %v, want %d, %v", key, got, ok, want, isInt)
		}
	}
	if got, ok := StringField(object, "text"); !ok || got != "aé\n" {
		t.Errorf("StringField: got %q, %v", got, ok)
	}
	if got, ok := StringField(object, "num"); ok {
		t.Errorf("StringField of a number: got %q", got)
	}
	if yes, ok := BoolField(object, "yes"); !ok || !yes {
		t.Errorf("BoolField(yes): got %v, %v", yes, ok)
	}
	if no, ok := BoolField(object, "no"); !ok || no {
		t.Errorf("BoolField(no): got %v, %v", no, ok)
	}
	if _, ok := BoolField(object, "null"); ok {
		t.Error("BoolField(null): got a value")
	}
}

func TestSetAndDropFields(t *testing.T) {
	tests := []struct{ name, object, set, dropped string }{
		{"empty", `{}`, `{"k":9}`, `{}`},
		{"absent", `{"a":1}`, `{"a":1,"k":9}`, `{"a":1}`},
		{"in its place", `{"a":1,"k":2,"b":3}`, `{"a":1,"k":9,"b":3}`, `{"a":1,"b":3}`},
		{"first", ` { "k" : [ 2 ] , "a" : 1 } `, `{"k":9,"a":1}`, `{"a":1}`},
		{"only", `{"k":2}`, `{"k":9}`, `{}`},
		{"twice", `{"k":2,"a":1,"k":3}`, `{"k":9,"a":1}`, `{"a":1}`},
		{"escaped", `{"\u006b":2}`, `{"\u006b":9}`, `{}`},
		{"nested keys stay", `{"a":{"k":1}}`, `{"a":{"k":1},"k":9}`, `{"a":{"k":1}}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := string(SetField([]byte("x"), []byte(test.object), "k", []byte("9")))
			if got != "x"+test.set {
				t.Errorf("SetField: got %s, want x%s", got, test.set)
			}
			if got := string(DropField(nil, []byte(test.object), "k")); got != test.dropped {
				t.Errorf("DropField: got %s, want %s", got, test.dropped)
			}
		})
	}
	got := string(DropFields(nil, []byte(`{"a":1,"b":2,"c":3}`), "a", "c"))
	if got != `{"b":2}` {
		t.Errorf("DropFields: got %s", got)
	}
}

func TestBuildingAnObject(t *testing.T) {
	b := append([]byte(nil), '{')
	b = Snowflake(5).AppendJSON(AppendKey(b, "id"))
	b = AppendString(AppendKey(b, "name"), "q\"\\\n\x01é\xff")
	b = AppendInt(AppendKey(b, "n"), -3)
	b = AppendBool(AppendKey(b, "ok"), true)
	b = AppendSnowflakes(AppendKey(b, "ids"), []Snowflake{1, 2})
	b = AppendSnowflakes(AppendKey(b, "none"), nil)
	b = append(b, '}')
	want := `{"id":"5","name":"q\"\\\n\u0001é` + "\ufffd" + `","n":-3,"ok":true,"ids":["1","2"],"none":[]}`
	if string(b) != want {
		t.Errorf("got %s, want %s", b, want)
	}
}

func TestScanningAllocatesNothing(t *testing.T) {
	object := []byte(sampleMessage)
	fields, elements := 0, 0
	array := []byte(`[1,"a",{"b":[2]},null]`)
	allocs := testing.AllocsPerRun(100, func() {
		Field(object, "channel_id")
		SnowflakeField(object, "id")
		BoolField(object, "tts")
		IntField(object, "type")
		EachField(object, func(string, []byte) bool { fields++; return true })
		EachElement(array, func([]byte) bool { elements++; return true })
		ValidJSON(object, CommandDepthMax)
	})
	if allocs != 0 {
		t.Errorf("got %v allocations, want 0", allocs)
	}
	if fields == 0 || elements == 0 {
		t.Errorf("got %d fields and %d elements", fields, elements)
	}
}

func FuzzJSON(f *testing.F) {
	for _, text := range jsonSamples {
		f.Add([]byte(text))
	}
	f.Add([]byte(sampleMessage))
	f.Fuzz(func(t *testing.T, b []byte) {
		const depth = 64
		valid := json.Valid(b) && utf8.Valid(b)
		if got := ValidJSON(b, depth); got != valid && !(valid && jsonDepth(b) > depth) {
			t.Fatalf("ValidJSON: got %v, want %v", got, valid)
		}
		if !valid {
			// What is promised of the rest is only that it comes back.
			EachField(b, func(key string, raw []byte) bool { DecodeString(raw); return true })
			EachElement(b, func(raw []byte) bool { DecodeInt(raw); return true })
			SetField(nil, b, "k", []byte("1"))
			return
		}
		b = bytes.TrimLeft(b, " \t\r\n")
		checkFields(t, b)
		checkElements(t, b)
		if text, ok := DecodeString(bytes.TrimRight(b, " \t\r\n")); ok {
			checkString(t, b, text)
		}
	})
}

func jsonDepth(b []byte) int {
	depth, deepest, inString := 0, 0, false
	for i := 0; i < len(b); i++ {
		switch {
		case inString && b[i] == '\\':
			i++
		case b[i] == '"':
			inString = !inString
		case inString:
		case b[i] == '[', b[i] == '{':
			depth++
			deepest = max(deepest, depth)
		case b[i] == ']', b[i] == '}':
			depth--
		}
	}
	return deepest
}

// checkFields compares with encoding/json, which lets the last of two equal keys win.
func checkFields(t *testing.T, b []byte) {
	var want map[string]json.RawMessage
	if !IsObject(b) || json.Unmarshal(b, &want) != nil {
		return
	}
	seen := map[string]int{}
	rebuilt := []byte{'{'}
	EachField(b, func(key string, raw []byte) bool {
		seen[strings.Clone(key)]++
		rebuilt = append(AppendString(AppendComma(rebuilt), key), ':')
		rebuilt = append(rebuilt, raw...)
		return true
	})
	rebuilt = append(rebuilt, '}')
	var again map[string]json.RawMessage
	if err := json.Unmarshal(rebuilt, &again); err != nil || !reflect.DeepEqual(again, want) {
		t.Fatalf("re-assembled: got %s, %v, want %s", rebuilt, err, b)
	}
	for key, raw := range want {
		if seen[key] != 1 {
			continue
		}
		if got, ok := Field(b, key); !ok || !bytes.Equal(got, raw) {
			t.Fatalf("Field(%q): got %s, %v, want %s", key, got, ok, raw)
		}
	}
	if len(seen) != len(want) {
		t.Fatalf("got %d keys, want %d", len(seen), len(want))
	}
	set := SetField(nil, b, "k", []byte("1"))
	if raw, ok := Field(set, "k"); !ok || string(raw) != "1" || !json.Valid(set) {
		t.Fatalf("SetField: got %s", set)
	}
	dropped := DropField(nil, set, "k")
	if _, ok := Field(dropped, "k"); ok || !json.Valid(dropped) {
		t.Fatalf("DropField: got %s", dropped)
	}
}

func checkElements(t *testing.T, b []byte) {
	var want []json.RawMessage
	if !IsArray(b) || json.Unmarshal(b, &want) != nil {
		return
	}
	count := 0
	EachElement(b, func(raw []byte) bool {
		if count >= len(want) || !bytes.Equal(raw, want[count]) {
			t.Fatalf("element %d: got %s", count, raw)
		}
		count++
		return true
	})
	if count != len(want) {
		t.Fatalf("got %d elements, want %d", count, len(want))
	}
}

func checkString(t *testing.T, b []byte, got string) {
	var want string
	if err := json.Unmarshal(b, &want); err != nil || got != want {
		t.Fatalf("DecodeString(%s): got %q, want %q, %v", b, got, want, err)
	}
	var again string
	if err := json.Unmarshal(AppendString(nil, got), &again); err != nil || again != got {
		t.Fatalf("AppendString(%q): got %q, %v", got, again, err)
	}
}
