package node

import (
	"maps"
	"slices"

	"throng/fanout"
	"throng/wire"
	"throng/wire/pack"
)

// A guild that is another node's by a new view is handed to it while it serves, and its sessions
// notice nothing: no event is lost, none comes twice or in another order, and nobody is told of the
// guild anew. Giving it up (see give) costs each session a GUILD_CREATE and whatever was published
// until it was in again, seconds for 18,000 sessions; that is what remains for when a hand-off
// fails.
//
// The one who has it, A, offers the guild to B. B reads the members from its directory and says
// when it is ready, and A carries to it what else there is, see fanout.Carry, in small steps behind
// what comes meanwhile. When little is left, and the log has all that the guild has changed, A
// carries that, 1 to 4 ms for 1,000 users who have changed, and in the same turn is the owner no
// more: it has become a link to B, like any other. So there is one moment at which the guild goes
// from one to the other, and nobody has to agree on it. Before, A can think better of it and has
// lost nothing. After, B has the guild as soon as that last part is there; if it never comes, or B
// cannot use it, nobody has the guild, and who asks for it claims it as after the loss of a node.
//
// Who follows A is told in A's stream, behind all that A has said (itemMoved), that B is to be
// followed. What B says may be there before, and waits until then. What was asked of A and is still
// on its way A passes on to B, and what is asked of B directly waits there until the word of the
// one who asks that it will ask A no more has come by way of A (itemMarker). So what each session
// asks is heard in its order. When A is lost meanwhile, B turns away those whose word has not come:
// what they asked may be lost, and they join anew.
//
// To have all agree before the guild moves, with a freeze until they do, is what was rejected: the
// guild stands still for two trips between all nodes in place of none, and each failure on the way
// has to be answered with who owns the guild then.
//
// Invariants: a guild that is handed over is parked or serves until the last part is sent, and is
// not there afterwards; B has it only by that part.
type handing struct {
	// Static after construction.
	to       *remote
	number   uint64 // Of this one, of all that there were on this shard.
	deadline int64  // By the wall clock: then it has failed.
	patience int64  // The same: then the guild is parked until the log has all.

	// Owned by the shard goroutine.
	claim   uint64 // The generation of a claim by to, or 0.
	offered bool   // The log has what the guild had changed before.
	ready   bool   // B reads what is carried.
	frozen  bool   // Messages wait.
	flight  int    // Parts that B has not read.
	due     bool   // handStep is on its way.
}

// What B says of an offer.
const (
	handReady   = iota
	handRead    // One part.
	handRefused // It does not take the guild.
	handAnswers
)

// handOver has a guild handed to the node that is to own it, behind others.
func (s *shard) handOver(id wire.Snowflake, p *place) {
	if !p.guild.HasSessionState() {
		s.give(p, id, nil, 0)
		return
	}
	if !p.inLine {
		p.inLine = true
		s.toHand = append(s.toHand, id)
	}
	s.startHanding()
}

// startHanding begins with the next, as long as there are few under way.
func (s *shard) startHanding() {
	for len(s.toHand) > 0 && len(s.handings) < s.core.limits.handoffsMax {
		id := s.toHand[0]
		s.toHand = s.toHand[1:]
		p := s.guilds[id]
		if p != nil {
			p.inLine = false
		}
		node, here := s.core.mesh.owner(id)
		if p == nil || p.guild == nil || p.giving != nil || p.handing != nil || here || node == "" {
			continue
		}
		if to := s.core.mesh.remote(node); to != nil && p.tries < s.core.limits.handoffTriesMax {
			s.beginHanding(id, p, to, 0)
		} else {
			s.give(p, id, nil, 0)
		}
	}
}

// beginHanding begins to hand a guild over.
func (s *shard) beginHanding(id wire.Snowflake, p *place, to *remote, claim uint64) {
	now := s.core.wall()
	s.hands++
	p.tries++
	p.handing = &handing{to: to, number: s.hands, claim: claim,
		deadline: now + s.core.limits.handoffMilli, patience: now + s.core.limits.handoffQuietMilli}
	s.handings[id] = p
	p.guild.Carry()
	if p.keeping != nil {
		p.keeping.before = p.earlier
		p.earlier, p.keeping = p.keeping, nil
	}
	s.wantTick(p.handing.deadline)
	s.handOn(id, p)
}

