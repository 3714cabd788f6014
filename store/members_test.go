package store

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"
)

func TestMemberSizes(t *testing.T) {
	if size := unsafe.Sizeof(Member{}); size != 48 {
		t.Errorf("Member has %d bytes, want 48", size)
	}
	// The map's entry is the key and the value; 48 is a size class of the allocator.
	if size := unsafe.Sizeof(memberValue{}) + 8; size != 48 {
		t.Errorf("an entry of a large table has %d bytes, want 48", size)
	}
}

// TestMembersAgreeWithMap does the same random writes to a table and to a plain map, from empty
// past the promotion and from a large one past the split, and compares all that a caller can see.
func TestMembersAgreeWithMap(t *testing.T) {
	for seed := range uint64(10) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 0))
			users := uint64(MembersPromoteCount/2 + r.IntN(2*MembersPromoteCount))
			table, model := NewMembers(), make(map[uint64]Member)
			if seed >= 8 {
				users = 2 * membersSplitCount
				for user := range uint64(membersSplitCount - 100) {
					table.Put(Member{User: user})
					model[user] = Member{User: user}
				}
			}
			random := func() Member {
				return Member{User: r.Uint64N(users), JoinedAt: r.Int64(), TimeoutAt: r.Int64(),
					RoleSet: r.Uint32(), Flags: r.Uint32(), Extra: fmt.Sprint(r.IntN(3))}
			}
			for range 3_000 {
				switch r.IntN(12) {
				case 0:
					all := make([]Member, r.IntN(40))
					for i := range all {
						all[i] = random()
						model[all[i].User] = all[i]
					}
					before := slices.Clone(all)
					table.PutAll(all)
					if !slices.Equal(all, before) {
						t.Fatal("PutAll changed its argument")
					}
				case 1, 2, 3:
					user := r.Uint64N(users)
					_, want := model[user]
					delete(model, user)
					if got := table.Delete(user); got != want {
						t.Fatalf("delete %d: got %t, want %t", user, got, want)
					}
				default:
					member := random()
					_, want := model[member.User]
					model[member.User] = member
					if got := table.Put(member); got != want {
						t.Fatalf("put %d: got %t, want %t", member.User, got, want)
					}
				}
				user := r.Uint64N(users)
				want, known := model[user]
				if got, ok := table.Get(user); got != want || ok != known {
					t.Fatalf("get %d: got %v, %t, want %v, %t", user, got, ok, want, known)
				}
				if table.Len() != len(model) {
					t.Fatalf("got %d members, want %d", table.Len(), len(model))
				}
			}
			compareMembers(t, table, model)
			if parts := len(table.table.Load().parts); seed >= 8 && parts != membersPartCount {
				t.Errorf("got %d parts, want %d", parts, membersPartCount)
			}
		})
	}
}

func compareMembers(t *testing.T, table *Members, model map[uint64]Member) {
	t.Helper()
	got := make(map[uint64]Member)
	table.Range(func(m Member) bool {
		if _, twice := got[m.User]; twice {
			t.Fatalf("user %d came twice", m.User)
		}
		got[m.User] = m
		return true
	})
	if !maps.Equal(got, model) {
		t.Fatalf("got %d members, want %d, or they differ", len(got), len(model))
	}
}

func TestMembersPutAllLoadsAnySize(t *testing.T) {
	for _, count := range []int{0, 1, MembersPromoteCount, MembersPromoteCount + 1, 40_000} {
		table, model := NewMembers(), make(map[uint64]Member)
		all := make([]Member, 0, 2*count)
		for i := range count {
			// Each comes twice, far apart, and the later one counts.
			m := Member{User: uint64(i*7919%(count+1)) << 22, RoleSet: uint32(i)}
			all = append(all, m)
		}
		for _, m := range slices.Clone(all) {
			m.Flags = MemberMute
			all, model[m.User] = append(all, m), m
		}
		table.PutAll(all)
		compareMembers(t, table, model)
		promoted := table.table.Load().parts != nil
		if promoted != (len(model) > MembersPromoteCount) {
			t.Errorf("%d members: promoted is %t", len(model), promoted)
		}
	}
}

func TestMembersPutAllOfTheSameFewStaysSmall(t *testing.T) {
	all := make([]Member, 3*MembersPromoteCount)
	for i := range all {
		all[i] = Member{User: uint64(9 - i%10), JoinedAt: int64(i)}
	}
	table := NewMembers()
	table.PutAll(all)
	if table.table.Load().parts != nil || table.Len() != 10 {
		t.Fatalf("got %d members, promoted", table.Len())
	}
	last := all[len(all)-1]
	if got, ok := table.Get(last.User); !ok || got != last {
		t.Errorf("got %v, %t, want %v", got, ok, last)
	}
}

func TestMembersRangeStops(t *testing.T) {
	for _, count := range []int{10, 2 * MembersPromoteCount, 2 * membersSplitCount} {
		seen := 0
		membersOf(count).Range(func(Member) bool { seen++; return seen < 3 })
		if seen != 3 {
			t.Errorf("of %d members f saw %d after it stopped at 3", count, seen)
		}
	}
}

