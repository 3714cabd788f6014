package fanout

import (
	"iter"
	"slices"

	"throng/wire"
)

// lowestUsers are the users with the lowest ids out of many, ascending: GUILD_CREATE of a large
// guild shows so many of those who are online and no more. To sort all of 75,000 for each session
// that joins is 30 ms of the shard, and they join by the thousand.
//
// Nothing is kept until somebody asks. From then on whoever comes or goes is put in or taken out,
// which for most is one comparison. When so many have gone that there are too few, all are looked
// at again with the next question, 2 ms for 75,000, after lowestSpare departures at least.
//
// Invariant: when kept, users are the len(users) lowest of all, and all or createMembersMax at
// least.
type lowestUsers struct {
	// Owned by the shard goroutine.
	users []wire.Snowflake
	kept  bool
}

const (
	lowestSpare = createMembersMax
	lowestMax   = createMembersMax + lowestSpare
)

// get returns the lowest; all yields everybody.
func (l *lowestUsers) get(all iter.Seq[wire.Snowflake]) []wire.Snowflake {
	if !l.kept {
		l.users, l.kept = lowestOf(all), true
	}
	return l.users
}

// lowestOf returns the lowestMax lowest of all, ascending.
func lowestOf(all iter.Seq[wire.Snowflake]) (lowest []wire.Snowflake) {
	bound := ^wire.Snowflake(0)
	for user := range all {
		if user > bound {
			continue
		}
		if lowest = append(lowest, user); len(lowest) == 2*lowestMax {
			slices.Sort(lowest)
			lowest = lowest[:lowestMax]
			bound = lowest[lowestMax-1]
		}
	}
	slices.Sort(lowest)
	return lowest[:min(len(lowest), lowestMax)]
}

// come follows a user's coming, with whom there are so many.
func (l *lowestUsers) come(user wire.Snowflake, count int) {
	if !l.kept {
		return
	}
	at, _ := slices.BinarySearch(l.users, user)
	if at == len(l.users) && len(l.users) < count-1 {
		return // Some of those who are not kept may be lower.
	}
	l.users = slices.Insert(l.users, at, user)
	l.users = l.users[:min(len(l.users), lowestMax)]
}

// leave follows a user's going, without whom there are so many.
func (l *lowestUsers) leave(user wire.Snowflake, count int) {
	at, found := slices.BinarySearch(l.users, user)
	if !found {
		return
	}
	l.users = slices.Delete(l.users, at, at+1)
	if len(l.users) < min(createMembersMax, count) {
		l.users, l.kept = nil, false
	}
}
