package push

import "time"

// Stats is what a pipeline has counted since its start.
type Stats struct {
	Depth     int // In the buffer.
	InFlight  int // Sent and not answered, or waiting for the next try.
	Offered   uint64
	Collapsed uint64
	Sent      uint64
	Drops     [dropReasonCount]uint64 // By DropReason.
	Answers   [resultCount]uint64     // Of the sink to tries, by Result.
	// Taken left the buffer for a connection, after they had waited for so long in all, and the one
	// that waited longest for so long.
	Taken     uint64
	Waited    time.Duration
	WaitedMax time.Duration
}

// Stats sums up. The parts are read one after the other, so that while pushes move they need not
// add up exactly; but when nothing waits or is in flight, everything has been counted.
func (p *Pipeline) Stats() Stats {
	landed := p.landed.Load() // First: what lands later is in flight.
	t, depth := p.buffer.count()
	s := Stats{
		Depth: depth, InFlight: int(t.taken - landed),
		Offered: t.offered, Collapsed: t.collapsed, Sent: p.sent.Load(), Taken: t.taken,
		Waited:    time.Duration(t.waited) * time.Millisecond,
		WaitedMax: time.Duration(t.waitedMax) * time.Millisecond,
	}
	for r := range s.Drops {
		s.Drops[r] = p.drops[r].Load()
	}
	s.Offered += s.Drops[DropOmitted]
	s.Drops[DropShed] += t.shed
	s.Drops[DropExpired] += t.expired
	s.Drops[DropEnded] += t.ended
	for r := range s.Answers {
		s.Answers[r] = p.answers[r].Load()
	}
	return s
}

// EachDrop calls f with each reason.
func (s *Stats) EachDrop(f func(r DropReason, count uint64)) {
	for r := range dropReasonCount {
		f(r, s.Drops[r])
	}
}

// EachAnswer calls f with each result.
func (s *Stats) EachAnswer(f func(r Result, count uint64)) {
	for r := range resultCount {
		f(r, s.Answers[r])
	}
}
