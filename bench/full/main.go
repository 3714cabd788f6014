// Command full takes a node's descriptors away and looks at what it does without.
//
//	go run ./bench/full
//
// A node has sessions in a guild. Its limit of descriptors is lowered to those that it has open,
// and connections come that it cannot accept: the rest must go on, and the node must not spend its
// time on trying. Then one session goes, and one who waits has to get in. It writes
// bench/results/full.json, and ends by itself after a minute.
package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"throng/bench/internal/client"
	"throng/bench/internal/crowd"
	"throng/bench/internal/report"
	"throng/bench/internal/server"
	"throng/bench/internal/trial"
)

const (
	guild    = 0
	sessions = 200
	waiting  = 200
	// waitLimit is how long they wait, and idleSpan for how long the node is watched meanwhile.
	waitLimit  = time.Minute
	idleSpan   = 5 * time.Second
	settleSpan = 2 * time.Second
	eventBytes = 300

	cpuLimit     = 5 // percent of a processor
	recoverLimit = 1 // second
)

type bench struct{ *trial.Trial }

func main() {
	trial.Main("full", "What does a node do that has no descriptor left?", trial.Options{},
		func(ctx context.Context, t *trial.Trial) error {
			b := &bench{t}
			err := b.EachRun(ctx, func(int) error { return b.run(ctx) })
			if err == nil {
				b.conclude()
			}
			return err
		})
}

func (b *bench) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	node, err := b.Throng(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = node.Stop() }()
	in := &crowd.Crowd{}
	defer in.Stop()
	last, err := arrive(ctx, node, in)
	if err != nil {
		return err
	}
	defer last.Cut()
	if err := b.watch(ctx, node, "before"); err != nil {
		return err
	}
	if err := takeAway(node.PID); err != nil {
		return err
	}
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()
	admitted := queue(ctx, &all, node.Gateway)
	// Descriptors below the limit that were free are used up first.
	if err := trial.Pause(ctx, settleSpan); err != nil {
		return err
	}
	early := len(admitted)
	for range early {
		<-admitted
	}
	if err := b.watch(ctx, node, "full"); err != nil {
		return err
	}
	if late := len(admitted); late > 0 {
		return fmt.Errorf("%d were admitted without a descriptor", late)
	}
	if err := hear(ctx, node, in); err != nil {
		return err
	}
	began := time.Now()
	last.Cut()
	select {
	case at := <-admitted:
		b.Samples.Add("recovered s", at.Sub(began).Seconds())
		b.Note("%d were admitted at first, the next %.2f s after a descriptor was free", early,
			at.Sub(began).Seconds())
	case <-time.After(waitLimit):
		return fmt.Errorf("nobody was admitted within %v of a descriptor's being free", waitLimit)
	}
	return hear(ctx, node, in)
}

// arrive starts sessions, and one more, which is returned.
func arrive(ctx context.Context, node *server.Throng, in *crowd.Crowd) (*client.Session, error) {
	if err := node.PutGuild(ctx, guild, 1); err != nil {
		return nil, err
	}
	for _, g := range []crowd.Group{{Name: "in", Connections: sessions},
		{Name: "last", First: sessions, Connections: 1}} {
		if err := g.Provision(ctx, node, guild); err != nil {
			return nil, err
		}
		if g.First == 0 {
			if err := in.Join(ctx, node, g); err != nil {
				return nil, err
			}
		}
	}
	return client.Identify(ctx, node.Gateway, server.Token("last", 0), crowd.IntentsQuiet)
}

// takeAway lowers a process's limit to the descriptors that it has.
func takeAway(pid int) error {
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		return err
	}
	highest := 0
	for _, entry := range open {
		if n, err := strconv.Atoi(entry.Name()); err == nil {
			highest = max(highest, n)
		}
	}
	var was unix.Rlimit
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &was); err != nil {
		return err
	}
	limit := unix.Rlimit{Cur: uint64(highest + 1), Max: was.Max}
	return unix.Prlimit(pid, unix.RLIMIT_NOFILE, &limit, nil)
}

// queue opens connections, and tells when each is given HELLO.
func queue(ctx context.Context, all *sync.WaitGroup, gateway string) <-chan time.Time {
	admitted := make(chan time.Time, waiting)
	for range waiting {
		all.Go(func() {
			conn, err := client.Hello(ctx, gateway, waitLimit)
			if err != nil {
				return // The run has ended.
			}
			admitted <- time.Now()
			<-ctx.Done()
			conn.Close()
		})
	}
	return admitted
}

// watch measures what the node uses while nothing happens.
func (b *bench) watch(ctx context.Context, node *server.Throng, when string) error {
	before, err := node.CPU()
	if err != nil {
		return err
	}
	began := time.Now()
	if err := trial.Pause(ctx, idleSpan); err != nil {
		return err
	}
	after, err := node.CPU()
	if err != nil {
		return err
	}
	b.Samples.Add(when+" cpu %", (after-before).Seconds()/time.Since(began).Seconds()*100)
	return nil
}

// hear publishes an event, which everybody has to get.
func hear(ctx context.Context, node *server.Throng, in *crowd.Crowd) error {
	_, err := in.Deliver(ctx, sessions, func() error {
		return node.Publish(ctx, guild, crowd.Event(guild, eventBytes, time.Now()))
	})
	return err
}

func (b *bench) conclude() {
	r, s := b.Result, b.Samples
	title := fmt.Sprintf("%d sessions, %d connections that wait", sessions, waiting)
	r.Table("", []string{title, ""}, [][]string{
		{"processor of the node before, %", report.Number(s.Median("before cpu %"))},
		{"while nothing can be accepted, %", report.Number(s.Median("full cpu %"))},
		{"one who waits is in after so many s", report.Number(s.Median("recovered s"))},
	})
	r.Say("All sessions heard an event while nothing could be accepted, and one afterwards.")
	r.Reach(report.Figure{What: "processor of a node that cannot accept, 200 waiting",
		Measured: s.Median("full cpu %"), Unit: "%", Limit: cpuLimit})
	r.Reach(report.Figure{What: "until one who waits is in when a descriptor is free",
		Measured: s.Median("recovered s"), Unit: "s", Limit: recoverLimit})
}
