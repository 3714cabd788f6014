package cluster

import (
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/nats-io/nats.go"

	"throng/tuning"
)

// Ingest takes what a backend publishes on NATS for guilds: throng.guild.<id>.events, with the body
// that POST /v1/guilds/{id}/events takes. Of all nodes of a cluster one gets each message, and
// whoever asks for a reply gets what the route would answer.
//
// Messages of one guild that come to one node are done one after the other. Two that a backend
// sends without waiting may come to two nodes, and pass each other: who needs an order waits for
// the reply, or sends several events in one message.
type Ingest struct {
	// Static after construction.
	cfg     IngestConfig
	nats    *nats.Conn // For answers, and what nodes ask each other.
	lanes   []chan *nats.Msg
	stop    chan struct{}
	running sync.WaitGroup

	// Owned by the looking goroutine.
	group *nats.Conn         // Nil while this node is not in the group.
	fit   *nats.Subscription // Nil while it is not fit.

	// Atomic: written by the looking goroutine.
	in atomic.Bool // The group.
}

// IngestConfig says where from, and what to do.
type IngestConfig struct {
	NATS    NATSConfig
	Cluster string
	// Take does what a message asks and returns the answer as JSON. It is called by as many
	// goroutines at once as there are lanes, never by two for one guild.
	// traceparent is that header of the message, in whatever case, or "".
	Take func(guild uint64, body []byte, traceparent string) (answer []byte)
	// Fit says whether this node can do what it is asked as well as another; see choose.
	Fit func() bool
	Log *slog.Logger // Nil for none.
}

// NewIngest connects and begins to take messages.
func NewIngest(cfg IngestConfig) (*Ingest, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	i := &Ingest{cfg: cfg, stop: make(chan struct{})}
	for range tuning.IngestLanes {
		i.lanes = append(i.lanes, make(chan *nats.Msg, tuning.IngestLaneMax))
	}
	var err error
	i.nats, err = cfg.NATS.connect("throng ingest "+cfg.Cluster, nats.ErrorHandler(i.failed))
	if err != nil {
		return nil, fmt.Errorf("ingest: %w", err)
	}
	for _, lane := range i.lanes {
		i.running.Go(func() { i.work(lane) })
	}
	if err = i.choose(); err != nil {
		i.Close()
		return nil, fmt.Errorf("ingest: %w", err)
	}
	i.running.Go(i.look)
	return i, nil
}

const ingestSubject = "throng.guild.*.events"

// ingestGuild is the guild that a subject names, 0 when it names none.
func ingestGuild(subject string) uint64 {
	name, _ := strings.CutPrefix(subject, "throng.guild.")
	name, _ = strings.CutSuffix(name, ".events")
	id, err := strconv.ParseUint(name, 10, 64)
	if err != nil {
		return 0
	}
	return id
}

// In says whether this node is in the group that takes messages.
func (i *Ingest) In() bool { return i.in.Load() }

// received lines a message up. While its lane is full NATS's client holds what comes behind it.
func (i *Ingest) received(m *nats.Msg) {
	select {
	case i.lanes[ingestGuild(m.Subject)%uint64(len(i.lanes))] <- m:
	case <-i.stop:
	}
}

func (i *Ingest) work(lane chan *nats.Msg) {
	for {
		select {
		case m := <-lane:
			answer := i.cfg.Take(ingestGuild(m.Subject), m.Data, traceparent(m.Header))
			if m.Reply == "" {
				continue
			}
			// Not by the connection that it came by: that may have been left.
			if err := i.nats.Publish(m.Reply, answer); err != nil {
				i.cfg.Log.Warn("ingest: a reply was not sent", "error", err)
			}
		case <-i.stop:
			return
		}
	}
}

// traceparent is that header, or "". NATS keeps the case that a name was sent in, and that varies:
// the standard has it all small, and OpenTelemetry's HeaderCarrier writes Traceparent.
func traceparent(header nats.Header) string {
	const name = "traceparent"
	if value := header.Get(name); value != "" {
		return value
	}
	for sent := range header {
		if strings.EqualFold(sent, name) {
			return header.Get(sent)
		}
	}
	return ""
}

// failed hears of what no call can return: above all that messages were dropped, because the node
// does not take them as fast as they come.
func (i *Ingest) failed(_ *nats.Conn, _ *nats.Subscription, err error) {
	if errors.Is(err, nats.ErrSlowConsumer) {
		i.cfg.Log.Error("ingest: messages were dropped, more come than this node can take")
		return
	}
	i.cfg.Log.Warn("ingest: NATS reports", "error", err)
}

// Close takes nothing more. What is being done is done first; what waits is answered by nobody.
func (i *Ingest) Close() {
	close(i.stop)
	i.running.Wait()
	if i.group != nil {
		i.group.Close()
	}
	i.nats.Close()
}
