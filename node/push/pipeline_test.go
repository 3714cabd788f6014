package push

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"throng/wire"
)

// scripted is a sink that does what a test says, and keeps account of what it sees.
type scripted struct {
	batchMax int
	send     func(ctx context.Context, batch []Push) Answer

	mu     sync.Mutex
	tries  int
	pushes int // Of all tries.
	out    int // Pushes in tries under way.
	outMax int
}

func (s *scripted) Connect() (Conn, error) { return s, nil }
func (s *scripted) BatchMax() int          { return s.batchMax }
func (s *scripted) String() string         { return "a script" }
func (s *scripted) Close()                 {}

func (s *scripted) Send(ctx context.Context, batch []Push) Answer {
	s.mu.Lock()
	s.tries++
	s.pushes += len(batch)
	s.out += len(batch)
	s.outMax = max(s.outMax, s.out)
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.out -= len(batch)
		s.mu.Unlock()
	}()
	return s.send(ctx, batch)
}

// seen are tries, pushes of all tries, and the most pushes that were out at one time.
func (s *scripted) seen() (tries, pushes, outMax int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tries, s.pushes, s.outMax
}

func startScript(t *testing.T, s *scripted, l Limits) *Pipeline {
	t.Helper()
	return startWith(t, s, l)
}

func startWith(t *testing.T, s Sink, l Limits) *Pipeline {
	t.Helper()
	p, err := Start(Config{Sink: s, Limits: l, Panicked: func(any, []byte) {},
		Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// offer offers pushes for users from+1 to to, each with a message of its own.
func offer(p *Pipeline, from, to int) {
	for user := from; user < to; user++ {
		p.TrySend(note(1, wire.Snowflake(user+1)), wire.Snowflake(user+1))
	}
}

// stop ends a pipeline, with no time to drain when at once is true.
func stop(p *Pipeline, atOnce bool) int {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if atOnce {
		cancel()
	}
	return p.Stop(ctx)
}

// balanced holds that every push is accounted for once nothing moves.
func balanced(t *testing.T, p *Pipeline) {
	t.Helper()
	s := p.Stats()
	total := s.Collapsed + s.Sent + uint64(s.Depth) + uint64(s.InFlight)
	s.EachDrop(func(_ DropReason, count uint64) { total += count })
	if s.Offered != total {
		t.Errorf("offered %d, accounted for %d: %+v", s.Offered, total, s)
	}
}

func wantStats(t *testing.T, p *Pipeline, want func(s Stats) bool) {
	t.Helper()
	if s := p.Stats(); !want(s) {
		t.Errorf("stats are %+v", s)
	}
	balanced(t, p)
}

// bubble runs a test in which time passes when nothing else happens.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

func sent(context.Context, []Push) Answer { return Answer{} }

// obedient waits for the end of the try.
func obedient(ctx context.Context, _ []Push) Answer {
	<-ctx.Done()
	return Answer{Result: Failed, Err: ctx.Err()}
}

func TestDemandMovesTheBuffer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		release := make(chan struct{})
		s := &scripted{batchMax: 1, send: func(context.Context, []Push) Answer {
			<-release
			return Answer{}
		}}
		p := startScript(t, s, Limits{InFlightMax: 10, Connections: 2, QueueMax: 1000})
		offer(p, 0, 100)
		synctest.Wait()
		wantStats(t, p, func(s Stats) bool { return s.InFlight == 20 && s.Depth == 80 })
		for range 5 {
			release <- struct{}{}
		}
		synctest.Wait()
		wantStats(t, p, func(s Stats) bool { return s.Sent == 5 && s.InFlight == 20 && s.Depth == 75 })
		close(release)
		if left := stop(p, false); left != 0 {
			t.Errorf("%d were left", left)
		}
		wantStats(t, p, func(s Stats) bool { return s.Sent == 100 })
		if _, _, outMax := s.seen(); outMax != 20 {
			t.Errorf("%d were in flight, want 20", outMax)
		}
	})
}

