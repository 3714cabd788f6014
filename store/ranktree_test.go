package store

import (
	"bytes"
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// rankEntry is what the naive model sorts.
type rankEntry struct {
	name string
	user uint64
	ref  Ref
}

func compareEntries(a, b rankEntry) int {
	return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.user, b.user))
}

// rankModel is a tree beside a sorted slice.
type rankModel struct {
	t      testing.TB
	roster *Roster
	tree   RankTree
	sorted []rankEntry
}

func newRankModel(t testing.TB) *rankModel { return &rankModel{t: t, roster: NewRoster()} }

func (m *rankModel) insert(user uint64, name string) {
	m.t.Helper()
	ref := m.roster.Put(user, 0, []byte(name))
	e := rankEntry{name, user, ref}
	want, _ := slices.BinarySearchFunc(m.sorted, e, compareEntries)
	if got := m.roster.Insert(&m.tree, ref); got != want {
		m.t.Fatalf("insert %q %d: got rank %d, want %d", name, user, got, want)
	}
	m.sorted = slices.Insert(m.sorted, want, e)
}

func (m *rankModel) delete(at int) {
	m.t.Helper()
	e := m.sorted[at]
	if got, found := m.roster.Delete(&m.tree, e.ref); got != at || !found {
		m.t.Fatalf("delete %q: got rank %d %v, want %d", e.name, got, found, at)
	}
	if _, found := m.roster.Delete(&m.tree, e.ref); found {
		m.t.Fatalf("deleted %q twice", e.name)
	}
	m.roster.Drop(e.user)
	m.roster.Free(e.ref)
	m.sorted = slices.Delete(m.sorted, at, at+1)
}

// check compares all of it: order, ranks, selection, and the invariants of the nodes.
func (m *rankModel) check() {
	m.t.Helper()
	if m.tree.Len() != len(m.sorted) {
		m.t.Fatalf("got %d entries, want %d", m.tree.Len(), len(m.sorted))
	}
	at := 0
	m.roster.Each(&m.tree, 0, func(ref Ref) bool {
		if ref != m.sorted[at].ref {
			m.t.Fatalf("row %d is record %d, want %d", at, ref, m.sorted[at].ref)
		}
		at++
		return true
	})
	if at != len(m.sorted) {
		m.t.Fatalf("Each showed %d, want %d", at, len(m.sorted))
	}
	for at, e := range m.sorted {
		if rank, found := m.roster.Rank(&m.tree, e.ref); rank != at || !found {
			m.t.Fatalf("rank of %q: got %d %v, want %d", e.name, rank, found, at)
		}
		if got := m.roster.Select(&m.tree, at); got != e.ref {
			m.t.Fatalf("select %d: got %d, want %d", at, got, e.ref)
		}
		if name := m.roster.AppendName(nil, e.ref); string(name) != e.name {
			m.t.Fatalf("name of %d: got %q, want %q", e.ref, name, e.name)
		}
	}
	if m.roster.Select(&m.tree, len(m.sorted)) != 0 || m.roster.Select(&m.tree, -1) != 0 {
		m.t.Fatal("selected beyond the end")
	}
	if m.tree.root != 0 {
		leaves, inners := m.checkNode(m.tree.root, m.tree.height)
		if leaves != m.roster.leaves.used() || inners != m.roster.inners.used() {
			m.t.Fatalf("%d leaves and %d inner nodes are in the tree, %d and %d in use",
				leaves, inners, m.roster.leaves.used(), m.roster.inners.used())
		}
		if most := 2 + 4*len(m.sorted)/rankLeafMerged; leaves > most {
			m.t.Fatalf("%d leaves for %d entries, want at most %d", leaves, len(m.sorted), most)
		}
	} else if m.roster.leaves.used()+m.roster.inners.used() != 0 {
		m.t.Fatal("an empty tree uses nodes")
	}
}

func (m *rankModel) checkNode(n uint32, height uint8) (leaves, inners int) {
	if height == 0 {
		leaf := m.roster.leaves.at(n)
		for i, ref := range leaf.ref[:leaf.count] {
			if leaf.prefix[i] != m.roster.prefix(ref) {
				m.t.Fatalf("record %d is under another's prefix", ref)
			}
		}
		return 1, 0
	}
	inners = 1
	inner := m.roster.inners.at(n)
	for i, child := range inner.child[:inner.count] {
		prefix, ref := m.roster.least(child, height-1)
		if inner.prefix[i] != prefix || inner.ref[i] != ref {
			m.t.Fatalf("child %d begins with record %d, its node says %d", i, ref, inner.ref[i])
		}
		if got := m.roster.sizeOf(child, height-1); inner.size[i] != got || got == 0 {
			m.t.Fatalf("child %d has %d entries, its node says %d", i, got, inner.size[i])
		}
		l, in := m.checkNode(child, height-1)
		leaves, inners = leaves+l, inners+in
	}
	return leaves, inners
}

