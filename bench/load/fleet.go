package load

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Fleet is connections that are driven by somebody else: a bench, which decides what happens when,
// publishes by itself, and looks at what has come. Run is the same for a whole run that a Config
// describes. What a Config says of publishing, phases and cuts means nothing to a fleet.
type Fleet struct {
	// Static after construction.
	run  *run
	stop context.CancelFunc
	all  sync.WaitGroup

	// Guarded by mu.
	mu    sync.Mutex
	taken stats // What Take has returned so far.
	since time.Time
	fault error // Of a loop.
}

// Start opens the connections of c and waits until each has all it waits for: its READY and its
// guilds, or its room. It fails when one does not come that far.
func Start(ctx context.Context, c Config) (*Fleet, error) {
	r, err := newRun(ctx, c, nil)
	if err != nil {
		return nil, err
	}
	return r.fleet(ctx)
}

// fleet opens the connections of a run.
func (r *run) fleet(ctx context.Context) (*Fleet, error) {
	looping, stop := context.WithCancel(context.Background())
	f := &Fleet{run: r, stop: stop, since: time.Now()}
	for _, l := range r.loops {
		f.all.Go(func() {
			if err := l.serve(looping); err != nil {
				f.mu.Lock()
				f.fault = err
				f.mu.Unlock()
			}
		})
	}
	connections := r.config.Connections
	r.until(ctx, r.config.ConnectTimeout, func() bool {
		return r.census().settled() >= connections || f.Err() != nil
	})
	err := errors.Join(ctx.Err(), f.Err())
	if live := f.Live(); err == nil && live < connections {
		err = fmt.Errorf("%d of %d connections became ready; ends: %v", live, connections,
			f.Take("").Closes)
	}
	if err != nil {
		f.Stop()
		return nil, err
	}
	return f, nil
}

// Err is why a loop has ended before its time.
func (f *Fleet) Err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fault
}

// Received is how many events with a mark have come so far, on all connections. It takes no lock.
func (f *Fleet) Received() (sum uint64) {
	for _, l := range f.run.loops {
		sum += l.deliveries.Load()
	}
	return sum
}

// Dispatched is how many dispatches have come so far, with a mark or without.
func (f *Fleet) Dispatched() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	sum := f.taken.Dispatches
	for _, l := range f.run.loops {
		l.mu.Lock()
		sum += l.stats.Dispatches
		l.mu.Unlock()
	}
	return sum
}

// Live is how many connections are ready.
func (f *Fleet) Live() int { return f.run.census().live }

// Take is what was seen since the last Take, as a phase of that name.
func (f *Fleet) Take(name string) Phase { return Take(name, f) }

// Take is what all the fleets saw since the last Take of each.
func Take(name string, fleets ...*Fleet) Phase {
	var sum stats
	var seconds float64
	for _, f := range fleets {
		f.mu.Lock()
		seconds = max(seconds, time.Since(f.since).Seconds())
		f.since = time.Now()
		for _, l := range f.run.loops {
			l.mu.Lock()
			one := l.stats
			l.stats = &stats{}
			l.mu.Unlock()
			f.taken.Counts.add(&one.Counts)
			sum.add(one)
		}
		f.mu.Unlock()
	}
	return sum.phase(name, seconds)
}

// Cut closes all sockets at once, as a network that fails does. Nobody comes back until Return.
func (f *Fleet) Cut() {
	for _, l := range f.run.loops {
		l.mu.Lock()
		now := l.clock()
		for i := range l.conns {
			c := &l.conns[i]
			if c.state != stateReady {
				continue
			}
			l.drop(c)
			c.cutNano = now
			c.flags |= flagAway
			l.away++
			l.stats.Cuts++
		}
		l.mu.Unlock()
	}
}

// Freeze makes connections frozen or slow, as many as Config says, and says how many that are.
func (f *Fleet) Freeze() (impaired int) {
	for _, l := range f.run.loops {
		l.mu.Lock()
		frozen, slow := l.impair()
		l.mu.Unlock()
		impaired += frozen + slow
	}
	return impaired
}

// Return opens the connections again that were cut; their sessions are resumed.
func (f *Fleet) Return() {
	for _, l := range f.run.loops {
		l.mu.Lock()
		for i := range l.conns {
			if c := &l.conns[i]; c.state == stateClosed && c.has(flagAway) {
				l.again = append(l.again, c.slot)
			}
		}
		l.mu.Unlock()
	}
}

// Command sends a command on the connections number from to to, as JSON that text makes for each by
// its number. It says on how many: those that are not ready are left out.
func (f *Fleet) Command(from, to int, text func(connection int) string) (sent int) {
	for _, l := range f.run.loops {
		sent += l.command(from, to, text)
	}
	return sent
}

// Connections is how many there are to be.
func (f *Fleet) Connections() int { return f.run.config.Connections }

// Stop closes all connections and waits until that is done.
func (f *Fleet) Stop() {
	f.run.stopping.Store(true)
	f.stop()
	f.all.Wait()
}
