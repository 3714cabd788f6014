package wire

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
)

// TestContextDecodes sends dispatches and control frames through a connection's own compressor.
func TestContextDecodes(t *testing.T) {
	for _, c := range []Compression{CompressionZlib, CompressionZstd} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			r := rand.New(rand.NewPCG(3, uint64(c)))
			s := newStreamReader(t, 0)
			s.open(t, c)
			x := NewContext(c)
			for i := range 500 {
				body := randomBody(r, i)
				frames, hole := AppendDispatch(nil, 0, "MESSAGE_CREATE", body)
				PutSeq(frames, hole, 0, uint32(i))
				_, text := payloadOf(t, frames)
				want := len(text)
				frames = AppendFrame(frames, OpcodePong, []byte("pong"))
				pong := len(AppendFrame(nil, OpcodePong, []byte("pong")))
				sent := x.AppendFrames(nil, frames)
				op, payload, size := splitFrame(sent)
				if op != OpcodeBinary || len(sent)-size != pong {
					t.Fatalf("got a %v frame and %d bytes behind it, want binary and a pong", op,
						len(sent)-size)
				}
				checkDispatch(t, 0, s.message(t, payload, want), uint32(i), body)
			}
		})
	}
}

// TestContextBytes holds the figure that budgets are made with against what a context takes.
func TestContextBytes(t *testing.T) {
	for _, c := range []Compression{CompressionZlib, CompressionZstd} {
		const count = 16
		text := randomBody(rand.New(rand.NewPCG(1, 2)), 99)
		kept := make([]*Context, count)
		before := heapInUse()
		for i := range kept {
			kept[i] = NewContext(c)
			kept[i].Append(nil, text)
		}
		got := int(heapInUse()-before) / count
		runtime.KeepAlive(kept)
		if want := ContextBytes(c); got > want || got < want*2/3 {
			t.Errorf("%v: a context takes %d bytes, ContextBytes says %d", c, got, want)
		}
	}
}

func heapInUse() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
