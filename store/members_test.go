package store

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"unsafe"
)

func TestMemberSizes(t *testing.T) {
	if size := unsafe.Sizeof(Member{}); size != 48 {
		t.Errorf("Member has %d bytes, want 48", size)
	}
	if size := unsafe.Sizeof(memberRow{}); size != 24 {
		t.Errorf("a row of a page has %d bytes, want 24", size)
	}
}

// membersModel is a plain map, and what snapshots of it should show.
type membersModel map[uint64]Member

func (m membersModel) sorted() []Member {
	return slices.SortedFunc(maps.Values(m), func(a, b Member) int {
		return cmp.Compare(a.User, b.User)
	})
}

// randomMember makes a member that has, half of the time, nothing that is rare.
func randomMember(r *rand.Rand, users uint64) Member {
	m := Member{User: r.Uint64N(users), JoinedAt: r.Int64(), RoleSet: r.Uint32(), Flags: r.Uint32()}
	if r.IntN(4) == 0 {
		m.TimeoutAt = r.Int64()
	}
	if r.IntN(4) == 0 {
		m.Extra = strings.Repeat("x", r.IntN(40)) + fmt.Sprint(r.IntN(3))
	}
	if r.IntN(2000) == 0 {
		m.Extra = strings.Repeat("y", r.IntN(3*memberPageExtraBytes))
	}
	return m
}

// TestMembersAgreeWithMap does the same random writes to a table and to a plain map and compares
// all that a caller can see, also by snapshots taken along the way, which must not change after.
func TestMembersAgreeWithMap(t *testing.T) {
	type kept struct {
		is   MemberSnapshot
		want []Member
	}
	for seed := range uint64(12) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 0))
			users := uint64(1 + r.IntN(1<<(4+seed)))
			table, model := NewMembers(), make(membersModel)
			var snapshots []kept
			deletes := 3
			for step := range 6_000 {
				if step == 3_000 {
					deletes = 8 // It shrinks again.
				}
				switch at := r.IntN(12); {
				case at == 0:
					putAllBoth(t, table, model, r, users)
				case at <= deletes:
					user := r.Uint64N(users)
					_, want := model[user]
					delete(model, user)
					if got := table.Delete(user); got != want {
						t.Fatalf("delete %d: got %t, want %t", user, got, want)
					}
				default:
					member := randomMember(r, users)
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
				if r.IntN(600) == 0 {
					snapshots = append(snapshots, kept{table.Snapshot(), model.sorted()})
				}
			}
			checkMembers(t, &table.memberTable)
			snapshots = append(snapshots, kept{table.Snapshot(), model.sorted()})
			for _, s := range snapshots {
				checkMembers(t, &s.is.memberTable)
				if got := collect(&s.is.memberTable, 0); !slices.Equal(got, s.want) {
					t.Fatalf("a snapshot has %d members, want %d, or they differ",
						len(got), len(s.want))
				}
				from := r.Uint64N(users)
				at, _ := slices.BinarySearchFunc(s.want, from, func(m Member, user uint64) int {
					return cmp.Compare(m.User, user)
				})
				if got := collect(&s.is.memberTable, from); !slices.Equal(got, s.want[at:]) {
					t.Fatalf("from %d: got %d members, want %d", from, len(got), len(s.want)-at)
				}
			}
		})
	}
}

// putAllBoth puts members in no order, or runs behind all others, some of them twice.
func putAllBoth(t *testing.T, table *Members, model membersModel, r *rand.Rand, users uint64) {
	t.Helper()
	all := make([]Member, r.IntN(40))
	for i := range all {
		all[i] = randomMember(r, users)
	}
	if r.IntN(10) == 0 && len(model) < 20_000 {
		last := uint64(0)
		for user := range model {
			last = max(last, user)
		}
		for range r.IntN(3 * memberPageRows) {
			m := randomMember(r, users)
			last += r.Uint64N(3)
			m.User = last
			all = append(all, m)
		}
	}
	for _, m := range all {
		model[m.User] = m
	}
	before := slices.Clone(all)
	table.PutAll(all)
	if !slices.Equal(all, before) {
		t.Fatal("PutAll changed its argument")
	}
}

func collect(t *memberTable, from uint64) (all []Member) {
	for m := range t.From(from) {
		all = append(all, m)
	}
	return all
}

// checkMembers looks at what only the table itself can see.
func checkMembers(t *testing.T, table *memberTable) {
	t.Helper()
	count := 0
	for n, p := range table.pages {
		count += len(p.rows)
		if len(p.rows) == 0 || len(p.rows) > memberPageRows {
			t.Fatalf("page %d has %d rows", n, len(p.rows))
		}
		if n > 0 && (table.firsts[n] > p.rows[0].user ||
			table.pages[n-1].rows[len(table.pages[n-1].rows)-1].user >= table.firsts[n]) {
			t.Fatalf("page %d begins at %d, its first member is %d", n, table.firsts[n],
				p.rows[0].user)
		}
		if p.timeouts != nil && len(p.timeouts) != len(p.rows) ||
			p.ends != nil && len(p.ends) != len(p.rows) {
			t.Fatalf("page %d: its columns differ in length", n)
		}
		if p.ends == nil && p.extra != "" || p.ends != nil && int(p.ends[len(p.ends)-1]) !=
			len(p.extra) {
			t.Fatalf("page %d: its texts do not end where they end", n)
		}
	}
	if count != table.count || len(table.firsts) != len(table.pages) {
		t.Fatalf("got %d members in %d pages, want %d in %d", count, len(table.pages),
			table.count, len(table.firsts))
	}
}