// handOn does what can be done now to hand a guild over.
func (s *shard) handOn(id wire.Snowflake, p *place) {
	h, l := p.handing, &s.core.limits
	switch {
	case h == nil || p.guild == nil || s.guilds[id] != p:
		return
	case !h.offered:
		if p.kept(p.earlier) {
			h.offered, p.earlier = true, nil
			item := pack.AppendUint(s.begin(itemOffer, id), h.number)
			s.send(h.to, pack.AppendUint(item, s.core.mesh.stored()))
		}
		return
	case !h.ready || h.flight >= l.handoffPartsMax:
		return
	}
	c := p.guild.Carried()
	if c == nil {
		s.stopHanding(id, p)
		return
	}
	if c.Left() > l.handoffLastMax {
		h.flight++
		s.send(h.to, c.Next(s.handItem(id, h, false), l.handoffLooks, l.handoffPartBytes))
		s.handLater(id, h)
		return
	}
	now := s.core.wall()
	h.frozen = h.frozen || now >= h.patience && len(p.holds) == 0
	for number, f := range p.far {
		if s.core.mesh.numbered(number) == nil && !f.away {
			s.handLater(id, h) // The end of a remote is on its way.
			return
		}
	}
	quiet := h.frozen || c.Quiet()
	if quiet && len(p.holds) == 0 && p.kept(p.keeping) && s.core.mesh.owning() == s.incarnation {
		s.handLast(id, p)
	} else {
		s.wantTick(now + handAgainMilli)
	}
}

// kept says whether all that a guild has given to the keeper is kept; if not, allKept says when.
func (*place) kept(k *keeping) bool {
	all := true
	for ; k != nil; k = k.before {
		k.leaving.Store(true)
		all = k.count.Load() == 0 && all
	}
	return all
}

// handLater goes on behind what waits.
func (s *shard) handLater(id wire.Snowflake, h *handing) {
	if !h.due {
		h.due = true
		s.inbox.push(&handStep{guildCall{id}, h})
	}
}

// handStep has a guild handed over further.
type handStep struct {
	guildCall
	of *handing
}

func (m *handStep) kind() messageKind           { return kindMesh }
func (m *handStep) refuse(*shard, error)        {}
func (m *handStep) apply(*shard, *fanout.Guild) {}

func (m *handStep) do(s *shard) {
	if p := s.guilds[m.guild]; p != nil && p.handing == m.of {
		m.of.due = false
		s.handOn(m.guild, p)
	}
}

// handItem begins an item with a part of what is carried: with the loops that sessions in it are
// on, as this node numbers them.
func (s *shard) handItem(id wire.Snowflake, h *handing, last bool) []byte {
	item := pack.AppendUint(s.begin(itemCarry, id), h.number)
	item = pack.AppendFlags(item, last)
	item = pack.AppendUint(item, uint64(len(s.core.loops)))
	remotes := s.core.mesh.table.Load().byNumber
	item = pack.AppendUint(item, uint64(len(remotes)))
	for _, r := range remotes {
		name := ""
		if r != nil {
			name = r.node
		}
		item = pack.AppendString(item, name)
	}
	return item
}

// handLast carries the last, and makes the guild's place a link to its owner.
func (s *shard) handLast(id wire.Snowflake, p *place) {
	h, g := p.handing, p.guild
	parts, change := g.Carried().Last(s.core.limits.handoffPartBytes)
	s.emit(g, &change)
	delete(s.handings, id)
	k := s.openLink(id).link
	s.serves(id)
	k.to, k.forwards = h.to, map[int]uint64{}
	k.sessions = make(map[fanout.Handle]bool, g.Info().SessionCount)
	g.EachSession(func(handle fanout.Handle) {
		if int(handle.Loop) < len(k.perLoop) {
			k.sessions[handle] = true
			k.perLoop[handle.Loop]++
		}
	})
	for i, part := range parts {
		last := i == len(parts)-1
		item := s.handItem(id, h, last)
		if last {
			item = s.appendLinks(item, p, k)
		}
		s.send(h.to, append(item, part...))
	}
	for number, f := range p.far {
		r := s.core.mesh.numbered(number)
		if r == nil || f.away {
			continue
		}
		k.forwards[number] = f.number
		if r != h.to {
			item := pack.AppendUint(s.begin(itemMoved, id), f.number)
			s.send(r, pack.AppendString(item, h.to.node))
		}
	}
	s.send(h.to, pack.AppendUint(s.begin(itemHello, id), k.number))
	g.Close()
	s.unlistChannels(id, p.channels, nil)
	s.core.members.Add(-int64(g.Info().MemberCount))
	delete(s.due, id)
	s.core.handed.Add(1)
	s.unpark(id, p)
	s.closeLink(id, s.guilds[id])
	s.startHanding()
}

// appendLinks appends the links that there are to the guild, that of this node among them.
func (s *shard) appendLinks(item []byte, p *place, own *link) []byte {
	item = pack.AppendString(pack.AppendUint(append(item, 1), own.number), s.core.mesh.self)
	numbers := make([]int, 0, len(p.far))
	for number, f := range p.far {
		if s.core.mesh.numbered(number) != nil && !f.away {
			numbers = append(numbers, number)
		}
	}
	slices.Sort(numbers)
	for _, number := range numbers {
		item = pack.AppendUint(append(item, 1), p.far[number].number)
		item = pack.AppendString(item, s.core.mesh.numbered(number).node)
	}
	return append(item, 0)
}

