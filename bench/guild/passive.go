package main

import (
	"context"
	"fmt"
	"math"
	"time"

	"throng/bench/internal/server"
	"throng/bench/internal/trial"
)

// Sessions that do not look at the guild are passive. Here the same events are published to the
// same sessions, of which nine in ten are passive first, and none then.

// compared are the events of the comparison. Each is published so often when nine in ten are
// passive, and a tenth as often when none is, each when all have the one before: nothing is
// batched.
const (
	comparedOften = 200
	idleSpan      = 2 * time.Second
	idleTimeout   = time.Minute
	idleMost      = 0.3 // Of a processor.
	idleAlike     = 0.03
)

var compared = []struct {
	name   string
	hidden bool
	event  func(i int) []byte
}{
	{"a message that all may see", false, func(i int) []byte {
		return message(openChannel, i, -1, i, time.Now())
	}},
	{"a message that one in sixteen may see", true, func(i int) []byte {
		return message(hiddenChannel, i, -1, i, time.Now())
	}},
	{"somebody types", false, func(i int) []byte { return typing(openChannel, i, time.Now()) }},
}

// Keys of samples.
const (
	somePassive = "90 % passive"
	nonePassive = "none passive"
)

// comparePassive measures both. It begins with what makes up for the events that passive sessions
// are not sent: the summary, of which the next then comes only half a minute later.
func (b *bench) comparePassive(ctx context.Context, s *sessions) error {
	if err := b.summary(ctx, s); err != nil {
		return fmt.Errorf("the summary: %w", err)
	}
	if err := b.compare(ctx, s, somePassive, s.looking, comparedOften); err != nil {
		return fmt.Errorf("%s: %w", somePassive, err)
	}
	if err := s.wake(ctx, s.looking, s.count); err != nil {
		return err
	}
	if err := b.compare(ctx, s, nonePassive, s.count, comparedOften/activeEvery); err != nil {
		return fmt.Errorf("%s: %w", nonePassive, err)
	}
	return s.rest(ctx)
}

// summary measures what it costs to tell all passive sessions that there is something new.
func (b *bench) summary(ctx context.Context, s *sessions) error {
	idle, err := b.idle(ctx, s.node)
	if err != nil {
		return err
	}
	spent, err := watch(s.node, idle)
	if err != nil {
		return err
	}
	_, err = s.passive.DeliverAny(ctx, uint64(s.count-s.looking), func() error {
		return s.node.Publish(ctx, bigGuild, message(openChannel, 0, -1, 0, time.Now()))
	})
	if err != nil {
		return err
	}
	cost, _, err := spent()
	b.Samples.Add("summary ms", cost.Seconds()*1e3)
	b.Note("a summary to %d passive sessions: %.1f ms", s.count-s.looking, cost.Seconds()*1e3)
	return err
}

// compare publishes the events, each to as many as listen and may see it.
func (b *bench) compare(ctx context.Context, s *sessions, side string, listening, count int) error {
	idle, err := b.idle(ctx, s.node)
	if err != nil {
		return err
	}
	b.Samples.Add(side+" idle %", idle*100)
	for _, c := range compared {
		receivers := listening
		if c.hidden {
			receivers = seeing(listening)
		}
		cost, handled, err := measure(ctx, s.node, idle, func() error {
			return s.publish(ctx, c.event, count, receivers)
		})
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		name := c.name + ", " + side
		micros := cost.Seconds() * 1e6 / float64(count)
		shard, _ := handled.Handled("publish")
		b.Samples.Add(name+" µs", micros)
		b.Samples.Add(name+" receivers", float64(receivers))
		b.Samples.Add(name+" shard µs", shard*1e6)
		b.Note("%s: %.0f µs of CPU each, to %d", name, micros, receivers)
	}
	return nil
}

// publish publishes so many events, each when all who may see it have the one before.
func (s *sessions) publish(ctx context.Context, event func(i int) []byte,
	count, receivers int) error {
	for i := range count {
		_, err := s.all.Deliver(ctx, uint64(receivers), func() error {
			return s.node.Publish(ctx, bigGuild, event(i))
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// idle is what the node takes while nothing is published, as a share of a processor: heartbeats. It
// waits until the node is through with what came before, when two shares in a row are alike.
func (b *bench) idle(ctx context.Context, node *server.Throng) (share float64, err error) {
	last := math.Inf(1)
	err = trial.Until(ctx, idleTimeout, "rest", func() (bool, error) {
		if share, err = busy(ctx, node); err != nil {
			return false, err
		}
		alike := share < idleMost && math.Abs(share-last) < idleAlike
		last = share
		return alike, nil
	})
	return share, err
}

// busy is the share of a processor that the node takes for a while.
func busy(ctx context.Context, node *server.Throng) (share float64, err error) {
	spent, err := watch(node, 0)
	if err != nil {
		return 0, err
	}
	if err := trial.Pause(ctx, idleSpan); err != nil {
		return 0, err
	}
	cost, took, err := spent()
	return cost.Seconds() / took.Seconds(), err
}

// watch begins to measure the node's processor time, less its idle share.
func watch(node *server.Throng, idle float64) (spent func() (cost, took time.Duration, err error),
	err error) {
	before, err := node.CPU()
	began := time.Now()
	return func() (cost, took time.Duration, err error) {
		after, err := node.CPU()
		took = time.Since(began)
		return after - before - time.Duration(idle*float64(took)), took, err
	}, err
}

// measure is what the node's processor time was, less its idle share, while something ran, and by
// how much its metrics grew.
func measure(ctx context.Context, node *server.Throng, idle float64, run func() error) (
	cost time.Duration, grown server.Metrics, err error) {
	before, err := node.Metrics(ctx)
	if err != nil {
		return 0, nil, err
	}
	spent, err := watch(node, idle)
	if err != nil {
		return 0, nil, err
	}
	if err := run(); err != nil {
		return 0, nil, err
	}
	cost, _, err = spent()
	if err != nil {
		return 0, nil, err
	}
	after, err := node.Metrics(ctx)
	return cost, after.Since(before), err
}
