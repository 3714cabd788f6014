package main

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"throng/bench/internal/report"
	"throng/bench/internal/server"
	"throng/bench/internal/trial"
)

// scenario is one thing that is done to the cluster, and undone.
type scenario struct {
	name string
	// hits says whose guilds are concerned: those of one node, or with everyone all of them. It is
	// one guild that moves.
	hits hit
	many bool // It is done runs times, and not rareRuns.
	cut  bool // It needs namespaces.
	// do does it; undo is called when all concerned guilds are heard again.
	do, undo func(ctx context.Context, b *bench, victim int) error
	// limit is on the worst gap, in seconds; 0: none.
	limit float64
	// gone: nothing can be asked of the victim's door meanwhile.
	gone bool
}

type hit int

const (
	guildsOfNode hit = iota
	everyGuild
	oneGuild
)

const gapLimit = 3 // Seconds.

var scenarios = []scenario{
	{name: "kill -9", many: true, gone: true, limit: gapLimit,
		do: func(_ context.Context, b *bench, victim int) error { return b.trio.kill(victim) },
		undo: func(ctx context.Context, b *bench, victim int) error {
			return b.trio.start(ctx, victim)
		}},
	{name: "SIGSTOP", many: true, gone: true, limit: gapLimit,
		do: func(_ context.Context, b *bench, victim int) error {
			return b.trio.freeze(victim, true)
		},
		undo: func(_ context.Context, b *bench, victim int) error {
			return b.trio.freeze(victim, false)
		}},
	{name: "partition", many: true, cut: true, limit: gapLimit,
		do: func(_ context.Context, b *bench, victim int) error {
			return b.trio.places.cut(victim, true)
		},
		undo: func(_ context.Context, b *bench, victim int) error {
			return b.trio.places.cut(victim, false)
		}},
	{name: "drain", limit: gapLimit, do: drain,
		undo: func(ctx context.Context, b *bench, victim int) error {
			return b.trio.start(ctx, victim)
		}},
	{name: "move", hits: oneGuild, limit: gapLimit,
		do: func(ctx context.Context, b *bench, victim int) error {
			to := b.trio.members[(victim+1)%nodesCount].name
			return b.trio.members[victim].process().Move(ctx, b.mover(ctx, victim), to)
		},
		undo: func(ctx context.Context, b *bench, victim int) error {
			return b.moveBack(ctx, victim)
		}},
	{name: "nats-server killed and started", hits: everyGuild, do: restart(
		func(t *trio) *engine { return t.nats }), undo: nothing},
	{name: "etcd killed and started", hits: everyGuild, limit: gapLimit, do: restart(
		func(t *trio) *engine { return t.etcd }), undo: nothing},
}

func nothing(context.Context, *bench, int) error { return nil }

func (s *scenario) runs(most int) int {
	if s.many {
		return most
	}
	return min(most, rareRuns)
}

// restart kills an engine and starts it again on what it has kept.
func restart(which func(t *trio) *engine) func(context.Context, *bench, int) error {
	return func(ctx context.Context, b *bench, _ int) error {
		e := which(b.trio)
		if err := e.process.Stop(); err != nil {
			return err
		}
		return e.start(ctx)
	}
}

