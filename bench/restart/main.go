// Command restart has a node taken over by another process, again and again, under load.
//
//	go run ./bench/restart
//
// A node on a disk has sessions in a guild with some events a second. While 100,000 connections are
// opened, each up to HELLO, it is restarted three times: no connection may be refused, and no
// session may be short of an event, or get one twice. It needs 14,000 descriptors, writes
// bench/results/restart.json, and ends by itself after some four minutes. With -quick it is a look
// at whether it works, and keeps nothing.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"time"

	"throng/bench/internal/crowd"
	"throng/bench/internal/report"
	"throng/bench/internal/server"
	"throng/bench/internal/trial"
)

const (
	eventBytes  = 300
	guild       = 0
	returnLimit = 2 * time.Minute
)

type bench struct {
	*trial.Trial
	sessions, dials, dialRate, eventRate, restarts int
}

// scene is one run.
type scene struct {
	node      *server.Throng
	crowd     crowd.Crowd
	dials     *dialler
	publisher *publisher
}

func main() {
	b := &bench{eventRate: 10, restarts: 3}
	flag.IntVar(&b.sessions, "sessions", 5000, "sessions that are there")
	flag.IntVar(&b.dials, "dials", 100_000, "connections that are opened meanwhile")
	flag.IntVar(&b.dialRate, "dial-rate", 5000, "connections opened per second")
	quick := flag.Bool("quick", false, "a tenth of it all, with -dirty")
	trial.Main("restart", "Does anybody notice when a node is restarted?", trial.Options{},
		func(ctx context.Context, t *trial.Trial) error {
			b.Trial = t
			if *quick && !t.Dirty {
				return errors.New("-quick: with -dirty only, its figures are none")
			}
			if *quick {
				b.sessions, b.dials = b.sessions/10, b.dials/10
			}
			err := b.EachRun(ctx, func(int) error { return b.run(ctx) })
			if err == nil {
				b.conclude()
			}
			return err
		})
}

func (b *bench) run(ctx context.Context) error {
	folder, err := os.MkdirTemp(b.Folder, "data-")
	if err != nil {
		return err
	}
	flags := []string{"-data", folder}
	b.Result.Servers["throng"] = server.ThrongFlags("-data", "FOLDER")
	node, err := server.StartThrong(ctx, b.Program("throng"), flags...)
	if err != nil {
		return err
	}
	s := &scene{node: node}
	defer func() { _ = node.Stop() }()
	defer s.crowd.Stop()
	if err := node.PutGuild(ctx, guild, 1); err != nil {
		return err
	}
	group := crowd.Group{Name: "all", Connections: b.sessions}
	if err := group.Provision(ctx, node, guild); err != nil {
		return err
	}
	if err := s.crowd.Join(ctx, node, group); err != nil {
		return err
	}
	s.crowd.Take()
	before := s.crowd.Received()
	s.publisher = publish(ctx, node.Admin, b.eventRate)
	s.dials = dial(ctx, node.Gateway, b.dials, b.dialRate)
	defer s.dials.stop()
	defer s.publisher.stop()
	if err := b.restart(ctx, s); err != nil {
		return errors.Join(err, node.Alive())
	}
	s.dials.wait()
	s.publisher.stop()
	if err := errors.Join(s.publisher.err, ctx.Err()); err != nil {
		return err
	}
	return b.look(ctx, s, before)
}

// restart restarts the node, each time when as many dials more have been made.
func (b *bench) restart(ctx context.Context, s *scene) error {
	most := map[string]float64{}
	for n := range b.restarts {
		due := int64(b.dials) * int64(n+1) / int64(b.restarts+1)
		err := trial.Until(ctx, returnLimit, "enough dials", func() (bool, error) {
			return s.dials.made.Load() >= due, s.node.Alive()
		})
		if err != nil {
			return err
		}
		began := time.Now()
		k, err := s.node.Restart(ctx)
		if err != nil {
			return fmt.Errorf("restart %d: %w", n+1, err)
		}
		took := time.Since(began)
		// All come back, and the next process has all of them before the one after it is started.
		err = trial.Until(ctx, returnLimit, "everybody's return", func() (bool, error) {
			m, err := s.node.Metrics(ctx)
			if err != nil {
				return false, nil // It may have been asked while it moved.
			}
			return m[`throng_sessions{state="live"}`] == float64(b.sessions), s.node.Alive()
		})
		if err != nil {
			return err
		}
		for name, value := range map[string]float64{"requests ms": k.Requests.Seconds() * 1e3,
			"moving ms": k.Moving.Seconds() * 1e3, "restart s": took.Seconds(),
			"back s": time.Since(began).Seconds()} {
			most[name] = math.Max(most[name], value)
		}
		b.Note("restart %d: requests %.1f ms, moving %.1f ms, all back after %.2f s", n+1,
			k.Requests.Seconds()*1e3, k.Moving.Seconds()*1e3, time.Since(began).Seconds())
	}
	for name, value := range most {
		b.Samples.Add(name, value)
	}
	return nil
}

