package tracing

import (
	"testing"
	"time"
)

const sampled = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func TestParse(t *testing.T) {
	want := Context{
		Trace: [16]byte{0x0a, 0xf7, 0x65, 0x19, 0x16, 0xcd, 0x43, 0xdd, 0x84, 0x48, 0xeb, 0x21, 0x1c,
			0x80, 0x31, 0x9c},
		Span: [8]byte{0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, 0x31},
	}
	const ids = "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-"
	for header, ok := range map[string]bool{
		sampled:                 true,
		"00-" + ids + "03":      true,
		"00-" + ids + "0b":      true,
		"00-" + ids + "0f":      true,
		"cc-" + ids + "01":      true,
		"cc-" + ids + "01-more": true,
		"00-" + ids + "00":      false,
		"00-" + ids + "02":      false,
		"00-" + ids + "0a":      false,
		"00-" + ids + "0e":      false,
		"00-" + ids + "0g":      false,
		"00-" + ids + "01-more": false,
		"cc-" + ids + "01more":  false,
		"ff-" + ids + "01":      false,
		"00_" + ids + "01":      false,
		"":                      false,
		sampled[:54]:            false,
		"00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01": false,
		"00-00000000000000000000000000000000-b7ad6b7169203331-01": false,
		"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01": false,
		"00-0af7651916cd43dd8448eb211c80319-xb7ad6b7169203331-01": false,
	} {
		got, gotOK := Parse(header)
		if gotOK != ok || ok && got != want || !ok && got != (Context{}) {
			t.Errorf("%q: got %v, %v, want %v", header, got, gotOK, ok)
		}
	}
	if got := want.String(); got != sampled {
		t.Errorf("got %s, want %s", got, sampled)
	}
}

// FuzzParse: whatever is read is written the same.
func FuzzParse(f *testing.F) {
	f.Add(sampled)
	f.Add("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00")
	f.Add("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0f-x")
	f.Fuzz(func(t *testing.T, header string) {
		c, ok := Parse(header)
		if !ok {
			return
		}
		if again, ok := Parse(c.String()); !ok || again != c ||
			c.String()[2:53] != header[2:53] {
			t.Errorf("%q is read as %s", header, c)
		}
	})
}

func TestNoTracer(t *testing.T) {
	var none *Tracer
	span := none.Begin(Context{}, "x", time.Now())
	span.Note("y", time.Now())
	span.End(time.Now())
	none.Close(t.Context())
	for _, wrong := range []string{"127.0.0.1:4318", "grpc://127.0.0.1:4317", "http://", ":"} {
		if _, err := New(wrong, "n", "v"); err == nil {
			t.Errorf("%q is taken for a URL", wrong)
		}
	}
}

// BenchmarkParse is what a publish pays: without a header, with one that is not sampled, and with
// one that is.
func BenchmarkParse(b *testing.B) {
	for name, header := range map[string]string{"none": "", "sampled": sampled,
		"not sampled": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Parse(header)
			}
		})
	}
}
