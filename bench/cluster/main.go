// Command cluster runs three nodes with real etcd and NATS on this machine, takes something away
// from them while they serve, and measures for how long guilds go without events.
//
//	bench/cluster/run                   all of it, from one command
//	bench/cluster/run -quick -dirty     one run of each scenario
//
// Some ninety guilds live on the three nodes, each with one session on every node, and one event
// each quarter of a second that goes in through the nodes' doors and NATS in turn. A scenario does
// one thing to one node or engine. The gap of a guild is the longest time that any session of it
// on another node has waited for the next event, so a quarter of a second is in it always. All
// that all sessions hear is checked meanwhile; see model. As root each node has a network
// namespace of its own, without which there is no partition. It writes bench/results/cluster.json,
// and ends by itself, with all that it has started and made. Start reading at scenarios.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"throng/bench/internal/trial"
)

const (
	// runs is how often a node is lost in each way; what is not a loss is done rareRuns times.
	runs     = 20
	rareRuns = 5
)

type bench struct {
	*trial.Trial
	trio   *trio
	load   *load
	faults faults
	cut    bool     // Partitions are possible.
	only   []string // What to run; none: all.
}

func main() {
	quick := flag.Bool("quick", false, "one run of each scenario, and keep nothing")
	guilds := flag.Int("guilds", 90, "guilds")
	only := flag.String("only", "", "the `scenarios` to run, by commas; needs -dirty")
	period := flag.Duration("period", 250*time.Millisecond, "between two events of a guild")
	count := flag.Int("links", 100_000, "links that die in the scenario links")
	perNode := flag.Int("herd", 5000, "sessions of each node in the scenario herd")
	trial.Main("cluster", "For how long is a guild silent when its node is lost?",
		trial.Options{Runs: runs, Timeout: time.Hour},
		func(ctx context.Context, t *trial.Trial) error {
			b := &bench{Trial: t, cut: os.Getuid() == 0}
			if (*quick || *only != "") && !t.Dirty {
				return errors.New("only all scenarios and runs are worth keeping; give -dirty too")
			}
			if *only != "" {
				b.only = strings.Split(*only, ",")
			}
			if *quick {
				t.Runs = 1
			}
			return b.run(ctx, *guilds, *period, *perNode, *count)
		})
}

// wants says whether something is to be run.
func (b *bench) wants(what string) bool {
	return len(b.only) == 0 || slices.Contains(b.only, what)
}

// run is all of it.
func (b *bench) run(ctx context.Context, guilds int, period time.Duration, perNode,
	count int) (err error) {
	if err := buildEngines(ctx, b.Root, b.Folder); err != nil {
		return err
	}
	b.trio, err = startTrio(ctx, b.Folder, b.cut)
	defer b.trio.stop()
	if err != nil {
		return err
	}
	if b.wants("packets") {
		if err := b.packets(ctx, guilds); err != nil {
			return fmt.Errorf("packets: %w", err)
		}
	}
	if slices.ContainsFunc(scenarios, func(s scenario) bool { return b.wants(s.name) }) {
		if err := b.takeAway(ctx, guilds, period); err != nil {
			return err
		}
	}
	if b.wants(herdName) {
		if err := b.herds(ctx, perNode); err != nil {
			return fmt.Errorf("%s: %w", herdName, err)
		}
	}
	if b.wants(linksName) {
		if err := b.linkDeaths(ctx, count); err != nil {
			return fmt.Errorf("%s: %w", linksName, err)
		}
	}
	b.conclude()
	b.concludeHerd(perNode)
	b.concludeLinks()
	return nil
}

// takeAway runs the scenarios under load.
func (b *bench) takeAway(ctx context.Context, guilds int, period time.Duration) (err error) {
	if err := provision(ctx, b.trio, guilds); err != nil {
		return fmt.Errorf("provision: %w", err)
	}
	b.load, err = startLoad(ctx, b.trio, guilds, period)
	defer b.load.end()
	if err != nil {
		return err
	}
	b.Note("%d guilds are served to %d sessions", guilds, nodesCount*watchersPerNode)
	for _, s := range scenarios {
		if s.cut && !b.cut {
			b.Note("%s: needs root, for network namespaces", s.name)
			continue
		}
		if !b.wants(s.name) {
			continue
		}
		for run := range s.runs(b.Runs) {
			if err := b.scenario(ctx, s, run); err != nil {
				return fmt.Errorf("%s: %w%s", s.name, err, b.words())
			}
		}
	}
	return nil
}

// words are what is known of what went wrong.
func (b *bench) words() (text string) {
	b.faults.words = append(b.faults.words, b.load.model.take().words...)
	for _, w := range b.faults.words {
		text += "\n  " + w
	}
	if first := b.load.firstError.Load(); first != nil {
		text += "\n  the first event that was not taken: " + (*first).Error()
	}
	return text
}
