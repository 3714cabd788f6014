package wire

import (
	"bytes"
	"compress/zlib"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
)

// guildHead is the beginning of a GUILD_CREATE with so many channels.
func guildHead(r *rand.Rand, channels int) []byte {
	dst := []byte(`{"id":"100","name":"a guild","channels":[`)
	for i := range channels {
		dst = fmt.Appendf(AppendComma(dst), `{"id":"%d","type":0,"name":"channel-%d","topic":null,`+
			`"position":%d,"permission_overwrites":[{"id":"100","type":0,"allow":"0","deny":"%d"}],`+
			`"parent_id":null,"nsfw":false,"rate_limit_per_user":0}`, r.Uint64(), i, i, r.Uint32())
	}
	return append(dst, ']')
}

func guildRest(r *rand.Rand, members int) []byte {
	dst := []byte(`,"joined_at":"2020-01-01T00:00:00Z","members":[`)
	for range members {
		dst = fmt.Appendf(AppendComma(dst), `{"user":{"id":"%d","username":"u%d"},"roles":[]}`,
			r.Uint64(), r.Uint32())
	}
	return append(dst, ']', '}')
}

// TestDispatchAfterDecodes sends dispatches with and without a shared beginning in turns: on each
// stream the decoder has to find the same text as if each had been packed whole.
func TestDispatchAfterDecodes(t *testing.T) {
	for v := range Variant(VariantCount) {
		if v&VariantStripped != 0 {
			continue
		}
		t.Run(fmt.Sprintf("variant %d", v), func(t *testing.T) {
			r := rand.New(rand.NewPCG(uint64(v), 9))
			s := newStreamReader(t, v)
			if v.Compression() == CompressionNone {
				s.start = func() error { s.out = s.from; return nil }
			}
			var head *Shared
			for i := range 30 {
				if i%10 == 0 {
					head = NewShared(guildHead(r, r.IntN(400)))
				}
				rest := guildRest(r, r.IntN(1+i))
				d := NewDispatchAfter("MESSAGE_CREATE", head, rest)
				whole := append(bytes.Clone(head.Text()), rest...)
				if !bytes.Equal(d.Body(), whole) || d.BodyBytes() != len(whole) {
					t.Fatalf("got a body of %d bytes, want %d", d.BodyBytes(), len(whole))
				}
				want := plainLength(t, v, "MESSAGE_CREATE", whole)
				payload := s.dispatch(t, d.Frame(v), v, uint32(i))
				checkDispatch(t, v, s.message(t, payload, want), uint32(i), whole)
				body := randomBody(r, i)
				f := NewDispatch("MESSAGE_CREATE", body, nil).Frame(v)
				payload = s.dispatch(t, f, v, uint32(i))
				text := s.message(t, payload, plainLength(t, v, "MESSAGE_CREATE", body))
				checkDispatch(t, v, text, uint32(i), body)
			}
		})
	}
}

// TestSealDecodes makes complete zlib documents of dispatches with and without a beginning.
func TestSealDecodes(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	head := NewShared(guildHead(r, 50))
	for _, v := range []Variant{0, VariantETF} {
		for i := range 20 {
			d := NewDispatchAfter("MESSAGE_CREATE", head, guildRest(r, i))
			if i%2 == 0 {
				d = NewDispatch("MESSAGE_CREATE", randomBody(r, i), nil)
			}
			z, err := zlib.NewReader(bytes.NewReader(binaryPayload(t, d.Seal(v, 7).Bytes)))
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(z)
			if err != nil {
				t.Fatal(err)
			}
			checkDispatch(t, v, text, 7, d.Body())
		}
	}
}

// BenchmarkJoin is the GUILD_CREATE of one more session, for a guild of 100 channels: with the
// beginning packed once, and whole.
func BenchmarkJoin(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	head := NewShared(guildHead(r, 100))
	rest := guildRest(r, 3)
	whole := append(bytes.Clone(head.Text()), rest...)
	if !json.Valid(whole) {
		b.Fatal("no JSON")
	}
	for _, c := range []Compression{CompressionNone, CompressionZlib, CompressionZstd} {
		v := VariantOf(EncodingJSON, c)
		run := func(b *testing.B, dispatch func() *Dispatch) {
			size := 0
			for b.Loop() {
				f := dispatch().Frame(v)
				if size = len(f.Bytes); c == CompressionZstd {
					frame, _ := AppendStreamed(nil, f.Bytes, 1, &Stream{}, testWindow)
					size = len(frame)
				}
			}
			b.ReportMetric(float64(size), "bytes")
		}
		b.Run(c.String()+"/shared", func(b *testing.B) {
			run(b, func() *Dispatch { return NewDispatchAfter("GUILD_CREATE", head, rest) })
		})
		b.Run(c.String()+"/whole", func(b *testing.B) {
			run(b, func() *Dispatch { return NewDispatch("GUILD_CREATE", whole, nil) })
		})
	}
}
