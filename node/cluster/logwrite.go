package cluster

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"throng/tuning"
)

// Batch is what the log stores as a whole or not at all.
//
// Batches of one fence are stored in the order in which they were published, and those without a
// fence in that order of each of their subjects. A subject belongs to one fence, or to none.
type Batch struct {
	Writes []Write

	// Fence, unless it is empty, is a subject of which Token must be the last message's sequence,
	// zero meaning that there is none; if not, the batch ends with ErrLogConflict. The servers
	// compare as they store: who has lost a fence writes nothing any more, whatever it takes itself
	// for. A batch whose last write is the fence itself is a compare-and-set, and its sequence the
	// next token.
	Fence string
	Token uint64

	// Done is called once, by one goroutine, when the batch is stored, with a sequence up to which
	// all of it is (for one that writes its fence, or has none, that of its last message), or has
	// failed. It may be called before Publish returns.
	//
	// After ErrLogUnknown the batch may be stored, and may even come to be stored later, when a
	// server that stood still goes on. So its token is void: nothing more is written under it and
	// what was published behind ends with ErrLogVoid. Whoever still owns the fence writes it anew.
	// What has no fence has no such way out.
	//
	// After ErrLogAway nothing of the batch is stored, nor will be; those behind it may be.
	Done func(last uint64, err error)
}

// Write is one message for the log.
type Write struct {
	Subject string // Below the log's own, such as "u.123".
	Data    []byte // Not changed until Done is called.
}

// logWriter carries a queue to the stream.
type logWriter struct {
	wake    chan struct{} // Rung when there is something to send,
	results chan struct{} // to report,
	doubts  chan struct{} // or to look for.

	// Guarded by mu.
	mu     sync.Mutex
	queue  logQueue
	flying map[*nats.Msg]*flight // By the last message of the attempt.
	doubt  []lookup
	last   uint64 // Number of the last id.
}

// lookup is a flight of which the stream knows more than its answer says.
type lookup struct {
	flight *flight
	answer error
}

func newLogWriter(merges bool) logWriter {
	return logWriter{
		wake: make(chan struct{}, 1), results: make(chan struct{}, 1),
		doubts: make(chan struct{}, 1), queue: newLogQueue(merges),
		flying: map[*nats.Msg]*flight{},
	}
}

// Publish lines a batch up. It does not wait: with more than may be on its way it returns
// ErrLogFull, and Done is not called.
func (l *Log) Publish(b Batch) error {
	w := &l.writer
	w.mu.Lock()
	defer w.mu.Unlock()
	err := w.queue.add(b)
	w.ring()
	return err
}

// ring wakes those who have something to do. REQUIRES: mu is held.
func (w *logWriter) ring() {
	if len(w.queue.ready) > 0 {
		ringBell(w.wake)
	}
	if len(w.queue.settled) > 0 {
		ringBell(w.results)
	}
	if len(w.doubt) > 0 {
		ringBell(w.doubts)
	}
}

// publish sends what is ready, and again what was not answered.
func (l *Log) publish() {
	again := time.NewTicker(tuning.NATSRetryPause)
	defer again.Stop()
	w := &l.writer
	for {
		w.mu.Lock()
		all := w.queue.take(time.Now())
		w.ring()
		w.mu.Unlock()
		for _, f := range all {
			l.send(f)
		}
		select {
		case <-w.wake:
		case <-again.C:
		case <-l.stopped.Done():
			return
		}
	}
}

// Headers by which a server stores messages as one, knows one that it has, and compares before.
const (
	headerBatch    = "Nats-Batch-Id"
	headerPart     = "Nats-Batch-Sequence"
	headerCommit   = "Nats-Batch-Commit"
	headerExpected = "Nats-Expected-Last-Subject-Sequence"
	headerFence    = "Nats-Expected-Last-Subject-Sequence-Subject"
)

// send sends a flight. Only its last message is answered: whatever went wrong with those before it
// makes the servers refuse it.
func (l *Log) send(f *flight) {
	w := &l.writer
	w.mu.Lock()
	if f.id == "" {
		w.last++
		f.id = l.idStart + strconv.FormatUint(w.last, 36)
	}
	f.tries++
	messages := f.messages(l.prefix)
	last := messages[len(messages)-1]
	w.flying[last] = f
	w.mu.Unlock()
	for _, m := range messages[:len(messages)-1] {
		if err := l.nats.PublishMsg(m); err != nil {
			l.answered(last, 0, errors.Join(errNotSent, err))
			return
		}
	}
	if _, err := l.js.PublishMsgAsync(last, jetstream.WithRetryAttempts(0)); err != nil {
		l.answered(last, 0, err)
	}
}

