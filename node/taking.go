package node

import (
	"throng/fanout"
	"throng/wire"
	"throng/wire/pack"
)

// taking is a guild on its way from another node, which hands it over; see handing.
type taking struct {
	// Static after construction.
	from       *remote
	number     uint64
	by         uint64 // The view by which it was offered,
	generation uint64 // and that by which this node is to own it.

	// Owned by the shard goroutine.
	guild *fanout.Guild // nil before it is read
	take  *fanout.Take
	loops int      // Of the other node.
	nodes []string // Of its remotes, by their numbers behind these.
	count int      // Members that it was read with.
	// remotes are those whose sessions are in it. When one of them is over the taking is too, and
	// not only when there is no other of its name.
	remotes map[string]*remote
	claims  []*farItem
	asks    []*farItem // What is asked of this node already, and who follows it already.
	wheres  []*whereGuild
}

// hold is what a node asks of a guild before its word comes that it asks the former owner no more.
type hold struct {
	number uint64  // Of its link.
	remote *remote // Nil: of this node itself.
	asks   []guildMessage
}

// ownHold is the number of this node's own sessions among the holds.
const ownHold = -1

// offeredTo takes the offer of a guild, unless this node has it or is not to have it. One by a view
// that this node has not seen waits for that.
func (s *shard) offeredTo(m *farItem) error {
	number, after := m.rest.Uint(numberMax), m.rest.Uint(numberMax)
	if !m.rest.Done() {
		return errItem
	}
	t := &taking{from: m.remote, number: number, by: m.generation,
		generation: s.core.mesh.generation(), remotes: map[string]*remote{}}
	before := s.takings[m.guild]
	if before != nil && before.from != m.remote && m.generation < before.by {
		// It has been on its way for long. Who has the guild now has it by a later view.
		s.answerOffer(t, m.guild, handRefused)
		return nil
	}
	s.dropTaking(m.guild, before)
	if m.generation > t.generation {
		m.rest = pack.NewReader(pack.AppendUint(pack.AppendUint(nil, number), after))
		s.offers[m.guild] = m
		return nil
	}
	delete(s.offers, m.guild)
	p := s.guilds[m.guild]
	_, here := s.core.mesh.owner(m.guild)
	loading := p != nil && p.room != nil && p.room.claim == nil
	if !here || loading || p != nil && p.guild != nil {
		s.answerOffer(t, m.guild, handRefused)
		return nil
	}
	s.takings[m.guild] = t
	s.core.mesh.catchUp(s.core.mesh.view.Load(), after, func(err error) {
		read := &taken{guildCall: guildCall{m.guild}, of: t, err: err}
		if err == nil && s.core.submit(kindJobTake, func() {
			defer func() { s.inbox.push(read) }()
			read.err = errInternal
			read.guild, read.err = s.core.loadGuild(m.guild)
		}) {
			return
		}
		s.inbox.push(read)
	})
	return nil
}

func (s *shard) answerOffer(t *taking, guild wire.Snowflake, answer byte) {
	s.send(t.from, append(pack.AppendUint(s.begin(itemOffered, guild), t.number), answer))
}

// taken brings a guild that is on its way from another node as a worker has read it.
type taken struct {
	guildCall
	of    *taking
	guild *fanout.Guild
	err   error
}

func (m *taken) kind() messageKind           { return kindMesh }
func (m *taken) refuse(*shard, error)        {}
func (m *taken) apply(*shard, *fanout.Guild) {}

func (m *taken) do(s *shard) {
	t := m.of
	if s.takings[m.guildCall.guild] != t {
		s.core.uncount(m.guild)
		return
	}
	if m.guild == nil {
		s.answerOffer(t, m.guildCall.guild, handRefused)
		s.dropTaking(m.guildCall.guild, t)
		return
	}
	t.guild, t.count = m.guild, m.guild.Info().MemberCount
	t.take = t.guild.Take(func(h fanout.Handle) (fanout.Handle, bool) { return s.homeOf(t, h) })
	s.answerOffer(t, m.guildCall.guild, handReady)
}

// uncount takes a guild's members off the count, of one that was read for nothing.
func (c *core) uncount(g *fanout.Guild) {
	if g != nil {
		c.members.Add(-int64(g.Info().MemberCount))
	}
}

