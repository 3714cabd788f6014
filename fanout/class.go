package fanout

import (
	"throng/store"
	"throng/wire"
)

// Who may see an event is a question of permissions: VIEW_CHANNEL for a message, BAN_MEMBERS for a
// ban. The naive answer computes them for each receiver of each event. One computation, five roles
// and ten overwrites, costs about 300 ns (BenchmarkNaiveAudience), so a message to 30,000 sessions
// would take 9 ms of the shard for permissions alone, and the shard has other guilds.
//
// Lists of members per channel, kept up to date, make the message cheap and everything else dear:
// a list for each of 500 channels and 30,000 sessions is 15 million entries, a role change of one
// member touches 500 lists, and an overwrite of a category's worth of channels rebuilds them all.
// That was rejected.
//
// What is done: permissions depend on little. A member's roles decide, whether he is the owner or
// timed out, and, only when an overwrite of some channel names him, who he is. Members who agree in
// these cannot be told apart by any permission check; they are one visibility class. A guild of
// 100,000 sessions has some dozens of classes, seldom more than a few hundred. Each receiver
// carries its class, and an event carries a bitset over the classes that may see it, so a loop
// decides with one bit test per receiver and no permission at all. What a publish costs the shard
// is the same for 1 receiver and for 20,000 (BenchmarkPublish).
//
// The bitset of a channel is computed at the first event on it and remembered. Nothing is ever
// patched: a change of roles, overwrites or owner drops all of the sets (forgetSight), and the next
// event on each channel computes its own, dozens of computations. A class that is born later
// extends a set by itself when the set is next used. Sets in flight never change (see Bitset).
//
// A class without receivers is dead, and comes to life again with the next receiver like it. Once
// most are dead, their numbers are freed for other classes. No receiver need be looked at for that:
// none has such a number, here or on its loop, and who is given it hears so behind every event that
// was judged by what the number meant before. To number those who live anew, so that numbers have
// no gaps, would be a walk of all receivers, 6 ms of the shard for a million.
//
// Invariants: the class of a receiver is the class of its member as of the last Change; a receiver
// hears MsgReclass before any event that was judged by its new class; a number that is freed is
// given to no class in the same Change.

// classKey is all that permissions depend on.
type classKey struct {
	roles    uint32 // In RoleSets.
	owner    bool
	timedOut bool
	user     wire.Snowflake // 0 unless an overwrite names the member.
}

type class struct {
	key       classKey
	subject   wire.PermissionSubject
	base      wire.Permissions
	computed  bool // Whether subject and base are of the guild as it is.
	receivers int
}

type classes struct {
	byKey map[classKey]uint32
	list  []class  // By number.
	born  []uint32 // The numbers of all classes, dead ones too, in the order of their births.
	free  []uint32 // The other numbers.
	live  int      // Classes with receivers.
	named map[wire.Snowflake]bool
	memos map[gate]*memo
}

// gate is a question about a class: does it hold these permissions there?
type gate struct {
	channel wire.Snowflake // 0 asks about the guild.
	need    wire.Permissions
	any     bool // One of them is enough.
}

// memo is the answer for the first known classes of those that were born.
type memo struct {
	bits  Bitset
	known int
}

func (cs *classes) init() {
	cs.byKey = make(map[classKey]uint32)
	cs.named = make(map[wire.Snowflake]bool)
	cs.memos = make(map[gate]*memo)
}

// intern returns the class of the key, which may be a new one.
func (g *Guild) intern(key classKey) uint32 {
	cs := &g.classes
	if id, ok := cs.byKey[key]; ok {
		return id
	}
	id := uint32(len(cs.list))
	if last := len(cs.free) - 1; last >= 0 {
		id, cs.free = cs.free[last], cs.free[:last]
	} else {
		cs.list = append(cs.list, class{})
	}
	cs.list[id].key = key
	cs.byKey[key] = id
	cs.born = append(cs.born, id)
	return id
}

