package node

import (
	"maps"
	"slices"

	"throng/fanout"
	"throng/wire"
)

// What becomes of a shard's guilds when nodes come and go. The loss of a node may concern all of
// them, and each may have a million receivers: a shard looks at a few, and goes on behind what came
// to it meanwhile. So the guilds that are not concerned are served as ever, and those that are come
// back one after the other, in place of all at the end. With 100,000 links of a lost node, or
// 100,000 guilds with a session of it, no turn of the shard takes longer than a millisecond
// (BenchmarkRemoteLost); all at once they took it 0.4 and 4 s.

// meshMessage is what a shard does about the cluster rather than about one guild.
type meshMessage interface{ do(s *shard) }

// shardCall is the part that messages to a shard as a whole have.
type shardCall struct{ guildCall }

func (shardCall) kind() messageKind           { return kindMesh }
func (shardCall) refuse(*shard, error)        {}
func (shardCall) apply(*shard, *fanout.Guild) {}

// sweep is a look at all guilds of a shard, a few at a time.
type sweep struct {
	shardCall
	left []wire.Snowflake
	// look says how much it did, in looks at receivers, and whether there is more to do in the
	// guild.
	look func(id wire.Snowflake, p *place) (cost int, more bool)
	end  func()
}

// startSweep begins to look at all guilds of a table that there are now, in the order of their ids.
func (s *shard) startSweep(of map[wire.Snowflake]*place,
	look func(wire.Snowflake, *place) (int, bool), end func()) {
	w := &sweep{look: look, end: end, left: make([]wire.Snowflake, 0, len(of))}
	for id := range of {
		w.left = append(w.left, id)
	}
	slices.Sort(w.left)
	w.do(s)
}

func (w *sweep) do(s *shard) {
	for budget := s.core.limits.sweepLooksMax; len(w.left) > 0; {
		if budget <= 0 {
			s.inbox.push(w)
			return
		}
		id := w.left[0]
		cost, more := 1, false
		if p := s.guilds[id]; p != nil {
			cost, more = w.look(id, p)
		}
		if !more {
			w.left = w.left[1:]
		}
		budget -= cost
	}
	w.end()
}

// remoteLost follows the end of a remote: what this shard has of it is void.
type remoteLost struct {
	shardCall
	remote *remote
}

func (m *remoteLost) do(s *shard) {
	r := m.remote
	s.claimsWithout(r)
	s.handsWithout(r)
	from, of := uint32(0), (*fanout.Guild)(nil) // In which guild.
	s.startSweep(s.guilds, func(id wire.Snowflake, p *place) (cost int, more bool) {
		if p.giving != nil && p.giving.to == r {
			p.giving.to = nil
		}
		if of != p.guild {
			from, of = 0, p.guild // The one before may have gone while it was looked at.
		}
		switch {
		case p.link != nil:
			of := func(m *farAsk) bool { return m.remote == r }
			p.link.asks = slices.DeleteFunc(p.link.asks, of)
			if p.link.to == r {
				cost = looksPerLink + len(p.link.sessions)*looksPerSession
				s.lostOwner(id, p)
			} else {
				s.endForward(id, p, r, p.link.forwards[r.number], passLost)
				s.closeLink(id, p)
			}
		case p.room != nil:
			p.room.waiting = slices.DeleteFunc(p.room.waiting, func(m guildMessage) bool {
				return isFar(m, r)
			})
			delete(p.far, r.number)
		default:
			p.parked = slices.DeleteFunc(p.parked, func(m guildMessage) bool { return isFar(m, r) })
			s.holdsWithout(id, p, r)
			change, next, looks := p.guild.LeaveLoop(r.number, from, s.core.limits.sweepLooksMax,
				s.core.wall())
			s.emit(p.guild, &change)
			s.schedule(p.guild)
			if from = next; from > 0 {
				return looks, true
			}
			s.settleFar(id, r.number)
			delete(p.far, r.number)
			cost = looks
		}
		return cost + 1, false
	}, func() { s.core.mesh.forgotten(r) })
}

