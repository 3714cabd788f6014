package node

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"throng/store"
	"throng/wire"
)

// TestDrain is the whole of it: readiness, grace, pace, the end.
func TestDrain(t *testing.T) {
	t.Parallel()
	const clients, spread = 150, 1500 * time.Millisecond
	r := startRig(t, Config{Loops: 1, DrainGrace: 1500 * time.Millisecond, DrainSpread: spread},
		func(c *core) { c.limits.lingerMilli = 300 })
	r.user(1, true)
	// Each step tells at least one per loop, so a pace shows only in more than there are steps.
	all := make([]*wsClient, clients)
	for i := range all {
		all[i] = r.login(1)
	}
	if status, _, err := r.get("admin", "/readyz"); status != 200 || err != nil {
		t.Fatalf("readyz before: %d %v", status, err)
	}
	r.sound()
	r.cancel()
	r.until("not ready", func() bool { return r.Ready() != nil })
	if status, body, err := r.get("admin", "/readyz"); status != 503 || err != nil {
		t.Errorf("readyz in the grace: %d %q %v", status, body, err)
	}
	if status, _, err := r.get("admin", "/healthz"); status != 200 || err != nil {
		t.Errorf("healthz in the grace: %d %v", status, err)
	}
	// Whoever comes within the grace is served: the balancer may not have looked yet.
	late := r.login(1)
	all = append(all, late)
	late.conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if _, err := late.in.Peek(1); err == nil && !r.core.draining.Load() {
		t.Error("somebody was sent away within the grace")
	}

	told := make([]time.Time, len(all))
	var group sync.WaitGroup
	for i, c := range all {
		group.Go(func() {
			for {
				h, err := c.read()
				if err != nil {
					t.Errorf("client %d: %v", i, err)
					return
				}
				if h.Op == int(wire.OpReconnect) {
					told[i] = time.Now()
				}
				if h.opcode == wire.OpcodeClose {
					if h.code != wire.CloseUnknown || told[i].IsZero() {
						t.Errorf("client %d: %v, told at %v", i, h, told[i])
					}
					_ = c.tryWrite(closeFrame(1000))
					return
				}
			}
		})
	}
	r.until("the grace is over", r.core.draining.Load)
	c := r.connect()
	var status *statusError
	if err := c.tryUpgrade("/"); !errors.As(err, &status) || status.status != 503 ||
		!strings.HasSuffix(status.body, ".\n") {
		t.Errorf("a handshake after the grace: %v", err)
	}
	c.conn.Close()
	group.Wait()
	first, last := told[0], told[0]
	for _, at := range told {
		if at.Before(first) {
			first = at
		}
		if at.After(last) {
			last = at
		}
	}
	if took := last.Sub(first); took < spread/3 || took > spread+patience/2 {
		t.Errorf("they were sent away within %v, want about %v", took, spread)
	}
	<-r.ended
	if r.result != nil {
		t.Errorf("Run returned %v", r.result)
	}
	if got := r.closes(Reconnected); got != uint64(len(all)) {
		t.Errorf("%d were closed after op 7, want %d", got, len(all))
	}
}

// TestDrainKeepsItsPace: in no second are more than twice as many sent away as in the mean one,
// although loops do not have as many connections as each other. Time is the test's own.
func TestDrainKeepsItsPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const spread, each = 30 * time.Second, 5 * time.Millisecond
		dir := store.NewMemory()
		people(t, dir, 1)
		h := newHandNode(t, dir)
		var all []*handClient
		for i, clients := range []int{307, 41} {
			for range clients {
				c := h.dial(i, 1)
				c.identify()
				all = append(all, c)
			}
		}
		h.settle()
		h.connections.Store(int64(len(all)))
		for _, l := range h.loops {
			l.calls.ring = func() {} // They have a pass each time.
		}
		n := &Node{core: h.core, abort: make(chan struct{})}
		var ended atomic.Bool
		go func() {
			n.sendAllAway(spread, time.After(spread+time.Second))
			ended.Store(true)
		}()
		var told []time.Duration // Since the beginning, each of them.
		began := time.Now()
		for synctest.Wait(); !ended.Load(); synctest.Wait() {
			sum := 0
			for _, l := range h.loops {
				l.pass()
			}
			for _, c := range all {
				if c.socket.told {
					sum++
				}
			}
			for len(told) < sum {
				told = append(told, time.Since(began))
			}
			time.Sleep(each)
		}
		if len(told) != len(all) || told[len(told)-1] > spread {
			t.Fatalf("%d of %d were sent away, the last after %v", len(told), len(all),
				told[len(told)-1])
		}
		most := 2 * len(all) / int(spread/time.Second)
		for i := range len(told) - most {
			if span := told[i+most] - told[i]; span < time.Second {
				t.Fatalf("from %v on, %d were sent away within %v, at most %d may be in a second",
					told[i], most+1, span, most)
			}
		}
	})
}

