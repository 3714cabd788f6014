package fanout

import (
	"slices"

	"throng/store"
	"throng/wire"
)

// A role that is deleted is gone from its members at once, as their roles are passed over from then
// on when the guild does not have them; see roleFilter. That costs the shard the same for a million
// members as for ten. What is left are records, here and on the disk, that name the role still, and
// would bring it back to those members if a role with its id came.
//
// So the records are swept: a worker looks through a snapshot for members that have the role, and
// the guild takes it from them, a thousand at a time, each time when those before are on the disk.
// In one go the million are seconds of the shard, and of everyone else who writes to the disk.
//
// Members change meanwhile, and what counts is the record as it is when its turn comes: the worker
// only says whom to look at. Who has joined since the snapshot cannot have the role, as members are
// given no roles that the guild does not have, and until the sweep is over there is no new role
// with the id of an old one. Roles that go meanwhile have a sweep of their own after this one.
//
// Invariant: a role that some record names and the guild does not have is in Guild.gone.

// Sweep is a search for the members who have roles that were deleted. The guild hands it out, and
// its holder calls Next, away from the shard, and gives what it returns to the guild, in turns.
type Sweep struct {
	// Static after construction.
	members  store.MemberSnapshot
	roleSets *store.RoleSets
	roles    roleFilter

	// Owned by whoever's turn it is.
	from uint64
	over bool
	has  map[uint32]bool // By role-set.
}

// Next returns the next members to look at, at most max of them; none at the end.
func (s *Sweep) Next(max int) (users []uint64) {
	if s.over {
		return nil
	}
	for m := range s.members.From(s.from) {
		if !s.hit(m.RoleSet) {
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

// hit reports whether one of the roles is in the set.
func (s *Sweep) hit(set uint32) bool {
	hit, known := s.has[set]
	if !known {
		if s.has == nil {
			s.has = make(map[uint32]bool)
		}
		hit = slices.ContainsFunc(s.roleSets.Roles(set), s.roles.has)
		s.has[set] = hit
	}
	return hit
}

// nextSweep returns a sweep that is to be begun, or nil.
func (g *Guild) nextSweep() *Sweep {
	if !g.sweepDue {
		return nil
	}
	g.sweepDue = false
	g.sweep = &Sweep{
		members: g.members.Snapshot(), roleSets: g.roleSets, roles: slices.Clone(g.gone),
	}
	return g.sweep
}

// sweepLater puts a sweep off for which there was no room. The guild gives out another.
func (g *Guild) sweepLater(s *Sweep) {
	if s == g.sweep {
		g.sweep, g.sweepDue = nil, true
	}
}

// sweepFailed gives a sweep up. What it was about is seen to with the next role that goes, or when
// the guild is next loaded.
func (g *Guild) sweepFailed(s *Sweep) {
	if s == g.sweep {
		g.sweep = nil
	}
}

// swept takes the deleted roles from these members, which Next has returned; none is the end. When
// what follows is kept, the next turn is Next's.
func (g *Guild) swept(s *Sweep, users []uint64, now int64) Change {
	t := g.turn(now)
	if s != g.sweep {
		return t.done()
	}
	for _, user := range users {
		if m, ok := g.members.Get(user); ok {
			t.dropRoles(m)
		}
	}
	if len(users) == 0 {
		g.sweep = nil
		g.gone = slices.DeleteFunc(g.gone, s.roles.has)
		g.sweepDue = len(g.gone) > 0
	}
	return t.done()
}

// dropRoles takes the roles that the guild does not have from a member.
func (t *turn) dropRoles(m store.Member) {
	g := t.g
	roles := slices.DeleteFunc(slices.Clone(g.roleSets.Roles(m.RoleSet)), func(role uint64) bool {
		return !g.roleIDs.has(role)
	})
	set := g.roleSets.Intern(roles)
	if set == m.RoleSet {
		return
	}
	m.RoleSet = set
	g.members.Put(m)
	t.keep(g.keepMember(m))
	t.reclass(wire.Snowflake(m.User))
}

// rolesGone follows a change of the guild's roles.
func (g *Guild) rolesGone(before []*role) {
	for _, r := range before {
		if g.roleByID[r.id] == nil {
			g.goneRole(uint64(r.id))
		}
	}
}

// goneRole takes note of a role that records name and the guild does not have.
func (g *Guild) goneRole(id uint64) {
	if at, known := slices.BinarySearch(g.gone, id); !known {
		g.gone = slices.Insert(g.gone, at, id)
	}
	g.sweepDue = g.sweepDue || g.sweep == nil
}

// rolesBack precedes a change of the guild's roles. A role may have the id of one that was deleted
// when no record names that any more: at once in a small guild, and else when the sweep is over.
func (t *turn) rolesBack(roles []*role, path string) *Error {
	g := t.g
	back := slices.ContainsFunc(roles, func(r *role) bool { return g.gone.has(uint64(r.id)) })
	if !back {
		return nil
	}
	if g.members.Len() > sweepAtOnceMax {
		return conflict(path, "The role was deleted, and is still being taken from its members.")
	}
	var all []store.Member
	g.members.Range(func(m store.Member) bool { all = append(all, m); return true })
	for _, m := range all {
		t.dropRoles(m)
	}
	g.gone, g.sweep, g.sweepDue = nil, nil, false
	return nil
}

// strayRoles looks for roles that records name, but not the guild, after they were loaded.
func (g *Guild) strayRoles() {
	for id := range g.roleSets.Len() {
		for _, role := range g.roleSets.Roles(uint32(id)) {
			if !g.roleIDs.has(role) {
				g.goneRole(role)
			}
		}
	}
}
