package wire

import (
	"bytes"
	"encoding/binary"
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
	var at Stream
	send := func(packed []byte) {
		stream = append(stream, binaryPayload(t, packed)...)
	}
	say := func(packed, clear []byte) {
		send(packed)
		var said Said
		said.Add(packed, e)
		at.Say(said, testWindow)
		_, payload := payloadOf(t, clear)
		text = append(text, payload...)
	}
	hello := AppendHello(nil, v, 41250, "gw", testWindow)
	send(hello)
	var said Said
	said.Add(hello, e)
	at.Say(said, testWindow)
	text = append(text, helloText(t, v)...)
	head := NewShared(guildHead(r, 40))
	for i := range 400 {
		d := NewDispatch("MESSAGE_CREATE", randomBody(r, i), nil)
		if i%7 == 0 {
			d = NewDispatchAfter("GUILD_CREATE", head, guildRest(r, i))
		}
		var frame []byte
		frame, _ = AppendStreamed(nil, d.Frame(v).Bytes, uint32(i), &at, testWindow)
		send(frame)
		text = append(text, decodedDispatch(e, d, uint32(i))...)
		if i%10 == 0 {
			say(AppendHeartbeatAck(nil, v), AppendHeartbeatAck(nil, plain))
		}
	}
	return stream, text
}

// helloText is what HELLO decodes to on a zstd stream: the plain one, and the template in it.
func helloText(t *testing.T, v Variant) []byte {
	t.Helper()
	_, plain := payloadOf(t, AppendHello(nil, v&VariantETF, 41250, "gw", 0))
	l := lessonOf(v.Encoding())
	if v&VariantETF != 0 {
		const pairs = 5
		plain[pairs]++
		plain = append(etfBinaryText(plain, "_"), etfBinary)
		plain = binary.BigEndian.AppendUint32(plain, uint32(len(teachingText)+len(l.text)))
		return append(append(plain, teachingText...), l.text...)
	}
	return fmt.Appendf(plain[:len(plain)-1], `,"_":[%s%s]}`, teachingText, l.text)
}

// decodedDispatch is the text of a dispatch on a zstd stream.
func decodedDispatch(e Encoding, d *Dispatch, seq uint32) []byte {
	prefix, _ := appendStreamPrefix(nil, e, seq)
	return append(prefix[zstdBlockHeader:], DispatchText(nil, e, d.Name(), d.Body())...)
}