func TestBatchesGatherWhileOneIsOut(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var sizes []int
		s := &scripted{batchMax: 50, send: func(_ context.Context, batch []Push) Answer {
			sizes = append(sizes, len(batch))
			time.Sleep(time.Second)
			return Answer{}
		}}
		p := startScript(t, s, Limits{InFlightMax: 50, Connections: 1})
		offer(p, 0, 1)
		synctest.Wait()
		offer(p, 1, 121)
		if left := stop(p, false); left != 0 {
			t.Errorf("%d were left", left)
		}
		if len(sizes) != 4 || sizes[0] != 1 || sizes[1] != 50 || sizes[2] != 50 || sizes[3] != 20 {
			t.Errorf("batches of %v, want 1, 50, 50, 20", sizes)
		}
	})
}

// TestSilenceReturnsCredits has a sink that never answers and does not obey its deadline: every
// credit is back in the end, and an answer that comes then returns none a second time.
func TestSilenceReturnsCredits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var deaf atomic.Bool
		deaf.Store(true)
		wakeUp := make(chan struct{})
		s := &scripted{batchMax: 1, send: func(context.Context, []Push) Answer {
			if deaf.Load() {
				<-wakeUp
			}
			return Answer{}
		}}
		p := startScript(t, s, Limits{InFlightMax: 10, Connections: 1, TriesMax: 2,
			TryTimeout: time.Second, RetryPause: time.Second, AgeMax: time.Hour})
		offer(p, 0, 10)
		time.Sleep(6 * time.Second) // Two tries with their grace and the longest pause are five.
		synctest.Wait()
		wantStats(t, p, func(s Stats) bool {
			return s.Drops[DropFailed] == 10 && s.InFlight == 0 && s.Answers[Failed] == 20
		})
		// The late answers of the twenty tries.
		deaf.Store(false)
		close(wakeUp)
		synctest.Wait()
		block := make(chan struct{})
		s.send = func(context.Context, []Push) Answer { <-block; return Answer{} }
		offer(p, 10, 30)
		synctest.Wait()
		wantStats(t, p, func(s Stats) bool { return s.InFlight == 10 && s.Depth == 10 && s.Sent == 0 })
		close(block)
		stop(p, false)
		wantStats(t, p, func(s Stats) bool { return s.Sent == 20 })
	})
}

func TestPanicReturnsCredits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var count atomic.Int64
		s := &scripted{batchMax: 5, send: func(context.Context, []Push) Answer {
			if count.Add(1) <= 7 {
				panic("the sink fell over")
			}
			return Answer{}
		}}
		p := startScript(t, s, Limits{InFlightMax: 10, Connections: 1, TriesMax: 3})
		var panics atomic.Int64
		p.panics = func(any, []byte) { panics.Add(1) }
		offer(p, 0, 40)
		stop(p, false)
		if panics.Load() != 7 {
			t.Errorf("told of %d panics, want 7", panics.Load())
		}
		wantStats(t, p, func(s Stats) bool { return s.InFlight == 0 && s.Sent >= 25 })
	})
}

func TestTriesAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := &scripted{batchMax: 10, send: func(context.Context, []Push) Answer {
			return Answer{Result: Failed, Err: errors.New("500")}
		}}
		p := startScript(t, s, Limits{InFlightMax: 10, Connections: 1, TriesMax: 4,
			RetryPause: time.Second, RetryPauseMax: 3 * time.Second})
		began := time.Now()
		offer(p, 0, 1)
		stop(p, false)
		// Pauses are at most 1, 2 and 3 seconds.
		if took := time.Since(began); took > 6*time.Second {
			t.Errorf("gave up after %v, want at most 6 s", took)
		}
		if tries, _, _ := s.seen(); tries != 4 {
			t.Errorf("%d tries, want 4", tries)
		}
		wantStats(t, p, func(s Stats) bool { return s.Drops[DropFailed] == 1 })
	})
}

func TestRefusedIsNotTriedAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := &scripted{batchMax: 10, send: func(context.Context, []Push) Answer {
			return Answer{Result: Refused, Err: errors.New("400")}
		}}
		p := startScript(t, s, Limits{InFlightMax: 10, Connections: 1})
		offer(p, 0, 1)
		stop(p, false)
		if tries, _, _ := s.seen(); tries != 1 {
			t.Errorf("%d tries, want 1", tries)
		}
		wantStats(t, p, func(s Stats) bool { return s.Drops[DropRefused] == 1 })
	})
}

