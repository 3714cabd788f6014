// Command pressure lets a node run out of memory and looks at what it gives up, and when.
//
//	go run ./bench/pressure
//
// The node is in a control group with little memory. Sessions come, and then a backend that loads
// members without end: the node refuses new sessions first and then the members. Then a part of
// the sessions stops to read while large events are published, so that the kernel holds them. The
// rest must get every event, and the kernel must not end the node. At last the backend deletes what
// it has loaded, and the node takes new sessions again. It needs root for the control group, writes
// bench/results/pressure.json, and ends by itself within five minutes.
package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"throng/bench/internal/client"
	"throng/bench/internal/crowd"
	"throng/bench/internal/host"
	"throng/bench/internal/report"
	"throng/bench/internal/server"
	"throng/bench/internal/trial"
	"throng/bench/load"
)

const (
	limitBytes = 192 << 20
	reading    = 2000
	frozen     = 2000
	// loadUsers are put into one guild after the other, so many at most.
	loadUsers  = 20_000
	loadsMax   = 200
	eventBytes = 32 << 10
	// events of that size are more than the kernel takes for a connection that is not read.
	events    = 400
	eventGap  = 20 * time.Millisecond
	easeLimit = time.Minute
	lookEvery = 20 * time.Millisecond
)

// sessionsGuild has the sessions; those from the next on are loaded until there is no room.
const sessionsGuild = 0

type bench struct{ *trial.Trial }

// scene is one run.
type scene struct {
	node    *server.Throng
	watcher *watcher
	reading *crowd.Crowd
	frozen  *crowd.Crowd
	loaded  int // guilds
}

func main() {
	trial.Main("pressure", "What does a node do that runs out of memory?", trial.Options{},
		func(ctx context.Context, t *trial.Trial) error {
			b := &bench{t}
			err := b.EachRun(ctx, func(int) error { return b.run(ctx) })
			if err == nil {
				b.conclude()
			}
			return err
		})
}

func (b *bench) run(ctx context.Context) (err error) {
	group, err := host.NewMemoryGroup(limitBytes)
	if err != nil {
		return err
	}
	defer func() { _ = group.Close() }()
	flags := []string{"-journal", "16M"}
	b.Result.Servers["throng"] = server.ThrongFlags(flags...)
	node, err := server.StartThrongUnder(ctx, group, b.Program("throng"), flags...)
	if err != nil {
		return err
	}
	defer func() { _ = node.Stop() }()
	w := watch(ctx, node)
	defer w.stop()
	s := &scene{node: node, watcher: w, reading: &crowd.Crowd{}, frozen: &crowd.Crowd{}}
	defer s.reading.Stop()
	defer s.frozen.Stop()
	for _, phase := range []struct {
		name string
		run  func(context.Context, *scene) error
	}{{"arrive", b.arrive}, {"load", b.load}, {"freeze", b.freeze}, {"ease", b.ease}} {
		if err := phase.run(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", phase.name, errors.Join(err, node.Alive()))
		}
	}
	w.stop()
	kills, err := group.Kills()
	if err != nil {
		return err
	}
	most, err := group.Most()
	if err != nil {
		return err
	}
	b.Samples.Add("kills", float64(kills))
	b.Samples.Add("group most %", float64(most)/limitBytes*100)
	b.Samples.Add("held most %", w.heldMost*100)
	b.Samples.Add("highest level", float64(w.levels.highest))
	b.Samples.Add("levels out of order", float64(w.levels.outOfOrder))
	b.Samples.Add("lost", float64(reading-s.reading.Live()))
	return node.Check(ctx)
}

// arrive connects those who read and those who will not.
func (b *bench) arrive(ctx context.Context, s *scene) error {
	if err := s.node.PutGuild(ctx, sessionsGuild, 1); err != nil {
		return err
	}
	for _, g := range []struct {
		crowd.Group
		joins *crowd.Crowd
	}{
		{crowd.Group{Name: "reading", Connections: reading}, s.reading},
		{crowd.Group{Name: "frozen", First: reading, Connections: frozen,
			Clients: load.Config{Frozen: 1, NoReturn: true}}, s.frozen},
	} {
		if err := g.Provision(ctx, s.node, sessionsGuild); err != nil {
			return err
		}
		if err := g.joins.Join(ctx, s.node, g.Group); err != nil {
			return err
		}
	}
	return s.node.PutUsers(ctx, "loaded", reading+frozen, reading+frozen+loadUsers)
}

