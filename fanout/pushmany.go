package fanout

import (
	"slices"

	"throng/store"
	"throng/wire"
)

// A message may mention everyone, or all who have a role, and each of them who is away is to be
// told. In a guild of a million that is a second of the shard, if it goes through its members; so
// a worker does, over a snapshot. It passes over bots, who have not the role and who may not view
// the channel, which it decides once for a set of roles, 0.2 s for the million, and hands the guild
// the others, two hundred at a time, of whom the guild leaves out who has a session there by now:
// 43 us a turn. See BenchmarkPushSearch.
//
// A guild has one search under way, and it goes on when there is room for more pushes: a million of
// them would push out of the line whatever else waits there. In a thread only its members are
// meant, and these are few.

// pushSearch is a search for the members whom a message mentions all together.
type pushSearch struct {
	// Static after construction.
	push    Push
	members store.MemberSnapshot
	view    memberView
	roles   roleFilter // Who has one of these is meant; nil means everyone.
	named   []wire.Snowflake
	sight   channelSight

	// Owned by whoever's turn it is.
	from  uint64
	over  bool
	meant map[uint32]bool // By role-set, for members whom no overwrite names.
}

// channelSight is all that decides about who may view a channel, as it was at one moment.
type channelSight struct {
	guild, owner wire.Snowflake
	everyone     wire.Permissions
	permissions  map[wire.Snowflake]wire.Permissions // By role.
	overwrites   []wire.Overwrite
}

func (c *channelSight) sees(user wire.Snowflake, roles []uint64) bool {
	subject := wire.PermissionSubject{Owner: user == c.owner, User: user}
	for _, role := range roles {
		subject.Roles = append(subject.Roles, wire.Snowflake(role))
	}
	base := wire.BasePermissions(subject, c.everyone, func(role wire.Snowflake) wire.Permissions {
		return c.permissions[role]
	})
	return wire.ChannelPermissions(base, c.guild, subject, c.overwrites).Has(
		wire.PermissionViewChannel)
}

// names reports whether the user is treated apart from others with the same roles.
func (c *channelSight) names(user wire.Snowflake) bool {
	return user == c.owner || slices.ContainsFunc(c.overwrites, func(ow wire.Overwrite) bool {
		return ow.Type == wire.OverwriteMember && ow.ID == user
	})
}

// mentionsMany says which roles a message mentions, ascending; nil is everyone, if many is true.
func (g *Guild) mentionsMany(o object) (roles roleFilter, many bool) {
	if isTrue(o.get("mention_everyone")) {
		return nil, true
	}
	wire.EachElement(o.get("mention_roles"), func(raw []byte) bool {
		if id, ok := parseID(raw); ok && g.roleByID[id] != nil {
			roles = append(roles, uint64(id))
		}
		return true
	})
	slices.Sort(roles)
	return roles, len(roles) > 0
}

// pushMany has those told whom a message mentions all together, but for named, who have been seen
// to.
func (t *turn) pushMany(p Push, roles roleFilter, named []wire.Snowflake) {
	g := t.g
	s := &pushSearch{push: p, view: g.view(), roles: roles, named: named}
	if th := g.threadByID[p.Channel]; th != nil {
		t.pushThread(s, th)
		return
	}
	c := g.channelByID[p.Channel]
	if c == nil {
		return
	}
	if len(g.searches) >= pushSearchesMax {
		s.push.Omitted = g.members.Len()
		t.c.Pushes = append(t.c.Pushes, s.push)
		return
	}
	s.members = g.members.Snapshot()
	s.sight = channelSight{guild: g.id, owner: g.owner, overwrites: c.overwrites,
		everyone: g.roleByID[g.id].permissions, permissions: g.permissionsByRole()}
	g.searches = append(g.searches, s)
}

func (g *Guild) permissionsByRole() map[wire.Snowflake]wire.Permissions {
	all := make(map[wire.Snowflake]wire.Permissions, len(g.roles))
	for _, r := range g.roles {
		all[r.id] = r.permissions
	}
	return all
}

// pushThread tells the members of a thread.
func (t *turn) pushThread(s *pushSearch, th *thread) {
	for _, m := range th.members {
		member, ok := t.g.members.Get(uint64(m.user))
		if ok && s.means(member.RoleSet) && !slices.Contains(s.named, m.user) &&
			t.g.away(m.user, th.id, t.now) {
			s.push.Users = append(s.push.Users, m.user)
		}
	}
	if len(s.push.Users) > 0 {
		t.c.Pushes = append(t.c.Pushes, s.push)
	}
}

// means reports whether one of the roles that are mentioned is in the set.
func (s *pushSearch) means(set uint32) bool {
	return s.roles == nil || slices.ContainsFunc(s.view.roleSets.Roles(set), s.roles.has)
}

// Next implements Walk.
func (s *pushSearch) Next(max int) (users []uint64) {
	if s.over {
		return nil
	}
	for m := range s.members.From(s.from) {
		if !s.candidate(m) {
			continue
		}
		if len(users) == max {
			s.from = m.User
			return users
		}
		users = append(users, m.User)
	}
	s.over = true
	return users
}

func (s *pushSearch) candidate(m store.Member) bool {
	user := wire.Snowflake(m.User)
	meant, known := s.meant[m.RoleSet]
	if named := s.sight.names(user); named || !known {
		meant = s.means(m.RoleSet) && s.sight.sees(user, s.view.roleSets.Roles(m.RoleSet))
		if !named {
			if s.meant == nil {
				s.meant = make(map[uint32]bool)
			}
			s.meant[m.RoleSet] = meant
		}
	}
	if !meant || slices.Contains(s.named, user) {
		return false
	}
	u := s.view.users.Get(m.User)
	return u == nil || !u.Bot
}

// nextSearch returns a search that is to be begun or to go on, or nil.
func (g *Guild) nextSearch() *pushSearch {
	if len(g.searches) == 0 || g.searching || g.searchAt != 0 {
		return nil
	}
	g.searching = true
	return g.searches[0]
}

// searchLater has the search go on at a tick.
func (g *Guild) searchLater(s *pushSearch, now int64) {
	if g.searching && s == g.searches[0] {
		g.searching, g.searchAt = false, now+pushRetryMilli
	}
}

// searchOver takes the search out.
func (g *Guild) searchOver(s *pushSearch) {
	if g.searching && s == g.searches[0] {
		g.searching, g.searches = false, slices.Delete(g.searches, 0, 1)
	}
}

// searched pushes to those of the members who are away.
func (g *Guild) searched(s *pushSearch, users []uint64, now int64) Change {
	t := g.turn(now)
	if !g.searching || s != g.searches[0] {
		return t.done()
	}
	if len(users) == 0 {
		g.searchOver(s)
		return t.done()
	}
	p := s.push
	for _, u := range users {
		user := wire.Snowflake(u)
		if _, still := g.members.Get(u); still && !g.receivers.active(user) {
			p.Users = append(p.Users, user)
		}
	}
	if len(p.Users) > 0 {
		t.c.Pushes = append(t.c.Pushes, p)
	}
	return t.done()
}
