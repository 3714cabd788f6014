package node

import (
	"errors"
	"slices"

	"throng/fanout"
	"throng/wire"
	"throng/wire/pack"
)

// What follows when a guild has been handed over: links follow the new owner, and what is asked of
// the former one is passed on. See handing.

var errEarly = errors.New("too much of a guild came ahead of the word that it has moved")

// What the former owner passes on to the new one.
const (
	passAsk    = iota
	passMarker // The node asks the former owner no more.
	passLost   // What the node asked last may be lost.
	passKinds
)

// passedOn is what was asked of the former owner. It does not wait for the word that what it itself
// is ahead of waits for.
type passedOn struct{ guildMessage }

// moved has a link follow another owner, by the last word of the one before. What the next one has
// said already waits until then, and so does its own last word.
func (s *shard) moved(m *farItem) error {
	whole := m.rest
	number, node := m.rest.Uint(numberMax), m.rest.String(nodeNameMax)
	if !m.rest.Done() {
		return errItem
	}
	p := s.guilds[m.guild]
	if p != nil && p.link != nil && p.link.number == number && p.link.to != m.remote {
		return s.early(p.link, m, whole)
	}
	s.send(m.remote, pack.AppendUint(s.begin(itemMarker, m.guild), number))
	if p == nil || p.link == nil || p.link.number != number {
		return nil
	}
	to := s.core.mesh.remote(node)
	if to == nil {
		s.relink(m.guild, p)
		return nil
	}
	k := p.link
	k.to, k.token, k.head = to, 0, nil
	k.handouts = newHandouts(s, m.guild)
	s.awaitAnew(p)
	s.send(to, pack.AppendUint(s.begin(itemHello, m.guild), number))
	early := k.ahead
	k.ahead = nil
	for _, e := range early {
		if s.core.mesh.numbered(e.remote.number) != e.remote {
			continue
		}
		var err error
		if e.what == itemMoved {
			err = s.moved(e)
		} else {
			err = s.told(e)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// early has what an owner says wait that a link does not follow yet.
func (s *shard) early(k *link, m *farItem, whole pack.Reader) error {
	if len(k.ahead) >= s.core.limits.handoffAheadMax {
		return errEarly
	}
	m.rest = whole
	k.ahead = append(k.ahead, m)
	return nil
}

// hello takes the word of who follows this node by the last word of another: if it has nothing of
// that link's, the link begins anew.
func (s *shard) hello(m *farItem) error {
	whole := m.rest
	number := m.rest.Uint(numberMax)
	if !m.rest.Done() {
		return errItem
	}
	p, r := s.guilds[m.guild], m.remote
	switch {
	case s.takings[m.guild] != nil:
		t := s.takings[m.guild]
		m.rest = whole
		t.asks = append(t.asks, m)
		return nil
	case p != nil && p.guild != nil:
		if f := p.far[r.number]; f != nil && f.number == number && !f.away {
			return nil
		}
	case p != nil && p.link != nil && p.link.forwards[r.number] == number:
		return nil
	}
	s.turnAway(r, m.guild, number)
	return nil
}

// marked passes a node's word on that it asks this one no more.
func (s *shard) marked(m *farItem) error {
	number := m.rest.Uint(numberMax)
	if !m.rest.Done() {
		return errItem
	}
	if p := s.guilds[m.guild]; p != nil && p.link != nil {
		s.endForward(m.guild, p, m.remote, number, passMarker)
	}
	return nil
}

// forward passes on what was asked of this node while it was the owner. It says whether it is for
// this link to see to.
func (s *shard) forward(id wire.Snowflake, p *place, r *remote, number uint64, ask []byte) bool {
	known := p.link.forwards[r.number]
	switch {
	case known == 0:
		return false
	case number < known:
		return true // It is of a link that has ended.
	case number > known: // It has begun anew meanwhile.
		s.endForward(id, p, r, known, passLost)
		return false
	}
	s.passOver(id, p.link, r, number, passAsk, ask)
	return true
}

func (s *shard) passOver(id wire.Snowflake, k *link, r *remote, number uint64, what byte,
	ask []byte) {
	if k.to == nil {
		return
	}
	item := pack.AppendString(append(s.begin(itemPassed, id), what), r.node)
	s.send(k.to, append(pack.AppendUint(item, number), ask...))
}

// endForward ends the passing on for a node.
func (s *shard) endForward(id wire.Snowflake, p *place, r *remote, number uint64, how byte) {
	k := p.link
	if k.forwards[r.number] != number || number == 0 {
		return
	}
	delete(k.forwards, r.number)
	s.passOver(id, k, r, number, how, nil)
	s.closeLink(id, p)
}

// passed takes what a former owner passes on.
func (s *shard) passed(m *farItem) error {
	what, node, number := m.rest.Byte(), m.rest.String(nodeNameMax), m.rest.Uint(numberMax)
	rest := m.rest.Rest()
	if m.rest.Failed() || what >= passKinds {
		return errItem
	}
	p := s.guilds[m.guild]
	if p == nil || p.heir != m.remote {
		return nil
	}
	key, r := ownHold, (*remote)(nil)
	for at, h := range p.holds {
		if h.remote != nil && h.remote.node == node {
			key, r = at, h.remote
		}
	}
	if h := p.holds[key]; h == nil || h.number != number || r == nil && node != s.core.mesh.self {
		return nil
	}
	switch what {
	case passMarker:
		s.releaseHold(m.guild, p, key)
	case passLost:
		s.turnAwayHeld(m.guild, p, key)
	default:
		ask, err := parseAsk(rest)
		if err != nil || ask.id() != m.guild {
			return errItem
		}
		if r != nil {
			far, ok := farHandle(r, ask.from())
			if !ok {
				return errItem
			}
			setFrom(ask, far)
			ask = &farAsk{ask, r, number}
		}
		s.handleGuild(&passedOn{ask})
	}
	return nil
}

func (m *passedOn) apply(s *shard, g *fanout.Guild) {
	m.guildMessage.apply(s, g)
	m.answered(s, g != nil && g.HasSession(m.from()))
}

func (m *passedOn) refuse(s *shard, err error) {
	m.guildMessage.refuse(s, err)
	m.answered(s, false)
}

// answered has the link by which a session of this node has asked know that the guild, which is
// here by now, has taken the session in or refused it: it waits for nothing, and would ask twice if
// it was told to ask again.
func (m *passedOn) answered(s *shard, isIn bool) {
	p := s.guilds[m.id()]
	if m.kind() != kindJoin || farOf(m) != nil || p == nil || p.own == nil {
		return
	}
	p.own.drop(m.from())
	if isIn {
		p.own.sessions[m.from()] = true
		p.own.perLoop[m.from().Loop]++
	}
}

// farOf is what a session of a remote asks, or nil.
func farOf(m guildMessage) *farAsk {
	if over, ok := m.(*passedOn); ok {
		m = over.guildMessage
	}
	far, _ := m.(*farAsk)
	return far
}

// askFar takes what a session of a remote asks of a guild that is another node's by now.
func (s *shard) askFar(p *place, m *farAsk) {
	setFrom(m.guildMessage, homeHandle(m.from()))
	ask, _ := appendAsk(nil, m.guildMessage)
	if !s.forward(m.id(), p, m.remote, m.link, ask) {
		s.turnAway(m.remote, m.id(), m.link)
	}
}

// toldEarly has a step wait whose owner the link does not follow yet.
func (s *shard) toldEarly(m *farItem, whole pack.Reader) error {
	p, again := s.guilds[m.guild], whole
	if p == nil || p.link == nil || p.link.to == nil || p.link.to == m.remote ||
		p.link.number != again.Uint(numberMax) {
		return nil
	}
	return s.early(p.link, m, whole)
}

// await has a remote's session wait that asks for a guild that this node is to own, and follows
// another for as yet: this node asks that one for it.
func (s *shard) await(p *place, m *farAsk) {
	k := p.link
	if _, here := s.core.mesh.owner(m.id()); !here || len(k.asks) >= s.core.limits.guildWaitMax {
		m.refuse(s, errElsewhere)
		return
	}
	if k.asks = append(k.asks, m); len(k.asks) == 1 {
		s.claimOf(m.id(), k)
	}
}

// unawait forgets what a remote's session waits for. It is false when that is nothing.
func (s *shard) unawait(p *place, r *remote, far fanout.Handle) bool {
	k, before := p.link, len(p.link.asks)
	k.asks = slices.DeleteFunc(k.asks, func(m *farAsk) bool {
		return m.remote == r && m.from() == far
	})
	return len(k.asks) < before
}

// claimOf asks a guild of the node that a link follows.
func (s *shard) claimOf(id wire.Snowflake, k *link) {
	if !s.core.mesh.behind() {
		s.send(k.to, s.begin(itemClaim, id))
	}
}

// awaitAnew looks after those who await a guild here once more.
func (s *shard) awaitAnew(p *place) {
	asks := p.link.asks
	p.link.asks = nil
	for _, m := range asks {
		s.await(p, m)
	}
}

// lostHand follows a guild that was this node's by a part that it cannot use: nobody has it.
func (s *shard) lostHand(id wire.Snowflake, from *remote) {
	switch p := s.guilds[id]; {
	case p == nil:
	case p.link != nil && p.link.to == from:
		s.relink(id, p)
	case p.room != nil && p.room.claim != nil:
		s.claim(id, p)
	}
}
