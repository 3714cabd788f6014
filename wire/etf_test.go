package wire

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"math"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestETFIsWhatTheGatewaySends(t *testing.T) {
	tests := []struct{ json, term string }{
		{`null`, "s\x03nil"},
		{`true`, "s\x04true"},
		{`false`, "s\x05false"},
		{`0`, "a\x00"},
		{`-0`, "a\x00"},
		{`255`, "a\xff"},
		{`256`, "b\x00\x00\x01\x00"},
		{`-1`, "b\xff\xff\xff\xff"},
		{`2147483647`, "b\x7f\xff\xff\xff"},
		{`-2147483648`, "b\x80\x00\x00\x00"},
		{`2147483648`, "n\x04\x00\x00\x00\x00\x80"},
		{`-2147483649`, "n\x04\x01\x01\x00\x00\x80"},
		{`18446744073709551615`, "n\x08\x00\xff\xff\xff\xff\xff\xff\xff\xff"},
		{`-9223372036854775808`, "n\x08\x01\x00\x00\x00\x00\x00\x00\x00\x80"},
		{`18446744073709551616`, "F\x43\xf0\x00\x00\x00\x00\x00\x00"},
		{`1.5`, "F\x3f\xf8\x00\x00\x00\x00\x00\x00"},
		{`1e999`, "F\x7f\xef\xff\xff\xff\xff\xff\xff"},
		{`-1e999`, "F\xff\xef\xff\xff\xff\xff\xff\xff"},
		{`""`, "m\x00\x00\x00\x00"},
		{`"a\u00e9\n"`, "m\x00\x00\x00\x04a\xc3\xa9\n"},
		{`[]`, "j"},
		{`[1,[]]`, "l\x00\x00\x00\x02a\x01jj"},
		{`{}`, "t\x00\x00\x00\x00"},
		{` { "k" : [ null ] } `, "t\x00\x00\x00\x01m\x00\x00\x00\x01kl\x00\x00\x00\x01s\x03nilj"},
	}
	for _, test := range tests {
		got, err := AppendETF([]byte("x"), []byte(test.json))
		if err != nil || string(got) != "x"+test.term {
			t.Errorf("%s: got %q, %v, want %q", test.json, got, err, test.term)
		}
	}
	for _, bad := range []string{``, `{`, `[1`, `[1,]`, `{"a":1,}`, `{"a" 1}`, `"a`, `tru`, `1 2`, `01`, `{1:2}`} {
		if got, err := AppendETF(nil, []byte(bad)); err == nil {
			t.Errorf("%s: got %q, want an error", bad, got)
		}
	}
}

func TestETFOfClientsIsRead(t *testing.T) {
	tests := []struct{ name, term, want string }{
		{"small atom nil", "s\x03nil", `null`},
		{"small atom null", "s\x04null", `null`},
		{"atom true", "d\x00\x04true", `true`},
		{"atom utf8 false", "v\x00\x05false", `false`},
		{"small atom utf8 nil", "w\x03nil", `null`},
		{"string", "k\x00\x03\x01\x02\xff", `[1,2,255]`},
		{"empty string", "k\x00\x00", `[]`},
		{"small tuple", "h\x02a\x01j", `[1,[]]`},
		{"large tuple", "i\x00\x00\x00\x01a\x01", `[1]`},
		{"negative", "b\xff\xff\xff\xfe", `-2`},
		{"id", "n\x08\x00\x01\x00\x00\x00\x00\x00\x00\x80", `9223372036854775809`},
		{"least", "n\x08\x01\x00\x00\x00\x00\x00\x00\x00\x80", `-9223372036854775808`},
		{"below the least", "n\x08\x01\x01\x00\x00\x00\x00\x00\x00\x80", `"-9223372036854775809"`},
		{"beyond 64 bits", "n\x09\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01", `"18446744073709551616"`},
		{"zeros above", "o\x00\x00\x00\x0a\x01\x05\x00\x00\x00\x00\x00\x00\x00\x00\x00", `-5`},
		{"no digits", "n\x00\x01", `0`},
		{"milliseconds as a float", "F\x42\x78\xbc\xfe\x56\x80\x00\x00", `1700000000000`},
		{"float", "F\x3f\xb9\x99\x99\x99\x99\x99\x9a", `0.1`},
		{"huge float", "F\x7e\x37\xe4\x3c\x88\x00\x75\x9c", `1e+300`},
		{"old float", "c1.50000000000000000000e+00\x00\x00\x00\x00\x00", `1.5`},
		{"text", "m\x00\x00\x00\x03\"\n\x01", `"\"\n\u0001"`},
		{"map", "t\x00\x00\x00\x01m\x00\x00\x00\x02opa\x01", `{"op":1}`},
	}
	for _, test := range tests {
		got, err := AppendJSON([]byte("x"), []byte(test.term), 4)
		if err != nil || string(got) != "x"+test.want {
			t.Errorf("%s: got %s, %v, want x%s", test.name, got, err, test.want)
		}
	}
}

