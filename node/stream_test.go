package node

import (
	"bytes"
	"compress/zlib"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"throng/node/api"
	"throng/wire"
)

// decoder is what a client keeps for the life of a compressed connection.
type decoder struct {
	pieces chan []byte
	from   io.Reader
	kind   string
	out    io.Reader
	texts  *json.Decoder
	etf    bool
	term   []byte
}

// decoderFor makes the decoder that a connection to target needs, nil for none.
func decoderFor(t testing.TB, target string) *decoder {
	for _, kind := range []string{"zlib-stream", "zstd-stream"} {
		if !strings.Contains(target, "compress="+kind) {
			continue
		}
		r, w := io.Pipe()
		d := &decoder{pieces: make(chan []byte, 1<<14), from: r, kind: kind,
			etf: strings.Contains(target, "encoding=etf")}
		go func() {
			for p := range d.pieces {
				if _, err := w.Write(p); err != nil {
					return
				}
			}
		}()
		t.Cleanup(func() { close(d.pieces); r.Close() })
		return d
	}
	return nil
}

// text decodes one message's payload, which holds one JSON value, or what makes one.
func (d *decoder) text(payload []byte) (text json.RawMessage, err error) {
	d.pieces <- payload
	if d.texts == nil {
		if d.kind == "zlib-stream" {
			d.out, err = zlib.NewReader(d.from)
		} else {
			d.out, err = zstd.NewReader(d.from, zstd.WithDecoderConcurrency(1))
		}
		if err != nil {
			return nil, err
		}
		d.texts = json.NewDecoder(d.out)
	}
	if d.etf {
		return d.readTerm()
	}
	err = d.texts.Decode(&text)
	return text, err
}

// readTerm reads until it has a whole ETF term, which a message ends with.
func (d *decoder) readTerm() (text json.RawMessage, err error) {
	d.term = d.term[:0]
	for buf := make([]byte, 4096); ; {
		n, err := d.out.Read(buf)
		d.term = append(d.term, buf[:n]...)
		if len(d.term) > 0 {
			if text, bad := wire.AppendJSON(nil, d.term[1:], 64); bad == nil {
				return text, nil
			}
		}
		if err != nil {
			return nil, err
		}
	}
}

// inflateDocument decodes a message with payload compression.
func inflateDocument(payload []byte) ([]byte, error) {
	z, err := zlib.NewReader(bytes.NewReader(payload))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}

// TestStreamsCarryASession takes a session through everything with each stream, shared and with a
// compressor of the connection's own, and resumes it where the other kind has to do.
func TestStreamsCarryASession(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"zlib-stream", "zstd-stream"} {
		for _, budget := range []int{0, 1, 2} {
			t.Run(fmt.Sprintf("%s with %d contexts", kind, budget), func(t *testing.T) {
				t.Parallel()
				streamSession(t, "/?v=10&encoding=json&compress="+kind, budget)
			})
		}
	}
}

// say publishes a message in the guild that these tests use.
func say(r *rig, content string) {
	r.t.Helper()
	r.publishEvent(100, api.EventInput{Type: "MESSAGE_CREATE", Data: fmt.Appendf(nil,
		`{"channel_id":"101","author":{"id":"10"},"content":"%s"}`, content)})
}

func streamSession(t *testing.T, target string, contexts int) {
	r := newRig(t, Config{Loops: 1}, func(c *core) {
		c.limits.contextBytes = int64(contexts) * int64(wire.ContextBytes(wire.CompressionZlib))
	})
	r.user(10, true)
	r.user(11, true)
	r.guild(100, 10, 11)
	const count = 60
	first, second := r.loginAt(target, 10), r.loginAt(target, 11)
	first.joined(1)
	second.joined(1)
	sayAll := func(from int) {
		for i := range count {
			say(r, fmt.Sprintf("%d %s", from+i, strings.Repeat("again and again ", i)))
		}
	}
	hear := func(c *wsClient, from int) {
		t.Helper()
		for i := range count {
			d := c.wantEvent("MESSAGE_CREATE")
			if want := fmt.Sprintf(`"content":"%d `, from+i); !strings.Contains(string(d.Data), want) {
				t.Fatalf("got %.200s, want %s", d.Data, want)
			}
		}
	}
	sayAll(0)
	hear(first, 0)
	hear(second, 0)
	if got, want := r.core.contexts.Load(), int64(min(contexts, 2)); got != want {
		t.Errorf("contexts in use: got %d, want %d", got, want)
	}
	first.send(1, fmt.Sprint(first.seq))
	first.wantOp(wire.OpHeartbeatAck)

	// The second goes away, and the first comes back on what the second had, if it had anything.
	second.conn.Close()
	first.conn.Close()
	r.until("both detached", func() bool { return r.totals().detached == 2 })
	sayAll(count)
	others := r.loginAt(target, 11)
	others.joined(1)
	back := r.dial(target)
	back.wantOp(wire.OpHello)
	back.takeOver(first)
	hear(back, count)
	back.wantEvent("RESUMED")
	sayAll(2 * count)
	hear(back, 2*count)
	hear(others, 2*count)
	back.conn.Close()
	others.conn.Close()
	r.until("contexts given back", func() bool {
		return r.core.contexts.Load() == 0 && r.core.contextBytes.Load() == 0
	})
}

// TestResumeFindsTheOtherKindOfStream resumes a session of shared blocks where there is a context to
// be had, and one of a context where there is none.
func TestResumeFindsTheOtherKindOfStream(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"zlib-stream", "zstd-stream"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			target := "/?v=10&encoding=json&compress=" + kind
			r := newRig(t, Config{Loops: 1}, func(c *core) {
				c.limits.contextBytes = int64(wire.ContextBytes(wire.CompressionZlib))
			})
			r.user(10, true)
			r.user(11, true)
			r.guild(100, 10, 11)
			owner, sharer := r.loginAt(target, 10), r.loginAt(target, 11)
			owner.joined(1)
			sharer.joined(1)
			for _, c := range []*wsClient{owner, sharer} {
				c.conn.Close()
			}
			r.until("both detached", func() bool { return r.totals().detached == 2 })
			say(r, "missed")
			// Who dials first gets the only context: the one whose session has no use for it.
			for _, old := range []*wsClient{sharer, owner} {
				c := r.dial(target)
				c.wantOp(wire.OpHello)
				c.takeOver(old)
				c.wantEvent("MESSAGE_CREATE")
				c.wantEvent("RESUMED")
				c.send(1, fmt.Sprint(c.seq))
				c.wantOp(wire.OpHeartbeatAck)
			}
		})
	}
}

// TestPayloadCompression looks for the zlib document of a client that asked for it in IDENTIFY.
func TestPayloadCompression(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{}, func(c *core) { c.limits.sealBytesMin = 512 })
	r.user(10, true)
	r.guild(100, 10)
	c := r.dial("/?v=9&encoding=json")
	c.wantOp(wire.OpHello)
	c.identify(10, `,"compress":true`)
	if d := c.wantEvent("GUILD_CREATE"); d.opcode != wire.OpcodeBinary {
		t.Errorf("GUILD_CREATE came as a %v frame, want binary", d.opcode)
	}
}