// What a link that begins anew takes, in looks at receivers, and each session that it lets go of.
const (
	looksPerLink    = 100
	looksPerSession = 5
	// looksPerClaim is what asking all other nodes for a guild takes, or its owner.
	looksPerClaim = 100
)

func isFar(m guildMessage, r *remote) bool {
	far := farOf(m)
	return far != nil && far.remote == r
}

// viewChanged follows a new view: claims and links may go on that waited for one, and guilds that
// are another's now are given up.
type viewChanged struct{ shardCall }

func (m *viewChanged) do(s *shard) {
	s.goOnWaiting()
	s.offeredAgain()
	s.startSweep(s.guilds, func(id wire.Snowflake, p *place) (cost int, more bool) {
		switch {
		case p.link != nil && len(p.link.asks) > 0 && p.link.to != nil:
			s.awaitAnew(p)
		case p.guild != nil && p.giving == nil:
			s.handAnew(id, p)
		}
		return 1, false
	}, func() {})
}

// goOnWaiting has claims and links go on that wait for a view, or for a node that can be reached.
func (s *shard) goOnWaiting() {
	s.startSweep(s.claims, func(id wire.Snowflake, p *place) (cost int, more bool) {
		if s.claims[id] != p {
			return 1, false
		}
		if _, here := s.core.mesh.owner(id); here && p.room.claim.generation > 0 {
			return 1, false
		}
		s.claim(id, p)
		return looksPerClaim, false
	}, func() {})
	s.startSweep(s.unlinked, func(id wire.Snowflake, p *place) (cost int, more bool) {
		if s.unlinked[id] != p {
			return 1, false
		}
		cost = looksPerClaim + len(p.link.waiting)*looksPerSession
		s.seekOwner(id, p)
		return cost, false
	}, func() {})
}

// remoteBegun says that a node can be reached.
type remoteBegun struct{ shardCall }

func (m *remoteBegun) do(s *shard) { s.goOnWaiting() }

// leaseBack says that this node owns again what it owned.
type leaseBack struct{ shardCall }

func (m *leaseBack) do(s *shard) {
	ids := make([]wire.Snowflake, 0, len(s.parked))
	for id := range s.parked {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		s.unpark(id, s.parked[id])
	}
	for _, id := range slices.Sorted(maps.Keys(s.handings)) {
		s.handLater(id, s.handings[id].handing)
	}
}

// reborn says that others took this node for gone, so that all it owned is theirs, and that it may
// own again as another incarnation.
type reborn struct {
	shardCall
	incarnation uint64
}

func (m *reborn) do(s *shard) {
	s.incarnation = m.incarnation
	for _, id := range slices.Sorted(maps.Keys(s.takings)) {
		s.answerOffer(s.takings[id], id, handRefused)
		s.dropTaking(id, s.takings[id])
	}
	ids := make([]wire.Snowflake, 0, len(s.guilds))
	for id, p := range s.guilds {
		if p.link == nil {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	for _, id := range ids {
		p := s.guilds[id]
		to, by := p.claimant()
		switch {
		case p.guild != nil:
			s.endHanding(id, p)
			s.release(id, p)
			s.unpark(id, p)
		case p.room.claim == nil:
			s.leaveRoom(id, p) // It is read because of a claim of before.
		}
		if to != nil {
			s.answer(to, id, by, claimFree, s.core.mesh.stored())
		}
	}
}

// claimant is who was told that a guild is given up, and by which generation it has claimed it; nil
// when there is nobody.
func (p *place) claimant() (to *remote, by uint64) {
	switch {
	case p.giving != nil:
		return p.giving.to, p.giving.by
	case p.handing != nil && p.handing.claim != 0:
		return p.handing.to, p.handing.claim
	}
	return nil, 0
}
