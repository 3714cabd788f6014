package wire

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"
)

// TestZstdProgramReadsTheStream gives a connection's whole stream, as a client gets it, to the zstd
// program, whose decoder is the format's own. Only the end is ours: an empty last block, since the
// program wants a frame to end and a connection's never does.
func TestZstdProgramReadsTheStream(t *testing.T) {
	program, err := exec.LookPath("zstd")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("there is no zstd program here")
	}
	for _, e := range []Encoding{EncodingJSON, EncodingETF} {
		t.Run(e.String(), func(t *testing.T) {
			stream, want := wholeStream(t, e)
			decode := exec.CommandContext(t.Context(), program, "--decompress", "--stdout", "-")
			decode.Stdin = bytes.NewReader(append(stream, 1, 0, 0))
			var fault bytes.Buffer
			decode.Stderr = &fault
			got, err := decode.Output()
			if err != nil {
				t.Fatalf("%v: %s", err, fault.String())
			}
			if !bytes.Equal(got, want) {
				t.Fatalf("%d bytes decode to %d, want %d, and they differ", len(stream), len(got),
					len(want))
			}
		})
	}
}

// wholeStream is what a zstd connection is sent, and what has to come of it: HELLO, dispatches
// small and large, with a shared beginning and without, and control messages between them.
func wholeStream(t *testing.T, e Encoding) (stream, text []byte) {
	t.Helper()
	r := rand.New(rand.NewPCG(11, uint64(e)))
	v, plain := VariantOf(e, CompressionZstd), VariantOf(e, CompressionNone)
	send := func(packed, clear []byte) {
		stream = append(stream, binaryPayload(t, packed)...)
		_, payload := payloadOf(t, clear)
		text = append(text, payload...)
	}
	send(AppendHello(nil, v, 41250, "gw"), AppendHello(nil, plain, 41250, "gw"))
	head := NewShared(guildHead(r, 40))
	for i := range 400 {
		d := NewDispatch("MESSAGE_CREATE", randomBody(r, i), nil)
		if i%7 == 0 {
			d = NewDispatchAfter("GUILD_CREATE", head, guildRest(r, i))
		}
		f := d.Frame(v)
		frame := bytes.Clone(f.Bytes)
		PutSeq(frame, f.Hole, v, uint32(i))
		stream = append(stream, binaryPayload(t, frame)...)
		text = append(text, decodedDispatch(t, e, d, uint32(i))...)
		if i%10 == 0 {
			send(AppendHeartbeatAck(nil, v), AppendHeartbeatAck(nil, plain))
		}
	}
	return stream, text
}

// decodedDispatch is the text of a dispatch on a zstd stream: the plain one with what the reset
// blocks decode to where they stand.
func decodedDispatch(t *testing.T, e Encoding, d *Dispatch, seq uint32) []byte {
	t.Helper()
	if e == EncodingETF {
		prefix, hole, rest := splitDispatchETF(nil, CompressionZstd, d.Name(), d.Body())
		PutSeq(prefix, hole, VariantETF, seq)
		return append(append(prefix, zstdResetText...), rest...)
	}
	between := ""
	if d.head != nil {
		between = string(d.head.Text()) + zstdResetText
	}
	return fmt.Appendf(nil, `{"t":"%s","s":%10d,"op":0,"d":%s%s%s}`, d.Name(), seq, zstdResetText,
		between, d.body)
}
