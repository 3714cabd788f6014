package node

import (
	"encoding/json"
	"runtime"
	"slices"
	"sync/atomic"

	"throng/fanout"
	"throng/tuning"
	"throng/wire"
)

// command acts on one gateway command. It reports whether the socket has moved to another loop.
func (l *loop) command(k *socket, m wire.Message, rest []byte) (moved bool) {
	if !l.mayCommand(k) {
		return false
	}
	encoding := k.variant.Encoding()
	if encoding == wire.EncodingETF && m.Opcode != wire.OpcodeBinary {
		l.closeSocket(k, BadPayload, "With encoding=etf a command is a binary message.")
		return false
	}
	cmd, scratch, fault := wire.ParseCommand(encoding, m.Payload, l.decoded[:0])
	l.decoded = scratch
	if fault != nil {
		l.fail(k, fault)
		return false
	}
	switch cmd.Op {
	case wire.OpHeartbeat:
		seq, _ := wire.ParseHeartbeat(cmd.Data)
		l.beat(k, seq)
		return false
	case wire.OpQoSHeartbeat:
		seq, _ := wire.ParseQoSHeartbeat(cmd.Data)
		l.beat(k, seq)
		return false
	case wire.OpIdentify, wire.OpResume:
		if k.state != socketHello {
			l.closeSocket(k, AlreadyIdentified, "The connection is already identified.")
			return false
		}
		return l.start(k, cmd, rest)
	}
	if k.state != socketLive {
		l.closeSocket(k, NotIdentified, "The first command is IDENTIFY or RESUME.")
		return false
	}
	if l.parted {
		l.sendAway(k)
		return false
	}
	l.sessionCommand(k, cmd)
	return false
}

// start begins a session or goes on with one, unless too many do at this moment: after an outage
// everybody comes back at once, and Invalid Session makes clients wait a few seconds of their own.
func (l *loop) start(k *socket, cmd wire.Command, rest []byte) (moved bool) {
	now := l.core.clock()
	switch {
	case l.parted:
		l.closeSocket(k, NodeDraining, "Another process has taken over: connect again.")
	case cmd.Op == wire.OpIdentify && l.core.pressure() >= tuning.PressureNew:
		l.core.identifies.refused.Add(1)
		l.refuseSession(k)
	case cmd.Op == wire.OpIdentify && !l.core.starts.take(now):
		l.core.identifies.late.Add(1)
		l.refuseSession(k)
	case cmd.Op == wire.OpIdentify:
		l.identify(k, cmd.Data)
	case !l.core.returns.take(now):
		l.askLater(k)
	default:
		return l.resume(k, cmd.Data, rest)
	}
	return false
}

// sessionCommand acts on a command that needs a session.
func (l *loop) sessionCommand(k *socket, cmd wire.Command) {
	s := k.session
	switch cmd.Op {
	case wire.OpPresenceUpdate:
		l.presence(k, s, cmd.Data)
	case wire.OpVoiceStateUpdate:
		v, fault := wire.ParseVoiceState(cmd.Data)
		if fault != nil {
			l.fail(k, fault)
		} else if v.GuildID != 0 {
			// User clients send it without a guild right after READY: they are in no call.
			if l.core.mesh.many() && s.has(v.GuildID) {
				s.rememberVoice(v)
			}
			l.ask(s, v.GuildID, &setVoice{guildCall{v.GuildID}, s.handle(l), v})
		}
	case wire.OpRequestGuildMembers:
		l.requestMembers(k, s, cmd.Data)
	case wire.OpRequestSoundboardSounds:
		c, fault := wire.ParseSoundboard(cmd.Data)
		if fault != nil {
			l.fail(k, fault)
			return
		}
		// One answer a guild, however often it is named: answers are far longer than a name.
		slices.Sort(c.GuildIDs)
		for _, g := range slices.Compact(c.GuildIDs) {
			l.ask(s, g, &askGuild{guildCall{g}, s.asker(l), wire.ChannelInfoCommand{}})
		}
	case wire.OpRequestChannelInfo:
		c, fault := wire.ParseChannelInfo(cmd.Data)
		if fault != nil {
			l.fail(k, fault)
			return
		}
		l.ask(s, c.GuildID, &askGuild{guildCall{c.GuildID}, s.asker(l), c})
	case wire.OpGuildSubscriptions, wire.OpGuildSubscriptionsBulk:
		l.subscriptions(k, s, cmd)
	default:
		// Commands of user clients that need no answer; ParseCommand refused the unknown ones.
	}
}

// ask gives a command to a guild's shard. A guild that the session is not in hears nothing of it,
// and a shard that is behind is not made slower.
func (l *loop) ask(s *session, guild wire.Snowflake, m guildMessage) {
	if !s.has(guild) {
		l.core.drop(UnknownGuildCommand)
		return
	}
	if !l.core.shardOf(guild).inbox.tryPush(m) {
		l.core.drop(CommandBusy)
	}
}