// rankNames are kinds of names: short and long, alike and not.
var rankNames = []struct {
	name string
	make func(r *rand.Rand) string
}{
	{"random", func(r *rand.Rand) string {
		b := make([]byte, r.IntN(12))
		for i := range b {
			b[i] = byte('a' + r.IntN(26))
		}
		return string(b)
	}},
	{"alike", func(r *rand.Rand) string { return fmt.Sprintf("user-100000000%d", r.IntN(400)) }},
	{"equal", func(r *rand.Rand) string { return "x"[:r.IntN(2)] }},
	{"long", func(r *rand.Rand) string {
		return string(bytes.Repeat([]byte("äb"), r.IntN(40))) + "\x00c"[:r.IntN(3)]
	}},
}

func TestRankTreeIsASortedSlice(t *testing.T) {
	seeds := uint64(4)
	if testing.Short() {
		seeds = 1
	}
	for _, names := range rankNames {
		t.Run(names.name, func(t *testing.T) {
			for seed := range seeds {
				r := rand.New(rand.NewPCG(seed, 5))
				m := newRankModel(t)
				user := uint64(0)
				// It grows and shrinks by turns, down to nothing at the end.
				for phase, steps := range []int{3000, 2500, 9000, 9500} {
					for range steps {
						if grow := r.IntN(10) < 8; grow == (phase%2 == 0) || len(m.sorted) == 0 {
							user++
							m.insert(user*7919%100_003<<22, names.make(r))
						} else {
							m.delete(r.IntN(len(m.sorted)))
						}
					}
					m.check()
				}
				for len(m.sorted) > 0 {
					m.delete(len(m.sorted) / 2)
				}
				m.check()
				if used := m.roster.cells.used(); used != 0 || m.roster.Len() != 0 {
					t.Fatalf("seed %d: %d cells are in use by nobody", seed, used)
				}
			}
		})
	}
}

func TestRankTreeBuild(t *testing.T) {
	counts := []int{0, 1, rankLeafFill, rankLeafFill + 1, 5000, 20_000}
	if testing.Short() {
		counts = counts[:5]
	}
	for _, count := range counts {
		r := rand.New(rand.NewPCG(uint64(count), 6))
		m := newRankModel(t)
		for user := range count {
			name := rankNames[r.IntN(2)].make(r)
			m.sorted = append(m.sorted,
				rankEntry{name, uint64(user), m.roster.Put(uint64(user), 0, []byte(name))})
		}
		slices.SortFunc(m.sorted, compareEntries)
		refs := make([]Ref, count)
		for i, e := range m.sorted {
			refs[i] = e.ref
		}
		m.roster.Build(&m.tree, refs)
		m.check()
		for i := range count / 2 {
			m.insert(uint64(count+i), rankNames[0].make(r))
			m.delete(r.IntN(len(m.sorted)))
		}
		m.check()
		m.roster.Clear(&m.tree)
		m.sorted = nil
		m.check()
	}
}

// FuzzRankTree reads a program: two bytes insert a name, or delete an entry.
func FuzzRankTree(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4, 5, 6, 200, 0, 201, 1})
	f.Add(bytes.Repeat([]byte{7, 9, 8, 8}, 200))
	f.Fuzz(func(t *testing.T, program []byte) {
		m := newRankModel(t)
		for i := 0; i+1 < len(program); i += 2 {
			if a, b := program[i], program[i+1]; a < 160 || len(m.sorted) == 0 {
				m.insert(uint64(i), "abcdefgh"[b%3:]+string([]byte{a, b}))
			} else {
				m.delete(int(b) * len(m.sorted) / 256)
			}
		}
		m.check()
	})
}

func TestRosterRecords(t *testing.T) {
	r := NewRoster()
	old := r.Put(5, 1, []byte("ann"))
	long := bytes.Repeat([]byte("x"), 300)
	next := r.Put(5, 2, long)
	if ref, ok := r.Find(5); ref != next || !ok || r.Group(old) != 1 || r.Group(next) != 2 {
		t.Fatalf("got record %d of group %d", ref, r.Group(ref))
	}
	if _, current := r.At(int(old)); current {
		t.Error("the old record passes for the current one")
	}
	if !r.Named(next, long[:RosterNameBytesMax]) || r.Named(old, []byte("an")) {
		t.Error("Named is wrong")
	}
	r.Free(old)
	r.Drop(5)
	r.Free(next)
	if r.cells.used() != 0 || r.Len() != 0 {
		t.Errorf("%d cells in use", r.cells.used())
	}
}
