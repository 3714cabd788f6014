package node

import (
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"throng/node/api"
	"throng/tuning"
	"throng/wire"
)

// shortRig is a node whose memory is as short as the test says: it needs so many percent.
func shortRig(t *testing.T, tweaks ...func(*core)) (r *rig, needs func(percent int64)) {
	t.Helper()
	var share atomic.Int64
	r = startRig(t, Config{SocketSendBuffer: 4 << 10}, append(tweaks, func(c *core) {
		c.readMemory = func() tuning.MemoryUse {
			return tuning.MemoryUse{Budget: 100, Held: share.Load(), Heap: share.Load()}
		}
	})...)
	return r, func(percent int64) {
		t.Helper()
		share.Store(percent)
		r.until("the guard sees it", func() bool {
			u := r.core.memory.Load()
			return u != nil && u.Held == percent
		})
	}
}

// TestShortOfMemory goes through the levels, up and down again.
func TestShortOfMemory(t *testing.T) {
	t.Parallel()
	r, needs := shortRig(t)
	r.user(1, true)
	r.guild(100, 1)
	c := r.login(1)
	c.joined(1)

	needs(tuning.PressureNewPercent)
	if r.Ready() == nil {
		t.Error("ready for new sessions, of which it takes none")
	}
	if got, _ := r.StartLimits(r.context(), 1); got.Remaining != 0 || got.ResetAfter == 0 {
		t.Errorf("bots are told %+v", got)
	}
	second := r.dial("/")
	second.wantOp(wire.OpHello)
	second.send(2, identifyBody(1, ""))
	second.wantOp(wire.OpHeartbeat)
	if h := second.wantOp(wire.OpInvalidSession); string(h.Data) != "false" {
		t.Errorf("got %v for an IDENTIFY", h)
	}
	c.conn.Close()
	c = c.again()
	c.wantEvent("RESUMED")
	r.publish(100, 1)
	c.wantEvent("TEST_EVENT")

	needs(tuning.PressureTrimPercent)
	var refused *statusError
	if err := r.connect().tryUpgrade("/"); !errors.As(err, &refused) || refused.status != 503 {
		t.Errorf("got %v for a connection", err)
	}
	if r.closes(NodeShort) != 1 {
		t.Errorf("%d connections are counted as refused", r.closes(NodeShort))
	}
	_, users := r.PutUsers(r.context(), []api.UserInput{{ID: 2, Doc: []byte(`{"username":"u"}`)}})
	_, members := r.PutMembers(r.context(), 100, [][]byte{[]byte(`{"user_id":"1"}`)}, false)
	for what, err := range map[string]error{"users": users, "members": members,
		"a guild": r.PutGuild(r.context(), 101, []byte(`{"name":"g"}`))} {
		var short *api.Error
		if !errors.As(err, &short) || short.Status != http.StatusServiceUnavailable ||
			short.RetryAfter == 0 {
			t.Errorf("%s: got %v", what, err)
		}
	}
	r.publish(100, 2)
	c.wantEvent("TEST_EVENT") // Who is there notices nothing.
	c.conn.Close()
	r.until("who is away is forgotten", func() bool { return r.core.forgotten.Load() == 1 })

	needs(0)
	c = c.again()
	c.wantGone()
	r.publish(100, 3)
	c.wantEvent("TEST_EVENT")
	if err := r.Ready(); err != nil {
		t.Error(err)
	}
}

// TestWhoReadsGoesForTheReserveAlone: as long as the budget is not used up, nobody is closed who
// takes what it is sent, however long it lasts.
func TestWhoReadsGoesForTheReserveAlone(t *testing.T) {
	t.Parallel()
	r, needs := shortRig(t)
	g := newMemoryGuard(r.core)
	long := time.Now().Add(-time.Hour)
	for percent, want := range map[int64]bool{tuning.PressureClosePercent: false, 100: false,
		101: true} {
		needs(percent)
		g.idle = long
		g.look()
		if got := g.idle.Equal(long); got != want {
			t.Errorf("of 100 bytes %d are held: it is for long enough: %t, want %t", percent, got,
				want)
		}
	}
}

