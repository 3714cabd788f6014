package main

import (
	"context"
	"fmt"
	"time"

	"throng/bench/internal/crowd"
	"throng/bench/internal/trial"
	"throng/bench/load"
)

// attack is one kind of bad peers.
type attack struct {
	name, says string
	span       time.Duration
	large      bool     // events
	closes     []string // the reasons for which the node is to close them
	// prepare makes what has to be there before; what it returns attacks until its context ends.
	prepare preparation
}

type (
	assault     func(ctx context.Context) error
	preparation func(ctx context.Context, s *scene) (assault, error)
)

const (
	idle = 100 // of the sessions of the same guild that do not read
	// readSpan is longer than a session may have something to read and not read it, and readBuffer
	// what the kernel takes for one of them, which is soon full.
	readSpan    = 45 * time.Second
	readBuffer  = 32 << 10
	attackSpan  = 8 * time.Second
	slowSockets = 10_000
	flooders    = 4
	vanishing   = 2000
	clearLimit  = 5 * time.Second
	// besides are descriptors and goroutines of requests to the other doors, which come and go.
	besides = 20
)

var attacks = []attack{
	{name: "frozen", says: fmt.Sprintf("%d more sessions of the guild stop to read", idle),
		span: readSpan, large: true, closes: []string{"slow_reader", "connection_lost"},
		prepare: readers(load.Config{Frozen: 1})},
	{name: "slow", says: fmt.Sprintf("%d more read 1,000 bytes a second", idle),
		span: readSpan, large: true, closes: []string{"slow_reader", "connection_lost"},
		prepare: readers(load.Config{Slow: 1})},
	{name: "slowloris", says: "10,000 connections send a request at one octet a second",
		span: attackSpan, closes: []string{"handshake_timeout"},
		prepare: func(_ context.Context, s *scene) (assault, error) { return s.trickle, nil }},
	{name: "pings", says: fmt.Sprintf("%d clients send 10,000 pings a second", flooders),
		span: attackSpan, closes: []string{"ping_flood"}, prepare: floods(pings)},
	{name: "commands", says: fmt.Sprintf("%d clients do so with commands", flooders),
		span: attackSpan, closes: []string{"command_flood"}, prepare: floods(commands)},
	{name: "vanishing", says: fmt.Sprintf("%d sessions reset their connections at once", vanishing),
		span: attackSpan, closes: []string{"connection_lost"}, prepare: vanish},
}

// users are numbered behind those who behave, each attack's apart.
const (
	userReaders   = good
	userFlooders  = userReaders + 2*idle
	userVanishing = userFlooders + flooders
)

// readers are sessions of the same guild who begin to read badly.
func readers(clients load.Config) preparation {
	clients.NoReturn, clients.ReceiveBuffer = true, readBuffer
	return func(ctx context.Context, s *scene) (assault, error) {
		g := crowd.Group{Name: "bad", First: userReaders, Connections: idle, Clients: clients}
		if clients.Slow > 0 {
			g.Name, g.First = "slow", userReaders+idle
		}
		if err := g.Provision(ctx, s.node, goodGuild); err != nil {
			return nil, err
		}
		bad := &crowd.Crowd{}
		if err := bad.Join(ctx, s.node, g); err != nil {
			return nil, err
		}
		return func(ctx context.Context) error {
			defer bad.Stop()
			if got := bad.Freeze(); got != idle {
				return fmt.Errorf("%d of %d were there to read badly", got, idle)
			}
			<-ctx.Done()
			return nil
		}, nil
	}
}

// vanish is sessions of another guild who go all at once; their sessions wait to be resumed.
func vanish(ctx context.Context, s *scene) (assault, error) {
	g := crowd.Group{Name: "vanishing", First: userVanishing, Connections: vanishing}
	if err := s.node.PutGuild(ctx, goodGuild+1, 1); err != nil {
		return nil, err
	}
	if err := g.Provision(ctx, s.node, goodGuild+1); err != nil {
		return nil, err
	}
	vanishing := &crowd.Crowd{}
	if err := vanishing.Join(ctx, s.node, g); err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		defer vanishing.Stop()
		if err := trial.Pause(ctx, settleSpan); err != nil {
			return err
		}
		began := time.Now()
		vanishing.Cut()
		err := s.gone(ctx)
		s.Samples.Add("vanishing gone after s", time.Since(began).Seconds())
		<-ctx.Done()
		return err
	}, nil
}

// gone waits until the node has no connections but those of who behave, and of who dials, and no
// descriptors or goroutines of others.
func (s *scene) gone(ctx context.Context) error {
	return trial.Until(ctx, clearLimit, "the end of all connections", func() (bool, error) {
		m, err := s.node.Metrics(ctx)
		return m["throng_connections"] <= good+1 &&
			m["process_open_fds"] <= s.base["process_open_fds"]+besides &&
			m["go_goroutines"] <= s.base["go_goroutines"]+besides, err
	})
}

// cleared waits until the attack has left nothing open.
func (s *scene) cleared(ctx context.Context, a attack) error {
	began := time.Now()
	err := s.gone(ctx)
	s.Samples.Add(a.name+" cleared after s", time.Since(began).Seconds())
	return err
}
