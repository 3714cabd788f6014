package cluster

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"throng/tuning"
)

// Write is one message for the log.
type Write struct {
	Subject string // Below the log's own, such as "u.123".
	Data    []byte // Not changed until Done is called.
	// Guarded makes the write fail with ErrLogConflict unless After is the sequence of the
	// subject's last message; zero means that there is none.
	Guarded bool
	After   uint64
	// Done is called once, by one goroutine, when the write is stored, with its sequence, or has
	// failed. With ErrLogUnknown it may be stored. It may be called before Publish returns.
	Done func(seq uint64, err error)
}

// write is a Write on its way.
//
// A write that is not answered is sent again, with the same id, by which the stream knows it when
// it has it. Were the next write of that subject sent meanwhile, the older one could be stored
// after it, and stay. So of each subject one write is on its way, and the others wait behind it;
// those of different subjects go together.
type write struct {
	Write
	message  *nats.Msg
	options  []jetstream.PublishOpt
	deadline time.Time // Zero before it was sent.
	retry    time.Time // Zero, or not before.
	behind   *write    // Of the same subject, the next.
	seq      uint64
	err      error
}

// writes is what a log has to write.
type writes struct {
	wake    chan struct{} // Rung when there is something to send.
	results chan struct{} // Rung when there is something to report.

	// Guarded by mu.
	mu      sync.Mutex
	closed  bool
	count   int
	bytes   int
	last    uint64            // Number of the last id.
	tails   map[string]*write // The last of each subject.
	ready   []*write          // To be sent.
	later   []*write          // To be sent again.
	flying  map[*nats.Msg]*write
	settled []*write // To be reported.
}

func (w *writes) init() {
	w.wake, w.results = make(chan struct{}, 1), make(chan struct{}, 1)
	w.tails, w.flying = map[string]*write{}, map[*nats.Msg]*write{}
}

// Publish lines a write up. It does not wait: with more than may be on its way it returns
// ErrLogFull, and Done is not called.
func (l *Log) Publish(w Write) error {
	if len(w.Data) > tuning.LogMessageBytesMax {
		return fmt.Errorf("a message of %d bytes for the log is more than %d", len(w.Data),
			tuning.LogMessageBytesMax)
	}
	q := &l.writes
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.closed:
		return ErrLogClosed
	case q.count >= tuning.LogWritesMax || q.bytes+len(w.Data) > tuning.LogWriteBytesMax:
		return ErrLogFull
	}
	q.count++
	q.bytes += len(w.Data)
	q.last++
	one := &write{
		Write: w, message: &nats.Msg{Subject: l.prefix + w.Subject, Data: w.Data},
		options: []jetstream.PublishOpt{
			jetstream.WithMsgID(l.idStart + strconv.FormatUint(q.last, 36)),
			jetstream.WithRetryAttempts(0),
		},
	}
	if w.Guarded {
		one.options = append(one.options, jetstream.WithExpectLastSequencePerSubject(w.After))
	}
	before := q.tails[w.Subject]
	q.tails[w.Subject] = one
	if before != nil {
		before.behind = one
		return nil
	}
	q.ready = append(q.ready, one)
	ringBell(q.wake)
	return nil
}

// publish sends what is ready, and again what was not answered.
func (l *Log) publish() {
	again := time.NewTicker(tuning.NATSRetryPause)
	defer again.Stop()
	for {
		for _, w := range l.writes.take(time.Now()) {
			if l.stopped.Err() != nil {
				return
			}
			if _, err := l.js.PublishMsgAsync(w.message, w.options...); err != nil {
				l.answered(w.message, 0, err)
			}
		}
		select {
		case <-l.writes.wake:
		case <-again.C:
		case <-l.stopped.Done():
			return
		}
	}
}

// take takes out what is to be sent now.
func (q *writes) take(now time.Time) []*write {
	q.mu.Lock()
	defer q.mu.Unlock()
	all := q.ready
	q.ready = nil
	waiting := q.later[:0]
	for _, w := range q.later {
		if now.Before(w.retry) {
			waiting = append(waiting, w)
		} else {
			all = append(all, w)
		}
	}
	clear(q.later[len(waiting):])
	q.later = waiting
	for _, w := range all {
		// The message that is sent carries headers of the attempt; each has its own.
		w.message = &nats.Msg{Subject: w.message.Subject, Data: w.Data}
		q.flying[w.message] = w
		if w.deadline.IsZero() {
			w.deadline = now.Add(tuning.LogWriteTimeout)
		}
	}
	return all
}

// answered settles a write or has it sent again. It is called by goroutines of NATS, of which some
// hold a lock that publishing takes too.
func (l *Log) answered(m *nats.Msg, seq uint64, err error) {
	q := &l.writes
	q.mu.Lock()
	defer q.mu.Unlock()
	w := q.flying[m]
	if w == nil {
		return
	}
	delete(q.flying, m)
	var refused *jetstream.APIError
	switch {
	case err == nil:
		q.settle(w, seq, nil)
	case errors.As(err, &refused) && conflict(refused.ErrorCode):
		q.settle(w, 0, ErrLogConflict)
	case errors.As(err, &refused) && refused.Code < 500, errors.Is(err, nats.ErrMaxPayload):
		q.settle(w, 0, err)
	case time.Now().After(w.deadline):
		q.settle(w, 0, fmt.Errorf("%w: %w", ErrLogUnknown, err))
	default:
		w.retry = time.Now().Add(tuning.NATSRetryPause)
		q.later = append(q.later, w)
	}
}

func conflict(code jetstream.ErrorCode) bool {
	return code == jetstream.JSErrCodeStreamWrongLastSequence ||
		code == jetstream.JSErrCodeStreamWrongLastSequenceConstant
}

// settle ends a write and lets the one behind it go. REQUIRES: mu is held.
func (q *writes) settle(w *write, seq uint64, err error) {
	w.seq, w.err = seq, err
	q.settled = append(q.settled, w)
	ringBell(q.results)
	if w.behind == nil {
		delete(q.tails, w.Subject)
		return
	}
	q.ready = append(q.ready, w.behind)
	ringBell(q.wake)
}

// report calls Done.
func (l *Log) report() {
	for {
		select {
		case <-l.writes.results:
			l.writes.report()
		case <-l.stopped.Done():
			return
		}
	}
}

func (q *writes) report() {
	q.mu.Lock()
	all := q.settled
	q.settled = nil
	for _, w := range all {
		q.count--
		q.bytes -= len(w.Data)
	}
	q.mu.Unlock()
	for _, w := range all {
		if w.Done != nil {
			w.Done(w.seq, w.err)
		}
	}
}

// abandon ends all writes that are not answered. REQUIRES: nothing runs any more.
func (l *Log) abandon() {
	q := &l.writes
	q.mu.Lock()
	q.closed = true
	for _, w := range q.flying {
		q.later = append(q.later, w)
	}
	clear(q.flying)
	for len(q.later)+len(q.ready) > 0 {
		left := append(q.later, q.ready...)
		q.later, q.ready = nil, nil
		for _, w := range left {
			q.settle(w, 0, ErrLogUnknown)
		}
	}
	q.mu.Unlock()
	q.report()
}
