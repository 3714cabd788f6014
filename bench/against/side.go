package main

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"time"

	"throng/bench/internal/crowd"
	"throng/bench/internal/server"
	"throng/bench/load"
	"throng/wire"
)

// room is the one that package load gives to the only guild of a shape of one.
const room = "room-0"

// running is a server of one side, started.
type running struct {
	process *server.Process
	publish func(ctx context.Context, events [][]byte) error
	// config is how clients of that side connect.
	config load.Config
	// prepare makes the users that a group of clients will be; nil for those who need none. It is
	// done for all before memory is looked at: users are not connections.
	prepare func(ctx context.Context, g crowd.Group) error
}

// side is one of those that are compared.
type side struct {
	name  string
	start func(ctx context.Context, b *bench) (*running, error)
	// event is one event that alone makes a WebSocket frame of frameBytes.
	event func(now time.Time) []byte
}

// What is around a payload of three digits of bytes when its frame is sent alone.
const (
	natsAround       = "MSG " + room + " 1 276\r\n" + "\r\n"
	centrifugeAround = `{"push":{"channel":"` + room + `","pub":{"data":` + `}}}`
)

var sides = []side{
	{"throng", startThrong, func(now time.Time) []byte {
		return bytes.TrimSpace(crowd.Event(0, frameBytes, now))
	}},
	{"nats-server", peer("nats", load.TargetNATS, "/"), payload(len(natsAround))},
	{"centrifuge", peer("centrifuge", load.TargetCentrifuge, "/connection/websocket"),
		payload(len(centrifugeAround))},
	{"hub", peer("hub", load.TargetWS, "/"), payload(0)},
}

// payload makes events for a server that puts so many bytes around them.
func payload(around int) func(now time.Time) []byte {
	size := frameBytes - wire.FrameHeaderBytes(frameBytes) - around
	return func(now time.Time) []byte {
		b := append([]byte(`{"ts":`), strconv.FormatInt(now.UnixNano(), 10)...)
		b = append(b, `,"fill":"`...)
		return append(append(b, bytes.Repeat([]byte("x"), size-len(b)-2)...), `"}`...)
	}
}

// startThrong starts a node with one guild.
func startThrong(ctx context.Context, b *bench) (*running, error) {
	node, err := b.Throng(ctx)
	if err != nil {
		return nil, err
	}
	if err := crowd.FillJournals(ctx, node, load.Config{}, crowd.JournalBytes); err != nil {
		_ = node.Stop()
		return nil, err
	}
	return &running{
		process: node.Process,
		publish: func(ctx context.Context, events [][]byte) error {
			return node.Publish(ctx, 0, append(bytes.Join(events, []byte("\n")), '\n'))
		},
		prepare: func(ctx context.Context, g crowd.Group) error {
			return g.Provision(ctx, node, 0)
		},
		config: load.Config{URL: "ws://" + node.Gateway + "/"},
	}, node.PutGuild(ctx, 0, 1)
}

// peer starts one of bench/peers.
func peer(program string, target load.Target, path string) func(context.Context, *bench) (
	*running, error) {
	return func(ctx context.Context, b *bench) (*running, error) {
		p, err := server.StartPeer(ctx, program, b.Program(program), program == "nats")
		if err != nil {
			return nil, err
		}
		return &running{
			process: p.Process,
			publish: func(ctx context.Context, events [][]byte) error {
				return p.Publish(ctx, room, events)
			},
			config: load.Config{Target: target, URL: "ws://" + p.WS + path},
		}, nil
	}
}

// build compiles the peers, which are a module of their own.
func (b *bench) build(ctx context.Context) error {
	folder := filepath.Join(b.Root, "bench", "peers")
	for _, name := range []string{"nats", "centrifuge", "hub"} {
		if err := server.Build(ctx, folder, "./"+name, b.Program(name)); err != nil {
			return fmt.Errorf("peers: %w", err)
		}
	}
	return nil
}

// join connects a group and waits until all are ready.
func (r *running) join(ctx context.Context, c *crowd.Crowd, g crowd.Group) error {
	config := r.config
	config.Connections, config.NoReturn = g.Connections, true
	if config.Target == "" {
		config.Token, config.Intents = server.Tokens(g.Name), crowd.IntentsQuiet
	}
	return c.Start(ctx, config)
}
