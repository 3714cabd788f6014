package main

import (
	"fmt"
	"math"

	"throng/bench/internal/plot"
	"throng/bench/internal/report"
	"throng/bench/internal/trial"
)

// conclude says what was found.
func conclude(t *trial.Trial, connections int) {
	r, s := t.Result, t.Samples
	number := func(name string) string { return report.Number(s.Median(name)) }
	r.Table("", []string{report.Number(float64(connections)) + " sessions", ""}, [][]string{
		{"resident memory of the node per session, at rest, B", number("rest B/connection")},
		{"just after they have arrived, B", number("resident B/connection")},
		{"heap in use per session, B", number("heap B/connection")},
		{"kernel memory per socket, B", number("kernel B/socket")},
		{"a user and member who is not connected, heap, B", number("member B")},
		{"the node without anybody, MB", number("bare MB")},
		{"with all users, MB", number("users MB")},
		{"with full journals, MB", number("journals MB")},
		{"with all sessions, MB", number("all MB")},
		{"after idling, MB", number("all, after idling MB")},
		{"sessions that arrive, per s", number("connects/s")},
		{"CPU per session that arrives, µs", number("connect µs")},
		{"what the node says it holds, % of its heap", number("estimate, % of the heap")},
		{"the slowest of ten times it said so, ms", number("estimate ms")},
		{"idle: CPU, % of one processor", number("idle CPU %")},
		{"idle: longest stop of the world, ms", number("pause ms")},
		{"idle: concurrent marking, ms by the clock", number("mark ms")},
		{"idle: marking, ms of processor time", number("mark CPU ms")},
		{"idle: an event to one session, p50, ms", number("probe p50 ms")},
		{"p99, ms", number("probe p99 ms")},
		{"the longest, ms", number("probe max ms")},
	})
	r.Plot("", "memory per session", plot.Bars{Title: "Memory per session", Unit: "B",
		Groups: []string{"heap in use", "resident at rest", "kernel, per socket"},
		Series: []string{"bytes"}, Limit: 1536, LimitName: "user memory to reach",
		Values: [][]float64{{s.Median("heap B/connection"), s.Median("rest B/connection"),
			s.Median("kernel B/socket")}}}.SVG())
	r.Say("At rest a session takes %s bytes of the node's resident memory, of which %s are in "+
		"use; just after all have arrived it is %s, with what the collector has not come to yet. "+
		"The kernel takes %s for its socket.", number("rest B/connection"),
		number("heap B/connection"), number("resident B/connection"), number("kernel B/socket"))
	r.Say("On the idle node a collection marked for %s ms and stopped everything for %s ms at "+
		"most; the longest that an event to one session took in that time is %s ms.",
		number("mark ms"), number("pause ms"), number("probe max ms"))
	at := fmt.Sprintf(", %s sessions", report.Number(float64(connections)))
	r.Reach(report.Figure{What: "user memory per idle session" + at,
		Measured: s.Median("rest B/connection"), Unit: "B", Limit: 1536})
	r.Reach(report.Figure{What: "what a node says that it holds, off what its heap has" + at,
		Measured: math.Abs(s.Median("estimate, % of the heap") - 100), Unit: "%", Limit: 10})
	r.Reach(report.Figure{What: "time in which it says so" + at,
		Measured: s.Median("estimate ms"), Unit: "ms", Limit: 50})
	r.Reach(report.Figure{What: "longest pause of an idle node" + at,
		Measured: s.Median("pause ms"), Unit: "ms", Limit: 5})
}
