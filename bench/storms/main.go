// Command storms measures how fast everybody comes back after a cut, and how fast everybody
// arrives on a fresh node.
//
//	go run ./bench/storms
//
// 9,000 sessions are cut at once, miss events, and resume; every client checks its sequence
// numbers. Then 18,000 clients identify into one guild of 100 channels as fast as they can; and
// then into 10,000 guilds on a disk, of which the node has read none. It needs 20,000 descriptors,
// writes bench/results/storms.json, and ends by itself after three minutes.
package main

import (
	"context"
	"flag"
	"fmt"
	"time"

	"throng/bench/internal/crowd"
	"throng/bench/internal/plot"
	"throng/bench/internal/report"
	"throng/bench/internal/server"
	"throng/bench/internal/trial"
	"throng/bench/load"
	"throng/wire"
)

const (
	frameBytes = 300
	// missed are the events that are published while everybody is away.
	missed        = 20
	channels      = 100
	returnTimeout = 2 * time.Minute
	// resumeLimit is for the slowest of a hundred, in ms: clients wait some five times that long.
	resumeLimit = 2000
)

type bench struct {
	*trial.Trial
	cut, fresh, guilds int
}

func main() {
	cut := flag.Int("cut", 9000, "sessions that are cut and resume")
	fresh := flag.Int("fresh", 18_000, "clients that identify")
	guilds := flag.Int("guilds", 10_000, "guilds on the disk of the cold node")
	trial.Main("storms", "How fast does everybody come back?", trial.Options{},
		func(ctx context.Context, t *trial.Trial) error {
			b := &bench{t, *cut, *fresh, *guilds}
			if err := b.fillStore(ctx); err != nil {
				return fmt.Errorf("fill the store: %w", err)
			}
			err := b.EachRun(ctx, func(int) error {
				if err := b.resumes(ctx); err != nil {
					return fmt.Errorf("resumes: %w", err)
				}
				for _, c := range transports {
					if err := b.identifies(ctx, c); err != nil {
						return fmt.Errorf("identifies, %v: %w", c, err)
					}
				}
				if err := b.stampede(ctx); err != nil {
					return fmt.Errorf("stampede: %w", err)
				}
				return nil
			})
			if err == nil {
				b.conclude()
			}
			return err
		})
}

// storm starts a node with a guild and the users of a group.
func (b *bench) storm(ctx context.Context, group crowd.Group) (*server.Throng, error) {
	node, err := b.Throng(ctx)
	if err != nil {
		return nil, err
	}
	if err = node.PutGuild(ctx, 0, channels); err == nil {
		err = group.Provision(ctx, node, 0)
	}
	if err != nil {
		_ = node.Stop()
	}
	return node, err
}

// resumes cuts everybody at once.
func (b *bench) resumes(ctx context.Context) error {
	group := crowd.Group{Name: "all", Connections: b.cut}
	node, err := b.storm(ctx, group)
	if err != nil {
		return err
	}
	defer func() { _ = node.Stop() }()
	var c crowd.Crowd
	defer c.Stop()
	if err := c.Join(ctx, node, group); err != nil {
		return err
	}
	publish := func(events int) error {
		return node.Publish(ctx, 0, crowd.Events(0, frameBytes, events))
	}
	few := func() error {
		_, err := c.Deliver(ctx, uint64(b.cut*2), func() error { return publish(2) })
		return err
	}
	if err := few(); err != nil {
		return err
	}
	c.Take()
	cpu, err := node.CPU()
	if err != nil {
		return err
	}
	want := c.Received() + uint64(b.cut*missed)
	began := time.Now()
	c.Cut()
	if err := publish(missed); err != nil {
		return err
	}
	c.Return()
	err = trial.Until(ctx, returnTimeout, "everybody's return", func() (bool, error) {
		return c.Live() == b.cut && c.Received() >= want, node.Alive()
	})
	took := time.Since(began)
	storm := c.Take()
	if err != nil {
		return fmt.Errorf("%w; %d are back, %d of %d events are missing, resumes %v, ends %v", err,
			c.Live(), want-min(want, c.Received()), b.cut*missed, storm.Resumes, storm.Closes)
	}
	after, err := node.CPU()
	if err != nil {
		return err
	}
	b.Samples.Add("resume s", took.Seconds())
	b.Samples.Add("resume p50 ms", storm.Back.P50)
	b.Samples.Add("resume p99 ms", storm.Back.P99)
	b.Samples.Add("resume µs/session", (after-cpu).Seconds()*1e6/float64(b.cut))
	refused := max(0, float64(b.cut)-float64(storm.Resumes["resumed"]))
	b.Samples.Add("resume refused", refused)
	// What comes after the storm shows whether anything is missing or came twice before it.
	if err := few(); err != nil {
		return err
	}
	calm := c.Take()
	b.Samples.Add("resume gaps", float64(storm.SequenceGaps+calm.SequenceGaps))
	b.Samples.Add("resume duplicates", float64(storm.Duplicates+calm.Duplicates))
	b.Samples.Add("resume faults", refused+float64(storm.SequenceGaps+calm.SequenceGaps)+
		float64(storm.Duplicates+calm.Duplicates))
	b.Note("%d resumed in %.2f s, %d gaps", b.cut, took.Seconds(), storm.SequenceGaps)
	return node.Check(ctx)
}

