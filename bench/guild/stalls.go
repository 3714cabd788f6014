package main

import (
	"context"

	"throng/bench/internal/server"
)

// kinds are the messages that a guild's shard handles.
var kinds = []string{"provision", "publish", "members", "walk", "info", "join", "leave", "loaded",
	"presence", "voice", "tick", "errands", "subscribe", "lists"}

// phases are in the order in which they are run. Stalls count up to stallsPhase: what follows does
// without a mechanism that is there to avoid them.
var phases = []string{"load", "changes", "lists", "exports", "roles", "arrival", "passive", "day",
	"sharing"}

const stallsPhase = "day"

// stalls keeps the longest handling of one message up to the end of a phase, and the longest
// without what the shard's thread spent waiting for a processor.
func (b *bench) stalls(ctx context.Context, node *server.Throng, phase string) error {
	m, err := node.Metrics(ctx)
	if err != nil {
		return err
	}
	longest, of, worked := 0.0, "", 0.0
	for _, kind := range kinds {
		ms := m[`throng_handle_seconds_max{type="`+kind+`"}`] * 1e3
		if ms > longest {
			longest, of = ms, kind
		}
		work := m[`throng_handle_worked_seconds_max{type="`+kind+`"}`] * 1e3
		worked = max(worked, work)
		if mean, count := m.Handled(kind); phase == stallsPhase && count > 0 {
			b.Samples.Add(kind+" ms", ms)
			b.Samples.Add(kind+" worked ms", work)
			b.Samples.Add(kind+" mean µs", mean*1e6)
			b.Samples.Add(kind+" count", count)
		}
	}
	b.Samples.Add(phase+" longest ms", longest)
	b.Samples.Add(phase+" worked ms", worked)
	b.Note("after %s: the longest is %.2f ms, of %s; the longest of work %.2f", phase, longest, of,
		worked)
	return nil
}
