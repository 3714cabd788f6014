package main

import (
	"context"
	"fmt"
	"time"

	"throng/bench/internal/crowd"
	"throng/bench/internal/host"
	"throng/bench/internal/server"
	"throng/bench/internal/trial"
	"throng/bench/load"
)

const (
	// bigGuild is everybody's, probeGuild that of the one whose events are timed.
	bigGuild   = 0
	probeGuild = 1
	probeRate  = 10
	probeBytes = 300
	settle     = 3 * time.Second
	// A quiet node gives memory back, and the runtime does little by little. It is at rest when
	// less than restShare went in restSpan, or after restMax. In the guest these are longer: a
	// collection alone takes a quarter of a minute there.
	restSpan      = 12 * time.Second
	restSpanGuest = time.Minute
	restShare     = 0.001
	restMax       = time.Minute
	restMaxGuest  = 10 * time.Minute
	// idleMin is longer than the two minutes after which a collection is forced, and idleMax is
	// how long that is waited for.
	idleMin = 125 * time.Second
	idleMax = 160 * time.Second
)

// subject is a node under measurement.
type subject struct {
	node    *server.Throng
	clients load.Config
	crowd   crowd.Crowd
	journal int // -journal, in bytes
	// With sessions; without, these are restSpan and restMax.
	restSpan, restMax time.Duration
	add               func(name string, value float64)
	note              func(format string, args ...any)
}

// reading is what the node and the kernel hold at one moment.
type reading struct {
	resident, rest, kernel int64
	heap                   float64 // In use, after a collection.
}

// read takes a reading: resident memory as it is after things have happened, garbage and all, and
// as it is at rest, when the collector has run and the runtime has given back what it does not
// need. An idle node comes to rest by itself, within some minutes.
func (s *subject) read(ctx context.Context, span, most time.Duration) (r reading, err error) {
	if err = trial.Pause(ctx, settle); err != nil {
		return r, err
	}
	if r.resident, err = s.node.Resident(); err != nil {
		return r, err
	}
	if r.kernel, err = host.KernelMemory(); err != nil {
		return r, err
	}
	if err = s.node.CollectGarbage(ctx); err != nil {
		return r, err
	}
	metrics, err := s.node.Metrics(ctx)
	if err != nil {
		return r, err
	}
	r.heap = metrics["go_memstats_heap_alloc_bytes"]
	r.rest, err = s.rest(ctx, span, most)
	return r, err
}

// rest waits until resident memory no longer falls.
func (s *subject) rest(ctx context.Context, span, most time.Duration) (int64, error) {
	before, err := s.node.Resident()
	for end := time.Now().Add(most); err == nil && time.Now().Before(end); {
		if err := trial.Pause(ctx, span); err != nil {
			return 0, err
		}
		var now int64
		if now, err = s.node.Resident(); float64(before-now) < restShare*float64(before) {
			return now, err
		}
		before = now
	}
	return before, err
}

// slopes connects first and then all, and takes what each between the two costs.
func (s *subject) slopes(ctx context.Context, first, all int) error {
	bare, err := s.read(ctx, restSpan, restMax)
	if err != nil {
		return err
	}
	groups := []crowd.Group{
		{Name: "first", Connections: first, Clients: s.clients},
		{Name: "rest", First: first, Connections: all - first, Clients: s.clients},
	}
	if err := s.provision(ctx, groups, all); err != nil {
		return err
	}
	users, err := s.read(ctx, restSpan, restMax)
	if err != nil {
		return err
	}
	if err := crowd.FillJournals(ctx, s.node, s.clients, s.journal); err != nil {
		return err
	}
	full, err := s.read(ctx, restSpan, restMax)
	if err != nil {
		return err
	}
	var at [2]reading
	for i, g := range groups {
		began := time.Now()
		cpu, err := s.node.CPU()
		if err != nil {
			return err
		}
		if err := s.crowd.Join(ctx, s.node, g); err != nil {
			return err
		}
		if i == 1 {
			s.add("connects/s", float64(g.Connections)/time.Since(began).Seconds())
			after, err := s.node.CPU()
			if err != nil {
				return err
			}
			s.add("connect µs", (after-cpu).Seconds()*1e6/float64(g.Connections))
		}
		s.note("%d sessions are there", g.First+g.Connections)
		if at[i], err = s.read(ctx, s.restSpan, s.restMax); err != nil {
			return err
		}
	}
	if err := s.estimate(ctx); err != nil {
		return err
	}
	each := 1 / float64(all-first)
	s.add("rest B/connection", float64(at[1].rest-at[0].rest)*each)
	s.add("resident B/connection", float64(at[1].resident-at[0].resident)*each)
	s.add("heap B/connection", (at[1].heap-at[0].heap)*each)
	// Both ends of a connection are here.
	s.add("kernel B/socket", float64(at[1].kernel-at[0].kernel)*each/2)
	s.add("member B", (users.heap-bare.heap)/float64(all))
	s.add("bare MB", float64(bare.rest)/(1<<20))
	s.add("users MB", float64(users.rest)/(1<<20))
	s.add("journals MB", float64(full.rest)/(1<<20))
	s.add("all MB", float64(at[1].rest)/(1<<20))
	return nil
}

