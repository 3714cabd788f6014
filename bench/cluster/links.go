package main

import (
	"bufio"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"throng/bench/internal/crowd"
	"throng/bench/internal/report"
	"throng/bench/internal/server"
	"throng/bench/internal/trial"
	clients "throng/bench/load"
)

const (
	linksName = "links"
	// linkVictim is killed, the first; the bots are at the others.
	linkVictim      = 0
	linkBotsPerNode = 500
	// linkWeight is the victim's, so that nearly all guilds are its own: with three alike, two
	// guilds would be made for each that dies.
	linkWeight = "128"
	// linkWriters is how many requests make guilds at a time.
	linkWriters = 12

	// The other traffic: guilds of the other nodes, with sessions at both.
	busyName           = "busy"
	busyGuilds         = 40
	busyUsersPerNode   = 100
	busyPeriod         = 100 * time.Millisecond
	linkUser, busyUser = 2_000_000, 3_000_000
	linkGuild          = 2_000_000
	busyGuild          = 3_000_000

	// linksTimesMax is what p99 may grow by and be called unchanged: by so much do two seconds
	// differ in which nothing happens.
	linksTimesMax = 1.2

	linksCalm    = 10 * time.Second
	linksTimeout = 3 * time.Minute
)

// links are bots at two nodes that are in guilds of a third, which is killed: so many links die at
// once, and each of their guilds is claimed, loaded and joined anew. Time is taken of the events of
// other guilds, second by second.
type links struct {
	// Static after construction.
	bench  *bench
	guilds int

	bots, busy crowd.Crowd
}

// linkDeaths does it once: what it takes is to make so many guilds.
func (b *bench) linkDeaths(ctx context.Context, count int) error {
	// A guild has a bot at each node but the victim.
	l := &links{bench: b, guilds: count / (nodesCount - 1)}
	defer l.busy.Stop()
	defer l.bots.Stop()
	if err := b.restart(ctx, "-weight", linkWeight); err != nil {
		return err
	}
	if err := l.provision(ctx); err != nil {
		return fmt.Errorf("provision: %w", err)
	}
	b.Note("%s: %d guilds are there", linksName, l.guilds+busyGuilds)
	if err := l.join(ctx); err != nil {
		return err
	}
	publishing, cancel := context.WithCancel(ctx)
	var publishers sync.WaitGroup
	defer publishers.Wait()
	defer cancel()
	for guild := busyGuild; guild < busyGuild+busyGuilds; guild++ {
		publishers.Go(func() { l.publish(publishing, guild) })
	}
	if err := l.measure(ctx); err != nil {
		return err
	}
	cancel()
	l.bots.Stop()
	if err := b.trio.start(ctx, linkVictim); err != nil {
		return err
	}
	if err := b.trio.whole(ctx); err != nil {
		return err
	}
	for i := range busyGuilds {
		if err := b.trio.members[linkVictim].process().Move(ctx, busyGuild+i, ""); err != nil {
			return err
		}
	}
	return nil
}

// restart ends the victim in order and starts it with other flags.
func (b *bench) restart(ctx context.Context, flags ...string) error {
	if err := drain(ctx, b, linkVictim); err != nil {
		return err
	}
	if err := b.trio.start(ctx, linkVictim, flags...); err != nil {
		return err
	}
	return b.trio.whole(ctx)
}

func linkBots(node int) crowd.Group {
	return crowd.Group{Name: fmt.Sprint(linksName, node), First: linkUser + node*linkBotsPerNode,
		Connections: linkBotsPerNode, Bots: true, Clients: clients.Config{AllowRemote: true}}
}

func busyUsers(node int) crowd.Group {
	return crowd.Group{Name: fmt.Sprint(busyName, node), First: busyUser + node*busyUsersPerNode,
		Connections: busyUsersPerNode, Bots: true, Clients: clients.Config{AllowRemote: true}}
}

