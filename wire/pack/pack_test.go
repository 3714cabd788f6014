package pack

import (
	"bytes"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"

	"throng/wire"
)

// everything appends one of each, and reads it again.
func everything() []byte {
	dst := AppendUint(nil, math.MaxUint64)
	dst = AppendUint(dst, 77)
	dst = AppendUint64(dst, 1<<63|5)
	dst = AppendIDs(AppendIDs(AppendIDs(dst, nil), []wire.Snowflake{}), []wire.Snowflake{1, 1 << 60})
	dst = AppendText(AppendText(AppendText(dst, nil), []byte{}), []byte("text"))
	dst = AppendString(AppendString(dst, ""), "string")
	dst = AppendFlags(dst, false, true, true)
	dst = AppendAlike(dst, []byte("a long base"), base)
	return AppendID(dst, 9)
}

var base = []byte("a short base")

func readEverything(b []byte) (all []any, ok bool) {
	r := NewReader(b)
	all = append(all, r.Uint(math.MaxUint64), r.Uint32(), r.Uint64())
	all = append(all, r.IDs(2), r.IDs(2), r.IDs(2), r.Text(), r.Text(), r.Text())
	all = append(all, r.String(6), r.String(6))
	f := r.Flags(3)
	all = append(all, f.Has(0), f.Has(1), f.Has(2), r.Alike(base), r.ID())
	return all, r.Done()
}

func TestWhatIsAppendedIsRead(t *testing.T) {
	got, ok := readEverything(everything())
	want := []any{uint64(math.MaxUint64), uint32(77), uint64(1<<63 | 5),
		[]wire.Snowflake(nil), []wire.Snowflake{}, []wire.Snowflake{1, 1 << 60},
		[]byte(nil), []byte{}, []byte("text"), "", "string", false, true, true,
		[]byte("a long base"), wire.Snowflake(9)}
	if !ok || !reflect.DeepEqual(got, want) {
		t.Errorf("done: %v\ngot  %#v\nwant %#v", ok, got, want)
	}
}

// TestWhatIsNotWholeFails: cut anywhere, or with more behind it, it is refused.
func TestWhatIsNotWholeFails(t *testing.T) {
	whole := everything()
	for n := range whole {
		if _, ok := readEverything(whole[:n]); ok {
			t.Errorf("%d of %d bytes are taken for all", n, len(whole))
		}
	}
	if _, ok := readEverything(append(whole, 0)); ok {
		t.Error("one byte more is not noticed")
	}
}

func TestReaderRefusesWhatCannotBe(t *testing.T) {
	huge := AppendUint(nil, math.MaxUint64)
	for _, c := range []struct {
		name string
		b    []byte
		read func(*Reader)
	}{
		{"a number that is too large", AppendUint(nil, 8), func(r *Reader) { r.Uint(7) }},
		{"a number without an end", bytes.Repeat([]byte{255}, 20), func(r *Reader) { r.Uint32() }},
		{"a list without elements", huge, func(r *Reader) { r.Count(3) }},
		{"more ids than may be", AppendIDs(nil, make([]wire.Snowflake, 3)),
			func(r *Reader) { r.IDs(2) }},
		{"ids without bytes", huge, func(r *Reader) { r.IDs(math.MaxInt) }},
		{"a text without bytes", huge, func(r *Reader) { r.Text() }},
		{"a long string", AppendString(nil, "long"), func(r *Reader) { r.String(3) }},
		{"a fourth flag", []byte{8}, func(r *Reader) { r.Flags(3) }},
		{"more than the base has", []byte{byte(len(base)), 1, 0}, func(r *Reader) { r.Alike(base) }},
		{"a reader that was failed", nil, (*Reader).Fail},
	} {
		r := NewReader(c.b)
		c.read(&r)
		if !r.Failed() || r.Done() {
			t.Errorf("%s: taken", c.name)
		}
	}
}

// TestAlike: whatever two texts have in common, the second comes out as it was.
func TestAlike(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	text := func() []byte {
		b := make([]byte, rnd.IntN(4*alikeBytes))
		for i := range b {
			b[i] = 'a'
		}
		for range rnd.IntN(3) {
			if len(b) > 0 {
				b[rnd.IntN(len(b))] = 'b'
			}
		}
		return b
	}
	for range 10_000 {
		base, want := text(), text()
		packed := AppendAlike(nil, want, base)
		r := NewReader(packed)
		if got := r.Alike(base); !bytes.Equal(got, want) || got == nil || !r.Done() {
			t.Fatalf("%q becomes %q by way of %q", want, got, base)
		}
	}
	one := bytes.Repeat([]byte("0123456789"), 1000)
	other := bytes.Clone(one)
	other[4321] = 'x'
	if n := len(AppendAlike(nil, other, one)); n > 8 {
		t.Errorf("one byte that differs takes %d bytes", n)
	}
}
