package node

import (
	"testing"

	"throng/node/api"
)

// TestNobodyWaitsBehindAFlood: while a guild has more to say than its loop can tell, a client can
// identify and the operator can look.
func TestNobodyWaitsBehindAFlood(t *testing.T) {
	const full = 100
	r := startRig(t, Config{Loops: 1}, func(c *core) {
		c.limits.loopInboxMax = full
		c.loops[0].inbox.limit = full
	})
	r.user(1, true)
	r.user(2, true)
	r.guild(100, 1)
	c := r.login(1)
	c.joined(1)
	// Guilds get no turns for a while.
	turns := r.core.limits.relayPassMax
	r.onLoop(0, func(l *loop) { l.core.limits.relayPassMax = 0 })
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
	r.onLoop(0, func(l *loop) { l.core.limits.relayPassMax = turns })
	if err := <-told; err != nil {
		t.Error(err)
	}
	for range events {
		c.wantEvent("TEST_EVENT")
	}
}
