// Command tls measures what TLS costs: in the node, and in HAProxy before a node without.
//
//	go run ./bench/tls
//
// A plain node, a node with -tls-cert and a plain node behind HAProxy, which speaks PROXY v2 to it,
// get the same clients, who speak TLS 1.3 to the last two. Each connects, identifies, is idle, and
// is sent events of one guild, with nothing to batch and with ten pending. Then these go, and a few
// are sent events while peers flood the sides with handshakes that they never answer. What is
// counted of HAProxy counts with its node. It needs Debian's haproxy and 20,000 descriptors, writes
// bench/results/tls.json, and ends by itself after some five minutes.
package main

import (
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"os/exec"
	"sync"
	"sync/atomic"
	"time"

	"throng/bench/internal/client"
	"throng/bench/internal/crowd"
	"throng/bench/internal/report"
	"throng/bench/internal/server"
	"throng/bench/internal/trial"
)

const (
	frameBytes  = 300
	rounds      = 8
	warmUp      = 200 // connections before those that are measured
	connectors  = 8   // clients that connect at a time
	settle      = 2 * time.Second
	journal     = "1M" // that has gone round before memory is looked at
	awaitAtMost = time.Minute
)

// The sides.
const (
	plain  = "no TLS"
	inNode = "TLS in the node"
	before = "HAProxy before the node"
)

var pendings = []int{1, 10}

// side is a node, what is before it, and its clients.
type side struct {
	name    string
	node    *server.Throng
	proxy   *server.Process // nil: none
	gateway string
	secure  *tls.Config // nil: no TLS

	received atomic.Uint64
	sessions []*client.Session
	readers  sync.WaitGroup
}

type bench struct {
	*trial.Trial
	connections int
	files       *server.Certificate
}

func main() {
	connections := flag.Int("connections", 4000, "clients of each side")
	trial.Main("tls", "What does TLS cost, in the node and in a proxy before it?", trial.Options{},
		func(ctx context.Context, t *trial.Trial) error {
			b := &bench{Trial: t, connections: *connections}
			if _, err := exec.LookPath("haproxy"); err != nil {
				return fmt.Errorf("install Debian's haproxy: %w", err)
			}
			var err error
			if b.files, err = server.MakeCertificate(t.Folder); err != nil {
				return err
			}
			err = b.EachRun(ctx, func(run int) error {
				names := []string{plain, inNode, before}
				for i := range names {
					name := names[(i+run)%len(names)] // None has the same place each time.
					if err := b.measure(ctx, name); err != nil {
						return fmt.Errorf("%s: %w", name, err)
					}
				}
				return nil
			})
			if err == nil {
				b.conclude()
			}
			return err
		})
}

// measure runs one side from its start to its end.
func (b *bench) measure(ctx context.Context, name string) error {
	s := &side{name: name}
	defer s.stop()
	if err := b.start(ctx, s); err != nil {
		return err
	}
	if err := s.connect(ctx, 0, warmUp); err != nil {
		return err
	}
	resident, err := s.resident(ctx)
	if err != nil {
		return err
	}
	cpu, err := s.cpu()
	if err != nil {
		return err
	}
	if err := s.connect(ctx, warmUp, b.connections); err != nil {
		return err
	}
	after, err := s.cpu()
	if err != nil {
		return err
	}
	grown, err := s.resident(ctx)
	if err != nil {
		return err
	}
	each := float64(b.connections - warmUp)
	b.Samples.Add(name+" connect µs", (after-cpu).Seconds()*1e6/each)
	b.Samples.Add(name+" B", float64(grown-resident)/each)
	for _, pending := range pendings {
		if err := b.deliver(ctx, s, pending); err != nil {
			return err
		}
	}
	b.Note("%s: %.0f µs to connect, %.0f B a connection", name,
		b.Samples.Median(name+" connect µs"), b.Samples.Median(name+" B"))
	s.leave()
	if err := b.flood(ctx, s); err != nil {
		return err
	}
	return s.node.Check(ctx)
}

// start starts a side's node with a guild of all users, and what is before it.
func (b *bench) start(ctx context.Context, s *side) (err error) {
	flags := []string{"-journal", journal}
	switch s.name {
	case inNode:
		flags = append(flags, "-tls-cert", b.files.Cert, "-tls-key", b.files.Key)
	case before:
		flags = append(flags, "-proxy-from", "127.0.0.0/8")
	}
	if s.node, err = b.Throng(ctx, flags...); err != nil {
		return err
	}
	s.gateway = s.node.Gateway
	if s.name != plain {
		s.secure = b.files.Client
	}
	if s.name == before {
		if s.proxy, s.gateway, err = b.startProxy(ctx, s.node.Gateway); err != nil {
			return err
		}
	}
	if err = s.node.PutGuild(ctx, 0, 1); err != nil {
		return err
	}
	group := crowd.Group{Name: group, Connections: b.connections}
	return group.Provision(ctx, s.node, 0)
}

const group = "tls"

