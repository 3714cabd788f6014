package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"throng/bench/internal/crowd"
	"throng/bench/internal/plot"
	"throng/bench/internal/report"
	"throng/bench/internal/server"
	"throng/bench/internal/trial"
	"throng/bench/load"
)

// account keeps what was seen in one phase. Deliveries that are missing took deliverMax at least,
// and are the slowest.
func (b *bench) account(phase string, d server.Metrics, took time.Duration, seen load.Phase,
	missing int) {
	add := func(name string, value float64) { b.Samples.Add(phase+" "+name, value) }
	share := float64(missing) / float64(probes*smallSessions)
	quantile := func(q, came float64) float64 {
		if share > 1-q {
			return deliverMax.Seconds() * 1e3
		}
		return came
	}
	p50, p99 := quantile(0.50, seen.Event.P50), quantile(0.99, seen.Event.P99)
	add("p50 ms", p50)
	add("p99 ms", p99)
	add("missing %", share*100)
	add("taken/s", (eventsOf(d)-float64(probes))/took.Seconds())
	deliveries := d["throng_deliveries_total"] - float64(seen.Delivered)
	add("events/s", deliveries/float64(b.big)/took.Seconds())
	add("deliveries/s", deliveries/took.Seconds())
	b.Note("%s: p50 %s ms, p99 %s ms, %d missing, %s deliveries/s", phase, report.Number(p50),
		report.Number(p99), missing, report.Number(deliveries/took.Seconds()))
	if phase != "flood" {
		return
	}
	// What a loop does between two visits to its sockets is to hand out to so many receivers, and
	// to write to a share of those. Only the first is taken for the pass, which is the stricter
	// reading: the node's own time of handing out, for each receiver, times the receivers.
	mean, passes := d.Handled("relay_publish")
	pass := mean * passes / d["throng_deliveries_total"] * float64(b.big) * 1e3
	add("pass ms", pass)
	idle := b.Samples["idle p99 ms"]
	allowed := 2*idle[len(idle)-1] + pass
	add("allowed ms", allowed)
	add("× allowed", p99/allowed)
}

// eventsOf is how many events were published, of whatever type.
func eventsOf(d server.Metrics) (sum float64) {
	for name, count := range d {
		if strings.HasPrefix(name, "throng_events_total") {
			sum += count
		}
	}
	return sum
}

// written times single events to the large guild, each until it is written to every socket: what a
// pass would be that hands out and writes.
func (b *bench) written(ctx context.Context, node *server.Throng) error {
	var times []float64
	for range singles {
		before, err := node.Metrics(ctx)
		if err != nil {
			return err
		}
		began := time.Now()
		err = node.Publish(ctx, bigGuild, crowd.Events(bigGuild, frameBytes, 1))
		if err != nil {
			return err
		}
		err = trial.Until(ctx, drainMax, "an event to all", func() (bool, error) {
			now, err := node.Metrics(ctx)
			return now.Since(before)["throng_writes_total"] >= float64(b.big), err
		})
		if err != nil {
			return err
		}
		times = append(times, time.Since(began).Seconds()*1e3)
	}
	b.Samples.Add("one event ms", report.Median(times))
	return nil
}

// conclude says what was found.
func (b *bench) conclude() {
	r, s := b.Result, b.Samples
	number := func(name string) string { return report.Number(s.Median(name)) }
	names := map[string]string{"idle": "idle", "paced": fmt.Sprintf("%d events/s", pacedRate),
		"flood": "as many as the node takes"}
	var rows [][]string
	var groups []string
	var values [][]float64
	for _, phase := range phases {
		rows = append(rows, []string{names[phase], number(phase + " p50 ms"),
			number(phase + " p99 ms"), number(phase + " missing %"), number(phase + " taken/s"),
			number(phase + " events/s"),
			number(phase + " deliveries/s")})
		groups = append(groups, names[phase])
		values = append(values, []float64{s.Median(phase + " p50 ms"),
			s.Median(phase + " p99 ms")})
	}
	r.Table("", []string{"the large guild", "a small guild: p50, ms", "p99, ms",
		fmt.Sprintf("not within %.0f s, %%", deliverMax.Seconds()), "events taken/s",
		"handed out/s", "deliveries/s"}, rows)
	r.Plot("", "latency in small guilds by what a large one does", plot.Bars{
		Title: "Publish to socket in a small guild", Unit: "ms", Groups: groups,
		Series: []string{"p50", "p99"}, Values: values}.SVG())
	if s.Median("flood missing %") > 0 {
		r.Say("While another guild is flooded, %s %% of what a small one is sent is not there "+
			"after %.0f s, and counts as having taken so long.", number("flood missing %"),
			deliverMax.Seconds())
	} else {
		r.Say("While another guild is flooded, an event to a small one takes %s times as long as "+
			"on the idle node at p50, and %s times as long at p99.",
			report.Number(s.Ratio("flood p50 ms", "idle p50 ms")),
			report.Number(s.Ratio("flood p99 ms", "idle p99 ms")))
	}
	r.Say("A pass hands an event out to %s receivers in %s ms, so that p99 may be %s ms. To write "+
		"it to all of them is no part of a pass; a single event is written %s ms after it came.",
		report.Number(float64(b.big)), number("flood pass ms"), number("flood allowed ms"),
		number("one event ms"))
	r.Reach(report.Figure{What: "p99 of a small guild beside a flood, of that when idle",
		Measured: s.Ratio("flood p99 ms", "idle p99 ms"), Unit: "times", Limit: 2})
	r.Reach(report.Figure{What: "p99 of a small guild while one of 15,000 is flooded",
		Measured: s.Median("flood × allowed"), Unit: "× (2 × idle p99 + a pass)", Limit: 1})
}