// load makes guilds until the node refuses.
func (b *bench) load(ctx context.Context, s *scene) error {
	closed := 0 // guilds when new sessions were refused
	for s.loaded < loadsMax {
		guild := sessionsGuild + 1 + s.loaded
		err := s.node.PutGuild(ctx, guild, 1)
		if err == nil {
			s.loaded++
			err = s.node.PutMembers(ctx, guild, reading+frozen, reading+frozen+loadUsers)
		}
		if s.watcher.level.Load() >= 1 && closed == 0 {
			closed = s.loaded
		}
		if err != nil && strings.Contains(err.Error(), "503") {
			b.Samples.Add("members", float64(s.loaded*loadUsers))
			b.Note("no new sessions after %d members, no members after %d", closed*loadUsers,
				s.loaded*loadUsers)
			// What comes next may take the node to level 3 before anybody has looked.
			return trial.Until(ctx, easeLimit, "level 2 and a refusal", func() (bool, error) {
				return s.watcher.highest.Load() >= 2 && b.tryIdentify(ctx, s.node) != nil,
					s.node.Alive()
			})
		}
		if err != nil {
			return err
		}
	}
	return fmt.Errorf("%d members were taken into %d MB", loadsMax*loadUsers, limitBytes>>20)
}

// tryIdentify begins a session and ends it.
func (b *bench) tryIdentify(ctx context.Context, node *server.Throng) error {
	token := strings.ReplaceAll(server.Tokens("reading"), "{i}", "0")
	s, err := client.Identify(ctx, node.Gateway, token, crowd.IntentsQuiet)
	if err == nil {
		s.Close()
	}
	return err
}

// freeze publishes what half of the sessions does not read.
func (b *bench) freeze(ctx context.Context, s *scene) error {
	if got := s.frozen.Freeze(); got != frozen {
		return fmt.Errorf("%d of %d sessions were there to stop reading", got, frozen)
	}
	s.reading.Take()
	before, err := s.node.Metrics(ctx) // It has refused a connection.
	if err != nil {
		return err
	}
	for range events {
		_, err := s.reading.Deliver(ctx, reading, func() error {
			return s.node.Publish(ctx, sessionsGuild, crowd.Event(sessionsGuild, eventBytes,
				time.Now()))
		})
		if err != nil {
			return fmt.Errorf("at level %d: %w", s.watcher.level.Load(), err)
		}
		if err := trial.Pause(ctx, eventGap); err != nil {
			return err
		}
	}
	b.Samples.Add("p99 ms", s.reading.Take().Event.P99)
	m, err := s.node.Metrics(ctx)
	for _, reason := range []string{"node_short", "slow_reader"} {
		name := `throng_closes_total{reason="` + reason + `"}`
		closed := m[name] - before[name]
		b.Samples.Add("closed "+reason, closed)
		b.Note("closed for %s: %.0f", reason, closed)
	}
	return err
}

// ease deletes what was loaded and waits until new sessions are taken.
func (b *bench) ease(ctx context.Context, s *scene) error {
	began := time.Now()
	for ; s.loaded > 0; s.loaded-- {
		if err := s.node.DeleteGuild(ctx, sessionsGuild+s.loaded); err != nil {
			return err
		}
	}
	err := trial.Until(ctx, easeLimit, "the end of the pressure", func() (bool, error) {
		return s.watcher.level.Load() == 0, s.node.Alive()
	})
	if err != nil {
		return err
	}
	b.Samples.Add("eased s", time.Since(began).Seconds())
	return b.tryIdentify(ctx, s.node)
}

func (b *bench) conclude() {
	r, s := b.Result, b.Samples
	number := func(name string) string { return report.Number(s.Median(name)) }
	r.Table("What it gave up", []string{"what", "of " + fmt.Sprint(limitBytes>>20) + " MB"},
		[][]string{
			{"members taken before it refused them", number("members")},
			{"sessions that did not read, closed for want of memory", number("closed node_short")},
			{"the same, closed because they were too slow first", number("closed slow_reader")},
			{"most that the group held, %", number("group most %")},
			{"most with what waits in sockets, which not every kernel counts there, %",
				number("held most %")},
			{"highest level, in the run with the lowest", report.Number(s.Least("highest level"))},
			{"new sessions again after so many s", number("eased s")},
		})
	r.Say("%d sessions read throughout; an event of %d KB reached them in %s ms at p99.",
		reading, eventBytes>>10, number("p99 ms"))
	r.Reach(report.Figure{What: "highest level of shedding",
		Measured: s.Least("highest level"), Unit: "", Limit: 3, AtLeast: true})
	r.Reach(report.Figure{What: "sessions that did not read, closed for want of memory",
		Measured: s.Least("closed node_short"), Unit: "", Limit: 1, AtLeast: true})
	r.Reach(report.Figure{What: "levels of shedding out of their order",
		Measured: s.Most("levels out of order"), Unit: "", Limit: 0})
	r.Reach(report.Figure{What: "ended by the kernel for want of memory",
		Measured: s.Most("kills"), Unit: "times", Limit: 0})
	r.Reach(report.Figure{What: "sessions that read and were lost under pressure",
		Measured: s.Most("lost"), Unit: "sessions", Limit: 0})
}
