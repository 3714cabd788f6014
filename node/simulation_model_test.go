package node

import (
	"fmt"
	"slices"

	"throng/fanout"
	"throng/wire"
)

// simModel is what should happen, in the plainest words: guilds as structs, permissions worked out
// for each session of each event, and for each session and guild the list of what it is to get. It
// is told of each message at the moment its guild sees it, and shares no code with what it judges.
type simModel struct {
	w        *world
	guilds   []*simGuild
	sessions map[string]*simSession
	handles  map[fanout.Handle]*simSession
	names    map[wire.Snowflake]string // of users
}

func newSimModel(w *world) *simModel {
	m := &simModel{
		w: w, sessions: map[string]*simSession{}, handles: map[fanout.Handle]*simSession{},
		names: map[wire.Snowflake]string{},
	}
	for range w.opts.guilds {
		m.guilds = append(m.guilds, &simGuild{m: m, id: w.nextID() << 3})
	}
	return m
}

func (m *simModel) guild(id wire.Snowflake) *simGuild {
	for _, g := range m.guilds {
		if g.id == id {
			return g
		}
	}
	panic(fmt.Sprintf("the simulation has no guild %d", id))
}

// simSession is one session's view: the streams of its guilds, as they are to be and as far as its
// client has read them.
type simSession struct {
	m        *simModel
	id       string
	handle   fanout.Handle
	user     wire.Snowflake
	name     string // of the user, as the client knows it
	intents  uint32
	large    int
	bot      bool
	platform wire.Platform
	mode     fanout.UpdateMode
	client   *simClient // nil until it has read READY
	promised []wire.Snowflake
	refused  map[wire.Snowflake]bool // could not be loaded when it was asked for
	streams  map[wire.Snowflake]*simStream
	servers  map[wire.Snowflake]string // of voice, by guild, as the client knows them
	chunks   map[string]*simChunks
	// What its client has made of what it heard: guild -> channel -> newest message.
	pictures map[wire.Snowflake]map[wire.Snowflake]wire.Snowflake
	count    int // of all that it was given
	lists    map[simList][]string
}

// simStream is what a session is to get of a guild, 0 standing for no guild.
type simStream struct {
	due   []simDue
	read  int
	taken []simEvent // of the updates from due[read] on
	known bool       // GUILD_CREATE was read, and no GUILD_DELETE since
}

type simDue struct {
	event  *simEvent
	full   bool
	update *simUpdate // in the place of event; see simulation_passive_test.go
}

// simEvent is an event as its digest; stripped is what a session without MESSAGE_CONTENT gets.
type simEvent struct {
	name, full, stripped string
	again                bool // GUILD_CREATE to who knows the guild
}

// simChunks is an answer to op 8.
type simChunks struct {
	guild       wire.Snowflake
	users       []wire.Snowflake
	next, count int
}

func (m *simModel) session(id string) *simSession {
	s := m.sessions[id]
	if s == nil {
		s = &simSession{
			m: m, id: id, streams: map[wire.Snowflake]*simStream{}, chunks: map[string]*simChunks{},
			refused: map[wire.Snowflake]bool{}, servers: map[wire.Snowflake]string{},
		}
		m.sessions[id] = s
	}
	return s
}

func (s *simSession) stream(g wire.Snowflake) *simStream {
	st := s.streams[g]
	if st == nil {
		st = &simStream{}
		s.streams[g] = st
	}
	return st
}

func (s *simSession) has(bit int) bool { return s.intents>>bit&1 != 0 }

func (s *simSession) give(g wire.Snowflake, e *simEvent, full bool) {
	st := s.stream(g)
	st.due = append(st.due, simDue{event: e, full: full})
	s.count++
}

