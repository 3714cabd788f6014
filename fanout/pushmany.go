package fanout

import (
	"slices"

	"throng/store"
	"throng/wire"
)

// A message may mention everyone, or all who have a role, and each of them who is away is to be
// told. In a guild of a million that is a second of the shard, if it goes through its members; so
// a worker does, over a snapshot. It passes over bots, who have not the role and who may not view
// the channel, which it decides once for a set of roles, 0.1 s for the million, and hands the guild
// the others, two hundred at a time, of whom the guild leaves out who has a session there by now:
// 10 us a turn. See BenchmarkPushSearch.
//
// A guild has one search under way, and it goes on when there is room for more pushes: a million of
// them would push out of the line whatever else waits there. In a thread only its members are
// meant, and these are few.

// pushSearch is a search for the members whom a message mentions all together.
type pushSearch struct {
	memberPath

	// Static after construction.
	push    Push
	roles   roleFilter // Who has one of these is meant; nil means everyone.
	named   []wire.Snowflake
	channel *channel // A copy.

	// Owned by whoever's turn it is.
	eyes  listEyes
	meant map[uint32]bool // By role-set: whether roles are in it.

	// Owned by the shard goroutine.
	seen uint64 // Where the search would go on elsewhere; see Carry.
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
	s := &pushSearch{push: p, roles: roles, named: named, meant: make(map[uint32]bool)}
	apart := make(map[wire.Snowflake]bool)
	s.eyes = g.eyes(apart)
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
	s.channel = c.forEyes(apart)
	g.searches = append(g.searches, s)
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
	if s.roles == nil {
		return true
	}
	meant, known := s.meant[set]
	if !known {
		meant = slices.ContainsFunc(s.eyes.roleSets.Roles(set), s.roles.has)
		s.meant[set] = meant
	}
	return meant
}

// Next implements Walk.
func (s *pushSearch) Next(max int) (users []uint64) { return s.next(max, s.candidate) }

func (s *pushSearch) candidate(m store.Member) bool {
	if !s.means(m.RoleSet) || !s.eyes.views(m, s.channel) ||
		slices.Contains(s.named, wire.Snowflake(m.User)) {
		return false
	}
	u := s.eyes.users.Get(m.User)
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
		g.searching, g.searchAt = false, now+walkRetryMilli
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
	s.seen = users[len(users)-1] + 1
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
