// Command compression measures what the compressed transports cost: bytes, processor time of the
// node per event and per delivery, and memory of a connection.
//
//	go run ./bench/compression
//
// The events are those of bench/corpus. Without compression and with shared blocks 9,000 sessions
// get them; a compressor of the connection's own takes nearly a megabyte, so there it is fewer. It
// needs 20,000 descriptors, writes bench/results/compression.json, and ends by itself after some
// five minutes.
package main

import (
	"context"
	"fmt"
	"time"

	"throng/bench/corpus"
	"throng/bench/internal/crowd"
	"throng/bench/internal/server"
	"throng/bench/internal/trial"
	"throng/bench/load"
	"throng/wire"
)

const (
	channels = 20
	authors  = 200
	// manyEvents go to everybody, singleEvents to a single receiver.
	manyEvents   = 50
	singleEvents = 400
	seed         = 20261121
	settle       = 2 * time.Second
)

// mode is one way in which a connection gets its frames.
type mode struct {
	name      string
	compress  wire.Compression
	flags     []string
	receivers int
	first     int // This many connect first, for the slope of memory.
}

// Own contexts get a budget that is enough for all of their receivers.
var (
	own   = []string{"-compress-context", "1G"}
	modes = []mode{
		{"none", wire.CompressionNone, nil, 9000, 1000},
		{"zlib-stream, shared", wire.CompressionZlib, nil, 9000, 1000},
		{"zstd-stream, shared", wire.CompressionZstd, nil, 9000, 1000},
		{"zlib-stream, own context", wire.CompressionZlib, own, 1000, 200},
		{"zstd-stream, own context", wire.CompressionZstd, own, 1000, 200},
	}
)

type bench struct {
	*trial.Trial
	events []corpus.Event
}

func main() {
	trial.Main("compression", "What do the compressed transports cost?", trial.Options{},
		func(ctx context.Context, t *trial.Trial) error {
			b := &bench{Trial: t, events: corpus.Make(seed, singleEvents, place())}
			err := b.EachRun(ctx, func(int) error {
				for _, m := range modes {
					if err := b.mode(ctx, m); err != nil {
						return fmt.Errorf("%s: %w", m.name, err)
					}
				}
				return nil
			})
			if err == nil {
				b.conclude()
			}
			return err
		})
}

// place is guild 0, whose first users write and never connect.
func place() corpus.Place {
	p := corpus.Place{Guild: server.GuildID(0)}
	for i := range channels {
		p.Channels = append(p.Channels, server.ChannelID(0, i))
	}
	for i := range authors {
		p.Authors = append(p.Authors, server.UserID(i))
	}
	return p
}

// mode measures one transport on a node of its own.
func (b *bench) mode(ctx context.Context, m mode) error {
	// Heartbeats are so rare that none of their answers is taken for an event where nobody reads
	// the stream.
	flags := append([]string{"-heartbeat-interval", "30m"}, m.flags...)
	node, err := b.Throng(ctx, flags...)
	if err != nil {
		return err
	}
	b.Result.Servers[m.name] = b.Result.Servers["throng"]
	defer func() { _ = node.Stop() }()
	if err := node.PutGuild(ctx, 0, channels); err != nil {
		return err
	}
	// Invisible clients hear of everybody's presence, and nobody hears of theirs.
	clients := load.Config{Compress: m.compress, Intents: wire.IntentsBot, Status: "invisible",
		Sample: 1e-9, Heartbeat: 24 * time.Hour, NoReturn: true}
	writers := crowd.Group{Name: "writers", Connections: authors}
	single := crowd.Group{Name: "single", First: authors, Connections: 1, Clients: clients}
	first := crowd.Group{Name: "first", First: authors + 1, Connections: m.first - 1,
		Clients: clients}
	rest := crowd.Group{Name: "rest", First: authors + m.first,
		Connections: m.receivers - m.first, Clients: clients}
	for _, g := range []crowd.Group{writers, single, first, rest} {
		if err := g.Provision(ctx, node, 0); err != nil {
			return err
		}
	}
	var c crowd.Crowd
	defer c.Stop()
	if err := b.single(ctx, m, node, &c, single); err != nil {
		return err
	}
	if err := b.memory(ctx, m, node, &c, first, rest); err != nil {
		return err
	}
	return b.many(ctx, m, node, &c)
}

// single gives events to one receiver: what an event costs whoever gets it.
func (b *bench) single(ctx context.Context, m mode, node *server.Throng, c *crowd.Crowd,
	g crowd.Group) error {
	if err := c.Join(ctx, node, g); err != nil {
		return err
	}
	cpu, err := node.CPU()
	if err != nil {
		return err
	}
	_, err = c.DeliverAny(ctx, uint64(len(b.events)), func() error {
		for _, e := range b.events {
			if err := node.Publish(ctx, 0, e.Line); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	after, err := node.CPU()
	if err != nil {
		return err
	}
	b.Samples.Add(m.name+" µs/event", (after-cpu).Seconds()*1e6/float64(len(b.events)))
	return nil
}

// memory connects everybody and takes the slope of resident memory.
func (b *bench) memory(ctx context.Context, m mode, node *server.Throng, c *crowd.Crowd,
	groups ...crowd.Group) error {
	err := crowd.FillJournals(ctx, node, load.Config{}, crowd.JournalBytes)
	if err != nil {
		return err
	}
	var resident []int64
	for _, g := range groups {
		if err := c.Join(ctx, node, g); err != nil {
			return err
		}
		if err := trial.Pause(ctx, settle); err != nil {
			return err
		}
		r, err := node.Resident()
		if err != nil {
			return err
		}
		resident = append(resident, r)
	}
	b.Samples.Add(m.name+" resident B/connection",
		float64(resident[1]-resident[0])/float64(m.receivers-m.first))
	return nil
}

// many gives events to everybody, one when the last has been read.
func (b *bench) many(ctx context.Context, m mode, node *server.Throng, c *crowd.Crowd) error {
	deliver := func(events []corpus.Event) error {
		for _, e := range events {
			_, err := c.DeliverAny(ctx, uint64(m.receivers), func() error {
				return node.Publish(ctx, 0, e.Line)
			})
			if err != nil {
				return fmt.Errorf("%s: %w", e.Name, err)
			}
		}
		return nil
	}
	if err := deliver(b.events[:2]); err != nil {
		return err
	}
	before, err := node.Metrics(ctx)
	if err != nil {
		return err
	}
	cpu, err := node.CPU()
	if err != nil {
		return err
	}
	if err := deliver(b.events[:manyEvents]); err != nil {
		return err
	}
	after, err := node.CPU()
	if err != nil {
		return err
	}
	metrics, err := node.Metrics(ctx)
	if err != nil {
		return err
	}
	d, frames := metrics.Since(before), float64(manyEvents*m.receivers)
	b.Samples.Add(m.name+" µs/delivery", (after-cpu).Seconds()*1e6/frames)
	b.Samples.Add(m.name+" B/delivery", d["throng_sent_bytes_total"]/frames)
	b.Note("%s: %.0f bytes, %.2f µs per delivery", m.name, d["throng_sent_bytes_total"]/frames,
		(after-cpu).Seconds()*1e6/frames)
	return nil
}