// take compares what the client has read with what it was to get.
func (s *simSession) take(p *simPipe, name, digest string, d []byte) {
	w := s.m.w
	switch name {
	case "GUILD_MEMBERS_CHUNK":
		s.takeChunk(p, d)
		return
	case "RATE_LIMITED":
		s.count++
		return
	case "GUILD_MEMBER_LIST_UPDATE":
		s.takeList(p, d)
		return
	}
	guild, _ := wire.SnowflakeField(d, "guild_id")
	if name == "GUILD_CREATE" || name == "GUILD_DELETE" || name == "GUILD_UPDATE" {
		guild, _ = wire.SnowflakeField(d, "id")
	}
	switch name {
	case "GUILD_DELETE":
		s.leaveLists(guild)
	case "VOICE_SERVER_UPDATE":
		s.takeVoice(guild, d)
		return
	}
	st := s.stream(guild)
	s.draw(guild, name, d)
	if st.takeUpdate(name, digest) {
		return
	}
	if st.read == len(st.due) {
		w.fail("%v: %s of guild %d, and nothing is due: %s", p, name, guild, digest)
		return
	}
	due := st.due[st.read]
	st.read++
	if due.update != nil {
		w.fail("%v: guild %d, an update is due:\n got  %s %s\n want one of %v, behind %v", p,
			guild, name, digest, due.update.options, st.taken)
		return
	}
	want := due.event.full
	if !due.full {
		want = due.event.stripped
	}
	if name != due.event.name || digest != want {
		w.fail("%v: guild %d, due number %d:\n got  %s %s\n want %s %s", p, guild, st.read-1, name,
			digest, due.event.name, want)
		return
	}
	if name == "USER_UPDATE" {
		s.name, _ = wire.StringField(d, "username")
	}
	if guild != 0 && s.has(0) {
		s.order(p, st, guild, name, due.event.again)
	}
}

// order looks for what client libraries drop: an event of a guild that they do not have.
func (s *simSession) order(p *simPipe, st *simStream, guild wire.Snowflake, name string,
	again bool) {
	switch {
	case name == "GUILD_CREATE":
		if st.known != again {
			s.m.w.fail("%v: GUILD_CREATE of guild %d twice", p, guild)
		}
		st.known = true
	case name == "GUILD_DELETE":
		st.known = false
	case !st.known && name != "SOUNDBOARD_SOUNDS":
		s.m.w.fail("%v: %s of guild %d, which the client does not have", p, name, guild)
	}
}

func (s *simSession) takeChunk(p *simPipe, d []byte) {
	w := s.m.w
	s.count++
	nonce, _ := wire.StringField(d, "nonce")
	guild, _ := wire.SnowflakeField(d, "guild_id")
	index, _ := wire.IntField(d, "chunk_index")
	count, _ := wire.IntField(d, "chunk_count")
	c := s.chunks[nonce]
	if c == nil || c.guild != guild || int64(c.next) != index || index >= count ||
		c.count != 0 && int64(c.count) != count {
		w.fail("%v: chunk %d of %d, nonce %s, in the place of %+v", p, index, count, nonce, c)
		return
	}
	if c.next, c.count = c.next+1, int(count); c.next == 2 {
		w.count("answers of several chunks")
	}
	if c.users == nil {
		return
	}
	var told []wire.Snowflake
	members, _ := wire.Field(d, "members")
	wire.EachElement(members, func(raw []byte) bool {
		user, _ := wire.Field(raw, "user")
		id, _ := wire.SnowflakeField(user, "id")
		told = append(told, id)
		return true
	})
	absent, _ := wire.Field(d, "not_found")
	wire.EachElement(absent, func(raw []byte) bool {
		id, _ := wire.DecodeSnowflake(raw)
		told = append(told, id)
		return true
	})
	slices.Sort(told)
	want := slices.Clone(c.users)
	slices.Sort(want)
	if !slices.Equal(told, slices.Compact(want)) {
		w.fail("%v: a chunk tells of %v, and was asked for %v", p, told, c.users)
	}
}

