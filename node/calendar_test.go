package node

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"throng/wire"
)

// TestCalendarOutlivesJumps: whatever becomes of the system's clock, the calendar never stands
// still, and agrees with it in the end.
func TestCalendarOutlivesJumps(t *testing.T) {
	const hour, step = 3_600_000, 50
	for _, jump := range []int64{0, hour, -hour, -1, 40} {
		t.Run(fmt.Sprint(jump), func(t *testing.T) {
			now, jumped := int64(1), int64(0)
			c := newCalendar(func() int64 { return 1e12 + now + jumped },
				func() int64 { return now })
			if got := c.now(); got != 1e12+1 {
				t.Fatalf("it begins with %d", got)
			}
			jumped = jump
			for range 2*hour/step + 2 {
				before := c.now()
				now += step
				c.follow()
				if went := c.now() - before; went < step/2 || went > step+max(jump, 0) {
					t.Fatalf("%d ms took %d", step, went)
				}
			}
			if got, want := c.now(), c.system(); got != want {
				t.Errorf("in the end it is %d, want %d", got, want)
			}
		})
	}
}

// TestClockThatJumps is row 32 of the matrix: the system's clock is set, and nobody notices, neither
// those who are there nor who comes back nor the guilds that have something to do.
func TestClockThatJumps(t *testing.T) {
	t.Parallel()
	var jump atomic.Int64
	r := startRig(t, Config{ResumeWindow: time.Hour}, func(c *core) {
		c.limits.deadMilli = patience.Milliseconds()
		system := c.calendar.system
		c.calendar.system = func() int64 { return system() + jump.Load() }
	})
	r.user(1, true)
	r.user(2, true)
	r.guild(100, 1, 2)
	c, gone := r.login(1), r.login(2)
	c.joined(1)
	gone.joined(1)
	gone.conn.Close()
	r.until("one is away", func() bool { return r.totals().detached == 1 })
	for n, hours := range []int64{1, -1, 24, -24} {
		before := r.core.wall()
		jump.Store(hours * time.Hour.Milliseconds())
		r.until("time goes on", func() bool { return r.core.wall() > before+100 })
		c.send(1, "null")
		c.wantOp(wire.OpHeartbeatAck)
		r.publish(100, n+1)
		c.wantNumber(n + 1)
	}
	next := gone.again()
	for n := range 4 {
		next.wantNumber(n + 1)
	}
	next.wantEvent("RESUMED")
	for _, reason := range []CloseReason{HeartbeatMissed, IdentifyTimeout, SlowReader} {
		if got := r.closes(reason); got != 0 {
			t.Errorf("%d were closed for %v", got, reason)
		}
	}
}
