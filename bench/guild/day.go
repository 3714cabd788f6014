package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"throng/bench/internal/report"
	"throng/bench/internal/trial"
)

// The day is everything at once, with nine in ten passive: what happens in a guild happens at its
// share of the rate, and those who look at the guild look at its member list and scroll in it.

const (
	dayRate    = 20 // Events in a second.
	scrollRate = 5  // Scrolls in a second.
	// rowsSeen are those that people scroll to: all but a few of who is online.
	rowsSeen = 10_000
	// dayDrain is how long what was published last may be on its way.
	dayDrain = time.Minute
)

// happening is a kind of event of the day, and its share in percent.
type happening struct {
	name  string
	share int
	// run makes one happen, and returns how many sessions are to be sent its mark.
	run func(ctx context.Context, d *day) (marks int, err error)
}

var happenings = []happening{
	{"messages", 40, func(ctx context.Context, d *day) (int, error) {
		author, listening := d.author()
		return listening, d.publish(ctx, message(openChannel, author, -1, d.made, d.due))
	}},
	{"messages that mention a passive session", 10, func(ctx context.Context, d *day) (int, error) {
		mentioned := d.s.looking + d.r.IntN(d.s.count-d.s.looking)
		return d.s.looking + 1,
			d.publish(ctx, message(openChannel, hiddenAuthor, mentioned, d.made, d.due))
	}},
	{"messages in a hidden channel", 10, func(ctx context.Context, d *day) (int, error) {
		return seeing(d.s.looking),
			d.publish(ctx, message(hiddenChannel, hiddenAuthor, -1, d.made, d.due))
	}},
	{"typing", 15, func(ctx context.Context, d *day) (int, error) {
		return d.s.looking, d.publish(ctx, typing(openChannel, d.anyone(), d.due))
	}},
	{"presences", 10, func(_ context.Context, d *day) (int, error) {
		who, name := d.anyone(), []string{"idle", "dnd", "online", "invisible"}[d.r.IntN(4)]
		return 0, d.s.all.Command(who, who+1, func(int) string { return status(name) })
	}},
	{"joins", 5, func(ctx context.Context, d *day) (int, error) {
		return 0, d.publish(ctx, join(2*d.members+d.r.IntN(d.members)))
	}},
	{"renames", 7, func(ctx context.Context, d *day) (int, error) {
		return 0, d.publish(ctx, rename(d.anyone(), fmt.Sprint("called ", d.r.IntN(1000))))
	}},
	{"changes of roles", 3, func(ctx context.Context, d *day) (int, error) {
		return 0, d.publish(ctx, reroll(d.anyone(), d.r.IntN(others)))
	}},
}

// hiddenAuthor looks at the guild and sees the hidden channel.
const hiddenAuthor = 1<<hiddenLevel - 1

// day is one day under way.
type day struct {
	// Static after construction.
	s       *sessions
	members int

	// Owned by the bench's goroutine.
	r       *rand.Rand
	due     time.Time // When the event in hand was to happen.
	made    int
	marks   int // That sessions are to be sent.
	happens map[string]int
	scrolls int
}

// anyone is a session.
func (d *day) anyone() int { return d.r.IntN(d.s.count) }

// author is a session that says something, and how many hear it: those who look at the guild, and
// the session itself.
func (d *day) author() (author, listening int) {
	author, listening = d.anyone(), d.s.looking
	if author >= d.s.looking {
		listening++
	}
	return author, listening
}

func (d *day) publish(ctx context.Context, event []byte) error {
	return d.s.node.Publish(ctx, bigGuild, event)
}

// runDay runs the day and measures it.
func (b *bench) runDay(ctx context.Context, s *sessions) error {
	d := &day{s: s, members: b.members, r: rand.New(rand.NewPCG(2, 2)), happens: map[string]int{}}
	err := s.active.Command(0, s.looking, func(int) string { return look(openChannel, 0) })
	if err != nil {
		return err
	}
	if err := trial.Drain(ctx, s.node, time.Second, dayDrain); err != nil {
		return err
	}
	s.all.Take()
	told, all := s.passive.Dispatched(), s.all.Dispatched()
	spent, err := watch(s.node, 0)
	if err != nil {
		return err
	}
	if err := d.pass(ctx, b.day); err != nil {
		return err
	}
	cost, took, err := spent()
	if err != nil {
		return err
	}
	if err := trial.Drain(ctx, s.node, time.Second, dayDrain); err != nil {
		return err
	}
	seen := s.all.Take()
	if seen.Delivered != uint64(d.marks) {
		return fmt.Errorf("%d messages and typings have come of %d", seen.Delivered, d.marks)
	}
	add := func(name string, value float64) { b.Samples.Add("day "+name, value) }
	add("CPU %", 100*cost.Seconds()/took.Seconds())
	add("CPU ms/event", cost.Seconds()*1e3/float64(d.made))
	add("events", float64(d.made))
	add("scrolls", float64(d.scrolls))
	add("p50 ms", seen.Event.P50)
	add("p99 ms", seen.Event.P99)
	add("dispatches", float64(s.all.Dispatched()-all))
	add("dispatches to passive", float64(s.passive.Dispatched()-told))
	for _, h := range happenings {
		add(h.name, float64(d.happens[h.name]))
	}
	b.Note("the day: %d events, %.0f %% of a processor, p99 %.1f ms", d.made,
		100*cost.Seconds()/took.Seconds(), seen.Event.P99)
	return s.active.Command(0, s.looking, lookAway)
}

// pass has things happen at their rate for a time, each when its time has come.
func (d *day) pass(ctx context.Context, span time.Duration) error {
	began := time.Now()
	for ; ; d.made++ {
		d.due = began.Add(time.Duration(d.made) * time.Second / dayRate)
		if d.due.Sub(began) > span {
			return nil
		}
		if err := trial.Pause(ctx, time.Until(d.due)); err != nil {
			return err
		}
		if d.made*scrollRate/dayRate > d.scrolls {
			who, row := d.r.IntN(d.s.looking), d.r.IntN(rowsSeen)/100*100
			err := d.s.active.Command(who, who+1, func(int) string {
				return look(openChannel, row)
			})
			if err != nil {
				return err
			}
			d.scrolls++
		}
		h := pick(d.r.IntN(100))
		marks, err := h.run(ctx, d)
		if err != nil {
			return fmt.Errorf("%s: %w", h.name, err)
		}
		d.happens[h.name]++
		d.marks += marks
	}
}

// pick returns what happens at a percentage.
func pick(percent int) *happening {
	for i := range happenings {
		if percent -= happenings[i].share; percent < 0 {
			return &happenings[i]
		}
	}
	return &happenings[0]
}

// dayRows are the day's table.
func (b *bench) dayRows() (rows [][]string) {
	number := func(name string) string { return report.Number(b.Samples.Median("day " + name)) }
	for _, h := range happenings {
		rows = append(rows, []string{h.name, number(h.name)})
	}
	return append(rows, []string{"scrolls in the member list", number("scrolls")})
}
