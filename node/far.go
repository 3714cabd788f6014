package node

import (
	"errors"

	"throng/fanout"
	"throng/wire"
	"throng/wire/pack"
)

// itemKind says what an item between two nodes is. Each begins with its kind, its
// guild, or user, and the generation that the sender knows.
type itemKind uint8

const (
	itemAsk       itemKind = iota // To the owner: number of the link, what is asked.
	itemTold                      // From the owner: number of the link, token, a step.
	itemAstray                    // From who is not the owner, or no longer: number of the link.
	itemClaim                     // To everybody.
	itemClaimed                   // To who claims: the claim's generation, the answer, a number.
	itemHandedOut                 // To the owner: number of the link, how many of its events.
	itemChunk                     // To who asked for a part of a list of members; see farMembers.
	itemUser                      // To everybody, of a user: number of the call or 0, name, body.
	itemUserTold                  // To who asked: number of the call, how many sessions.

	// Of a hand-off; see handing.
	itemOffer   // To the next owner: the hand-off's number, what the directory has to have.
	itemOffered // Back: the number, the answer.
	itemCarry   // To the next owner: the number, and a part of the guild.
	itemKeep    // The same: the guild stays. The number.
	itemMoved   // To who follows the former owner: number of the link, the next one's name.
	itemMarker  // Back: number of the link.
	itemPassed  // From the former owner to the next: what a third node has asked or says.
	itemHello   // To the next owner: number of a link that follows it from now on.
	itemKinds
)

var errItem = errors.New("an item of another node is malformed")

// farItem is an item on its way to its guild's shard.
type farItem struct {
	guildCall
	remote     *remote
	what       itemKind
	generation uint64
	rest       pack.Reader
}

func (m *farItem) kind() messageKind           { return kindFar }
func (m *farItem) refuse(*shard, error)        {}
func (m *farItem) apply(*shard, *fanout.Guild) {}

// begin begins an item.
func (s *shard) begin(kind itemKind, guild wire.Snowflake) []byte {
	item := pack.AppendID(append(s.item[:0], byte(kind)), guild)
	return pack.AppendUint(item, s.core.mesh.generation())
}

// send sends an item that begin has begun. When it does not go, remoteLost is on its way.
func (s *shard) send(r *remote, item []byte) {
	s.item = item
	r.send(item)
}

// far takes an item.
func (s *shard) far(m *farItem) {
	m.generation = m.rest.Uint(numberMax)
	s.core.mesh.hear(m.generation)
	var err error
	switch m.what {
	case itemAsk:
		err = s.asked(m)
	case itemTold:
		err = s.told(m)
	case itemAstray:
		err = s.astray(m)
	case itemClaim:
		err = s.claimedBy(m)
	case itemClaimed:
		err = s.claimAnswered(m)
	case itemHandedOut:
		err = s.handedOut(m)
	case itemChunk:
		err = s.chunk(m)
	case itemUser:
		err = s.userNews(m)
	case itemUserTold:
		err = s.userTold(m)
	case itemOffer:
		err = s.offeredTo(m)
	case itemOffered:
		err = s.handAnswer(m)
	case itemCarry:
		err = s.carried(m)
	case itemKeep:
		err = s.keptThere(m)
	case itemMoved:
		err = s.moved(m)
	case itemMarker:
		err = s.marked(m)
	case itemPassed:
		err = s.passed(m)
	case itemHello:
		err = s.hello(m)
	}
	if err != nil {
		s.core.mesh.void(m.remote, err)
	}
}

// farLink is what an owner has of a remote's link to one of its guilds.
type farLink struct {
	number       uint64
	head         *wire.Shared
	sent, handed uint64 // Events that went there, and of these the ones that are handed out.
	away         bool   // It has been turned away, and what it still asks is void.
}

// farSlotBits of a far session's slot are its slot at home, and the others its loop there.
const farSlotBits = 24

// farHandle is a session of a remote, as a guild here has it.
func farHandle(r *remote, h fanout.Handle) (far fanout.Handle, ok bool) {
	if h.Loop >= 1<<(32-farSlotBits) || h.Slot >= 1<<farSlotBits {
		return h, false
	}
	return fanout.Handle{Loop: uint16(r.number), Slot: uint32(h.Loop)<<farSlotBits | h.Slot,
		Gen: h.Gen}, true
}

// homeHandle is the same as its own node has it.
func homeHandle(far fanout.Handle) fanout.Handle {
	return fanout.Handle{Loop: uint16(far.Slot >> farSlotBits),
		Slot: far.Slot & (1<<farSlotBits - 1), Gen: far.Gen}
}

