package main

import (
	"fmt"
	"slices"

	"throng/bench/internal/report"
)

// conclude says what was found.
func (b *bench) conclude() {
	r, s := b.Result, b.Samples
	var rows [][]string
	for _, c := range scenarios {
		worst := s[c.name+" worst gap s"]
		if len(worst) == 0 {
			continue
		}
		number := func(what string) string { return report.Number(s.Median(c.name + " " + what)) }
		rows = append(rows, []string{c.name, fmt.Sprint(len(worst)), number("guilds"),
			fmt.Sprintf("%.2f", slices.Max(worst)), fmt.Sprintf("%.2f", report.Median(worst)),
			fmt.Sprintf("%.2f", s.Median(c.name+" median gap s")),
			number("others p99 before ms"), number("others p99 during ms"),
			fmt.Sprintf("%.0f", b.sum(c.name, "lost", "doubled", "reordered")),
			fmt.Sprintf("%.0f", b.sum(c.name, "sessions cut"))})
		if c.limit > 0 {
			r.Reach(report.Figure{What: "longest silence of a guild, " + c.name,
				Measured: slices.Max(worst), Unit: "s", Limit: c.limit,
				Note: fmt.Sprintf("the worst of %d runs", len(worst))})
		}
	}
	if len(rows) > 0 {
		b.concludeGaps(rows)
	}
	if b.wants("packets") {
		b.concludePackets()
	}
}

// concludeGaps says what was found of gaps.
func (b *bench) concludeGaps(rows [][]string) {
	r := b.Result
	r.Table("Gaps of service, at sessions on other nodes", []string{"what happens", "runs",
		"guilds concerned", "worst gap, s", "median of the runs' worst, s",
		"median gap of a guild, s", "p99 of others before, ms", "during, ms",
		"lost, doubled or reordered", "sessions cut"}, rows)
	r.Say("A gap is between two events that a session hears of a guild; without a fault it is " +
		"the quarter of a second between two events that are published. With an engine away, " +
		"the time until it is there again is in it.")
	r.Say("%d events were taken in all and %d were not: those that were posted at a node that "+
		"was lost, or had no owner to go to; %d of them by NATS.", sum(&b.load.takenAt),
		sum(&b.load.notTakenAt), b.load.notTakenAt[natsDoor].Load())
	r.Reach(report.Figure{What: "events lost, doubled or reordered in all faults",
		Measured: b.sumAll("lost", "doubled", "reordered"), Unit: "", Limit: 0})
	r.Reach(report.Figure{What: "outages that sessions were told of in all faults",
		Measured: b.sumAll("outages"), Unit: "", Limit: 0})
	r.Reach(report.Figure{What: "sessions on other nodes that were disconnected",
		Measured: b.sumAll("sessions cut"), Unit: "", Limit: 0})
}

// concludePackets says what the owner of a guild sends.
func (b *bench) concludePackets() {
	r, s := b.Result, b.Samples
	var rows [][]string
	for nodes := 1; nodes <= nodesCount; nodes++ {
		name := fmt.Sprintf("items per event, receivers on %d nodes", nodes)
		rows = append(rows, []string{fmt.Sprint(nodes), report.Number(s.Median(name))})
		r.Reach(report.Figure{What: fmt.Sprintf("packets per event between nodes, receivers on %d",
			nodes), Measured: s.Median(name), Unit: "", Limit: float64(nodes - 1)})
	}
	r.Table("What the owner of a guild sends to other nodes", []string{"nodes with receivers",
		"packets per event"}, rows)
}

// sum is over all runs of a scenario.
func (b *bench) sum(scenario string, what ...string) (sum float64) {
	for _, w := range what {
		for _, v := range b.Samples[scenario+" "+w] {
			sum += v
		}
	}
	return sum
}

func (b *bench) sumAll(what ...string) (sum float64) {
	for _, c := range scenarios {
		sum += b.sum(c.name, what...)
	}
	return sum
}