// provision makes users and guilds, through all nodes at a time.
func (l *links) provision(ctx context.Context) error {
	m := l.bench.trio.members
	for node := 1; node < nodesCount; node++ {
		for _, g := range []crowd.Group{linkBots(node), busyUsers(node)} {
			err := m[node].process().PutBots(ctx, g.Name, g.First, g.First+g.Connections)
			if err != nil {
				return err
			}
		}
	}
	return inParallel(linkWriters, l.guilds+busyGuilds, func(i int) error {
		n, guild, users, group := m[i%nodesCount].process(), linkGuild+i, 1, linkBots
		if i >= l.guilds {
			guild, users, group = busyGuild+i-l.guilds, busyUsersPerNode/10, busyUsers
		}
		if err := n.PutGuild(ctx, guild, 1); err != nil {
			return err
		}
		return n.PutMemberLines(ctx, guild, func(w *bufio.Writer) {
			for node := 1; node < nodesCount; node++ {
				g := group(node)
				first := g.First + i*users%g.Connections
				for user := first; user < first+users; user++ {
					fmt.Fprintf(w, `{"user_id":"%d"}`+"\n", server.UserID(user))
				}
			}
		})
	})
}

// inParallel calls f for all numbers below count, some at a time, until one fails.
func inParallel(writers, count int, f func(i int) error) (err error) {
	var work sync.WaitGroup
	var once sync.Once
	numbers, failed := make(chan int), make(chan struct{})
	for range writers {
		work.Go(func() {
			for i := range numbers {
				if e := f(i); e != nil {
					once.Do(func() { err = e; close(failed) })
					return
				}
			}
		})
	}
	for i := range count {
		select {
		case numbers <- i:
			continue
		case <-failed:
		}
		break
	}
	close(numbers)
	work.Wait()
	return err
}

// join connects everybody.
func (l *links) join(ctx context.Context) error {
	m := l.bench.trio.members
	for i := range busyGuilds {
		to := m[1+i%(nodesCount-1)].name
		if err := m[linkVictim].process().Move(ctx, busyGuild+i, to); err != nil {
			return err
		}
	}
	for node := 1; node < nodesCount; node++ {
		if err := l.busy.Join(ctx, m[node].process(), busyUsers(node)); err != nil {
			return err
		}
		if err := l.bots.Join(ctx, m[node].process(), linkBots(node)); err != nil {
			return err
		}
	}
	return nil
}

