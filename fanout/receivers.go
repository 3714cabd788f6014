package fanout

import (
	"math"

	"throng/wire"
)

// receivers are the sessions that listen to a guild. The guild does not walk them to publish; it
// looks them up by handle when a session leaves, and by user when something happens to a member.
//
// Records lie in chunks and those of a user are linked by index: a guild of 100,000 sessions has
// two maps of small values and no pointer per session but the session's id. One slice would be
// copied as it grows, which for the last of a million sessions takes 50 ms of the shard.
type receivers struct {
	chunks   [][]receiver // Each but the last is full.
	free     []uint32
	byHandle map[Handle]uint32
	byUser   map[wire.Snowflake]uint32 // The user's newest session.
	passive  int                       // Sessions that are passive.
	modes    [updateModes]int          // Of these, how many want each mode of update.
	perLoop  [2][]int                  // Active and passive sessions on each loop.
	loops    loopLists

	following int // Sessions that are sent everybody's presence.
}

// loopLists are the loops with sessions, ascending: with any, with active ones, with passive ones.
// They are immutable once given out.
type loopLists struct{ all, active, passive []int }

// receiver is what is kept of a Receiver, in 72 bytes; the rest matters to its loop only.
type receiver struct {
	Handle
	Intents   wire.Intents
	User      wire.Snowflake
	SessionID SessionID
	class     uint32
	next      uint32 // The user's next session, noReceiver at the end.
	spoke     bool   // Whether it has said how it is; presence is nil then when it is invisible.
	bot       bool
	lazy      bool // It joined when the guild was so large that it had to ask to listen.
	passive   bool
	updates   UpdateMode
	platform  wire.Platform
	large     uint16 // Its LargeThreshold.
	presence  *presence
	wants     *wants // nil: nothing beyond what it has without asking.
}

// heard is the intents that the relay knows of. To a session that had to ask to listen, presences
// and changes of members come only as far as it asks for them.
func (r *receiver) heard() wire.Intents {
	intents := r.Intents
	if r.lazy {
		intents &^= wire.IntentGuildPresences
	}
	updates := !r.lazy
	if r.wants != nil {
		updates = r.wants.memberUpdates
	}
	if !updates {
		intents &^= wire.IntentGuildMembers
	}
	return intents
}

// receiver is what the relay and GUILD_CREATE need of a session that is in already.
func (r *receiver) receiver() Receiver {
	return Receiver{
		Handle: r.Handle, User: r.User, Intents: r.heard(), LargeThreshold: int(r.large),
		SessionID: r.SessionID, Bot: r.bot, Platform: r.platform, Updates: r.updates,
	}
}

const noReceiver = ^uint32(0)

// receiverChunk is how many records lie together, 72 KB.
const receiverChunk = 1024

// at returns the record at an index.
func (rs *receivers) at(index uint32) *receiver {
	return &rs.chunks[index/receiverChunk][index%receiverChunk]
}

// slot returns the index of a record that is free.
func (rs *receivers) slot() uint32 {
	if last := len(rs.free) - 1; last >= 0 {
		index := rs.free[last]
		rs.free = rs.free[:last]
		return index
	}
	last := len(rs.chunks) - 1
	if last < 0 {
		rs.chunks, last = make([][]receiver, 1), 0
	} else if len(rs.chunks[last]) == receiverChunk {
		rs.chunks = append(rs.chunks, make([]receiver, 0, receiverChunk))
		last++
	}
	// The first grows as slices do, since most guilds have few sessions.
	rs.chunks[last] = append(rs.chunks[last], receiver{})
	return uint32(last*receiverChunk + len(rs.chunks[last]) - 1)
}

func (rs *receivers) init() {
	rs.byHandle = make(map[Handle]uint32)
	rs.byUser = make(map[wire.Snowflake]uint32)
}

// places is how many indexes there are records at, free ones among them.
func (rs *receivers) places() uint32 {
	last := len(rs.chunks) - 1
	if last < 0 {
		return 0
	}
	return uint32(last*receiverChunk + len(rs.chunks[last]))
}

// onLoop is how many sessions are on a loop.
func (rs *receivers) onLoop(loop int) (sum int) {
	for _, loops := range rs.perLoop {
		if loop < len(loops) {
			sum += loops[loop]
		}
	}
	return sum
}

func (rs *receivers) len() int { return len(rs.byHandle) }

