// Command delivery measures what a delivery costs, in processor time of the node, beside the
// kernel's own price for the same writes in the same run.
//
//	go run ./bench/delivery
//
// 9,000 sessions in one guild get frames of exactly 300, 1,024 and 4,096 bytes, first with nothing
// to batch, then with several events pending. The floor is bench/rawlimit with as many sockets and
// bytes. It needs a C compiler and 20,000 descriptors, writes bench/results/delivery.json, and ends
// by itself after some two minutes.
package main

import (
	"context"
	"flag"
	"fmt"
	"strconv"
	"time"

	"throng/bench/internal/crowd"
	"throng/bench/internal/plot"
	"throng/bench/internal/report"
	"throng/bench/internal/server"
	"throng/bench/internal/trial"
)

var (
	frameSizes = []int{300, 1024, 4096}
	// pendings are events published together, and how often.
	pendings = []struct{ events, rounds int }{{1, 10}, {2, 6}, {5, 4}, {10, 3}, {50, 1}}
)

// rawRounds gives the floor about as many writes as an unbatched delivery.
const rawRounds = 12

type bench struct {
	*trial.Trial
	receivers int
	node      *server.Throng
	crowd     crowd.Crowd
}

func main() {
	receivers := flag.Int("receivers", 9000, "sessions in the guild")
	trial.Main("delivery", "What does a delivery cost, beside the kernel's own price?",
		trial.Options{Runs: 5}, func(ctx context.Context, t *trial.Trial) error {
			b := &bench{Trial: t, receivers: *receivers}
			if err := b.measure(ctx); err != nil {
				return err
			}
			b.conclude()
			return nil
		})
}

func (b *bench) measure(ctx context.Context) (err error) {
	if err = b.BuildRawlimit(ctx); err != nil {
		return err
	}
	if b.node, err = b.Throng(ctx); err != nil {
		return err
	}
	defer func() { _ = b.node.Stop() }()
	group := crowd.Group{Name: "all", Connections: b.receivers}
	if err = b.node.PutGuild(ctx, 0, 1); err != nil {
		return err
	}
	if err = group.Provision(ctx, b.node, 0); err != nil {
		return err
	}
	if err = b.crowd.Join(ctx, b.node, group); err != nil {
		return err
	}
	defer b.crowd.Stop()
	b.Note("%d sessions are there", b.receivers)
	return b.EachRun(ctx, func(int) error {
		for _, size := range frameSizes {
			if err := b.size(ctx, size); err != nil {
				return err
			}
		}
		return nil
	})
}

// size measures all sides with one size of frame.
func (b *bench) size(ctx context.Context, size int) error {
	raw, err := b.Raw(ctx, b.receivers, size, rawRounds)
	if err != nil {
		return err
	}
	b.Samples.Add(rawKey(size), raw.CPUMicros)
	b.Samples.Add(rawKey(size)+" frames/s", raw.PerSecond)
	for _, p := range pendings {
		if err := b.pending(ctx, size, p.events, p.rounds); err != nil {
			return fmt.Errorf("%d pending of %d bytes: %w", p.events, size, err)
		}
	}
	return nil
}

func rawKey(size int) string { return fmt.Sprintf("rawlimit %d B", size) }
func key(size, pending int) string {
	return fmt.Sprintf("throng %d B %d pending", size, pending)
}

// pending measures rounds of so many events at once. A first round warms up and is not counted.
func (b *bench) pending(ctx context.Context, size, events, rounds int) error {
	var before server.Metrics
	var cpu, spent time.Duration
	for round := range rounds + 1 {
		if round == 1 {
			var err error
			if before, err = b.node.Metrics(ctx); err != nil {
				return err
			}
			if cpu, err = b.node.CPU(); err != nil {
				return err
			}
		}
		count := uint64(events * b.receivers)
		took, err := b.crowd.Deliver(ctx, count, func() error {
			return b.node.Publish(ctx, 0, crowd.Events(0, size, events))
		})
		if err != nil {
			return err
		}
		if round > 0 {
			spent += took
		}
	}
	after, err := b.node.CPU()
	if err != nil {
		return err
	}
	metrics, err := b.node.Metrics(ctx)
	if err != nil {
		return err
	}
	frames, name := float64(rounds*events*b.receivers), key(size, events)
	d := metrics.Since(before)
	if sent := d["throng_sent_bytes_total"] / frames; sent < float64(size) ||
		sent > float64(size)*1.05 {
		return fmt.Errorf("%.1f bytes were sent per frame of %d", sent, size)
	}
	b.Samples.Add(name, (after-cpu).Seconds()*1e6/frames)
	b.Samples.Add(name+" frames/s", frames/spent.Seconds())
	b.Samples.Add(name+" frames/write", frames/d["throng_writes_total"])
	b.Note("%s: %.2f µs, %.0f frames/s", name, report.Median(b.Samples[name]),
		frames/spent.Seconds())
	return nil
}

// conclude says what was found.
func (b *bench) conclude() {
	r := b.Result
	columns := []string{"processor time, µs (× rawlimit)", "rawlimit"}
	bars := plot.Bars{Title: "CPU per delivered frame, as a multiple of one send(2)", Unit: "×",
		Limit: 1, LimitName: "rawlimit"}
	for _, p := range pendings {
		columns = append(columns, strconv.Itoa(p.events)+" pending")
		bars.Groups = append(bars.Groups, strconv.Itoa(p.events)+" pending")
	}
	var costs, speeds [][]string
	for _, size := range frameSizes {
		cost := []string{fmt.Sprintf("%d B", size), report.Number(b.Samples.Median(rawKey(size)))}
		speed := []string{fmt.Sprintf("%d B", size),
			report.Number(b.Samples.Median(rawKey(size) + " frames/s"))}
		var ratios []float64
		for _, p := range pendings {
			name := key(size, p.events)
			ratio := b.Samples.Ratio(name, rawKey(size))
			ratios = append(ratios, ratio)
			cost = append(cost, fmt.Sprintf("%s (%s)", report.Number(b.Samples.Median(name)),
				report.Number(ratio)))
			speed = append(speed, report.Number(b.Samples.Median(name+" frames/s")))
		}
		costs, speeds = append(costs, cost), append(speeds, speed)
		bars.Series = append(bars.Series, fmt.Sprintf("%d B", size))
		bars.Values = append(bars.Values, ratios)
	}
	r.Table("", columns, costs)
	columns[0] = "frames/s until all is read"
	r.Table("", columns, speeds)
	r.Plot("", "CPU per delivered frame as a multiple of one send(2)", bars.SVG())
	one := b.Samples.Ratio(key(300, 1), rawKey(300))
	ten := b.Samples.Ratio(key(300, 10), rawKey(300))
	r.Say("A frame of 300 bytes that is alone costs the node %s times the kernel's price of its "+
		"`send(2)`; the part above 1 is all that the node does itself.", report.Number(one))
	r.Say("With ten pending a frame costs %s of that price, since %s frames leave in one write.",
		report.Number(ten), report.Number(b.Samples.Median(key(300, 10)+" frames/write")))
	r.Reach(report.Figure{What: "CPU per delivery, nothing to batch, 300 B, 9,000 receivers",
		Measured: one, Unit: "× rawlimit", Limit: 1.15})
	r.Reach(report.Figure{What: "CPU per delivery, ten pending, 300 B", Measured: ten,
		Unit: "× rawlimit", Limit: 0.25})
}
