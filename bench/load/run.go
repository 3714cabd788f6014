package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// Run does what c says and reports. Progress gets a line a second and may be nil. When ctx ends
// before the run does, the report of what there was comes with a nil error and Interrupted set.
func Run(ctx context.Context, c Config, progress io.Writer) (Report, error) {
	r, err := newRun(ctx, c, progress)
	if err != nil {
		return Report{}, err
	}
	if r.config.Provision {
		fmt.Fprintf(r.progress, "making %d users, %d guilds with %d members\n",
			r.shape.users, r.shape.guilds(), r.report.Members)
		if err := r.provision(ctx); ctx.Err() != nil {
			r.report.Interrupted = true
			return r.report, nil
		} else if err != nil {
			return Report{}, fmt.Errorf("provision: %w", err)
		}
	}
	r.begin(PhaseConnect)
	looping, stop := context.WithCancel(context.Background())
	var all sync.WaitGroup
	failed := make(chan error, len(r.loops))
	working, giveUp := context.WithCancelCause(ctx)
	for _, l := range r.loops {
		all.Go(func() {
			if err := l.serve(looping); err != nil {
				giveUp(err)
				failed <- err
			}
		})
	}
	all.Go(func() { r.show(looping) })
	err = r.phases(working)
	r.end()
	stop()
	all.Wait()
	giveUp(nil)
	select {
	case err = <-failed:
	default:
	}
	r.report.Interrupted = ctx.Err() != nil
	if r.report.Interrupted {
		err = nil
	}
	return r.report, err
}

// phases goes through the run, of which the first phase has begun.
func (r *run) phases(ctx context.Context) error {
	connections := r.config.Connections
	r.until(ctx, r.config.ConnectTimeout, func() bool {
		return r.census().settled() >= connections
	})
	r.report.Ready = r.census().live
	if r.report.Ready == 0 && ctx.Err() == nil {
		r.finish()
		return fmt.Errorf("no connection became ready: %v", r.total.Closes)
	}
	r.prepare()
	publishers, err := r.publishers(ctx)
	if err != nil {
		r.finish()
		return err
	}
	for n := range r.config.Bursts {
		if r.config.Burst == 0 || !r.settle(ctx) {
			break
		}
		r.begin(numbered(PhaseBurst, n))
		r.burst(ctx, publishers)
		r.drain(ctx, r.config.BurstWait)
	}
	if r.settle(ctx) {
		r.paced(ctx, publishers)
	}
	if len(publishers) > 0 && ctx.Err() == nil {
		r.begin(PhaseTail)
		r.drain(ctx, r.config.BurstWait)
	}
	for _, p := range publishers {
		p.door.close()
	}
	r.finish()
	return nil
}

func numbered(name string, n int) string {
	if n == 0 {
		return name
	}
	return fmt.Sprintf("%s-%d", name, n+1)
}

// settle lets what a phase has left behind pass by.
func (r *run) settle(ctx context.Context) bool {
	return sleepUntil(ctx, time.Now().Add(r.config.Settle))
}

// publishers opens the doors of those that are needed.
func (r *run) publishers(ctx context.Context) ([]*publisher, error) {
	if r.config.Rate == 0 && r.config.Burst == 0 || ctx.Err() != nil {
		return nil, nil
	}
	var all []*publisher
	for i := range r.config.Publishers {
		d, err := r.dialect.door(r)
		if err != nil {
			return nil, err
		}
		all = append(all, &publisher{r, i, newAuthor(r, i), d})
	}
	return all, nil
}

// paced publishes at the rate, or only waits, and cuts connections when it is time to.
func (r *run) paced(ctx context.Context, publishers []*publisher) {
	start := time.Now()
	end := start.Add(r.config.Duration)
	var all sync.WaitGroup
	if r.config.Rate == 0 {
		r.begin(PhaseHold)
	} else {
		r.begin(PhasePaced)
		for _, p := range publishers {
			all.Go(func() { p.paced(ctx, start, end) })
		}
	}
	at := start.Add(r.config.CutAt)
	for n := 0; r.config.Cut > 0 && at.Before(end) && sleepUntil(ctx, at); n++ {
		r.begin(numbered(PhaseStorm, n))
		for _, l := range r.loops {
			l.cut()
		}
		r.until(ctx, r.config.ConnectTimeout, func() bool { return r.census().away == 0 })
		r.begin(numbered(PhaseAfter, n))
		if r.config.CutEvery == 0 {
			break
		}
		at = at.Add(r.config.CutEvery)
	}
	sleepUntil(ctx, end)
	all.Wait()
}

