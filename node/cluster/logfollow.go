package cluster

import (
	"context"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"throng/tuning"
)

// Reads says whether a server of the log is there: it is silent for two of its beats at most.
// (While there is no connection at all, nobody waits for beats.) Whether most of them are, so that
// the log takes writes, is not known before one is answered.
func (l *Log) Reads() bool { return l.reads.Load() && l.nats.IsConnected() }

// follow applies messages until the end. Whatever goes wrong, reading on behind what was applied
// last is right: a server that is gone takes the consumer with it, which is in its memory only.
func (l *Log) follow() {
	for l.stopped.Err() == nil {
		err := l.followOnce(l.stopped)
		if l.stopped.Err() != nil {
			return
		}
		l.log.Warn("log: reading begins anew", "after", l.Applied(), "error", err)
		pause(l.stopped, tuning.NATSRetryPause)
	}
}

func (l *Log) followOnce(ctx context.Context) error {
	try, cancel := context.WithTimeout(ctx, tuning.LogAckTimeout)
	defer cancel()
	c, err := l.js.CreateConsumer(try, l.stream, jetstream.ConsumerConfig{
		AckPolicy: jetstream.AckNonePolicy, DeliverPolicy: jetstream.DeliverByStartSequencePolicy,
		OptStartSeq: l.Applied() + 1, MemoryStorage: true, Replicas: 1,
		InactiveThreshold: tuning.LogReaderTimeout,
	})
	if err != nil {
		return err
	}
	messages, err := c.Messages(jetstream.PullMaxBytes(tuning.LogReadBytesMax),
		jetstream.PullExpiry(tuning.LogReaderTimeout),
		jetstream.PullHeartbeat(tuning.LogReaderBeat),
		jetstream.WithMessagesErrOnMissingHeartbeat(true))
	if err != nil {
		return err
	}
	l.reads.Store(true)
	defer l.reads.Store(false)
	defer messages.Stop()
	defer context.AfterFunc(ctx, messages.Stop)()
	for next := uint64(1); ; next++ {
		m, err := messages.Next()
		if err != nil {
			return err
		}
		about, err := m.Metadata()
		if err != nil {
			return err
		}
		if about.Sequence.Consumer != next {
			return errLogGap
		}
		l.apply(Entry{
			Subject: strings.TrimPrefix(m.Subject(), l.prefix),
			Seq:     about.Sequence.Stream, Data: m.Data(),
		})
	}
}

func (l *Log) apply(e Entry) {
	l.cfg.Apply(e)
	l.writer.passed(e)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.applied.Store(e.Seq)
	for done, seq := range l.waiting {
		if seq <= e.Seq {
			close(done)
			delete(l.waiting, done)
		}
	}
}
