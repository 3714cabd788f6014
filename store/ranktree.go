package store

// RankTree is one group of one member list in its order, and tells which row a member is in and who
// is in a row: a counted B+ tree over records of a Roster. The zero RankTree is empty. Its owner is
// the roster's.
//
// The naive list is a sorted slice. A change in it moves half a million entries on average when
// there are a million, 0.25 ms for one that comes and goes (BenchmarkRankNaive), and the collector
// reads all of it if an entry has a pointer. A sorted set of buckets, an array of arrays of 500,
// has cheap changes but adds up the lengths of 2,000 buckets to tell a row.
//
// Here inner nodes count what is below each child, so that a row is found, and told, in as many
// steps as the tree is high: four at a million. An insertion with its row takes 0.7 µs there, a
// split of a leaf takes 0.3. See BenchmarkRankInsert and BenchmarkRankSplit.
//
// An entry is the first eight bytes of the name, and the record. Nearly always the eight bytes
// decide and the record is not read, which is a cache miss saved at each of twenty comparisons;
// names that begin alike are compared in full. Twelve bytes without a pointer, 18 with the slack
// of the leaves (TestRankTreeBytes).
//
// The group is not part of the key: each group of a list is a tree of its own. A list has a dozen
// groups, whose lengths are added up in no time, a group's count is the length of its tree, and
// when roles change places not one entry moves. Nodes of all trees are in the roster's slabs.
//
// Invariants: the entry of a child in an inner node is the least one below it, and size is the
// number of entries below. All leaves are equally deep. No node but the root is empty.
//
// Nodes are merged only when both together leave a quarter of one free. A node between two that are
// more than half full may so be nearly empty, but two neighbours never are, and a tree that has
// shrunk gives its memory back.
type RankTree struct {
	root   uint32
	height uint8 // Of inner nodes above the leaves.
	size   uint32
}

const (
	rankLeafMax  = 64
	rankInnerMax = 64
	// rankHeightMax is enough for 2^32 entries in nodes that are all but empty.
	rankHeightMax = 12
)

// The entries of a node are sorted, in two arrays so that none is padded.
type rankLeaf struct {
	prefix [rankLeafMax]uint64
	ref    [rankLeafMax]Ref
	count  uint32
}

type rankInner struct {
	prefix [rankInnerMax]uint64
	ref    [rankInnerMax]Ref
	child  [rankInnerMax]uint32
	size   [rankInnerMax]uint32
	count  uint32
}

// Len returns the number of entries.
func (t *RankTree) Len() int { return int(t.size) }

// below returns how many of a node's entries are less than that of the record.
func (r *Roster) below(prefixes []uint64, refs []Ref, prefix uint64, ref Ref) int {
	low, high := 0, len(prefixes)
	for low < high {
		middle := int(uint(low+high) >> 1)
		p := prefixes[middle]
		if p < prefix || p == prefix && refs[middle] != ref && r.Compare(refs[middle], ref) < 0 {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low
}

// childFor returns the child that the record is in or would be put in, and how many entries are in
// the children before it.
func (r *Roster) childFor(n *rankInner, prefix uint64, ref Ref) (at int, before uint32) {
	count := n.count
	at = r.below(n.prefix[:count], n.ref[:count], prefix, ref)
	// An inner node's entries are the least of each child: what equals one is in that child.
	if at > 0 && (at == int(count) || n.ref[at] != ref) {
		at--
	}
	for _, size := range n.size[:at] {
		before += size
	}
	return at, before
}

// Rank returns how many entries are before the record, and whether it is in the tree.
func (r *Roster) Rank(t *RankTree, ref Ref) (rank int, found bool) {
	if t.root == 0 {
		return 0, false
	}
	prefix := r.prefix(ref)
	n := t.root
	for range t.height {
		inner := r.inners.at(n)
		at, before := r.childFor(inner, prefix, ref)
		rank += int(before)
		n = inner.child[at]
	}
	leaf := r.leaves.at(n)
	at := r.below(leaf.prefix[:leaf.count], leaf.ref[:leaf.count], prefix, ref)
	return rank + at, at < int(leaf.count) && leaf.ref[at] == ref
}

// Select returns the record that has so many before it; 0 when there are not as many.
func (r *Roster) Select(t *RankTree, rank int) (found Ref) {
	r.Each(t, rank, func(ref Ref) bool { found = ref; return false })
	return found
}

// Each calls f for the records from that rank on, in their order, until it returns false. f must
// not change the tree.
func (r *Roster) Each(t *RankTree, rank int, f func(Ref) bool) {
	if rank >= 0 && rank < int(t.size) {
		r.each(t.root, int(t.height), uint32(rank), f)
	}
}

// each leaves out the first skip entries below the node.
func (r *Roster) each(n uint32, height int, skip uint32, f func(Ref) bool) bool {
	if height == 0 {
		leaf := r.leaves.at(n)
		for _, ref := range leaf.ref[skip:leaf.count] {
			if !f(ref) {
				return false
			}
		}
		return true
	}
	inner := r.inners.at(n)
	for i := range int(inner.count) {
		if size := inner.size[i]; skip >= size {
			skip -= size
			continue
		}
		if !r.each(inner.child[i], height-1, skip, f) {
			return false
		}
		skip = 0
	}
	return true
}

// Clear empties the tree.
func (r *Roster) Clear(t *RankTree) {
	if t.root != 0 {
		r.clear(t.root, int(t.height))
	}
	*t = RankTree{}
}

func (r *Roster) clear(n uint32, height int) {
	if height == 0 {
		r.leaves.put(n)
		return
	}
	inner := r.inners.at(n)
	for _, child := range inner.child[:inner.count] {
		r.clear(child, height-1)
	}
	r.inners.put(n)
}
