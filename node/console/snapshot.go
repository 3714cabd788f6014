package console

import (
	"cmp"
	"math"
	"slices"
	"time"

	"throng/node/api"
	"throng/tuning"
	"throng/wire"
)

// Snapshot is what the page shows, as it is sent to it. A rate is nil until there are two samples.
type Snapshot struct {
	At     int64   `json:"at"` // Unix milliseconds.
	State  string  `json:"state"`
	Uptime float64 `json:"uptime"`

	Connections int64 `json:"connections"`
	Live        int64 `json:"live"`
	Detached    int64 `json:"detached"`
	Guilds      int64 `json:"guilds"`
	Members     int64 `json:"members"`
	Blocked     int64 `json:"blocked"`
	Queued      int64 `json:"queued_bytes"`
	Journal     int64 `json:"journal_bytes"`

	Events     *float64 `json:"events"`
	Deliveries *float64 `json:"deliveries"`
	Writes     *float64 `json:"writes"`
	Bytes      *float64 `json:"bytes"`
	Batching   *float64 `json:"batching"` // Deliveries a write.
	Latency    *Latency `json:"latency"`

	Owners  []OwnerLine `json:"owners"`
	Kinds   []KindLine  `json:"kinds"`
	GC      GC          `json:"gc"`
	Memory  Memory      `json:"memory"`
	Slow    []Reader    `json:"slow"`
	Closes  []Count     `json:"closes"`
	Drops   []Count     `json:"drops"`
	Types   []Count     `json:"types"`
	Stalls  uint64      `json:"stalls"`
	Panics  uint64      `json:"panics"`
	Largest []Guild     `json:"largest"`
	Busiest []Guild     `json:"busiest"`

	Cluster *api.ClusterInfo `json:"cluster,omitempty"`
}

// Latency is quantiles from a publish to sockets, in seconds.
type Latency struct {
	P50   float64 `json:"p50"`
	P99   float64 `json:"p99"`
	Count uint64  `json:"count"`
}

// OwnerLine is how one owner stands.
type OwnerLine struct {
	Name   string   `json:"name"`
	Busy   *float64 `json:"busy"` // Share of the time.
	Depth  int      `json:"depth"`
	Limit  int      `json:"limit"`
	Oldest float64  `json:"oldest"`
	Age    float64  `json:"age"`
	Doing  string   `json:"doing"`
}

// KindLine is what one type of message takes.
type KindLine struct {
	Name  string  `json:"name"`
	Rate  float64 `json:"rate"`
	Share float64 `json:"share"` // Of one processor.
}

// Memory is how near the node is to the end of its memory.
type Memory struct {
	Pressure string `json:"pressure"`
	Budget   int64  `json:"budget"`
	Held     int64  `json:"held"`
	Needed   int64  `json:"needed"`
}

// Count is how often something has happened, since the start and lately.
type Count struct {
	Name  string  `json:"name"`
	Total uint64  `json:"total"`
	Rate  float64 `json:"rate"`
}

// history is what rates are made of.
//
// Owned by the goroutine that gathers.
type history struct {
	before    *Sample
	latencies [][]uint64 // The newest last, at most ConsoleWindow and one.
	gc        gcReader
}

// snapshot is what can be told of a sample and those before it.
func (h *history) snapshot(now *Sample) *Snapshot {
	s := &Snapshot{
		At: now.At.UnixMilli(), State: now.State, Uptime: now.Uptime.Seconds(),
		Connections: now.Connections, Live: now.Live, Detached: now.Detached,
		Guilds: now.Guilds, Members: now.Members, Blocked: now.Blocked,
		Queued: now.QueuedBytes, Journal: now.JournalBytes,
		Memory: Memory{now.Pressure, now.BudgetBytes, now.HeldBytes, now.Need},
		Slow:   now.Slow, Stalls: now.Stalls, Panics: now.Panics,
	}
	s.GC = h.gc.read()
	old, seconds := &Sample{}, 0.0
	if h.before != nil {
		old, seconds = h.before, now.At.Sub(h.before.At).Seconds()
	}
	h.before = now
	s.Closes = counts(now.Closes, old.Closes, seconds)
	s.Drops = counts(now.Drops, old.Drops, seconds)
	s.Types = counts(now.Events, old.Events, seconds)
	s.Owners = owners(now, old, seconds)
	s.Latency = h.latency(now)
	if seconds <= 0 {
		return s
	}
	rate := func(now, old uint64) *float64 {
		r := float64(now-old) / seconds
		return &r
	}
	s.Events = rate(sum(now.Events), sum(old.Events))
	s.Deliveries = rate(now.Deliveries, old.Deliveries)
	s.Writes, s.Bytes = rate(now.Writes, old.Writes), rate(now.SentBytes, old.SentBytes)
	if *s.Writes > 0 {
		batching := *s.Deliveries / *s.Writes
		s.Batching = &batching
	}
	s.Kinds = kinds(now.Kinds, old.Kinds, seconds)
	return s
}

