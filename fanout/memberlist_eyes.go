package fanout

import (
	"cmp"

	"throng/store"
	"throng/wire"
)

// listEyes see members as lists do, and remember what they have seen: the highest hoisted role of a
// role-set, and which members may view a channel. The shard has a pair, and so has each worker that
// builds lists or looks for whom a message mentions: what they see by is not changed, but replaced.
type listEyes struct {
	// Static after construction.
	guild     wire.Snowflake
	owner     wire.Snowflake
	users     *store.Users
	presences *presences
	roleSets  *store.RoleSets
	roles     map[wire.Snowflake]*role
	named     map[wire.Snowflake]bool // Whom some overwrite names.

	// Owned by whoever looks.
	folded  []byte // The name of the last listing.
	highest map[uint32]wire.Snowflake
	sight   map[listSight]bool
}

// listSight is what decides whether a member may view a channel.
type listSight struct {
	channel wire.Snowflake
	key     classKey
}

func (g *Guild) eyes(named map[wire.Snowflake]bool) listEyes {
	return listEyes{
		guild: g.id, owner: g.owner, users: g.users, presences: &g.presences,
		roleSets: g.roleSets, roles: g.roleByID, named: named,
		highest: make(map[uint32]wire.Snowflake), sight: make(map[listSight]bool),
	}
}

func (e *listEyes) listing(m store.Member) listing {
	e.folded = appendFolded(e.folded[:0], displayName(e.users, m))
	user := wire.Snowflake(m.User)
	return listing{
		name: e.folded, role: e.highestRole(m.RoleSet), online: e.presences.get(user) != nil,
	}
}

// displayName is what clients call the member.
func displayName(users *store.Users, m store.Member) string {
	if m.Extra != "" {
		if name := nick(m); name != "" {
			return name
		}
	}
	user := users.Get(m.User)
	if user == nil {
		return placeholderName(wire.Snowflake(m.User))
	}
	return cmp.Or(user.GlobalName, user.Name)
}

// highestRole returns the highest hoisted role of the set, or 0.
func (e *listEyes) highestRole(set uint32) wire.Snowflake {
	if set == 0 {
		return 0
	}
	highest, known := e.highest[set]
	if !known {
		var best *role
		for _, id := range e.roleSets.Roles(set) {
			r := e.roles[wire.Snowflake(id)]
			if r != nil && r.hoist && (best == nil || compareHoisted(r, best) < 0) {
				best = r
			}
		}
		if best != nil {
			highest = best.id
		}
		e.highest[set] = highest
	}
	return highest
}

func compareHoisted(a, b *role) int {
	return cmp.Or(cmp.Compare(b.position, a.position), cmp.Compare(a.id, b.id))
}

// views asks for a class of members rather than for the member. Timeouts do not hide channels.
func (e *listEyes) views(m store.Member, c *channel) bool {
	at := listSight{channel: c.id}
	user := wire.Snowflake(m.User)
	switch {
	case user == e.owner:
		at.key.owner = true
	case e.named[user]:
		at.key.user = user
		fallthrough
	default:
		at.key.roles = m.RoleSet
	}
	views, known := e.sight[at]
	if !known {
		views = e.permissions(at.key, c).Has(wire.PermissionViewChannel)
		if len(e.sight) >= listSightMax {
			clear(e.sight)
		}
		e.sight[at] = views
	}
	return views
}

func (e *listEyes) permissions(key classKey, c *channel) wire.Permissions {
	subject := wire.PermissionSubject{Owner: key.owner, User: key.user}
	for _, id := range e.roleSets.Roles(key.roles) {
		if e.roles[wire.Snowflake(id)] != nil {
			subject.Roles = append(subject.Roles, wire.Snowflake(id))
		}
	}
	of := func(id wire.Snowflake) wire.Permissions {
		if r := e.roles[id]; r != nil {
			return r.permissions
		}
		return 0
	}
	base := wire.BasePermissions(subject, of(e.guild), of)
	return wire.ChannelPermissions(base, e.guild, subject, c.overwrites)
}

// forEyes returns what eyes look at of a channel elsewhere than on the shard, and adds whom its
// overwrites name.
func (c *channel) forEyes(named map[wire.Snowflake]bool) *channel {
	for _, ow := range c.overwrites {
		if ow.Type == wire.OverwriteMember {
			named[ow.ID] = true
		}
	}
	return &channel{id: c.id, overwrites: c.overwrites}
}

// listChannel returns the channel whose list the channel or thread has, or nil.
func (g *Guild) listChannel(id wire.Snowflake) *channel {
	if th := g.threadByID[id]; th != nil {
		id = th.parent
	}
	return g.channelByID[id]
}

// guildScan is a guild's members for a worker.
type guildScan struct {
	members  store.MemberSnapshot
	eyes     listEyes
	channels map[wire.Snowflake]*channel // Copies, of those that lists are of.
	at       store.Member
}

// scan hands out the members as they are. It copies none: see store.Members.
func (ls *guildLists) scan(channels []wire.Snowflake) listScan {
	g := ls.g
	named := make(map[wire.Snowflake]bool)
	s := &guildScan{members: g.members.Snapshot(), eyes: g.eyes(named),
		channels: make(map[wire.Snowflake]*channel)}
	for _, id := range channels {
		c := g.listChannel(id)
		if c == nil {
			continue
		}
		s.channels[id] = c.forEyes(named)
	}
	return s
}

func (s *guildScan) each(onlineOnly bool, f func(user wire.Snowflake, l listing)) {
	s.members.Range(func(m store.Member) bool {
		user := wire.Snowflake(m.User)
		if !onlineOnly || s.eyes.presences.get(user) != nil {
			s.at = m
			f(user, s.eyes.listing(m))
		}
		return true
	})
}

func (s *guildScan) views(channel wire.Snowflake) bool {
	c := s.channels[channel]
	return c != nil && s.eyes.views(s.at, c)
}