// mayCommand counts a command against the connection's share.
func (l *loop) mayCommand(k *socket) bool {
	if l.time-k.window >= l.core.limits.commandsMilli {
		k.window, k.commands = l.time, 0
	}
	if k.commands++; int(k.commands) > l.core.limits.commandsMax {
		l.closeSocket(k, CommandFlood, "Too many commands in a minute.")
		return false
	}
	return true
}

func (l *loop) fail(k *socket, fault *wire.CloseError) {
	l.closeSocket(k, reasonOf(fault.Code), fault.Reason)
}

// beat answers a heartbeat and forgets what the client has seen.
func (l *loop) beat(k *socket, seq uint32) {
	if k.state == socketLive {
		l.out.Ack(k.session.slot, seq)
		if !k.told {
			k.deadline = l.time + l.core.limits.deadMilli
		}
	}
	if k.relocates() && k.said.Taught == 0 && k.zstd.Wants(l.core.limits.window) {
		l.streamed.taught++
		k.say(wire.AppendLesson)
		return
	}
	k.say(wire.AppendHeartbeatAck)
}

// presence passes a presence update on to the session's guilds, as often as the protocol allows;
// what is above that is dropped, as clients expect.
func (l *loop) presence(k *socket, s *session, d []byte) {
	p, fault := wire.ParsePresence(d)
	if fault != nil {
		l.fail(k, fault)
		return
	}
	h := s.habit()
	if l.time-h.presentAt >= l.core.limits.presencesMilli {
		h.presentAt, h.presences = l.time, 0
	}
	if h.presences++; int(h.presences) > l.core.limits.presencesMax {
		h.presences--
		l.core.drop(PresenceFlood)
		return
	}
	s.presence = &p
	for _, g := range s.guilds[:s.asked] {
		if !l.core.shardOf(g).inbox.tryPush(&setPresence{guildCall{g}, s.handle(l), p}) {
			l.core.drop(CommandBusy)
		}
	}
}

// requestMembers asks a guild for members; a repeated request for a whole list is answered with
// RATE_LIMITED in place of chunks, and so is one of a session that has too many in line. The line
// outlives the connection, whose share of commands begins anew with the next one.
func (l *loop) requestMembers(k *socket, s *session, d []byte) {
	c, fault := wire.ParseMembers(d)
	if fault != nil {
		l.fail(k, fault)
		return
	}
	if h := s.habits; h != nil && len(h.requests) >= l.core.limits.memberRequestsMax {
		l.core.drop(CommandBusy)
		l.rateLimited(s, c, float64(l.core.limits.memberListMilli)/1000)
		return
	}
	list := c.Limit == 0 || c.Limit > fanout.QueryLimitMax
	if c.Query != nil && *c.Query == "" && list && len(c.UserIDs) == 0 {
		wait := l.core.limits.memberListMilli
		h := s.habit()
		if last, ok := h.lists[c.GuildID]; ok && l.time-last < wait {
			l.rateLimited(s, c, float64(wait-(l.time-last))/1000)
			return
		}
		if s.has(c.GuildID) {
			h.lists[c.GuildID] = l.time
		}
	}
	q := &queryMembers{guildCall{c.GuildID}, s.asker(l), c, chunkPlace{}}
	if l.core.mesh.many() && s.has(c.GuildID) {
		l.calls.push(&startStream{&memberStream{to: q.handle, far: &farMembers{query: *q}}})
		return
	}
	l.ask(s, c.GuildID, q)
}

func (l *loop) rateLimited(s *session, c wire.MembersCommand, seconds float64) {
	type meta struct {
		Guild wire.Snowflake `json:"guild_id"`
		Nonce string         `json:"nonce,omitempty"`
	}
	body, _ := json.Marshal(struct {
		Opcode int     `json:"opcode"`
		After  float64 `json:"retry_after"`
		Meta   meta    `json:"meta"`
	}{int(wire.OpRequestGuildMembers), seconds, meta{c.GuildID, c.Nonce}})
	l.sendPrivate(s.handle(l), []*wire.Dispatch{wire.NewDispatch("RATE_LIMITED", body, nil)})
}

// memberStream is an answer to a member request under way: chunks are made on a worker, a few at
// a time, when the session has been sent most of the earlier ones. A million members are three
// hundred megabytes of chunks, which would otherwise stand in the journal at once.
type memberStream struct {
	to     fanout.Handle
	query  *fanout.Query
	far    *farMembers // in place of query, among other nodes
	making bool
	over   bool

	// Atomic: written by the loop, read by a worker. The session has ended.
	gone atomic.Bool
}