// drain ends a node in order.
func drain(ctx context.Context, b *bench, victim int) error {
	node := b.trio.members[victim].process()
	if err := node.Drain(); err != nil {
		return err
	}
	select {
	case <-node.Gone():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// mover is the first guild that a node owns.
func (b *bench) mover(ctx context.Context, node int) int {
	if owned, err := b.owned(ctx, node); err == nil && len(owned) > 0 {
		return owned[0]
	}
	return 0
}

// moveBack takes all pins away.
func (b *bench) moveBack(ctx context.Context, victim int) error {
	c, err := b.trio.members[victim].process().Cluster(ctx)
	if err != nil {
		return err
	}
	for g := range b.load.guilds {
		if _, pinned := c.Pins[server.GuildID(g).String()]; pinned {
			if err := b.trio.members[victim].process().Move(ctx, g, ""); err != nil {
				return err
			}
		}
	}
	return nil
}

// owned are the guilds of a node.
func (b *bench) owned(ctx context.Context, node int) (guilds []int, err error) {
	m := b.trio.members[node]
	for g := range b.load.guilds {
		owner, err := m.process().Owner(ctx, g)
		if err != nil {
			return nil, err
		}
		if owner == m.name {
			guilds = append(guilds, g)
		}
	}
	return guilds, nil
}

// calm is for how long latency is taken before something is done, and is waited for afterwards.
const calm = 2 * time.Second

// scenario does it once: some calm, the fault, until all concerned are heard again, the end of the
// fault, until everything is as before.
func (b *bench) scenario(ctx context.Context, s scenario, run int) error {
	victim := run % nodesCount
	concerned, others, err := b.concerned(ctx, s, victim)
	if err != nil {
		return err
	}
	nodes := slices.Clone(allNodes)
	if s.hits == guildsOfNode {
		nodes = slices.Delete(nodes, victim, victim+1)
	}
	m := b.load.model
	m.timeOnly(func(guild, door int) bool {
		return others[guild] && door != victim && door != natsDoor
	})
	if err := trial.Pause(ctx, calm); err != nil {
		return err
	}
	before, cuts := m.timeOnly(m.timed), m.cutsOf(nodes)
	m.mark()
	began := time.Now()
	if err := s.do(ctx, b, victim); err != nil {
		return err
	}
	b.load.closed[victim].Store(s.gone || s.cut)
	if err := until(ctx, "event of the guilds concerned", func() error {
		return b.load.silent(concerned, nodes, began)
	}); err != nil {
		return err
	}
	if err := trial.Pause(ctx, calm/2); err != nil {
		return err
	}
	during, gaps := m.timeOnly(nil), m.gaps(concerned, nodes)
	b.keep(s, before, during, gaps)
	if err := s.undo(ctx, b, victim); err != nil {
		return err
	}
	if err := b.trio.whole(ctx); err != nil {
		return err
	}
	b.load.closed[victim].Store(false)
	if err := b.load.settled(ctx); err != nil {
		return err
	}
	b.judge(s, m.cutsOf(nodes)-cuts)
	return nil
}

// concerned are the guilds that a scenario is about, and which are not.
func (b *bench) concerned(ctx context.Context, s scenario, victim int) (guilds []int,
	others map[int]bool, err error) {
	if guilds, err = b.owned(ctx, victim); err != nil {
		return nil, nil, err
	}
	others = map[int]bool{}
	for _, g := range b.load.all() {
		others[g] = !slices.Contains(guilds, g)
	}
	switch {
	case s.hits == everyGuild:
		guilds = b.load.all()
	case len(guilds) == 0:
		return nil, nil, fmt.Errorf("node %d owns no guild", victim)
	case s.hits == oneGuild:
		guilds = guilds[:1]
	}
	return guilds, others, nil
}

// keep keeps what was measured.
func (b *bench) keep(s scenario, before, during []float64, gaps []time.Duration) {
	worst := slices.Max(gaps).Seconds()
	b.Samples.Add(s.name+" worst gap s", worst)
	slices.Sort(gaps)
	b.Samples.Add(s.name+" median gap s", gaps[len(gaps)/2].Seconds())
	b.Samples.Add(s.name+" guilds", float64(len(gaps)))
	if s.hits == guildsOfNode {
		b.Samples.Add(s.name+" others p99 before ms", p99(before))
		b.Samples.Add(s.name+" others p99 during ms", p99(during))
	}
	b.Note("%s: %d guilds, worst gap %.2f s, median %.2f s, others' p99 %s ms, before %s",
		s.name, len(gaps), worst, gaps[len(gaps)/2].Seconds(), report.Number(p99(during)),
		report.Number(p99(before)))
}

// judge keeps what must not have been.
func (b *bench) judge(s scenario, cuts int) {
	f := b.load.model.take()
	b.Samples.Add(s.name+" lost", float64(f.lost))
	b.Samples.Add(s.name+" doubled", float64(f.doubled))
	b.Samples.Add(s.name+" reordered", float64(f.reordered))
	b.Samples.Add(s.name+" outages", float64(f.outages))
	b.Samples.Add(s.name+" sessions cut", float64(cuts))
	b.faults.words = append(b.faults.words, f.words...)
	if f.sum()+cuts > 0 {
		b.Note("%s: %d lost, %d doubled, %d reordered, %d outages told, %d sessions cut", s.name,
			f.lost, f.doubled, f.reordered, f.outages, cuts)
	}
	for _, w := range f.words {
		b.Note("  %s", w)
	}
}

func p99(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	slices.Sort(values)
	return values[(len(values)-1)*99/100]
}
