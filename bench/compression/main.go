// Command compression measures what the compressed transports cost: bytes, processor time of the
// node per event and per delivery, and memory of a connection.
//
//	go run ./bench/compression
//
// The events are those of bench/corpus. What a delivery costs with shared deflate blocks and with
// relocated zstd blocks differs by little from one without compression, so each is measured beside
// that on one node, on guilds of 9,000 that take turns. A compressor of the connection's own takes
// nearly a megabyte, so there the sessions are fewer, on a node of their own; what such compressors
// could reach is measured beside, on the same texts, with and without heartbeats between. It needs
// 20,000 descriptors, writes bench/results/compression.json, and ends by itself after some ten
// minutes.
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
	// manyEvents go to everybody, turnEvents at a time where transports take turns, singleEvents to
	// a single receiver.
	manyEvents   = 120
	turnEvents   = 4
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
		{"zstd-stream, relocated", wire.CompressionZstd, nil, 9000, 1000},
		{"zlib-stream, own context", wire.CompressionZlib, own, 1000, 200},
		{"zstd-stream, own context", wire.CompressionZstd, own, 1000, 200},
	}
)

type bench struct {
	*trial.Trial
	events [][]corpus.Event // By guild.
}

func main() {
	trial.Main("compression", "What do the compressed transports cost?",
		trial.Options{Timeout: 30 * time.Minute},
		func(ctx context.Context, t *trial.Trial) error {
			b := &bench{Trial: t}
			for guild := range modes {
				b.events = append(b.events, corpus.Make(seed, singleEvents, place(guild)))
			}
			err := b.EachRun(ctx, func(int) error {
				for _, m := range modes {
					if err := b.mode(ctx, m); err != nil {
						return fmt.Errorf("%s: %w", m.name, err)
					}
				}
				for _, m := range modes[1:] {
					if m.flags == nil {
						if err := b.beside(ctx, m); err != nil {
							return fmt.Errorf("%s beside none: %w", m.name, err)
						}
					}
				}
				return b.yardsticks(ctx)
			})
			if err == nil {
				b.conclude()
			}
			return err
		})
}

// place is a guild. The first users write, in each of them, and never connect.
func place(guild int) corpus.Place {
	p := corpus.Place{Guild: server.GuildID(guild)}
	for i := range channels {
		p.Channels = append(p.Channels, server.ChannelID(guild, i))
	}
	for i := range authors {
		p.Authors = append(p.Authors, server.UserID(i))
	}
	return p
}

// node starts one and makes guilds with the writers in them. Heartbeats are so rare that none of
// their answers is taken for an event where nobody reads the stream.
func (b *bench) node(ctx context.Context, guilds int, flags ...string) (*server.Throng, error) {
	node, err := b.Throng(ctx, append([]string{"-heartbeat-interval", "30m"}, flags...)...)
	if err != nil {
		return nil, err
	}
	writers := crowd.Group{Name: "writers", Connections: authors}
	for guild := range guilds {
		if err = node.PutGuild(ctx, guild, channels); err == nil {
			err = writers.Provision(ctx, node, guild)
		}
		if err != nil {
			_ = node.Stop()
			return nil, err
		}
	}
	return node, nil
}

// clients are invisible: they hear of everybody's presence, and nobody hears of theirs.
func (m mode) clients() load.Config {
	return load.Config{Compress: m.compress, Intents: wire.IntentsBot, Status: "invisible",
		Sample: 1e-9, Heartbeat: 24 * time.Hour, NoReturn: true}
}

