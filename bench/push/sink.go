package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"throng/bench/internal/server"
	"throng/bench/internal/trial"
)

const (
	// answerPause is what the webhook and the subscriber take for a batch: a service in the same
	// city.
	answerPause = 5 * time.Millisecond
	// connections is how many a node has to a sink, and credits what each may have unanswered.
	connections = 4
	credits     = 100
	residentGap = 250 * time.Millisecond
)

// hook is a webhook in this process.
type hook struct {
	server   *http.Server
	address  string
	taken    atomic.Int64 // Pushes that were answered with 200.
	flightMx atomic.Int64 // Most pushes without an answer on one connection.

	// Guarded by mu.
	mu      sync.Mutex
	flights map[string]int64 // By the other side's address.
	stalled chan struct{}    // Nil, or closed when the stall ends.
}

func startHook() (*hook, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	h := &hook{address: "http://" + l.Addr().String(), flights: map[string]int64{}}
	h.server = &http.Server{Handler: h}
	go func() { _ = h.server.Serve(l) }()
	return h, nil
}

func (h *hook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body struct{ Pushes []struct{} }
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	count := int64(len(body.Pushes))
	stalled := h.open(r.RemoteAddr, count)
	defer h.open(r.RemoteAddr, -count)
	if stalled != nil {
		select {
		case <-stalled:
		case <-r.Context().Done():
			return
		}
	}
	time.Sleep(answerPause)
	h.taken.Add(count)
}

// open counts what is without an answer on a connection.
func (h *hook) open(peer string, count int64) (stalled chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.flights[peer] += count
	h.flightMx.Store(max(h.flightMx.Load(), h.flights[peer]))
	if h.flights[peer] == 0 {
		delete(h.flights, peer)
	}
	return h.stalled
}

// hold begins a stall and returns what ends it.
func (h *hook) hold() (release func()) {
	stalled := make(chan struct{})
	h.mu.Lock()
	h.stalled = stalled
	h.mu.Unlock()
	return func() {
		h.mu.Lock()
		h.stalled = nil
		h.mu.Unlock()
		close(stalled)
	}
}

// webhook measures a healthy webhook, one that stalls, and its return.
func (b *bench) webhook(ctx context.Context) error {
	h, err := startHook()
	if err != nil {
		return err
	}
	defer func() { _ = h.server.Close() }()
	s, err := b.stage(ctx, "-push-webhook", h.address)
	if err != nil {
		return err
	}
	defer s.stop()
	if _, err := s.play(ctx, "webhook", b.span); err != nil {
		return err
	}
	if err := s.quiet(ctx); err != nil {
		return err
	}
	b.Samples.Add("webhook in flight", float64(h.flightMx.Load()))
	before, err := s.node.Resident()
	if err != nil {
		return err
	}
	release := h.hold()
	most := s.watch(ctx)
	d, err := s.play(ctx, "stalled", b.stall)
	grown := <-most() - before
	if err != nil {
		return err
	}
	b.Samples.Add("stalled MB", float64(grown)/1e6)
	b.Samples.Add("stalled shed", d[`throng_push_drops_total{reason="shed"}`])
	if err := s.recover(ctx, release); err != nil {
		return err
	}
	if err := s.quiet(ctx); err != nil {
		return err
	}
	return s.balance(ctx, h.taken.Load())
}

// watch looks at the node's resident memory until what it returns is called for the most of it.
func (s *stage) watch(ctx context.Context) func() <-chan int64 {
	ctx, end := context.WithCancel(ctx)
	result := make(chan int64, 1)
	go func() {
		var most int64
		for {
			if now, err := s.node.Resident(); err == nil {
				most = max(most, now)
			}
			if trial.Pause(ctx, residentGap) != nil {
				result <- most
				return
			}
		}
	}()
	return func() <-chan int64 {
		end()
		return result
	}
}

