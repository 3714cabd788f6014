package fanout

import (
	"testing"
	"time"

	"throng/wire"
)

// BenchmarkCarry reports how long a guild of a million members, 18,000 sessions and 200,000
// presences stands still to be carried elsewhere: here while the last is written, with 1,000 users
// who have changed since they were carried, and there while it is read; and how long one step of
// carrying the rest takes, while the guild goes on.
func BenchmarkCarry(b *testing.B) {
	const sessions, online, changed = 18_000, 200_000, 1_000
	from := newMillion(b, millionMembers)
	for i := range sessions {
		r := Receiver{Handle: Handle{Loop: uint16(i % 4), Slot: uint32(i), Gen: 1},
			User: millionUser(i * 7), Intents: wire.IntentsUser, LargeThreshold: 250}
		if _, err := from.Join(r, testNow); err != nil {
			b.Fatal(err)
		}
	}
	for i := range online {
		from.presences.set(millionUser(i*5), idlePresences[i%3]["online"])
	}
	to := make([]*Guild, b.N)
	for i := range to {
		to[i] = newMillion(b, millionMembers)
	}
	var step, read, last, lastRead time.Duration
	bytes := 0
	b.ResetTimer()
	for i := range b.N {
		c := from.Carry()
		k := to[i].Take(func(h Handle) (Handle, bool) { return h, true })
		for c.Left() > 0 {
			var part []byte
			step = max(step, workTime(func() { part = c.Next(nil, 500, 64<<10) }))
			read = max(read, workTime(func() {
				if err := k.Next(part); err != nil {
					b.Fatal(err)
				}
			}))
			bytes += len(part)
		}
		for u := range changed {
			from.mark(millionUser(u * 35))
		}
		var parts [][]byte
		last = max(last, workTime(func() { parts, _ = c.Last(64 << 10) }))
		lastRead = max(lastRead, workTime(func() {
			for _, part := range parts {
				if err := k.Next(part); err != nil {
					b.Fatal(err)
				}
			}
			if _, err := k.Done(testNow); err != nil {
				b.Fatal(err)
			}
		}))
		to[i] = nil
	}
	n := float64(b.N)
	b.ReportMetric(step.Seconds()*1e3, "step-ms")
	b.ReportMetric(read.Seconds()*1e3, "read-ms")
	b.ReportMetric(last.Seconds()*1e3, "last-ms")
	b.ReportMetric(lastRead.Seconds()*1e3, "lastread-ms")
	b.ReportMetric(float64(bytes)/n/1e6, "MB")
}
