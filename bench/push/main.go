// Command push measures the pushes of members who are away: how many a sink gets, what a sink that
// stalls costs, and whether the guild notices any of it.
//
//	go run ./bench/push
//
// A guild has 100 sessions and 20,000 members without one. 200 messages a second mention 100 of
// these each, which is 1.2 million pushes a minute, to nobody, to a webhook, to a webhook that
// answers nothing for a minute (-stall), and to a NATS subject. It writes bench/results/push.json
// and ends by itself after some ten minutes.
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"path/filepath"
	"time"

	"throng/bench/internal/crowd"
	"throng/bench/internal/server"
	"throng/bench/internal/trial"
	"throng/wire"
)

const (
	guild    = 0
	channels = 100
	sessions = 100
	members  = 20_000
	// messages a second, each of which mentions so many members.
	messages = 200
	mentions = 100
	// probeRate events a second are timed on their way to the sessions.
	probeRate  = 20
	frameBytes = 300
	// drained is how few pushes wait when a backlog is called gone: those of 50 ms.
	drained      = messages * mentions / 20
	drainTimeout = 2 * time.Minute
	pollPause    = 20 * time.Millisecond
)

type bench struct {
	*trial.Trial
	span, stall time.Duration
}

func main() {
	span := flag.Duration("span", 20*time.Second, "how long each phase takes")
	stall := flag.Duration("stall", time.Minute, "how long the webhook answers nothing")
	trial.Main("push", "What do pushes to members who are away cost?",
		trial.Options{Timeout: 25 * time.Minute},
		func(ctx context.Context, t *trial.Trial) error {
			b := &bench{t, *span, *stall}
			err := server.Build(ctx, filepath.Join(b.Root, "bench", "peers"), "./nats",
				b.Program("nats"))
			if err != nil {
				return err
			}
			err = b.EachRun(ctx, func(int) error { return b.run(ctx) })
			if err == nil {
				b.conclude()
			}
			return err
		})
}

// run measures a node for each sink, one after the other.
func (b *bench) run(ctx context.Context) error {
	if err := b.nobody(ctx); err != nil {
		return fmt.Errorf("nobody: %w", err)
	}
	if err := b.webhook(ctx); err != nil {
		return fmt.Errorf("webhook: %w", err)
	}
	if err := b.nats(ctx); err != nil {
		return fmt.Errorf("NATS: %w", err)
	}
	return nil
}

// stage is a node with the guild, its sessions, and what is published to it.
type stage struct {
	b    *bench
	node *server.Throng
	c    crowd.Crowd
	sent int // Messages so far.
}

func (b *bench) stage(ctx context.Context, flags ...string) (*stage, error) {
	node, err := b.Throng(ctx, flags...)
	if err != nil {
		return nil, err
	}
	s := &stage{b: b, node: node}
	live := crowd.Group{Name: "live", Connections: sessions}
	live.Clients.Intents = wire.IntentGuilds // A message of 100 mentions is 30 KB.
	if err = node.PutGuild(ctx, guild, channels); err == nil {
		err = live.Provision(ctx, node, guild)
	}
	if err == nil {
		err = crowd.Group{Name: "away", First: sessions, Connections: members}.Provision(ctx, node,
			guild)
	}
	if err == nil {
		err = s.c.Join(ctx, node, live)
	}
	if err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

func (s *stage) stop() {
	s.c.Stop()
	_ = s.node.Stop()
}

// message is the next one. A member is mentioned again in the same channel only after 20,000
// messages, so that hardly a push takes another's place.
func (s *stage) message() []byte {
	const groups = members / mentions
	from := sessions + s.sent%groups*mentions
	channel := s.sent / groups % channels
	s.sent++
	body := append([]byte(`{"t":"MESSAGE_CREATE","d":{"channel_id":"`),
		server.ChannelID(guild, channel).String()...)
	body = append(append(body, `","author":{"id":"`...), server.UserID(0).String()...)
	body = append(body, `"},"content":"`...)
	body = append(body, bytes.Repeat([]byte("What is on tonight? "), 5)...)
	body = append(body, `","mentions":[`...)
	for i := range mentions {
		if i > 0 {
			body = append(body, ',')
		}
		body = append(append(append(body, '"'), server.UserID(from+i).String()...), '"')
	}
	return append(body, "]}}\n"...)
}

// play publishes messages and probes until ctx ends or for a span, and keeps what was seen of both
// under a name.
func (s *stage) play(ctx context.Context, name string, span time.Duration) (server.Metrics, error) {
	before, err := s.node.Metrics(ctx)
	if err != nil {
		return nil, err
	}
	cpu, err := s.node.CPU()
	if err != nil {
		return nil, err
	}
	s.c.Take()
	began := time.Now()
	probed := make(chan error, 1)
	probes := int(span.Seconds() * probeRate)
	go func() {
		_, err := s.c.Deliver(ctx, uint64(probes*sessions), func() error {
			return paced(ctx, probes, probeRate, func(due time.Time) error {
				return s.node.Publish(ctx, guild, crowd.Event(guild, frameBytes, due))
			})
		})
		probed <- err
	}()
	err = paced(ctx, int(span.Seconds()*messages), messages, func(time.Time) error {
		return s.node.Publish(ctx, guild, s.message())
	})
	took := time.Since(began)
	if probing := <-probed; err == nil {
		err = probing
	}
	if err != nil {
		return nil, err
	}
	after, err := s.node.Metrics(ctx)
	if err != nil {
		return nil, err
	}
	cpuAfter, err := s.node.CPU()
	if err != nil {
		return nil, err
	}
	seen, d := s.c.Take(), after.Since(before)
	mean, _ := d.Handled("publish")
	add := func(what string, v float64) { s.b.Samples.Add(name+" "+what, v) }
	add("p50 ms", seen.Event.P50)
	add("p99 ms", seen.Event.P99)
	add("shard µs", mean*1e6)
	add("cpu s/s", (cpuAfter-cpu).Seconds()/took.Seconds())
	add("pushes/min", d["throng_push_sent_total"]/took.Minutes())
	s.b.Note("%s: %.0f messages/s, %.0f µs each, p50 %.2f ms, p99 %.2f ms, %.0f pushes/min", name,
		span.Seconds()*messages/took.Seconds(), mean*1e6, seen.Event.P50, seen.Event.P99,
		d["throng_push_sent_total"]/took.Minutes())
	return d, nil
}

// paced calls f so often, at a rate; f hears when it was due.
func paced(ctx context.Context, count, rate int, f func(due time.Time) error) error {
	began := time.Now()
	for i := range count {
		due := began.Add(time.Duration(i) * time.Second / time.Duration(rate))
		if err := trial.Pause(ctx, time.Until(due)); err != nil {
			return err
		}
		if err := f(due); err != nil {
			return err
		}
	}
	return nil
}

// nobody is the same load on a node without a sink.
func (b *bench) nobody(ctx context.Context) error {
	s, err := b.stage(ctx)
	if err != nil {
		return err
	}
	defer s.stop()
	if _, err = s.play(ctx, "nobody", b.span); err != nil {
		return err
	}
	return s.node.Check(ctx)
}
