package main

import "testing"

func TestLevelsAreSeenInOrder(t *testing.T) {
	for _, c := range []struct {
		name       string
		seen       []int64
		highest    int64
		outOfOrder int
	}{
		{"nothing", nil, 0, 0},
		{"up and down", []int64{0, 0, 1, 2, 1, 2, 3, 2, 1, 0}, 3, 0},
		{"one passed over", []int64{0, 1, 3, 2, 0}, 3, 1},
		{"the worst first", []int64{0, 3, 2, 1, 0, 1}, 3, 2},
		{"from the middle", []int64{1, 2, 0}, 2, 1},
	} {
		var l levels
		for _, level := range c.seen {
			l.see(level)
		}
		if l.highest != c.highest || l.outOfOrder != c.outOfOrder {
			t.Errorf("%s: highest %d, %d out of order, want %d and %d", c.name, l.highest,
				l.outOfOrder, c.highest, c.outOfOrder)
		}
	}
}
