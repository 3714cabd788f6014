package node

import (
	"context"
	"fmt"

	"throng/fanout"
	"throng/wire"
)

// What the doors of a mesh's nodes ask of its guilds.

// ask gives the node that is to have a guild a request, which is answered in its turn.
func (m *handMesh) ask(guild wire.Snowflake,
	run func(s *shard, g *fanout.Guild, now int64) (*fanout.Guild, fanout.Change, error)) (
	asked bool) {
	for _, n := range m.live() {
		if _, here := n.mesh.owner(guild); here && !n.zombie {
			n.shardOf(guild).inbox.push(&guildWork{guildCall{guild},
				callerOf(context.Background()), kindProvision, run, make(chan error, 1)})
			return true
		}
	}
	return false
}

// change asks for a change of a guild that is there.
func (m *handMesh) change(guild wire.Snowflake,
	run func(g *fanout.Guild, now int64) (fanout.Change, error)) (asked bool) {
	return m.ask(guild,
		func(_ *shard, g *fanout.Guild, now int64) (*fanout.Guild, fanout.Change, error) {
			if g == nil {
				return nil, fanout.Change{}, errInternal
			}
			change, err := run(g, now)
			return g, change, err
		})
}

func (m *handMesh) remove(guild, user wire.Snowflake) bool {
	return m.change(guild, func(g *fanout.Guild, now int64) (fanout.Change, error) {
		return g.RemoveMember(user, now)
	})
}

func (m *handMesh) add(guild, user wire.Snowflake) bool {
	return m.change(guild, func(g *fanout.Guild, now int64) (fanout.Change, error) {
		return g.Publish("GUILD_MEMBER_ADD", fmt.Appendf(nil, `{"user":{"id":"%d"}}`, user), now)
	})
}

func (m *handMesh) delete(guild wire.Snowflake) bool {
	return m.ask(guild,
		func(s *shard, g *fanout.Guild, now int64) (*fanout.Guild, fanout.Change, error) {
			if g == nil {
				return nil, fanout.Change{}, errInternal
			}
			change := g.Delete(now)
			s.forget(g)
			return g, change, nil
		})
}

// put makes a guild that is not there.
func (m *handMesh) put(guild wire.Snowflake) bool {
	return m.ask(guild,
		func(s *shard, g *fanout.Guild, now int64) (*fanout.Guild, fanout.Change, error) {
			if g != nil {
				return nil, fanout.Change{}, errInternal
			}
			g = s.core.newGuild(guild)
			change, err := g.Replace(guildDoc(guild), now)
			if err == nil {
				s.adopt(g)
				s.listChannels(g)
			}
			return g, change, err
		})
}
