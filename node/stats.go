package node

import (
	"sync/atomic"
	"time"

	"throng/fanout"
)

// messageKind names what a loop or shard has handled, for throng_handle_seconds.
type messageKind uint8

const (
	kindIdentified messageKind = iota
	kindJoin
	kindLeave
	kindLoaded
	kindChunks
	kindMembers
	kindPresence
	kindVoice
	kindPublish
	kindProvision
	kindInfo
	kindOperate
	kindSubscribe
	kindTick
	kindErrands
	kindWalk
	kindLists
	kindFar
	kindMesh
	kindInvite
	kindRelay // the first of the relay's steps, in the order of fanout.MsgKind
	kindCount = kindRelay + messageKind(fanout.MsgKinds)
)

var kindNames = [kindRelay]string{
	kindIdentified: "identified", kindJoin: "join", kindLeave: "leave", kindLoaded: "loaded",
	kindChunks: "chunks", kindMembers: "members", kindPresence: "presence", kindVoice: "voice",
	kindPublish: "publish", kindProvision: "provision", kindInfo: "info", kindOperate: "operate",
	kindSubscribe: "subscribe", kindTick: "tick", kindErrands: "errands",
	kindWalk: "walk", kindLists: "lists", kindFar: "far", kindMesh: "mesh", kindInvite: "invite",
}

func (k messageKind) String() string {
	if k < kindRelay {
		return kindNames[k]
	}
	return "relay_" + fanout.MsgKind(k-kindRelay).String()
}

// timings are an owner's handling times by kind of message. Only the owner writes, so the atomics
// are never contended; they are there for whoever scrapes.
type timings [kindCount]struct {
	count, nanos, longest atomic.Int64
	// worked is the longest without what the thread spent waiting for a processor; see stallClock.
	worked atomic.Int64
}

func (t *timings) handled(k messageKind, start time.Time) { t.took(k, time.Since(start)) }

func (t *timings) took(k messageKind, span time.Duration) {
	d := int64(span)
	t[k].count.Add(1)
	t[k].nanos.Add(d)
	if d > t[k].longest.Load() {
		t[k].longest.Store(d)
	}
}

// loopStats are a loop's figures.
type loopStats struct {
	timings

	// Owned by the loop goroutine, published once a pass.
	live, detached int64

	// Atomic: written by the loop, read by metrics.
	sessionsLive, sessionsDetached atomic.Int64
	deliveries, writes, sentBytes  atomic.Uint64
	blocked, relays                atomic.Int64
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
	s.relays.Store(int64(l.board.Relays()))
	s.journalBytes.Store(int64(o.JournalBytes))
}

// shardStats are a shard's figures.
type shardStats struct {
	timings

	// Owned by the shard goroutine.
	clock stallClock

	// Atomic: written by the shard, read by metrics.
	guilds          atomic.Int64
	links           atomic.Int64 // to guilds of other nodes
	claims          atomic.Int64 // of guilds that others are asked for
	leaving, coming atomic.Int64 // guilds that are to be handed over, and that are
}

// handled takes note of a message that a shard began with at start.
func (s *shardStats) handled(k messageKind, start time.Time) {
	now := time.Now()
	s.took(k, now.Sub(start))
	if work := int64(s.clock.worked(start, now)); work > s.timings[k].worked.Load() {
		s.timings[k].worked.Store(work)
	}
}
