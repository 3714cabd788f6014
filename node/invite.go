package node

import (
	"throng/fanout"
	"throng/wire"
)

// Live sessions of users who become members of a guild are told, on each node by itself: the
// directory here has the members by then, and a session that is just being identified has read it
// before or after, which core.joins tells it.
//
// A session may have been sent away from the same guild a moment before, and must not hear of that
// behind the invitation, which it would forget again. What sends it away comes from whoever owns
// the guild, so on its way to the loop the invitation goes by there.

// membersJoined follows new members of a guild once they are in the directory. Among other nodes
// the directory calls it on each of them; it never waits.
func (c *core) membersJoined(guild wire.Snowflake, users []wire.Snowflake) {
	c.joins.Add(1)
	for _, user := range users {
		for _, h := range c.sessionsOf(user) {
			if c.mesh.many() {
				c.shardOf(guild).inbox.push(&inviteGuild{guildCall{guild}, h})
			} else {
				c.loops[h.Loop].inbox.push(invite(h, guild))
			}
		}
	}
}

// inviteGuild has a guild invite a session behind what it has said before.
type inviteGuild struct {
	guildCall
	handle fanout.Handle
}

func (m *inviteGuild) kind() messageKind   { return kindInvite }
func (m *inviteGuild) from() fanout.Handle { return m.handle }
func (m *inviteGuild) apply(s *shard, _ *fanout.Guild) {
	s.tell(int(m.handle.Loop), invite(m.handle, m.guild))
}

// refuse invites all the same: when the session asks, it hears what is the matter.
func (m *inviteGuild) refuse(s *shard, _ error) { m.apply(s, nil) }

// invite tells a session that its user has become a member of a guild.
func invite(to fanout.Handle, guild wire.Snowflake) *relayStep {
	return &relayStep{fanout.Msg{
		Kind: fanout.MsgInvite, Loop: int(to.Loop), Guild: guild, To: to,
	}}
}

func (l *loop) invited(s *session, guild wire.Snowflake) {
	if !s.of(guild) {
		return
	}
	for _, g := range s.guilds {
		if g == guild {
			return
		}
	}
	s.guilds = append(s.guilds, guild)
	l.joinMore(s)
}