// homeOf is what a session is called here that the other node calls h.
func (s *shard) homeOf(t *taking, h fanout.Handle) (here fanout.Handle, ok bool) {
	if int(h.Loop) < t.loops {
		return farHandle(t.from, h)
	}
	at := int(h.Loop) - t.loops
	if at >= len(t.nodes) {
		return h, false
	}
	if t.nodes[at] == s.core.mesh.self {
		here = homeHandle(h)
		return here, int(here.Loop) < len(s.core.loops)
	}
	r := s.remoteOf(t, t.nodes[at])
	if r == nil {
		return h, false
	}
	return fanout.Handle{Loop: uint16(r.number), Slot: h.Slot, Gen: h.Gen}, true
}

// remoteOf is a remote as the guild on its way knows it.
func (s *shard) remoteOf(t *taking, node string) *remote {
	r := t.remotes[node]
	if r == nil {
		if r = s.core.mesh.remote(node); r != nil {
			t.remotes[node] = r
		}
	}
	return r
}

// carried takes a part of a guild.
func (s *shard) carried(m *farItem) error {
	number := m.rest.Uint(numberMax)
	last := m.rest.Flags(1).Has(0)
	loops := int(m.rest.Uint(farLoopsMax))
	nodes := make([]string, m.rest.Count(1))
	for i := range nodes {
		nodes[i] = m.rest.String(nodeNameMax)
	}
	var links []linkEntry
	for last && m.rest.Byte() == 1 {
		links = append(links, linkEntry{m.rest.Uint(numberMax), m.rest.String(nodeNameMax)})
	}
	part := m.rest.Rest()
	if m.rest.Failed() {
		return errItem
	}
	t := s.takings[m.guild]
	if t == nil || t.from != m.remote || t.number != number || t.take == nil {
		if last {
			s.lostHand(m.guild, m.remote) // Who else follows this node learns it by its hello.
		}
		return nil
	}
	t.loops, t.nodes = loops, nodes
	err := t.take.Next(part)
	switch {
	case err != nil:
		s.core.log.Warn("hand-off: a guild cannot be taken", "guild", m.guild, "err", err)
		s.answerOffer(t, m.guild, handRefused)
		s.dropTaking(m.guild, t)
		if last {
			s.lostHand(m.guild, m.remote)
		}
	case last:
		s.takeOver(m.guild, t, links)
	default:
		s.answerOffer(t, m.guild, handRead)
	}
	return nil
}

const (
	farLoopsMax = 1 << 15
	nodeNameMax = 1 << 10
)

// linkEntry is a link to a guild on its way, and whose.
type linkEntry struct {
	number uint64
	node   string
}

// keptThere is the word of who has offered a guild that it keeps it.
func (s *shard) keptThere(m *farItem) error {
	number := m.rest.Uint(numberMax)
	if !m.rest.Done() {
		return errItem
	}
	if t := s.takings[m.guild]; t != nil && t.from == m.remote && t.number == number {
		s.dropTaking(m.guild, t)
	}
	if o := s.offers[m.guild]; o != nil && o.remote == m.remote {
		delete(s.offers, m.guild)
	}
	return nil
}

// dropTaking forgets a guild that does not come.
func (s *shard) dropTaking(id wire.Snowflake, t *taking) {
	if t == nil {
		return
	}
	delete(s.takings, id)
	if t.guild != nil {
		s.core.members.Add(-int64(t.count))
		t.guild.Close()
	}
	s.afterTaking(t)
}

// afterTaking goes on with what waited for a guild to come, or not to.
func (s *shard) afterTaking(t *taking) {
	for _, m := range append(t.claims, t.asks...) {
		if s.core.mesh.numbered(m.remote.number) != m.remote {
			continue
		}
		var err error
		switch m.what {
		case itemClaim:
			err = s.claimedBy(m)
		case itemAsk:
			err = s.asked(m)
		case itemHello:
			err = s.hello(m)
		}
		if err != nil {
			s.core.mesh.void(m.remote, err)
		}
	}
	s.askedAgain(t.wheres)
}

