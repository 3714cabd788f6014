package node

import (
	"context"
	"math"
	"runtime/debug"
	"sync"

	"throng/fanout"
	"throng/node/api"
	"throng/tuning"
)

// dials are the settings that an operator may turn while the node runs.
//
// Loops and shards read some of them for every message and take no lock for it: each has a copy of
// its own, and is asked, as for its figures, to put another in its place between two messages. With
// one copy for all, behind an atomic pointer, a turn could begin with one limit and end with
// another, and every owner would have to be read for such places.
type dials struct {
	gcPercent, memoryLimit    int64
	acceptRate, acceptBurst   int64
	identifyRate              int64
	identifyBurst             int64
	resumeRate, resumeBurst   int64
	loopPass, relayPass       int64
	putOff, flushPass         int64
	guildBehind, guildEvents  int64
	shardInbox                int64
	presenceMilli             int64
	presenceMaxMilli          int64
	stallMilli, tracePermille int64
}

// dialsOf is what the limits say.
func dialsOf(s *settings) dials {
	return dials{
		acceptRate: s.acceptRate, acceptBurst: s.acceptBurst,
		identifyRate: s.identifyRate, identifyBurst: s.identifyBurst,
		resumeRate: s.resumeRate, resumeBurst: s.resumeBurst,
		loopPass: int64(s.loopPassMax), relayPass: int64(s.relayPassMax),
		putOff: int64(s.putOffMax), flushPass: int64(s.flushPassMax),
		guildBehind: int64(s.guildBehindMax), guildEvents: int64(s.guildEventsMax),
		shardInbox:       int64(s.shardInboxMax),
		presenceMilli:    s.guild.PresencePeriodMilli,
		presenceMaxMilli: s.guild.PresencePeriodMaxMilli,
		tracePermille:    1000,
	}
}

// named is where each setting of tuning.Settings is.
func (d *dials) named() map[string]*int64 {
	return map[string]*int64{
		"gc_percent": &d.gcPercent, "memory_limit": &d.memoryLimit,
		"accept_rate": &d.acceptRate, "accept_burst": &d.acceptBurst,
		"identify_rate": &d.identifyRate, "identify_burst": &d.identifyBurst,
		"resume_rate": &d.resumeRate, "resume_burst": &d.resumeBurst,
		"loop_pass_max": &d.loopPass, "relay_pass_max": &d.relayPass,
		"put_off_max": &d.putOff, "flush_pass_max": &d.flushPass,
		"guild_behind_max": &d.guildBehind, "guild_events_max": &d.guildEvents,
		"shard_inbox_max": &d.shardInbox,
		"presence_period": &d.presenceMilli, "presence_period_max": &d.presenceMaxMilli,
		"stall_limit": &d.stallMilli, "trace_share": &d.tracePermille,
	}
}

// panel is what the dials stand at.
type panel struct {
	// Guarded by mu.
	mu         sync.Mutex
	began, now dials
}

// setDials gives everybody the dials that the node begins with.
func (n *Node) setDials() {
	d := dialsOf(&n.core.limits)
	d.gcPercent, d.memoryLimit = int64(n.cfg.GCPercent), int64(n.cfg.MemoryLimit)
	d.stallMilli = n.cfg.StallLimit.Milliseconds()
	n.panel.began, n.panel.now = d, d
	for _, l := range n.core.loops {
		l.dials = d
	}
}

// Tuning is the settings, and where they stand.
func (n *Node) Tuning() []api.Tunable {
	n.panel.mu.Lock()
	defer n.panel.mu.Unlock()
	// PATCH /v1/stalls turns this one too.
	n.panel.now.stallMilli = n.core.stalls.limit.Load() / 1e6
	began, now := n.panel.began.named(), n.panel.now.named()
	var all []api.Tunable
	for _, s := range tuning.Settings() {
		all = append(all, api.Tunable{Name: s.Name, Value: *now[s.Name], Default: *began[s.Name],
			Least: s.Least, Most: s.Most, Unit: s.Unit, Meaning: s.Meaning})
	}
	return all
}