func TestMembersSmallRangeIsASortedSnapshot(t *testing.T) {
	table := NewMembers()
	for _, user := range []uint64{5, 1, 4, 2, 3} {
		table.Put(Member{User: user})
	}
	var got []uint64
	table.Range(func(m Member) bool {
		got = append(got, m.User)
		table.Delete(m.User + 1)
		table.Put(Member{User: m.User + 100})
		return true
	})
	if want := []uint64{1, 2, 3, 4, 5}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestMembersReadersNeverSeeHalfAWrite has readers look on while a table grows, shrinks, is
// promoted and split. All fields of a member are made from one number, so a mixture would show.
func TestMembersReadersNeverSeeHalfAWrite(t *testing.T) {
	tests := []struct {
		name               string
		have, users, parts int
	}{
		{"promoted", 8, 4 * MembersPromoteCount, 1},
		{"split", membersSplitCount - 50, membersSplitCount + 4000, membersPartCount},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			table, roles := NewMembers(), NewRoleSets()
			r := rand.New(rand.NewPCG(9, 9))
			random := func(user uint64) Member {
				at := r.Int64N(1000)
				return Member{User: user, JoinedAt: at, TimeoutAt: at, Extra: fmt.Sprint(at),
					RoleSet: roles.Intern([]uint64{user%8 + 2, user%8 + 1})}
			}
			all := make([]Member, test.have)
			for user := range all {
				all[user] = random(uint64(user))
			}
			table.PutAll(all)
			stop := readMembers(t, table, roles, uint64(test.users))
			for i := range 6_000 {
				reach := uint64(min(test.users, test.have+i))
				switch r.IntN(8) {
				case 0:
					table.PutAll([]Member{random(r.Uint64N(reach)), random(r.Uint64N(reach))})
				case 1:
					table.Delete(r.Uint64N(reach))
				default:
					table.Put(random(r.Uint64N(reach)))
				}
			}
			stop()
			if parts := len(table.table.Load().parts); parts != test.parts {
				t.Errorf("got %d parts, want %d", parts, test.parts)
			}
		})
	}
}

// readMembers starts readers that check what they see until the function it returns is called.
func readMembers(t *testing.T, table *Members, roles *RoleSets, users uint64) (stop func()) {
	check := func(m Member) bool {
		set := roles.Roles(m.RoleSet)
		if m.JoinedAt != m.TimeoutAt || m.Extra != fmt.Sprint(m.JoinedAt) ||
			len(set) != 2 || set[0] != m.User%8+1 || set[1] != m.User%8+2 {
			t.Errorf("saw %+v with roles %v", m, set)
			return false
		}
		return true
	}
	var done atomic.Bool
	var readers sync.WaitGroup
	for reader := range uint64(3) {
		readers.Go(func() {
			r := rand.New(rand.NewPCG(reader, 1))
			for !done.Load() {
				user := r.Uint64N(users)
				if m, ok := table.Get(user); ok && (m.User != user || !check(m)) {
					t.Errorf("got %+v for user %d", m, user)
				}
				if user%1000 == 0 {
					table.Range(check)
				}
			}
		})
	}
	return func() {
		done.Store(true)
		readers.Wait()
	}
}

func TestMembersGetDoesNotAllocate(t *testing.T) {
	for _, count := range []int{10, MembersPromoteCount, 10 * MembersPromoteCount, 50_000} {
		table, user := membersOf(count), uint64(0)
		allocs := testing.AllocsPerRun(1000, func() {
			m, _ := table.Get(user << 22)
			user = (m.User>>22 + 7) % uint64(count)
		})
		if allocs != 0 {
			t.Errorf("a Get among %d allocates %v times", count, allocs)
		}
	}
}

func membersOf(count int) *Members {
	all := make([]Member, count)
	for i := range all {
		all[i].User = uint64(i) << 22
	}
	table := NewMembers()
	table.PutAll(all)
	return table
}

func TestRoleSets(t *testing.T) {
	sets := NewRoleSets()
	if sets.Intern(nil) != 0 || sets.Roles(0) != nil || sets.Len() != 1 {
		t.Error("id 0 is not the empty set")
	}
	given := []uint64{30, 10, 20, 10}
	a := sets.Intern(given)
	if !slices.Equal(given, []uint64{30, 10, 20, 10}) {
		t.Error("Intern changed its argument")
	}
	b := sets.Intern([]uint64{20})
	if again := sets.Intern([]uint64{10, 20, 30}); again != a || a == b || a == 0 || b == 0 {
		t.Errorf("got ids %d, %d and %d", a, again, b)
	}
	given[0] = 99
	if got, want := sets.Roles(a), []uint64{10, 20, 30}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if !sets.Has(a, 20) || sets.Has(b, 10) || sets.Has(0, 10) || sets.Has(1000, 10) {
		t.Error("Has is wrong about a set")
	}
	moved := sets.Without(20)
	want := map[uint32]uint32{a: sets.Intern([]uint64{10, 30}), b: 0}
	if !reflect.DeepEqual(moved, want) {
		t.Errorf("got %v, want %v", moved, want)
	}
	if got := sets.Without(77); len(got) != 0 {
		t.Errorf("without a role that nobody has: got %v", got)
	}
}