// takeOver makes a guild that has come this node's.
func (s *shard) takeOver(id wire.Snowflake, t *taking, links []linkEntry) {
	change, err := t.take.Done(s.core.wall())
	if err != nil {
		s.core.log.Warn("hand-off: a guild cannot be taken", "guild", id, "err", err)
		s.dropTaking(id, t)
		s.lostHand(id, t.from)
		return
	}
	delete(s.takings, id)
	delete(s.claims, id)
	delete(s.unlinked, id)
	old := s.guilds[id]
	if old != nil && old.link != nil {
		s.linked--
	}
	p := &place{guild: s.attuned(t.guild), token: t.generation, far: map[int]*farLink{},
		heir: t.from, holds: map[int]*hold{}}
	s.guilds[id] = p
	s.serves(id)
	s.core.members.Add(int64(p.guild.Info().MemberCount - t.count))
	own, listed := false, false
	for _, l := range links {
		if l.node == s.core.mesh.self {
			if own = old != nil && old.link != nil && old.link.to == t.from &&
				old.link.number == l.number; own {
				p.own, p.holds[ownHold] = old.link, &hold{number: l.number}
			}
			listed = true
			s.send(t.from, pack.AppendUint(s.begin(itemMarker, id), l.number))
		} else if l.node == t.from.node {
			p.far[t.from.number] = &farLink{number: l.number}
		} else if r := s.remoteOf(t, l.node); r != nil {
			p.far[r.number] = &farLink{number: l.number}
			p.holds[r.number] = &hold{number: l.number, remote: r}
		}
	}
	s.listChannels(p.guild)
	s.emit(p.guild, &change)
	if listed && !own {
		s.leaveOwnLoops(p)
	}
	s.goOnWith(id, p, old, own)
	s.afterTaking(t)
	if _, here := s.core.mesh.owner(id); !here && s.guilds[id] == p && p.handing == nil &&
		p.giving == nil {
		s.handOver(id, p)
	}
}

// goOnWith goes on with a guild, and with who waited at its place before.
func (s *shard) goOnWith(id wire.Snowflake, p, old *place, own bool) {
	g := p.guild
	s.schedule(g)
	s.walkOn(g)
	s.listsOn(g)
	s.goOn(g)
	switch {
	case old == nil || own:
	case old.link != nil:
		s.letGo(id, old.link)
		for _, m := range old.link.waiting {
			s.handleGuild(m)
		}
	case old.room != nil:
		s.core.abandoned.Add(uint64(old.room.strike()))
		for _, m := range old.room.waiting {
			s.handleGuild(m)
		}
		if c := old.room.claim; c != nil {
			s.askedAgain(c.wheres)
		}
	}
	if old != nil && old.link != nil {
		for _, m := range old.link.asks {
			s.handleGuild(m)
		}
	}
}

// leaveOwnLoops has a guild forget the sessions of this node: they have let go of it.
func (s *shard) leaveOwnLoops(p *place) {
	for loop := range s.core.loops {
		change, _, _ := p.guild.LeaveLoop(loop, 0, allReceivers, s.core.wall())
		s.emit(p.guild, &change)
	}
}

// holdFor is where a message to a guild here has to wait, nil when it need not.
func (p *place) holdFor(m guildMessage) *hold {
	if len(p.holds) == 0 {
		return nil
	}
	switch m := m.(type) {
	case *passedOn:
		return nil
	case *farAsk:
		return p.holds[m.remote.number]
	default:
		if m.from() == (fanout.Handle{}) {
			return nil
		}
		return p.holds[ownHold]
	}
}

// hold has a message wait.
func (s *shard) hold(h *hold, m guildMessage) {
	if len(h.asks) >= s.core.limits.guildWaitMax && m.kind() != kindLeave {
		m.refuse(s, errGuildBusy)
		return
	}
	h.asks = append(h.asks, m)
}

// releaseHold goes on with what waited for a node's word.
func (s *shard) releaseHold(id wire.Snowflake, p *place, key int) {
	h := p.holds[key]
	if h == nil {
		return
	}
	delete(p.holds, key)
	if key == ownHold {
		p.own = nil
	}
	for _, m := range h.asks {
		s.handleGuild(m)
	}
	if p.handing != nil {
		s.handLater(id, p.handing)
	}
}

// turnAwayHeld turns away those whose word can no longer come: something that they asked is lost.
func (s *shard) turnAwayHeld(id wire.Snowflake, p *place, key int) {
	h := p.holds[key]
	if h == nil {
		return
	}
	if key == ownHold {
		s.letGo(id, p.own)
		if p.guild != nil {
			s.leaveOwnLoops(p)
		}
	} else if r := s.core.mesh.numbered(key); r != nil {
		s.dropFar(id, p, r, h.number)
	}
	s.releaseHold(id, p, key)
}

// dropFar has a guild forget the sessions of a remote's link, and the link begin anew.
func (s *shard) dropFar(id wire.Snowflake, p *place, r *remote, number uint64) {
	f := p.far[r.number]
	if f == nil || f.number != number || f.away || p.guild == nil {
		return
	}
	change, _, _ := p.guild.LeaveLoop(r.number, 0, allReceivers, s.core.wall())
	f.away = true
	s.emit(p.guild, &change)
	s.settleFar(id, r.number)
	s.turnAway(r, id, number)
}
