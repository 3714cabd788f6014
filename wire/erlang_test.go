package wire

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

var erlangTerms = flag.String("erlang-terms", "", "write the terms for etf_erlang.escript to this file")

func erlangLines(t *testing.T) []string {
	t.Helper()
	data, err := os.ReadFile("testdata/etf_erlang.txt")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimRight(string(data), "\n"), "\n")
}

// TestWriteTermsForErlang makes the input of testdata/etf_erlang.escript.
func TestWriteTermsForErlang(t *testing.T) {
	if *erlangTerms == "" {
		*erlangTerms = filepath.Join(t.TempDir(), "terms.txt")
	}
	var out strings.Builder
	for _, text := range erlangSamples() {
		term, err := AppendETF([]byte{etfVersion}, []byte(text))
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		fmt.Fprintf(&out, "%s\t%x\n", text, term)
	}
	if err := os.WriteFile(*erlangTerms, []byte(out.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// erlangSamples are some by hand, about the borders of each form, and some by chance.
func erlangSamples() []string {
	samples := []string{
		`null`, `true`, `false`, `""`, `[]`, `{}`, `[[]]`, `[{}]`, `{"":{}}`, `[null,true,false]`,
		`"a"`, `"é😀"`, `"\u0000\u001f\"\\"`, `"nil"`, `[1,2,3]`, `[0,255]`, `[256]`, `[-1]`,
		`1.5`, `-1.5`, `0.1`, `1e300`, `-1e-300`, `5e-324`, `1.7976931348623157e308`, `123456.789`,
		`{"op":1,"d":null}`, `{"op":1,"d":251}`, sampleMessage,
		`{"a":{"b":{"c":[1,[2,[3,{"d":null}]]]}}}`,
	}
	for shift := range 64 {
		n := uint64(1) << shift
		samples = append(samples, strconv.FormatUint(n, 10), strconv.FormatUint(n-1, 10),
			strconv.FormatInt(-int64(n), 10))
	}
	rng := rand.New(rand.NewPCG(3, 4))
	for range 60 {
		samples = append(samples, string(appendRandomJSON(nil, rng, 4)))
	}
	return samples
}

func appendRandomJSON(dst []byte, rng *rand.Rand, depth int) []byte {
	kind := rng.IntN(7)
	if depth == 0 {
		kind = rng.IntN(5)
	}
	switch kind {
	case 0:
		return append(dst, []string{"null", "true", "false"}[rng.IntN(3)]...)
	case 1:
		return AppendInt(dst, rng.Int64()>>rng.IntN(64)*(1-2*rng.Int64N(2)))
	case 2:
		return strconv.AppendFloat(dst, rng.NormFloat64(), 'e', -1, 64)
	case 3:
		return Snowflake(rng.Uint64()).AppendJSON(dst)
	case 4:
		return AppendString(dst, string([]rune{rune(rng.IntN(0x500)), rune(rng.IntN(128)), '😀'}))
	case 5:
		dst = append(dst, '[')
		for range rng.IntN(5) {
			dst = appendRandomJSON(AppendComma(dst), rng, depth-1)
		}
		return append(dst, ']')
	}
	dst = append(dst, '{')
	for i := range rng.IntN(5) {
		dst = appendRandomJSON(AppendKey(dst, fmt.Sprint("k", i)), rng, depth-1)
	}
	return append(dst, '}')
}

// erlangReader reads what io_lib prints with ~w: the little of Erlang's syntax that terms of
// ours come out as.
type erlangReader struct {
	t    *testing.T
	rest string
}

func (r *erlangReader) skip(token string) bool {
	rest, ok := strings.CutPrefix(r.rest, token)
	if ok {
		r.rest = rest
	}
	return ok
}

func (r *erlangReader) term() any {
	switch {
	case r.skip("<<"):
		return r.binary()
	case r.skip("#{"):
		object := map[string]any{}
		for !r.skip("}") {
			r.skip(",")
			if !r.skip("<<") {
				r.t.Fatalf("got a key that is no binary at %.40q", r.rest)
			}
			key := r.binary()
			if !r.skip("=>") && !r.skip(" => ") {
				r.t.Fatalf("got no arrow at %.40q", r.rest)
			}
			object[key] = r.term()
		}
		return object
	case r.skip("["):
		list := []any{}
		for !r.skip("]") {
			r.skip(",")
			list = append(list, r.term())
		}
		return list
	case r.skip("nil"):
		return nil
	case r.skip("true"):
		return true
	case r.skip("false"):
		return false
	}
	end := strings.IndexAny(r.rest+",", ",]}>")
	number := r.rest[:end]
	r.rest = r.rest[end:]
	if number == "" || strings.Trim(number, "0123456789+-.e") != "" {
		r.t.Fatalf("got a term that is not ours: %q before %.40q", number, r.rest)
	}
	return numberOf(number)
}

func (r *erlangReader) binary() string {
	var text []byte
	for !r.skip(">>") {
		r.skip(",")
		end := strings.IndexAny(r.rest, ",>")
		c, err := strconv.ParseUint(r.rest[:max(end, 0)], 10, 8)
		if err != nil {
			r.t.Fatalf("got a binary that goes on with %.40q", r.rest)
		}
		text = append(text, byte(c))
		r.rest = r.rest[end:]
	}
	return string(text)
}
