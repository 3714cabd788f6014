package node

import (
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"testing"

	"throng/fanout"
	"throng/node/api"
	"throng/wire"
)

// TestNobodyWaitsBehindAFlood: while a guild has more to say than its loop can tell, a client can
// identify and the operator can look. With one processor a loop that is never without work has to
// look at its sockets by itself.
func TestNobodyWaitsBehindAFlood(t *testing.T) {
	for _, processors := range []int{runtime.GOMAXPROCS(0), 1} {
		t.Run(fmt.Sprintf("processors=%d", processors), func(t *testing.T) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(processors))
			nobodyWaitsBehindAFlood(t)
		})
	}
}

func nobodyWaitsBehindAFlood(t *testing.T) {
	const full = 100
	r := startRig(t, Config{Loops: 1}, func(c *core) {
		c.limits.loopInboxMax = full
		c.loops[0].inbox.limit = full
		c.loops[0].board = fanout.NewBoard(c.loops[0].out, 0, fanout.HistoryLimits{})
	})
	r.user(1, true)
	r.user(2, true)
	r.guild(100, 1)
	c := r.login(1)
	c.joined(1)
	// Guilds get no turns for a while.
	turns := int64(r.core.limits.relayPassMax)
	r.onLoop(0, func(l *loop) { l.dials.relayPass = 0 })
	haveTurns := func() { r.onLoop(0, func(l *loop) { l.dials.relayPass = turns }) }
	defer haveTurns() // The node does not end while a shard waits.
	const events = 10 * full
	flood := make([]api.EventInput, events)
	for i := range flood {
		flood[i] = namedEvent("TEST_EVENT", `{"n":1}`)
	}
	told := make(chan error, 1)
	go func() {
		_, _, err := r.Publish(r.context(), 100, flood)
		told <- err
	}()
	r.until("the loop is behind", func() bool { return r.core.loops[0].inbox.depth() == full })
	r.login(2)
	if all, err := r.SessionsOf(r.context(), 2); err != nil || len(all) != 1 {
		t.Errorf("the operator sees %v, %v", all, err)
	}
	haveTurns()
	if err := <-told; err != nil {
		t.Error(err)
	}
	for range events {
		c.wantEvent("TEST_EVENT")
	}
}

// TestFloodOfOneGuildIsHeldBack: while a guild's events are not handed out, more of them are refused
// for the time being, and those of other guilds are not.
func TestFloodOfOneGuildIsHeldBack(t *testing.T) {
	r := startRig(t, Config{Loops: 1}, func(c *core) {
		c.limits.guildBehindMax = 20
		c.loops[0].board = fanout.NewBoard(c.loops[0].out, 0, fanout.HistoryLimits{})
	})
	r.user(1, true)
	r.guild(100, 1)
	r.guild(200, 1)
	c := r.login(1)
	c.joined(2)
	turns := int64(r.core.limits.relayPassMax)
	r.onLoop(0, func(l *loop) { l.dials.relayPass = 0 })
	publish := func(guild wire.Snowflake) error {
		_, _, err := r.Publish(r.context(), guild, []api.EventInput{namedEvent("TEST_EVENT", `{}`)})
		return err
	}
	taken := 0
	var err error
	for ; err == nil; taken++ {
		err = publish(100)
	}
	var refused *api.Error
	if !errors.As(err, &refused) || refused.Status != http.StatusTooManyRequests ||
		refused.RetryAfter <= 0 {
		t.Errorf("got %v, want 429 with a time to come again", err)
	}
	if taken--; taken != 20 {
		t.Errorf("%d events were taken, want 20", taken)
	}
	if err := publish(200); err != nil {
		t.Errorf("another guild: %v", err)
	}
	r.onLoop(0, func(l *loop) { l.dials.relayPass = turns })
	for range taken + 1 {
		c.wantEvent("TEST_EVENT")
	}
	if err := publish(100); err != nil {
		t.Errorf("when all is handed out: %v", err)
	}
	c.wantEvent("TEST_EVENT")
}
