package fanout

import (
	"slices"

	"throng/wire"
)

// receivers are the sessions that listen to a guild. The guild does not walk them to publish; it
// looks them up by handle when a session leaves, and by user when something happens to a member.
//
// Records lie in one slice and those of a user are linked by index: a guild of 100,000 sessions has
// two maps of small values and no pointer per session but the session's id.
type receivers struct {
	slots    []receiver
	free     []uint32
	byHandle map[Handle]uint32
	byUser   map[wire.Snowflake]uint32 // The user's newest session.
	perLoop  []int                     // Sessions on each loop.
	loops    []int                     // Loops with sessions, ascending. Immutable once given out.
}

// receiver is what is kept of a Receiver, in 64 bytes; the rest matters to its loop only.
type receiver struct {
	Handle
	Intents   wire.Intents
	User      wire.Snowflake
	SessionID SessionID
	class     uint32
	next      uint32 // The user's next session, noReceiver at the end.
	spoke     bool   // Whether it has set a presence; nil then means invisible.
	presence  *presence
}

const noReceiver = ^uint32(0)

func (rs *receivers) init() {
	rs.byHandle = make(map[Handle]uint32)
	rs.byUser = make(map[wire.Snowflake]uint32)
}

func (rs *receivers) len() int { return len(rs.byHandle) }

// get returns the session's record, or nil. It is valid until the next add.
func (rs *receivers) get(h Handle) *receiver {
	if at, ok := rs.byHandle[h]; ok {
		return &rs.slots[at]
	}
	return nil
}

// first returns the index of the user's newest session, or noReceiver.
func (rs *receivers) first(user wire.Snowflake) uint32 {
	if at, ok := rs.byUser[user]; ok {
		return at
	}
	return noReceiver
}

func (rs *receivers) connected(user wire.Snowflake) bool {
	_, ok := rs.byUser[user]
	return ok
}

// active reports whether the user has a session that is sent what happens here. That is the
// question of pushes: who has none is told by other means.
func (rs *receivers) active(user wire.Snowflake) bool { return rs.connected(user) }

// of calls f for each session of the user, newest first. f must not add or remove any.
func (rs *receivers) of(user wire.Snowflake, f func(*receiver)) {
	for at := rs.first(user); at != noReceiver; at = rs.slots[at].next {
		f(&rs.slots[at])
	}
}

// add takes a session in. REQUIRES: its handle is not in yet.
func (rs *receivers) add(r Receiver, class uint32) {
	at := uint32(len(rs.slots))
	if last := len(rs.free) - 1; last >= 0 {
		at, rs.free = rs.free[last], rs.free[:last]
	} else {
		rs.slots = append(rs.slots, receiver{})
	}
	rs.slots[at] = receiver{
		Handle: r.Handle, Intents: r.Intents, User: r.User, SessionID: r.SessionID,
		class: class, next: rs.first(r.User),
	}
	rs.byHandle[r.Handle] = at
	rs.byUser[r.User] = at
	loop := int(r.Loop)
	for loop >= len(rs.perLoop) {
		rs.perLoop = append(rs.perLoop, 0)
	}
	if rs.perLoop[loop]++; rs.perLoop[loop] == 1 {
		rs.countLoops()
	}
}

// remove takes a session out and returns its last record.
func (rs *receivers) remove(h Handle) (r receiver, ok bool) {
	at, ok := rs.byHandle[h]
	if !ok {
		return receiver{}, false
	}
	r = rs.slots[at]
	delete(rs.byHandle, h)
	switch first := rs.first(r.User); {
	case first != at:
		for rs.slots[first].next != at {
			first = rs.slots[first].next
		}
		rs.slots[first].next = r.next
	case r.next == noReceiver:
		delete(rs.byUser, r.User)
	default:
		rs.byUser[r.User] = r.next
	}
	rs.slots[at] = receiver{}
	rs.free = append(rs.free, at)
	if rs.perLoop[h.Loop]--; rs.perLoop[h.Loop] == 0 {
		rs.countLoops()
	}
	return r, true
}

func (rs *receivers) countLoops() {
	loops := make([]int, 0, len(rs.perLoop))
	for loop, count := range rs.perLoop {
		if count > 0 {
			loops = append(loops, loop)
		}
	}
	rs.loops = loops
}

// users returns everyone who is connected, ascending.
func (rs *receivers) users() []wire.Snowflake {
	all := make([]wire.Snowflake, 0, len(rs.byUser))
	for user := range rs.byUser {
		all = append(all, user)
	}
	slices.Sort(all)
	return all
}

// Loops returns the loops that a Msg to AllLoops goes to, ascending. The caller must not change it.
func (g *Guild) Loops() []int { return g.receivers.loops }
