package main

import (
	"context"
	"fmt"
	"time"

	"throng/bench/internal/crowd"
	"throng/bench/internal/server"
	"throng/bench/internal/trial"
	"throng/bench/load"
	"throng/wire"
)

// activeEvery: one session in so many looks at the guild.
const activeEvery = 10

const (
	// wakeBatch sessions begin to listen at once: each is sent the guild, some 30 KB.
	wakeBatch     = 1000
	switchTimeout = time.Minute
)

// sessions are the people of the guild who are connected: session i is member i. Those who look at
// the guild come first.
type sessions struct {
	// Static after construction.
	node    *server.Throng
	count   int
	looking int

	all, active, passive crowd.Crowd
}

// group is a part of them, from one to another.
type group struct {
	name     string
	crowd    *crowd.Crowd
	from, to int
}

func (s *sessions) groups() [2]group {
	return [...]group{{"active", &s.active, 0, s.looking}, {"passive", &s.passive, s.looking,
		s.count}}
}

// register makes the users. It comes before the guild: a member who is given another name is told
// of to all who know it.
func (b *bench) register(ctx context.Context, node *server.Throng) (*sessions, error) {
	s := &sessions{node: node, count: b.sessions, looking: b.sessions / activeEvery}
	for _, g := range s.groups() {
		if err := node.PutUsers(ctx, g.name, g.from, g.to); err != nil {
			return nil, fmt.Errorf("register users: %w", err)
		}
	}
	return s, nil
}

// connect connects everybody, and has those listen who look at the guild. The guild is so large
// that nobody does without asking.
func (s *sessions) connect(ctx context.Context) error {
	for _, g := range s.groups() {
		err := g.crowd.Join(ctx, s.node, crowd.Group{Name: g.name, First: g.from,
			Connections: g.to - g.from, Clients: load.Config{Intents: wire.IntentsUser,
				Capabilities: wire.CapabilityPassiveUpdateV2, NoReturn: true}})
		if err != nil {
			return err
		}
		s.all.Add(g.crowd)
	}
	return s.wake(ctx, 0, s.looking)
}

// wake has sessions listen, and waits until each has the guild.
func (s *sessions) wake(ctx context.Context, from, to int) error {
	for ; from < to; from += wakeBatch {
		end := min(from+wakeBatch, to)
		_, err := s.all.DeliverAny(ctx, uint64(end-from), func() error {
			return s.all.Command(from, end, func(int) string { return subscribe(`"typing":true`) })
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// rest makes all passive but those who look at the guild, and waits until they are.
func (s *sessions) rest(ctx context.Context) error {
	err := s.all.Command(s.looking, s.count,
		func(int) string { return subscribe(`"typing":false`) })
	if err != nil {
		return err
	}
	return trial.Until(ctx, switchTimeout, "passivity", func() (bool, error) {
		c, err := s.node.Counts(ctx, bigGuild)
		return c.Active == s.looking && c.Passive == s.count-s.looking, err
	})
}

// subscribe is op 14.
func subscribe(what string) string {
	return fmt.Sprintf(`{"op":14,"d":{"guild_id":"%d",%s}}`, server.GuildID(bigGuild), what)
}

// look is op 14 for rows of a channel's member list: the first hundred, and those from row on.
func look(channel, row int) string {
	const rows = 100
	ranges := fmt.Sprintf("[0,%d]", rows-1)
	if row >= rows {
		ranges += fmt.Sprintf(",[%d,%d]", row, row+rows-1)
	}
	return subscribe(fmt.Sprintf(`"channels":{"%d":[%s]}`, server.ChannelID(bigGuild, channel),
		ranges))
}

// lookAway is op 14 for no member list.
func lookAway(int) string { return subscribe(`"channels":{}`) }

// stop ends all connections.
func (s *sessions) stop() { s.all.Stop() }

// seeing is how many of the first sessions see the hidden channel.
func seeing(sessions int) (sum int) {
	for i := range sessions {
		if seesHidden(i) {
			sum++
		}
	}
	return sum
}