// startStream gives a loop the plan of a member request. A session is answered one request after
// the other: each may have a list of all members in hand.
type startStream struct{ stream *memberStream }

func (m *startStream) kind() messageKind { return kindMembers }

func (m *startStream) do(l *loop) {
	s := l.session(m.stream.to)
	if s == nil {
		return
	}
	h := s.habit()
	if len(h.requests) >= l.core.limits.memberRequestsMax {
		// It was asked before those that are in line had been planned.
		l.core.drop(CommandBusy)
		return
	}
	if h.requests = append(h.requests, m.stream); len(h.requests) == 1 {
		l.streams = append(l.streams, m.stream)
	}
}

// makingMax is how many answers of one loop workers are at: who identifies waits behind no more.
const makingMax = 2

// goOnStreams asks workers for the next chunks of answers whose sessions have room, and begins
// behind the one that had the last turn.
func (l *loop) goOnStreams() {
	l.endStreams()
	if len(l.streams) > 0 {
		l.stats.on(kindChunks, 0)
	}
	first := l.streamTurn
	for i := range l.streams {
		if l.making == makingMax && l.asking == askingMax || i == 0 && l.streamsHeld() {
			return
		}
		at := (first + i) % len(l.streams)
		m := l.streams[at]
		s := l.session(m.to)
		if m.making || s.socket == nil || l.out.Unsent(s.slot) > l.core.limits.chunksAheadMax {
			continue
		}
		if m.far != nil && l.askChunk(s, m) || m.far == nil && l.makeChunks(m) {
			l.streamTurn = at + 1
		}
	}
}

// streamsHeld says whether all answers wait for a session that has yet to read an old part of its
// own. Parts push each other out of the journal, and whoever is held up for a second would lose its
// connection by what others ask for: four lists of a million members at once write eight megabytes
// in a tenth of that. A part is made at a quarter of the way to where it is pushed out, so that
// those which workers are at have room behind it.
//
// Who does not read at all holds the others up for half of the time, until it is gone.
func (l *loop) streamsHeld() bool {
	held := slices.ContainsFunc(l.streams, func(m *memberStream) bool {
		s := l.session(m.to)
		if s.socket == nil {
			return false
		}
		lag, end := l.out.AnswersLag(s.slot)
		return lag > end/4
	})
	hold := l.core.limits.answersHoldMilli
	switch {
	case !held:
		l.heldSince = 0
		return false
	case l.heldSince == 0:
		l.heldSince = l.time
	}
	return (l.time-l.heldSince)%(2*hold) < hold
}

// endStreams takes answers off the line that are complete or whose sessions are gone. A session's
// next request takes the place of the one that is complete. NB: nothing here can panic half way,
// which would leave a request in the line twice, or nowhere.
func (l *loop) endStreams() {
	kept := l.streams[:0]
	l.asking = 0
	for _, m := range l.streams {
		s := l.session(m.to)
		if s != nil && m.over {
			m = s.habits.nextRequest()
		}
		if s != nil && m != nil {
			kept = append(kept, m)
			l.asking += m.farUnderWay(l.time)
		}
	}
	clear(l.streams[len(kept):])
	l.streams = kept
}

// nextRequest takes the request that is answered off the list and returns the next, or nil.
func (h *habits) nextRequest() *memberStream {
	h.requests[0] = nil
	if h.requests = h.requests[1:]; len(h.requests) == 0 {
		h.requests = nil
		return nil
	}
	return h.requests[0]
}

// makeChunks has a worker make the next chunks.
func (l *loop) makeChunks(m *memberStream) bool {
	if l.making == makingMax {
		return false
	}
	room := &fanout.ChunkRoom{}
	if last := len(l.rooms) - 1; last >= 0 {
		room, l.rooms = l.rooms[last], l.rooms[:last]
	}
	m.making = l.core.submit(kindJobChunks, func() {
		var chunks []*wire.Dispatch // None, and so the end, should Next fail.
		defer func() { l.calls.push(&moreChunks{m, chunks, room}) }()
		if m.gone.Load() {
			l.core.abandoned.Add(1)
			return
		}
		chunks = m.query.Next(l.core.limits.chunksAheadMax, room, runtime.Gosched)
	})
	if m.making {
		l.making++
	}
	return m.making
}

// moreChunks brings what a worker has made; nothing more means that the answer is complete.
type moreChunks struct {
	stream *memberStream
	chunks []*wire.Dispatch
	room   *fanout.ChunkRoom
}

func (m *moreChunks) kind() messageKind { return kindChunks }

func (m *moreChunks) do(l *loop) {
	l.making--
	m.stream.making = false
	m.stream.over = len(m.chunks) == 0
	l.sendAnswer(m.stream.to, m.chunks)
	m.room.TakeBack(m.chunks)
	l.rooms = append(l.rooms, m.room)
}