// connect has clients from..to connect and identify, a few at a time.
func (s *side) connect(ctx context.Context, from, to int) error {
	next := make(chan int, to-from)
	for n := from; n < to; n++ {
		next <- n
	}
	close(next)
	opened := make(chan *client.Session, to-from)
	failed := make(chan error, connectors)
	var all sync.WaitGroup
	for range connectors {
		all.Go(func() {
			for n := range next {
				c, err := client.IdentifyBy(ctx, s.gateway, s.secure, server.Token(group, n),
					crowd.IntentsQuiet)
				if err == nil {
					_, err = c.Await("GUILD_CREATE")
				}
				if err != nil {
					failed <- err
					return
				}
				opened <- c
			}
		})
	}
	all.Wait()
	close(opened)
	for c := range opened {
		s.sessions = append(s.sessions, c)
		s.readers.Go(func() {
			for {
				if _, err := c.Await("BENCH_EVENT"); err != nil {
					return
				}
				s.received.Add(1)
			}
		})
	}
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}

// deliver measures rounds of so many events at once. A first round warms up and is not counted.
func (b *bench) deliver(ctx context.Context, s *side, pending int) error {
	var cpu time.Duration
	for round := range rounds + 1 {
		if round == 1 {
			var err error
			if cpu, err = s.cpu(); err != nil {
				return err
			}
		}
		want := s.received.Load() + uint64(pending*len(s.sessions))
		if err := s.node.Publish(ctx, 0, crowd.Events(0, frameBytes, pending)); err != nil {
			return err
		}
		err := trial.Until(ctx, awaitAtMost, "all events", func() (bool, error) {
			return s.received.Load() >= want, s.node.Alive()
		})
		if err != nil {
			return err
		}
	}
	after, err := s.cpu()
	if err != nil {
		return err
	}
	frames := float64(rounds * pending * len(s.sessions))
	b.Samples.Add(key(s.name, pending), (after-cpu).Seconds()*1e6/frames)
	return nil
}

func key(side string, pending int) string { return fmt.Sprintf("%s, %d pending", side, pending) }

// cpu is the processor time of the node and of what is before it.
func (s *side) cpu() (time.Duration, error) {
	sum, err := s.node.CPU()
	if err == nil && s.proxy != nil {
		var more time.Duration
		more, err = s.proxy.CPU()
		sum += more
	}
	return sum, err
}

// resident is the memory of both, once the node has collected its garbage.
func (s *side) resident(ctx context.Context) (int64, error) {
	if err := s.node.CollectGarbage(ctx); err != nil {
		return 0, err
	}
	if err := trial.Pause(ctx, settle); err != nil {
		return 0, err
	}
	sum, err := s.node.Resident()
	if err == nil && s.proxy != nil {
		var more int64
		more, err = s.proxy.Resident()
		sum += more
	}
	return sum, err
}

// leave ends all sessions.
func (s *side) leave() {
	for _, c := range s.sessions {
		c.Abandon()
	}
	s.readers.Wait()
	s.sessions = nil
}

func (s *side) stop() {
	s.leave()
	if s.proxy != nil {
		_ = s.proxy.Stop()
	}
	if s.node != nil {
		_ = s.node.Stop()
	}
}

// conclude says what was found.
func (b *bench) conclude() {
	number := func(name string) string { return report.Number(b.Samples.Median(name)) }
	var rows [][]string
	for _, name := range []string{plain, inNode, before} {
		rows = append(rows, []string{name, number(name + " connect µs"), number(name + " B"),
			number(key(name, 1)), number(key(name, 10))})
	}
	b.Result.Table("", []string{"of the node and HAProxy", "to connect and identify, µs",
		"resident, B a connection", "a delivery, µs", "of ten pending, µs"}, rows)
	b.Result.Say("A connection with TLS takes %s B more in the node than one without, and %s B "+
		"more with HAProxy before the node, which has a second socket in the kernel besides.",
		report.Number(b.Samples.Median(inNode+" B")-b.Samples.Median(plain+" B")),
		report.Number(b.Samples.Median(before+" B")-b.Samples.Median(plain+" B")))
	b.Result.Say("A delivery that is alone costs %s times as much with TLS in the node, and %s "+
		"times with HAProxy before it; with ten pending %s and %s times.",
		report.Number(b.Samples.Ratio(key(inNode, 1), key(plain, 1))),
		report.Number(b.Samples.Ratio(key(before, 1), key(plain, 1))),
		report.Number(b.Samples.Ratio(key(inNode, 10), key(plain, 10))),
		report.Number(b.Samples.Ratio(key(before, 10), key(plain, 10))))
	b.concludeFlood()
	b.Result.Reach(report.Figure{What: "memory of a connection with TLS, beside HAProxy",
		Measured: b.Samples.Ratio(inNode+" B", before+" B"), Unit: "×", Limit: 1})
	b.Result.Reach(report.Figure{What: "CPU per delivery with TLS, beside HAProxy",
		Measured: b.Samples.Ratio(key(inNode, 1), key(before, 1)), Unit: "×", Limit: 1})
	b.Result.Reach(report.Figure{What: "p99 of events among handshakes that nobody ends",
		Measured: b.Samples.Median(inNode + " " + flooded + " delivery p99 ms"), Unit: "ms",
		Limit: floodLimit})
}