// handAnswer takes the word of who is offered a guild.
func (s *shard) handAnswer(m *farItem) error {
	number, answer := m.rest.Uint(numberMax), m.rest.Byte()
	if !m.rest.Done() || answer >= handAnswers {
		return errItem
	}
	p := s.guilds[m.guild]
	if p == nil || p.handing == nil || p.handing.to != m.remote || p.handing.number != number {
		return nil
	}
	h := p.handing
	switch answer {
	case handReady:
		h.ready = true
	case handRead:
		h.flight--
	case handRefused:
		s.failHanding(m.guild, p)
		return nil
	}
	s.handLater(m.guild, h)
	return nil
}

// stopHanding has a guild stay that was being handed over. What waits goes on.
func (s *shard) stopHanding(id wire.Snowflake, p *place) {
	if p.handing != nil {
		s.endHanding(id, p)
		s.unpark(id, p)
		s.startHanding()
	}
}

// endHanding is the end of handing a guild over. What waits may not go on yet.
func (s *shard) endHanding(id wire.Snowflake, p *place) {
	h := p.handing
	if h == nil {
		return
	}
	p.handing = nil
	delete(s.handings, id)
	if p.guild != nil {
		p.guild.EndCarry()
	}
	if h.offered {
		s.send(h.to, pack.AppendUint(s.begin(itemKeep, id), h.number))
	}
}

// yield gives a guild to who has claimed it, as it is if that can be.
func (s *shard) yield(p *place, id wire.Snowflake, to *remote, by uint64) {
	if h := p.handing; h != nil && h.to == to {
		h.claim = by
		return
	}
	s.stopHanding(id, p)
	l := &s.core.limits
	if p.giving != nil || p.guild == nil || s.guilds[id] != p || !p.guild.HasSessionState() ||
		s.parks(p) || p.tries >= l.handoffTriesMax || len(s.handings) >= l.handoffClaimsMax {
		s.give(p, id, to, by)
		return
	}
	s.beginHanding(id, p, to, by)
}

// failHanding follows a failure: the guild is given up to who has claimed it, or handed over again,
// some times.
func (s *shard) failHanding(id wire.Snowflake, p *place) {
	h := p.handing
	s.core.handsFailed.Add(1)
	s.stopHanding(id, p)
	if s.guilds[id] != p || p.guild == nil || p.giving != nil || p.handing != nil {
		return
	}
	if h.claim != 0 {
		to := h.to
		if s.core.mesh.numbered(to.number) != to {
			to = nil
		}
		s.give(p, id, to, h.claim)
	} else {
		s.handOver(id, p)
	}
}

// handAgainMilli is how often it is looked whether a guild can go that has been carried.
const handAgainMilli = 50

// tickHandings sees to the hand-offs that take long. It returns when it is to be called again.
func (s *shard) tickHandings(now int64) (soonest int64) {
	ids := make([]wire.Snowflake, 0, len(s.handings))
	for id := range s.handings {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		p := s.handings[id]
		if p == nil {
			continue
		}
		h := p.handing
		if now >= h.deadline {
			s.failHanding(id, p)
			continue
		}
		at := h.deadline
		if h.ready {
			s.handLater(id, h)
			at = now + handAgainMilli
		}
		if soonest == 0 || at < soonest {
			soonest = at
		}
	}
	return soonest
}

// handAnew follows a new view: the guild may be another's, or this node's after all.
func (s *shard) handAnew(id wire.Snowflake, p *place) {
	node, here := s.core.mesh.owner(id)
	if h := p.handing; h != nil {
		if h.to.node == node || h.claim > s.core.mesh.generation() {
			return
		}
		s.stopHanding(id, p)
	}
	if !here && node != "" && s.guilds[id] == p && p.guild != nil && p.giving == nil &&
		p.handing == nil {
		p.tries = 0
		s.handOver(id, p)
	}
}

// offeredAgain looks at offers that came ahead of the view by which they were made.
func (s *shard) offeredAgain() {
	for _, id := range slices.Sorted(maps.Keys(s.offers)) {
		m := s.offers[id]
		delete(s.offers, id)
		if err := s.offeredTo(m); err != nil {
			s.core.mesh.void(m.remote, err)
		}
	}
}

// handsWithout follows the end of a remote in the hand-offs under way.
func (s *shard) handsWithout(r *remote) {
	for _, id := range slices.Sorted(maps.Keys(s.offers)) {
		if s.offers[id].remote == r {
			delete(s.offers, id)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(s.takings)) {
		t := s.takings[id]
		if t == nil || t.from != r && t.remotes[r.node] != r {
			continue
		}
		if t.from != r {
			s.answerOffer(t, id, handRefused)
		}
		s.dropTaking(id, t)
	}
	for _, id := range slices.Sorted(maps.Keys(s.handings)) {
		if p := s.handings[id]; p != nil && p.handing.to == r {
			s.failHanding(id, p)
		}
	}
}

// holdsWithout does so in the holds of a guild here.
func (s *shard) holdsWithout(id wire.Snowflake, p *place, r *remote) {
	delete(p.holds, r.number)
	if p.heir == r {
		p.heir = nil
		for _, key := range slices.Sorted(maps.Keys(p.holds)) {
			s.turnAwayHeld(id, p, key)
		}
	}
	if p.handing != nil {
		s.handLater(id, p.handing)
	}
}