func TestETFThatIsRefused(t *testing.T) {
	tests := []struct {
		name, term string
		want       error
	}{
		{"nothing", "", errETFShort},
		{"an atom key", "t\x00\x00\x00\x01s\x02op" + strings.Repeat("a\x01", 4), errETFKey},
		{"a number for a key", "t\x00\x00\x00\x01a\x01a\x01xx", errETFKey},
		{"a map of 2^32-1 pairs", "t\xff\xff\xff\xff", errETFShort},
		{"a list of 2^32-1", "l\xff\xff\xff\xffa\x01", errETFShort},
		{"a tuple of 2^32-1", "i\xff\xff\xff\xff", errETFShort},
		{"a binary of 2^32-1", "m\xff\xff\xff\xff", errETFShort},
		{"a big of 2^32-1", "o\xff\xff\xff\xff\x00", errETFNumber},
		{"a big of 65 bytes", "n\x41\x00" + strings.Repeat("\x01", 65), errETFNumber},
		{"a big cut short", "n\x08\x00\x01", errETFShort},
		{"an improper list", "l\x00\x00\x00\x01a\x01a\x02", errETFTail},
		{"no tail", "l\x00\x00\x00\x01a\x01", errETFShort},
		{"an unknown atom", "s\x09undefined", errETFAtom},
		{"no UTF-8", "m\x00\x00\x00\x01\xff", errETFText},
		{"no UTF-8 in a key", "t\x00\x00\x00\x01m\x00\x00\x00\x01\xffa\x01", errETFText},
		{"not a number", "F\x7f\xf8\x00\x00\x00\x00\x00\x01", errETFNumber},
		{"infinity", "F\x7f\xf0\x00\x00\x00\x00\x00\x00", errETFNumber},
		{"an old float of words", "c" + strings.Repeat("x", 31), errETFNumber},
		{"an old infinity", "cInf" + strings.Repeat("\x00", 28), errETFNumber},
		{"more behind", "a\x01a\x01", errETFTrailing},
		{"compressed", "P\x00\x00\x00\x01", errETFTag},
		{"a pid", "X\x00", errETFTag},
		{"five deep", "h\x01h\x01h\x01h\x01j", errETFDepth},
		{"five deep by a string", "h\x01h\x01h\x01h\x01k\x00\x00", errETFDepth},
	}
	for _, test := range tests {
		if got, err := AppendJSON(nil, []byte(test.term), 4); err != test.want {
			t.Errorf("%s: got %.40q, %v, want %v", test.name, got, err, test.want)
		}
	}
}

func TestAShortTermCannotAllocateMuch(t *testing.T) {
	for _, term := range []string{
		"t\xff\xff\xff\xff", "l\xff\xff\xff\xffjjjj", "i\xff\xff\xff\xff", "m\xff\xff\xff\xff", "o\xff\xff\xff\xff",
		strings.Repeat("l\x00\x00\x00\x01", 100), strings.Repeat("h\x01", 3000),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		AppendJSON(nil, []byte(term), CommandDepthMax)
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; got > 64<<10 {
			t.Errorf("%.10q: got %d bytes allocated", term, got)
		}
	}
}

func TestATermCutShortIsRefused(t *testing.T) {
	term, _ := AppendETF(nil, []byte(`{"a":[1,256,70000000000,1.5,"x",null,true,{}],"b":[]}`))
	term = append(append([]byte{etfSmallTuple, 3}, term...), "k\x00\x02\x01\x02"+"d\x00\x04true"...)
	if out, err := AppendJSON(nil, term, 8); err != nil {
		t.Fatalf("the whole term: got %s, %v", out, err)
	}
	for size := range term {
		if out, err := AppendJSON(nil, term[:size], 8); err == nil {
			t.Errorf("%d bytes of %d: got %s", size, len(term), out)
		}
	}
}

