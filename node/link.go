package node

import (
	"cmp"
	"errors"
	"maps"
	"slices"

	"throng/fanout"
	"throng/wire"
	"throng/wire/pack"
)

// link is the place of a guild that another node owns, for the sessions of this node that are in
// it. What they ask goes to the owner, and what the owner tells goes to their loops, in order: the
// link follows one owner at a time, and hears no other.
//
// When its owner is lost, is none any more, or something between the two nodes was, the link begins
// anew: all its sessions let go of the guild and ask to be taken in again, by the way and within
// the limits of any session that arrives. There is no second way back into a guild that could be
// wrong in its own manner, and a thousand guilds that come back at once are a reconnect storm
// without its handshakes.
type link struct {
	// Owned by the shard goroutine.
	number   uint64  // Of this link, of all that there were on this shard.
	to       *remote // Nil while it is not known who owns the guild.
	token    uint64  // Of the owner, 0 before its first word.
	head     *wire.Shared
	sessions map[fanout.Handle]bool // Whether they have been taken in, or have only asked.
	perLoop  []int                  // Of those that were.
	waiting  []guildMessage         // While there is no owner.
	invited  map[fanout.Handle]int  // Sessions of new members, and how often the owner was asked.
	handouts *handouts

	// Of hand-offs; see handing.
	forwards map[int]uint64 // Others' links whose asks are passed on, by their remotes.
	ahead    []*farItem     // What the next owner has said ahead of the last word of this one.
	asks     []*farAsk      // They wait for this node to be the owner.
}

var errElsewhere = errors.New("the guild lives on another node")

// openLink makes a place for a guild that is to be elsewhere.
func (s *shard) openLink(guild wire.Snowflake) *place {
	s.links++
	s.linked++
	p := &place{link: &link{number: s.links, sessions: map[fanout.Handle]bool{},
		invited: map[fanout.Handle]int{},
		perLoop: make([]int, len(s.core.loops)), handouts: newHandouts(s, guild)}}
	s.guilds[guild] = p
	return p
}

// ask passes on what a session asks.
func (s *shard) ask(p *place, m guildMessage) {
	k := p.link
	if far := farOf(m); far != nil {
		s.askFar(p, far)
		return
	}
	if own, ok := m.(*passedOn); ok {
		m = own.guildMessage
	}
	_, isIn := k.sessions[m.from()]
	switch m.(type) {
	case *joinGuild:
		if k.to == nil && len(k.waiting) >= s.core.limits.guildWaitMax {
			m.refuse(s, errGuildBusy)
			return
		}
		k.sessions[m.from()] = false
	case *leaveGuild:
		if !isIn {
			return
		}
		k.drop(m.from())
		delete(k.invited, m.from())
	case *inviteGuild:
		if k.to == nil {
			m.apply(s, nil) // There is nobody who could have sent the session away lately.
			return
		}
		k.invited[m.from()]++
	default:
		if !isIn {
			m.refuse(s, errElsewhere)
			return
		}
	}
	if k.to == nil {
		k.waiting = append(k.waiting, m)
	} else {
		s.passOn(k, m)
	}
	s.closeLink(m.id(), p)
}

// passOn sends what a session asks to the owner.
func (s *shard) passOn(k *link, m guildMessage) {
	item := pack.AppendUint(s.begin(itemAsk, m.id()), k.number)
	item, travels := appendAsk(item, m)
	if !travels {
		m.refuse(s, errElsewhere)
		return
	}
	s.send(k.to, item)
}

// drop forgets a session.
func (k *link) drop(h fanout.Handle) {
	if k.sessions[h] {
		k.perLoop[h.Loop]--
	}
	delete(k.sessions, h)
}

// closeLink drops a link without sessions.
func (s *shard) closeLink(guild wire.Snowflake, p *place) {
	k := p.link
	if k != nil && len(k.sessions)+len(k.invited)+len(k.forwards)+len(k.asks) == 0 &&
		s.guilds[guild] == p {
		s.removeLink(guild)
	}
}

func (s *shard) removeLink(guild wire.Snowflake) {
	delete(s.guilds, guild)
	delete(s.unlinked, guild)
	delete(s.adrift, guild)
	s.linked--
}

// seekOwner has a link follow the guild's owner, or wait for a view that says who that is. When
// this node is to be the owner itself, those who wait go on here.
func (s *shard) seekOwner(guild wire.Snowflake, p *place) {
	node, here := s.core.mesh.owner(guild)
	s.unlinked[guild] = p
	switch {
	case s.core.mesh.behind():
	case here:
		s.removeLink(guild)
		for _, m := range p.link.waiting {
			s.handleGuild(m)
		}
	default:
		s.follow(guild, p, s.core.mesh.remote(node))
	}
}

// follow has a link follow an owner, and sends it what waited for one.
func (s *shard) follow(guild wire.Snowflake, p *place, to *remote) {
	k := p.link
	if to == nil || k.to != nil {
		return
	}
	k.to, k.token, k.head = to, 0, nil
	delete(s.unlinked, guild)
	waiting := k.waiting
	k.waiting = nil
	for _, m := range waiting {
		if _, here := k.sessions[m.from()]; here || m.kind() == kindLeave {
			s.passOn(k, m)
		}
	}
}

