package node

import (
	"runtime/debug"
	"slices"
	"sync/atomic"

	"throng/fanout"
	"throng/store"
	"throng/wire"
)

// shard owns the guilds that hash to it: their state, their order of events.
//
// Like a loop it runs on one goroutine, its driver's, which calls pass. It may wait in one place
// only, for room in a loop's inbox, and loops never wait: so when a loop is behind, the shard is,
// its own inbox fills, and whoever publishes is told to come later.
type shard struct {
	// Static after construction.
	core  *core
	index int
	inbox *inbox[guildMessage]

	// Owned by the shard goroutine.
	dials  dials // a copy of its own
	guilds map[wire.Snowflake]*place
	due    map[wire.Snowflake]int64 // guild -> when it wants its tick, in unix milliseconds
	work   []guildMessage
	unread []*guildLoad // guilds in line to be read
	loads  *semaphore   // of those that workers are at

	// What there is only in a cluster; see mesh.
	incarnation uint64 // as which it owns what it has
	claims      map[wire.Snowflake]*place
	parked      map[wire.Snowflake]*place
	unlinked    map[wire.Snowflake]*place   // links without an owner
	unsaid      map[wire.Snowflake]struct{} // guilds with handouts
	links       uint64                      // how many there were
	linked      int                         // how many there are
	answering   *farAsk                     // what is being answered
	vacant      *place                      // of a guild that was found not to be, until it is made
	handings    map[wire.Snowflake]*place   // guilds that are handed over now
	toHand      []wire.Snowflake            // and that are to be; see handing
	hands       uint64                      // how many there were
	takings     map[wire.Snowflake]*taking
	offers      map[wire.Snowflake]*farItem // by views that this node has not seen
	adrift      map[wire.Snowflake]struct{} // guilds whose owner is lost, and that wait
	adriftLine  []wire.Snowflake            // the same in order, and some that wait no more
	relinked    int                         // links that have begun anew since the last tick
	published   published
	timed       timedEvents
	item        []byte // scratch

	// Atomic: a tick is on its way. When the first of due is, 0 when there is none, written by the
	// shard.
	ticking atomic.Bool
	soonest atomic.Int64

	// Atomic: written by the shard, read by metrics.
	stats shardStats
}

// guildMessage is something that is asked of a guild.
type guildMessage interface {
	id() wire.Snowflake
	// apply is called on the shard's goroutine, with nil when there is no such guild.
	apply(s *shard, g *fanout.Guild)
	// refuse is called when the message cannot be served: the guild's state could not be read, or
	// too many wait for it already.
	refuse(s *shard, err error)
	kind() messageKind
	// from is the session that asks, or the zero handle.
	from() fanout.Handle
}

// guildCall is the part that all guild messages have.
type guildCall struct{ guild wire.Snowflake }

func (c guildCall) id() wire.Snowflake  { return c.guild }
func (c guildCall) from() fanout.Handle { return fanout.Handle{} }

func newShard(c *core, index int, ring func()) *shard {
	s := &shard{
		core: c, index: index, dials: dialsOf(&c.limits), guilds: map[wire.Snowflake]*place{},
		due:    map[wire.Snowflake]int64{},
		claims: map[wire.Snowflake]*place{}, parked: map[wire.Snowflake]*place{},
		unlinked: map[wire.Snowflake]*place{}, unsaid: map[wire.Snowflake]struct{}{},
		handings: map[wire.Snowflake]*place{}, takings: map[wire.Snowflake]*taking{},
		offers: map[wire.Snowflake]*farItem{}, adrift: map[wire.Snowflake]struct{}{},
		inbox: newInbox[guildMessage](c.limits.shardInboxMax, ring),
		loads: newSemaphore(c.limits.guildLoadsMax, c.limits.guildLoadsMax, c.limits.loadMilli),
	}
	s.stats.init(c, "shard", index, ring)
	s.stats.clock = &s.stats.thread
	return s
}

