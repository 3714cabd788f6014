package node

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"throng/fanout"
	"throng/wire"
)

// simTally counts what has happened in many runs. A simulation that never gets to the rare paths
// proves nothing about them, so the test fails when one of them was not come by.
type simTally struct {
	// Guarded by mu.
	mu     sync.Mutex
	counts map[string]uint64
}

// simWanted is what a thousand seeds have to come by.
var simWanted = []string{
	"dispatches compared",
	"resumes", "resumes refused", "resumes too late", "resumes with a wrong number or token",
	"identifies", "identifies too soon", "sessions without a word lost", "moves to another loop",
	"short writes", "passes cut short", "guilds deleted", "guilds that came back",
	"renames", "voice servers lost", "freed classes", "answers of several chunks",
	"expulsions behind a pass", "roles that came back", "pushes", "requests abandoned",
	"passive sessions", "subscriptions", "subscriptions ended", "updates of mode 0",
	"updates of mode 1", "updates of mode 2", "pictures compared", "member list updates",
	"member lists built", "member lists in slices",
	"frames packed against none", "frames packed against template",
	"frames packed against history", "streams taken over from compressors",
	"presences replaced", "presences put off", "presences for nobody",
	"drop presence_flood", "drop command_busy",
	"close client_done", "close client_closed", "close connection_lost", "close slow_reader",
	"close heartbeat_missed", "close superseded", "close ended_by_operator", "close reconnected",
	"close bad_payload", "close protocol_violation", "close node_busy", "close identify_timeout",
}

func (t *simTally) add(w *world) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.counts == nil {
		t.counts = map[string]uint64{}
	}
	for what, n := range w.tally {
		t.counts[what] += n
	}
	c := w.core
	t.counts["resumes"] += c.resumes.ok.Load()
	t.counts["resumes refused"] += c.resumes.refused.Load()
	t.counts["resumes too late"] += c.resumes.late.Load()
	t.counts["resumes with a wrong number or token"] += c.resumes.wrong.Load()
	t.counts["identifies"] += c.identifies.ok.Load()
	t.counts["identifies too soon"] += c.identifies.late.Load()
	t.counts["requests abandoned"] += c.abandoned.Load()
	for r := range c.closes {
		t.counts["close "+CloseReason(r).String()] += c.closes[r].Load()
	}
	for r := range c.drops {
		t.counts["drop "+DropReason(r).String()] += c.drops[r].Load()
	}
	for _, l := range c.loops {
		t.counts["deliveries"] += l.out.Stats().Pushed
		for m, c := range l.streamed.counts {
			t.counts["frames packed against "+wire.Mode(m).String()] += c.frames
		}
	}
	t.counts["runs"]++
	t.counts["steps"] += uint64(w.steps)
}

// report says what there was, and with enough runs what was missing.
func (t *simTally) report(tb testing.TB, complete bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var text strings.Builder
	for _, what := range slices.Sorted(maps.Keys(t.counts)) {
		if n := t.counts[what]; n > 0 {
			fmt.Fprintf(&text, "\n%10d  %s", n, what)
		}
	}
	tb.Log(text.String())
	for _, what := range simWanted {
		if complete && t.counts[what] == 0 {
			tb.Errorf("in all these runs there was not one of: %s", what)
		}
	}
}

// count notes that something has happened.
func (w *world) count(what string) { w.tally[what]++ }

// tallySteps looks at what a shard has just told the loops.
func (w *world) tallySteps() {
	for _, l := range w.core.loops {
		for _, m := range l.inbox.waiting[max(0, len(l.inbox.waiting)-8):] {
			s, ok := m.(*relayStep)
			switch {
			case !ok:
			case s.Kind == fanout.MsgExpel && l.board.Busy():
				w.count("expulsions behind a pass")
			}
		}
	}
}