// TestReplayGivesNoTimeToThoseSentAway: who has been told to reconnect is closed when that time is
// up, also when it had a replay under way.
func TestReplayGivesNoTimeToThoseSentAway(t *testing.T) {
	r := startRig(t, Config{})
	r.user(1, true)
	c := r.login(1)
	r.onLoop(c.home(), func(l *loop) {
		id, _ := parseSessionID(c.session)
		s := l.byID(id)
		l.sendAway(s.socket)
		end := s.socket.deadline
		s.resumedSeq = 1
		l.replayed(s.socket)
		if s.socket.deadline != end || s.resumedSeq != 0 {
			t.Errorf("it has %d ms more", s.socket.deadline-end)
		}
	})
}

// TestDrainOfThoseWithoutASession closes them at once: some libraries cannot take op 7 before
// READY.
func TestDrainOfThoseWithoutASession(t *testing.T) {
	r := startRig(t, Config{})
	hello, silent := r.dial("/"), r.connect()
	hello.wantOp(wire.OpHello)
	r.until("both are there", func() bool { return r.core.connections.Load() == 2 })
	r.Drain()
	hello.wantClose(wire.CloseUnknown)
	silent.wantEnd()
	<-r.ended
	if r.result != nil {
		t.Errorf("Run returned %v", r.result)
	}
}

func TestDrainOfNobody(t *testing.T) {
	const grace = 300 * time.Millisecond
	r := startRig(t, Config{DrainGrace: grace, DrainSpread: time.Hour, DrainHard: 2 * time.Hour})
	r.user(1, true)
	r.login(1).conn.Close() // Its session is left, and nobody is there to be told.
	r.until("it is gone", func() bool { return r.core.connections.Load() == 0 })
	began := time.Now()
	r.stop()
	if took := time.Since(began); took < grace || took > grace+patience/2 {
		t.Errorf("it took %v, want %v", took, grace)
	}
}

// TestDrainHasAHardEnd with a client that ignores everything.
func TestDrainHasAHardEnd(t *testing.T) {
	const hard = 500 * time.Millisecond
	r := startRig(t, Config{DrainHard: hard}, func(c *core) { c.limits.lingerMilli = 1 << 40 })
	r.user(1, true)
	c := r.login(1)
	began := time.Now()
	r.stop()
	if took := time.Since(began); took < hard || took > hard+patience/2 {
		t.Errorf("it took %v, want %v", took, hard)
	}
	c.wantOp(wire.OpReconnect)
	c.wantEnd()
}

// TestAbort is the second signal, at each stage.
func TestAbort(t *testing.T) {
	for _, stage := range []string{"serving", "grace", "spread"} {
		t.Run(stage, func(t *testing.T) {
			cfg := Config{DrainGrace: time.Hour, DrainSpread: time.Hour, DrainHard: 3 * time.Hour}
			if stage == "spread" {
				cfg.DrainGrace = -1
			}
			r := startRig(t, cfg)
			r.user(1, true)
			c := r.login(1)
			if stage != "serving" {
				r.cancel()
				r.until("draining", func() bool { return r.Ready() != nil })
			}
			if stage == "spread" {
				r.until("spreading", r.core.draining.Load)
			}
			r.Abort()
			r.Abort()
			select {
			case <-r.ended:
			case <-time.After(patience):
				t.Fatal("Run goes on")
			}
			if r.result != nil {
				t.Errorf("Run returned %v", r.result)
			}
			if stage == "serving" {
				close(r.drained) // In its own process the loops would have ended with it.
			}
			r.until("the loops have ended", func() bool {
				_, err := c.read()
				return err != nil
			})
		})
	}
}

// TestTwoNodesCannotShareAnAddress: each loop listens for itself, which must not let a second node
// take a part of the first one's connections.
func TestTwoNodesCannotShareAnAddress(t *testing.T) {
	r := startRig(t, Config{})
	for flag, cfg := range map[string]Config{
		"-listen": {Listen: r.doors["gateway"]}, "-api": {API: r.doors["api"]},
		"-admin": {Admin: r.doors["admin"]},
	} {
		const any = "127.0.0.1:0"
		for _, door := range []*string{&cfg.Listen, &cfg.API, &cfg.Admin} {
			if *door == "" {
				*door = any
			}
		}
		cfg.InMemory = true
		n, err := New(cfg, r.log)
		if err != nil {
			t.Fatal(err)
		}
		if err := n.Run(r.context()); err == nil || !strings.HasPrefix(err.Error(), flag+": ") {
			t.Errorf("%s: Run returned %v", flag, err)
		}
	}
}
