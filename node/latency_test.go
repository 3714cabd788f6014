package node

import (
	"math/rand/v2"
	"strings"
	"testing"

	"throng/wire"
)

// TestLatencyBuckets: a value is below its bucket's end, and by no more than a quarter and a unit.
func TestLatencyBuckets(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	last := -1
	for i := range latencyBuckets {
		if end := latencyEnd(i); latencyBucket(end-1) != i ||
			i < latencyBuckets-1 && latencyBucket(end) != i+1 {
			t.Errorf("bucket %d ends at %d, which is in %d", i, end, latencyBucket(end))
		}
	}
	for range 10_000 {
		span := int64(random.Uint64() >> (28 + random.IntN(35)))
		bucket := latencyBucket(span)
		end := latencyEnd(bucket)
		if span >= end || end-span > span/4+1<<latencyUnitBits {
			t.Fatalf("%d is in bucket %d, which ends at %d", span, bucket, end)
		}
		last = max(last, bucket)
	}
	if latencyBucket(-1) != 0 || latencyBucket(1<<62) != latencyBuckets-1 || last < 0 {
		t.Errorf("what is out of bounds is in %d and %d", latencyBucket(-1), latencyBucket(1<<62))
	}
}

// TestLatencyIsOfWhoIsTold: each receiver of an event that was asked for after a pause is booked
// once it is written, and none is waited for any more.
func TestLatencyIsOfWhoIsTold(t *testing.T) {
	t.Parallel()
	r := startRig(t, Config{})
	var users []wire.Snowflake
	for id := range wire.Snowflake(5) {
		r.user(id+1, true)
		users = append(users, id+1)
	}
	r.guild(10, users...)
	for _, user := range users {
		r.login(user).joined(1)
	}
	booked := func() (count uint64) {
		spread, _ := r.latencies()
		for _, n := range spread {
			count += n
		}
		return count
	}
	before := booked()
	r.publish(10, 1)
	r.until("all are booked", func() bool { return booked() == before+5 })
	for i := range r.core.loops {
		r.onLoop(i, func(l *loop) {
			if len(l.latency.waiting) != 0 {
				t.Errorf("loop %d waits for %d", i, len(l.latency.waiting))
			}
		})
	}
	_, text, err := r.get("admin", "/metrics")
	if err != nil || !strings.Contains(text, "throng_publish_to_socket_seconds_count 5\n") {
		t.Errorf("the metrics do not say so: %v", err)
	}
}
