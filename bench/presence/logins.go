package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"throng/bench/internal/client"
	"throng/wire"
)

const (
	people    = "person"
	presences = wire.IntentGuildPresences
	// loginsAtOnce connections are being made at any time, at most.
	loginsAtOnce = 64
	// stay is how many of those who have logged in are there, before the first of them leaves.
	stay = 5000
)

// logins are people who log in at a rate, and leave again.
type logins struct {
	took time.Duration

	// Guarded by mu.
	mu    sync.Mutex
	times []float64 // from when somebody's time had come until READY, in milliseconds
	here  []*client.Session
	err   error
}

// run has everybody log in within span, and returns when all have and have left again.
func (l *logins) run(ctx context.Context, gateway string, count int, span time.Duration) error {
	began := time.Now()
	slots := make(chan struct{}, loginsAtOnce)
	var all sync.WaitGroup
	for i := range count {
		due := began.Add(time.Duration(float64(span) * float64(i) / float64(count)))
		select {
		case <-time.After(time.Until(due)):
		case <-ctx.Done():
		}
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			s, err := client.Identify(ctx, gateway, fmt.Sprintf("bench-%s.%d", people, i), 0)
			l.arrived(s, err, due)
		})
	}
	all.Wait()
	l.took = time.Since(began)
	for _, s := range l.here {
		s.Close()
	}
	return l.err
}

// arrived takes note of a session, and sends the oldest away when too many are there.
func (l *logins) arrived(s *client.Session, err error, due time.Time) {
	l.mu.Lock()
	if err != nil {
		l.err = err
		l.mu.Unlock()
		return
	}
	l.times = append(l.times, time.Since(due).Seconds()*1e3)
	var leaves *client.Session
	if l.here = append(l.here, s); len(l.here) > stay {
		leaves = l.here[0]
		l.here = l.here[1:]
	}
	l.mu.Unlock()
	if leaves != nil {
		leaves.Close()
	}
}

func (l *logins) quantile(q float64) float64 {
	slices.Sort(l.times)
	return l.times[int(q*float64(len(l.times)-1))]
}
