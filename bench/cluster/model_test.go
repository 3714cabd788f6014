package main

import (
	"testing"
	"time"
)

// hearing is a model of one guild and one session that is in it, with events that were answered
// as said: f is firm, r was refused, and of two with p in front the first was not answered yet.
func hearing(answers string) *model {
	m, clock := newModel(1), time.Time{}
	m.now = func() time.Time {
		clock = clock.Add(time.Second)
		return clock
	}
	m.session(0, []int{0})
	m.entered(0, 0)
	for _, a := range answers {
		n := m.post(0, 0)
		if a != 'p' {
			m.answer(0, n, a == 'f')
		}
	}
	return m
}

func TestModelOfStreams(t *testing.T) {
	const create = -1
	for name, c := range map[string]struct {
		answers string
		heard   []int
		want    faults
	}{
		"all":                      {"fff", []int{0, 1, 2}, faults{}},
		"one is lost":              {"fff", []int{0, 2}, faults{lost: 1}},
		"before it came again":     {"fff", []int{0, create, 2}, faults{}},
		"a refused one is missing": {"frf", []int{0, 2}, faults{}},
		"a refused one came":       {"frf", []int{0, 1, 2}, faults{}},
		"one came twice":           {"fff", []int{0, 1, 1, 2}, faults{doubled: 1}},
		"twice, joined between":    {"fff", []int{0, 1, create, 1, 2}, faults{doubled: 1}},
		"out of order":             {"fff", []int{0, create, 2, 1}, faults{reordered: 1}},
		"two at once":              {"pff", []int{1, 0, 2}, faults{}},
		"two at once, one twice":   {"pff", []int{1, 0, 0, 2}, faults{doubled: 1}},
	} {
		m := hearing(c.answers)
		for _, n := range c.heard {
			if n == create {
				m.entered(0, 0)
				continue
			}
			m.hears(0, 0, n)
		}
		got := m.take()
		if got.lost != c.want.lost || got.doubled != c.want.doubled ||
			got.reordered != c.want.reordered {
			t.Errorf("%s: got %+v, want %+v", name, got, c.want)
		}
	}
}

func TestModelOfSomebodyOutside(t *testing.T) {
	m := hearing("ff")
	m.away(0, 0)
	m.hears(0, 0, 0)
	if f := m.take(); f.outages != 1 || f.reordered != 1 || f.sum() != 2 {
		t.Errorf("an outage, and an event of a guild that a session is not in: %+v", f)
	}
	m.cut(0)
	if m.cutsOf([]int{0}) != 1 || m.cutsOf([]int{1}) != 0 {
		t.Error("a cut is not counted where it was")
	}
}
