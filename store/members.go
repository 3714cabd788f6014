package store

import (
	"cmp"
	"slices"
	"sync/atomic"

	"github.com/puzpuzpuz/xsync/v3"
)

const (
	// MembersPromoteCount is the largest guild that is kept as a sorted slice. A write copies the
	// slice: 6 µs and 27 KB of garbage at this size, three times that at twice the size, against
	// 0.1 µs in a hash table. A member takes 48 bytes in a slice and 70 to 90 in a hash table, and
	// a Get is the faster up to about 2,000. See BenchmarkMembersPut, Bytes and Get.
	MembersPromoteCount = 512

	// membersPartCount and membersSplitCount: past the latter the hash table is not one but many.
	// One that doubles rehashes itself within a Put, which took 220 ms at a million members while
	// the guild's shard, and all guilds on it, waited. One of 64 takes a sixty-fourth of that, and
	// the split 3 ms. See BenchmarkMembersPutLongest.
	membersSplitCount = 16_384
	membersPartBits   = 6
	membersPartCount  = 1 << membersPartBits
)

// Members is the member table of one guild: one writer (the guild's shard), any number of readers
// that take no lock.
//
// Most guilds have a handful of members, a few have a million, and one structure is wrong for one
// of them. While small, the table is a sorted slice that every write copies: nothing but the
// records. Past MembersPromoteCount it becomes a concurrent hash table, and past another limit
// several of them, for good: a guild that large once may well be again, and a table that changes
// form at each coming and going about a limit would pay for it each time.
type Members struct {
	// Atomic: written by the writer, read by anyone.
	table atomic.Pointer[membersTable]
}

// membersTable is one of two forms. The slice is immutable once published, and so is the list of
// parts, but not what is in them. A reader that still holds a table which was replaced meanwhile
// sees it as it was then, as if it had come before the write.
type membersTable struct {
	small []Member // Ascending by user. Unused once there are parts.
	parts []*membersPart
	count atomic.Int64 // Of all parts, whose own Size adds up stripes at every call.
}

// membersPart holds the members whose hash begins with the part's index.
type membersPart = xsync.MapOf[uint64, memberValue]

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
	if t.parts != nil {
		v, ok := t.part(user).Load(user)
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
	if t.parts != nil {
		replaced = t.store(member)
		if len(t.parts) == 1 && t.count.Load() > membersSplitCount {
			m.table.Store(t.split())
		}
		return replaced
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
	if len(next) > MembersPromoteCount {
		m.table.Store(newLarge(next))
	} else {
		m.table.Store(&membersTable{small: next})
	}
	return false
}

// PutAll puts many members at once, where as many Puts would copy the table each time while it is
// small and rehash it at each doubling after; 100,000 take 30 ms (BenchmarkMembersLoad). Of several
// with one user the last counts. The argument is neither kept nor changed.
func (m *Members) PutAll(members []Member) {
	if len(members) == 0 {
		return
	}
	t := m.table.Load()
	if t.parts != nil {
		for _, member := range members {
			m.Put(member)
		}
		return
	}
	// The old ones first, so that of one user the last is the newest.
	all := slices.Concat(t.small, members)
	if len(all) > MembersPromoteCount {
		large := newLarge(all)
		if large.count.Load() > MembersPromoteCount {
			m.table.Store(large)
			return
		}
		// It was many times the same few.
		all = all[:0]
		large.each(func(member Member) bool { all = append(all, member); return true })
	}
	m.table.Store(&membersTable{small: sortedMembers(all)})
}

// Delete removes the member and says whether there was one.
func (m *Members) Delete(user uint64) bool {
	t := m.table.Load()
	if t.parts != nil {
		_, found := t.part(user).LoadAndDelete(user)
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
	if t.parts != nil {
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
	if t.parts != nil {
		t.each(f)
		return
	}
	for _, member := range t.small {
		if !f(member) {
			return
		}
	}
}

// newLarge makes the large form with room for the members that it begins with.
func newLarge(members []Member) *membersTable {
	t := newParts(len(members))
	for _, member := range members {
		t.store(member)
	}
	return t
}

// newParts makes the large form, empty, in as many parts as the number of members asks for.
func newParts(count int) *membersTable {
	t := &membersTable{parts: make([]*membersPart, 1)}
	if count > membersSplitCount {
		t.parts = make([]*membersPart, membersPartCount)
	}
	for i := range t.parts {
		t.parts[i] = xsync.NewMapOfWithHasher[uint64, memberValue](
			hashID, xsync.WithPresize(count/len(t.parts)))
	}
	return t
}

// split returns a copy of the table in many parts.
func (t *membersTable) split() *membersTable {
	next := newParts(int(t.count.Load()))
	t.each(func(member Member) bool { next.store(member); return true })
	return next
}

// part returns where the user is or would be. The parts hash with seeds of their own, so that what
// chose the part says nothing of the place in it.
func (t *membersTable) part(user uint64) *membersPart {
	if len(t.parts) == 1 {
		return t.parts[0]
	}
	return t.parts[hashID(user, 0)>>(64-membersPartBits)]
}

// each calls f for the members of all parts until it returns false.
func (t *membersTable) each(f func(Member) bool) {
	more := true
	for _, part := range t.parts {
		part.Range(func(user uint64, v memberValue) bool {
			more = f(v.member(user))
			return more
		})
		if !more {
			return
		}
	}
}

// store puts the member into its part.
func (t *membersTable) store(member Member) (replaced bool) {
	_, replaced = t.part(member.User).LoadAndStore(member.User, memberValue{
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

// sortedMembers sorts the members by user and keeps the last of each.
func sortedMembers(members []Member) []Member {
	slices.SortStableFunc(members, func(a, b Member) int { return cmp.Compare(a.User, b.User) })
	kept := 0
	for i, member := range members {
		if i+1 < len(members) && members[i+1].User == member.User {
			continue
		}
		members[kept] = member
		kept++
	}
	return slices.Clone(members[:kept])
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
