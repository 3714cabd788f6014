package node

import (
	"testing"
	"time"

	"throng/wire"
)

// TestIdentifyBucketsHoldBack: with two buckets, two shards of four begin at once, the others a gap
// later. Tokens are looked up side by side, so which shard of a bucket comes first is open.
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
	for _, c := range all {
		c.wantEvent("READY")
	}
	if took := r.core.clock() - began; took < gap {
		t.Errorf("four identifies in two buckets took %d ms", took)
	}
	if got := r.core.identifies.ok.Load(); got != 4 {
		t.Errorf("%d identifies, want 4", got)
	}
}

// TestIdentifyHeldBackMayBeat, and may not send commands.
func TestIdentifyHeldBackMayBeat(t *testing.T) {
	r := startRig(t, Config{IdentifyConcurrency: 1}, func(c *core) {
		c.limits.identifyGapMilli, c.limits.identifyWaitMilli = 1<<40, 1<<41
	})
	r.user(1, true)
	r.login(1)
	c := r.dial("/")
	c.wantOp(wire.OpHello)
	c.send(2, identifyBody(1, ``))
	c.send(1, "null")
	if h := c.next(); h.Op != int(wire.OpHeartbeatAck) {
		t.Errorf("got %v", h)
	}
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

// TestManyIdentifyBuckets: buckets in use are not gone through at every IDENTIFY, and those that are
// not go. The former took 0.4 ms each, under the one lock, when 10,000 users a second came.
func TestManyIdentifyBuckets(t *testing.T) {
	var b identifyBuckets
	const gap, wait = 5000, 30_000
	began := time.Now()
	for n := range 20 * identifyBucketsKept {
		key := identifyBucket{wire.Snowflake(n), 0}
		if at, ok := b.reserve(key, 1, gap, wait); at != 0 || !ok {
			t.Fatalf("user %d waits %d, %v", n, at, ok)
		}
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
	for n := range 30 * identifyBucketsKept {
		b.reserve(identifyBucket{wire.Snowflake(n), 1}, 2*gap+int64(n), 1, wait)
	}
	if len(b.next) > 3*identifyBucketsKept {
		t.Errorf("%d buckets are left", len(b.next))
	}
}
