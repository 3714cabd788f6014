// Command guild measures one guild of a million members with 18,000 sessions: what a day in it
// costs, what that would cost without the mechanisms for large guilds, and for how long its shard,
// and with it all guilds on that shard, stands still for one thing.
//
//	go run ./bench/guild
//
// A guild is loaded by lines over HTTP. Then members join, leave and change their names at a rate,
// and meanwhile, one after the other: sessions ask for the list of all members, the list is
// exported, and roles that every member has are deleted. Then 18,000 of its members connect, of
// whom one in ten looks at the guild, and the day begins: see passive.go, day.go, sharing.go and
// memo.go. The stall is the node's own account of its longest handling of one message of each kind
// (throng_handle_seconds_max). It writes bench/results/guild.json and ends by itself after some
// eight minutes.
package main

import (
	"context"
	"flag"
	"fmt"
	"time"

	"throng/bench/internal/server"
	"throng/bench/internal/trial"
	"throng/tuning"
)

const (
	bigGuild = 0
	// rate is of changes of members in a second, and each phase lasts so long at least.
	rate      = 500
	phaseSpan = 5 * time.Second
	// lists and exports are made so many at a time, and so many roles are deleted.
	lists   = 4
	exports = 2
	// sweepTimeout is how long a deleted role may take to be gone from all records.
	sweepTimeout = 5 * time.Minute
)

type bench struct {
	*trial.Trial
	members  int
	sessions int
	day      time.Duration
	data     bool
}

func main() {
	members := flag.Int("members", 1_000_000, "members of the guild")
	sessions := flag.Int("sessions", 18_000, "of members who are connected")
	day := flag.Duration("day", 40*time.Second, "how long the day is")
	data := flag.Bool("data", false, "keep the guild on the disk and not in memory")
	trial.Main("guild", "What does a day in a guild of a million members cost?",
		trial.Options{Timeout: 40 * time.Minute},
		func(ctx context.Context, t *trial.Trial) error {
			if *members < tuning.PassiveMembersMin {
				return fmt.Errorf("-members %d: nobody is passive in a guild of less than %d",
					*members, tuning.PassiveMembersMin)
			}
			b := &bench{t, *members, *sessions, *day, *data}
			err := b.EachRun(ctx, func(run int) error { return b.run(ctx, run) })
			if err == nil {
				b.conclude()
			}
			return err
		})
}

// run is one run: a node, its guild, and the phases.
func (b *bench) run(ctx context.Context, run int) error {
	var flags []string
	if b.data {
		flags = []string{"-data", b.Program(fmt.Sprint("data", run))}
	}
	node, err := b.Throng(ctx, flags...)
	if err != nil {
		return err
	}
	defer func() { _ = node.Stop() }()
	noise := startNoise()
	defer func() {
		longest, jump := noise.end()
		b.Samples.Add("noise ms", longest.Seconds()*1e3)
		b.Samples.Add("noise worked ms", jump.Seconds()*1e3)
	}()
	s, err := b.register(ctx, node)
	if err != nil {
		return err
	}
	defer s.stop()
	if err := b.load(ctx, node); err != nil {
		return fmt.Errorf("load: %w", err)
	}
	if err := b.stalls(ctx, node, "load"); err != nil {
		return err
	}
	for _, phase := range []struct {
		name string
		run  func(ctx context.Context, node *server.Throng) error
	}{
		{"changes", func(ctx context.Context, _ *server.Throng) error {
			return trial.Pause(ctx, phaseSpan)
		}},
		{"lists", b.lists},
		{"exports", b.exports},
		{"roles", b.deleteRoles},
	} {
		changes := startChanges(ctx, node, b.members)
		began := time.Now()
		err := phase.run(ctx, node)
		took := time.Since(began)
		made, failed := changes.stop()
		if err == nil {
			err = failed
		}
		if err != nil {
			return fmt.Errorf("%s: %w", phase.name, err)
		}
		b.Samples.Add(phase.name+" s", took.Seconds())
		b.Samples.Add(phase.name+" changes/s", float64(made)/took.Seconds())
		if err := b.stalls(ctx, node, phase.name); err != nil {
			return err
		}
	}
	if err := b.live(ctx, s); err != nil {
		return err
	}
	b.measureMemo()
	return node.Check(ctx)
}

// live is what has to do with sessions.
func (b *bench) live(ctx context.Context, s *sessions) error {
	if err := s.connect(ctx); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	b.Note("%d sessions are there, of whom %d listen", s.count, s.looking)
	if err := b.stalls(ctx, s.node, "arrival"); err != nil {
		return err
	}
	for _, phase := range []struct {
		name string
		run  func(ctx context.Context, s *sessions) error
	}{{"passive", b.comparePassive}, {"day", b.runDay}, {"sharing", b.compareSharing}} {
		began := time.Now()
		if err := phase.run(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", phase.name, err)
		}
		b.Samples.Add(phase.name+" s", time.Since(began).Seconds())
		if err := b.stalls(ctx, s.node, phase.name); err != nil {
			return err
		}
	}
	return nil
}
