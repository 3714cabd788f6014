package replica

import (
	"errors"
	"math/rand/v2"
	"slices"
	"sync"

	"throng/node/cluster"
)

// fakeLog is a log in memory. Like the real one it keeps the last message of each subject. What
// happens to a batch is for the test to say.
type fakeLog struct {
	mu      sync.Mutex
	changed *sync.Cond
	seq     uint64
	kept    []cluster.Entry // Ascending.
	last    map[string]uint64
	bytes   int // Of all that was ever stored.
	stored  int // Messages that were ever stored.
	batches int

	fate func() fate // Nil: all is well.
	late []cluster.Batch
}

// fate is what becomes of a batch.
type fate int

const (
	fateStored fate = iota
	fateRefused
	fateUnknown       // Stored, and not said so.
	fateUnknownGone   // Not stored, and not said so.
	fateUnknownLate   // Stored when late batches are let go, and not said so.
	fateRefusedAtOnce // By Publish.
	fateHeld          // Stored, and said so, when late batches are let go.
)

var errFull = errors.New("the log is full")

func newFakeLog() *fakeLog {
	l := &fakeLog{last: map[string]uint64{}}
	l.changed = sync.NewCond(&l.mu)
	return l
}

func (l *fakeLog) Publish(b cluster.Batch) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := fateStored
	if l.fate != nil {
		f = l.fate()
	}
	switch f {
	case fateRefusedAtOnce:
		return errFull
	case fateRefused:
		go b.Done(0, errFull)
	case fateUnknown:
		_, _ = l.store(b)
		go b.Done(0, cluster.ErrLogUnknown)
	case fateUnknownGone:
		go b.Done(0, cluster.ErrLogUnknown)
	case fateHeld:
		l.late = append(l.late, b)
	case fateUnknownLate:
		go b.Done(0, cluster.ErrLogUnknown)
		b.Done = nil
		l.late = append(l.late, b)
	default:
		seq, err := l.store(b)
		go b.Done(seq, err)
	}
	return nil
}

// release lets late batches come in, in any order; without a random one in theirs.
func (l *fakeLog) release(random *rand.Rand) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if random != nil {
		random.Shuffle(len(l.late), func(i, j int) {
			l.late[i], l.late[j] = l.late[j], l.late[i]
		})
	}
	for _, b := range l.late {
		seq, err := l.store(b)
		if b.Done != nil {
			go b.Done(seq, err)
		}
	}
	l.late = nil
}

func (l *fakeLog) setFate(f func() fate) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fate = f
}

// store. REQUIRES: mu is held.
func (l *fakeLog) store(b cluster.Batch) (uint64, error) {
	if b.Fence != "" && l.last[b.Fence] != b.Token {
		return 0, cluster.ErrLogConflict
	}
	l.batches++
	for _, w := range b.Writes {
		l.seq++
		if old := l.last[w.Subject]; old != 0 {
			at, _ := slices.BinarySearchFunc(l.kept, old, func(e cluster.Entry, seq uint64) int {
				return int(e.Seq) - int(seq)
			})
			l.kept = slices.Delete(l.kept, at, at+1)
		}
		l.last[w.Subject] = l.seq
		l.kept = append(l.kept, cluster.Entry{
			Subject: w.Subject, Seq: l.seq, Data: slices.Clone(w.Data),
		})
		l.bytes += len(w.Data) + len(w.Subject)
		l.stored++
	}
	l.changed.Broadcast()
	return l.seq, nil
}

// reader follows a log for one directory.
type reader struct {
	log     *fakeLog
	running sync.WaitGroup

	// Guarded by the log's mu.
	paused bool
	ended  bool
}

func (l *fakeLog) read(from uint64, take func(cluster.Entry)) *reader {
	r := &reader{log: l}
	r.running.Go(func() {
		for {
			e, ok := r.next(from)
			if !ok {
				return
			}
			take(e)
			from = e.Seq
		}
	})
	return r
}

func (r *reader) next(after uint64) (cluster.Entry, bool) {
	l := r.log
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		if r.ended {
			return cluster.Entry{}, false
		}
		at, _ := slices.BinarySearchFunc(l.kept, after+1, func(e cluster.Entry, seq uint64) int {
			return int(e.Seq) - int(seq)
		})
		if at < len(l.kept) && !r.paused {
			return l.kept[at], true
		}
		l.changed.Wait()
	}
}

func (r *reader) pause(paused bool) {
	r.log.mu.Lock()
	defer r.log.mu.Unlock()
	r.paused = paused
	r.log.changed.Broadcast()
}

func (r *reader) close() {
	r.log.mu.Lock()
	r.ended = true
	r.log.changed.Broadcast()
	r.log.mu.Unlock()
	r.running.Wait()
}
