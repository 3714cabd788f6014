package fanout

import (
	"fmt"
	"testing"

	"throng/wire"
)

// stopwatchOf counts the receivers that those who were timed stand for.
type stopwatchOf struct {
	slots   map[uint32]int
	weights int
}

func (s *stopwatchOf) Timed(_ *Event, slot, _ uint32, weight int) {
	s.slots[slot]++
	s.weights += weight
}

// TestTimedReceiversStandForAll: those who are timed of an event are few, and stand for about all of
// its receivers; an event that is not timed times nobody.
func TestTimedReceiversStandForAll(t *testing.T) {
	for _, receivers := range []int{1, 2, 7, 8, 9, 100, 1000, 10_000} {
		s := newStage(t)
		s.ways = nil
		m := &stopwatchOf{slots: map[uint32]int{}}
		s.board.Measure(m)
		for range receivers {
			s.join(1, s.open(), 0)
		}
		hand := func(asked int64) {
			s.step(&Msg{Kind: MsgPublish, Guild: 1, Event: &Event{Asked: asked,
				Dispatch: wire.NewDispatch("TEST", []byte(`{}`), nil)}})
			for s.board.Busy() {
				s.work(3000)
			}
		}
		if hand(0); len(m.slots) != 0 {
			t.Errorf("%d were timed unasked", len(m.slots))
		}
		hand(1)
		passes := max((receivers+2999)/3000, 1)
		if got := len(m.slots); got == 0 || got > passes*timedMax {
			t.Errorf("%d of %d were timed", got, receivers)
		}
		if m.weights < receivers/2 || m.weights > receivers*3/2 {
			t.Errorf("of %d receivers those who are timed stand for %d", receivers, m.weights)
		}
	}
}

// TestWhoGetsNothingIsNotTimed: an event that a receiver may not see leaves nothing to wait for.
func TestWhoGetsNothingIsNotTimed(t *testing.T) {
	s := newStage(t)
	s.ways = nil
	m := &stopwatchOf{slots: map[uint32]int{}}
	s.board.Measure(m)
	sees := s.open()
	s.join(1, sees, 0)
	s.join(1, s.open(), 1)
	s.step(&Msg{Kind: MsgPublish, Guild: 1, Event: &Event{Asked: 1, Visible: Bitset{1},
		Dispatch: wire.NewDispatch("TEST", []byte(`{}`), nil)}})
	for s.board.Busy() {
		s.work(1 << 20)
	}
	if len(m.slots) != 1 || m.slots[sees.Slot] != 1 {
		t.Errorf("timed were %v, want slot %d once", m.slots, sees.Slot)
	}
}

// BenchmarkMeter is what a delivery costs when no event, one of sixteen, or every one is timed.
func BenchmarkMeter(b *testing.B) {
	for _, receivers := range []int{1, 100, 10_000} {
		for _, each := range []int{0, 16, 1} {
			b.Run(fmt.Sprintf("%d/each %d", receivers, each), func(b *testing.B) {
				benchmarkMeter(b, receivers, each)
			})
		}
	}
}

func benchmarkMeter(b *testing.B, receivers, each int) {
	s := newStage(b)
	for range receivers {
		s.join(1, s.open(), 0)
	}
	s.board.Measure(&stopwatchOf{slots: map[uint32]int{}})
	plain := &Event{Dispatch: wire.NewDispatch("TEST", []byte(`{}`), nil)}
	asked := &Event{Dispatch: plain.Dispatch, Asked: 1}
	events := 0
	for b.Loop() {
		m := &Msg{Kind: MsgPublish, Guild: 1, Event: plain}
		if events++; each > 0 && events%each == 0 {
			m.Event = asked
		}
		s.step(m)
		for s.board.Busy() {
			s.work(1 << 20)
		}
		b.StopTimer()
		for slot := range uint32(receivers) {
			out, _ := s.out.Collect(slot, nil, 1<<20)
			s.out.Advance(slot, len(out))
			seq, _, _ := s.out.Seqs(slot)
			s.out.Ack(slot, seq)
		}
		b.StartTimer()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*receivers), "ns/delivery")
}