func TestAskedPauseHoldsTheConnection(t *testing.T) {
	bubble(t, func(t *testing.T) {
		began := time.Now()
		var at []time.Duration
		var mu sync.Mutex
		s := &scripted{batchMax: 1, send: func(context.Context, []Push) Answer {
			mu.Lock()
			defer mu.Unlock()
			at = append(at, time.Since(began))
			if len(at) == 1 {
				return Answer{Result: Later, Pause: 20 * time.Second, Err: errors.New("429")}
			}
			return Answer{}
		}}
		p := startScript(t, s, Limits{InFlightMax: 10, Connections: 1, RetryPause: time.Second})
		offer(p, 0, 1)
		synctest.Wait()
		time.Sleep(time.Second)
		// The connection has asked for a push already, and this one answers that; no other leaves.
		offer(p, 1, 8)
		stop(p, false)
		early := 0
		for _, d := range at[1:] {
			if d < 20*time.Second {
				early++
			}
			if d > 22*time.Second {
				t.Errorf("a try came after %v", d)
			}
		}
		if len(at) != 9 || early > 1 {
			t.Errorf("tries came at %v; want 9, and but one in the pause", at)
		}
		wantStats(t, p, func(s Stats) bool { return s.Sent == 8 && s.Answers[Later] == 1 })
	})
}

func TestAskedPauseIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		first := true
		s := &scripted{batchMax: 1, send: func(context.Context, []Push) Answer {
			if first {
				first = false
				return Answer{Result: Later, Pause: 1000 * time.Hour}
			}
			return Answer{}
		}}
		p := startScript(t, s, Limits{InFlightMax: 1, Connections: 1})
		began := time.Now()
		offer(p, 0, 1)
		stop(p, false)
		if took := time.Since(began); took < time.Minute || took > 61*time.Second {
			t.Errorf("waited %v, want a minute", took)
		}
		wantStats(t, p, func(s Stats) bool { return s.Sent == 1 })
	})
}

// TestStallForAMinute: the sink takes nothing for a minute while pushes come at a steady rate. What
// does not fit is shed, nothing is sent that is too old, and when the sink is back everything that
// comes is sent at once again.
func TestStallForAMinute(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var stalled atomic.Bool
		s := &scripted{batchMax: 10}
		p := startScript(t, s, Limits{InFlightMax: 10, Connections: 2, QueueMax: 500,
			AgeMax: 30 * time.Second, LookMax: 16})
		s.send = func(ctx context.Context, batch []Push) Answer {
			if stalled.Load() {
				return obedient(ctx, batch)
			}
			for i := range batch {
				if age := p.now() - batch[i].offered; age > 30_000 {
					t.Errorf("a push of %d ms was sent", age)
				}
			}
			time.Sleep(10 * time.Millisecond)
			return Answer{}
		}
		user := 0
		second := func() {
			offer(p, user, user+50)
			user += 50
			time.Sleep(time.Second)
		}
		for range 10 {
			second()
		}
		synctest.Wait()
		wantStats(t, p, func(s Stats) bool { return s.Sent == 500 && s.Depth == 0 })
		stalled.Store(true)
		for range 60 {
			second()
		}
		synctest.Wait()
		wantStats(t, p, func(s Stats) bool {
			return s.Depth == 500 && s.InFlight == 20 && s.Sent == 500 && s.Drops[DropShed] > 2000
		})
		stalled.Store(false)
		for range 15 { // A try and a pause may still be under way.
			second()
		}
		synctest.Wait()
		before := p.Stats()
		if before.Depth != 0 || before.InFlight != 0 {
			t.Errorf("15 s after the stall: %+v", before)
		}
		for range 5 {
			second()
		}
		synctest.Wait()
		wantStats(t, p, func(s Stats) bool { return s.Sent == before.Sent+250 && s.Depth == 0 })
		stop(p, false)
	})
}

