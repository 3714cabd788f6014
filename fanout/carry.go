package fanout

import (
	"math"
	"slices"

	"throng/store"
	"throng/wire"
)

// A guild that moves to another node takes along what lives as long as its sessions: who listens,
// by which class, to what; who is how, and in voice where; what is still to be told, and to whom.
// The other node has the members and the document from the directory, and goes on with the rest as
// if nothing had been: its sessions hear no GUILD_CREATE, and their relays keep their classes.
//
// All of that in one go is, for 200,000 presences and 18,000 sessions, a third of a second in which
// the guild stands still. So most of it is carried while the guild goes on: once through all
// members in slices, and then whoever has changed since, each as a whole, again and again until
// few are left (Next). Only these few, and what is small, are carried while the guild stands still
// (Last), in some milliseconds; see BenchmarkCarry.
//
// What is carried of somebody is all there is of the user, the record of the member too, and stands
// in the place of whatever the other node had. So nothing depends on when the other node has read
// the members, as long as that was after the carrying had begun, and nothing need be replayed. A
// log of changes, in place of the users who changed, would be shorter for some; it is as long as
// the guild is busy, where this is bounded by the users there are, and every kind of change would
// be written twice, here and there.
//
// Two things are made anew there. Member lists are built by a worker of that node, and whoever
// looks at one is sent its rows again (SYNC). A sweep of a deleted role begins at its beginning.
//
// Invariant: whoever has changed since what was carried last of the user is in changed.
type Carry struct {
	// Static after construction.
	g       *Guild
	members store.MemberSnapshot

	// Owned by the shard goroutine.
	from    uint64 // The next member.
	through bool
	doc     bool // The document is to be carried, again.
	changed map[wire.Snowflake]struct{}
	order   []wire.Snowflake // The same, oldest first.
}

// Carry begins to carry the guild elsewhere. There is one at a time, and none after Delete.
func (g *Guild) Carry() *Carry {
	g.carry = &Carry{g: g, members: g.members.Snapshot(), doc: true,
		changed: map[wire.Snowflake]struct{}{}}
	return g.carry
}

// Carried is how the guild is being carried elsewhere, nil when it is not.
func (g *Guild) Carried() *Carry { return g.carry }

// EachSession calls f for each session.
func (g *Guild) EachSession(f func(Handle)) {
	for h := range g.receivers.byHandle {
		f(h)
	}
}

// HasSession says whether a session is in the guild.
func (g *Guild) HasSession(h Handle) bool {
	_, in := g.receivers.byHandle[h]
	return in
}

// EndCarry is the end of carrying: the guild stays.
func (g *Guild) EndCarry() { g.carry = nil }

// CarryWhole is all that there is to carry, in parts of about bytesMax, of a guild that nobody
// calls meanwhile. It may go on afterwards. REQUIRES: nothing is held, see Holds.
func (g *Guild) CarryWhole(bytesMax int) (parts [][]byte) {
	c := g.Carry()
	for c.Left() > 0 {
		parts = append(parts, c.Next(nil, math.MaxInt, bytesMax))
	}
	last, _ := c.Last(bytesMax)
	return append(parts, last...)
}

// Holds says whether there is something for the front of the next Change.
func (g *Guild) Holds() bool { return len(g.held) > 0 }

// HasSessionState says whether there is anything that the directory does not have.
func (g *Guild) HasSessionState() bool {
	return g.receivers.len() > 0 || g.presences.online > 0 || len(g.voices) > 0
}

// mark takes note that something of the user has changed.
func (g *Guild) mark(user wire.Snowflake) {
	c := g.carry
	if c == nil {
		return
	}
	if _, known := c.changed[user]; !known {
		c.changed[user] = struct{}{}
		c.order = append(c.order, user)
	}
}

// markDoc takes note that the document has changed.
func (g *Guild) markDoc() {
	if g.carry != nil {
		g.carry.doc = true
	}
}

// Next appends the next part of what is carried: no more than bytesMax and one user, and no more
// than looks users are looked at.
func (c *Carry) Next(dst []byte, looks, bytesMax int) []byte {
	w, bytesMax := carryWriter{g: c.g, dst: dst}, bytesMax+len(dst)
	if c.doc {
		c.doc = false
		w.document()
		return w.dst
	}
	if !c.through {
		for m := range c.members.From(c.from) {
			if looks <= 0 || len(w.dst) >= bytesMax {
				c.from = m.User
				return w.dst
			}
			looks--
			if user := wire.Snowflake(m.User); c.g.hasSessionState(user) {
				w.user(user, false)
			}
		}
		c.through = true
	}
	for ; looks > 0 && len(c.order) > 0 && len(w.dst) < bytesMax; looks-- {
		w.user(c.take(), true)
	}
	return w.dst
}

// take takes the first of those who have changed.
func (c *Carry) take() (user wire.Snowflake) {
	user, c.order = c.order[0], c.order[1:]
	delete(c.changed, user)
	return user
}

// Left is how many users Last would carry; more than any number while Next has something to do
// that Last does not do.
func (c *Carry) Left() int {
	if !c.through || c.doc {
		return math.MaxInt
	}
	return len(c.order)
}

// Quiet says whether what else Last carries is little now.
func (c *Carry) Quiet() bool {
	ls := c.g.lists
	return len(c.g.unsaid.order) <= carryUnsaidMax &&
		(ls == nil || len(ls.doubted) == 0 && !ls.resee)
}

// Last carries the rest, in parts of about bytesMax. The guild is the other node's from then on,
// and nothing is to be done with this one but to emit the Change and to call Close.
func (c *Carry) Last(bytesMax int) (parts [][]byte, last Change) {
	g := c.g
	w := carryWriter{g: g, bytesMax: bytesMax}
	if c.doc {
		w.document()
	}
	for len(c.order) > 0 {
		w.user(c.take(), true)
		w.cut()
	}
	w.places()
	w.rooms()
	w.news()
	w.unsaid()
	w.searches()
	w.end()
	last = Change{Msgs: g.held, Index: g.index}
	g.held, g.carry = nil, nil
	return append(w.parts, w.dst), last
}

// Close gives up what the guild has of the node: it is not on it any more.
func (g *Guild) Close() { g.closeRooms() }

// hasSessionState says whether there is anything of the user that the directory does not have.
func (g *Guild) hasSessionState(user wire.Snowflake) bool {
	if _, online := g.presences.byUser[user]; online {
		return true
	}
	return g.receivers.connected(user) || g.voices[user] != nil
}

// sessionsOf are the records of the user's sessions, oldest first.
func (g *Guild) sessionsOf(user wire.Snowflake, into []*receiver) []*receiver {
	g.receivers.of(user, func(r *receiver) { into = append(into, r) })
	slices.Reverse(into)
	return into
}
