package node

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"

	"throng/fanout"
	"throng/store"
	"throng/wire"
)

var (
	errGuildBusy   = errors.New("too many requests wait for this guild")
	errInternal    = errors.New("the request failed inside the node")
	errGuildBehind = errors.New("the guild's sessions have yet to be given what was published")
)

// What sessions ask of guilds. None of these has an answer but messages to the session's loop, so
// a refusal is only counted, except where a session waits to be taken in.

// joinGuild asks to be taken in.
type joinGuild struct {
	guild    wire.Snowflake
	receiver fanout.Receiver
	presence *wire.PresenceCommand
}

func (m *joinGuild) id() wire.Snowflake  { return m.guild }
func (m *joinGuild) kind() messageKind   { return kindJoin }
func (m *joinGuild) from() fanout.Handle { return m.receiver.Handle }

func (m *joinGuild) apply(s *shard, g *fanout.Guild) {
	if g == nil {
		m.refuse(s, nil)
		return
	}
	now := s.core.wall()
	change, err := g.Join(m.receiver, now)
	if err != nil {
		m.refuse(s, err)
		return
	}
	s.emit(g, &change)
	p := wire.PresenceCommand{Status: "online"}
	if m.presence != nil {
		p = *m.presence
	}
	change = g.SetPresence(m.receiver.Handle, p, now)
	s.emit(g, &change)
}

// refuse tells the session that the guild is gone for it, or, when the guild only could not be
// read, that it is unavailable.
func (m *joinGuild) refuse(s *shard, err error) {
	body := append(m.guild.AppendJSON([]byte(`{"id":`)), '}')
	var refused *fanout.Error
	if err != nil && !errors.As(err, &refused) {
		body = append(body[:len(body)-1], `,"unavailable":true}`...)
	}
	msg := fanout.Msg{Kind: fanout.MsgRefuse, Loop: int(m.receiver.Loop), Guild: m.guild,
		To: m.receiver.Handle}
	if m.receiver.Intents&wire.IntentGuilds != 0 {
		msg.Dispatches = []*wire.Dispatch{wire.NewDispatch("GUILD_DELETE", body, nil)}
	}
	s.tell(int(m.receiver.Loop), &relayStep{msg})
}

// leaveGuild says that a session has ended.
type leaveGuild struct {
	guild  wire.Snowflake
	handle fanout.Handle
	user   wire.Snowflake
	last   bool // the user has no other session
}

func (m *leaveGuild) id() wire.Snowflake   { return m.guild }
func (m *leaveGuild) kind() messageKind    { return kindLeave }
func (m *leaveGuild) from() fanout.Handle  { return m.handle }
func (m *leaveGuild) refuse(*shard, error) {}

func (m *leaveGuild) apply(s *shard, g *fanout.Guild) {
	if g == nil {
		return
	}
	change := g.Leave(m.handle, s.core.wall())
	s.emit(g, &change)
}

type setVoice struct {
	guildCall
	handle  fanout.Handle
	command wire.VoiceStateCommand
}

func (m *setVoice) kind() messageKind        { return kindVoice }
func (m *setVoice) from() fanout.Handle      { return m.handle }
func (m *setVoice) refuse(s *shard, _ error) { s.core.drop(RefusedCommand) }

func (m *setVoice) apply(s *shard, g *fanout.Guild) {
	if g == nil {
		m.refuse(s, nil)
		return
	}
	change := g.SetVoice(m.handle, m.command, s.core.wall())
	s.emit(g, &change)
}

type setPresence struct {
	guildCall
	handle   fanout.Handle
	presence wire.PresenceCommand
}

func (m *setPresence) kind() messageKind        { return kindPresence }
func (m *setPresence) from() fanout.Handle      { return m.handle }
func (m *setPresence) refuse(s *shard, _ error) { s.core.drop(RefusedCommand) }

func (m *setPresence) apply(s *shard, g *fanout.Guild) {
	if g == nil {
		m.refuse(s, nil)
		return
	}
	change := g.SetPresence(m.handle, m.presence, s.core.wall())
	s.emit(g, &change)
}

// asker is the session that asks.
type asker struct {
	handle  fanout.Handle
	user    wire.Snowflake
	intents wire.Intents
}

func (s *session) asker(l *loop) asker { return asker{s.handle(l), s.user, s.intents} }

// queryMembers plans the answer to a member request; the loop has it made and sends it. Among other
// nodes it asks for one chunk; see farMembers.
type queryMembers struct {
	guildCall
	asker
	command wire.MembersCommand
	at      chunkPlace
}

func (m *queryMembers) kind() messageKind   { return kindMembers }
func (m *queryMembers) from() fanout.Handle { return m.handle }

func (m *queryMembers) refuse(s *shard, err error) {
	s.core.drop(RefusedCommand)
	if m.at.ask != 0 {
		s.answerer(m).refuse(err)
	}
}

func (m *queryMembers) apply(s *shard, g *fanout.Guild) {
	if g == nil {
		m.refuse(s, nil)
		return
	}
	q, err := g.MembersQuery(m.command, m.user, m.intents, s.core.wall())
	if err != nil {
		m.refuse(s, err)
		return
	}
	if m.at.ask != 0 {
		s.makeChunk(m, &q)
		return
	}
	if int(m.handle.Loop) >= len(s.core.loops) {
		m.refuse(s, errElsewhere)
		return
	}
	s.core.loops[m.handle.Loop].calls.push(&startStream{&memberStream{to: m.handle, query: &q}})
}

