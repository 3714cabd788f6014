package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"throng/bench/internal/crowd"
	"throng/bench/internal/report"
	"throng/bench/internal/trial"
	clients "throng/bench/load"
	"throng/tuning"
)

const (
	herdName   = "herd"
	herdGuilds = 100
	// herdPeriod is between two events of a guild, and so of a session, which is in one.
	herdPeriod     = time.Second
	herdFrameBytes = 300
	// Users and guilds are far from those of the other scenarios.
	herdUser  = 1_000_000
	herdGuild = 1_000_000

	herdCalm    = 5 * time.Second
	herdTimeout = 90 * time.Second
	// herdWindow is for how long latencies are taken together: it is the worst window that counts.
	herdWindow = time.Second
	herdLimit  = 1000 // Milliseconds.
)

// herd is a node that is killed with thousands of sessions, which all come to the others at once:
// they try to resume, are told that their session is no more, and identify. Each session gets an
// event a second meanwhile. Time is taken of all events but those of guilds that are between two
// nodes: for how long these are silent is what the other scenarios measure.
type herd struct {
	// Static after construction.
	bench  *bench
	victim int
	others []int // The nodes that stay.

	crowds     []crowd.Crowd // By node, the one at which they began.
	publishers sync.WaitGroup

	// Atomic.
	between [herdGuilds]atomic.Bool // Guilds without an event since the loss.
	refused atomic.Int64
}

// herds does it so often.
func (b *bench) herds(ctx context.Context, perNode int) error {
	if err := b.provisionHerd(ctx, perNode); err != nil {
		return fmt.Errorf("provision: %w", err)
	}
	for run := range min(b.Runs, rareRuns) {
		h := &herd{bench: b, victim: run % nodesCount, crowds: make([]crowd.Crowd, nodesCount)}
		for n := range nodesCount {
			if n != h.victim {
				h.others = append(h.others, n)
			}
		}
		if err := h.run(ctx, perNode); err != nil {
			return err
		}
	}
	return nil
}

// herdGroup is the users that begin at a node.
func herdGroup(node, perNode int) crowd.Group {
	return crowd.Group{Name: fmt.Sprint(herdName, node), First: herdUser + node*perNode,
		Connections: perNode, Bots: true}
}

// provisionHerd makes the users and the guilds, each of which has as many users of every node.
func (b *bench) provisionHerd(ctx context.Context, perNode int) error {
	n := b.trio.members[0].process()
	for node := range nodesCount {
		g := herdGroup(node, perNode)
		if err := n.PutBots(ctx, g.Name, g.First, g.First+g.Connections); err != nil {
			return err
		}
	}
	for guild := range herdGuilds {
		if err := n.PutGuild(ctx, herdGuild+guild, 1); err != nil {
			return err
		}
		for node := range nodesCount {
			first := herdUser + node*perNode
			from, to := perNode*guild/herdGuilds, perNode*(guild+1)/herdGuilds
			if err := n.PutMembers(ctx, herdGuild+guild, first+from, first+to); err != nil {
				return err
			}
		}
	}
	return nil
}

// run is one loss.
func (h *herd) run(ctx context.Context, perNode int) error {
	defer func() {
		for i := range h.crowds {
			h.crowds[i].Stop()
		}
	}()
	for node := range h.crowds {
		if err := h.join(ctx, node, perNode); err != nil {
			return err
		}
	}
	owned, err := h.owned(ctx)
	if err != nil {
		return err
	}
	publishing, cancel := context.WithCancel(ctx)
	defer h.publishers.Wait()
	defer cancel()
	for guild := range herdGuilds {
		h.publishers.Go(func() { h.publish(publishing, guild) })
	}
	if err := trial.Pause(ctx, herdCalm); err != nil {
		return err
	}
	calm := h.take()
	began, err := h.lose(ctx, owned)
	if err != nil {
		return err
	}
	worst, back, seen, err := h.follow(ctx, began, perNode*nodesCount)
	if err != nil {
		return err
	}
	if err := h.keep(ctx, calm, worst, back, seen); err != nil {
		return err
	}
	cancel()
	if err := h.bench.trio.start(ctx, h.victim); err != nil {
		return err
	}
	return h.bench.trio.whole(ctx)
}