// asked takes what a session of a remote asks of a guild. Whoever asks may know of a later view
// than this node, or of an earlier one.
func (s *shard) asked(m *farItem) error {
	whole := m.rest
	number := m.rest.Uint(numberMax)
	raw := m.rest.Rest()
	if p := s.guilds[m.guild]; p != nil && p.link != nil &&
		s.forward(m.guild, p, m.remote, number, raw) {
		return nil // Even when the guild is on its way back: it is from before.
	}
	if t := s.takings[m.guild]; t != nil && len(t.asks) < s.core.limits.guildWaitMax {
		m.rest = whole
		t.asks = append(t.asks, m)
		return nil
	}
	ask, err := parseAsk(raw)
	if err != nil {
		return err
	}
	far, ok := farHandle(m.remote, ask.from())
	if !ok || ask.id() != m.guild {
		return errItem
	}
	setFrom(ask, far)
	_, here := s.core.mesh.owner(m.guild)
	p := s.guilds[m.guild]
	switch mayBeHere := here || s.core.mesh.behind(); {
	case p != nil && p.link != nil && ask.kind() == kindLeave && s.unawait(p, m.remote, far):
		return nil
	case (p == nil || p.link != nil) && (!mayBeHere || ask.kind() == kindLeave):
		s.turnAway(m.remote, m.guild, number)
		return nil
	case p != nil && p.link != nil && p.link.to != nil:
		// It still follows the one before.
		s.await(p, &farAsk{ask, m.remote, number})
		return nil
	case p != nil && p.link != nil:
		s.relink(m.guild, p)
	}
	s.handleGuild(&farAsk{ask, m.remote, number})
	return nil
}

// farAsk is what a session of a remote asks, until the guild is there to answer.
type farAsk struct {
	guildMessage
	remote *remote
	link   uint64
}

func (m *farAsk) apply(s *shard, g *fanout.Guild) {
	s.answering = m
	defer func() { s.answering = nil }()
	if p := s.guilds[m.id()]; g != nil && p != nil && p.guild == g &&
		!s.greet(p, m.remote, m.link) {
		return
	}
	m.guildMessage.apply(s, g)
	s.settleFar(m.id(), m.remote.number)
}

func (m *farAsk) refuse(s *shard, err error) {
	if errors.Is(err, errElsewhere) {
		s.turnAway(m.remote, m.id(), m.link)
		return
	}
	s.answering = m
	defer func() { s.answering = nil }()
	m.guildMessage.refuse(s, err)
}

// turnAway tells a remote that this node does not own the guild.
func (s *shard) turnAway(r *remote, guild wire.Snowflake, link uint64) {
	s.send(r, pack.AppendUint(s.begin(itemAstray, guild), link))
}

// numberMax is more than any number gets to.
const numberMax = 1 << 62

// greet takes note of a remote's link. With a greater number than before it is another link: the
// remote has let go of all that it had of the guild, and knows no head. It is false of a link that
// has been turned away, and of one that has ended: what that asked may have waited here while the
// guild went to the remote and came back.
func (s *shard) greet(p *place, r *remote, number uint64) bool {
	f := p.far[r.number]
	if f != nil && number <= f.number {
		return number == f.number && !f.away
	}
	if f != nil {
		change, _, _ := p.guild.LeaveLoop(r.number, 0, allReceivers, s.core.wall())
		s.emit(p.guild, &change)
		s.settleFar(p.guild.ID(), r.number)
	}
	if p.far == nil {
		p.far = map[int]*farLink{}
	}
	p.far[r.number] = &farLink{number: number}
	return true
}

const allReceivers = 1 << 30

// setFrom puts another handle into what a session asks.
func setFrom(m guildMessage, h fanout.Handle) {
	switch m := m.(type) {
	case *joinGuild:
		m.receiver.Handle = h
	case *leaveGuild:
		m.handle = h
	case *setVoice:
		m.handle = h
	case *setPresence:
		m.handle = h
	case *queryMembers:
		m.handle = h
	case *askGuild:
		m.handle = h
	case *subscribeGuild:
		m.handle = h
	case *inviteGuild:
		m.handle = h
	}
}

// tellFar sends a step to a remote. One that publishes is the same for all of them but for the
// number of the link, and is encoded once.
func (s *shard) tellFar(number int, m *relayStep) {
	r := s.core.mesh.numbered(number)
	f, token := s.farLink(m.Guild, number)
	if r == nil || f == nil {
		return
	}
	item := pack.AppendUint(s.begin(itemTold, m.Guild), f.number)
	item = pack.AppendUint(item, token)
	if m.Kind == fanout.MsgPublish {
		s.sentFar(m.Guild, f)
		if s.published.of != m {
			s.published.of = m
			s.published.bytes, _ = fanout.AppendMsg(s.published.bytes[:0], &m.Msg, nil)
		}
		s.send(r, append(item, s.published.bytes...))
		return
	}
	home := m.Msg
	home.To = homeHandle(m.To)
	if len(m.Several) > 0 {
		home.Several = make([]fanout.Handle, len(m.Several))
		for i, h := range m.Several {
			home.Several[i] = homeHandle(h)
		}
	}
	item, f.head = fanout.AppendMsg(item, &home, f.head)
	s.send(r, item)
	if m.Kind == fanout.MsgExpel {
		s.settleFar(m.Guild, number)
	}
}

// farLink is the link of a remote to a guild, and the token under which it is told something. Who
// is refused because there is no guild has a link to nothing, and token 0.
func (s *shard) farLink(guild wire.Snowflake, number int) (f *farLink, token uint64) {
	if p := s.guilds[guild]; p != nil && p.far[number] != nil {
		return p.far[number], p.token
	}
	if a := s.answering; a != nil && a.id() == guild && a.remote.number == number {
		return &farLink{number: a.link}, 0
	}
	return nil, 0
}

// published is the last event that was encoded for other nodes.
type published struct {
	of    *relayStep
	bytes []byte
}