// publish posts a busy guild's events.
func (l *links) publish(ctx context.Context, guild int) {
	tick := time.NewTicker(busyPeriod)
	defer tick.Stop()
	for turn := guild; ; turn++ {
		m := l.bench.trio.members[1+turn%(nodesCount-1)]
		_ = m.process().Publish(ctx, guild, crowd.Events(guild, herdFrameBytes, 1))
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// deaths is how many links the other nodes have, nearly all to the victim's guilds.
func (l *links) deaths(ctx context.Context) (count int, err error) {
	for _, m := range l.bench.trio.members[1:] {
		now, err := m.process().Metrics(ctx)
		if err != nil {
			return 0, err
		}
		count += int(now["throng_links"])
	}
	return count, nil
}

// measure kills the victim.
func (l *links) measure(ctx context.Context) error {
	b := l.bench
	dying, err := l.deaths(ctx)
	if err != nil {
		return err
	}
	before, err := l.calm(ctx)
	if err != nil {
		return err
	}
	var during []float64
	l.bots.Take()
	began, back := time.Now(), uint64(0)
	if err := b.trio.kill(linkVictim); err != nil {
		return err
	}
	// Which links were the victim's is known well enough: nearly all must be back, and then there
	// is nothing more to come.
	for quiet := 0; quiet < 3; {
		if err := trial.Pause(ctx, herdWindow); err != nil {
			return err
		}
		during = append(during, l.busy.Take().Event.P99)
		creates := l.bots.Take().GuildCreates
		back += creates
		if quiet++; creates > 0 || back < uint64(dying)*9/10 {
			quiet = 0
		}
		if time.Since(began) > linksTimeout {
			return fmt.Errorf("%d of some %d links are back after %v", back, dying, linksTimeout)
		}
	}
	took := time.Since(began) - 3*herdWindow
	after, err := l.calm(ctx)
	if err != nil {
		return err
	}
	if ends := b.ends(&l.bots, &l.busy); ends != "" {
		return fmt.Errorf("sessions were disconnected: %s", ends)
	}
	s := b.Samples
	s.Add(linksName+" died", float64(back))
	s.Add(linksName+" back s", took.Seconds())
	s.Add(linksName+" p99 before ms", report.Median(before))
	s.Add(linksName+" worst p99 before ms", slices.Max(before))
	s.Add(linksName+" p99 after ms", report.Median(after))
	s.Add(linksName+" p99 during ms", report.Median(during))
	s.Add(linksName+" worst p99 during ms", slices.Max(during))
	b.Note("%s: %d died and were back after %.1f s, p99 of others by the second %s ms, before %s, "+
		"after %s", linksName, back, took.Seconds(), list(during), list(before), list(after))
	return nil
}

// calm is p99 of the busy guilds by the second, while nothing is done to anybody.
func (l *links) calm(ctx context.Context) (p99 []float64, err error) {
	l.busy.Take()
	for range int(linksCalm / herdWindow) {
		if err := trial.Pause(ctx, herdWindow); err != nil {
			return nil, err
		}
		p99 = append(p99, l.busy.Take().Event.P99)
	}
	return p99, nil
}

// ends says that some of the crowds' sessions are gone.
func (b *bench) ends(crowds ...*crowd.Crowd) string {
	live := 0
	for _, c := range crowds {
		live += c.Live()
	}
	want := (nodesCount - 1) * (linkBotsPerNode + busyUsersPerNode)
	if live == want {
		return ""
	}
	return fmt.Sprintf("%d of %d are there", live, want)
}

func list(values []float64) string {
	var words []string
	for _, v := range values {
		words = append(words, report.Number(v))
	}
	return strings.Join(words, " ")
}

// concludeLinks says what was found.
func (b *bench) concludeLinks() {
	r, s := b.Result, b.Samples
	if len(s[linksName+" died"]) == 0 {
		return
	}
	number := func(what string) string { return report.Number(s.Median(linksName + " " + what)) }
	r.Table("A node is killed that others have links to", []string{"links",
		"until the last is back, s",
		"p99 of other guilds before, ms", "in the worst second, ms", "p99 meanwhile, ms",
		"in the worst second, ms", "p99 afterwards, ms"}, [][]string{{
		number("died"), number("back s"),
		number("p99 before ms"), number("worst p99 before ms"), number("p99 during ms"),
		number("worst p99 during ms"), number("p99 after ms")}})
	r.Say("A link is a guild of the killed node with a session elsewhere: %s bots are in %s "+
		"guilds each. p99 is that of a second, and the median of all seconds.",
		report.Number((nodesCount-1)*linkBotsPerNode),
		report.Number(s.Median(linksName+" died")/((nodesCount-1)*linkBotsPerNode)))
	r.Say("When all are back, the others have the guilds of the killed node for good, and with "+
		"them more memory for their collectors to look through: so p99 is compared with that of "+
		"the %s that follow, and of that before it is %s times as much. Who listens to a guild "+
		"in which nothing happens waits longest for it.", linksCalm,
		report.Number(s.Ratio(linksName+" p99 during ms", linksName+" p99 before ms")))
	r.Reach(report.Figure{What: "p99 of other guilds while links die, of that afterwards",
		Measured: s.Ratio(linksName+" p99 during ms", linksName+" p99 after ms"),
		Unit:     "times", Limit: linksTimesMax})
}
