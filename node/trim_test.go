package node

import "testing"

func TestQuietNodeGivesBack(t *testing.T) {
	const mib = 1 << 20
	for _, test := range []struct {
		name        string
		before, now heapFigures
		want        bool
	}{
		{"quiet, twice what is alive", heapFigures{cycles: 7},
			heapFigures{cycles: 7, alive: 400 * mib, held: 800 * mib}, true},
		{"collecting", heapFigures{cycles: 6},
			heapFigures{cycles: 7, alive: 400 * mib, held: 800 * mib}, false},
		{"quiet, and little to give", heapFigures{cycles: 7},
			heapFigures{cycles: 7, alive: 400 * mib, held: 430 * mib}, false},
		{"small", heapFigures{cycles: 7},
			heapFigures{cycles: 7, alive: 2 * mib, held: 6 * mib}, false},
	} {
		if got := test.now.overdue(test.before); got != test.want {
			t.Errorf("%s: got %v, want %v", test.name, got, test.want)
		}
	}
	if h := readHeap(); h.held == 0 {
		t.Errorf("the runtime's figures read %+v", h)
	}
}