// tuned is what stands elsewhere than when the node began.
func (n *Node) tuned() map[string]int64 {
	changed := map[string]int64{}
	for _, t := range n.Tuning() {
		if t.Value != t.Default {
			changed[t.Name] = t.Value
		}
	}
	return changed
}

// Tune turns dials, all that are named or none; nil turns one back to where it began. It returns
// when the owners have taken their copies; one that is too busy for that takes it when it comes to
// it.
func (n *Node) Tune(ctx context.Context, changes map[string]*int64) error {
	n.panel.mu.Lock()
	defer n.panel.mu.Unlock()
	was := n.panel.now
	was.stallMilli = n.core.stalls.limit.Load() / 1e6
	next := was
	began, to := n.panel.began.named(), next.named()
	bounds := map[string]tuning.Setting{}
	for _, s := range tuning.Settings() {
		bounds[s.Name] = s
	}
	for name, value := range changes {
		s, known := bounds[name]
		switch {
		case !known:
			return api.Invalid(name, "there is no such setting")
		case value == nil:
			*to[name] = *began[name]
		case *value < s.Least || *value > s.Most:
			return api.Invalid(name, "%d is not from %d to %d", *value, s.Least, s.Most)
		default:
			*to[name] = *value
		}
	}
	if next.presenceMaxMilli < next.presenceMilli {
		return api.Invalid("presence_period_max", "%d is less than presence_period, %d",
			next.presenceMaxMilli, next.presenceMilli)
	}
	n.panel.now = next
	old, set := was.named(), next.named()
	for name := range changes {
		n.log.Info("a setting was changed, until the node ends", "setting", name,
			"value", *set[name], "was", *old[name])
	}
	ctx, cancel := context.WithTimeout(ctx, tuning.AsideTimeout)
	defer cancel()
	n.core.turn(ctx, &was, next)
	return nil
}

// turn hands the dials to who reads them.
func (c *core) turn(ctx context.Context, was *dials, d dials) {
	if d.gcPercent != was.gcPercent && d.gcPercent != 0 {
		debug.SetGCPercent(int(d.gcPercent))
	}
	if d.memoryLimit != was.memoryLimit {
		c.heapMost.Store(d.memoryLimit)
	}
	if d.stallMilli != was.stallMilli {
		c.stalls.limit.Store(d.stallMilli * 1e6)
	}
	c.accepts.set(d.acceptRate, d.acceptBurst)
	c.starts.set(d.identifyRate, d.identifyBurst)
	c.returns.set(d.resumeRate, d.resumeBurst)
	var taken []chan struct{}
	hand := func(w *stopwatch, take func()) {
		done := make(chan struct{})
		taken = append(taken, done)
		w.ask(func() {
			take()
			close(done)
		})
	}
	for _, l := range c.loops {
		hand(&l.stats.stopwatch, func() { l.dials = d })
	}
	for _, s := range c.shards {
		s.inbox.limitTo(int(d.shardInbox))
		hand(&s.stats.stopwatch, func() { s.turn(d) })
	}
	for _, done := range taken {
		select {
		case <-done:
		case <-ctx.Done():
			return
		}
	}
}

// turn takes a copy, and tells the guilds of it that are here: 10 ns each.
func (s *shard) turn(d dials) {
	was := s.dials
	s.dials = d
	if was.presenceMilli == d.presenceMilli && was.presenceMaxMilli == d.presenceMaxMilli {
		return
	}
	for _, p := range s.guilds {
		if p.guild != nil {
			p.guild.SetPresencePeriod(d.presenceMilli, d.presenceMaxMilli)
		}
	}
}

// attuned is a guild that has come to the shard, nil being none, with the shard's dials.
func (s *shard) attuned(g *fanout.Guild) *fanout.Guild {
	if g != nil {
		g.SetPresencePeriod(s.dials.presenceMilli, s.dials.presenceMaxMilli)
	}
	return g
}

// heapLimit is GOMEMLIMIT as debug.SetMemoryLimit takes it.
func heapLimit(bytes int64) int64 {
	if bytes == 0 {
		return math.MaxInt64
	}
	return bytes
}
