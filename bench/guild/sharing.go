package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"throng/bench/internal/trial"
)

// Channels that the same people may see share one member list, and whoever looks at the same rows
// is sent the same bytes. Here as many sessions as there are channels of their own look at the
// first hundred rows: first of one channel, and then each of its own. All lists have the same
// members in the same order, so that nothing differs but how many there are.

const (
	// renameBatch changes come together, so many times in a second: what the lists tell at once.
	// Each moves one of the first renamed members.
	renameBatch = 20
	renameRate  = 10
	renamed     = 40
	sharingSpan = 6 * time.Second
	// listsDrain is how long it may take to make the lists.
	listsDrain = 2 * time.Minute
)

// Keys of samples.
const (
	sharedList = "one list"
	ownLists   = "a list each"
)

func (b *bench) compareSharing(ctx context.Context, s *sessions) error {
	// Even numbers are of the first group; their names are the first there.
	for i := range renamed {
		if err := s.node.Publish(ctx, bigGuild, rename(2*i, fmt.Sprint("0 ", i))); err != nil {
			return err
		}
	}
	if err := b.share(ctx, s, sharedList, func(int) int { return openChannel }); err != nil {
		return fmt.Errorf("%s: %w", sharedList, err)
	}
	err := b.share(ctx, s, ownLists, func(i int) int { return ownChannel + i })
	if err != nil {
		return fmt.Errorf("%s: %w", ownLists, err)
	}
	return nil
}

// share has sessions look at the lists of their channels, and measures what changes cost then.
func (b *bench) share(ctx context.Context, s *sessions, side string,
	channel func(i int) int) error {
	began := time.Now()
	_, err := s.active.DeliverAny(ctx, ownChannels, func() error {
		return s.active.Command(0, ownChannels, func(i int) string { return look(channel(i), 0) })
	})
	if err != nil {
		return err
	}
	b.Samples.Add(side+" made s", time.Since(began).Seconds())
	if err := listsMade(ctx, s); err != nil {
		return err
	}
	// A cycle of the collector over a million members takes as long as all the changes do, and
	// would fall into one side or the other: here it is due after both.
	if err := s.node.CollectGarbage(ctx); err != nil {
		return err
	}
	before, err := s.node.Metrics(ctx)
	if err != nil {
		return err
	}
	told := s.active.Dispatched()
	changes, err := renameSome(ctx, s)
	if err != nil {
		return err
	}
	after, err := s.node.Metrics(ctx)
	if err != nil {
		return err
	}
	handled := after.Since(before)
	shard := 0.0
	for _, kind := range []string{"publish", "tick", "lists"} {
		shard += handled[`throng_handle_seconds_sum{type="`+kind+`"}`]
	}
	b.Samples.Add(side+" µs", shard*1e6/float64(changes))
	b.Samples.Add(side+" dispatches/change", float64(s.active.Dispatched()-told)/float64(changes))
	b.Note("%s: %.0f µs of the shard a change", side, shard*1e6/float64(changes))
	return s.active.Command(0, ownChannels, lookAway)
}

// listsMade waits until the shard is through with telling of new lists, a little at a time.
func listsMade(ctx context.Context, s *sessions) error {
	const quiet = 0.01 // Of a second, in one second.
	before, err := s.node.Metrics(ctx)
	if err != nil {
		return err
	}
	return trial.Until(ctx, listsDrain, "the end of new lists", func() (bool, error) {
		if err := trial.Pause(ctx, time.Second); err != nil {
			return false, err
		}
		now, err := s.node.Metrics(ctx)
		ticked := now.Since(before)[`throng_handle_seconds_sum{type="tick"}`]
		before = now
		return ticked < quiet, err
	})
}

// renameSome moves members of the first rows at the rate, and says how often.
func renameSome(ctx context.Context, s *sessions) (changes int, err error) {
	r := rand.New(rand.NewPCG(3, 3))
	began := time.Now()
	for batch := 0; ; batch++ {
		due := time.Duration(batch) * time.Second / renameRate
		if due > sharingSpan {
			return changes, nil
		}
		if err := trial.Pause(ctx, due-time.Since(began)); err != nil {
			return changes, err
		}
		var events []byte
		for range renameBatch {
			nick := fmt.Sprint("0 ", r.IntN(1_000_000))
			events = append(events, rename(2*r.IntN(renamed), nick)...)
		}
		if err := s.node.Publish(ctx, bigGuild, events); err != nil {
			return changes, err
		}
		changes += renameBatch
	}
}
