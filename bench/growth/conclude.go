package main

import (
	"fmt"

	"throng/bench/internal/plot"
	"throng/bench/internal/report"
)

// conclude says what was found.
func (b *bench) conclude() {
	r, s := b.Result, b.Samples
	rows := func(numbers []int, pattern, took string) (rows [][]string, shard, relay plot.Line) {
		shard.Name, relay.Name = "shard, µs per publish", "relay, ns per receiver"
		for _, n := range numbers {
			name := fmt.Sprintf(pattern, n)
			row := []string{report.Number(float64(n))}
			for _, what := range []string{took, " relay ns/receiver",
				" CPU µs/frame", " events/s"} {
				row = append(row, report.Number(s.Median(name+what)))
			}
			rows = append(rows, row)
			shard.X, relay.X = append(shard.X, float64(n)), append(relay.X, float64(n))
			shard.Y = append(shard.Y, s.Median(name+took))
			relay.Y = append(relay.Y, s.Median(name+" relay ns/receiver"))
		}
		return rows, shard, relay
	}
	columns := []string{"receivers in one guild", "shard, µs per publish",
		"relay, ns per receiver", "CPU, µs per frame", "events/s"}
	const median = " shard median µs/publish"
	one, shard, relay := rows(sizes, "one guild of %d", median)
	columns = append(columns, "shard, mean", "mean of 30 at once")
	for i, size := range sizes {
		name := fmt.Sprintf("one guild of %d", size)
		one[i] = append(one[i], report.Number(s.Median(name+" shard µs/publish")),
			report.Number(s.Median(name+" at once shard µs/publish")))
	}
	r.Table("", columns, one)
	r.Plot("receivers", "times of the shard and of the relay by number of receivers",
		plot.Lines{Title: "One guild", XName: "receivers", YName: "µs, ns",
			Lines: []plot.Line{shard, relay}}.SVG())
	columns = columns[:len(columns)-2]
	columns[0] = "guilds of two"
	many, shard, relay := rows(counts, "%d guilds of 2", " shard µs/publish")
	r.Table("", columns, many)
	// Beside a publish to two, what is per message outweighs what is per receiver.
	relay.Name = "relay, µs per receiver"
	for i := range relay.Y {
		relay.Y[i] /= 1000
	}
	r.Plot("guilds", "times of the shard and of the relay by number of guilds",
		plot.Lines{Title: "Guilds of two", XName: "guilds", YName: "µs", LogX: true,
			Lines: []plot.Line{shard, relay}}.SVG())

	first := fmt.Sprintf("one guild of %d", sizes[0])
	last := fmt.Sprintf("one guild of %d", sizes[len(sizes)-1])
	r.Say("With %d times the receivers a publish takes the shard %s times as long, and a receiver "+
		"takes the relay %s times as long.", sizes[len(sizes)-1]/sizes[0],
		report.Number(s.Ratio(last+median, first+median)),
		report.Number(s.Ratio(last+" relay ns/receiver", first+" relay ns/receiver")))
	r.Say("The shard's mean is above its median because the loops that it has just woken, and " +
		"their clients, want the same two processors: it counts the time of waiting for one.")
	r.Say("In guilds of two an event is hardly ever with others: each costs a request, two " +
		"messages to loops and two writes, and that is what processor time per frame shows.")
	r.Reach(report.Figure{What: "guild-shard time per publish to 18,000",
		Measured: s.Median(last + median), Unit: "µs", Limit: 100})
}
