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
// the guild takes it from them, two hundred at a time, each time when those before are on the disk.
// In one go the million are seconds of the shard, and of everyone else who writes to the disk.
//
// Members change meanwhile, and what counts is the record as it is when its turn comes: the worker
// only says whom to look at. Who has joined since the snapshot cannot have the role, as members are
// given no roles that the guild does not have, and until the sweep is over there is no new role
// with the id of an old one. Roles that go meanwhile have a sweep of their own after this one.
//
// A sweep that fails, because the disk does, is begun again some time later. The members that it
// was at have lost the role here and not on the disk; their records are kept once more.
//
// Invariant: a role that some record names and the guild does not have is in Guild.gone.

// Sweep is a search for the members who have roles that were deleted. The guild hands it out, and
// its holder calls Next, away from the shard, and gives what it returns to the guild, in turns.
type Sweep struct {
	memberPath

	// Static after construction.
	roleSets *store.RoleSets
	roles    roleFilter

	// Owned by whoever's turn it is.
	again []uint64        // Members whose records may not be on the disk as they are here.
	redo  bool            // Next has returned the first of these.
	has   map[uint32]bool // By role-set.
}

// Next returns the next members to look at, at most max of them; none at the end.
func (s *Sweep) Next(max int) (users []uint64) {
	if s.redo = len(s.again) > 0; s.redo {
		return s.again[:min(len(s.again), max)]
	}
	return s.next(max, s.hit)
}

// hit reports whether the member has one of the roles.
func (s *Sweep) hit(m store.Member) bool {
	set := m.RoleSet
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
		memberPath: memberPath{members: g.members.Snapshot()},
		roleSets:   g.roleSets, roles: slices.Clone(g.gone), again: g.sweepAgain,
	}
	g.sweepAgain = nil
	return g.sweep
}

// sweepLater puts a sweep off for which there was no room. The guild gives out another, when it is
// asked again or its tick comes.
func (g *Guild) sweepLater(s *Sweep, now int64) {
	if s == g.sweep {
		g.endSweep(nil)
		g.sweepDue, g.sweepAt = true, now+walkRetryMilli
	}
}

// sweepFailed gives a sweep up that was at these members. Another is given out after a while, or
// with the next role that goes.
func (g *Guild) sweepFailed(s *Sweep, users []uint64, now int64) {
	if s == g.sweep {
		g.endSweep(users)
	} else {
		g.sweepAgain = append(g.sweepAgain, users...)
	}
	g.sweepAt = now + sweepRetryMilli
}

// endSweep lets go of a sweep that was at these members and is not through.
func (g *Guild) endSweep(users []uint64) {
	g.sweepAgain = slices.Concat(g.sweepAgain, users, g.sweep.again)
	g.sweep = nil
}

// retrySweep makes a sweep due that has failed some time ago.
func (g *Guild) retrySweep(now int64) {
	if g.sweepAt == 0 || now < g.sweepAt {
		return
	}
	g.sweepAt = 0
	g.sweepDue = g.sweepDue || g.sweep == nil && len(g.gone)+len(g.sweepAgain) > 0
}

// swept takes the deleted roles from these members, which Next has returned; none is the end. When
// what follows is kept, the next turn is Next's.
func (g *Guild) swept(s *Sweep, users []uint64, now int64) Change {
	t := g.turn(now)
	if s != g.sweep {
		return t.done()
	}
	for _, user := range users {
		if m, ok := g.members.Get(user); ok && !t.dropRoles(m) && s.redo {
			t.keep(g.keepMember(m))
		}
	}
	if s.redo {
		s.again = s.again[len(users):]
	}
	if len(users) == 0 {
		g.sweep = nil
		g.gone = slices.DeleteFunc(g.gone, s.roles.has)
		g.sweepDue = len(g.gone)+len(g.sweepAgain) > 0
	}
	return t.done()
}

// dropRoles takes the roles that the guild does not have from a member. It says whether there were
// any.
func (t *turn) dropRoles(m store.Member) bool {
	g := t.g
	roles := slices.DeleteFunc(slices.Clone(g.roleSets.Roles(m.RoleSet)), func(role uint64) bool {
		return !g.roleIDs.has(role)
	})
	set := g.roleSets.Intern(roles)
	if set == m.RoleSet {
		return false
	}
	m.RoleSet = set
	g.members.Put(m)
	g.mark(wire.Snowflake(m.User))
	t.keep(g.keepMember(m))
	t.reclass(wire.Snowflake(m.User))
	return true
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
	if g.sweep != nil {
		g.endSweep(nil)
	}
	for _, user := range g.sweepAgain {
		if m, ok := g.members.Get(user); ok {
			t.keep(g.keepMember(m))
		}
	}
	g.gone, g.sweepDue, g.sweepAt, g.sweepAgain = nil, false, 0, nil
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
