package store

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// rankOf fills a tree with so many random names and returns records that are not in it.
func rankOf(count, more int, name func(*rand.Rand, int) []byte) (*Roster, *RankTree, []Ref) {
	r := rand.New(rand.NewPCG(1, 7))
	roster, tree := NewRoster(), &RankTree{}
	refs := make([]Ref, count)
	for i := range refs {
		refs[i] = roster.Put(uint64(i+1)<<22, 0, name(r, i))
	}
	slices.SortFunc(refs, roster.Compare)
	roster.Build(tree, refs)
	others := make([]Ref, more)
	for i := range others {
		others[i] = roster.Put(uint64(count+i+1)<<22, 0, name(r, count+i))
	}
	return roster, tree, others
}

func randomName(r *rand.Rand, _ int) []byte {
	b := make([]byte, 4+r.IntN(12))
	for i := range b {
		b[i] = byte('a' + r.IntN(26))
	}
	return b
}

// alikeName is the name of a user of whom only the id is known: the first eight bytes never decide.
func alikeName(_ *rand.Rand, i int) []byte { return fmt.Appendf(nil, "user-%d", uint64(i+1)<<22) }

// BenchmarkRankInsert measures an insertion that tells its row, in a tree that stays at its size:
// each insertion is followed by a deletion, which is not timed apart but reported with it.
func BenchmarkRankInsert(b *testing.B) {
	for _, bench := range []struct {
		name  string
		count int
		make  func(*rand.Rand, int) []byte
	}{
		{"1k", 1000, randomName}, {"100k", 100_000, randomName}, {"1M", 1_000_000, randomName},
		{"1M-alike", 1_000_000, alikeName},
	} {
		b.Run(bench.name, func(b *testing.B) {
			roster, tree, others := rankOf(bench.count, 1<<16, bench.make)
			b.ReportAllocs()
			var inserting time.Duration
			steps := 0
			for at := 0; b.Loop(); at = (at + 64) & (len(others) - 1) {
				start := time.Now()
				for _, ref := range others[at : at+64] {
					roster.Insert(tree, ref)
				}
				inserting += time.Since(start)
				for _, ref := range others[at : at+64] {
					roster.Delete(tree, ref)
				}
				steps += 64
			}
			b.ReportMetric(float64(inserting.Nanoseconds())/float64(steps), "ns/insert")
			both := float64(b.Elapsed().Nanoseconds()) / float64(steps)
			b.ReportMetric(both-float64(inserting.Nanoseconds())/float64(steps), "ns/delete")
		})
	}
}

// BenchmarkRankSplit splits a full leaf again and again, slab growth included.
func BenchmarkRankSplit(b *testing.B) {
	roster, tree, _ := rankOf(rankLeafMax*rankInnerFill, 0, randomName)
	leaf := tree.root
	inner := roster.inners.at(leaf)
	full := *roster.leaves.at(inner.child[0])
	b.ReportAllocs()
	for b.Loop() {
		child := inner.child[0]
		*roster.leaves.at(child) = full
		roster.split(leaf, 0, 0)
		roster.release(inner.child[1], 0)
		inner.remove(1)
	}
}

// BenchmarkRankInsertLongest grows a tree from nothing to a million and reports what those
// insertions took that split a leaf and made a new one, with whatever the machine did meanwhile.
func BenchmarkRankInsertLongest(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 8))
	for b.Loop() {
		roster, tree := NewRoster(), &RankTree{}
		var splits []time.Duration
		for i := range 1_000_000 {
			ref := roster.Put(uint64(i+1)<<22, 0, randomName(r, i))
			leaves := roster.leaves.next
			start := time.Now()
			roster.Insert(tree, ref)
			if took := time.Since(start); roster.leaves.next != leaves {
				splits = append(splits, took)
			}
		}
		slices.Sort(splits)
		b.ReportMetric(float64(splits[len(splits)/2].Nanoseconds()), "ns/split-median")
		b.ReportMetric(float64(splits[len(splits)*99/100].Nanoseconds()), "ns/split-p99")
	}
}

func BenchmarkRankBuild(b *testing.B) {
	roster, tree, _ := rankOf(1_000_000, 0, randomName)
	sorted := make([]Ref, 0, tree.Len())
	roster.Each(tree, 0, func(ref Ref) bool { sorted = append(sorted, ref); return true })
	for b.Loop() {
		roster.Clear(tree)
		roster.Build(tree, sorted)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1e6, "ns/entry")
}

// BenchmarkRankSelect reads a window of a hundred rows.
func BenchmarkRankSelect(b *testing.B) {
	roster, tree, _ := rankOf(1_000_000, 0, randomName)
	r := rand.New(rand.NewPCG(1, 9))
	for b.Loop() {
		left := 100
		roster.Each(tree, r.IntN(999_900), func(Ref) bool { left--; return left > 0 })
	}
}

// BenchmarkRankNaive is the sorted slice that the tree replaces.
func BenchmarkRankNaive(b *testing.B) {
	roster, tree, others := rankOf(1_000_000, 1<<16, randomName)
	sorted := make([]Ref, 0, tree.Len()+1)
	roster.Each(tree, 0, func(ref Ref) bool { sorted = append(sorted, ref); return true })
	at := 0
	for b.Loop() {
		ref := others[at&(len(others)-1)]
		at++
		rank, _ := slices.BinarySearchFunc(sorted, ref, roster.Compare)
		sorted = slices.Insert(sorted, rank, ref)
		sorted = slices.Delete(sorted, rank, rank+1)
	}
}

// TestRankTreeBytes holds what an entry takes in trees that grew by insertions, and what its record
// does.
func TestRankTreeBytes(t *testing.T) {
	const count = 100_000
	r := rand.New(rand.NewPCG(1, 10))
	roster, tree := NewRoster(), &RankTree{}
	for i := range count {
		roster.Insert(tree, roster.Put(uint64(i+1)<<22, 0, randomName(r, i)))
	}
	nodes := float64(roster.leaves.next)*776 + float64(roster.inners.next)*1288
	t.Logf("%.1f bytes of nodes an entry, %.1f of record", nodes/count,
		float64(roster.cells.next)*32/count)
	if nodes/count > 20 {
		t.Errorf("got %.1f bytes of nodes an entry, want at most 20", nodes/count)
	}
}