// TestTriesEndWithTheAge: a push that became too old between two tries is not sent again.
func TestTriesEndWithTheAge(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := &scripted{batchMax: 10, send: func(context.Context, []Push) Answer {
			return Answer{Result: Later, Pause: 8 * time.Second}
		}}
		p := startScript(t, s, Limits{InFlightMax: 10, Connections: 1, AgeMax: 10 * time.Second,
			RetryPause: time.Millisecond, TriesMax: 100})
		offer(p, 0, 1)
		stop(p, false)
		if tries, _, _ := s.seen(); tries != 2 {
			t.Errorf("%d tries, want 2", tries)
		}
		wantStats(t, p, func(s Stats) bool { return s.Drops[DropExpired] == 1 })
	})
}

func TestStopSaysWhatIsLeft(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := &scripted{batchMax: 10, send: obedient}
		p := startScript(t, s, Limits{InFlightMax: 10, Connections: 1})
		offer(p, 0, 35)
		synctest.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		began := time.Now()
		if left := p.Stop(ctx); left != 35 {
			t.Errorf("%d were left, want 35", left)
		}
		if took := time.Since(began); took != 3*time.Second {
			t.Errorf("took %v, want 3 s", took)
		}
		if p.TrySend(note(1, 1), 1) {
			t.Error("a push was taken after the end")
		}
		wantStats(t, p, func(s Stats) bool { return s.Drops[DropEnded] == 36 })
	})
}

func TestStopDrainsThroughFailures(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var failures atomic.Int64
		s := &scripted{batchMax: 10, send: func(context.Context, []Push) Answer {
			if failures.Add(1) <= 2 {
				return Answer{Result: Failed}
			}
			return Answer{}
		}}
		p := startScript(t, s, Limits{InFlightMax: 10, Connections: 1})
		offer(p, 0, 100)
		if left := stop(p, false); left != 0 {
			t.Errorf("%d were left", left)
		}
		wantStats(t, p, func(s Stats) bool { return s.Sent == 100 })
	})
}

// TestNothingIsLost offers from several goroutines while the sink does whatever it likes, and the
// end comes in the middle of it.
func TestNothingIsLost(t *testing.T) {
	for seed := range uint64(20) {
		bubble(t, func(t *testing.T) {
			s := &scripted{batchMax: 1 + int(seed%7), send: func(ctx context.Context, b []Push) Answer {
				time.Sleep(rand.N(3 * time.Millisecond))
				switch rand.IntN(8) {
				case 0:
					return Answer{Result: Failed}
				case 1:
					return Answer{Result: Refused}
				case 2:
					return Answer{Result: Later, Pause: time.Millisecond}
				case 3:
					return obedient(ctx, b)
				case 4:
					panic("again")
				}
				return Answer{}
			}}
			p := startScript(t, s, Limits{InFlightMax: 10, Connections: 3, QueueMax: 50, TriesMax: 3,
				LookMax: 5, TryTimeout: 5 * time.Millisecond, RetryPause: 2 * time.Millisecond,
				AgeMax: 20 * time.Millisecond})
			var guilds sync.WaitGroup
			for guild := range 4 {
				guilds.Go(func() {
					for i := range 300 {
						p.TrySend(note(wire.Snowflake(guild+1), 1), wire.Snowflake(1+rand.IntN(200)))
						if i%10 == 0 {
							time.Sleep(time.Millisecond)
						}
					}
				})
			}
			time.Sleep(25 * time.Millisecond)
			stop(p, seed%2 == 0)
			guilds.Wait()
			synctest.Wait()
			wantStats(t, p, func(s Stats) bool {
				return s.Offered == 1200 && s.InFlight == 0 && s.Depth == 0
			})
			if _, _, outMax := s.seen(); outMax > 30 {
				t.Errorf("%d were in flight, want at most 30", outMax)
			}
		})
	}
}

// TestOfferNeverWaits: a guild goes on whatever the sink does.
func TestOfferNeverWaits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := startScript(t, &scripted{batchMax: 1, send: obedient}, Limits{QueueMax: 10})
		began := time.Now()
		offer(p, 0, 10_000)
		if took := time.Since(began); took != 0 {
			t.Errorf("offers waited for %v", took)
		}
		stop(p, true)
		balanced(t, p)
	})
}

func TestOmittedIsCounted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := startScript(t, &scripted{batchMax: 1, send: sent}, Limits{})
		p.Omit(7)
		stop(p, false)
		wantStats(t, p, func(s Stats) bool { return s.Offered == 7 && s.Drops[DropOmitted] == 7 })
	})
}