// look says what clients and backend have seen.
func (b *bench) look(ctx context.Context, s *scene, before uint64) error {
	want := before + uint64(b.sessions*s.publisher.accepted)
	_ = trial.Until(ctx, deliverLimit, "delivery", func() (bool, error) {
		return s.crowd.Received() >= want, nil
	})
	seen := s.crowd.Take()
	// What came twice does not make up for what is lost elsewhere.
	lost := max(0, float64(want)-float64(s.crowd.Received()))
	b.Samples.Add("events", float64(s.publisher.accepted))
	b.Samples.Add("lost", lost)
	b.Samples.Add("gaps", float64(seen.SequenceGaps+seen.Duplicates))
	b.Samples.Add("not resumed",
		max(0, float64(b.sessions*b.restarts)-float64(seen.Resumes["resumed"])))
	b.Samples.Add("sessions short", float64(b.sessions-s.crowd.Live()))
	b.Samples.Add("publish max ms", s.publisher.longest.Seconds()*1e3)
	b.Samples.Add("event p50 ms", seen.Event.P50)
	b.Samples.Add("event max ms", math.Max(seen.Event.Max, seen.Replayed.Max))
	took, failed := s.dials.result()
	b.Samples.Add("dials", float64(len(took)))
	b.Samples.Add("dials refused", float64(failed))
	b.Samples.Add("dial p50 ms", quantile(took, 0.5))
	b.Samples.Add("dial p99 ms", quantile(took, 0.99))
	b.Samples.Add("dial max ms", quantile(took, 1))
	b.Note("%d dials, %d refused (%v), %.0f events lost, resumes %v, ends %v", len(took), failed,
		s.dials.fault(), lost, seen.Resumes, seen.Closes)
	return s.node.Check(ctx)
}

// deliverLimit is for the last of the events to come.
const deliverLimit = 10 * time.Second

// publisher is a backend that publishes at a pace, each event by a connection of its own, and waits
// for each answer.
type publisher struct {
	cancel context.CancelFunc
	ended  chan struct{}

	// To be read once it has stopped.
	accepted int
	longest  time.Duration
	err      error
}

func publish(ctx context.Context, admin string, rate int) *publisher {
	ctx, cancel := context.WithCancel(ctx)
	p := &publisher{cancel: cancel, ended: make(chan struct{})}
	url := fmt.Sprintf("http://%s/v1/guilds/%s/events", admin, server.GuildID(guild))
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	go func() {
		defer close(p.ended)
		tick := time.NewTicker(time.Second / time.Duration(rate))
		defer tick.Stop()
		for ctx.Err() == nil && p.err == nil {
			began := time.Now()
			p.err = post(client, url, crowd.Event(guild, eventBytes, began))
			p.longest = max(p.longest, time.Since(began))
			if p.err == nil {
				p.accepted++
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
			}
		}
	}()
	return p
}

func post(client *http.Client, url string, body []byte) error {
	answer, err := client.Post(url, "application/json", bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, _ := io.ReadAll(answer.Body)
	if answer.StatusCode != http.StatusAccepted {
		return fmt.Errorf("an event was refused: %d %s", answer.StatusCode, text)
	}
	return nil
}

func (p *publisher) stop() {
	p.cancel()
	<-p.ended
}

func (b *bench) conclude() {
	r, s := b.Result, b.Samples
	number := func(name string) string { return report.Number(s.Median(name)) }
	r.Table(fmt.Sprintf("%d restarts of a node with %s sessions", b.restarts,
		report.Number(float64(b.sessions))), []string{"what", ""}, [][]string{
		{"connections opened meanwhile", number("dials")},
		{"of these refused, in the worst run", report.Number(s.Most("dials refused"))},
		{"one that is opened: p50, ms", number("dial p50 ms")},
		{"p99, ms", number("dial p99 ms")},
		{"the longest, ms", number("dial max ms")},
		{"events published, of which none may be lost", number("events")},
		{"the longest that the backend waited for an answer, ms", number("publish max ms")},
		{"requests under way were waited for, ms", number("requests ms")},
		{"then nobody served, ms", number("moving ms")},
		{"from the signal until another process serves, s", number("restart s")},
		{"until all sessions are back, s", number("back s")},
		{"an event, to each session: p50, ms", number("event p50 ms")},
		{"the longest that an event took to a session, ms", number("event max ms")},
	})
	r.Say("%s events a second reach %s sessions while %s connections a second are opened, and "+
		"the node is restarted %d times; of each run it is the worst restart that counts.",
		report.Number(float64(b.eventRate)), report.Number(float64(b.sessions)),
		report.Number(float64(b.dialRate)), b.restarts)
	for _, f := range []struct{ what, name, unit string }{
		{"dials refused while a node is restarted", "dials refused", "dials"},
		{"sessions not resumed after a restart", "not resumed", "sessions"},
		{"events lost over a restart", "lost", "deliveries"},
		{"numbers missing or twice over a restart", "gaps", "numbers"},
	} {
		r.Reach(report.Figure{What: f.what, Measured: s.Most(f.name), Unit: f.unit, Limit: 0})
	}
}
