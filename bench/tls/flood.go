package main

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"throng/bench/internal/client"
	"throng/bench/internal/crowd"
	"throng/bench/internal/report"
	"throng/bench/internal/server"
	"throng/bench/internal/trial"
	"throng/wire"
)

const (
	floodSpan   = 5 * time.Second
	flooders    = 16
	witnesses   = 20
	probePause  = 20 * time.Millisecond // between events
	comerPause  = 50 * time.Millisecond // between clients that come
	answerBytes = 1 << 12
	floodLimit  = 50 // ms
)

// Phases of a side with TLS.
const (
	quiet   = "quiet"
	flooded = "flooded"
)

// flood has some sessions be sent events and clients come, first by themselves and then among peers
// that begin handshakes as fast as they are let. A hello costs such a peer nothing, since all send
// the same one, and the server keys and a signature.
func (b *bench) flood(ctx context.Context, s *side) error {
	if s.secure == nil {
		return nil
	}
	hello, err := helloOf(s.secure)
	if err != nil {
		return err
	}
	var seen latencies
	stop, err := s.witness(ctx, &seen)
	if err != nil {
		return err
	}
	defer stop()
	for _, phase := range []string{quiet, flooded} {
		span, end := context.WithTimeout(ctx, floodSpan)
		var begun atomic.Uint64
		var all sync.WaitGroup
		if phase == flooded {
			for range flooders {
				all.Go(func() { s.beginHandshakes(span, hello, &begun) })
			}
		}
		var came latencies
		failed := make(chan error, 1)
		all.Go(func() { failed <- s.come(span, &came) })
		err := s.probe(span)
		all.Wait()
		end()
		if err = errors.Join(err, <-failed, ctx.Err()); err != nil {
			return err
		}
		name := s.name + " " + phase
		b.Samples.Add(name+" delivery p99 ms", seen.take())
		b.Samples.Add(name+" come p99 ms", came.take())
		b.Samples.Add(name+" begun", float64(begun.Load())/floodSpan.Seconds())
	}
	return nil
}

// latencies are how long things took.
type latencies struct {
	// Guarded by mu.
	mu  sync.Mutex
	all []time.Duration
}

func (l *latencies) add(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, d)
}

// take forgets them and says what all but one of a hundred were below, in milliseconds.
func (l *latencies) take() float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.all) == 0 {
		return 0
	}
	slices.Sort(l.all)
	p99 := l.all[len(l.all)*99/100]
	l.all = nil
	return p99.Seconds() * 1000
}

// witness connects sessions that note how old events are when they come.
func (s *side) witness(ctx context.Context, seen *latencies) (stop func(), err error) {
	var sessions []*client.Session
	var readers sync.WaitGroup
	stop = func() {
		for _, c := range sessions {
			c.Abandon()
		}
		readers.Wait()
	}
	for n := range witnesses {
		c, err := client.IdentifyBy(ctx, s.gateway, s.secure, server.Token(group, n),
			crowd.IntentsQuiet)
		if err != nil {
			stop()
			return nil, err
		}
		sessions = append(sessions, c)
		readers.Go(func() {
			for {
				d, err := c.Await("BENCH_EVENT")
				if err != nil {
					return
				}
				made, _ := wire.IntField(d, "ts")
				seen.add(time.Since(time.Unix(0, made)))
			}
		})
	}
	return stop, nil
}

// probe publishes an event at each of its times.
func (s *side) probe(span context.Context) error {
	for tick := time.NewTicker(probePause); ; {
		select {
		case due := <-tick.C:
			err := s.node.Publish(context.WithoutCancel(span), 0, crowd.Event(0, frameBytes, due))
			if err != nil {
				return err
			}
		case <-span.Done():
			tick.Stop()
			return trial.Pause(context.WithoutCancel(span), time.Second/2)
		}
	}
}

// come has clients do whole handshakes, one after the other, and notes how long each took.
func (s *side) come(span context.Context, came *latencies) error {
	for trial.Pause(span, comerPause) == nil {
		began := time.Now()
		conn, err := net.DialTimeout("tcp", s.gateway, awaitAtMost)
		if err != nil {
			return err
		}
		_ = conn.SetDeadline(began.Add(awaitAtMost))
		err = tls.Client(conn, s.secure).Handshake()
		_ = conn.Close()
		if err != nil {
			return err
		}
		came.add(time.Since(began))
	}
	return nil
}

// beginHandshakes begins one after the other, reads the answer, and goes.
func (s *side) beginHandshakes(span context.Context, hello []byte, begun *atomic.Uint64) {
	answer := make([]byte, answerBytes)
	for span.Err() == nil {
		conn, err := net.DialTimeout("tcp", s.gateway, awaitAtMost)
		if err != nil {
			continue
		}
		_ = conn.SetDeadline(time.Now().Add(awaitAtMost))
		_ = conn.(*net.TCPConn).SetLinger(0)
		if _, err = conn.Write(hello); err == nil {
			if _, err = conn.Read(answer); err == nil {
				begun.Add(1)
			}
		}
		_ = conn.Close()
	}
}

// helloOf is the first record of a client.
func helloOf(config *tls.Config) ([]byte, error) {
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	go func() { _ = tls.Client(near, config).Handshake() }()
	hello := make([]byte, answerBytes)
	n, err := far.Read(hello)
	return hello[:n], err
}

func (b *bench) concludeFlood() {
	number := func(name string) string { return report.Number(b.Samples.Median(name)) }
	var rows [][]string
	for _, side := range []string{inNode, before} {
		for _, phase := range []string{quiet, flooded} {
			name := side + " " + phase
			rows = append(rows, []string{side + ", " + phase, number(name + " begun"),
				number(name + " delivery p99 ms"), number(name + " come p99 ms")})
		}
	}
	b.Result.Table("Handshakes that are never answered", []string{"", "begun a second",
		"delivery, p99 ms", "a client's whole handshake, p99 ms"}, rows)
}
