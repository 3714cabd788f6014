package store

import (
	"cmp"
	"slices"
	"sync/atomic"

	"github.com/puzpuzpuz/xsync/v3"
)

// MembersPromoteCount is the largest guild that is kept as a sorted slice; see Members.
const MembersPromoteCount = 256

// Members is the member table of one guild: one writer (the guild's shard), any number of readers
// that take no lock.
//
// Most guilds have a handful of members, a few have a million, and one structure is wrong for one
// of them. While small, the table is a sorted slice that every write copies: nothing but the
// records, 48 bytes each. Past MembersPromoteCount it becomes a concurrent hash table, for good.
type Members struct {
	// Atomic: written by the writer, read by anyone.
	table atomic.Pointer[membersTable]
}

// membersTable is one of two forms. The slice is immutable once published.
type membersTable struct {
	small []Member // Ascending by user. Unused once large is set.
	large *xsync.MapOf[uint64, memberValue]
	count atomic.Int64 // Of large, whose own Size adds up stripes at every call.
}

// memberValue is a Member less the user, which is the key: an entry is then 48 bytes, a size class
// of the allocator, where it would be 56 and take 64.
type memberValue struct {
	joinedAt  int64
	timeoutAt int64
	roleSet   uint32
	flags     uint32
	extra     string
}

// NewMembers returns an empty table.
func NewMembers() *Members {
	m := &Members{}
	m.table.Store(&membersTable{})
	return m
}

// Get returns the member. It takes no lock and does not allocate.
func (m *Members) Get(user uint64) (Member, bool) {
	t := m.table.Load()
	if t.large != nil {
		v, ok := t.large.Load(user)
		if !ok {
			return Member{}, false
		}
		return v.member(user), true
	}
	at, found := searchMember(t.small, user)
	if !found {
		return Member{}, false
	}
	return t.small[at], true
}

// Put adds the member or replaces the one with its user, and says which.
func (m *Members) Put(member Member) (replaced bool) {
	t := m.table.Load()
	if t.large != nil {
		return t.store(member)
	}
	at, found := searchMember(t.small, member.User)
	if found {
		next := slices.Clone(t.small)
		next[at] = member
		m.table.Store(&membersTable{small: next})
		return true
	}
	next := make([]Member, len(t.small)+1)
	copy(next, t.small[:at])
	next[at] = member
	copy(next[at+1:], t.small[at:])
	m.publish(next)
	return false
}

// PutAll puts many members at once, in O(n log n) where as many Puts into a small table would copy
// it each time. Of several with one user the last counts. The argument is neither kept nor changed.
func (m *Members) PutAll(members []Member) {
	if len(members) == 0 {
		return
	}
	t := m.table.Load()
	if t.large != nil {
		for _, member := range members {
			t.store(member)
		}
		return
	}
	// The old ones first: the sort is stable, so that of equal users the last is the newest.
	all := slices.Concat(t.small, members)
	slices.SortStableFunc(all, func(a, b Member) int { return cmp.Compare(a.User, b.User) })
	kept := 0
	for i, member := range all {
		if i+1 < len(all) && all[i+1].User == member.User {
			continue
		}
		all[kept] = member
		kept++
	}
	m.publish(slices.Clip(all[:kept]))
}

// Delete removes the member and says whether there was one.
func (m *Members) Delete(user uint64) bool {
	t := m.table.Load()
	if t.large != nil {
		_, found := t.large.LoadAndDelete(user)
		if found {
			t.count.Add(-1)
		}
		return found
	}
	at, found := searchMember(t.small, user)
	if !found {
		return false
	}
	m.table.Store(&membersTable{small: slices.Concat(t.small[:at], t.small[at+1:])})
	return true
}

// Len returns the number of members.
func (m *Members) Len() int {
	t := m.table.Load()
	if t.large != nil {
		return int(t.count.Load())
	}
	return len(t.small)
}

// Range calls f for each member until it returns false. A small table is shown as it was at the
// call, ascending by user. A large one is shown in no order and not as of one moment: what is
// written meanwhile may or may not be seen, and no user is seen twice. It then takes a bucket's
// lock for as long as it copies at most a few entries, never while f runs; f may write.
func (m *Members) Range(f func(Member) bool) {
	t := m.table.Load()
	if t.large != nil {
		t.large.Range(func(user uint64, v memberValue) bool { return f(v.member(user)) })
		return
	}
	for _, member := range t.small {
		if !f(member) {
			return
		}
	}
}

// publish makes the sorted members the table, in the form that their number asks for.
func (m *Members) publish(sorted []Member) {
	if len(sorted) <= MembersPromoteCount {
		m.table.Store(&membersTable{small: sorted})
		return
	}
	t := &membersTable{large: xsync.NewMapOfWithHasher[uint64, memberValue](
		hashID, xsync.WithPresize(len(sorted)))}
	for _, member := range sorted {
		t.store(member)
	}
	m.table.Store(t)
}

// store puts the member into the large form.
func (t *membersTable) store(member Member) (replaced bool) {
	_, replaced = t.large.LoadAndStore(member.User, memberValue{
		joinedAt:  member.JoinedAt,
		timeoutAt: member.TimeoutAt,
		roleSet:   member.RoleSet,
		flags:     member.Flags,
		extra:     member.Extra,
	})
	if !replaced {
		t.count.Add(1)
	}
	return replaced
}

func (v memberValue) member(user uint64) Member {
	return Member{
		User:      user,
		JoinedAt:  v.joinedAt,
		TimeoutAt: v.timeoutAt,
		RoleSet:   v.roleSet,
		Flags:     v.flags,
		Extra:     v.extra,
	}
}

// searchMember returns where the user is or would be.
func searchMember(sorted []Member, user uint64) (at int, found bool) {
	low, high := 0, len(sorted)
	for low < high {
		middle := int(uint(low+high) >> 1)
		if sorted[middle].User < user {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low, low < len(sorted) && sorted[low].User == user
}
