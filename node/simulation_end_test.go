package node

import (
	"fmt"
	"slices"

	"throng/store"
	"throng/wire"
)

// compare holds that all sessions are in exactly the guilds that their users are members of, for
// the model, for the loops and for the clients.
func (w *world) compare() {
	w.check()
	w.comparePushes()
	w.comparePictures()
	for _, c := range w.clients {
		if w.err != nil {
			return
		}
		s := c.home().byID(mustParseID(c.id))
		var relays []wire.Snowflake
		c.home().board.Guilds(s.slot, func(g wire.Snowflake) { relays = append(relays, g) })
		for _, g := range w.model.guilds {
			member := g.exists && g.members[c.user.id] != nil &&
				(!c.sharded || int(g.id>>22)%c.shard[1] == c.shard[0])
			joined := slices.Contains(g.joined, c.record)
			if member != joined && !c.record.refused[g.id] {
				w.fail("client %d, session %s: member of guild %d: %t, joined: %t", c.index, c.id,
					g.id, member, joined)
			}
			if joined != slices.Contains(relays, g.id) {
				w.fail("client %d: joined guild %d: %t, in its relay: %t", c.index, g.id, joined,
					!joined)
			}
		}
		for _, g := range c.record.promised {
			if st := c.record.streams[g]; c.record.has(0) && (st == nil || st.read == 0) {
				w.fail("client %d was promised guild %d and never heard of it", c.index, g)
			}
		}
	}
}

func mustParseID(id string) sessionID {
	parsed, ok := parseSessionID(id)
	if !ok {
		panic("session id " + id)
	}
	return parsed
}

// end sends everybody away and looks for what is left.
func (w *world) end() {
	if w.err != nil {
		return
	}
	for i, c := range w.clients {
		if i%2 == 0 {
			c.sendClose(c.pipe, wire.CloseNormal)
			c.pipe.deliver(len(c.pipe.in))
		}
		c.pipe.sever()
	}
	for range w.core.limits.resumeMilli/200 + 40 {
		w.runAll()
		w.tickAll(200)
	}
	w.check()
	for i, l := range w.core.loops {
		out := l.out.Stats()
		for what, left := range map[string]int{
			"sessions": out.Sessions, "chunks": out.Chunks, "relays": l.board.Relays(),
			"live": int(l.stats.live), "detached": int(l.stats.detached), "streams": len(l.streams),
			"blocked": len(l.blocked), "queued": l.board.Queued(),
			"sockets": len(l.sockets) - len(l.unused), "joins": l.joining,
		} {
			if left != 0 {
				w.fail("loop %d is left with %d %s", i, left, what)
			}
		}
	}
	w.endGuilds()
}

// endGuilds looks for what guilds have left of sessions.
func (w *world) endGuilds() {
	for _, g := range w.model.guilds {
		if len(g.joined) != 0 {
			w.fail("guild %d is left with %d sessions in the model", g.id, len(g.joined))
		}
	}
	if n := w.core.contexts.Load(); n != 0 {
		w.fail("%d compressors are left", n)
	}
	if n := w.core.lookups.holders(); n != 0 {
		w.fail("%d tokens are still being looked up", n)
	}
	for _, s := range w.core.shards {
		if n := s.loads.holders() + int64(len(s.unread)); n != 0 {
			w.fail("%d guilds are still to be read", n)
		}
		for id, p := range s.guilds {
			if p.guild == nil {
				w.fail("guild %d is still being loaded", id)
			} else if n := p.guild.Info().SessionCount; n != 0 {
				w.fail("guild %d is left with %d sessions", id, n)
			}
		}
	}
	for _, g := range w.model.guilds {
		w.endMembers(g)
	}
	if n := w.core.live.Size(); n != 0 {
		w.fail("%d users are left with sessions", n)
	}
}

// endMembers holds that the directory has the members of the model, with their roles.
func (w *world) endMembers(g *simGuild) {
	count := 0
	err := w.core.dir.GuildMembers(uint64(g.id), func(m store.MemberRecord) error {
		count++
		want := g.members[wire.Snowflake(m.User)]
		if want == nil {
			return fmt.Errorf("user %d is none in the model", m.User)
		}
		var roles []uint64
		for _, role := range want.roles {
			roles = append(roles, uint64(role))
		}
		slices.Sort(roles)
		if !slices.Equal(roles, m.Roles) {
			return fmt.Errorf("user %d has roles %d, and should have %d", m.User, m.Roles, roles)
		}
		return nil
	})
	if err != nil || count != len(g.members) {
		w.fail("guild %d is kept with %d members of %d: %v", g.id, count, len(g.members), err)
	}
}
