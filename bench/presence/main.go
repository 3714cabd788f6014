// Command presence measures what it does to a guild that 100,000 of its members log in within a
// minute.
//
//	go run ./bench/presence
//
// A guild of 100,000 members has a thousand sessions that listen to messages, twenty a second, and
// are timed: while nothing else happens; while people log in and out again a few seconds later, and
// nobody follows their presences; and the same while a hundred bots follow them. It writes
// bench/results/presence.json and ends by itself after some twelve minutes.
package main

import (
	"context"
	"flag"
	"fmt"
	"time"

	"throng/bench/internal/crowd"
	"throng/bench/internal/server"
	"throng/bench/internal/trial"
)

const (
	guild     = 0
	listeners = 1000
	followers = 100
	probeRate = 20
	idleSpan  = 15 * time.Second
	// settle is how long nothing may be delivered before a phase counts as over.
	settle   = time.Second
	drainMax = 5 * time.Minute
)

// phases are in the order in which they are run.
var phases = []string{"idle", "logins", "followed"}

type bench struct {
	*trial.Trial
	members int
	span    time.Duration
}

func main() {
	members := flag.Int("members", 100_000, "members of the guild, each of whom logs in")
	span := flag.Duration("span", time.Minute, "within this time")
	trial.Main("presence", "What does it do to a guild that all its members log in?",
		trial.Options{Timeout: 25 * time.Minute},
		func(ctx context.Context, t *trial.Trial) error {
			b := &bench{t, *members, *span}
			err := b.EachRun(ctx, func(int) error { return b.run(ctx) })
			if err == nil {
				b.conclude()
			}
			return err
		})
}

// run is one run: a node, its guild, and the phases.
func (b *bench) run(ctx context.Context) error {
	node, err := b.Throng(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = node.Stop() }()
	if err := node.PutGuild(ctx, guild, 1); err != nil {
		return err
	}
	if err := node.PutUsers(ctx, people, 0, b.members); err != nil {
		return err
	}
	if err := node.PutMembers(ctx, guild, 0, b.members); err != nil {
		return err
	}
	var heard, following crowd.Crowd
	defer heard.Stop()
	defer following.Stop()
	group := crowd.Group{Name: "listener", First: b.members, Connections: listeners, Bots: true}
	if err := join(ctx, node, &heard, group); err != nil {
		return err
	}
	for _, phase := range phases {
		if phase == "followed" {
			group := crowd.Group{Name: "follower", First: b.members + listeners,
				Connections: followers, Bots: true}
			group.Clients.Intents = crowd.IntentsQuiet | presences
			if err := join(ctx, node, &following, group); err != nil {
				return err
			}
		}
		if err := b.phase(ctx, node, &heard, &following, phase); err != nil {
			return fmt.Errorf("%s: %w", phase, err)
		}
	}
	return node.Check(ctx)
}

func join(ctx context.Context, node *server.Throng, c *crowd.Crowd, g crowd.Group) error {
	if err := g.Provision(ctx, node, guild); err != nil {
		return err
	}
	return c.Join(ctx, node, g)
}

// phase times messages while people log in, or do not.
func (b *bench) phase(ctx context.Context, node *server.Throng, heard, following *crowd.Crowd,
	phase string) error {
	before, err := node.Metrics(ctx)
	if err != nil {
		return err
	}
	heard.Take()
	told := following.Dispatched()
	probing := startProbe(ctx, node)
	var l logins
	if phase == "idle" {
		err = trial.Pause(ctx, idleSpan)
	} else {
		err = l.run(ctx, node.Gateway, b.members, b.span)
	}
	probes, failed := probing.stop()
	if err == nil {
		err = failed
	}
	if err != nil {
		return err
	}
	ended := time.Now()
	if err := trial.Drain(ctx, node, settle, drainMax); err != nil {
		return err
	}
	after, err := node.Metrics(ctx)
	if err != nil {
		return err
	}
	seen := heard.Take()
	if missing := uint64(probes*listeners) - seen.Delivered; missing != 0 {
		return fmt.Errorf("%d messages have not come", missing)
	}
	add := func(name string, value float64) { b.Samples.Add(phase+" "+name, value) }
	add("p50 ms", seen.Event.P50)
	add("p99 ms", seen.Event.P99)
	add("max ms", seen.Event.Max)
	if phase != "idle" {
		add("login p50 ms", l.quantile(0.50))
		add("login p99 ms", l.quantile(0.99))
		add("logins/s", float64(b.members)/l.took.Seconds())
	}
	if phase == "followed" {
		presences := float64(following.Dispatched()-told) - float64(probes*followers)
		add("presences", presences)
		add("presences/s", presences/(l.took+time.Since(ended)-settle).Seconds())
		add("of changes", presences/float64(2*b.members*followers))
		add("behind s", (time.Since(ended) - settle).Seconds())
	}
	deliveries := after.Since(before)["throng_deliveries_total"]
	b.Note("%s: p50 %.2f ms, p99 %.2f ms, %.0f deliveries", phase, seen.Event.P50, seen.Event.P99,
		deliveries)
	return nil
}
