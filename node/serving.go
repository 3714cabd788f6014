package node

import (
	"context"
	"time"

	"throng/fanout"
	"throng/tuning"
	"throng/wire"
)

// Where a request about a guild is for. The view says who is to own it, and a guild that is handed
// over is served by who had it before, for seconds when it has a million members: whoever went by
// the view alone would wait for as long, or be refused.
//
// So each node has a table of the guilds that it serves, and what is in there is answered there,
// whatever a view says. What is not goes to who is to own it, and if that one does not serve it yet
// it says who does: its shard knows whom it follows, who hands the guild over, or who has answered
// its claim. Whoever takes the request there (see trip) finds the guild, or hears that it has gone,
// and comes back with that word, upon which the next owner names nobody but waits: the guild is all
// but there.
//
// To tell everybody of each guild that moves is what was rejected: a node that drains would send
// 100,000 messages to each other one, of guilds that hardly anybody asks for meanwhile.

// seek says which node a request about a guild is for, "" when nobody can know; or ask will be
// told. not is a node that does not serve the guild, by its own word, if one was asked.
func (m *mesh) seek(guild wire.Snowflake, not string) (node string, ask *whereGuild) {
	if _, serves := m.serving.Load(guild); serves || !m.many() {
		return m.self, nil
	}
	if node, here := m.owner(guild); !here && not == "" {
		return node, nil
	}
	ask = &whereGuild{guildCall{guild}, not, make(chan string, 1)}
	if !m.core.shardOf(guild).inbox.tryPush(ask) {
		return m.self, nil // Its shard is behind, and refuses the request itself.
	}
	return "", ask
}

// find is seek with some patience. When that is over the request waits where it is to be served.
func (m *mesh) find(ctx context.Context, guild wire.Snowflake, not string) (node string) {
	node, ask := m.seek(guild, not)
	if ask == nil {
		return node
	}
	end := time.NewTimer(tuning.SeekTimeout)
	defer end.Stop()
	select {
	case node = <-ask.reply:
		return node
	case <-end.C:
		return m.self
	case <-ctx.Done():
		return ""
	}
}

// trip is the way of a request from one node to the next. Nobody but who has begun it takes the
// request any further, so that it has an end even if all name one another.
type trip struct {
	at, not string // Who is asked, and who was before.
	asked   int
}

// next goes on to who was named. It is false when that leads nowhere.
func (t *trip) next(named string) bool {
	if named == "" || named == t.at || t.asked >= tuning.SeekNodesMax {
		return false
	}
	*t = trip{at: named, not: t.at, asked: t.asked + 1}
	return true
}

// serves keeps the table of the guilds that are served here.
func (s *shard) serves(id wire.Snowflake) {
	if p := s.guilds[id]; p != nil && p.guild != nil && p.giving == nil {
		s.core.mesh.serving.Store(id, struct{}{})
	} else {
		s.core.mesh.serving.Delete(id)
	}
}

// whereGuild asks who serves a guild.
type whereGuild struct {
	guildCall
	not   string
	reply chan string // With room for the answer.
}

func (m *whereGuild) kind() messageKind           { return kindMesh }
func (m *whereGuild) refuse(*shard, error)        { m.answer("") }
func (m *whereGuild) apply(*shard, *fanout.Guild) {}

func (m *whereGuild) answer(node string) {
	select {
	case m.reply <- node:
	default: // It has been answered before a panic.
	}
}

func (m *whereGuild) do(s *shard) {
	p, t := s.guilds[m.guild], s.takings[m.guild]
	node, here := s.core.mesh.owner(m.guild)
	switch {
	case p != nil && p.guild != nil && p.giving == nil:
		m.answer(s.core.mesh.self)
	case t != nil && t.from.node == m.not:
		t.wheres = m.enter(s, t.wheres)
	case t != nil:
		m.answer(t.from.node)
	case p != nil && p.link != nil && p.link.to != nil:
		m.answer(p.link.to.node)
	case !here:
		m.answer(node)
	case p != nil && p.link != nil, p == nil && s.core.mesh.behind():
		m.answer("") // It waits for the next view.
	default:
		m.claims(s)
	}
}

// claims waits until the others have answered this node's claim, or one of them says that it has
// the guild. Then whoever asks waits among the rest of the room.
func (m *whereGuild) claims(s *shard) {
	if s.guilds[m.guild] == nil {
		s.load(m.guild)
	}
	p := s.guilds[m.guild]
	switch {
	case p == nil || p.room == nil || p.room.claim == nil:
		m.answer(s.core.mesh.self)
	case p.room.claim.held != nil && p.room.claim.held.node != m.not:
		m.answer(p.room.claim.held.node)
	default:
		p.room.claim.wheres = m.enter(s, p.room.claim.wheres)
	}
}

// enter takes a place in a line.
func (m *whereGuild) enter(s *shard, line []*whereGuild) []*whereGuild {
	if len(line) >= s.core.limits.guildWaitMax {
		m.answer(s.core.mesh.self)
		return line
	}
	return append(line, m)
}

// askedAgain has those who wait ask once more.
func (s *shard) askedAgain(line []*whereGuild) {
	for _, m := range line {
		m.do(s)
	}
}
