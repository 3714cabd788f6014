package node

import (
	"throng/fanout"
	"throng/wire"
	"throng/wire/pack"
)

// A guild is owned by the node that the ring names, and rings change. Before a node serves a guild
// that it does not have, it asks every other one (claim), and each answers at the guild's shard:
// that it has nothing of it, or that it has it and now gives it up, or that it knows of a later
// view. When the last has answered, and the directory here has all that the former owner stored,
// the guild is read.
//
// The generation of the view by which a claim is made is the owner's token. All views of one
// generation name the same owner, so no two nodes ever have the same token for a guild; who claims
// by an earlier one gives way. A node that is not in the view is not asked: it has no lease, knows
// that by its own clock, and what it may still write is refused by the log; see cluster.Log.
//
// The other way is a record for each guild in etcd or the log, written when it changes hands. The
// loss of a node that owns 100,000 guilds is then as many writes, some ten seconds of all that
// JetStream can do, before the last of them serves. Asking is a message to each node, 60 bytes, and
// hundreds go in one batch.
type guildClaim struct {
	generation uint64               // 0 while it waits for a view.
	asked      map[*remote]struct{} // Who has not answered.
	after      uint64               // What the directory has to have.
	held       *remote              // Who has it, of those who have answered.
	wheres     []*whereGuild        // They wait for that, or for the end of the claim.
}

// Answers to a claim.
const (
	claimFree  = iota // This node has nothing of the guild. The number: what it has stored last.
	claimHeld         // It has, and is giving it up; it answers again.
	claimLater        // It knows a later view, or owns by one. The number: that generation.
	claimAnswers
)

// load makes a room for those who wait for a guild, and lines the guild up to be read.
func (s *shard) load(id wire.Snowflake, first ...guildMessage) {
	p := &place{room: &room{load: &guildLoad{guild: id}, waiting: first}}
	s.guilds[id] = p
	if !s.core.mesh.many() {
		s.unread = append(s.unread, p.room.load)
		return
	}
	p.room.claim = &guildClaim{}
	s.claims[id] = p
	s.claim(id, p)
}

// claim asks the others for a guild, or waits for a view by which it may.
func (s *shard) claim(id wire.Snowflake, p *place) {
	c := p.room.claim
	*c = guildClaim{asked: map[*remote]struct{}{}, wheres: c.wheres}
	if s.core.mesh.behind() {
		return
	}
	if _, here := s.core.mesh.owner(id); !here {
		s.leaveRoom(id, p)
		return
	}
	view := s.core.mesh.view.Load()
	var others []*remote
	for _, n := range view.Nodes {
		if n.Name == s.core.mesh.self {
			continue
		}
		r := s.core.mesh.remote(n.Name)
		if r == nil {
			return // It is asked when it can be reached; see remoteBegun.
		}
		others = append(others, r)
	}
	c.generation = view.Generation
	for _, r := range others {
		c.asked[r] = struct{}{}
		s.send(r, s.begin(itemClaim, id))
	}
	s.claimSettled(id, p)
}

// claimSettled goes on when nobody is left to answer.
func (s *shard) claimSettled(id wire.Snowflake, p *place) {
	c := p.room.claim
	if c.generation == 0 || len(c.asked) > 0 {
		return
	}
	delete(s.claims, id)
	p.token, p.room.claim = c.generation, nil
	s.askedAgain(c.wheres)
	load := p.room.load
	s.core.mesh.catchUp(s.core.mesh.view.Load(), c.after, func(err error) {
		s.inbox.push(&claimed{guildCall{id}, load, err})
	})
}

// claimed says that the directory has all that there is of a guild.
type claimed struct {
	guildCall
	load *guildLoad
	err  error
}

func (m *claimed) kind() messageKind           { return kindMesh }
func (m *claimed) refuse(*shard, error)        {}
func (m *claimed) apply(*shard, *fanout.Guild) {}