// mode measures one transport on a node of its own.
func (b *bench) mode(ctx context.Context, m mode) error {
	node, err := b.node(ctx, 1, m.flags...)
	if err != nil {
		return err
	}
	b.Result.Servers[m.name] = b.Result.Servers["throng"]
	defer func() { _ = node.Stop() }()
	clients := m.clients()
	single := crowd.Group{Name: "single", First: authors, Connections: 1, Clients: clients}
	first := crowd.Group{Name: "first", First: authors + 1, Connections: m.first - 1,
		Clients: clients}
	rest := crowd.Group{Name: "rest", First: authors + m.first,
		Connections: m.receivers - m.first, Clients: clients}
	for _, g := range []crowd.Group{single, first, rest} {
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
	if m.flags == nil {
		return nil // Measured together.
	}
	if err := deliver(ctx, m, 0, node, &c, b.events[0][:turnEvents]); err != nil {
		return err
	}
	var sum tally
	if err := b.many(ctx, m, 0, node, &c, b.events[0][:manyEvents], &sum); err != nil {
		return err
	}
	b.add(m, sum)
	return nil
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
	events := b.events[0]
	_, err = c.DeliverAny(ctx, uint64(len(events)), func() error {
		for _, e := range events {
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
	b.Samples.Add(m.name+" µs/event", (after-cpu).Seconds()*1e6/float64(len(events)))
	return nil
}

// memory connects everybody and takes the slope of the heap in use.
func (b *bench) memory(ctx context.Context, m mode, node *server.Throng, c *crowd.Crowd,
	groups ...crowd.Group) error {
	err := crowd.FillJournals(ctx, node, load.Config{}, crowd.JournalBytes)
	if err != nil {
		return err
	}
	var heap []float64
	for _, g := range groups {
		if err := c.Join(ctx, node, g); err != nil {
			return err
		}
		if err := trial.Pause(ctx, settle); err != nil {
			return err
		}
		if err := node.CollectGarbage(ctx); err != nil {
			return err
		}
		figures, err := node.Metrics(ctx)
		if err != nil {
			return err
		}
		heap = append(heap, figures["go_memstats_heap_alloc_bytes"])
	}
	b.Samples.Add(m.name+" heap B/connection",
		(heap[1]-heap[0])/float64(m.receivers-m.first))
	return nil
}

// beside measures a transport that needs no compressor of its own beside plain, on one node: each
// has a guild, and they take turns, so that both have seen the same machine. Who begins changes.
func (b *bench) beside(ctx context.Context, m mode) error {
	side := []mode{modes[0], m}
	node, err := b.node(ctx, len(side))
	if err != nil {
		return err
	}
	defer func() { _ = node.Stop() }()
	var c crowd.Crowd
	defer c.Stop()
	first := authors
	for guild, m := range side {
		g := crowd.Group{Name: fmt.Sprint("guild", guild), First: first, Connections: m.receivers,
			Clients: m.clients()}
		first += m.receivers
		if err := g.Provision(ctx, node, guild); err != nil {
			return err
		}
		if err := c.Join(ctx, node, g); err != nil {
			return err
		}
	}
	sums := make([]tally, len(side))
	for turn := 0; turn*turnEvents <= manyEvents; turn++ {
		if turn == 1 {
			clear(sums) // The first is to warm up.
		}
		for i := range side {
			guild := (turn + i) % len(side)
			events := b.events[guild][turn*turnEvents:][:turnEvents]
			if err := b.many(ctx, side[guild], guild, node, &c, events, &sums[guild]); err != nil {
				return err
			}
		}
	}
	b.Samples.Add(m.name+besidePlain, sums[1].each()/sums[0].each())
	b.add(m, sums[1])
	if m.compress == wire.CompressionZstd {
		b.add(side[0], sums[0])
	}
	return nil
}

// besidePlain is behind the name of a transport that was measured beside plain.
const besidePlain = ", times the CPU of plain"

// tally is what deliveries took.
type tally struct {
	cpu           time.Duration
	bytes, frames float64
}

// each is the processor time of a delivery, in microseconds.
func (t tally) each() float64 { return t.cpu.Seconds() * 1e6 / t.frames }

func (b *bench) add(m mode, sum tally) {
	each := sum.each()
	b.Samples.Add(m.name+" µs/delivery", each)
	b.Samples.Add(m.name+" B/delivery", sum.bytes/sum.frames)
	b.Note("%s: %.0f bytes, %.2f µs per delivery", m.name, sum.bytes/sum.frames, each)
}

// many gives events to everybody in a guild.
func (b *bench) many(ctx context.Context, m mode, guild int, node *server.Throng, c *crowd.Crowd,
	events []corpus.Event, sum *tally) error {
	before, err := node.Metrics(ctx)
	if err != nil {
		return err
	}
	cpu, err := node.CPU()
	if err != nil {
		return err
	}
	if err := deliver(ctx, m, guild, node, c, events); err != nil {
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
	sum.cpu += after - cpu
	sum.bytes += metrics.Since(before)["throng_sent_bytes_total"]
	sum.frames += float64(len(events) * m.receivers)
	return nil
}

// deliver publishes events, one when the last has been read by everybody.
func deliver(ctx context.Context, m mode, guild int, node *server.Throng, c *crowd.Crowd,
	events []corpus.Event) error {
	for _, e := range events {
		_, err := c.DeliverAny(ctx, uint64(m.receivers), func() error {
			return node.Publish(ctx, guild, e.Line)
		})
		if err != nil {
			return fmt.Errorf("%s: %w", e.Name, err)
		}
	}
	return nil
}
