package node

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"throng/fanout"
	"throng/node/api"
	"throng/store"
	"throng/tuning"
	"throng/wire"
)

// A user with a new name or picture is one record that is replaced in the table of users, from
// which every event is written. Who has seen the old one has to be told: the user's own sessions by
// USER_UPDATE, once each, and the members of each of the user's guilds.
//
// No message carries the new record. A loop, or a guild's shard, reads the table when it comes to
// the news, as it does for everything else that it writes out. The table only ever goes forward,
// so a session never hears an older name in a guild after a newer one, and a user who is renamed
// ten times before the news of it is brought is told of once.
//
// Which guilds that are is the directory's to say, and it may be behind: a member who is just
// being added with the old name is not in it yet. So the courier first has every shard come by
// (fence) and then waits until all that they had kept by then is in the directory. What a shard
// does after the fence shows the new name by itself.
type renames struct {
	// Guarded by mu.
	mu      sync.Mutex
	waiting []wire.Snowflake // in the order in which they came, each once
	known   map[wire.Snowflake]struct{}

	// Owned by the courier's goroutine.
	round []wire.Snowflake // users that wait for their fence; nil = there is none

	// Atomic: counted down by the shards.
	fences atomic.Int32
	kept   atomic.Bool

	// Atomic: users who wait, or are in the round.
	ahead atomic.Int64
}

func newRenames() renames { return renames{known: map[wire.Snowflake]struct{}{}} }

// renamed has those told who know the user. It never waits.
func (c *courier) renamed(user wire.Snowflake) {
	r := &c.renames
	r.mu.Lock()
	_, known := r.known[user]
	if !known {
		r.known[user] = struct{}{}
		r.waiting = append(r.waiting, user)
		r.ahead.Add(1)
	}
	r.mu.Unlock()
	if !known {
		c.ring()
	}
}

// full says whether whoever puts users should wait.
func (r *renames) full(limit int) bool { return r.ahead.Load() >= int64(limit) }

// take returns the next users, at most count.
func (r *renames) take(count int) []wire.Snowflake {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := min(count, len(r.waiting))
	users := r.waiting[:n:n]
	if r.waiting = r.waiting[n:]; len(r.waiting) == 0 {
		r.waiting = nil
	}
	for _, user := range users {
		delete(r.known, user)
	}
	return users
}

// rename goes on with the round of users under way, or begins one.
func (c *courier) rename() {
	r := &c.renames
	if r.kept.Load() {
		for _, user := range r.round {
			c.spread(user)
		}
		r.ahead.Add(-int64(len(r.round)))
		r.round = nil
		r.kept.Store(false)
	}
	if r.round != nil || c.count >= c.core.limits.errandsMax || len(c.untold) > 0 {
		return
	}
	if r.round = r.take(c.core.limits.renameRoundMax); len(r.round) == 0 {
		r.round = nil
		return
	}
	r.fences.Store(int32(len(c.core.shards)))
	for _, s := range c.core.shards {
		s.inbox.push(&fence{c})
	}
}

// spread tells a user's sessions, and has the user's guilds told.
func (c *courier) spread(user wire.Snowflake) {
	c.untold = append(c.untold, c.core.sessionsOf(user)...)
	c.tellSessions()
	guilds, err := c.core.dir.GuildsOf(uint64(user))
	if err != nil {
		c.core.log.Error("rename: the directory failed", "user", user, "error", err)
	}
	for _, guild := range guilds {
		c.add(&rename{wire.Snowflake(guild), user})
	}
}

// tellSessions tells the sessions of users who have changed, as far as their loops have room.
func (c *courier) tellSessions() {
	for len(c.untold) > 0 {
		h := c.untold[0]
		if !c.core.loops[h.Loop].inbox.tryPush(&userChanged{h}) {
			return
		}
		c.untold = c.untold[1:]
	}
	c.untold = nil
}

// rename is a user's new name, for one guild.
type rename struct{ guild, user wire.Snowflake }

func (e *rename) to() wire.Snowflake { return e.guild }

func (e *rename) run(s *shard, g *fanout.Guild, _ int) (done int, more bool) {
	change := g.UserChanged(e.user, s.core.wall())
	s.emit(g, &change)
	return 1, false
}

// fence comes to a shard behind everything that was asked of it before.
type fence struct{ courier *courier }

func (m *fence) id() wire.Snowflake          { return 0 }
func (*fence) from() fanout.Handle           { return fanout.Handle{} }
func (m *fence) kind() messageKind           { return kindErrands }
func (m *fence) apply(*shard, *fanout.Guild) {}
func (m *fence) refuse(*shard, error)        {}

func (m *fence) pass() {
	c := m.courier
	if c.renames.fences.Add(-1) > 0 {
		return
	}
	// An error means that the node is ending.
	c.core.keep(nil, func(error) {
		c.renames.kept.Store(true)
		c.ring()
	})
}

// userChanged tells a session of its user's new name.
type userChanged struct{ to fanout.Handle }

func (m *userChanged) kind() messageKind { return kindErrands }

func (m *userChanged) do(l *loop) {
	s := l.session(m.to)
	if s == nil {
		return
	}
	if u := l.core.users.Get(uint64(s.user)); u != nil {
		body := appendSelf(nil, u)
		l.sendPrivate(m.to, []*wire.Dispatch{wire.NewDispatch("USER_UPDATE", body, nil)})
	}
}

// usersReplaced makes these the users that everything is written with, and has those told who have
// seen another. It is called in the order in which they were kept. Among other nodes the directory
// calls it on each of them when it has applied them, wherever they were written: each tells its own
// sessions and the guilds that it owns, and for these its own fence is enough.
func (c *core) usersReplaced(users []*store.User) {
	for _, u := range users {
		old := c.users.Get(u.ID)
		c.users.Put(u)
		if old == nil || old.Doc != u.Doc {
			c.courier.renamed(wire.Snowflake(u.ID))
		}
	}
}

// roomForUsers waits while too many users wait for their guilds to be told.
func (n *Node) roomForUsers(ctx context.Context) error {
	for n.core.courier.renames.full(n.core.limits.renamesMax) {
		select {
		case <-ctx.Done():
			return api.Busy(busyRetry, "Too many users are being renamed.")
		case <-time.After(tuning.ErrandInterval):
		}
	}
	return nil
}