// recover ends a stall and takes the time until the backlog is gone, while messages go on coming.
func (s *stage) recover(ctx context.Context, release func()) error {
	before, err := s.node.Metrics(ctx)
	if err != nil {
		return err
	}
	going, end := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() {
		const long = 1 << 30
		ended <- paced(going, long, messages, func(time.Time) error {
			return s.node.Publish(ctx, guild, s.message())
		})
	}()
	release()
	began := time.Now()
	var now server.Metrics
	err = trial.Until(ctx, drainTimeout, "the end of the backlog", func() (bool, error) {
		var err error
		now, err = s.node.Metrics(ctx)
		if err == nil {
			err = trial.Pause(ctx, pollPause)
		}
		return now["throng_push_depth"] <= drained, err
	})
	took := time.Since(began)
	end()
	<-ended
	if err != nil {
		return err
	}
	d := now.Since(before)
	s.b.Samples.Add("backlog", before["throng_push_depth"])
	s.b.Samples.Add("recovery s", took.Seconds())
	s.b.Samples.Add("recovery pushes/min", d["throng_push_sent_total"]/took.Minutes())
	s.b.Note("recovery: %.0f waiting, gone in %.2f s", before["throng_push_depth"], took.Seconds())
	return nil
}

// quiet waits until nothing waits or is in flight.
func (s *stage) quiet(ctx context.Context) error {
	return trial.Until(ctx, drainTimeout, "the last push", func() (bool, error) {
		m, err := s.node.Metrics(ctx)
		if err == nil {
			err = trial.Pause(ctx, pollPause)
		}
		return m["throng_push_depth"]+m["throng_push_in_flight"] == 0, err
	})
}

// balance holds that every push is accounted for, and counts those that the sink got twice.
func (s *stage) balance(ctx context.Context, taken int64) error {
	m, err := s.node.Metrics(ctx)
	if err != nil {
		return err
	}
	sent := m["throng_push_sent_total"]
	left := m["throng_push_offered_total"] - sent - m["throng_push_collapsed_total"]
	for _, reason := range []string{"omitted", "shed", "expired", "refused", "failed", "ended"} {
		left -= m[`throng_push_drops_total{reason="`+reason+`"}`]
	}
	if offered := float64(s.sent * mentions); m["throng_push_offered_total"] != offered {
		return fmt.Errorf("%.0f pushes were offered, want %.0f", m["throng_push_offered_total"],
			offered)
	}
	s.b.Samples.Add("unaccounted", math.Abs(left)) // One counted twice is as wrong.
	s.b.Samples.Add("twice", float64(taken)-sent)
	s.b.Samples.Add("failed", m[`throng_push_drops_total{reason="failed"}`])
	return s.node.Check(ctx)
}

// nats measures a NATS subject with a subscriber that replies.
func (b *bench) nats(ctx context.Context) error {
	peer, err := server.StartPeer(ctx, "nats", b.Program("nats"), true)
	if err != nil {
		return err
	}
	defer func() { _ = peer.Stop() }()
	client, err := nats.Connect("nats://" + peer.Address())
	if err != nil {
		return err
	}
	defer client.Close()
	var open, most atomic.Int64
	_, err = client.Subscribe("throng.push", func(m *nats.Msg) {
		// One goroutine receives, so nobody else raises it.
		count := int64(bytes.Count(m.Data, []byte(`"user_id"`)))
		most.Store(max(most.Load(), open.Add(count)))
		time.AfterFunc(answerPause, func() {
			open.Add(-count)
			_ = m.Respond(nil)
		})
	})
	if err != nil {
		return err
	}
	s, err := b.stage(ctx, "-push-nats", "nats://"+peer.Address())
	if err != nil {
		return err
	}
	defer s.stop()
	if _, err := s.play(ctx, "nats", b.span); err != nil {
		return err
	}
	if err := s.quiet(ctx); err != nil {
		return err
	}
	b.Samples.Add("nats in flight", float64(most.Load())/connections)
	return s.node.Check(ctx)
}
