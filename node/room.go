package node

import (
	"slices"
	"sync/atomic"

	"throng/fanout"
	"throng/wire"
)

// place is a guild's place on its shard: the guild, or the room for those who wait until it has
// been read, or the link to the node that has it.
type place struct {
	guild    *fanout.Guild
	room     *room
	link     *link
	channels []wire.Snowflake // in the core's table, ascending
	goesOn   bool             // a tick that it asked for is on its way

	// Of a guild, or one that is read, in a cluster.
	token   uint64           // By which this node owns it; see claim.
	far     map[int]*farLink // Links of others, by the number of the remote.
	keeping *keeping         // Nil before anything was kept.
	giving  *giving          // Nil while it stays.
	parked  []guildMessage

	// Of hand-offs.
	handing *handing      // Nil while it stays.
	earlier *keeping      // What was given to the keeper before that; nil when it is kept.
	tries   int           // Hand-offs that were begun.
	inLine  bool          // In the shard's toHand.
	heir    *remote       // Who handed it to this node, nil when that is over.
	holds   map[int]*hold // By the number of the remote, or ownHold.
	own     *link         // This node's link to the former owner, while there is an ownHold.
}

// room is where the messages to a guild wait while it is read. The guild is read once, however many
// wait, and not at all when all of them have gone before a worker came to it.
//
// A client that loses patience with a node that is behind ends its session and comes back, and what
// it asked for first stays in line unless somebody strikes it out: the line then holds mostly the
// wishes of those who have gone, and grows with each of their attempts. So a session's end strikes
// out all that it waits for. Looking through the room for each of 60,000 that leave would be
// 4,000,000,000 looks; they are gathered, and struck out together when they are half of the room.
type room struct {
	load    *guildLoad  // nil while the directory is still forgetting a guild that was deleted
	claim   *guildClaim // nil when it has succeeded, or there is nobody to ask
	waiting []guildMessage
	left    map[fanout.Handle]struct{} // sessions that ended since the last look
}

// guildLoad is a guild in line to be read, and then being read.
type guildLoad struct {
	// Static after construction.
	guild wire.Snowflake

	// Owned by the shard goroutine.
	permit permit

	// Atomic: written by the shard, read by the worker. Nobody waits any more.
	unwanted atomic.Bool
}

// enter takes a message in. It reports false when the room is full.
func (r *room) enter(m guildMessage, most int) bool {
	if len(r.waiting) >= most {
		return false
	}
	r.waiting = append(r.waiting, m)
	if r.load != nil && r.load.unwanted.Load() {
		r.load.unwanted.Store(false)
	}
	return true
}

// leave notes that a session has ended. It returns how many messages were struck out.
func (r *room) leave(h fanout.Handle) (struck int) {
	if r.left == nil {
		r.left = map[fanout.Handle]struct{}{}
	}
	r.left[h] = struct{}{}
	if 2*len(r.left) >= len(r.waiting) {
		struck = r.strike()
	}
	if len(r.waiting) == 0 && r.load != nil {
		r.load.unwanted.Store(true)
	}
	return struck
}

// strike takes out what sessions that have ended still wait for.
func (r *room) strike() (struck int) {
	if len(r.left) == 0 {
		return 0
	}
	before := len(r.waiting)
	r.waiting = slices.DeleteFunc(r.waiting, func(m guildMessage) bool {
		_, gone := r.left[m.from()]
		return gone
	})
	r.left = nil
	return before - len(r.waiting)
}

// startLoads has workers read guilds, a few at a time: the others stay in the shard's own line, and
// not in the workers', where everybody's lookups would stand behind them.
func (s *shard) startLoads() {
	defer s.save("load")
	if len(s.unread) == 0 {
		return
	}
	now := s.core.clock()
	if n := s.loads.sweep(now); n > 0 {
		s.core.log.Warn("load: guilds were read for too long, others go on", "count", n)
	}
	for len(s.unread) > 0 {
		g := s.unread[0]
		if p := s.guilds[g.guild]; p == nil || p.room == nil || p.room.load != g {
			// The guild went elsewhere before its turn came.
		} else if len(p.room.waiting) > 0 {
			permit, ok := s.loads.acquire(now)
			if !ok {
				return
			}
			g.permit = permit
			if !s.core.submit(kindJobLoad, s.reader(g)) {
				s.loads.release(permit)
				return // It is tried again on a tick, or when one has been read.
			}
		} else {
			delete(s.guilds, g.guild)
			if to := p.giving; to != nil && to.to != nil {
				s.answer(to.to, g.guild, to.by, claimFree, s.core.mesh.stored())
			}
		}
		s.unread[0] = nil
		if s.unread = s.unread[1:]; len(s.unread) == 0 {
			s.unread = nil
		}
	}
}

// reader is the job of reading a guild.
func (s *shard) reader(g *guildLoad) func() {
	return func() {
		m := &guildLoaded{guildCall: guildCall{g.guild}, load: g, err: errInternal}
		// Whoever waits must be told, should the reading fail in a panic too.
		defer func() { s.inbox.push(m) }()
		if m.skipped = g.unwanted.Load(); m.skipped {
			s.core.abandoned.Add(1)
			return
		}
		m.loaded, m.err = s.core.loadGuild(g.guild)
	}
}

// guildLoaded brings a guild from the worker that read it, or says that the directory has forgotten
// one.
type guildLoaded struct {
	guildCall
	load    *guildLoad // nil when the guild was deleted
	skipped bool       // nobody waited when the worker came to it
	loaded  *fanout.Guild
	err     error
}

func (m *guildLoaded) kind() messageKind           { return kindLoaded }
func (m *guildLoaded) refuse(*shard, error)        {}
func (m *guildLoaded) apply(*shard, *fanout.Guild) {}

// arrived takes in what a worker has read, or lines the guild up again when somebody has come for
// it after the worker found that nobody waited.
func (s *shard) arrived(m *guildLoaded) {
	if m.load != nil {
		s.loads.release(m.load.permit)
	}
	if p := s.guilds[m.guild]; p == nil || p.room == nil || p.room.load != m.load {
		return // The guild went elsewhere meanwhile.
	}
	if m.skipped {
		s.unread = append(s.unread, m.load)
		return
	}
	s.loaded(m.guild, m.loaded, m.err)
}

// loaded lets those who wait have the guild, or hear why not.
func (s *shard) loaded(id wire.Snowflake, g *fanout.Guild, err error) {
	p := s.guilds[id]
	s.core.abandoned.Add(uint64(p.room.strike()))
	waiting := p.room.waiting
	p.room = nil
	if p.guild = s.attuned(g); g == nil {
		delete(s.guilds, id)
		s.vacant = p
		defer func() { s.vacant = nil }()
	} else {
		s.serves(id)
		s.listChannels(g)
		s.walkOn(g)
	}
	for _, m := range waiting {
		switch p := s.guilds[id]; {
		case err != nil:
			m.refuse(s, err)
		case p == nil:
			s.apply(m, nil)
		default:
			// The guild may have been made by one of those who waited, or deleted.
			s.handleGuild(m)
		}
	}
	if made := s.guilds[id]; made != nil {
		s.giveOn(id, made)
	} else if to := p.giving; to != nil && to.to != nil {
		s.answer(to.to, id, to.by, claimFree, s.core.mesh.stored())
	}
}
