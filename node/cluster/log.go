package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"throng/tuning"
)

// Log is what outlives every node: a stream of JetStream, of which every node applies each message,
// in one order. Of each subject the last message is kept, so that the stream is as large as what it
// says and not as what was ever said.
//
// A write is done when the stream has stored it. What that means is the operator's choice:
//
//   - Replicas. With three, most of three servers have it, and one may be lost with its disk.
//   - Whether a server flushes its disk before it acknowledges (sync_interval: always). If not, a
//     killed server loses nothing, since the kernel has it, but a machine without power loses the
//     last two minutes of what only it had. With three replicas that takes two of three machines.
//
// One replica is for trying things out: without the flush a machine's end costs two minutes, and of
// batches with more than one write it stores 250 a second. Three that flush store 5,800 pages of
// 4 KB a second where three that do not store 8,900, and one that flushes 1,900, since replicas
// flush many at once (BenchmarkLog, all of it on one processor).
type Log struct {
	// Static after construction.
	cfg     LogConfig
	log     *slog.Logger
	nats    *nats.Conn
	js      jetstream.JetStream
	prefix  string // Of subjects.
	stream  string
	idStart string // Of this log's message ids.
	stop    context.CancelFunc
	stopped context.Context
	running sync.WaitGroup
	once    sync.Once
	handle  jetstream.Stream
	writer  logWriter

	// Atomic: written by the following goroutine, read by anyone.
	applied atomic.Uint64
	reads   atomic.Bool

	// Guarded by mu.
	mu      sync.Mutex
	waiting map[chan struct{}]uint64 // Closed when that sequence is applied.
}

// LogConfig says which log, and what to do with it.
type LogConfig struct {
	NATS    NATSConfig
	Cluster string
	// Replicas of the stream, 1 to 5. Zero is what it has, and for one that is made three, or one
	// where there are less servers than that.
	Replicas int

	// From is the last sequence that was applied already: what this node kept ends there.
	From uint64
	// Apply is given each message after From, in the order of the log, by one goroutine. Messages
	// that were replaced before this node read them are left out.
	Apply func(Entry)
	Log   *slog.Logger // Nil for none.
}

// Entry is a message of the log.
type Entry struct {
	Subject string // As it was written.
	Seq     uint64
	Data    []byte
}

// Errors that a caller may ask for with errors.Is.
var (
	ErrLogFull     = errors.New("the log has as many writes to do as it may")
	ErrLogConflict = errors.New("the fence has another last message than was expected")
	ErrLogUnknown  = errors.New("the log has not said whether the batch is stored")
	ErrLogAway     = errors.New("the log takes nothing")
	ErrLogVoid     = errors.New("a batch before this one is unknown, and with that its token void")
	ErrLogClosed   = errors.New("the log is closed")
	errLogBehind   = errors.New("the log ends before what this node has applied: it was deleted")
	errLogOld      = errors.New("the servers of NATS know no batches: they are older than 2.12")
	errLogGap      = errors.New("a message of the log did not arrive")
)

