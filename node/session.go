package node

import (
	"encoding/hex"
	"hash/fnv"

	"throng/fanout"
	"throng/wire"
)

// sessionID is sixty-four random bits, the tag of the node, the loop and the slot. That a client
// can read the last three from it does not matter; that no table is needed to find a session does.
type sessionID = fanout.SessionID

func parseSessionID(s string) (id fanout.SessionID, ok bool) {
	if len(s) != 2*len(id) {
		return id, false
	}
	_, err := hex.Decode(id[:], []byte(s))
	return id, err == nil
}

// nodeTag is what sessions' ids say of their node. Two nodes may have the same: of ten nodes, once
// in 1,500 clusters. Then both are asked.
func nodeTag(name string) uint16 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(name))
	sum := h.Sum32()
	return uint16(sum>>16) ^ uint16(sum)
}

// tagOf is the tag of the node where a session with this id lives.
func tagOf(id fanout.SessionID) uint16 { return uint16(id[8])<<8 | uint16(id[9]) }

// placeOf is where on its node a session with this id lives.
func placeOf(id fanout.SessionID) (loop int, slot uint32) {
	return int(id[10])<<8 | int(id[11]),
		uint32(id[12])<<24 | uint32(id[13])<<16 | uint32(id[14])<<8 | uint32(id[15])
}

// session is one identified client, with its socket or, for the resume window, without. There are
// a million of these: what few sessions ever have is behind a pointer.
type session struct {
	// Static after IDENTIFY.
	id          sessionID
	token       [16]byte // see tokenHash
	user        wire.Snowflake
	began       int64 // the core's clock
	slot        uint32
	gen         uint32
	shard       [2]int32
	intents     wire.Intents
	large       uint16
	variant     wire.Variant
	version     uint8
	compression wire.Compression // of its connections; their streams differ, see stream.go
	bot         bool
	sharded     bool
	payload     bool // large dispatches of its own go as zlib documents
	updates     fanout.UpdateMode
	platform    wire.Platform

	// Owned by the loop goroutine.
	broken     bool
	timed      bool    // there is an entry in the wheel
	awaited    bool    // a frame of its own that is not sent is timed; see latency
	resumedSeq uint32  // the number of RESUMED while it, or what goes before, is not sent
	socket     *socket // nil while detached
	guilds     []wire.Snowflake
	asked      int   // guilds[:asked] have been asked to take this session in
	joining    int   // of these, how many have not answered
	expires    int64 // while detached
	sentBytes  int64
	presence   *wire.PresenceCommand // nil: online, and nothing else to tell
	habits     *habits
}

// habits is what a session did lately that it may not do too often.
type habits struct {
	presences uint8 // in the window that began at presentAt
	presentAt int64
	lists     map[wire.Snowflake]int64 // guild -> when its whole member list was last asked for
	requests  []*memberStream          // for members; the first is being answered

	// What it wants of guilds that it has not asked to take it in yet; see joinMore. In a cluster
	// also of those that it is in, and where it is in voice: a guild's owner may be lost with that.
	wants map[wire.Snowflake]*wire.Subscription
	voice map[wire.Snowflake]wire.VoiceStateCommand
}

func (s *session) habit() *habits {
	if s.habits == nil {
		s.habits = &habits{lists: map[wire.Snowflake]int64{}}
	}
	return s.habits
}

// of says whether a guild belongs to the session's shard.
func (s *session) of(guild wire.Snowflake) bool {
	return !s.sharded || guild.Shard(int(s.shard[1])) == int(s.shard[0])
}

// shardPair is the shard as it is written.
func (s *session) shardPair() [2]int { return [2]int{int(s.shard[0]), int(s.shard[1])} }

func (s *session) handle(l *loop) fanout.Handle {
	return fanout.Handle{Loop: uint16(l.index), Slot: s.slot, Gen: s.gen}
}

func (s *session) receiver(l *loop) fanout.Receiver {
	v := s.variant
	if s.intents&wire.IntentMessageContent == 0 {
		v |= wire.VariantStripped
	}
	return fanout.Receiver{
		Handle: s.handle(l), User: s.user, Intents: s.intents, Variant: v,
		LargeThreshold: int(s.large), SessionID: s.id, Bot: s.bot,
		Platform: s.platform, Updates: s.updates,
	}
}

