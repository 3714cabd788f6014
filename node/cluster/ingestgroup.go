package cluster

import (
	"errors"
	"time"

	"github.com/nats-io/nats.go"

	"throng/tuning"
)

// Of the nodes in a queue group NATS gives each message to one by chance. One that takes it and
// cannot do it has lost it for whoever asked, or answers late that it cannot, while others could.
// So a node that is not fit leaves the group. That is one without a lease, without the log, or one
// that drains.
//
// When no node is fit, as while etcd or JetStream is away, all stay: much of what is asked can be
// done all the same, and a refusal with its reason is better than nobody there. So before it leaves
// a node asks whether another is fit. Those that are hear that question on a subject of their own,
// and a node stops to listen there before it asks.
//
// A node leaves by draining a connection that is for the group only: what has been sent to it is
// done. (A subscription can be drained alone, but when its connection breaks meanwhile, NATS's
// client subscribes it again and then forgets it: the server sends messages to nobody.)
//
// A process that stands still cannot leave. The servers notice that by their pings, by default
// after some minutes: bench/deploy/nats.conf has them do so within three seconds.

func (i *Ingest) look() {
	again := time.NewTicker(tuning.IngestLookInterval)
	defer again.Stop()
	for {
		select {
		case <-again.C:
		case <-i.stop:
			return
		}
		if err := i.choose(); err != nil {
			i.cfg.Log.Warn("ingest: cannot change whether this node takes messages", "error", err)
		}
	}
}

// choose joins the group or leaves it.
func (i *Ingest) choose() error {
	fit := i.cfg.Fit()
	if err := i.say(fit); err != nil {
		return err
	}
	stay := fit
	if !fit {
		others, known := i.others()
		if !known {
			return nil
		}
		stay = !others
	}
	switch {
	case stay && i.group == nil:
		return i.join()
	case !stay && i.group != nil:
		i.cfg.Log.Warn("ingest: other nodes take what comes, this one is not fit")
		i.in.Store(false)
		err := i.group.Drain()
		i.group = nil
		return err
	}
	return nil
}

// say has those who ask hear that this node is fit, or not.
func (i *Ingest) say(fit bool) (err error) {
	switch {
	case fit && i.fit == nil:
		i.fit, err = i.nats.QueueSubscribe(i.askSubject(), "fit", func(m *nats.Msg) {
			_ = m.Respond(nil)
		})
	case !fit && i.fit != nil:
		err = i.fit.Unsubscribe()
		i.fit = nil
	}
	return err
}

// others asks whether another node is fit. Nobody knows while NATS is away, or when one that said
// so stands still.
func (i *Ingest) others() (there, known bool) {
	_, err := i.nats.Request(i.askSubject(), nil, tuning.IngestAskTimeout)
	return err == nil, err == nil || errors.Is(err, nats.ErrNoResponders)
}

func (i *Ingest) askSubject() string { return "throng." + i.cfg.Cluster + ".ingest" }

func (i *Ingest) join() error {
	group, err := i.cfg.NATS.connect("throng ingest group "+i.cfg.Cluster,
		nats.ErrorHandler(i.failed))
	if err != nil {
		return err
	}
	sub, err := group.QueueSubscribe(ingestSubject, "throng-"+i.cfg.Cluster, i.received)
	if err == nil {
		err = sub.SetPendingLimits(-1, tuning.BusPendingBytesMax)
	}
	if err == nil {
		err = group.FlushTimeout(tuning.NATSTimeout)
	}
	if err != nil {
		group.Close()
		return err
	}
	i.group = group
	i.in.Store(true)
	return nil
}