// pass works through what waits; it reports false when there was nothing.
func (s *shard) pass() bool {
	s.work = s.inbox.take(s.work)
	if len(s.work) > 0 || len(s.unread) > 0 {
		s.stats.thread.start(nanos())
		defer s.stats.thread.stop()
	}
	for i, m := range s.work {
		s.work[i] = nil
		s.stats.pause()
		s.stats.on(m.kind(), m.id())
		s.handle(m)
	}
	if len(s.unread) > 0 {
		s.stats.on(kindLoads, 0)
	}
	s.startLoads()
	s.stats.rest()
	s.stats.pause()
	if len(s.unread) > 0 {
		s.soonest.Store(1) // The next tick is to try again.
	}
	s.stats.guilds.Store(int64(len(s.guilds) - s.linked))
	s.stats.links.Store(int64(s.linked))
	s.stats.claims.Store(int64(len(s.claims)))
	s.stats.adrift.Store(int64(len(s.adrift)))
	s.stats.leaving.Store(int64(len(s.handings) + len(s.toHand)))
	s.stats.coming.Store(int64(len(s.takings)))
	return len(s.work) > 0
}

func (s *shard) handle(m guildMessage) {
	defer s.contain(m)
	if len(s.adrift) > 0 {
		s.anew(m.id())
	}
	switch m := m.(type) {
	case *eachGuild:
		s.each(m)
		return
	case *shardTick:
		s.tick()
		return
	case *errandBatch:
		m.do(s)
		return
	case *fence:
		m.pass()
		return
	case *guildLoaded:
		s.arrived(m)
		return
	case *farItem:
		s.far(m)
		return
	case meshMessage:
		m.do(s)
		return
	}
	s.handleGuild(m)
}

// handleGuild takes a message to a guild, wherever that is.
func (s *shard) handleGuild(m guildMessage) {
	switch p := s.guilds[m.id()]; {
	case p == nil && m.kind() == kindLeave:
		// Nobody has been taken in by a guild that is not there.
	case p == nil && m.kind() == kindInvite:
		m.apply(s, nil) // Nor sent away.
	case p == nil:
		s.open(m)
	case p.link != nil:
		s.ask(p, m)
	case p.guild != nil && p.holdFor(m) != nil:
		s.hold(p.holdFor(m), m)
	case p.guild != nil && s.parks(p):
		s.park(p, m)
	case p.guild != nil && len(p.parked) > 0:
		// The lease is back, and word of that on its way: what waits comes first.
		p.parked = append(p.parked, m)
		s.unpark(m.id(), p)
	case p.guild != nil:
		s.apply(m, p.guild)
	case m.kind() == kindLeave:
		s.core.abandoned.Add(uint64(p.room.leave(m.from())))
	case !p.room.enter(m, s.core.limits.guildWaitMax):
		m.refuse(s, errGuildBusy)
	}
}

// open makes a place for a guild, for the first who asks for it.
func (s *shard) open(m guildMessage) {
	if _, here := s.core.mesh.owner(m.id()); here && !s.core.mesh.behind() {
		s.load(m.id(), m)
		return
	}
	p := s.openLink(m.id())
	s.seekOwner(m.id(), p)
	s.ask(p, m)
}

// apply does one message; a panic costs that message and nothing else.
func (s *shard) apply(m guildMessage, g *fanout.Guild) {
	defer s.contain(m)
	m.apply(s, g)
	if g != nil {
		s.schedule(g)
		s.walkOn(g)
		s.listsOn(g)
		s.goOn(g)
	}
}

// contain refuses a message that has panicked. It is to be deferred.
func (s *shard) contain(m guildMessage) {
	if r := recover(); r != nil {
		s.core.panicked("guild", r, debug.Stack())
		m.refuse(s, errInternal)
	}
}

// save keeps a panic that no message is to blame for from ending the shard. It is to be deferred.
func (s *shard) save(where string) {
	if r := recover(); r != nil {
		s.core.panicked(where, r, debug.Stack())
	}
}

// newGuild is a guild with nothing in it, that keeps to the node's limits.
func (c *core) newGuild(id wire.Snowflake) *fanout.Guild {
	g := fanout.NewGuild(id, c.users)
	g.SetLimits(c.limits.guild)
	g.UseVoiceServers(c.voice)
	if c.push != nil {
		g.WantPushes()
	}
	return g
}