// askGuild asks for soundboard sounds, or for channel info when fields are named.
type askGuild struct {
	guildCall
	asker
	command wire.ChannelInfoCommand
}

func (m *askGuild) kind() messageKind        { return kindInfo }
func (m *askGuild) from() fanout.Handle      { return m.handle }
func (m *askGuild) refuse(s *shard, _ error) { s.core.drop(RefusedCommand) }

func (m *askGuild) apply(s *shard, g *fanout.Guild) {
	if g == nil {
		m.refuse(s, nil)
		return
	}
	d := g.Soundboard()
	if m.command.GuildID != 0 {
		d = g.ChannelInfo(m.command, m.user, s.core.wall())
	}
	s.tell(int(m.handle.Loop), &relayStep{fanout.Msg{
		Kind: fanout.MsgPrivate, Loop: int(m.handle.Loop), Guild: m.guild, To: m.handle,
		Dispatches: []*wire.Dispatch{d},
	}})
}

// What the doors ask of guilds. Each is answered once, on the reply channel, which has room for
// the answer: the shard never waits for whoever asked.

// guildWork is a request that makes a change: run gets the guild, or nil, and returns the guild it
// has acted on with what follows from it. The reply comes when the change is durable.
type guildWork struct {
	guildCall
	by    *caller
	what  messageKind
	run   func(s *shard, g *fanout.Guild, now int64) (*fanout.Guild, fanout.Change, error)
	reply chan error
}

func (m *guildWork) kind() messageKind          { return m.what }
func (m *guildWork) refuse(_ *shard, err error) { m.reply <- err }

func (m *guildWork) apply(s *shard, g *fanout.Guild) {
	if !m.by.listens(s, m.reply) {
		return
	}
	defer m.by.mu.Unlock()
	g, change, err := m.run(s, g, s.core.wall())
	if err != nil {
		m.reply <- err
		return
	}
	s.settle(g, &change, func(err error) { m.reply <- err })
}

// caller is whoever waits for a request. What it asks for may fill in variables of its own, so it
// does not go while that is being done, and nothing is done for who has gone.
type caller struct {
	ctx context.Context

	// Guarded by mu, which is held while something is done.
	mu   sync.Mutex
	gone bool
}

func callerOf(ctx context.Context) *caller { return &caller{ctx: ctx} }

// listens says whether it waits yet, and holds mu if so. It may have asked again since it has gone,
// and a shard that is behind would do everything twice.
func (c *caller) listens(s *shard, reply chan error) bool {
	c.mu.Lock()
	err := c.ctx.Err()
	if !c.gone && err == nil {
		return true
	}
	c.mu.Unlock()
	s.core.abandoned.Add(1)
	reply <- cmp.Or(err, context.Canceled)
	return false
}

// await waits for the answer, as long as the caller does.
func (c *caller) await(reply chan error) error {
	select {
	case err := <-reply:
		return refusal(err)
	case <-c.ctx.Done():
		c.mu.Lock()
		defer c.mu.Unlock()
		c.gone = true
		return c.ctx.Err()
	}
}

// guildLook is a request that only reads.
type guildLook struct {
	guildCall
	by    *caller
	run   func(g *fanout.Guild, now int64) error
	reply chan error
}

func (m *guildLook) kind() messageKind          { return kindInfo }
func (m *guildLook) refuse(_ *shard, err error) { m.reply <- err }

func (m *guildLook) apply(s *shard, g *fanout.Guild) {
	if !m.by.listens(s, m.reply) {
		return
	}
	defer m.by.mu.Unlock()
	m.reply <- m.run(g, s.core.wall())
}

// eachGuild looks at every guild of a shard, for the operator's views.
type eachGuild struct {
	by    *caller
	run   func(g *fanout.Guild)
	reply chan error
}

func (m *eachGuild) id() wire.Snowflake          { return 0 }
func (m *eachGuild) from() fanout.Handle         { return fanout.Handle{} }
func (m *eachGuild) kind() messageKind           { return kindInfo }
func (m *eachGuild) refuse(_ *shard, err error)  { m.reply <- err }
func (m *eachGuild) apply(*shard, *fanout.Guild) {}

func (s *shard) each(m *eachGuild) {
	if !m.by.listens(s, m.reply) {
		return
	}
	defer m.by.mu.Unlock()
	for _, p := range s.guilds {
		if p.guild != nil {
			m.run(p.guild)
		}
	}
	m.reply <- nil
}

// merge puts what several steps of one guild have to keep together, in their order. What they say
// is emitted step by step: the next may take the last receiver from a loop that this one speaks to.
func merge(into *fanout.Change, c fanout.Change) {
	for _, op := range c.Ops {
		if op.Kind == store.OpPutGuild {
			// Only the last matters, and a thousand of half a megabyte are half a gigabyte.
			into.Ops = slices.DeleteFunc(into.Ops, isDocument)
		}
		into.Ops = append(into.Ops, op)
	}
	into.Index = c.Index
	into.Joined = append(into.Joined, c.Joined...)
}

func isDocument(op store.Op) bool { return op.Kind == store.OpPutGuild }