// OpenLog connects, makes the stream unless it is there, and begins to follow it.
func OpenLog(ctx context.Context, cfg LogConfig) (*Log, error) {
	if !ValidName(cfg.Cluster) {
		return nil, fmt.Errorf("log: %q is no name of a cluster", cfg.Cluster)
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	l := &Log{
		cfg: cfg, log: cfg.Log, prefix: "throng." + cfg.Cluster + ".dir.",
		stream:  "THRONG_" + strings.ReplaceAll(cfg.Cluster, ".", "="),
		waiting: map[chan struct{}]uint64{},
	}
	l.applied.Store(cfg.From)
	l.stopped, l.stop = context.WithCancel(context.Background())
	l.writer = newLogWriter(false)
	err := l.open(ctx)
	if err != nil {
		l.Close()
		return nil, fmt.Errorf("log: %w", err)
	}
	l.running.Go(l.publish)
	l.running.Go(l.report)
	l.running.Go(l.look)
	l.running.Go(l.follow)
	return l, nil
}

func (l *Log) open(ctx context.Context) (err error) {
	l.nats, err = l.cfg.NATS.connect("throng log "+l.cfg.Cluster, nats.ErrorHandler(l.failed))
	if err != nil {
		return err
	}
	l.idStart = nats.NewInbox() + "."
	l.js, err = jetstream.New(l.nats,
		jetstream.WithDefaultTimeout(tuning.NATSTimeout),
		jetstream.WithPublishAsyncTimeout(tuning.LogAckTimeout),
		jetstream.WithPublishAsyncMaxPending(2*tuning.LogWritesMax),
		jetstream.WithPublishAsyncAckHandler(
			func(_ jetstream.JetStream, m *nats.Msg, ack *jetstream.PubAck) {
				l.answered(m, ack.Sequence, nil)
			}),
		jetstream.WithPublishAsyncErrHandler(
			func(_ jetstream.JetStream, m *nats.Msg, err error) { l.answered(m, 0, err) }),
	)
	if err != nil {
		return err
	}
	for {
		try, cancel := context.WithTimeout(ctx, tuning.LogAckTimeout)
		if err = l.chooseReplicas(try); err == nil {
			err = l.makeStream(try)
		}
		cancel()
		if err == nil || errors.Is(err, errLogBehind) || errors.Is(err, errLogOld) {
			return err
		}
		// Streams of a cluster have to wait until most of its servers are there.
		if !pause(ctx, tuning.NATSRetryPause) {
			return errors.Join(err, ctx.Err())
		}
	}
}

// chooseReplicas says how many replicas there are to be unless the operator has.
func (l *Log) chooseReplicas(ctx context.Context) error {
	const most = 3
	if l.cfg.Replicas == 0 {
		switch s, err := l.js.Stream(ctx, l.stream); {
		case err == nil:
			l.cfg.Replicas = s.CachedInfo().Config.Replicas
		case !errors.Is(err, jetstream.ErrStreamNotFound):
			return err
		case len(l.nats.Servers()) >= most && l.nats.ConnectedClusterName() != "":
			l.cfg.Replicas = most
		default:
			l.cfg.Replicas = 1
		}
	}
	l.writer = newLogWriter(l.cfg.Replicas > 1)
	return nil
}

// failed hears of what no call can return.
func (l *Log) failed(_ *nats.Conn, _ *nats.Subscription, err error) {
	l.log.Warn("log: NATS reports", "error", err)
}

// makeStream makes the stream, or changes it to what it must be, and compares it with what this
// node has. Nobody may delete messages: nodes that have applied them would not notice.
func (l *Log) makeStream(ctx context.Context) error {
	s, err := l.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name: l.stream, Subjects: []string{l.prefix + ">"}, Storage: jetstream.FileStorage,
		Replicas: l.cfg.Replicas, MaxMsgsPerSubject: 1, Discard: jetstream.DiscardOld,
		Duplicates: tuning.LogDuplicates, DenyDelete: true, DenyPurge: true,
		AllowAtomicPublish: true,
	})
	if err != nil {
		return err
	}
	if !s.CachedInfo().Config.AllowAtomicPublish {
		return errLogOld
	}
	l.handle = s
	if last := s.CachedInfo().State.LastSeq; last < l.cfg.From {
		return fmt.Errorf("%w (at %d, and this node at %d)", errLogBehind, last, l.cfg.From)
	}
	return nil
}

// Applied is the last sequence that was applied.
func (l *Log) Applied() uint64 { return l.applied.Load() }

// Wait waits until the sequence has been applied, and with it everything before. To know all that
// anybody has been told is stored, write something and wait for its sequence; what the servers say
// of the end of the stream may be old.
func (l *Log) Wait(ctx context.Context, seq uint64) error {
	done := make(chan struct{})
	l.mu.Lock()
	if l.applied.Load() >= seq {
		l.mu.Unlock()
		return nil
	}
	l.waiting[done] = seq
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		delete(l.waiting, done)
		l.mu.Unlock()
	}()
	select {
	case <-done:
		return nil
	case <-l.stopped.Done():
		return ErrLogClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close ends the log. Batches that are not answered end with ErrLogUnknown, and those that were not
// sent with ErrLogClosed.
func (l *Log) Close() {
	l.once.Do(func() {
		l.stop()
		l.running.Wait()
		if l.nats != nil {
			l.nats.Close()
		}
		l.writer.abandon()
	})
}
