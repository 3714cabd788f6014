package wire

import (
	"encoding/json"
	"math"
	"testing"
)

func TestSnowflakeReadsDigitsOnly(t *testing.T) {
	tests := []struct {
		text string
		want Snowflake
		ok   bool
	}{
		{"0", 0, true},
		{"1", 1, true},
		{"00007", 7, true},
		{"175928847299117063", 175928847299117063, true},
		{"18446744073709551615", math.MaxUint64, true},
		{"18446744073709551616", 0, false},
		{"99999999999999999999", 0, false},
		{"184467440737095516150", 0, false},
		{"", 0, false},
		{"-1", 0, false},
		{"+1", 0, false},
		{" 1", 0, false},
		{"1 ", 0, false},
		{"1.0", 0, false},
		{"1e3", 0, false},
		{"0x1", 0, false},
		{"１", 0, false},
	}
	for _, test := range tests {
		got, err := ParseSnowflake(test.text)
		if (err == nil) != test.ok || test.ok && got != test.want {
			t.Errorf("ParseSnowflake(%q): got %d, %v, want %d", test.text, got, err, test.want)
		}
		fromBytes, ok := ParseSnowflakeBytes([]byte(test.text))
		if ok != test.ok || test.ok && fromBytes != test.want {
			t.Errorf("ParseSnowflakeBytes(%q): got %d, %v", test.text, fromBytes, ok)
		}
	}
}

func TestSnowflakeFields(t *testing.T) {
	// The example of the documentation.
	const id Snowflake = 175928847299117063
	if got, want := id.Milli(), int64(1462015105796); got != want {
		t.Errorf("Milli: got %d, want %d", got, want)
	}
	if got := SnowflakeAt(1462015105796, 1<<5, 7); got != id {
		t.Errorf("SnowflakeAt: got %d, want %d", got, id)
	}
	if got := SnowflakeAt(0, 0, 0); got != 0 {
		t.Errorf("before the epoch: got %d, want 0", got)
	}
	if got, want := SnowflakeAt(SnowflakeEpochMilli, 1<<10|3, 1<<12|5), Snowflake(3<<12|5); got != want {
		t.Errorf("worker and sequence out of range: got %d, want %d", got, want)
	}
	if got, want := id.Shard(10), int((uint64(id)>>22)%10); got != want {
		t.Errorf("Shard: got %d, want %d", got, want)
	}
}

func TestSnowflakeInJSON(t *testing.T) {
	type doc struct {
		ID  Snowflake            `json:"id"`
		Map map[Snowflake]string `json:"map"`
	}
	for _, text := range []string{
		`{"id":"18446744073709551615","map":{"5":"x"}}`,
		`{"id":18446744073709551615,"map":{"5":"x"}}`,
	} {
		var d doc
		if err := json.Unmarshal([]byte(text), &d); err != nil {
			t.Fatalf("unmarshal %s: %v", text, err)
		}
		out, err := json.Marshal(d)
		want := `{"id":"18446744073709551615","map":{"5":"x"}}`
		if err != nil || string(out) != want {
			t.Errorf("marshal: got %s, %v, want %s", out, err, want)
		}
	}
	d := doc{ID: 9}
	if err := json.Unmarshal([]byte(`{"id":null}`), &d); err != nil || d.ID != 9 {
		t.Errorf("null: got %d, %v, want it left alone", d.ID, err)
	}
	for _, text := range []string{`{"id":""}`, `{"id":-1}`, `{"id":1.5}`, `{"id":true}`, `{"id":{}}`} {
		if err := json.Unmarshal([]byte(text), &d); err == nil {
			t.Errorf("unmarshal %s: got no error", text)
		}
	}
}

func TestTimestamps(t *testing.T) {
	tests := []struct {
		text  string
		milli int64
		out   string
	}{
		{"2024-01-01T00:00:00.000000+00:00", 1704067200000, ""},
		{"2024-02-29T23:59:59.999000+00:00", 1709251199999, ""},
		{"2015-01-01T00:00:00.000000+00:00", SnowflakeEpochMilli, ""},
		{"1969-12-31T23:59:59.999000+00:00", -1, ""},
		{"2024-01-01T00:00:00Z", 1704067200000, "2024-01-01T00:00:00.000000+00:00"},
		{"2024-01-01T01:00:00.5+01:00", 1704067200500, "2024-01-01T00:00:00.500000+00:00"},
	}
	for _, test := range tests {
		milli, ok := ParseTime(test.text)
		if !ok || milli != test.milli {
			t.Errorf("ParseTime(%q): got %d, %v, want %d", test.text, milli, ok, test.milli)
		}
		want := test.out
		if want == "" {
			want = test.text
		}
		if got := string(AppendTime(nil, test.milli)); got != want {
			t.Errorf("AppendTime(%d): got %q, want %q", test.milli, got, want)
		}
	}
	for _, text := range []string{"", "2024-01-01", "now", "2024-13-01T00:00:00Z", "1704067200000"} {
		if milli, ok := ParseTime(text); ok {
			t.Errorf("ParseTime(%q): got %d, want a refusal", text, milli)
		}
	}
	for _, milli := range []int64{math.MinInt64, math.MaxInt64} {
		if got := string(AppendTime(nil, milli)); len(got) != len(timeLayout) {
			t.Errorf("AppendTime(%d): got %q, want four digits of year", milli, got)
		}
	}
}