// TestETFAgreesWithErlang holds both directions against what an Erlang node made of the same
// terms. testdata/etf_erlang.escript says how the file was made.
func TestETFAgreesWithErlang(t *testing.T) {
	ours, theirs := 0, 0
	for _, line := range erlangLines(t) {
		fields := strings.Split(line, "\t")
		if len(fields) != 4 {
			t.Fatalf("got %d fields in %q, want 4", len(fields), line)
		}
		text, encoded, printed := fields[0], fields[1], fields[2]
		fromErlang, err := hex.DecodeString(fields[3])
		if err != nil || fromErlang[0] != etfVersion {
			t.Fatalf("term in %q: %v", line, err)
		}
		want := valueOf(t, []byte(text))
		if encoded != "-" {
			ours++
			got, err := AppendETF([]byte{etfVersion}, []byte(text))
			if err != nil || hex.EncodeToString(got) != encoded {
				t.Errorf("%s: got %x, %v, want the bytes that Erlang read, %s", text, got, err, encoded)
			}
			if read := (&erlangReader{t: t, rest: printed}).term(); !reflect.DeepEqual(read, want) {
				t.Errorf("%s: Erlang read %s", text, printed)
			}
		}
		theirs++
		back, err := AppendJSON(nil, fromErlang[1:], JSONDepthMax)
		if err != nil || !reflect.DeepEqual(valueOf(t, back), want) {
			t.Errorf("%s: got %s, %v, from Erlang's %x", text, back, err, fromErlang)
		}
	}
	if ours < 200 || theirs < 220 {
		t.Errorf("got %d terms of ours and %d of Erlang's, want 200 and 220", ours, theirs)
	}
}

// valueOf is JSON as Go values in which numbers are float64 when they have a fraction or an
// exponent or exceed 64 bits, else their digits, so that a float is told from an integer.
func valueOf(t *testing.T, text []byte) any {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		t.Fatalf("decode %q: %v", text, err)
	}
	return numbersOf(value)
}

func numbersOf(value any) any {
	switch value := value.(type) {
	case map[string]any:
		for key, element := range value {
			value[key] = numbersOf(element)
		}
	case []any:
		for i, element := range value {
			value[i] = numbersOf(element)
		}
	case json.Number:
		return numberOf(string(value))
	}
	return value
}

// numberOf takes whole floats for integers: the decoder writes them as such on purpose.
func numberOf(text string) any {
	if n, err := strconv.ParseUint(text, 10, 64); err == nil {
		return n
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && n < 0 {
		return n
	}
	f, _ := strconv.ParseFloat(text, 64)
	f = max(min(f, math.MaxFloat64), -math.MaxFloat64)
	if f == math.Trunc(f) && math.Abs(f) <= intFloatMax {
		if f < 0 {
			return int64(f)
		}
		return uint64(f)
	}
	return f
}

func FuzzETF(f *testing.F) {
	for _, text := range append(jsonSamples, sampleMessage) {
		f.Add([]byte(text))
		if term, err := AppendETF(nil, []byte(text)); err == nil {
			f.Add(term)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		checkRoundTrip(t, b)
		out, err := AppendJSON(nil, b, CommandDepthMax)
		if len(out) > 16+10*len(b) {
			t.Fatalf("got %d bytes out of %d", len(out), len(b))
		}
		if err != nil {
			return
		}
		if !ValidJSON(out, CommandDepthMax) {
			t.Fatalf("got %q, which is not JSON", out)
		}
		checkRoundTrip(t, out)
	})
}

func checkRoundTrip(t *testing.T, text []byte) {
	term, err := AppendETF(nil, text)
	if !utf8.Valid(text) || !json.Valid(text) || jsonDepth(text) > JSONDepthMax {
		return
	}
	if err != nil {
		t.Fatalf("encode %q: %v", text, err)
	}
	back, err := AppendJSON(nil, term, JSONDepthMax)
	if err != nil {
		t.Fatalf("decode %x of %q: %v", term, text, err)
	}
	if got, want := valueOf(t, back), valueOf(t, text); !reflect.DeepEqual(got, want) {
		t.Fatalf("got %s of %s", back, text)
	}
}
