package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"

	"throng/bench/internal/client"
	"throng/bench/internal/crowd"
	"throng/bench/internal/server"
	"throng/wire"
)

// yardstick is a compressor that a connection could have for itself, better than those that a node
// gives to connections; its bytes alone are measured.
type yardstick struct {
	name  string
	limit float64 // What relocated blocks may take, times as much.
	make  func(w io.Writer) (flusher, error)
}

type flusher interface {
	io.Writer
	Flush() error
}

var yardsticks = []yardstick{
	{"compressor per connection: zstd level 3, window 256 KiB", 1.3,
		func(w io.Writer) (flusher, error) {
			return zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedDefault),
				zstd.WithWindowSize(256<<10), zstd.WithEncoderConcurrency(1))
		}},
	{"compressor per connection: zlib level 6", 1,
		func(w io.Writer) (flusher, error) { return zlib.NewWriterLevel(w, 6) }},
}

// yardsticks packs what a session hears of the events, as plain frames, with compressors that have
// seen the same before as all other transports' sessions: GUILD_CREATE and the events of a turn.
func (b *bench) yardsticks(ctx context.Context) error {
	all, err := b.listen(ctx)
	if err != nil {
		return err
	}
	for _, y := range yardsticks {
		var out bytes.Buffer
		w, err := y.make(&out)
		if err != nil {
			return err
		}
		sum := 0
		for i, said := range all[:1+turnEvents+manyEvents] {
			out.Reset()
			_, err := w.Write(said.text)
			if err == nil {
				err = w.Flush()
			}
			if err != nil {
				return fmt.Errorf("%s: %w", y.name, err)
			}
			if i > turnEvents {
				sum += wire.FrameHeaderBytes(out.Len()) + out.Len()
			}
		}
		each := float64(sum) / manyEvents
		b.Samples.Add(y.name+" B/delivery", each)
		b.Note("%s: %.0f bytes per delivery", y.name, each)
	}
	return b.between(all[1:])
}

// quiet is how long nothing has to come for an event to be missing.
const quiet = 30 * time.Second

// said is a dispatch as a session gets it: in parts, and as a whole with its number.
type said struct {
	name    string
	d, text []byte
}

// listen returns GUILD_CREATE and the events.
func (b *bench) listen(ctx context.Context) (all []said, err error) {
	node, err := b.node(ctx, 1)
	if err != nil {
		return nil, err
	}
	defer func() { _ = node.Stop() }()
	reader := crowd.Group{Name: "reader", First: authors, Connections: 1}
	if err := reader.Provision(ctx, node, 0); err != nil {
		return nil, err
	}
	token := strings.ReplaceAll(server.Tokens(reader.Name), "{i}", "0")
	s, err := client.Identify(ctx, node.Gateway, token, wire.IntentsBot)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	add := func(name string, d []byte) {
		frame, hole := wire.AppendDispatch(nil, 0, name, d)
		wire.PutSeq(frame, hole, 0, uint32(1+len(all)))
		all = append(all, said{name, bytes.Clone(d), frame[wire.FrameHeaderBytes(len(frame)):]})
	}
	guild, err := s.Await("GUILD_CREATE")
	if err != nil {
		return nil, err
	}
	add("GUILD_CREATE", guild)
	for _, e := range b.events[0] {
		if err := node.Publish(ctx, 0, e.Line); err != nil {
			return nil, err
		}
		name, d, err := s.Next(quiet)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.Name, err)
		}
		add(name, d)
	}
	return all, nil
}