func TestMembersLoadedInOrderFillTheirPages(t *testing.T) {
	for _, load := range []func(*Members, []Member){
		(*Members).PutAll,
		func(table *Members, all []Member) {
			for _, m := range all {
				table.Put(m)
			}
		},
	} {
		table, all := NewMembers(), make([]Member, 100*memberPageRows)
		for i := range all {
			all[i] = Member{User: uint64(i) << 22, Extra: fmt.Sprint(i)}
		}
		load(table, all)
		checkMembers(t, &table.memberTable)
		if got := len(table.pages); got != 100 {
			t.Errorf("got %d pages, want 100", got)
		}
		if got := collect(&table.memberTable, 0); !slices.Equal(got, all) {
			t.Error("not all members came back")
		}
	}
}

func TestMembersWritesAfterASnapshotCopyTheirPageOnly(t *testing.T) {
	table := membersOf(100 * memberPageRows)
	before := table.Snapshot()
	table.Put(Member{User: 1 << 22, Flags: MemberMute})
	table.Put(Member{User: 2 << 22, Flags: MemberMute})
	copied := 0
	for n, p := range table.pages {
		if p != before.pages[n] {
			copied++
		}
	}
	if copied != 1 {
		t.Errorf("%d pages were copied, want 1", copied)
	}
	mine := table.pages[0]
	table.Put(Member{User: 3 << 22, Flags: MemberMute})
	if table.pages[0] != mine {
		t.Error("a page was copied that no snapshot has")
	}
}

// TestMembersSnapshotsAreReadWhileTheTableIsWritten has readers go through snapshots while the
// table grows and shrinks. All fields of a member are made from one number, so that a mixture
// would show, and the race detector looks on.
func TestMembersSnapshotsAreReadWhileTheTableIsWritten(t *testing.T) {
	table, r := NewMembers(), rand.New(rand.NewPCG(9, 9))
	random := func() Member {
		at := r.Int64N(1000)
		return Member{User: r.Uint64N(5_000), JoinedAt: at, TimeoutAt: at, Extra: fmt.Sprint(at)}
	}
	snapshots := make(chan MemberSnapshot, 4)
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			for s := range snapshots {
				count := 0
				s.Range(func(m Member) bool {
					count++
					if m.JoinedAt != m.TimeoutAt || m.Extra != fmt.Sprint(m.JoinedAt) {
						t.Errorf("saw %+v", m)
					}
					return true
				})
				if count != s.Len() {
					t.Errorf("saw %d members of %d", count, s.Len())
				}
			}
		})
	}
	for i := range 20_000 {
		if r.IntN(3) == 0 {
			table.Delete(r.Uint64N(5_000))
		} else {
			table.Put(random())
		}
		if i%200 == 0 {
			snapshots <- table.Snapshot()
		}
	}
	close(snapshots)
	readers.Wait()
}

func TestMembersGetDoesNotAllocate(t *testing.T) {
	for _, count := range []int{10, memberPageRows, 50_000} {
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

const membersBenchCount = 1_000_000

// members of the benchmarks; every third has a text.
func benchMembers() (*Members, []Member) {
	all := make([]Member, membersBenchCount)
	for i := range all {
		all[i] = Member{User: uint64(i+1) << 22, RoleSet: uint32(i % 300)}
		if i%3 == 0 {
			all[i].Extra = fmt.Sprintf(`"nick":"nick of %d"`, i)
		}
	}
	table := NewMembers()
	table.PutAll(all)
	// In no order, so that neither branches nor cache lines are foreseen.
	rand.New(rand.NewPCG(1, 1)).Shuffle(len(all), func(i, j int) {
		all[i], all[j] = all[j], all[i]
	})
	return table, all
}

func BenchmarkMembers(b *testing.B) {
	table, all := benchMembers()
	at := 0
	next := func() *Member {
		at = (at + 1) % len(all)
		return &all[at]
	}
	for _, bench := range []struct {
		name string
		run  func()
	}{
		{"Get", func() { table.Get(next().User) }},
		{"Put", func() { m := *next(); m.Flags++; table.Put(m) }},
		{"PutText", func() { m := *next(); m.Extra = fmt.Sprint(at); table.Put(m) }},
		{"PutNew", func() { m := *next(); m.User += uint64(at); table.Put(m) }},
		{"SnapshotAnd100Puts", func() {
			table.Snapshot()
			for range 100 {
				table.Put(*next())
			}
		}},
		{"Walk", func() { table.Range(func(Member) bool { return true }) }},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				bench.run()
			}
		})
	}
}

// BenchmarkMembersBytes reports the memory that a member takes, in a small guild and a large one.
func BenchmarkMembersBytes(b *testing.B) {
	for _, count := range []int{5, 50, 500, membersBenchCount} {
		b.Run(fmt.Sprint(count), func(b *testing.B) {
			tables := make([]*Members, max(1, 100_000/count))
			var perMember float64
			for b.Loop() {
				clear(tables)
				before := heapBytes()
				for i := range tables {
					tables[i] = membersOf(count)
				}
				perMember = float64(heapBytes()-before) / float64(len(tables)*count)
			}
			runtime.KeepAlive(tables)
			b.ReportMetric(perMember, "B/member")
		})
	}
}

func heapBytes() int64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}
