package report

import (
	"strings"
	"testing"
)

func TestFiguresOfFaultsSayWhetherTheyAreReached(t *testing.T) {
	f := Figure{What: "lost", Measured: 2, Unit: "events", Limit: 2}
	if got, want := shown(&f, "fire", "lost"), "lost: 2.00 events (≤ 2 events)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	f.Limit = 1
	if got := shown(&f, "fire", "lost"); !strings.Contains(got, "**not reached**") {
		t.Errorf("got %q of what is not reached", got)
	}
	if got := shown(nil, "fire", "lost"); !strings.Contains(got, "go run ./bench/fire") {
		t.Errorf("got %q of what was not run", got)
	}
}