// subjectOf returns who a permission is asked about. Roles that were deleted do not count, not even
// where an overwrite still names them.
func (g *Guild) subjectOf(key classKey) wire.PermissionSubject {
	subject := wire.PermissionSubject{Owner: key.owner, TimedOut: key.timedOut, User: key.user}
	for _, role := range g.roleSets.Roles(key.roles) {
		if g.roleIDs.has(role) {
			subject.Roles = append(subject.Roles, wire.Snowflake(role))
		}
	}
	return subject
}

// keyOf returns what the member's permissions depend on at the time.
func (g *Guild) keyOf(member store.Member, now int64) classKey {
	user := wire.Snowflake(member.User)
	if user == g.owner {
		return classKey{owner: true}
	}
	key := classKey{roles: member.RoleSet, timedOut: member.TimeoutAt > now}
	if g.classes.named[user] {
		key.user = user
	}
	return key
}

// hold and release count the receivers of a class.
func (cs *classes) hold(id uint32) {
	if cs.list[id].receivers++; cs.list[id].receivers == 1 {
		cs.live++
	}
}

func (cs *classes) release(id uint32) {
	if cs.list[id].receivers--; cs.list[id].receivers == 0 {
		cs.live--
	}
}

// forgetSight drops every remembered answer: roles, overwrites or the owner have changed.
func (g *Guild) forgetSight() {
	clear(g.classes.memos)
	for i := range g.classes.list {
		g.classes.list[i].computed = false
	}
	clear(g.classes.named)
	for _, c := range g.channels {
		for _, ow := range c.overwrites {
			if ow.Type == wire.OverwriteMember {
				g.classes.named[ow.ID] = true
			}
		}
	}
}

// sight returns the classes that pass the gate.
func (g *Guild) sight(q gate) Bitset {
	cs := &g.classes
	m := cs.memos[q]
	if m == nil {
		m = &memo{bits: Bitset{}} // Not nil, which would mean everyone.
		cs.memos[q] = m
	}
	if m.known == len(cs.born) {
		return m.bits
	}
	set := bitsetFor(len(cs.list), m.bits)
	c := g.channelByID[q.channel]
	for _, id := range cs.born[m.known:] {
		if passes(g.permissions(&cs.list[id], c), q) {
			set.set(id)
		}
	}
	m.bits, m.known = set, len(cs.born)
	return set
}

func passes(held wire.Permissions, q gate) bool {
	if q.any {
		return held&q.need != 0
	}
	return held.Has(q.need)
}

// permissions returns what the class may do in the channel, or in the guild when c is nil.
func (g *Guild) permissions(k *class, c *channel) wire.Permissions {
	if !k.computed {
		k.subject = g.subjectOf(k.key)
		k.base = g.basePermissions(k.subject)
		k.computed = true
	}
	if c == nil {
		return k.base
	}
	return wire.ChannelPermissions(k.base, g.id, k.subject, c.overwrites)
}

func (g *Guild) basePermissions(subject wire.PermissionSubject) wire.Permissions {
	return wire.BasePermissions(subject, g.roleByID[g.id].permissions, g.rolePermissions)
}

// seesChannel reports whether the class may view the channel.
func (g *Guild) seesChannel(id uint32, channel wire.Snowflake) bool {
	return g.sight(gate{channel: channel, need: wire.PermissionViewChannel}).Has(id)
}

// bury frees the numbers of dead classes once they are most, at the end of a turn.
func (cs *classes) bury() {
	if len(cs.born)-cs.live <= cs.live+deadClassesMax {
		return
	}
	born := cs.born[:0]
	for _, id := range cs.born {
		if c := &cs.list[id]; c.receivers == 0 {
			delete(cs.byKey, c.key)
			*c = class{}
			cs.free = append(cs.free, id)
		} else {
			born = append(born, id)
		}
	}
	cs.born = born
	clear(cs.memos)
}