// observe is called when a guild sees a message, before it acts on it. g is the shard's guild, nil
// when the shard thinks that there is none.
func (m *simModel) observe(message guildMessage, g *fanout.Guild) {
	id := message.id()
	s := m.guild(id)
	if (g != nil) != s.exists {
		m.w.fail("guild %d is there: %t; it should be: %t", id, g != nil, s.exists)
		return
	}
	switch v := message.(type) {
	case *joinGuild:
		s.join(v)
	case *leaveGuild:
		if r := m.handles[v.handle]; r != nil {
			s.leave(r)
		}
	case *setPresence:
		if r := m.handles[v.handle]; s.exists && slices.Contains(s.joined, r) {
			s.said[r] = simSaidOf(v.presence)
			s.regard(r.user)
		}
	case *setVoice:
		if r := m.handles[v.handle]; s.exists && slices.Contains(s.joined, r) {
			s.setVoice(r, v.command)
		}
	case *queryMembers:
		s.query(v)
	case *subscribeGuild:
		if r := m.handles[v.handle]; s.exists && slices.Contains(s.joined, r) {
			s.subscribe(r, v.wants)
		}
	case *tickGuild:
		if s.exists {
			if g.PresencesReady(m.w.core.wall()) {
				s.tellPresences()
			}
			s.tick(g.NewsDue())
		}
	case *askGuild:
		if r := m.handles[v.handle]; s.exists && r != nil {
			r.give(s.id, &simEvent{name: "SOUNDBOARD_SOUNDS", full: "sounds"}, true)
		}
	case *guildWork:
		if op := m.w.ops[v]; op != nil {
			delete(m.w.ops, v)
			op(s)
		}
	}
}

// refused is called when a guild could not be loaded for want of workers.
func (m *simModel) refused(message guildMessage, err error) {
	if !m.w.opts.busy {
		m.w.fail("guild %d refused %T: %v", message.id(), message, err)
		return
	}
	switch v := message.(type) {
	case *joinGuild:
		r := m.receiver(&v.receiver)
		r.refused[v.guild] = true
		if r.has(0) {
			r.give(v.guild, &simEvent{name: "GUILD_DELETE", full: "away"}, true)
		}
	case *guildWork:
		delete(m.w.ops, v)
	}
}

// receiver is the session of a receiver, as the node describes it.
func (m *simModel) receiver(v *fanout.Receiver) *simSession {
	r := m.session(v.SessionID.String())
	if r.handle == (fanout.Handle{}) {
		r.handle, r.user, r.intents = v.Handle, v.User, uint32(v.Intents)
		r.large, r.bot, r.mode = v.LargeThreshold, v.Bot, v.Updates
		r.platform = v.Platform
		m.handles[v.Handle] = r
	}
	if r.handle != v.Handle || r.user != v.User || r.intents != uint32(v.Intents) {
		m.w.fail("session %s is %+v, and was %+v", v.SessionID, v, r)
	}
	return r
}

// query is op 8: what is asked for must be answered, unless it may not be asked.
func (s *simGuild) query(v *queryMembers) {
	r := s.m.handles[v.handle]
	if r == nil || !s.exists || s.members[v.user] == nil {
		return
	}
	if len(v.command.UserIDs) == 0 && !r.has(1) {
		return
	}
	r.chunks[v.command.Nonce] = &simChunks{guild: s.id, users: v.command.UserIDs}
}

// complete says what of a live session's stream is still missing, "" when nothing is.
func (s *simSession) complete() string {
	for _, g := range s.m.guilds {
		if st := s.streams[g.id]; st != nil && !st.done() {
			return fmt.Sprintf("%d of %d of guild %d, next %+v", len(st.due)-st.read, len(st.due),
				g.id, st.due[st.read])
		}
	}
	if st := s.streams[0]; st != nil && st.read < len(st.due) {
		return fmt.Sprintf("a private event: %+v", st.due[st.read].event)
	}
	for nonce, c := range s.chunks {
		if c.next == 0 || c.next < c.count {
			return fmt.Sprintf("chunk %d of %d of %s", c.next, c.count, nonce)
		}
	}
	return ""
}
