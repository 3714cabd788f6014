package main

import (
	"fmt"

	"throng/bench/internal/plot"
	"throng/bench/internal/report"
)

// conclude says what was found.
func (b *bench) conclude() {
	r, s := b.Result, b.Samples
	var rows [][]string
	speed := plot.Bars{Title: "A burst of 60 × 300 B to 9,000 receivers", Unit: "frames/s",
		Series: []string{"frames/s"}, Values: [][]float64{nil}}
	delay := plot.Bars{Title: "5 events a second to 9,000 receivers", Unit: "ms",
		Series: []string{"p50", "p99"}, Values: [][]float64{nil, nil}}
	number := func(name string) string { return report.Number(s.Median(name)) }
	for _, side := range sides {
		name := side.name
		rows = append(rows, []string{name, number(name + " burst frames/s"),
			number(name + " burst µs/frame"),
			fmt.Sprintf("%.0f", s.Most(name+" burst disconnected")),
			number(name + " paced p50 ms"), number(name + " paced p99 ms"),
			number(name + " paced µs/frame"),
			report.Number(s.Median(name+" resident B/connection") / 1024)})
		speed.Groups = append(speed.Groups, name)
		speed.Values[0] = append(speed.Values[0], s.Median(name+" burst frames/s"))
		delay.Groups = append(delay.Groups, name)
		delay.Values[0] = append(delay.Values[0], s.Median(name+" paced p50 ms"))
		delay.Values[1] = append(delay.Values[1], s.Median(name+" paced p99 ms"))
	}
	r.Table("", []string{"server", "burst: frames/s", "µs/frame", "disconnected",
		"paced: p50, ms", "p99, ms", "µs/frame", "memory per connection, KB"}, rows)
	r.Plot("burst", "frames a second in a burst, by server", speed.SVG())
	r.Plot("paced", "latency at five events a second, by server", delay.SVG())

	times := s.Ratio("throng burst frames/s", "nats-server burst frames/s")
	r.Say("In a burst the node delivers %s times as many frames a second as nats-server, for "+
		"1/%s of the processor time each: what is pending for a socket leaves in one write.",
		report.Number(times),
		report.Number(1/s.Ratio("throng burst µs/frame", "nats-server burst µs/frame")))
	r.Say("Paced there is nothing to batch, and the time of an event is that of 9,000 writes: " +
		"the last receiver waits for all the others.")
	r.Reach(report.Figure{What: "burst of 60 × 300 B to 9,000, beside nats-server",
		Measured: times, Unit: "× frames/s", Limit: 5, AtLeast: true})
	r.Reach(report.Figure{What: "disconnected in the burst",
		Measured: s.Most("throng burst disconnected"), Unit: "connections", Limit: 0})
	for _, peer := range []string{"nats-server", "centrifuge"} {
		r.Reach(report.Figure{What: "p99 at 5 events/s to 9,000, beside " + peer,
			Measured: s.Ratio("throng paced p99 ms", peer+" paced p99 ms"), Unit: "×", Limit: 1})
	}
}