// quietMax without a delivery and nothing more is waited for.
const quietMax = 3 * time.Second

// drain waits for the deliveries that are on their way.
func (r *run) drain(ctx context.Context, timeout time.Duration) {
	before, changed := uint64(0), time.Now()
	r.until(ctx, timeout, func() bool {
		now := uint64(0)
		for _, l := range r.loops {
			now += l.deliveries.Load()
		}
		if now != before {
			before, changed = now, time.Now()
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		return now >= r.expected || time.Since(changed) > quietMax
	})
}

// lookEvery is how often a condition is looked at.
const lookEvery = 5 * time.Millisecond

// until waits for a condition.
func (r *run) until(ctx context.Context, timeout time.Duration, holds func() bool) {
	end := time.Now().Add(timeout)
	for !holds() && time.Now().Before(end) {
		if !sleepUntil(ctx, time.Now().Add(lookEvery)) {
			return
		}
	}
}

// census is how connections are.
type census struct{ live, gone, away int }

// settled are those of which nothing more is to be expected.
func (c census) settled() int { return c.live + c.gone }

func (r *run) census() census {
	var sum census
	for _, l := range r.loops {
		l.mu.Lock()
		sum.live += l.live
		sum.gone += l.gone
		sum.away += l.away
		l.mu.Unlock()
	}
	return sum
}

// begin ends the phase that is going on and begins another.
func (r *run) begin(name string) {
	r.finish()
	r.mu.Lock()
	r.now.name = name
	r.mu.Unlock()
	r.now.start = time.Now()
	r.now.server, _ = usageOf(r.config.ServerPID)
	r.now.client, _ = usageOf(os.Getpid())
}

// finish puts the phase that is going on into the report.
func (r *run) finish() {
	var sum stats
	for _, l := range r.loops {
		l.mu.Lock()
		taken := l.stats
		l.stats = &stats{}
		l.mu.Unlock()
		sum.add(taken)
	}
	r.mu.Lock()
	taken, name := r.stats, r.now.name
	r.stats = &stats{}
	r.mu.Unlock()
	sum.add(taken)
	if name == "" {
		return
	}
	p := sum.phase(name, time.Since(r.now.start).Seconds())
	if client, err := usageOf(os.Getpid()); err == nil {
		p.Client = client.since(r.now.client)
	}
	if server, err := usageOf(r.config.ServerPID); err == nil && r.config.ServerPID != 0 {
		server = server.since(r.now.server)
		p.Server = &server
	}
	r.report.Phases = append(r.report.Phases, p)
	r.total.add(&sum)
	total := r.total.phase("total", r.report.Total.Seconds+p.Seconds)
	total.Client, total.Server = r.report.Total.Client.plus(p.Client), r.report.Total.Server
	if p.Server != nil {
		both := *p.Server
		if total.Server != nil {
			both = total.Server.plus(both)
		}
		total.Server = &both
	}
	r.report.Total = total
	r.report.Live = r.census().live
}

// prepare counts who should get each guild's events, and takes some connections out of it.
func (r *run) prepare() {
	up := make([]bool, r.config.Connections)
	for _, l := range r.loops {
		l.mu.Lock()
		frozen, slow := l.impair()
		for i := range l.conns {
			c := &l.conns[i]
			up[l.id(c)] = c.state == stateReady && !c.has(flagImpaired)
		}
		l.mu.Unlock()
		r.report.Frozen += frozen
		r.report.Slow += slow
	}
	shards := max(r.config.Shards, 1)
	receivers := make([]uint32, r.shape.guilds())
	for g := range receivers {
		shard := r.shape.id(kindGuild, g).Shard(shards)
		for _, user := range r.shape.members(g) {
			for u := user; u*shards+shard < len(up); u += r.shape.users {
				if up[u*shards+shard] {
					receivers[g]++
				}
			}
		}
	}
	r.receivers = receivers
}

// endTimeout is how long connections may take to say goodbye.
const endTimeout = 3 * time.Second

// end closes all connections as a client does that will not come back, so that the server keeps
// no session of theirs.
func (r *run) end() {
	r.stopping.Store(true)
	for _, l := range r.loops {
		l.farewell()
	}
	ctx, cancel := context.WithTimeoutCause(context.Background(), endTimeout,
		errors.New("the end took too long"))
	defer cancel()
	r.until(ctx, endTimeout, func() bool {
		for _, l := range r.loops {
			if !l.empty() {
				return false
			}
		}
		return true
	})
}
