package report

import (
	"strings"
	"testing"

	"throng/bench/internal/matrix"
)

// TestTableOfFaultsIsFull: each figure that a row of the table names is in a bench's result. That
// it is reached is for the page to say.
func TestTableOfFaultsIsFull(t *testing.T) {
	for i, row := range matrix.Rows {
		for _, name := range row.Benches {
			bench, what, _ := strings.Cut(name, ":")
			f, err := figureOf("../../results", bench, what)
			if err != nil {
				t.Fatal(err)
			}
			if f == nil {
				t.Errorf("row %d: no result of bench/%s has %q", i+1, bench, what)
			}
		}
	}
}

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