// linkOf is the place of the link that an item is for, nil when it is another's by now.
func (s *shard) linkOf(m *farItem) *place {
	number := m.rest.Uint(numberMax)
	p := s.guilds[m.guild]
	if p == nil || p.link == nil || p.link.to != m.remote || p.link.number != number {
		return nil
	}
	return p
}

// told gives a step of the owner to the loops that it is for.
func (s *shard) told(m *farItem) error {
	whole := m.rest
	p := s.linkOf(m)
	if p == nil {
		return s.toldEarly(m, whole)
	}
	k := p.link
	token := m.rest.Uint(numberMax)
	if k.token == 0 {
		k.token = token
	}
	if token != 0 && k.token != token {
		return errItem // An owner that has become one anew has turned the link away before.
	}
	var step relayStep
	var err error
	if step.Msg, k.head, err = fanout.ParseMsg(m.rest.Rest(), k.head); err != nil {
		return err
	}
	if step.Guild != m.guild {
		return errItem
	}
	s.hand(k, &step)
	s.closeLink(m.guild, p)
	return nil
}

// hand gives a step to this node's loops.
func (s *shard) hand(k *link, m *relayStep) {
	h := m.To
	asked, here := k.sessions[h]
	switch m.Kind {
	case fanout.MsgPublish:
		m.Event.Arrived(k.handouts.one)
		s.toLoops(k, m)
		m.Event.Arranged()
		return
	case fanout.MsgGone:
		s.toLoops(k, m)
		clear(k.sessions)
		clear(k.perLoop)
		return
	case fanout.MsgShare:
		s.share(k, m)
		return
	}
	if m.Kind == fanout.MsgInvite {
		if k.invited[h]--; k.invited[h] <= 0 {
			delete(k.invited, h)
		}
	} else if !here {
		return // It has left since, and the owner is told.
	}
	switch m.Kind {
	case fanout.MsgAdmit:
		if !asked {
			k.sessions[h] = true
			k.perLoop[h.Loop]++
		}
	case fanout.MsgExpel, fanout.MsgRefuse:
		k.drop(h)
	}
	s.tell(int(h.Loop), m)
}

// toLoops gives a step to all loops that have receivers. Which of them are passive, only they know.
func (s *shard) toLoops(k *link, m *relayStep) {
	for loop, n := range k.perLoop {
		if n > 0 {
			s.tell(loop, m)
		}
	}
}

// share gives what several sessions are told to the loop of each.
func (s *shard) share(k *link, m *relayStep) {
	byLoop := make([][]fanout.Handle, len(k.perLoop))
	for _, h := range m.Several {
		if k.sessions[h] {
			byLoop[h.Loop] = append(byLoop[h.Loop], h)
		}
	}
	for loop, several := range byLoop {
		if len(several) > 0 {
			part := m.Msg
			part.Loop, part.Several = loop, several
			s.tell(loop, &relayStep{part})
		}
	}
}

// letGo has all sessions of a link let go of the guild and ask again.
func (s *shard) letGo(guild wire.Snowflake, k *link) {
	s.toLoops(k, &relayStep{fanout.Msg{Kind: fanout.MsgAdrift, Loop: fanout.AllLoops,
		Guild: guild}})
	s.retry(guild, k)
	clear(k.sessions)
	clear(k.perLoop)
}

// retry has those sessions of a link ask again that have only asked.
func (s *shard) retry(guild wire.Snowflake, k *link) {
	for _, h := range k.asked() {
		s.tell(int(h.Loop), &relayStep{fanout.Msg{Kind: fanout.MsgRetry, Loop: int(h.Loop),
			Guild: guild, To: h}})
	}
	for _, h := range sorted(k.invited) {
		s.tell(int(h.Loop), invite(h, guild))
	}
	clear(k.invited)
}

// relink begins a link anew, with the owner to, or whoever is to be the owner.
func (s *shard) relink(guild wire.Snowflake, p *place) {
	s.letGo(guild, p.link)
	// The first who asks again has it made.
	s.removeLink(guild)
	for _, m := range p.link.asks {
		s.handleGuild(m)
	}
}

// astray takes the word of who was asked that it is not the owner, or is no longer.
func (s *shard) astray(m *farItem) error {
	p := s.linkOf(m)
	if !m.rest.Done() {
		return errItem
	}
	if p != nil {
		s.relink(m.guild, p)
	}
	return nil
}

// asked are the sessions of a link that have only asked.
func (k *link) asked() []fanout.Handle {
	asked := maps.Clone(k.sessions)
	maps.DeleteFunc(asked, func(_ fanout.Handle, isIn bool) bool { return isIn })
	return sorted(asked)
}

// sorted are the sessions of a table, in an order.
func sorted[T any](table map[fanout.Handle]T) []fanout.Handle {
	return slices.SortedFunc(maps.Keys(table), func(a, b fanout.Handle) int {
		return cmp.Or(cmp.Compare(a.Loop, b.Loop), cmp.Compare(a.Slot, b.Slot))
	})
}
