package node

import "sync/atomic"

// loopStats are a loop's figures.
type loopStats struct {
	stopwatch

	// Owned by the loop goroutine, published once a pass.
	live, detached int64

	// Atomic: written by the loop, read by metrics.
	sessionsLive, sessionsDetached atomic.Int64
	deliveries, writes, sentBytes  atomic.Uint64
	blocked, relays                atomic.Int64
	queued                         atomic.Int64 // bytes in the kernel, for blocked sockets
	journalBytes                   atomic.Int64
}

// wrote counts one write.
func (s *loopStats) wrote(n int) {
	s.writes.Add(1)
	s.sentBytes.Add(uint64(n))
}

// publish makes what the loop counts for itself readable.
func (s *loopStats) publish(l *loop) {
	o := l.out.Stats()
	s.sessionsLive.Store(s.live)
	s.sessionsDetached.Store(s.detached)
	s.deliveries.Store(o.Pushed)
	l.streamed.publish()
	s.relays.Store(int64(l.board.Relays()))
	s.journalBytes.Store(int64(o.JournalBytes))
}

// shardStats are a shard's figures.
type shardStats struct {
	stopwatch

	// Owned by the shard goroutine.
	thread stallClock

	// Atomic: written by the shard, read by metrics.
	guilds          atomic.Int64
	links           atomic.Int64 // to guilds of other nodes
	claims          atomic.Int64 // of guilds that others are asked for
	adrift          atomic.Int64 // links without an owner that wait their turn
	leaving, coming atomic.Int64 // guilds that are to be handed over, and that are
}
