package node

import (
	"testing"

	"throng/wire"
)

// TestIdentifyBucketsHoldBack: with two buckets, shards 0 and 1 begin at once, 2 and 3 a gap later.
func TestIdentifyBucketsHoldBack(t *testing.T) {
	const gap = 600
	r := startRig(t, Config{IdentifyConcurrency: 2}, func(c *core) {
		c.limits.identifyGapMilli = gap
	})
	r.user(1, true)
	began := r.core.clock()
	var all []*wsClient
	for shard := range 4 {
		c := r.dial("/")
		c.wantOp(wire.OpHello)
		c.send(2, identifyBody(1, `,"shard":[`+string(rune('0'+shard))+`,4]`))
		all = append(all, c)
	}
	all[0].wantEvent("READY")
	all[1].wantEvent("READY")
	// Whoever waits may beat, and may not send commands.
	all[2].send(1, "null")
	all[2].wantOp(wire.OpHeartbeatAck)
	all[2].wantEvent("READY")
	all[3].wantEvent("READY")
	if took := r.core.clock() - began; took < gap {
		t.Errorf("four identifies in two buckets took %d ms", took)
	}
	if got := r.core.identifies.ok.Load(); got != 4 {
		t.Errorf("%d identifies, want 4", got)
	}
	c := r.dial("/")
	c.wantOp(wire.OpHello)
	c.send(2, identifyBody(1, ``))
	c.send(3, `{"status":"idle"}`)
	c.wantClose(wire.CloseNotAuthenticated)
}

// TestIdentifyThatWouldWaitTooLong is refused with Invalid Session, and may be tried again on the
// same connection.
func TestIdentifyThatWouldWaitTooLong(t *testing.T) {
	r := startRig(t, Config{IdentifyConcurrency: 1}, func(c *core) {
		c.limits.identifyGapMilli, c.limits.identifyWaitMilli = 1<<40, 1000
	})
	r.user(1, true)
	r.login(1)
	c := r.dial("/")
	c.wantOp(wire.OpHello)
	c.send(2, identifyBody(1, ""))
	c.wantOp(wire.OpHeartbeat)
	if h := c.wantOp(wire.OpInvalidSession); string(h.Data) != "false" {
		t.Errorf("got %v", h)
	}
	r.core.buckets.mu.Lock()
	clear(r.core.buckets.next)
	r.core.buckets.mu.Unlock()
	c.identify(1, "")
}
