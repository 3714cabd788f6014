// Command seeing measures what it costs a node to be looked at: the flight recorder, tracing of
// which nothing is sampled, and the operator's questions.
//
//	go run ./bench/seeing
//
// Nodes with each setting have 5,000 sessions in one guild and take turns at delivering the same
// events, with nothing to batch and with ten pending. It needs 17,000 descriptors, writes
// bench/results/seeing.json, and ends by itself after some three minutes.
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"time"

	"throng/bench/internal/crowd"
	"throng/bench/internal/report"
	"throng/bench/internal/server"
	"throng/bench/internal/trial"
)

const (
	frameBytes  = 300
	flightBytes = "8M"
	rounds      = 8
	benchRuns   = 5
)

// plain is the side that the others are compared with.
const plain = "neither"

var pendings = []int{1, 10}

// side is a node with one setting, and its clients.
type side struct {
	name  string
	flags []string
	node  *server.Throng
	crowd crowd.Crowd
}

type bench struct {
	*trial.Trial
	receivers int
	sides     []*side
}

func main() {
	receivers := flag.Int("receivers", 5000, "sessions in the guild")
	trial.Main("seeing", "What does it cost a node to be looked at?",
		trial.Options{Runs: benchRuns}, func(ctx context.Context, t *trial.Trial) error {
			b := &bench{Trial: t, receivers: *receivers}
			if err := b.measure(ctx); err != nil {
				return err
			}
			b.conclude()
			return nil
		})
}

func (b *bench) measure(ctx context.Context) error {
	// Nobody listens there, and nothing is sent.
	collector, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer collector.Close()
	b.sides = []*side{
		{name: plain, flags: []string{"-flight", "0"}},
		{name: "-flight " + flightBytes, flags: []string{"-flight", flightBytes}},
		{name: "-otlp, not sampled", flags: []string{"-flight", "0", "-otlp",
			"http://" + collector.Addr().String()}},
	}
	for _, s := range b.sides {
		if err := b.start(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		defer func() { _ = s.node.Stop() }()
		defer s.crowd.Stop()
	}
	return b.EachRun(ctx, func(run int) error {
		for _, pending := range pendings {
			for i := range b.sides {
				s := b.sides[(i+run)%len(b.sides)] // None has the same place each time.
				if err := b.deliver(ctx, s, pending); err != nil {
					return fmt.Errorf("%s: %w", s.name, err)
				}
			}
		}
		return nil
	})
}

func (b *bench) start(ctx context.Context, s *side) (err error) {
	if s.node, err = b.Throng(ctx, s.flags...); err != nil {
		return err
	}
	group := crowd.Group{Name: "all", Connections: b.receivers}
	if err = s.node.PutGuild(ctx, 0, 1); err != nil {
		return err
	}
	if err = group.Provision(ctx, s.node, 0); err != nil {
		return err
	}
	return s.crowd.Join(ctx, s.node, group)
}

func key(side string, pending int) string { return fmt.Sprintf("%s, %d pending", side, pending) }

// deliver measures rounds of so many events at once. A first round warms up and is not counted.
func (b *bench) deliver(ctx context.Context, s *side, pending int) error {
	var before time.Duration
	for round := range rounds + 1 {
		if round == 1 {
			var err error
			if before, err = s.node.CPU(); err != nil {
				return err
			}
		}
		_, err := s.crowd.Deliver(ctx, uint64(pending*b.receivers), func() error {
			return s.node.Publish(ctx, 0, crowd.Events(0, frameBytes, pending))
		})
		if err != nil {
			return err
		}
	}
	after, err := s.node.CPU()
	if err != nil {
		return err
	}
	frames := float64(rounds * pending * b.receivers)
	b.Samples.Add(key(s.name, pending), (after-before).Seconds()*1e6/frames)
	return nil
}

// conclude says what was found.
func (b *bench) conclude() {
	var rows [][]string
	for _, s := range b.sides {
		row := []string{s.name}
		for _, pending := range pendings {
			row = append(row, report.Number(b.Samples.Median(key(s.name, pending))),
				report.Number(b.Samples.Ratio(key(s.name, pending), key(plain, pending))))
		}
		rows = append(rows, row)
	}
	b.Result.Table("", []string{"processor time per delivery", "1 pending, µs", "×",
		"10 pending, µs", "×"}, rows)
	for _, s := range b.sides[1:] {
		b.Result.Say("With `%s` a delivery costs %s times as much when it is alone, and %s times "+
			"with ten pending.", s.name,
			report.Number(b.Samples.Ratio(key(s.name, 1), key(plain, 1))),
			report.Number(b.Samples.Ratio(key(s.name, 10), key(plain, 10))))
	}
}
