package node

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"throng/tuning"
	"throng/wire"
)

// stall is one message that kept an owner for too long.
type stall struct {
	at       time.Time // of its end, or of now if there is none yet
	owner    string
	kind     messageKind
	guild    wire.Snowflake
	messages int64 // that were timed together, of which it is one
	span     int64
	worked   int64  // -1: not known
	stack    string // "": it was over before anybody looked
	running  bool   // it had not ended when it was written down
	flight   int    // number of the recording, 0: none
}

// stalls are the newest messages that took longer than the limit, in a ring.
//
// An owner itself writes down what it has been at, since it alone knows for how long; its stack is
// taken by the watchdog while it is there, and waits here until then.
type stalls struct {
	// Static after construction.
	log *slog.Logger

	// Atomic: nanoseconds; written by the operator, read by owners.
	limit atomic.Int64

	// Guarded by mu.
	mu     sync.Mutex
	ring   [tuning.StallsKept]stall
	count  int64 // all there were; the next is ring[count%len]
	told   int64 // of count: those that a line in the log has been written about
	said   int64 // when that was
	flown  int64 // of count: those that the flight recorder was asked about
	caught map[*stopwatch]caught
}

// caught is an owner's stack, taken while it was at what began then.
type caught struct {
	at    uint64 // see stopwatch
	stack string
	noted bool
}

func newStalls(log *slog.Logger) *stalls {
	s := &stalls{log: log, caught: map[*stopwatch]caught{}}
	s.limit.Store(int64(tuning.StallLimit))
	return s
}

// note writes down what an owner has just ended. It is called by the owner.
func (s *stalls) note(w *stopwatch, now, span, worked int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.caught[w]
	delete(s.caught, w)
	if c.at != w.at.Load() {
		c = caught{}
	}
	one := stall{
		at: time.Now(), owner: w.name, kind: w.kind, guild: w.guild, messages: int64(w.looked),
		span: span, worked: worked, stack: c.stack,
	}
	if c.noted {
		// It is in the ring already, unless so many others have come since.
		for i := range s.ring {
			if o := &s.ring[i]; o.running && o.owner == w.name {
				one.flight = o.flight
				*o = one
				return
			}
		}
	}
	s.add(one)
}

// add puts a stall in the ring. REQUIRES: mu is held.
func (s *stalls) add(one stall) {
	s.ring[s.count%int64(len(s.ring))] = one
	s.count++
}

// newest is the stalls that are kept, the last first, and how many there were in all.
func (s *stalls) newest() (kept []stall, count int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n := s.count; n > max(0, s.count-int64(len(s.ring))); n-- {
		kept = append(kept, s.ring[(n-1)%int64(len(s.ring))])
	}
	return kept, s.count
}

// unflown says whether there is a stall that the flight recorder has not been asked about.
func (s *stalls) unflown() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.flown < s.count
}

// flew says that a recording, 0 being none, has what led to the stalls of just now.
func (s *stalls) flew(number int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n := s.count; n > max(s.flown, s.count-int64(len(s.ring))); n-- {
		one := &s.ring[(n-1)%int64(len(s.ring))]
		if time.Since(one.at) < tuning.FlightAge {
			one.flight = number
		}
	}
	s.flown = s.count
}

// report writes a line about the longest of the stalls that have come since the last one, unless
// that was a moment ago.
func (s *stalls) report(now int64) {
	s.mu.Lock()
	untold := s.count - s.told
	if untold == 0 || s.told > 0 && now-s.said < int64(tuning.StallLogInterval) {
		s.mu.Unlock()
		return
	}
	var worst stall
	for n := s.count; n > max(s.told, s.count-int64(len(s.ring))); n-- {
		if one := s.ring[(n-1)%int64(len(s.ring))]; one.span > worst.span {
			worst = one
		}
	}
	s.told, s.said = s.count, now
	s.mu.Unlock()
	s.log.Warn("a message took long; GET /v1/stalls has its stack", "owner", worst.owner,
		"type", worst.kind.String(), "guild", worst.guild, "took", time.Duration(worst.span),
		"stalls", untold)
}
