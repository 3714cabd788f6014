package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"throng/bench/internal/client"
	"throng/bench/internal/crowd"
	"throng/bench/internal/server"
	"throng/wire"
)

const (
	// watchersPerNode sessions share the guilds: each guild has one session on every node.
	watchersPerNode = 4
	// natsDoor is the number of NATS among the doors, behind the nodes.
	natsDoor   = nodesCount
	doorsCount = nodesCount + 1

	postTimeout    = 3 * time.Second
	silenceTimeout = time.Minute
	comeBackPause  = 50 * time.Millisecond
)

// load is sessions on all nodes, and a publisher through all doors, until stop.
type load struct {
	// Static after construction.
	trio   *trio
	model  *model
	guilds int
	period time.Duration // Between two events of a guild.
	nats   *nats.Conn
	stop   func()
	ctx    context.Context
	work   sync.WaitGroup

	// Atomic.
	closed     [doorsCount]atomic.Bool // Doors that nothing is posted at.
	takenAt    [doorsCount]atomic.Int64
	notTakenAt [doorsCount]atomic.Int64
	firstError atomic.Pointer[error]
}

// provision makes the users and guilds through one node.
func provision(ctx context.Context, t *trio, guilds int) error {
	n := t.members[0].process()
	sessions := nodesCount * watchersPerNode
	if err := n.PutBots(ctx, "watch", 0, sessions); err != nil {
		return err
	}
	for g := range guilds {
		if err := n.PutGuild(ctx, g, 1); err != nil {
			return err
		}
		for node := range nodesCount {
			user := node*watchersPerNode + g%watchersPerNode
			if err := n.PutMembers(ctx, g, user, user+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// startLoad connects the sessions, begins to publish, and waits until everybody hears.
func startLoad(ctx context.Context, t *trio, guilds int, period time.Duration) (*load, error) {
	l := &load{trio: t, model: newModel(guilds), guilds: guilds, period: period}
	l.ctx, l.stop = context.WithCancel(ctx)
	var err error
	l.nats, err = nats.Connect(t.nats.process.Client, nats.MaxReconnects(-1),
		nats.ReconnectWait(comeBackPause))
	if err != nil {
		return l, err
	}
	for node := range nodesCount {
		for w := range watchersPerNode {
			var mine []int
			for g := w; g < guilds; g += watchersPerNode {
				mine = append(mine, g)
			}
			session := l.model.session(node, mine)
			token := fmt.Sprintf("bench-watch.%d", node*watchersPerNode+w)
			l.work.Go(func() { l.watch(session, node, token) })
		}
	}
	for g := range guilds {
		l.work.Go(func() { l.publish(g) })
	}
	return l, l.settled(ctx)
}

// end ends all of it.
func (l *load) end() {
	l.stop()
	l.work.Wait()
	if l.nats != nil {
		l.nats.Close()
	}
}

// settled waits until every session hears every guild.
func (l *load) settled(ctx context.Context) error {
	began := time.Now()
	return until(ctx, "events of all guilds at all sessions", func() error {
		return l.silent(l.all(), allNodes, began)
	})
}

// silent is an error that says how many streams have brought nothing of after a time.
func (l *load) silent(guilds, nodes []int, after time.Time) error {
	if waiting := l.model.over(guilds, nodes, after); waiting > 0 {
		return fmt.Errorf("%d streams are silent", waiting)
	}
	return nil
}

var allNodes = []int{0, 1, 2}

// all are the numbers of all guilds.
func (l *load) all() (guilds []int) {
	for g := range l.guilds {
		guilds = append(guilds, g)
	}
	return guilds
}

// watch keeps one session at a node.
func (l *load) watch(session, node int, token string) {
	for l.ctx.Err() == nil {
		if s, err := l.identify(node, token); err == nil {
			cutting := context.AfterFunc(l.ctx, s.Cut)
			l.listen(session, s)
			cutting()
			s.Close()
			if l.ctx.Err() == nil {
				l.model.cut(session)
			}
		}
		select {
		case <-time.After(comeBackPause):
		case <-l.ctx.Done():
		}
	}
}

func (l *load) identify(node int, token string) (*client.Session, error) {
	return client.Identify(l.ctx, l.trio.members[node].process().Gateway, token,
		crowd.IntentsQuiet)
}

// listen tells the model what comes to a session, until its connection is gone.
func (l *load) listen(session int, s *client.Session) {
	for {
		name, d, err := s.Next(silenceTimeout)
		if err != nil {
			return
		}
		field := "id"
		if name == eventName {
			field = "guild_id"
		}
		id, _ := wire.SnowflakeField(d, field)
		guild := int(id) - int(server.GuildID(0))
		if guild < 0 || guild >= l.guilds {
			continue
		}
		switch name {
		case "GUILD_CREATE":
			l.model.entered(session, guild)
		case "GUILD_DELETE":
			l.model.away(session, guild)
		case eventName:
			number, _ := wire.IntField(d, "number")
			l.model.hears(session, guild, int(number))
		}
	}
}

const eventName = "BENCH_EVENT"

// publish posts a guild's events, one per period whatever becomes of those before, through one
// door after the other.
func (l *load) publish(guild int) {
	tick := time.NewTicker(l.period)
	defer tick.Stop()
	for turn := guild; ; turn++ {
		select {
		case <-tick.C:
		case <-l.ctx.Done():
			return
		}
		door := turn % doorsCount
		for l.closed[door].Load() {
			turn++
			door = turn % doorsCount
		}
		number := l.model.post(guild, door)
		l.work.Go(func() { l.post(guild, door, number) })
	}
}

// post posts one event and tells the model whether it was taken.
func (l *load) post(guild, door, number int) {
	ctx, cancel := context.WithTimeout(l.ctx, postTimeout)
	defer cancel()
	event := fmt.Appendf(nil, `{"t":"%s","d":{"guild_id":"%d","number":%d}}`, eventName,
		server.GuildID(guild), number)
	err := l.postAt(ctx, guild, door, event)
	l.model.answer(guild, number, err == nil)
	if err == nil {
		l.takenAt[door].Add(1)
		return
	}
	l.notTakenAt[door].Add(1)
	if ctx.Err() == nil {
		l.firstError.CompareAndSwap(nil, &err)
	}
}

func (l *load) postAt(ctx context.Context, guild, door int, event []byte) error {
	if door == natsDoor {
		return l.request(ctx, guild, event)
	}
	return l.trio.members[door].process().Publish(ctx, guild, event)
}

// sum is over all doors.
func sum(at *[doorsCount]atomic.Int64) (sum int64) {
	for i := range at {
		sum += at[i].Load()
	}
	return sum
}

func (l *load) request(ctx context.Context, guild int, event []byte) error {
	subject := fmt.Sprintf("throng.guild.%d.events", server.GuildID(guild))
	answer, err := l.nats.RequestWithContext(ctx, subject, event)
	if err != nil {
		return err
	}
	if _, has := wire.Field(answer.Data, "event_index"); !has {
		return fmt.Errorf("%s: %s", subject, answer.Data)
	}
	return nil
}
