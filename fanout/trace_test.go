package fanout

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"throng/wire"
)

// tale is what a Follower has heard.
type tale struct {
	given map[uint32]uint32 // slot -> number
	told  []int
}

func (t *tale) Given(_ *Event, slot, seq uint32) { t.given[slot] = seq }
func (t *tale) Told(_ *Event, looked int)        { t.told = append(t.told, looked) }

// TestTracedEventsAreFollowed: of a traced event a share of those who were given it is heard of,
// and its end; of any other nothing.
func TestTracedEventsAreFollowed(t *testing.T) {
	const receivers = 1000
	s := newStage(t)
	for i := range receivers {
		if i%4 == 0 {
			s.joinPassive(1, s.open(), 0)
		} else {
			s.join(1, s.open(), uint32(i%2)) // One half may not see what follows.
		}
	}
	heard := &tale{given: map[uint32]uint32{}}
	s.board.Follow(heard)
	publish := func(trace *Trace) {
		s.step(&Msg{Kind: MsgPublish, Guild: 1, Event: &Event{Visible: Bitset{1}, Trace: trace,
			Dispatch: wire.NewDispatch("TEST", []byte(`{}`), nil)}})
		for s.board.Busy() {
			s.work(50)
		}
	}
	publish(nil)
	if len(heard.given)+len(heard.told) > 0 {
		t.Fatalf("of an event that is not traced %+v is heard", heard)
	}
	publish(&Trace{Span: [8]byte{7}, Share: ShareOf(1)})
	const able = receivers / 4 // They listen and may see it.
	if len(heard.given) != able || len(heard.told) != 1 || heard.told[0] != receivers*3/4 {
		t.Errorf("%d of %d are heard of, and the end %v", len(heard.given), able, heard.told)
	}
	for slot, seq := range heard.given {
		if seq != 2 {
			t.Errorf("slot %d was given it as number %d, want 2", slot, seq)
		}
	}
	clear(heard.given)
	publish(&Trace{Span: [8]byte{7}})
	if len(heard.given) > 1 || len(heard.told) != 2 {
		t.Errorf("a share of nothing is %d, and the end %v", len(heard.given), heard.told)
	}
}

// TestShares: as large a part is followed as was asked for, and not the same for each event.
func TestShares(t *testing.T) {
	const receivers = 100_000
	for _, part := range []float64{1, 0.1, 0.001} {
		var sum float64
		seen := map[uint32]int{}
		const events = 20
		for event := range events {
			trace := &Trace{Span: [8]byte{byte(event), 1}, Share: ShareOf(part)}
			for slot := range uint32(receivers) {
				if trace.follows(slot) {
					sum++
					seen[slot]++
				}
			}
		}
		want := part * receivers * events
		if off := math.Abs(sum - want); off > 5*math.Sqrt(want) {
			t.Errorf("%v of %d: %.0f are followed, want %.0f", part, receivers*events, sum, want)
		}
		if part == 0.001 && len(seen) < int(want)*9/10 {
			t.Errorf("%.0f were followed, of %d receivers only", sum, len(seen))
		}
	}
}

// BenchmarkTrace is what tracing costs a delivery, by the size of the guild: how much longer it
// takes when somebody follows and the event is not traced, and when it is. The three take turns,
// since a machine is not the same twice, and the median of each counts; of what it adds when the
// event is not traced, the median of the differences. bench/parts holds that to its limit.
func BenchmarkTrace(b *testing.B) {
	for _, receivers := range []int{1, 100, 10_000} {
		b.Run(fmt.Sprint(receivers), func(b *testing.B) { benchmarkTrace(b, receivers) })
	}
}

func benchmarkTrace(b *testing.B, receivers int) {
	d := wire.NewDispatch("TEST", []byte(`{}`), nil)
	heard := &tale{given: map[uint32]uint32{}}
	sides := []struct {
		name  string
		stage *stage
		event *Event
		spent []time.Duration
	}{
		{"off", newStage(b), &Event{Dispatch: d}, nil},
		{"not-sampled", newStage(b), &Event{Dispatch: d}, nil},
		{"sampled", newStage(b), &Event{Dispatch: d,
			Trace: &Trace{Share: ShareOf(10 / math.Max(float64(receivers), 10))}}, nil},
	}
	for i, s := range sides {
		for range receivers {
			s.stage.join(1, s.stage.open(), 0)
		}
		if i > 0 {
			s.stage.board.Follow(heard)
		}
	}
	events := max(1000/receivers, 1) // At a time, or the clock is most of it.
	turn := 0
	for b.Loop() {
		turn++
		for i := range sides {
			s := &sides[(i+turn)%len(sides)]
			m := &Msg{Kind: MsgPublish, Guild: 1, Event: s.event}
			began := time.Now()
			for range events {
				s.stage.step(m)
				s.stage.work(1 << 20)
			}
			s.spent = append(s.spent, time.Since(began))
			s.stage.readAll(receivers)
		}
	}
	median := func(spent []time.Duration) float64 {
		slices.Sort(spent)
		return float64(spent[turn/2].Nanoseconds()) / float64(events*receivers)
	}
	var extra []time.Duration // Within each turn, which has seen one machine.
	for i, off := range sides[0].spent {
		extra = append(extra, sides[1].spent[i]-off)
	}
	b.ReportMetric(median(extra), "not-sampled-extra-ns")
	for _, s := range sides {
		b.ReportMetric(median(s.spent), s.name+"-ns/delivery")
	}
}

// readAll has sessions read and acknowledge what they were given.
func (s *stage) readAll(receivers int) {
	for slot := range uint32(receivers) {
		out, _ := s.out.Collect(slot, nil, 1<<20)
		s.out.Advance(slot, len(out))
		seq, _, _ := s.out.Seqs(slot)
		s.out.Ack(slot, seq)
	}
}
