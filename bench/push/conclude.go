package main

import (
	"throng/bench/internal/plot"
	"throng/bench/internal/report"
)

// perMinute is what is to be reached.
const perMinute = 1_000_000

// conclude says what was found.
func (b *bench) conclude() {
	r, s := b.Result, b.Samples
	number := func(name string) string { return report.Number(s.Median(name)) }
	names := []string{"nobody", "webhook", "stalled", "nats"}
	titles := []string{"nobody", "a webhook", "a webhook that stalls", "a NATS subject"}
	var rows [][]string
	var p50, p99 []float64
	for i, name := range names {
		rows = append(rows, []string{titles[i], number(name + " pushes/min"),
			number(name + " in flight"), number(name + " cpu s/s"), number(name + " shard µs"),
			number(name + " p50 ms"), number(name + " p99 ms")})
		p50 = append(p50, s.Median(name+" p50 ms"))
		p99 = append(p99, s.Median(name+" p99 ms"))
	}
	r.Table("", []string{"pushes go to", "pushes/min", "in flight on a connection, most",
		"node's CPU, s per s", "shard, µs per event", "an event of the guild: p50, ms", "p99, ms"},
		rows)
	r.Table("A stall and the return", []string{"stall, s", "memory grows by, MB", "shed",
		"failed", "waiting at its end", "gone after, s", "pushes/min meanwhile", "sent twice",
		"unaccounted for"},
		[][]string{{report.Number(b.stall.Seconds()), number("stalled MB"), number("stalled shed"),
			number("failed"), number("backlog"), number("recovery s"),
			number("recovery pushes/min"), number("twice"), report.Number(s.Most("unaccounted"))}})
	r.Plot("", "latency of the guild's events by what pushes go to", plot.Bars{
		Title: "An event of the guild, publish to socket", Unit: "ms", Groups: titles,
		Series: []string{"p50", "p99"}, Values: [][]float64{p50, p99}}.SVG())
	r.Say("A webhook that answers a batch within %v gets %s pushes a minute, and a guild's event "+
		"takes %s times as long at p50, and %s times at p99, as without pushes; while it stalls, "+
		"%s and %s times.", answerPause, number("webhook pushes/min"),
		report.Number(s.Ratio("webhook p50 ms", "nobody p50 ms")),
		report.Number(s.Ratio("webhook p99 ms", "nobody p99 ms")),
		report.Number(s.Ratio("stalled p50 ms", "nobody p50 ms")),
		report.Number(s.Ratio("stalled p99 ms", "nobody p99 ms")))
	r.Say("After %s s without an answer the %s pushes that waited are gone in %s s, while as many "+
		"as before go on coming; those that had come before them were shed, the oldest first.",
		report.Number(b.stall.Seconds()), number("backlog"), number("recovery s"))
	r.Reach(report.Figure{What: "pushes to a webhook", Measured: s.Median("webhook pushes/min"),
		Unit: "a minute", Limit: perMinute, AtLeast: true})
	r.Reach(report.Figure{What: "pushes to a NATS subject", Measured: s.Median("nats pushes/min"),
		Unit: "a minute", Limit: perMinute, AtLeast: true})
	r.Reach(report.Figure{What: "most pushes in flight on a connection",
		Measured: max(s.Median("webhook in flight"), s.Median("nats in flight")), Unit: "",
		Limit: credits})
	r.Reach(report.Figure{What: "pushes unaccounted for after a stall",
		Measured: s.Most("unaccounted"), Unit: "", Limit: 0})
	r.Reach(report.Figure{What: "p50 of a guild's events while the sink stalls, beside no pushes",
		Measured: s.Ratio("stalled p50 ms", "nobody p50 ms"), Unit: "×", Limit: 1.25})
}