// latency is the quantiles of the window that ends now, nil when nothing was timed in it.
func (h *history) latency(now *Sample) *Latency {
	h.latencies = append(h.latencies, now.Latency)
	if len(h.latencies) > tuning.ConsoleWindow+1 {
		h.latencies = slices.Delete(h.latencies, 0, 1)
	}
	spread := slices.Clone(now.Latency)
	var l Latency
	for i, n := range h.latencies[0] {
		spread[i] -= n
	}
	for _, n := range spread {
		l.Count += n
	}
	if l.Count == 0 {
		return nil
	}
	l.P50 = quantile(spread, now.LatencyEnds, l.Count/2)
	l.P99 = quantile(spread, now.LatencyEnds, l.Count-1-l.Count/100)
	return &l
}

// quantile is the end of the bucket that has the value of a rank.
func quantile(spread []uint64, ends []float64, rank uint64) float64 {
	for i, n := range spread {
		if rank < n {
			return ends[i]
		}
		rank -= n
	}
	return 0
}

func sum(counts map[string]uint64) (all uint64) {
	for _, n := range counts {
		all += n
	}
	return all
}

// counts are those that there are, the most first.
func counts(now, old map[string]uint64, seconds float64) []Count {
	all := []Count{}
	for name, n := range now {
		if n == 0 {
			continue
		}
		c := Count{Name: name, Total: n}
		if seconds > 0 {
			c.Rate = float64(n-old[name]) / seconds
		}
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b Count) int {
		return cmp.Or(cmp.Compare(b.Total, a.Total), cmp.Compare(a.Name, b.Name))
	})
	return all
}

func owners(now, old *Sample, seconds float64) []OwnerLine {
	was := map[string]*Owner{}
	for i := range old.Owners {
		was[old.Owners[i].Name] = &old.Owners[i]
	}
	all := make([]OwnerLine, len(now.Owners))
	for i, o := range now.Owners {
		all[i] = OwnerLine{Name: o.Name, Depth: o.Depth, Limit: o.Limit, Oldest: o.OldestSeconds,
			Age: o.AgeSeconds, Doing: o.Doing}
		if before := was[o.Name]; before != nil && seconds > 0 {
			busy := max(0, (o.BusySeconds-before.BusySeconds)/seconds)
			all[i].Busy = &busy
		}
	}
	return all
}

// kinds are the types of messages that take the most.
func kinds(now, old map[string]Work, seconds float64) []KindLine {
	all := []KindLine{}
	for name, w := range now {
		rate := float64(w.Count-old[name].Count) / seconds
		share := (w.Seconds - old[name].Seconds) / seconds
		if rate > 0 || share > 0 {
			all = append(all, KindLine{name, rate, share})
		}
	}
	slices.SortFunc(all, func(a, b KindLine) int {
		return cmp.Or(cmp.Compare(b.Share, a.Share), cmp.Compare(a.Name, b.Name))
	})
	return all[:min(len(all), tuning.ConsoleGuilds)]
}

// rounds are the looks at all guilds.
//
// Owned by the goroutine that gathers.
type rounds struct {
	at   time.Time
	past map[wire.Snowflake]pastGuild
}

// pastGuild is a guild as it was at the last look.
type pastGuild struct {
	index uint64
	rate  float64 // Of events a second; below 0: not known.
}

// busySpan is over how long a guild's rate is: of the last second alone, the order of guilds would
// be another one each time.
const busySpan = 5 * time.Second

// look finds the largest and the busiest of all guilds.
func (r *rounds) look(all []Guild, now time.Time) (largest, busiest []Guild) {
	seconds := now.Sub(r.at).Seconds()
	weight := 1 - math.Exp(-seconds/busySpan.Seconds())
	past := make(map[wire.Snowflake]pastGuild, len(all))
	for i := range all {
		g := &all[i]
		p := pastGuild{g.Index, -1}
		// An index begins anew with its guild.
		if was, known := r.past[g.ID]; known && g.Index >= was.index && seconds > 0 {
			p.rate = float64(g.Index-was.index) / seconds
			if was.rate >= 0 {
				p.rate = was.rate + weight*(p.rate-was.rate)
			}
		}
		past[g.ID] = p
		g.Events = max(p.rate, 0)
	}
	r.at, r.past = now, past
	top := func(order func(a, b *Guild) int) []Guild {
		var best []Guild
		for i := range all {
			at, _ := slices.BinarySearchFunc(best, &all[i], func(a Guild, b *Guild) int {
				return cmp.Or(order(b, &a), cmp.Compare(a.ID, b.ID))
			})
			if at < tuning.ConsoleGuilds {
				best = slices.Insert(best, at, all[i])
				best = best[:min(len(best), tuning.ConsoleGuilds)]
			}
		}
		return best
	}
	largest = top(func(a, b *Guild) int { return cmp.Compare(a.Sessions, b.Sessions) })
	busiest = top(func(a, b *Guild) int {
		return cmp.Or(cmp.Compare(a.Events, b.Events), cmp.Compare(a.Index, b.Index))
	})
	return largest, busiest
}
