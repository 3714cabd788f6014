package replica

import (
	"sync"

	"throng/node/cluster"
)

// queue holds what the log has given until the store takes it. While a transaction is being
// flushed, what comes gathers here, and is the next transaction: one that somebody waits for is
// never held back for others, and the more there is, the fewer flushes a message costs.
//
// Guarded by the directory's mu.
type queue struct {
	filled, room *sync.Cond
	entries      []cluster.Entry
	bytes        int
	last         uint64 // Sequence of the last that was taken in.
}

// entryBytes is what an entry costs beside its data.
const entryBytes = 128

func (q *queue) init(mu *sync.Mutex) { q.filled, q.room = sync.NewCond(mu), sync.NewCond(mu) }

func (q *queue) wakeAll() {
	q.filled.Broadcast()
	q.room.Broadcast()
}

// Take is given the messages of the log behind Applied, in their order, by one goroutine. It waits
// while as much waits as may.
func (d *Directory) Take(e cluster.Entry) {
	d.mu.Lock()
	defer d.mu.Unlock()
	q := &d.queue
	for q.bytes >= d.limits.queueBytesMax && !d.ended {
		q.room.Wait()
	}
	if d.ended || e.Seq <= q.last {
		return
	}
	q.last = e.Seq
	q.entries = append(q.entries, e)
	q.bytes += entryBytes + len(e.Data)
	q.filled.Signal()
}

// take returns what to apply next, and waits for it. It is nil at the end.
func (d *Directory) take() []cluster.Entry {
	d.mu.Lock()
	defer d.mu.Unlock()
	q := &d.queue
	for !d.ended {
		if count := q.whole(&d.limits); count > 0 {
			group := q.entries[:count:count]
			if q.entries = q.entries[count:]; len(q.entries) == 0 {
				q.entries = nil
			}
			for _, e := range group {
				q.bytes -= entryBytes + len(e.Data)
			}
			q.room.Signal()
			return group
		}
		q.filled.Wait()
	}
	return nil
}

// whole returns how many of the first to apply together: as many as fit, and whole batches. The
// last of a batch is missing when it was replaced since, and then the next batch belongs to it as
// well; were this never to end, the queue would. So a full one is cut anywhere, but between the
// parts of a document.
func (q *queue) whole(limits *limits) (count int) {
	bytes, apart := 0, 0
	for i, e := range q.entries {
		if bytes += entryBytes + len(e.Data); bytes > limits.groupBytesMax && count > 0 {
			break
		}
		if !more(e.Data) {
			count = i + 1
		}
		if s, ok := parseSubject(e.Subject); !ok || s.kind != kindPart {
			apart = i + 1
		}
	}
	switch {
	case count > 0 || q.bytes < limits.queueBytesMax:
		return count
	case apart > 0:
		return apart
	}
	return len(q.entries)
}
