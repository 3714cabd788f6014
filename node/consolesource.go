package node

import (
	"cmp"
	"context"
	"net"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"

	"throng/node/console"
	"throng/tuning"
)

// newConsole is the page that operators look at the node with.
func (n *Node) newConsole(gateway string) *console.Console {
	_, port, _ := net.SplitHostPort(gateway)
	return console.New(console.Config{Source: &consoleNode{n}, Log: n.log,
		About: func(r *http.Request) console.About {
			a := console.About{Node: n.core.limits.node, Version: n.cfg.Version,
				Gateway: n.cfg.PublicURL, Limit: n.core.limits.connectionsMax,
				WindowSec: tuning.ConsoleWindow}
			if a.Gateway == "" {
				a.Gateway = n.core.limits.scheme + net.JoinHostPort(hostOf(r.Host), port)
			}
			if n.cfg.Demo {
				a.Demo = consoleDemo()
			}
			return a
		}})
}

// hostOf is the name in a Host header.
func hostOf(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return strings.Trim(host, "[]")
}

func consoleDemo() *console.Demo {
	d := &console.Demo{Guild: demoGuild, Channel: demoGeneral}
	for _, u := range demoUsers {
		d.Users = append(d.Users, console.DemoUser{Name: u.name, Token: u.token})
	}
	return d
}

// consoleNode is the node as its console sees it.
type consoleNode struct{ *Node }

// Sample is the node's figures now.
func (c *consoleNode) Sample(ctx context.Context) (console.Sample, error) {
	n, t := c.Node, c.totals()
	s := console.Sample{
		At: time.Now(), State: stateNames[n.state.Load()], Uptime: time.Since(n.began),
		Connections: n.core.connections.Load(), Live: t.live, Detached: t.detached,
		Guilds: t.guilds, Members: n.core.members.Load(), Deliveries: t.deliveries,
		Writes: t.writes, SentBytes: t.sentBytes, Panics: n.core.panics.Load(),
		Pressure: n.core.pressure().String(),
		Events:   map[string]uint64{}, Closes: map[string]uint64{}, Drops: map[string]uint64{},
		Kinds: map[string]console.Work{},
	}
	_, stalls := n.core.stalls.newest()
	s.Stalls = uint64(stalls)
	for r := range closeReasonCount {
		s.Closes[r.String()] = n.core.closes[r].Load()
	}
	for r := range dropReasonCount {
		s.Drops[r.String()] = n.core.drops[r].Load()
	}
	n.core.events.each(func(name string, count uint64) { s.Events[name] = count })
	if u := n.core.memory.Load(); u != nil {
		s.BudgetBytes, s.HeldBytes, s.Need = u.Budget, u.Held, u.Needed()
	}
	spread, _ := n.latencies()
	s.Latency, s.LatencyEnds = spread[:], latencyEnds
	for _, l := range n.core.loops {
		s.Blocked += l.stats.blocked.Load()
		s.QueuedBytes += l.stats.queued.Load()
		s.JournalBytes += l.stats.journalBytes.Load()
		if l.stats.blocked.Load() > 0 {
			s.Slow = append(s.Slow, l.slowReaders(ctx)...)
		}
	}
	slices.SortFunc(s.Slow, func(a, b console.Reader) int {
		return cmp.Compare(b.Seconds, a.Seconds)
	})
	s.Slow = s.Slow[:min(len(s.Slow), tuning.ConsoleGuilds)]
	c.owners(ctx, &s)
	return s, ctx.Err()
}

// owners adds what the owners have done.
func (c *consoleNode) owners(ctx context.Context, s *console.Sample) {
	asked := nanos()
	for _, p := range c.pictures(ctx) {
		o := console.Owner{Name: p.name, Depth: p.queue.depth, Limit: p.queue.limit,
			OldestSeconds: seconds(p.queue.age), AgeSeconds: seconds(max(0, asked-p.at))}
		for k := range p.timings {
			t := &p.timings[k]
			o.BusySeconds += seconds(t.sum)
			if t.count > 0 {
				name := messageKind(k).String()
				w := s.Kinds[name]
				s.Kinds[name] = console.Work{Count: w.Count + t.count,
					Seconds: w.Seconds + seconds(t.sum)}
			}
		}
		if p.watch != nil {
			if _, kind, _, ok := p.watch.doing(); ok {
				o.Doing = kind.String()
			}
		}
		s.Owners = append(s.Owners, o)
	}
}

// latencyEnds is where the buckets of latency end, in seconds.
var latencyEnds = func() (ends []float64) {
	for i := range latencyBuckets {
		ends = append(ends, seconds(latencyEnd(i)))
	}
	return ends
}()

// slowReaders is some of those who take nothing at present, as the loop finds them between two
// messages; none when it does not come to that in time.
func (l *loop) slowReaders(ctx context.Context) []console.Reader {
	ctx, cancel := context.WithTimeout(ctx, tuning.AsideTimeout)
	defer cancel()
	answer := make(chan []console.Reader, 1)
	l.stats.ask(func() {
		var some []console.Reader
		for _, k := range l.blocked {
			s := k.session
			if s == nil || k.stuck == 0 || k.state != socketLive {
				continue
			}
			some = append(some, console.Reader{Session: s.id.String(), User: s.user,
				Loop: l.index, Frames: l.out.Unsent(s.slot),
				Seconds: float64(l.time-k.stuck) / 1000})
			if len(some) == tuning.ConsoleGuilds {
				break
			}
		}
		answer <- some
	})
	select {
	case some := <-answer:
		return some
	case <-ctx.Done():
		return nil
	}
}

// EveryGuild is all guilds of this node.
func (c *consoleNode) EveryGuild(ctx context.Context) (all []console.Guild, err error) {
	ctx, cancel := context.WithTimeout(ctx, tuning.AsideTimeout)
	defer cancel()
	for _, s := range c.core.shards {
		w := &guildRound{shard: s, done: make(chan []console.Guild, 1)}
		s.stats.ask(w.goOn)
		select {
		case some := <-w.done:
			all = append(all, some...)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return all, nil
}

// guildRound goes through a shard's guilds, a slice at a time, as guildWalk does and for the same
// reason: of a hundred thousand it takes 10 ms.
type guildRound struct {
	// Static after construction.
	shard *shard
	done  chan []console.Guild

	// Owned by the shard goroutine.
	guilds *reflect.MapIter
	some   []console.Guild
}

// goOn is a question to the shard: it does a slice, and asks again.
func (w *guildRound) goOn() {
	if w.guilds == nil {
		w.guilds = reflect.ValueOf(w.shard.guilds).MapRange()
		w.some = make([]console.Guild, 0, len(w.shard.guilds))
	}
	const each = 64
	end := nanos() + int64(tuning.MemorySlice)
	for passed := 1; w.guilds.Next(); passed++ {
		p := w.guilds.Value().Interface().(*place)
		if p.guild == nil {
			continue
		}
		i := p.guild.Info()
		w.some = append(w.some, console.Guild{ID: i.ID, Name: i.Name, Members: i.MemberCount,
			Sessions: i.SessionCount, Active: i.ActiveCount, Passive: i.PassiveCount,
			Index: i.EventIndex})
		if passed%each == 0 && nanos() >= end {
			w.shard.stats.ask(w.goOn)
			return
		}
	}
	w.done <- w.some
}