// estimate has the node say what it holds, and compares that with what its collector finds alive.
func (s *subject) estimate(ctx context.Context) error {
	if err := s.node.CollectGarbage(ctx); err != nil {
		return err
	}
	slowest := time.Duration(0)
	var m server.Memory
	for range estimates {
		began := time.Now()
		var err error
		if m, err = s.node.Memory(ctx); err != nil {
			return err
		}
		slowest = max(slowest, time.Since(began))
	}
	if len(m.Missing) > 0 {
		return fmt.Errorf("%v did not say what they hold", m.Missing)
	}
	s.add("estimate ms", slowest.Seconds()*1e3)
	s.add("estimate, % of the heap", m.Bytes/m.Process.Marked*100)
	s.note("the node says that it holds %.1f ± %.1f MB of the %.1f that are alive, in %v",
		m.Bytes/(1<<20), m.Error/(1<<20), m.Process.Marked/(1<<20), slowest)
	return nil
}

// estimates are taken, of which the slowest counts.
const estimates = 10

// provision makes all users and members, and the probe's guild.
func (s *subject) provision(ctx context.Context, groups []crowd.Group, all int) error {
	for _, guild := range []int{bigGuild, probeGuild} {
		if err := s.node.PutGuild(ctx, guild, 1); err != nil {
			return err
		}
	}
	for _, g := range groups {
		if err := g.Provision(ctx, s.node, bigGuild); err != nil {
			return err
		}
	}
	probe := crowd.Group{Name: "probe", First: all, Connections: 1}
	if err := probe.Provision(ctx, s.node, probeGuild); err != nil {
		return err
	}
	s.note("%d users are members", all)
	return nil
}

// idle leaves the node alone until its collector has been forced to run, and times a probe.
func (s *subject) idle(ctx context.Context, all int) error {
	var probe crowd.Crowd
	defer probe.Stop()
	err := probe.Join(ctx, s.node, crowd.Group{Name: "probe", First: all, Connections: 1,
		Clients: s.clients})
	if err != nil {
		return err
	}
	probe.Take()
	cpu, err := s.node.CPU()
	if err != nil {
		return err
	}
	seen, began := len(s.node.Collections()), time.Now()
	forced := false
	for i := 0; time.Since(began) < idleMin || !forced && time.Since(began) < idleMax; i++ {
		due := began.Add(time.Duration(i) * time.Second / probeRate)
		if err := trial.Pause(ctx, time.Until(due)); err != nil {
			return err
		}
		event := crowd.Event(probeGuild, probeBytes, time.Now())
		if err := s.node.Publish(ctx, probeGuild, event); err != nil {
			return err
		}
		collections := s.node.Collections()
		forced = len(collections) > seen && collections[len(collections)-1].Forced
	}
	after, err := s.node.CPU()
	if err != nil {
		return err
	}
	s.add("idle CPU %", (after-cpu).Seconds()/time.Since(began).Seconds()*100)
	var pause, mark, markCPU time.Duration
	for _, c := range s.node.Collections()[seen:] {
		pause, mark, markCPU = max(pause, c.Pause), max(mark, c.Mark), max(markCPU, c.MarkCPU)
	}
	latency := probe.Take().Event
	s.add("pause ms", pause.Seconds()*1e3)
	s.add("mark ms", mark.Seconds()*1e3)
	s.add("mark CPU ms", markCPU.Seconds()*1e3)
	s.add("probe p50 ms", latency.P50)
	s.add("probe p99 ms", latency.P99)
	s.add("probe max ms", latency.Max)
	resident, err := s.node.Resident()
	s.add("all, after idling MB", float64(resident)/(1<<20))
	s.note("%d collections while idle, forced %v", len(s.node.Collections())-seen, forced)
	return err
}
