package wire

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestFrameHeaderTakesTheShortestForm(t *testing.T) {
	for _, tt := range []struct {
		length int
		want   []byte
	}{
		{0, []byte{0x81, 0}},
		{125, []byte{0x81, 125}},
		{126, []byte{0x81, 126, 0, 126}},
		{65535, []byte{0x81, 126, 0xFF, 0xFF}},
		{65536, []byte{0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0}},
	} {
		got := AppendFrameHeader(nil, OpcodeText, tt.length)
		if !bytes.Equal(got, tt.want) {
			t.Errorf("length %d: got %x, want %x", tt.length, got, tt.want)
		}
		if n := FrameHeaderBytes(tt.length); n != len(tt.want) {
			t.Errorf("length %d: got %d header bytes, want %d", tt.length, n, len(tt.want))
		}
	}
}

func TestMaskAgreesWithTheOctetwiseDefinition(t *testing.T) {
	key := [4]byte{0xA1, 0x02, 0x33, 0xF4}
	for length := range 130 {
		for offset := range 8 { // The bytes need not be aligned.
			got := make([]byte, offset+length+1)
			want := bytes.Clone(got)
			for i := range length {
				want[offset+i] ^= key[i%4]
			}
			if Mask(got[offset:offset+length], key); !bytes.Equal(got, want) {
				t.Fatalf("length %d at %d: got %x, want %x", length, offset, got, want)
			}
		}
	}
}

func TestValidPrefixFindsTheUnfinishedCharacter(t *testing.T) {
	for _, tt := range []struct {
		text  string
		whole int
		ok    bool
	}{
		{"", 0, true},
		{"abc", 3, true},
		{"ab\xE2\x82\xAC", 5, true},
		{"ab\xE2\x82", 2, true},
		{"ab\xE2", 2, true},
		{"\xF0\xA4\xAD", 0, true},
		{"ab\xED\xA0", 4, false}, // A surrogate is settled at its second octet.
		{"ab\xF4\x90", 4, false}, // So is what lies above U+10FFFF.
		{"ab\xE0\x80", 4, false}, // And an overlong form.
		{"ab\xC0", 3, false},     // This one at its first.
		{"\x80\x80\x80\x80\x80", 5, false},
		{"ab\xE2\x28\xA1", 5, false},
	} {
		whole, ok := validPrefix([]byte(tt.text))
		if ok != tt.ok || ok && whole != tt.whole {
			t.Errorf("%x: got %d, %v, want %d, %v", tt.text, whole, ok, tt.whole, tt.ok)
		}
	}
}

func TestCloseFrameFitsAControlFrame(t *testing.T) {
	for _, tt := range []struct {
		name, reason string
		want         int
	}{
		{"no reason", "", 0},
		{"longest", strings.Repeat("x", 123), 123},
		{"cut", strings.Repeat("x", 200), 123},
		{"cut between characters", strings.Repeat("x", 122) + "\u20AC", 122},
	} {
		frame := AppendClose(nil, CloseDecode, tt.reason)
		code, reason, err := ParseClose(frame[2:])
		if err != nil || code != CloseDecode || len(reason) != tt.want ||
			!utf8.ValidString(reason) {
			t.Errorf("%s: got %v, %q, %v, want %d bytes", tt.name, code, reason, err, tt.want)
		}
		if int(frame[1]) != len(frame)-2 || frame[1] > ControlBytesMax {
			t.Errorf("%s: got length %d of %d bytes", tt.name, frame[1], len(frame))
		}
	}
}

func TestCloseCodesThatAreNeverSent(t *testing.T) {
	for _, code := range []CloseCode{1005, 1006, 1015} {
		if got, want := AppendClose(nil, code, "x"), []byte{0x88, 0}; !bytes.Equal(got, want) {
			t.Errorf("%v: got %x, want %x", code, got, want)
		}
	}
	if code, _, err := ParseClose(nil); code != CloseNoStatus || err != nil {
		t.Errorf("empty close: got %v, %v, want %v", code, err, CloseNoStatus)
	}
}

func TestCloseCodeValidity(t *testing.T) {
	valid := func(c int) bool {
		return c >= 1000 && c <= 1003 || c >= 1007 && c <= 1014 || c >= 3000 && c <= 4999
	}
	for c := range 1 << 16 {
		_, _, err := ParseClose([]byte{byte(c >> 8), byte(c)})
		if (err == nil) != valid(c) {
			t.Errorf("close code %d: got %v", c, err)
		}
	}
}

func TestFramesAreEncodedWithoutAllocation(t *testing.T) {
	dst := make([]byte, 0, 1024)
	payload := []byte("payload")
	if n := testing.AllocsPerRun(100, func() {
		dst = AppendFrame(dst[:0], OpcodeText, payload)
		dst = AppendClose(dst, CloseGoingAway, "The node goes down.")
		dst = AppendMaskedFrame(dst, OpcodeText, payload, [4]byte{1, 2, 3, 4})
	}); n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
}

func BenchmarkMask(b *testing.B) {
	for _, size := range []struct {
		name  string
		bytes int
	}{{"40B", 40}, {"400B", 400}, {"4KiB", 4096}} {
		b.Run(size.name, func(b *testing.B) {
			payload := make([]byte, size.bytes)
			b.SetBytes(int64(size.bytes))
			for b.Loop() {
				Mask(payload, [4]byte{1, 2, 3, 4})
			}
		})
	}
}