// loadGuild reads a guild's document, members and their users. nil, nil = there is none.
func (c *core) loadGuild(id wire.Snowflake) (*fanout.Guild, error) {
	doc, err := c.dir.Guild(uint64(id))
	if err != nil || doc == nil {
		return nil, err
	}
	g := c.newGuild(id)
	if err := g.Restore(doc); err != nil {
		return nil, err
	}
	var members []store.MemberRecord
	err = c.dir.GuildMembers(uint64(id), func(m store.MemberRecord) error {
		members = append(members, m)
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, m := range members {
		if _, err := c.user(wire.Snowflake(m.User)); err != nil {
			return nil, err
		}
	}
	g.RestoreMembers(members)
	c.members.Add(int64(len(members)))
	return g, nil
}

// listChannels has the table of channels hold the guild's channels and threads, and no longer those
// that it had when it was asked before.
func (s *shard) listChannels(g *fanout.Guild) {
	p := s.guilds[g.ID()]
	now := g.Channels()
	s.unlistChannels(g.ID(), p.channels, now)
	for _, channel := range now {
		if _, known := slices.BinarySearch(p.channels, channel); !known {
			s.core.channels.Store(channel, g.ID())
		}
	}
	p.channels = now
}

// unlistChannels takes a guild's channels off the table, but for those that it still has. Both are
// sorted.
func (s *shard) unlistChannels(guild wire.Snowflake, channels, but []wire.Snowflake) {
	gone := func(of wire.Snowflake, there bool) (wire.Snowflake, bool) {
		return of, !there || of == guild
	}
	for _, channel := range channels {
		if _, kept := slices.BinarySearch(but, channel); !kept {
			s.core.channels.Compute(channel, gone)
		}
	}
}

// adopt takes in a guild that has just been made.
func (s *shard) adopt(g *fanout.Guild) {
	p := &place{guild: s.attuned(g)}
	if v := s.vacant; v != nil {
		p.token, p.far, p.giving = v.token, v.far, v.giving
	}
	s.guilds[g.ID()] = p
	s.serves(g.ID())
}

// forget drops a guild that has been deleted. Its place stays until the directory has forgotten it
// too (see settle), and who asks for the guild waits there: read before, it would come back.
func (s *shard) forget(g *fanout.Guild) {
	s.unlistChannels(g.ID(), s.guilds[g.ID()].channels, nil)
	p := s.guilds[g.ID()]
	for _, f := range p.far {
		f.handed = f.sent
	}
	s.endHanding(g.ID(), p)
	s.guilds[g.ID()] = &place{room: &room{}, token: p.token, far: p.far, giving: p.giving}
	s.serves(g.ID())
	for _, h := range p.holds {
		for _, m := range h.asks {
			s.handleGuild(m)
		}
	}
}

// tell gives a loop one step, or a remote. It waits while the loop's inbox is full.
func (s *shard) tell(loop int, m *relayStep) {
	if loop >= len(s.core.loops) {
		s.tellFar(loop, m)
		return
	}
	if m.Kind == fanout.MsgPublish {
		m.Event.Sent()
	}
	s.core.loops[loop].inbox.pushWait(m)
}

// emit tells the loops what follows from a change, in its order. One message goes to each loop
// that has receivers, however many those are.
func (s *shard) emit(g *fanout.Guild, c *fanout.Change) {
	for i := range c.Msgs {
		m := &relayStep{c.Msgs[i]}
		if m.Loop >= 0 {
			s.tell(m.Loop, m)
			continue
		}
		for _, loop := range g.LoopsOf(m.Loop) {
			s.tell(loop, m)
		}
	}
	for i := range c.Pushes {
		s.core.push(g.ID(), &c.Pushes[i])
	}
}

// settle emits a change and calls done once what it has to keep is kept. Then the live sessions of
// users that became members are told as well; among other nodes the directory tells each of them
// what it has applied, and this one too.
func (s *shard) settle(g *fanout.Guild, c *fanout.Change, done func(error)) {
	s.emit(g, c)
	if len(c.Ops) == 0 {
		done(nil)
		return
	}
	core, guild, joined := s.core, g.ID(), c.Joined
	deleted := slices.ContainsFunc(c.Ops, func(op store.Op) bool {
		return op.Kind == store.OpDeleteGuild
	})
	s.keep(guild, c.Ops, func(err error) {
		if deleted {
			s.inbox.push(&guildLoaded{guildCall: guildCall{guild}})
		}
		if len(joined) > 0 && !core.mesh.many() {
			core.membersJoined(guild, joined)
		}
		done(err)
	})
}

// behind says whether the guild has so much on its way to its sessions that whoever publishes more
// has to come again. One more event, or batch of them, always fits on top.
func (s *shard) behind(g *fanout.Guild) bool {
	receivers, events := g.Behind()
	return receivers >= int(s.dials.guildBehind) || events >= int(s.dials.guildEvents)
}