func (m *claimed) do(s *shard) {
	p := s.guilds[m.guild]
	if p == nil || p.room == nil || p.room.load != m.load {
		return
	}
	if m.err != nil {
		s.loaded(m.guild, nil, m.err)
		return
	}
	s.unread = append(s.unread, m.load)
}

// leaveRoom sends those who wait elsewhere: this node is not to own the guild after all.
func (s *shard) leaveRoom(id wire.Snowflake, p *place) {
	delete(s.claims, id)
	delete(s.guilds, id)
	s.core.abandoned.Add(uint64(p.room.strike()))
	for _, m := range p.room.waiting {
		if far, ok := m.(*farAsk); ok {
			far.refuse(s, errElsewhere)
		} else {
			s.handleGuild(m)
		}
	}
	if c := p.room.claim; c != nil {
		s.askedAgain(c.wheres)
	}
}

// claimedBy answers a claim.
func (s *shard) claimedBy(m *farItem) error {
	if !m.rest.Done() {
		return errItem
	}
	by := m.generation
	if t := s.takings[m.guild]; t != nil && t.from != m.remote {
		t.claims = append(t.claims, m)
		s.answerClaim(m, claimHeld, 0)
		return nil
	}
	s.dropTaking(m.guild, s.takings[m.guild])
	p := s.guilds[m.guild]
	v := s.core.mesh.view.Load()
	if v.Generation > by && v.Owner(uint64(m.guild)) != m.remote.node {
		s.answerClaim(m, claimLater, v.Generation)
		return nil
	}
	switch {
	case p == nil || p.link != nil:
		s.answerClaim(m, claimFree, s.core.mesh.stored())
	case p.room != nil && p.room.claim != nil:
		if own := p.room.claim.generation; own > by {
			s.answerClaim(m, claimLater, own)
			return nil
		}
		s.answerClaim(m, claimFree, s.core.mesh.stored())
		s.leaveRoom(m.guild, p)
	case p.token > by:
		s.answerClaim(m, claimLater, p.token)
	default:
		s.answerClaim(m, claimHeld, 0)
		s.yield(p, m.guild, m.remote, by)
	}
	return nil
}

func (s *shard) answerClaim(m *farItem, answer int, number uint64) {
	s.answer(m.remote, m.guild, m.generation, answer, number)
}

func (s *shard) answer(to *remote, guild wire.Snowflake, by uint64, answer int, number uint64) {
	item := pack.AppendUint(s.begin(itemClaimed, guild), by)
	s.send(to, pack.AppendUint(append(item, byte(answer)), number))
}

// claimAnswered takes an answer.
func (s *shard) claimAnswered(m *farItem) error {
	by, answer, number := m.rest.Uint(numberMax), m.rest.Byte(), m.rest.Uint(numberMax)
	if !m.rest.Done() || answer >= claimAnswers {
		return errItem
	}
	p := s.claims[m.guild]
	if p == nil || p.room.claim.generation != by {
		return nil
	}
	c := p.room.claim
	switch _, waits := c.asked[m.remote]; {
	case !waits:
	case answer == claimFree:
		delete(c.asked, m.remote)
		c.after = max(c.after, number)
		s.claimSettled(m.guild, p)
	case answer == claimHeld:
		wheres := c.wheres
		c.held, c.wheres = m.remote, nil
		s.askedAgain(wheres)
	case answer == claimLater:
		s.core.mesh.hear(number)
		s.claim(m.guild, p)
	}
	return nil
}

// claimsWithout follows the end of a remote: it will not answer. One that is still a member, and
// with which things have begun anew, is asked again.
func (s *shard) claimsWithout(r *remote) {
	s.startSweep(s.claims, func(id wire.Snowflake, p *place) (cost int, more bool) {
		if s.claims[id] != p {
			return 1, false
		}
		if _, waits := p.room.claim.asked[r]; !waits {
			return 1, false
		}
		s.claim(id, p)
		return looksPerClaim, false
	}, func() {})
}
