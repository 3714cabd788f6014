package node

import (
	"bytes"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"throng/fanout"
	"throng/store"
	"throng/tuning"
	"throng/wire"
)

// panicRig is a node of one loop, so that all connections share it, in which a command with the
// word panic in it panics.
func panicRig(t *testing.T, tweaks ...func(*core)) *siege {
	t.Helper()
	tweaks = append(tweaks, func(c *core) {
		for _, l := range c.loops {
			l.echo = func(k *socket, m wire.Message) {
				if bytes.Contains(m.Payload, []byte("panic")) {
					panic("a test's")
				}
				l.command(k, m, nil)
			}
		}
	})
	s := &siege{rig: startRig(t, Config{Loops: 1}, tweaks...)}
	s.user(1, true)
	s.user(2, true)
	s.guild(100, 1, 2)
	s.witness = s.login(1)
	s.witness.joined(1)
	s.before = s.usage()
	return s
}

func (r *rig) metric(name string) string {
	r.t.Helper()
	_, body, err := r.get("admin", "/metrics")
	if err != nil {
		r.t.Fatal(err)
	}
	for line := range strings.Lines(body) {
		if rest, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}

func TestPanicInAHandlerCostsItsConnection(t *testing.T) {
	s := panicRig(t)
	c := s.login(2)
	c.joined(1)
	s.panics++
	c.write(append(frame(wire.OpcodeText, `"panic"`), c.command(1, "null")...))
	c.wantClose(wire.CloseInternalError)
	if got := s.metric("throng_panics_total"); got != "1" {
		t.Errorf("throng_panics_total is %s", got)
	}
	if got := s.metric(`throng_closes_total{reason="panic"}`); got != "1" {
		t.Errorf("closes are %s", got)
	}
	c.conn.Close()
	s.publish(100, 1) // Its session is kept, and gets what it missed.
	s.witness.wantNumber(1)
	next := c.again()
	next.wantNumber(1)
	next.wantEvent("RESUMED")
	next.write(closeFrame(1000))
	next.drain()
	next.conn.Close()
	s.events = 1
	s.unharmed()
}

func TestPanicBeforeHello(t *testing.T) {
	s := panicRig(t)
	c := s.connect()
	s.until("it is there", func() bool { return s.core.connections.Load() == 2 })
	s.eachSocket(func(_ *loop, k *socket) {
		if k.state == socketHandshaking {
			k.io = &brokenTransport{transport: k.io}
		}
	})
	c.write([]byte(upgradeRequest("/")))
	c.wantEnd()
	c.conn.Close()
	s.panics = s.core.panics.Load()
	s.unharmed()
}

// brokenTransport panics when it is written to.
type brokenTransport struct{ transport }

func (*brokenTransport) Write([]byte) (int, error) { panic("a test's") }

// TestPanicWhileWritingCostsOneSession has one of three sockets of a guild panic when its turn comes.
func TestPanicWhileWritingCostsOneSession(t *testing.T) {
	s := panicRig(t)
	c, third := s.login(2), s.login(2)
	c.joined(1)
	third.joined(1)
	s.eachSocket(func(_ *loop, k *socket) {
		if k.session.id.String() == c.session {
			k.io = &brokenTransport{transport: k.io}
		}
	})
	s.publish(100, 1)
	s.witness.wantNumber(1)
	third.wantNumber(1)
	c.wantEnd() // Not even the close frame could be written.
	if got := s.core.panics.Load(); got < 1 || got > 2 {
		t.Errorf("%d panics were counted", got)
	}
	s.panics = s.core.panics.Load()
	next := c.again()
	next.wantNumber(1)
	next.wantEvent("RESUMED")
	for _, x := range []*wsClient{c, third, next} {
		x.conn.Close()
	}
	s.events = 1
	s.unharmed()
}

// TestPanicInAPassDoesNotStopTheLoop: the inbox rings only after it was found empty, so a pass that
// ends in its middle must be followed by another.
func TestPanicInAPassDoesNotStopTheLoop(t *testing.T) {
	var fail atomic.Bool
	s := panicRig(t, func(c *core) {
		submit := c.submit
		c.submit = func(what messageKind, job func()) bool {
			if fail.CompareAndSwap(true, false) {
				panic("a test's")
			}
			return submit(what, job)
		}
	})
	for n := range 3 {
		s.panics++
		fail.Store(true)
		s.witness.send(8, `{"guild_id":"100","user_ids":["1"]}`)
		s.publish(100, n)
		for got := 0; got < 2; {
			switch h := s.witness.wantOp(wire.OpDispatch); h.Type {
			case "TEST_EVENT", "GUILD_MEMBERS_CHUNK":
				got++
			}
		}
	}
	s.events = 2
	s.unharmed()
}

// TestPanicInAPassLosesNoRequest: the pass ends in its middle when it has just taken up a session's
// next request, which then has to be in the line still.
func TestPanicInAPassLosesNoRequest(t *testing.T) {
	for at := range int32(4) { // Two answers, and the look at each end.
		var submits atomic.Int32
		submits.Store(-100)
		s := panicRig(t, func(c *core) {
			submit := c.submit
			c.submit = func(what messageKind, job func()) bool {
				if submits.Add(1) == at+1 {
					panic("a test's")
				}
				return submit(what, job)
			}
		})
		submits.Store(0)
		one := s.witness.command(8, `{"guild_id":"100","user_ids":["1"],"nonce":"a"}`)
		s.witness.write(append(one, s.witness.command(8, `{"guild_id":"100","user_ids":["2"]}`)...))
		s.witness.wantEvent("GUILD_MEMBERS_CHUNK")
		s.witness.wantEvent("GUILD_MEMBERS_CHUNK")
		s.panics = 1
		s.until("it panicked", func() bool { return s.core.panics.Load() == 1 })
	}
}

// TestPanicOfATimerLeavesTheOthers: entries of one bucket of the wheel are looked at one by one.
func TestPanicOfATimerLeavesTheOthers(t *testing.T) {
	s := panicRig(t)
	silent := s.dial("/")
	silent.wantOp(wire.OpHello)
	s.panics++
	s.onLoop(0, func(l *loop) {
		l.wheel.add(timer{index: 1 << 30}, l.time)
		for _, k := range l.sockets {
			if k != nil && k.state == socketHello {
				l.due(k, l.time)
			}
		}
	})
	silent.wantClose(wire.CloseSessionTimedOut)
	silent.conn.Close()
	s.unharmed()
}

func TestPanicInAGuildIsAnError(t *testing.T) {
	s := panicRig(t)
	for name, run := range map[string]func() error{
		"a look": func() error {
			return s.look(s.context(), 100, func(*fanout.Guild, int64) error { panic("a test's") })
		},
		"a change": func() error {
			return s.change(s.context(), 100, func(*shard, *fanout.Guild, int64) (fanout.Change, error) {
				panic("a test's")
			})
		},
		"all guilds": func() error {
			return s.Node.eachGuild(s.context(), func(*fanout.Guild) { panic("a test's") })
		},
		"a loop": func() error {
			return s.Node.onLoop(s.context(), 0, func(*loop) error { panic("a test's") })
		},
	} {
		s.panics++
		if err := run(); !errors.Is(err, errInternal) {
			t.Errorf("%s: got %v, want %v", name, err, errInternal)
		}
	}
	s.unharmed()
}

// brokenDirectory panics when it is asked for certain things.
type brokenDirectory struct {
	store.Directory
	writes atomic.Bool
}

func (d *brokenDirectory) Guild(id uint64) ([]byte, error) {
	if id == 666 {
		panic("a test's")
	}
	return d.Directory.Guild(id)
}

func (d *brokenDirectory) Apply(ops []store.Op) error {
	if d.writes.Load() {
		panic("a test's")
	}
	return d.Directory.Apply(ops)
}

func TestPanicInAJobIsAnError(t *testing.T) {
	d := &brokenDirectory{}
	s := panicRig(t, func(c *core) {
		d.Directory, c.dir = c.dir, d
		authenticate := c.authenticate
		c.authenticate = func(token string) (wire.Snowflake, error) {
			if token == "broken" {
				panic("a test's")
			}
			return authenticate(token)
		}
	})
	s.panics++
	if _, err := s.Guild(s.context(), 666); !errors.Is(err, errInternal) {
		t.Errorf("a guild whose reading panics: got %v", err)
	}
	s.panics++
	if _, err := s.Guild(s.context(), 666); !errors.Is(err, errInternal) {
		t.Errorf("the same guild again: got %v", err)
	}
	s.panics++
	c := s.dial("/")
	c.wantOp(wire.OpHello)
	c.send(2, `{"token":"broken","intents":1}`)
	c.wantClose(wire.CloseUnknown)
	c.conn.Close()

	s.panics++
	d.writes.Store(true)
	if err := s.PutToken(s.context(), 1, "another"); !errors.Is(err, errInternal) {
		t.Errorf("a write that panics: got %v", err)
	}
	d.writes.Store(false)
	if err := s.PutToken(s.context(), 1, "another"); err != nil {
		t.Errorf("a write after it: got %v", err)
	}
	s.unharmed()
}

func TestTooManyPanicsGiveUp(t *testing.T) {
	s := panicRig(t)
	fail := func() {
		s.panics++
		_ = s.look(s.context(), 100, func(*fanout.Guild, int64) error { panic("a test's") })
	}
	for range tuning.PanicsMax {
		fail()
	}
	select {
	case <-s.gaveUp:
		t.Fatalf("gave up after %d", s.panics)
	default:
	}
	fail()
	select {
	case <-s.gaveUp:
	default:
		t.Fatalf("did not give up after %d", s.panics)
	}
	s.unharmed()
}

func TestPanicsAreCountedInAWindow(t *testing.T) {
	var f failures
	now := time.Unix(1, 0)
	for n := range 10 * tuning.PanicsMax {
		if f.more(now) {
			t.Fatalf("panic %d is one too many", n)
		}
		now = now.Add(tuning.PanicsWindow / tuning.PanicsMax)
	}
	for n := range tuning.PanicsMax {
		if f.more(now) != (n > 0) {
			t.Fatalf("panic %d at once: one too many is %v", n, n == 0)
		}
	}
}