// messages are those of an attempt. What is one message goes as such; several are a batch, of which
// each attempt is another one to the servers, so that none is mixed of two. The flight's id is on
// the last one, by which the servers know all of it.
func (f *flight) messages(prefix string) []*nats.Msg {
	all := make([]*nats.Msg, 0, f.writes)
	for _, j := range f.jobs {
		for _, w := range j.Writes {
			m := &nats.Msg{Subject: prefix + w.Subject, Data: w.Data, Header: nats.Header{}}
			all = append(all, m)
			if f.writes > 1 {
				m.Header.Set(headerBatch, f.id+"."+strconv.Itoa(f.tries))
				m.Header.Set(headerPart, strconv.Itoa(len(all)))
			}
		}
	}
	if fence, token := f.fence(); fence != "" {
		all[0].Header.Set(headerExpected, strconv.FormatUint(token, 10))
		all[0].Header.Set(headerFence, prefix+fence)
	}
	last := all[len(all)-1]
	last.Header.Set(nats.MsgIdHdr, f.id)
	if f.writes > 1 {
		last.Header.Set(headerCommit, "1")
	}
	return all
}

// answered ends a flight or has it sent again. It is called by goroutines of NATS, of which some
// hold a lock that publishing takes too.
func (l *Log) answered(m *nats.Msg, last uint64, err error) {
	w := &l.writer
	w.mu.Lock()
	defer w.mu.Unlock()
	f := w.flying[m]
	if f == nil {
		return
	}
	delete(w.flying, m)
	switch v := judge(err); {
	case v == verdictStored:
		w.queue.settle(f, last, nil)
	case v == verdictHere || f.unanswered && (v == verdictConflict || v == verdictRefused):
		w.doubt = append(w.doubt, lookup{f, err})
	case v == verdictConflict:
		w.queue.settle(f, 0, ErrLogConflict)
	case v == verdictRefused:
		w.queue.settle(f, 0, err)
	default:
		f.unanswered = f.unanswered || v == verdictNone
		w.queue.again(f, time.Now(), err)
	}
	w.ring()
}

// look looks up flights of which an attempt was not answered, and which the stream then refused:
// because it has them already, without saying where, or because the subject has another last
// message, which may be the flight's own or come after it. If the last message is the flight's, it
// is stored. If not, somebody else has written the subject since, and nobody can tell any more.
func (l *Log) look() {
	w := &l.writer
	for {
		select {
		case <-w.doubts:
		case <-l.stopped.Done():
			return
		}
		for {
			w.mu.Lock()
			if len(w.doubt) == 0 || l.stopped.Err() != nil {
				w.mu.Unlock()
				break
			}
			one := w.doubt[0]
			w.mu.Unlock()
			seq, err := l.find(one.flight)
			w.mu.Lock()
			w.doubt = w.doubt[1:]
			switch {
			case err != nil:
				w.queue.again(one.flight, time.Now(), err)
			case seq != 0:
				w.queue.settle(one.flight, seq, nil)
			default:
				if judge(one.answer) == verdictConflict {
					one.answer = ErrLogConflict
				}
				w.queue.settle(one.flight, 0, fmt.Errorf("%w: %w", ErrLogUnknown, one.answer))
			}
			w.ring()
			w.mu.Unlock()
		}
	}
}

// find is the sequence of a flight's last message, zero when that is not the last one any more.
func (l *Log) find(f *flight) (seq uint64, err error) {
	ctx, cancel := context.WithTimeout(l.stopped, tuning.LogAckTimeout)
	defer cancel()
	m, err := l.handle.GetLastMsgForSubject(ctx, l.prefix+f.lastSubject())
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return 0, nil
	case err != nil:
		return 0, err
	case m.Header.Get(nats.MsgIdHdr) != f.id:
		return 0, nil
	}
	return m.Sequence, nil
}

// report calls Done.
func (l *Log) report() {
	for {
		select {
		case <-l.writer.results:
			l.writer.report()
		case <-l.stopped.Done():
			return
		}
	}
}

func (w *logWriter) report() {
	w.mu.Lock()
	all := w.queue.report()
	w.mu.Unlock()
	for _, j := range all {
		if j.Done != nil {
			j.Done(j.last, j.err)
		}
	}
}

// passed hears of each message of the log.
func (w *logWriter) passed(e Entry) {
	w.mu.Lock()
	w.queue.passed(e.Subject, e.Seq)
	w.mu.Unlock()
}

// abandon ends all that is not answered. REQUIRES: nothing runs any more.
func (w *logWriter) abandon() {
	w.mu.Lock()
	for _, f := range w.flying {
		w.queue.later = append(w.queue.later, f)
	}
	clear(w.flying)
	for _, one := range w.doubt {
		w.queue.later = append(w.queue.later, one.flight)
	}
	w.doubt = nil
	w.queue.close()
	w.mu.Unlock()
	w.report()
}