// TestLargestGoFirst has two clients that read nothing, of which more waits for one, and one that
// reads.
func TestLargestGoFirst(t *testing.T) {
	t.Parallel()
	r := startRig(t, Config{Loops: 1, SocketSendBuffer: 4 << 10}, func(c *core) {
		c.limits.shedMin, c.limits.shedShare = 1, 1<<30
	})
	r.user(1, true)
	r.guild(100, 1)
	at := func(l *loop, c *wsClient) *session {
		id, _ := parseSessionID(c.session)
		_, slot := placeOf(id)
		if s := l.sessions[slot]; s != nil && s.id == id {
			return s
		}
		return nil
	}
	join := func(receiveBuffer int) *wsClient {
		c := r.loginNarrow(1, receiveBuffer)
		c.joined(1)
		return c
	}
	const little = 2 << 10
	small, large, reader := join(little), join(little), join(0)
	r.onLoop(0, func(l *loop) {
		fd := int(at(l, large).socket.io.(*connection).fd)
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 64<<10); err != nil {
			t.Error(err)
		}
	})
	both := false
	for n := 1; !both; n++ {
		r.publishEvent(100, namedEvent("TEST_EVENT", `{"big":"`+repeat("x", 20_000)+`"}`))
		reader.wantEvent("TEST_EVENT")
		r.onLoop(0, func(l *loop) {
			both = at(l, small).socket.stuck != 0 && at(l, large).socket.stuck != 0
		})
	}
	for _, next := range []*wsClient{large, small, reader} {
		r.onLoop(0, func(l *loop) {
			if at(l, next) == nil {
				t.Errorf("session %s is gone before its turn", next.session)
			}
			l.closeAny(l.closeLargest(1, 0), next == reader)
			if at(l, next) != nil {
				t.Errorf("session %s is there after its turn", next.session)
			}
		})
	}
	reader.wantClose(wire.CloseUnknown)
	if got := r.closes(NodeShort); got != 3 {
		t.Errorf("%d closes are counted, want 3", got)
	}
}

// TestExcessGoesAtOnce: who reads nothing while the kernel still takes all of it is counted, and of
// these go as many as hold what is too much, those first that most waits for; who reads stays.
func TestExcessGoesAtOnce(t *testing.T) {
	t.Parallel()
	r := startRig(t, Config{Loops: 1, SocketSendBuffer: 4 << 20})
	r.user(1, true)
	r.guild(100, 1)
	join := func(receiveBuffer int) *wsClient {
		c := r.loginNarrow(1, receiveBuffer)
		c.joined(1)
		return c
	}
	const little = 2 << 10
	reader := join(0)
	big := namedEvent("TEST_EVENT", `{"big":"`+repeat("x", 60_000)+`"}`)
	publish := func(times int) {
		for range times {
			r.publishEvent(100, big)
			reader.wantEvent("TEST_EVENT")
		}
	}
	most := join(little)
	publish(8)
	middle := join(little)
	publish(4)
	least := join(little)
	publish(2)
	there := func(l *loop, c *wsClient) *socket {
		id, _ := parseSessionID(c.session)
		_, slot := placeOf(id)
		if s := l.sessions[slot]; s != nil && s.id == id {
			return s.socket
		}
		return nil
	}
	r.onLoop(0, func(l *loop) {
		if len(l.blocked) > 0 {
			t.Fatalf("%d sockets take nothing: the kernel's buffers are too small", len(l.blocked))
		}
		l.countQueued()
		if n := l.stats.queued.Load(); n != 0 {
			t.Errorf("%d bytes are counted of who is not blocked, with much memory", n)
		}
		l.core.nearShort.Store(true)
		l.countQueued()
		if n := l.stats.queued.Load(); n < 1<<20 {
			t.Errorf("%d bytes are counted of some 1.3 MB", n)
		}
		if l.closeLargest(1, 0); there(l, most) == nil {
			t.Error("a portion closed one that is not blocked")
		}
		excess := int64(there(l, most).io.Waiting() + 1)
		l.closeLargest(0, excess)
		if there(l, most) != nil || there(l, middle) != nil {
			t.Error("those that most waits for are there")
		}
		if there(l, least) == nil || there(l, reader) == nil {
			t.Error("more are gone than was too much")
		}
	})
	publish(1)
	if got := r.closes(NodeShort); got != 2 {
		t.Errorf("%d closes are counted, want 2", got)
	}
}