// transports are what everybody arrives on. A client's zstd decoder takes too much for so many.
var transports = []wire.Compression{wire.CompressionNone, wire.CompressionZlib}

// identifyName begins the names of the samples of one transport.
func identifyName(c wire.Compression) string {
	if c == wire.CompressionNone {
		return "identify"
	}
	return "identify " + c.String()
}

// identifies lets everybody arrive at once.
func (b *bench) identifies(ctx context.Context, c wire.Compression) error {
	group := crowd.Group{Name: "all", Connections: b.fresh,
		Clients: load.Config{OpeningMax: b.fresh, Compress: c}}
	node, err := b.storm(ctx, group)
	if err != nil {
		return err
	}
	defer func() { _ = node.Stop() }()
	cpu, err := node.CPU()
	if err != nil {
		return err
	}
	var all crowd.Crowd
	defer all.Stop()
	began := time.Now()
	if err := all.Join(ctx, node, group); err != nil {
		return err
	}
	took := time.Since(began)
	after, err := node.CPU()
	if err != nil {
		return err
	}
	seen, name := all.Take(), identifyName(c)
	b.Samples.Add(name+" s", took.Seconds())
	b.Samples.Add(name+" p50 ms", seen.Available.P50)
	b.Samples.Add(name+" p99 ms", seen.Available.P99)
	b.Samples.Add(name+" µs/session", (after-cpu).Seconds()*1e6/float64(b.fresh))
	b.Samples.Add(name+" B/session", float64(seen.Bytes)/float64(b.fresh))
	b.Note("%d identified in %.2f s, %v", b.fresh, took.Seconds(), c)
	return node.Check(ctx)
}

// conclude says what was found.
func (b *bench) conclude() {
	r, s := b.Result, b.Samples
	shared := identifyName(wire.CompressionZlib)
	row := func(what string, count int, name string) []string {
		return []string{what, report.Number(float64(count)), report.Number(s.Median(name + " s")),
			report.Number(float64(count) / s.Median(name+" s")),
			report.Number(s.Median(name + " p50 ms")), report.Number(s.Median(name + " p99 ms")),
			report.Number(s.Median(name + " µs/session"))}
	}
	r.Table("", []string{"storm", "sessions", "until the last, s", "sessions/s", "one: p50, ms",
		"p99, ms", "CPU, µs per session"}, [][]string{
		row("cut and resumed", b.cut, "resume"), row("identified", b.fresh, "identify"),
		row("identified, zlib-stream", b.fresh, shared),
		row("identified, cold node", b.fresh, coldName)})
	r.Plot("", "seconds until the last is back or has arrived", plot.Bars{
		Title: "Until the last one", Unit: "s", Series: []string{"each run"},
		Groups: []string{"resumed", "identified", "zlib-stream", "cold node"},
		Values: [][]float64{{s.Median("resume s"), s.Median("identify s"),
			s.Median(shared + " s"), s.Median(coldName + " s")}}}.SVG())
	r.Say("All %s came back %s s after the cut, with the %d events that they had missed; in "+
		"no run were more than %.0f resumes refused, %.0f numbers missing, or %.0f there twice.",
		report.Number(float64(b.cut)), report.Number(s.Median("resume s")), missed,
		s.Most("resume refused"), s.Most("resume gaps"), s.Most("resume duplicates"))
	r.Say("A fresh client reads %s bytes until it has its guild, nearly all of them the "+
		"GUILD_CREATE of %d channels, which is encoded once and copied. On zlib-stream it is "+
		"packed once too, and a client reads %s bytes.",
		report.Number(s.Median("identify B/session")), channels,
		report.Number(s.Median(shared+" B/session")))
	r.Reach(report.Figure{What: "p99 of a resume in a storm of 9,000",
		Measured: s.Median("resume p99 ms"), Unit: "ms", Limit: resumeLimit})
	r.Reach(report.Figure{What: "lost or refused in a storm of 9,000 resumes",
		Measured: s.Most("resume faults"), Unit: "", Limit: 0})
	b.sayCold()
}
