package node

import (
	"context"
	"time"

	"throng/node/api"
	"throng/tuning"
	"throng/wire"
)

// picture is what one owner has done, as of a moment.
type picture struct {
	name    string
	watch   *stopwatch // nil: workers and keeper
	at      int64
	timings *timings
	queue   queueState
}

// pictures asks all owners for what they have done. One that does not answer in time is shown as it
// was when it answered last.
func (n *Node) pictures(ctx context.Context) []picture {
	ctx, cancel := context.WithTimeout(ctx, tuning.AsideTimeout)
	defer cancel()
	var all []picture
	for _, l := range n.core.loops {
		q, calls := l.inbox.state(), l.calls.state()
		q.depth, q.limit, q.taken = q.depth+calls.depth, q.limit+calls.limit, q.taken+calls.taken
		q.age = max(q.age, calls.age)
		all = append(all, picture{name: l.stats.name, watch: &l.stats.stopwatch, queue: q})
	}
	for _, s := range n.core.shards {
		all = append(all, picture{name: s.stats.name, watch: &s.stats.stopwatch,
			queue: s.inbox.state()})
	}
	answers := make([]chan struct{}, len(all))
	for i := range all {
		answers[i] = make(chan struct{})
		w, answered := all[i].watch, answers[i]
		w.ask(func() {
			w.told.Store(&told{nanos(), w.timings})
			close(answered)
		})
	}
	for i := range all {
		select {
		case <-answers[i]:
		case <-ctx.Done():
		}
		last := all[i].watch.told.Load()
		if last == nil {
			last = &told{}
		}
		all[i].at, all[i].timings = last.at, &last.timings
	}
	now := nanos()
	jobs := queueState{depth: len(n.workers.jobs), limit: cap(n.workers.jobs)}
	if jobs.depth > 0 {
		jobs.age = n.workers.waited.Load()
	}
	return append(all,
		picture{name: "workers", at: now, timings: n.workers.ledger.copy(), queue: jobs},
		picture{name: "keeper", at: now, timings: n.keeper.ledger.copy(),
			queue: n.keeper.queue.state()})
}

// told is what an owner has told of its timings. It is not changed.
type told struct {
	at      int64
	timings timings
}

func seconds(nanos int64) float64 { return float64(nanos) / 1e9 }

// Timings is what the owners have done since the node began.
func (n *Node) Timings(ctx context.Context) (api.TimingsInfo, error) {
	info := api.TimingsInfo{UptimeSeconds: time.Since(n.began).Seconds()}
	var sum timings
	asked := nanos()
	for _, p := range n.pictures(ctx) {
		for k := range sum {
			sum[k].merge(&p.timings[k])
		}
		o := api.OwnerTimings{Owner: p.name, Types: p.timings.info(),
			Queue: api.QueueState{Depth: p.queue.depth, Limit: p.queue.limit, Taken: p.queue.taken,
				OldestSeconds: seconds(p.queue.age)}}
		o.AgeSeconds = seconds(max(0, asked-p.at))
		for _, t := range o.Types {
			o.BusySeconds += t.TotalSeconds
		}
		if p.watch != nil {
			if began, kind, guild, ok := p.watch.doing(); ok {
				o.Doing = &api.Doing{Type: kind.String(), Guild: orNone(guild),
					Seconds: seconds(nanos() - began)}
			}
		}
		info.Owners = append(info.Owners, o)
	}
	info.Sum = sum.info()
	return info, ctx.Err()
}

func orNone(guild wire.Snowflake) *wire.Snowflake {
	if guild == 0 {
		return nil
	}
	return &guild
}

// info is the timings that there are.
func (t *timings) info() []api.TypeTimings {
	total := int64(0)
	for k := range t {
		total += t[k].sum
	}
	types := []api.TypeTimings{}
	for k := range kindCount {
		o := &t[k]
		if o.count == 0 {
			continue
		}
		row := api.TypeTimings{
			Type: k.String(), Count: o.count, TotalSeconds: seconds(o.sum),
			Share: float64(o.sum) / float64(max(total, 1)), MeanSeconds: seconds(o.sum / o.count),
			LeastSeconds: seconds(o.least), LongestSeconds: seconds(o.longest),
			WorkedSeconds: seconds(o.worked),
			P50Seconds:    seconds(o.quantile(0.5)), P99Seconds: seconds(o.quantile(0.99)),
		}
		for i, n := range o.spread {
			if n > 0 {
				b := api.Bucket{Seconds: seconds(1 << i), Count: n}
				row.Histogram = append(row.Histogram, b)
			}
		}
		types = append(types, row)
	}
	return types
}

// Stalls is the newest messages that took longer than the limit.
func (n *Node) Stalls() api.StallsInfo {
	s := n.core.stalls
	kept, count := s.newest()
	info := api.StallsInfo{LimitSeconds: seconds(s.limit.Load()), Count: count}
	for _, one := range kept {
		row := api.Stall{At: one.at, Owner: one.owner, Type: one.kind.String(),
			Guild: orNone(one.guild), Messages: one.messages, Seconds: seconds(one.span),
			Running: one.running, Stack: one.stack, Flight: one.flight}
		if one.worked >= 0 {
			worked := seconds(one.worked)
			row.WorkedSeconds = &worked
		}
		info.Stalls = append(info.Stalls, row)
	}
	return info
}

// SetStallLimit changes from when on a message is written down.
func (n *Node) SetStallLimit(limit time.Duration) error {
	if limit < tuning.StallLimitMin {
		return api.Invalid("limit_seconds", "%v is less than %v", limit, tuning.StallLimitMin)
	}
	n.core.stalls.limit.Store(int64(limit))
	return nil
}
