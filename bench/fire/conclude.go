package main

import "throng/bench/internal/report"

// othersLimit is how much longer those who behave may wait than at a node without the others.
const othersLimit = 1.1

// dialLimit is for who connects meanwhile, in ms.
const dialLimit = 50

// floodLimit is what one client may cost, in percent of a processor.
const floodLimit = 5

// conclude says what was found.
func (b *bench) conclude() {
	r, s := b.Result, b.Samples
	var rows [][]string
	for _, a := range attacks {
		number := func(what string) string { return report.Number(s.Median(a.name + " " + what)) }
		closed := ""
		for _, reason := range a.closes {
			if closed != "" {
				closed += ", "
			}
			closed += number("closed "+reason) + " " + reason
		}
		rows = append(rows, []string{a.says, number("beside p50 ms"), number("p50 ms"),
			number("beside p99 ms"), number("p99 ms"),
			report.Number(s.Ratio(a.name+" p99 ms", a.name+" beside p99 ms")),
			number("beside dial p99 ms"), number("dial p99 ms"), number("beside cpu %"),
			number("cpu %"), closed})
	}
	r.Table("Those who behave, at a node of which that is true and at one beside it", []string{
		"while", "p50 beside, ms", "p50, ms", "p99 beside, ms", "p99, ms", "×",
		"connecting beside, p99, ms", "connecting, p99, ms", "node beside, % of a processor",
		"node, %", "closed"}, rows)
	r.Say("%d sessions of each node get %d events a second, of %d bytes, or of %d where somebody "+
		"does not read. All runs on the same two processors.", good, eventRate, smallBytes,
		largeBytes)
	r.Reach(report.Figure{What: "p99 of others while some stop to read, of that beside",
		Measured: s.Ratio("frozen p99 ms", "frozen beside p99 ms"), Unit: "times",
		Limit: othersLimit})
	r.Reach(report.Figure{What: "p99 of connecting while 10,000 send a request slowly",
		Measured: s.Median("slowloris dial p99 ms"), Unit: "ms", Limit: dialLimit})
	r.Reach(report.Figure{What: "what each flood of pings costs, of a processor",
		Measured: s.Median("pings cost %") / flooders, Unit: "%", Limit: floodLimit})
	r.Reach(report.Figure{What: "what each flood of commands costs, of a processor",
		Measured: s.Median("commands cost %") / flooders, Unit: "%", Limit: floodLimit})
	r.Reach(report.Figure{What: "closed of that kind of bad peers of whom the fewest were",
		Measured: s.Least("closed of the most spared kind"), Unit: "", Limit: 1, AtLeast: true})
	r.Reach(report.Figure{What: "until nothing is left of 2,000 connections that were reset",
		Measured: s.Median("vanishing gone after s"), Unit: "s",
		Limit: clearLimit.Seconds()})
}