// get returns the session's record, or nil. It is valid until the next add.
func (rs *receivers) get(h Handle) *receiver {
	if at, ok := rs.byHandle[h]; ok {
		return rs.at(at)
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

// active reports whether the user has a session that is sent what happens here. That is the
// predicate for pushes too: whoever is not active is told of mentions elsewhere.
func (rs *receivers) active(user wire.Snowflake) bool {
	for at := rs.first(user); at != noReceiver; at = rs.at(at).next {
		if !rs.at(at).passive {
			return true
		}
	}
	return false
}

func (rs *receivers) connected(user wire.Snowflake) bool {
	_, ok := rs.byUser[user]
	return ok
}

// of calls f for each session of the user, newest first. f must not add or remove any.
func (rs *receivers) of(user wire.Snowflake, f func(*receiver)) {
	for at := rs.first(user); at != noReceiver; at = rs.at(at).next {
		f(rs.at(at))
	}
}

// add takes a session in. REQUIRES: its handle is not in yet.
func (rs *receivers) add(r Receiver, class uint32, lazy bool) *receiver {
	at := rs.slot()
	added := rs.at(at)
	*added = receiver{
		Handle: r.Handle, Intents: r.Intents, User: r.User, SessionID: r.SessionID,
		class: class, next: rs.first(r.User), bot: r.Bot, lazy: lazy, passive: lazy,
		updates: r.Updates, platform: r.Platform,
		large: uint16(min(r.LargeThreshold, math.MaxUint16)),
	}
	rs.byHandle[r.Handle] = at
	rs.byUser[r.User] = at
	rs.count(added, 1)
	return added
}

// count counts the session where it is, in or, with -1, out.
func (rs *receivers) count(r *receiver, by int) {
	sort := 0
	if r.passive {
		sort = 1
		rs.passive += by
		rs.modes[r.updates] += by
	} else if r.heard()&wire.IntentGuildPresences != 0 {
		rs.following += by
	}
	loops, loop := rs.perLoop[sort], int(r.Loop)
	for loop >= len(loops) {
		loops = append(loops, 0)
	}
	rs.perLoop[sort] = loops
	if loops[loop] += by; loops[loop] == max(by, 0) {
		rs.listLoops()
	}
}

// setPassive makes a session passive, or one that listens.
func (rs *receivers) setPassive(r *receiver, passive bool) {
	rs.count(r, -1)
	r.passive = passive
	rs.count(r, 1)
}

// remove takes a session out and returns its last record.
func (rs *receivers) remove(h Handle) (r receiver, ok bool) {
	at, ok := rs.byHandle[h]
	if !ok {
		return receiver{}, false
	}
	r = *rs.at(at)
	delete(rs.byHandle, h)
	switch first := rs.first(r.User); {
	case first != at:
		for rs.at(first).next != at {
			first = rs.at(first).next
		}
		rs.at(first).next = r.next
	case r.next == noReceiver:
		delete(rs.byUser, r.User)
	default:
		rs.byUser[r.User] = r.next
	}
	*rs.at(at) = receiver{}
	rs.free = append(rs.free, at)
	rs.count(&r, -1)
	return r, true
}

func (rs *receivers) listLoops() {
	rs.loops = loopLists{}
	for loop := range max(len(rs.perLoop[0]), len(rs.perLoop[1])) {
		active := loop < len(rs.perLoop[0]) && rs.perLoop[0][loop] > 0
		passive := loop < len(rs.perLoop[1]) && rs.perLoop[1][loop] > 0
		if active {
			rs.loops.active = append(rs.loops.active, loop)
		}
		if passive {
			rs.loops.passive = append(rs.loops.passive, loop)
		}
		if active || passive {
			rs.loops.all = append(rs.loops.all, loop)
		}
	}
}

// Loops returns the loops that a Msg to AllLoops goes to, ascending. The caller must not change it.
func (g *Guild) Loops() []int { return g.receivers.loops.all }

// OnLoop says whether the guild has a receiver on the loop.
func (g *Guild) OnLoop(loop int) bool { return g.receivers.onLoop(loop) > 0 }

// LoopsOf returns the loops that a Msg to that address goes to: AllLoops, ActiveLoops or
// PassiveLoops. The caller must not change it.
func (g *Guild) LoopsOf(address int) []int {
	switch address {
	case ActiveLoops:
		return g.receivers.loops.active
	case PassiveLoops:
		return g.receivers.loops.passive
	}
	return g.receivers.loops.all
}
