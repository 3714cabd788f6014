package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"throng/fanout"
	"throng/node/push"
	"throng/tuning"
	"throng/wire"
)

// PushSubjectDefault is where pushes go with -push-nats.
const PushSubjectDefault = "throng.push"

// pushSink is where pushes go, nil for nowhere, and the flag that says so.
func (c *Config) pushSink() (sink push.Sink, flag string, err error) {
	switch {
	case c.PushWebhook != "" && c.PushNATS != "":
		err = errors.New("-push-nats: -push-webhook is set as well, and pushes go to one place")
	case c.PushWebhook != "":
		flag = "-push-webhook"
		sink, err = push.NewWebhook(c.PushWebhook, c.PushToken, c.Node)
	case c.PushNATS != "":
		flag = "-push-nats"
		sink, err = push.NewNATS(c.PushNATS, c.PushSubject, c.Node)
	default:
		return nil, "", nil
	}
	if err != nil && flag != "" {
		err = fmt.Errorf("%s: %w", flag, err)
	}
	if err != nil {
		return nil, flag, err
	}
	return sink, flag, nil
}

func (c *Config) checkPush() error {
	if c.PushToken != "" && c.PushWebhook == "" {
		return errors.New("-push-token: is of use only with -push-webhook")
	}
	if !push.ValidSubject(c.PushSubject) {
		return fmt.Errorf("-push-subject: %q is no subject to publish on, such as %s",
			c.PushSubject, PushSubjectDefault)
	}
	_, _, err := c.pushSink()
	return err
}

// startPushes opens the way to the sink, when there is one. Shards may offer from then on.
func (n *Node) startPushes() error {
	sink, flag, err := n.cfg.pushSink()
	if sink == nil || err != nil {
		return err
	}
	n.pushes, err = push.Start(push.Config{Sink: sink, Log: n.log,
		Panicked: func(v any, stack []byte) { n.core.panicked("push", v, stack) }})
	if err != nil {
		return fmt.Errorf("%s: %w", flag, err)
	}
	n.core.push, n.core.pushFull = n.offer, n.pushes.HalfFull
	return nil
}

// offer hands on what a guild has to say to members who are away. It is called by shards, and
// never waits.
func (n *Node) offer(guild wire.Snowflake, p *fanout.Push) {
	note := &push.Note{Guild: guild, Channel: p.Channel, Message: p.Message, Author: p.Author,
		Name: p.Name, Text: p.Text}
	n.pushes.TrySend(note, p.Users...)
	if p.Omitted > 0 {
		n.pushes.Omit(p.Omitted)
	}
}

// stopPushes lets the sink take what is left, for a while, but not longer than the drain may take.
// REQUIRES: the shards have stopped.
func (n *Node) stopPushes() {
	if n.pushes == nil {
		return
	}
	limit := tuning.PushDrainTimeout
	if !n.endBy.IsZero() {
		limit = min(limit, time.Until(n.endBy))
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	go func() {
		select {
		case <-n.abort:
			cancel()
		case <-ctx.Done():
		}
	}()
	n.pushes.Stop(ctx)
}

var (
	descPushDepth     = desc("push_depth", "Pushes that wait for the sink.")
	descPushFlight    = desc("push_in_flight", "Pushes that the sink has not answered.")
	descPushOffered   = desc("push_offered_total", "Pushes that guilds have offered.")
	descPushCollapsed = desc("push_collapsed_total", "Waiting pushes replaced by newer ones.")
	descPushSent      = desc("push_sent_total", "Pushes that the sink has taken.")
	descPushDrops     = desc("push_drops_total", "Pushes that reached nobody, by reason.", "reason")
	descPushAnswers   = desc("push_answers_total", "The sink's answers, by result.", "result")
	descPushWait      = desc("push_wait_seconds", "Time that pushes have waited for the sink.")
	descPushWaitMax   = desc("push_wait_seconds_max", "The longest such time.")
)

// pushMetrics sends what the pipeline has counted.
func (c *collector) pushMetrics(out chan<- prometheus.Metric,
	gauge func(d *prometheus.Desc, v float64, labels ...string),
	count func(d *prometheus.Desc, v uint64, labels ...string)) {
	if c.node.pushes == nil {
		return
	}
	s := c.node.pushes.Stats()
	gauge(descPushDepth, float64(s.Depth))
	gauge(descPushFlight, float64(s.InFlight))
	count(descPushOffered, s.Offered)
	count(descPushCollapsed, s.Collapsed)
	count(descPushSent, s.Sent)
	s.EachDrop(func(r push.DropReason, v uint64) { count(descPushDrops, v, r.String()) })
	s.EachAnswer(func(r push.Result, v uint64) { count(descPushAnswers, v, r.String()) })
	out <- prometheus.MustNewConstSummary(descPushWait, s.Taken, s.Waited.Seconds(), nil)
	gauge(descPushWaitMax, s.WaitedMax.Seconds())
}
