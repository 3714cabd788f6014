package main

import (
	"fmt"
	"slices"
	"time"

	"throng/bench/internal/server"
	"throng/wire"
)

// Whether somebody may see a channel depends on the roles, so the node decides it once for each set
// of roles that receivers have, remembers that until roles or overwrites change, and asks one bit
// of each receiver. What it would be to decide for each receiver of each message is measured here,
// in the bench's own process: the same function of package wire, on the sessions' roles and on the
// hidden channel's overwrites, on one thread with nothing else to do.

const memoSpan = 200 * time.Millisecond

// measureMemo measures both for one message.
func (b *bench) measureMemo() {
	overwrites := overwritesOf(hiddenChannel)
	sets := map[string]int{}
	var each, distinct []wire.PermissionSubject
	var class []int
	for i := range b.sessions {
		var subject wire.PermissionSubject
		for _, role := range rolesOf(i)[1:] { // The first has been deleted.
			subject.Roles = append(subject.Roles, roleID(role))
		}
		slices.Sort(subject.Roles)
		key := fmt.Sprint(subject.Roles)
		if _, known := sets[key]; !known {
			sets[key] = len(distinct)
			distinct = append(distinct, subject)
		}
		each, class = append(each, subject), append(class, sets[key])
	}
	permissions := map[wire.Snowflake]wire.Permissions{}
	for role := range roles {
		permissions[roleID(role)] = 0
	}
	sees := func(subject wire.PermissionSubject) bool {
		base := wire.BasePermissions(subject, wire.PermissionViewChannel,
			func(role wire.Snowflake) wire.Permissions { return permissions[role] })
		held := wire.ChannelPermissions(base, server.GuildID(bigGuild), subject, overwrites)
		return held.Has(wire.PermissionViewChannel)
	}
	evaluate := func(subjects []wire.PermissionSubject) (seeing int) {
		for i := range subjects {
			if sees(subjects[i]) {
				seeing++
			}
		}
		return seeing
	}
	bits := make([]uint64, len(distinct)/64+1)
	for id := range distinct {
		if sees(distinct[id]) {
			bits[id/64] |= 1 << (id % 64)
		}
	}
	ask := func() (seeing int) {
		for _, id := range class {
			seeing += int(bits[id/64] >> (id % 64) & 1)
		}
		return seeing
	}
	if evaluate(each) != ask() || ask() != seeing(b.sessions) {
		panic("the memo gives another answer")
	}
	b.Samples.Add("memo sets", float64(len(distinct)))
	b.Samples.Add("memo each µs", perCall(func() { evaluate(each) }))
	b.Samples.Add("memo sets µs", perCall(func() { evaluate(distinct) }))
	b.Samples.Add("memo bits µs", perCall(func() { ask() }))
	b.Note("permissions of %d receivers: %.0f µs each message, %.0f µs once for %d sets of roles",
		b.sessions, b.Samples["memo each µs"][len(b.Samples["memo each µs"])-1],
		b.Samples["memo sets µs"][len(b.Samples["memo sets µs"])-1], len(distinct))
}

// perCall is how long f takes, in microseconds: the least of several, since whatever else goes on
// only adds to it.
func perCall(f func()) (micros float64) {
	least := time.Hour
	for began := time.Now(); time.Since(began) < memoSpan; {
		start := time.Now()
		f()
		least = min(least, time.Since(start))
	}
	return float64(least.Nanoseconds()) / 1e3
}
