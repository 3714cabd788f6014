package cluster

import "sync/atomic"

// busCounters are counted where it happens.
type busCounters struct {
	itemsSent, itemsReceived     atomic.Uint64
	batchesSent, batchesReceived atomic.Uint64 // Beats that were sent are counted too.
	bytesSent, bytesReceived     atomic.Uint64
	slow                         atomic.Uint64
	resets                       [resetReasonCount]atomic.Uint64
}

// BusStats are totals since the bus was made, and how much waits.
type BusStats struct {
	ItemsSent, ItemsReceived     uint64
	BatchesSent, BatchesReceived uint64
	BytesSent, BytesReceived     uint64
	SlowConsumer                 uint64 // Times that NATS says so of this node.
	Resets                       map[ResetReason]uint64
	Peers                        int
	OutboxBytes                  int
}

// Stats sums up.
func (b *Bus) Stats() BusStats {
	c := &b.stats
	s := BusStats{
		ItemsSent: c.itemsSent.Load(), ItemsReceived: c.itemsReceived.Load(),
		BatchesSent: c.batchesSent.Load(), BatchesReceived: c.batchesReceived.Load(),
		BytesSent: c.bytesSent.Load(), BytesReceived: c.bytesReceived.Load(),
		SlowConsumer: c.slow.Load(), Resets: map[ResetReason]uint64{},
	}
	for i := ResetReason(1); i < resetReasonCount; i++ {
		s.Resets[i] = c.resets[i].Load()
	}
	for _, p := range b.everyone() {
		p.mu.Lock()
		s.Peers++
		s.OutboxBytes += p.out.bytes
		p.mu.Unlock()
	}
	return s
}