func TestRoleSetsReadingDoesNotAllocate(t *testing.T) {
	sets := NewRoleSets()
	roles := []uint64{1, 2, 3}
	id := sets.Intern(roles)
	allocs := testing.AllocsPerRun(1000, func() {
		if sets.Intern(roles) != id || !sets.Has(id, 2) {
			t.Error("the set is gone")
		}
	})
	if allocs != 0 {
		t.Errorf("finding a known set allocates %v times", allocs)
	}
}

func TestUsers(t *testing.T) {
	users := NewUsers()
	if users.Get(1) != nil {
		t.Error("an unknown user is there")
	}
	a, b := &User{ID: 1, Name: "a"}, &User{ID: 1, Name: "b"}
	users.Put(a)
	users.Put(&User{ID: 2})
	users.Put(b)
	if users.Add(a) != b || users.Add(&User{ID: 3}).ID != 3 {
		t.Error("Add replaced a user, or did not add one")
	}
	if users.Get(1) != b || users.Len() != 3 {
		t.Errorf("got %v of %d", users.Get(1), users.Len())
	}
}

// The sizes about MembersPromoteCount; "slice" and "map" are the forms, whatever the size.
var formSizes = []int{16, 64, 128, 256, 512, 1024, 4096}

func formOf(form string, count int) *Members {
	all := make([]Member, count)
	for i := range all {
		all[i].User = uint64(i)<<22 | uint64(i%3)
	}
	table := NewMembers()
	if form == "slice" {
		table.table.Store(&membersTable{small: all})
	} else {
		table.table.Store(newLarge(all))
	}
	return table
}

func BenchmarkMembersGet(b *testing.B) {
	for _, count := range append(formSizes, 100_000, 1_000_000) {
		for _, form := range []string{"slice", "map"} {
			b.Run(fmt.Sprintf("%s/%d", form, count), func(b *testing.B) {
				table := formOf(form, count)
				// Users in no order, so that neither branches nor cache lines are foreseen.
				order := rand.New(rand.NewPCG(1, 1)).Perm(count)
				b.ReportAllocs()
				at := 0
				for b.Loop() {
					i := order[at]
					if at++; at == count {
						at = 0
					}
					if _, ok := table.Get(uint64(i)<<22 | uint64(i%3)); !ok {
						b.Fatal("member is gone")
					}
				}
			})
		}
	}
}

func BenchmarkMembersPut(b *testing.B) {
	for _, count := range formSizes {
		for _, form := range []string{"slice", "map"} {
			b.Run(fmt.Sprintf("%s/%d", form, count), func(b *testing.B) {
				table := formOf(form, count)
				b.ReportAllocs()
				at := 0
				for b.Loop() {
					at = (at + 7919) % count
					table.Put(Member{User: uint64(at)<<22 | uint64(at%3)})
				}
			})
		}
	}
}

func BenchmarkMembersLoad(b *testing.B) {
	for _, count := range []int{100_000, 1_000_000} {
		all := make([]Member, count)
		for i, user := range rand.New(rand.NewPCG(1, 1)).Perm(count) {
			all[i].User = uint64(user) << 22
		}
		b.Run(fmt.Sprint("PutAll/", count), func(b *testing.B) {
			for b.Loop() {
				NewMembers().PutAll(all)
			}
		})
		b.Run(fmt.Sprint("Put/", count), func(b *testing.B) {
			for b.Loop() {
				table := NewMembers()
				for _, m := range all {
					table.Put(m)
				}
			}
		})
	}
}

// BenchmarkMembersPutLongest reports the longest of the Puts that make a guild of a million, which
// is how long the guild's shard stands still. It tells something on a quiet machine only.
func BenchmarkMembersPutLongest(b *testing.B) {
	var longest time.Duration
	for b.Loop() {
		table := NewMembers()
		for i := range uint64(1_000_000) {
			start := time.Now()
			table.Put(Member{User: i << 22})
			longest = max(longest, time.Since(start))
		}
	}
	b.ReportMetric(float64(longest.Microseconds())/1000, "ms/longest")
}

// BenchmarkMembersBytes reports the memory that a member takes in each form.
func BenchmarkMembersBytes(b *testing.B) {
	for _, count := range append(formSizes, 100_000, 1_000_000) {
		for _, form := range []string{"slice", "map"} {
			b.Run(fmt.Sprintf("%s/%d", form, count), func(b *testing.B) {
				tables := make([]*Members, max(1, 100_000/count))
				var perMember float64
				for b.Loop() {
					clear(tables)
					before := heapBytes()
					for i := range tables {
						tables[i] = formOf(form, count)
					}
					perMember = float64(heapBytes()-before) / float64(len(tables)*count)
				}
				runtime.KeepAlive(tables)
				b.ReportMetric(perMember, "B/member")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

func heapBytes() int64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}
