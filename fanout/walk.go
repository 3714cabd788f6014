package fanout

import "throng/store"

// Walk is a way through all members of a guild, over a snapshot. The guild hands it out, and its
// holder calls Next, away from the shard, and gives what that returns to Walked, in turns: never
// both at once.
type Walk interface {
	// Next returns members for the guild to look at, at most max of them; none at the end.
	Next(max int) (users []uint64)
}

// Walk returns a walk that is to be begun, or nil. It is to be asked for, until there is none,
// after every call that may have changed the guild.
func (g *Guild) Walk() Walk {
	if s := g.nextSweep(); s != nil {
		return s
	}
	if s := g.nextSearch(); s != nil {
		return s
	}
	return nil
}

// WalkLater puts a walk off for which there was no room. The guild gives it, or another in its
// place, out again.
func (g *Guild) WalkLater(w Walk, now int64) {
	switch w := w.(type) {
	case *Sweep:
		g.sweepLater(w, now)
	case *pushSearch:
		g.searchLater(w, now)
	}
}

// WalkFailed gives a walk up that was at these members.
func (g *Guild) WalkFailed(w Walk, users []uint64, now int64) {
	switch w := w.(type) {
	case *Sweep:
		g.sweepFailed(w, users, now)
	case *pushSearch:
		g.searchOver(w)
	}
}

// Walked does what the walk is for with these members, which Next has returned; none is the end.
// When what follows is kept, the next turn is Next's.
func (g *Guild) Walked(w Walk, users []uint64, now int64) Change {
	switch w := w.(type) {
	case *Sweep:
		return g.swept(w, users, now)
	case *pushSearch:
		return g.searched(w, users, now)
	}
	return Change{Index: g.index}
}

// memberPath is how far a walk has got.
type memberPath struct {
	// Static after construction.
	members store.MemberSnapshot

	// Owned by whoever's turn it is.
	from uint64
	over bool
}

// next returns the next members that are hit, at most max of them; none at the end.
func (p *memberPath) next(max int, hit func(store.Member) bool) (users []uint64) {
	if p.over {
		return nil
	}
	for m := range p.members.From(p.from) {
		if !hit(m) {
			continue
		}
		if len(users) == max {
			p.from = m.User
			return users
		}
		users = append(users, m.User)
	}
	p.over = true
	return users
}
