package node

import (
	"crypto/tls"

	"throng/fanout"
	"throng/store"
	"throng/wire"
)

// Parts of memory, as they are told.
const (
	partJournals  = "journals"    // frames, for sending and resuming; all of the room for them
	partSessions  = "sessions"    // sessions and their lists of guilds
	partOutbox    = "outbox"      // sessions' places in the journals
	partSockets   = "sockets"     // of the protocol
	partConns     = "connections" // descriptors, and loops' tables of them
	partTimers    = "timers"      //
	partRelays    = "relays"      // receivers of guilds on loops
	partHistories = "histories"   // what guilds' events on zstd streams are packed against
	partReceivers = "receivers"   // receivers at guilds
	partMembers   = "members"     // records of members
	partPresences = "presences"   //
	partLists     = "lists"       // member lists that somebody looks at
	partGuilds    = "guilds"      // documents of guilds, and the rest of them
	partUsers     = "users"       //
	partIndexes   = "indexes"     // sessions by user, guilds by channel
	partInboxes   = "inboxes"     //
	partStreams   = "streams"     // compressors that connections have of their own
	partDirectory = "directory"   // one that is in memory
)

// memory says what the loop holds. It is called on the loop's goroutine and takes 1 ms at most.
func (l *loop) memory() *measured {
	m, r := &measured{}, newRuler()
	out := l.out.Memory(&r.Ruler)
	r.part(m, partJournals, 1, out.Journals)
	live := int(l.stats.live + l.stats.detached)
	r.part(m, partOutbox, live, out.Sessions)

	bytes := store.Slice(&r.Ruler, l.sessions) + r.Sum(len(l.sessions), func(i int) int {
		return l.sessions[i].memory(&r.Ruler)
	})
	r.part(m, partSessions, live, bytes)

	bytes = store.Slice(&r.Ruler, l.sockets) + store.Slice(&r.Ruler, l.gens) +
		store.Slice(&r.Ruler, l.unused) + r.Sum(len(l.sockets), func(i int) int {
		return l.sockets[i].memory(&r.Ruler)
	})
	sockets := len(l.sockets) - len(l.unused)
	r.part(m, partSockets, sockets, bytes)
	bytes = r.Map(sockets, connectionSlotBytes) + r.Sum(len(l.sockets), func(i int) int {
		return l.sockets[i].connectionMemory(&r.Ruler)
	})
	r.part(m, partConns, sockets, bytes)

	timers, bytes := 0, 0
	for i := range l.wheel.buckets {
		bucket := l.wheel.buckets[i]
		timers += len(bucket)
		bytes += store.Slice(&r.Ruler, bucket)
	}
	for _, spare := range l.wheel.spare {
		bytes += store.Slice(&r.Ruler, spare)
	}
	r.part(m, partTimers, timers, bytes)
	r.part(m, partRelays, l.board.Relays(), l.board.Memory(&r.Ruler))
	count, bytes := l.board.HistoryMemory()
	r.part(m, partHistories, count, bytes)
	r.part(m, partInboxes, 0, l.inbox.memory(&r.Ruler)+l.calls.memory(&r.Ruler)+
		store.Slice(&r.Ruler, l.said.work)+store.Slice(&r.Ruler, l.called.work))
	return m
}

func (s *session) memory(r *store.Ruler) int {
	if s == nil {
		return 0
	}
	bytes := r.Heap(sizeOf[session]()) + store.Slice(r, s.guilds)
	if s.presence != nil {
		bytes += r.Heap(sizeOf[wire.PresenceCommand]()) + store.Slice(r, s.presence.Activities)
	}
	if h := s.habits; h != nil {
		bytes += r.Heap(sizeOf[habits]()) + r.Map(len(h.lists), 2*sizeOf[int64]()) +
			store.Slice(r, h.requests)
		for _, m := range h.requests {
			bytes += m.memory(r)
		}
	}
	return bytes
}

// memory leaves out what a query has found while a worker is at it.
func (m *memberStream) memory(r *store.Ruler) int {
	bytes := r.Heap(sizeOf[memberStream]())
	switch {
	case m.far != nil:
		bytes += r.Heap(sizeOf[farMembers]()) + fanout.CommandMemory(r, &m.far.query.command)
	case m.query != nil && m.making:
		bytes += r.Heap(sizeOf[fanout.Query]())
	case m.query != nil:
		bytes += r.Heap(sizeOf[fanout.Query]()) + m.query.Memory(r)
	}
	return bytes
}

func (k *socket) memory(r *store.Ruler) int {
	if k == nil {
		return 0
	}
	bytes := r.Heap(sizeOf[socket]()) + store.Slice(r, k.control)
	if k.opening != nil {
		bytes += r.Heap(sizeOf[opening]())
	}
	if k.stream != nil {
		bytes += store.Slice(r, k.stream.unsent)
	}
	return bytes
}

// connectionSlotBytes is a place in a driver's table: a descriptor and what it leads to.
const connectionSlotBytes = 16

func (k *socket) connectionMemory(r *store.Ruler) int {
	if k == nil {
		return 0
	}
	x, ok := k.io.(*connection)
	if !ok {
		return 0
	}
	return r.Heap(sizeOf[connection]()) + store.Slice(r, x.rest) +
		x.secure.memory(r, x.driver.engine.inside)
}

// tlsBytes is what crypto/tls holds for a connection besides its tls.Conn and the buffers: the keys
// of both directions. tlsShakeBytes is what a handshake takes with its goroutine until it is over.
// See TestTLSMemory.
const (
	tlsBytes      = 2080
	tlsShakeBytes = 30 << 10
)

func (s *secure) memory(r *store.Ruler, in inside) int {
	if s == nil {
		return 0
	}
	bytes := r.Heap(sizeOf[secure]()) + r.Heap(sizeOf[tls.Conn]()) + tlsBytes +
		store.Slice(r, s.in) + store.Slice(r, s.held)
	if s.shake != nil {
		return bytes + tlsShakeBytes + s.shake.memory()
	}
	return bytes + in.held(s.conn)
}

// memory is what the queue takes, without the messages.
func (q *inbox[T]) memory(r *store.Ruler) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return store.Slice(r, q.waiting)
}