// join connects the users of a node. When they lose it they go to the others, as behind a
// balancer.
func (h *herd) join(ctx context.Context, node, perNode int) error {
	g := herdGroup(node, perNode)
	var elsewhere []string
	for i, m := range h.bench.trio.members {
		if i != node {
			elsewhere = append(elsewhere, "ws://"+m.process().Gateway+"/")
		}
	}
	// The nodes are this machine's, in namespaces of their own.
	g.Clients = clients.Config{AllowRemote: true, Elsewhere: strings.Join(elsewhere, ",")}
	return h.crowds[node].Join(ctx, h.bench.trio.members[node].process(), g)
}

// owned are the victim's guilds.
func (h *herd) owned(ctx context.Context) (guilds []int, err error) {
	m := h.bench.trio.members[h.victim]
	for guild := range herdGuilds {
		owner, err := m.process().Owner(ctx, herdGuild+guild)
		if err != nil {
			return nil, err
		}
		if owner == m.name {
			guilds = append(guilds, guild)
		}
	}
	if len(guilds) == 0 {
		return nil, fmt.Errorf("node %s owns no guild", m.name)
	}
	return guilds, nil
}

// publish posts a guild's events at the nodes that stay, one after the other.
func (h *herd) publish(ctx context.Context, guild int) {
	if trial.Pause(ctx, herdPeriod*time.Duration(guild)/herdGuilds) != nil {
		return
	}
	tick := time.NewTicker(herdPeriod)
	defer tick.Stop()
	for turn := guild; ; turn++ {
		event, between := crowd.Event(herdGuild+guild, herdFrameBytes, time.Now()),
			h.between[guild].Load()
		if between { // Nobody times it.
			event = bytes.Replace(event, []byte(`"ts":`), []byte(`"no":`), 1)
		}
		m := h.bench.trio.members[h.others[turn%len(h.others)]]
		switch err := m.process().Publish(ctx, herdGuild+guild, event); {
		case ctx.Err() != nil:
			return
		case err != nil:
			h.refused.Add(1)
		default:
			h.between[guild].CompareAndSwap(between, false)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// lose kills the victim.
func (h *herd) lose(ctx context.Context, owned []int) (began time.Time, err error) {
	for _, guild := range owned {
		h.between[guild].Store(true)
	}
	// What is on its way to these has come.
	if err := trial.Pause(ctx, herdPeriod); err != nil {
		return began, err
	}
	for _, guild := range owned {
		h.between[guild].Store(true)
	}
	h.take()
	return time.Now(), h.bench.trio.kill(h.victim)
}

// take is what everybody has seen since it was last asked.
func (h *herd) take() clients.Phase {
	var all crowd.Crowd
	for i := range h.crowds {
		all.Add(&h.crowds[i])
	}
	return all.Take()
}

// follow looks at all windows until everybody has been back for some.
func (h *herd) follow(ctx context.Context, began time.Time, sessions int) (worst clients.Quantiles,
	back time.Duration, sum clients.Counts, err error) {
	sum.Resumes, sum.Closes = map[string]uint64{}, map[string]uint64{}
	for calm := 0; calm < int(herdCalm/herdWindow); {
		if err := trial.Pause(ctx, herdWindow); err != nil {
			return worst, back, sum, err
		}
		p, live := h.take(), 0
		for i := range h.crowds {
			live += h.crowds[i].Live()
		}
		if p.Event.P99 > worst.P99 {
			worst = p.Event
		}
		sum.SequenceGaps += p.SequenceGaps
		sum.Duplicates += p.Duplicates
		sum.Delivered += p.Delivered
		for why, n := range p.Resumes {
			sum.Resumes[why] += n
		}
		for why, n := range p.Closes {
			sum.Closes[why] += n
		}
		if calm++; live < sessions {
			calm, back = 0, time.Since(began)
		}
		if time.Since(began) > herdTimeout {
			return worst, back, sum, fmt.Errorf("%d of %d sessions are back after %v; resumes %v, "+
				"ends %v", live, sessions, herdTimeout, sum.Resumes, sum.Closes)
		}
	}
	return worst, back, sum, nil
}

// herdBudget is what a node may take that has so many sessions, as the check of the host has it.
func herdBudget(sessions int) int64 {
	return tuning.BaseBytes + int64(runtime.GOMAXPROCS(0))*tuning.JournalBytes +
		int64(sessions)*tuning.SessionBytes
}

// keep keeps what was measured.
func (h *herd) keep(ctx context.Context, calm clients.Phase, worst clients.Quantiles,
	back time.Duration, seen clients.Counts) error {
	most := int64(0)
	for _, n := range h.others {
		node := h.bench.trio.members[n].process()
		resident, err := node.ResidentMost()
		if err != nil {
			return err
		}
		most = max(most, resident)
		if err := node.Check(ctx); err != nil {
			return err
		}
	}
	for guild := range herdGuilds {
		if h.between[guild].Load() {
			return errors.New("a guild takes no events though everybody is back")
		}
	}
	s := h.bench.Samples
	s.Add(herdName+" p99 before ms", calm.Event.P99)
	s.Add(herdName+" worst p99 ms", worst.P99)
	s.Add(herdName+" back s", back.Seconds())
	s.Add(herdName+" most MB", float64(most)/1e6)
	s.Add(herdName+" gaps", float64(seen.SequenceGaps+seen.Duplicates))
	s.Add(herdName+" ends", float64(sumOf(seen.Closes)))
	h.bench.Note("%s: all are back after %.1f s, p99 of the worst second %s ms, before %s, %d MB "+
		"at most, %d not taken, resumes %v, ends %v", herdName, back.Seconds(),
		report.Number(worst.P99), report.Number(calm.Event.P99), most/1e6, h.refused.Load(),
		seen.Resumes, seen.Closes)
	return nil
}

func sumOf(counts map[string]uint64) (sum uint64) {
	for _, n := range counts {
		sum += n
	}
	return sum
}

// concludeHerd says what was found.
func (b *bench) concludeHerd(perNode int) {
	r, s := b.Result, b.Samples
	worst := s[herdName+" worst p99 ms"]
	if len(worst) == 0 {
		return
	}
	sessions := nodesCount * perNode / (nodesCount - 1)
	r.Table("A node is killed with as many sessions as each of the others", []string{"sessions",
		"runs", "of one node", "until the last is back, s", "p99 before, ms",
		"p99 of the worst second, ms", "a node's memory at most, MB",
		"numbers missing or twice"}, [][]string{{
		report.Number(float64(nodesCount * perNode)), fmt.Sprint(len(worst)),
		report.Number(float64(perNode)), report.Number(s.Median(herdName + " back s")),
		report.Number(s.Median(herdName + " p99 before ms")), report.Number(slices.Max(worst)),
		report.Number(slices.Max(s[herdName+" most MB"])),
		report.Number(slices.Max(s[herdName+" gaps"]))}})
	r.Say("Those of the killed node go to the others within a second and try to resume. As long " +
		"as its lease lasts they are told to try again, and then that the session is no more; " +
		"before each, clients wait for one to five seconds, as op 9 asks. A guild of the killed " +
		"node is timed again from the first event that another node takes.")
	r.Reach(report.Figure{What: "p99 of events in the worst second of a herd of " +
		report.Number(float64(perNode)), Measured: slices.Max(worst), Unit: "ms", Limit: herdLimit})
	r.Reach(report.Figure{What: "memory of a node that it comes to",
		Measured: slices.Max(s[herdName+" most MB"]), Unit: "MB",
		Limit: float64(herdBudget(sessions) / 1e6),
		Note:  fmt.Sprintf("the budget of %s sessions", report.Number(float64(sessions)))})
}
