package fanout

import "throng/store"

// Meter hears of some receivers of events that are timed; see Event.Asked.
type Meter interface {
	// Timed: the session in a slot has been given the event as its number seq. It stands for so
	// many receivers of the event, itself among them.
	Timed(e *Event, slot, seq uint32, weight int)
}

// Measure has m hear of timed events. It is called before anything is handled.
func (b *Board) Measure(m Meter) { b.meter = m }

// timedMax receivers are looked at of one pass, evenly spread over it: those of a large guild who
// stand last in its arrays are written last, too.
const timedMax = 8

// timed is those receivers of one pass.
type timed struct {
	of     [timedMax]followed
	count  int
	weight int
}

// timed looks for the receivers of the pass from r.next on that stand for it.
func (b *Board) timed(r *relay, limit int) (p timed) {
	end := min(r.next+limit, r.end())
	p.weight = max((end-r.next+timedMax-1)/timedMax, 1)
	for at := r.next + p.weight/2; at < end; at += p.weight {
		slot := r.slot(at)
		if slot == store.None {
			continue
		}
		seq, _, _ := b.out.Seqs(slot)
		p.of[p.count] = followed{slot, seq}
		p.count++
	}
	return p
}

// gave tells of those who were given the event.
func (b *Board) gave(e *Event, p *timed) {
	for _, f := range p.of[:p.count] {
		if seq, _, _ := b.out.Seqs(f.slot); seq == f.before+1 {
			b.meter.Timed(e, f.slot, seq, p.weight)
		}
	}
}
