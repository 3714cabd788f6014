package tuning

import (
	"flag"
	"io"
	"math"
	"testing"
)

func TestParseSize(t *testing.T) {
	for _, c := range []struct {
		text string
		want Size
		ok   bool
	}{
		{"0", 0, true}, {"1", 1, true}, {"65536", 65536, true}, {"64K", 64 << 10, true},
		{"64k", 64 << 10, true}, {"256M", 256 << 20, true}, {"2G", 2 << 30, true},
		{"1T", 1 << 40, true}, {"64KB", 64 << 10, true}, {"64KiB", 64 << 10, true},
		{" 2G ", 2 << 30, true}, {"9223372036854775807", math.MaxInt64, true},
		{"8191P", 0, false}, {"", 0, false}, {"K", 0, false}, {"-1", 0, false}, {"-1K", 0, false},
		{"1.5G", 0, false}, {"9223372036854775808", 0, false}, {"8388608T", 0, false},
		{"9007199254740993K", 0, false}, {"64 K", 0, false}, {"0x10", 0, false},
	} {
		got, err := ParseSize(c.text)
		if got != c.want || (err == nil) != c.ok {
			t.Errorf("ParseSize(%q) = %d, %v, want %d", c.text, got, err, c.want)
		}
	}
}

func TestSizeFlagKeepsItsValueOnError(t *testing.T) {
	size := Size(64 << 20)
	flags := flag.NewFlagSet("", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.Var(&size, "journal", "")
	if err := flags.Parse([]string{"-journal", "much"}); err == nil || size != 64<<20 {
		t.Errorf("got %v, %v, want an error and 64M", size, err)
	}
	if err := flags.Parse([]string{"-journal", "2G"}); err != nil || size != 2<<30 {
		t.Errorf("got %v, %v, want 2G", size, err)
	}
}

func FuzzSize(f *testing.F) {
	for _, text := range []string{"0", "64K", "256M", "2G", "1T", "1KiB", "-1", "99999999999T"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		size, err := ParseSize(text)
		if err != nil {
			return
		}
		again, err := ParseSize(size.String())
		if err != nil || again != size || size < 0 {
			t.Errorf("%q is %d, written %q, read again %d, %v", text, size, size, again, err)
		}
	})
}