// has says whether the session has asked the guild to take it in.
func (s *session) has(guild wire.Snowflake) bool {
	for _, g := range s.guilds[:s.asked] {
		if g == guild {
			return true
		}
	}
	return false
}

// forget takes a guild off the list, after it has sent the session away.
func (s *session) forget(guild wire.Snowflake) {
	s.unanswered(guild)
	if s.habits != nil {
		delete(s.habits.wants, guild)
		delete(s.habits.voice, guild)
	}
	for i, g := range s.guilds[:s.asked] {
		if g == guild {
			s.asked--
			s.guilds[i] = s.guilds[s.asked]
			s.guilds = append(s.guilds[:s.asked], s.guilds[s.asked+1:]...)
			return
		}
	}
}

// unask makes a guild that was asked one that is still to be: it is the next.
func (s *session) unask(guild wire.Snowflake) {
	s.unanswered(guild)
	for i, g := range s.guilds[:s.asked] {
		if g == guild {
			s.asked--
			s.guilds[i], s.guilds[s.asked] = s.guilds[s.asked], guild
			return
		}
	}
}

// joinMore asks further guilds to take the session in, a few at a time, so that a session of
// thousands of guilds does not stand in front of everyone else in the shards' inboxes. When very
// many joins of this loop wait already, which is while a cold node reads its guilds, it is one at a
// time: each answer asks for the next, so nobody has to be woken when there is room again.
func (l *loop) joinMore(s *session) {
	for s.asked < len(s.guilds) && s.joining < l.core.limits.joinsInFlightMax &&
		(s.joining == 0 || l.joining < l.core.limits.loopJoinsMax) {
		guild := s.guilds[s.asked]
		s.asked++
		s.joining++
		l.joining++
		l.core.shardOf(guild).inbox.push(&joinGuild{guild, s.receiver(l), s.presence})
		if w := l.wantsOf(s, guild); w != nil {
			l.core.shardOf(guild).inbox.push(&subscribeGuild{guildCall{guild}, s.handle(l), *w})
		}
		if v, ok := s.voiceIn(guild); ok {
			l.core.shardOf(guild).inbox.push(&setVoice{guildCall{guild}, s.handle(l), v})
		}
	}
}

// detach takes a socket off its session. The session stays for the resume window, unless the
// reason ends it too.
func (l *loop) detach(k *socket, r CloseReason) {
	if k.opening != nil {
		k.opening.gone.Store(true)
	}
	s := k.session
	if s == nil {
		return
	}
	k.session, s.socket = nil, nil
	l.stats.live--
	l.stats.detached++
	if !closeRows[r].keeps || s.broken || l.out.Lost(s.slot) {
		l.finish(s)
		return
	}
	s.expires = l.time + l.core.limits.resumeMilli
	if !s.timed {
		s.timed = true
		l.wheel.add(timer{index: s.slot, gen: s.gen, session: true}, s.expires)
	}
}

// fireSession ends a detached session whose time is up.
func (l *loop) fireSession(t timer) (deadline int64) {
	if !l.out.Live(t.index, t.gen) {
		return 0
	}
	s := l.sessions[t.index]
	if s.socket != nil {
		s.timed = false
		return 0
	}
	if s.expires > l.time {
		return s.expires
	}
	l.finish(s)
	return 0
}

// endSession ends a session for good, and its connection with it.
func (l *loop) endSession(s *session, r CloseReason) {
	if s.socket == nil {
		l.finish(s)
		return
	}
	s.broken = true
	l.closeSocket(s.socket, r, closeRows[r].sentence)
}

// finish forgets a session that has no socket any more.
func (l *loop) finish(s *session) {
	h := s.handle(l)
	l.joining -= s.joining
	if s.habits != nil {
		for _, m := range s.habits.requests {
			m.gone.Store(true)
		}
	}
	l.board.Drop(s.slot)
	last := l.core.removeLive(s.user, h) == 0
	for _, guild := range s.guilds[:s.asked] {
		l.core.shardOf(guild).inbox.push(&leaveGuild{guild, h, s.user, last})
	}
	l.traces.ended(s)
	l.out.Close(s.slot)
	l.sessions[s.slot] = nil
	l.stats.detached--
}
