package main

import (
	"fmt"

	"throng/bench/internal/plot"
	"throng/bench/internal/report"
)

// conclude says what was found.
func (b *bench) conclude() {
	b.sayMechanisms()
	b.sayDay()
	b.sayStalls()
}

// sayMechanisms sets what each mechanism saves side by side.
func (b *bench) sayMechanisms() {
	r, s := b.Result, b.Samples
	number := func(name string) string { return report.Number(s.Median(name)) }
	ratio := func(name, base string) string { return report.Number(s.Ratio(name, base)) }
	var rows [][]string
	var groups []string
	var factors []float64
	add := func(what, without, with string) {
		rows = append(rows, []string{what, number(without), number(with), ratio(without, with)})
	}
	for _, c := range compared {
		some, none := c.name+", "+somePassive, c.name+", "+nonePassive
		add("passive sessions: "+c.name, none+" µs", some+" µs")
		groups = append(groups, c.name)
		factors = append(factors, s.Ratio(none+" µs", some+" µs"))
	}
	add("remembered permissions: each receiver's", "memo each µs", "memo bits µs")
	add("shared member lists: the shard, of a change in the rows looked at", ownLists+" µs",
		sharedList+" µs")
	r.Table("With and without", []string{"mechanism", "without, µs", "with, µs", "×"}, rows)
	r.Plot("passive", "processor time of an event with no session passive, against nine in ten",
		plot.Bars{Title: "CPU of an event, none passive against 90 %", Unit: "×", Groups: groups,
			Series: []string{"times as much"}, Values: [][]float64{factors}, Limit: 9,
			LimitName: "to reach"}.SVG())
	message := compared[0].name
	none, some := message+", "+nonePassive, message+", "+somePassive
	r.Say("An event costs the node for those who listen, %s with nine in ten passive and %s with "+
		"none, and nothing for the others: a message is %s times as cheap. What the node takes "+
		"while nothing is published, heartbeats above all, is taken off both sides.",
		number(some+" receivers"), number(none+" receivers"), ratio(none+" µs", some+" µs"))
	r.Say("Twice a minute at most the passive sessions are told that there is something new, "+
		"which takes %s ms of processor time for all of them. With that, a guild with one message "+
		"a second is %s times as cheap, and one with ten %s.", number("summary ms"),
		report.Number(b.withSummary(none, some, 1)), report.Number(b.withSummary(none, some, 10)))
	r.Say("Permissions of one message, without: the function that decides called for each of %s "+
		"sessions, in the bench's own process. With: one bit asked of each, and %s µs at the "+
		"first message after a change of roles or channels, once for each of %s sets of roles. "+
		"The node's shard takes %s µs for all of a message.", report.Number(float64(b.sessions)),
		number("memo sets µs"), number("memo sets"), number(none+" shard µs"))
	r.Say("%d sessions look at the first rows of member lists of %s members online, in which %d "+
		"changes a second happen. With a list each the same rows are kept, and their changes "+
		"found out, %d times. That is the shard's time: what goes to sockets is the same, and the "+
		"collector runs before and not meanwhile.", ownChannels,
		report.Number(float64(b.sessions)), renameRate*renameBatch, ownChannels)
	r.Reach(report.Figure{What: "passive sessions, a message with 90 % passive against none",
		Measured: s.Ratio(none+" µs", some+" µs"), Unit: "× as cheap", Limit: 9, AtLeast: true})
}

// withSummary is how many times as cheap messages are at a rate when summaries are counted in. It
// is the median over the runs.
func (b *bench) withSummary(none, some string, perSecond float64) float64 {
	const period = 30 // Seconds between two summaries.
	var ratios []float64
	for i, without := range b.Samples[none+" µs"] {
		with := b.Samples[some+" µs"][i] + b.Samples["summary ms"][i]*1e3/period/perSecond
		ratios = append(ratios, without/with)
	}
	return report.Median(ratios)
}

// sayDay is the day.
func (b *bench) sayDay() {
	r, s := b.Result, b.Samples
	number := func(name string) string { return report.Number(s.Median("day " + name)) }
	r.Table("The day", []string{"what happens", "times"}, b.dayRows())
	r.Say("The day lasts %.0f s, with %s events, and takes %s %% of a processor, heartbeats and "+
		"all: %s ms an event. A message is %s ms on its way at p50 and %s at p99.",
		b.day.Seconds(), number("events"), number("CPU %"), number("CPU ms/event"),
		number("p50 ms"), number("p99 ms"))
	r.Say("Of %s frames that are sent meanwhile %s go to the nine in ten who are passive.",
		number("dispatches"), number("dispatches to passive"))
}

// sayStalls is for how long the guild has stood still.
func (b *bench) sayStalls() {
	r, s := b.Result, b.Samples
	number := func(name string) string { return report.Number(s.Median(name)) }
	var rows [][]string
	longest, of := 0.0, ""
	for _, kind := range kinds {
		ms := s.Median(kind + " ms")
		if ms > 0 {
			work := "< 1"
			if s.Median(kind+" worked ms") > 0 {
				work = number(kind + " worked ms")
			}
			rows = append(rows, []string{kind, number(kind + " ms"), work,
				number(kind + " mean µs"), number(kind + " count")})
		}
		if ms > longest {
			longest, of = ms, kind
		}
	}
	r.Table("Stalls, until the end of the day", []string{"message to the guild", "longest, ms",
		"longest of work, ms", "mean, µs", "messages"}, rows)
	rows = nil
	for _, phase := range phases {
		changes := "-"
		if len(s[phase+" changes/s"]) > 0 {
			changes = number(phase + " changes/s")
		}
		rows = append(rows, []string{phase, number(phase + " s"), changes,
			number(phase + " longest ms"), number(phase + " worked ms")})
	}
	r.Table("Phases", []string{"phase", "s", "changes/s", "longest stall so far, ms",
		"longest of work, ms"}, rows)
	r.Say("%s members; %d lists of all of them, %d exports and %d deleted roles that a part each "+
		"of them had, while %s changed in a second. The longest stall until the end of the day is "+
		"of %s.", report.Number(float64(b.members)), lists, exports, rolesDeleted,
		fmt.Sprint(rate), of)
	r.Say("The longest are times by the clock: clients, backend, collector and node share two "+
		"processors, and a shard may have to wait for one. A thread beside the node that did "+
		"nothing but look at the clock was held up for %s ms at most, %s of which its own clock "+
		"took for work. The longest of work is the longest that a shard itself took by that "+
		"clock, what it does for the collector with it: that is the stall on a host whose shards "+
		"need not wait.", number("noise ms"), number("noise worked ms"))
	r.Reach(report.Figure{What: "longest stall of a guild of a million members",
		Measured: s.Median(stallsPhase + " worked ms"), Unit: "ms", Limit: 5,
		Note: "by the clock " + number(stallsPhase+" longest ms") + " ms, a thread that only " +
			"looks at it " + number("noise ms")})
}
