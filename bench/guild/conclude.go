package main

import (
	"context"
	"fmt"

	"throng/bench/internal/report"
	"throng/bench/internal/server"
)

// kinds are the messages that a guild's shard handles.
var kinds = []string{"provision", "publish", "members", "sweep", "info", "join", "leave", "loaded",
	"presence", "tick", "errands", "subscribe"}

// phases are in the order in which they are run.
var phases = []string{"load", "changes", "lists", "exports", "roles"}

// stalls keeps the longest handling of one message up to the end of a phase.
func (b *bench) stalls(ctx context.Context, node *server.Throng, phase string) error {
	m, err := node.Metrics(ctx)
	if err != nil {
		return err
	}
	longest, of := 0.0, ""
	for _, kind := range kinds {
		ms := m[`throng_handle_seconds_max{type="`+kind+`"}`] * 1e3
		if ms > longest {
			longest, of = ms, kind
		}
		if phase == phases[len(phases)-1] {
			b.Samples.Add(kind+" ms", ms)
			mean, count := m.Handled(kind)
			if count > 0 {
				b.Samples.Add(kind+" mean µs", mean*1e6)
			}
		}
	}
	b.Samples.Add(phase+" longest ms", longest)
	b.Note("after %s: the longest is %.2f ms, of %s", phase, longest, of)
	return nil
}

// conclude says what was found.
func (b *bench) conclude() {
	r, s := b.Result, b.Samples
	number := func(name string) string { return report.Number(s.Median(name)) }
	var rows [][]string
	for _, kind := range kinds {
		if s.Median(kind+" ms") > 0 {
			rows = append(rows, []string{kind, number(kind + " ms"), number(kind + " mean µs")})
		}
	}
	r.Table("stalls", []string{"message to the guild", "longest, ms", "mean, µs"}, rows)
	rows = nil
	for _, phase := range phases {
		changes := "-"
		if phase != "load" {
			changes = number(phase + " changes/s")
		}
		rows = append(rows, []string{phase, number(phase + " s"), changes,
			number(phase + " longest ms")})
	}
	r.Table("phases", []string{"phase", "s", "changes/s", "longest so far, ms"}, rows)
	r.Say("%s members; %d lists of all of them, %d exports and %d deleted roles that a part each "+
		"of them had, while %s changed in a second.", report.Number(float64(b.members)), lists,
		exports, rolesDeleted, fmt.Sprint(rate))
	r.Say("These are times by the clock. A thread beside the node that did nothing but look at "+
		"the clock was held up for %s ms at most.", number("noise ms"))
	last := phases[len(phases)-1]
	r.Reach(report.Figure{What: "longest stall of a guild of a million members",
		Measured: s.Median(last + " longest ms"), Unit: "ms", Limit: 5})
}
