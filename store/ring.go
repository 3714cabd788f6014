package store

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Ring says which node owns a key, and goes on saying it while nodes come and go.
//
// Consistent hashing: each node has as many points on a circle of 64-bit hashes as its weight says,
// and a key belongs to the first point behind its own hash. A node that comes takes its share from
// all others evenly, one that goes leaves its share to all others evenly, and no other key moves.
// With keys modulo the number of nodes, one node more out of twenty would move nineteen keys of
// twenty.
//
// A Ring is immutable, so any number of goroutines read it without a lock while the next one is
// made; RingHolder swaps them. It keeps the tables of the generations before it: who hands a key
// over asks whose it was. Nothing that a slow reader may still hold is ever freed under it; the
// original deleted old generations after ten seconds, and a reader stalled for longer crashed.
type Ring struct {
	generation uint64
	*ringTable
	past []*ringTable // newest first, at most RingHistoryMax
}

// RingNode is a node with its number of points on the circle, which is its share of the keys.
type RingNode struct {
	Name string
	// Weight is RingWeight for a node like any other. One of zero is known and owns nothing but
	// what is pinned to it: a machine for huge guilds only, or one that is being emptied.
	Weight int
}

// RingConfig is what a generation is made of. The order of the nodes decides their indexes and
// nothing else: two hosts that list the same nodes in another order agree on every owner.
type RingConfig struct {
	Nodes []RingNode
	// Pins put single keys on nodes of their own, the first being the owner. Names that are not
	// among the nodes are passed over, so that a pin to a machine that died loses no guild.
	Pins map[uint64][]string
	// Seed tells rings apart that divide the same keys. A ring inside a node, over the keys that
	// another ring gave to that node, needs one of its own: those keys lie in a few hundred arcs of
	// the circle, and with the same seed some of the inner nodes would have hardly any of them.
	Seed uint64
}

const (
	// RingWeight points make the shares of equal nodes differ by some 4 per cent (one in the root
	// of 512). Twice as many would make it 3, in tables twice as large.
	RingWeight = 512

	// RingHistoryMax earlier generations are kept: a node that joins, fails and joins again.
	RingHistoryMax = 3

	// RingWeightMax and RingNodesMax bound what a mistaken configuration may take: a node of the
	// largest weight is 128 others, and an index is two bytes.
	RingWeightMax = 128 * RingWeight
	RingNodesMax  = 4096

	// RingPointsMax is 2,048 nodes of RingWeight, in 16 MiB.
	RingPointsMax = 1 << 20
)

// NewRing makes a ring of generation 1.
func NewRing(c RingConfig) (*Ring, error) {
	return newRing(c, ringPoint)
}

func newRing(c RingConfig, point func(name string, replica int) uint64) (*Ring, error) {
	t, err := newRingTable(c, point)
	if err != nil {
		return nil, err
	}
	return &Ring{generation: 1, ringTable: t}, nil
}

// Next makes the generation after r. r stays as it is, and becomes the newest part of the history.
func (r *Ring) Next(c RingConfig) (*Ring, error) {
	t, err := newRingTable(c, ringPoint)
	if err != nil {
		return nil, err
	}
	past := append([]*ringTable{r.ringTable}, r.past...)
	if len(past) > RingHistoryMax {
		past = slices.Clip(past[:RingHistoryMax])
	}
	return &Ring{generation: r.generation + 1, ringTable: t, past: past}, nil
}

// Generation grows by one with each Next.
func (r *Ring) Generation() uint64 { return r.generation }

// Nodes are the nodes as they were given. The slice is shared and must not be changed.
func (r *Ring) Nodes() []RingNode { return r.nodes }

// Index is the key's owner as its index in Nodes, or -1 when no node has any weight.
func (r *Ring) Index(key uint64) int { return r.index(key) }

// Find is the key's owner, or "" when no node has any weight. It does not allocate.
func (r *Ring) Find(key uint64) string { return r.find(key) }

// FindN appends up to n different nodes for a key, the owner first, then those that would own it
// after the ones before them had gone. When there are fewer nodes it appends fewer.
func (r *Ring) FindN(dst []string, key uint64, n int) []string {
	return r.findN(dst, len(dst), key, n)
}

// FindBack is the key's owner so many generations ago; 0 is now. It reports false when that
// generation is not kept, or had no owner.
func (r *Ring) FindBack(key uint64, back int) (node string, ok bool) {
	t := r.table(back)
	if t == nil {
		return "", false
	}
	node = t.find(key)
	return node, node != ""
}

// Moving says whether the key had another owner in the generation before, and which.
func (r *Ring) Moving(key uint64) (from string, moving bool) {
	from, ok := r.FindBack(key, 1)
	return from, ok && from != r.find(key)
}

// FindStable appends up to n nodes for each of this and so many generations before it, newest
// first, each node once: whoever holds a key while it is being handed over is among them.
func (r *Ring) FindStable(dst []string, key uint64, n, back int) []string {
	first := len(dst)
	for i := 0; i <= back; i++ {
		t := r.table(i)
		if t == nil {
			break
		}
		generation := t.findN(nil, 0, key, n)
		for _, node := range generation {
			if !slices.Contains(dst[first:], node) {
				dst = append(dst, node)
			}
		}
	}
	return dst
}

func (r *Ring) table(back int) *ringTable {
	switch {
	case back == 0:
		return r.ringTable
	case back > 0 && back <= len(r.past):
		return r.past[back-1]
	}
	return nil
}

// ringTable is one generation.
//
// The naive lookup is a binary search: 14 probes of 10,240 points, each a branch that nobody can
// predict, are 115 ns. Points are hashes, so they lie evenly, and the upper bits of a hash say
// where in the array it has to be, give or take one or two: starts has, for each value of these
// bits, the first point that is not before it. A lookup is one load from there and a walk of one
// step on average, 17 ns; and 29 while a writer makes a generation every few milliseconds. See
// BenchmarkRingFind.
//
// Invariant: points ascend without repetition, and starts has at least as many entries.
type ringTable struct {
	nodes  []RingNode
	points []uint64
	owners []uint16 // owners[i] is the index in nodes of who has points[i]
	starts []uint32
	shift  uint8 // of a hash, to its place in starts
	live   int   // nodes with a weight
	seed   uint64
	pins   map[uint64][]uint16
}

var errRing = errors.New("the ring cannot be made")

func newRingTable(c RingConfig, point func(name string, replica int) uint64) (
	*ringTable, error) {
	if len(c.Nodes) > RingNodesMax {
		return nil, fmt.Errorf("%w: %d nodes, and %d are allowed", errRing, len(c.Nodes),
			RingNodesMax)
	}
	t := &ringTable{nodes: slices.Clone(c.Nodes), seed: c.Seed}
	byName := make(map[string]uint16, len(c.Nodes))
	total := 0
	for i, n := range c.Nodes {
		_, twice := byName[n.Name]
		switch {
		case n.Name == "" || strings.IndexByte(n.Name, ringSeparator) >= 0:
			return nil, fmt.Errorf("%w: %q is no name of a node", errRing, n.Name)
		case n.Weight < 0 || n.Weight > RingWeightMax:
			return nil, fmt.Errorf("%w: node %s has weight %d, not 0 to %d", errRing, n.Name,
				n.Weight, RingWeightMax)
		case twice:
			return nil, fmt.Errorf("%w: node %s is there twice", errRing, n.Name)
		}
		byName[n.Name] = uint16(i)
		if n.Weight > 0 {
			t.live++
		}
		if total += n.Weight; total > RingPointsMax {
			return nil, fmt.Errorf("%w: the weights are more than %d together", errRing,
				RingPointsMax)
		}
	}
	t.place(total, point)
	t.listStarts()
	t.pin(c.Pins, byName)
	return t, nil
}

// place puts the points on the circle. Of two with one hash the lesser name's stays: every host has
// to decide alike, whatever the order in which it heard of the nodes.
func (t *ringTable) place(total int, point func(name string, replica int) uint64) {
	type placed struct {
		hash  uint64
		owner uint16
	}
	all := make([]placed, 0, total)
	for i, n := range t.nodes {
		for replica := range n.Weight {
			all = append(all, placed{point(n.Name, replica), uint16(i)})
		}
	}
	slices.SortFunc(all, func(a, b placed) int {
		switch {
		case a.hash < b.hash:
			return -1
		case a.hash > b.hash:
			return 1
		}
		return strings.Compare(t.nodes[a.owner].Name, t.nodes[b.owner].Name)
	})
	all = slices.CompactFunc(all, func(a, b placed) bool { return a.hash == b.hash })
	t.points, t.owners = make([]uint64, len(all)), make([]uint16, len(all))
	for i, p := range all {
		t.points[i], t.owners[i] = p.hash, p.owner
	}
}

func (t *ringTable) listStarts() {
	bits := uint8(1)
	for 1<<bits < len(t.points) {
		bits++
	}
	t.shift = 64 - bits
	t.starts = make([]uint32, 1<<bits)
	at := 0
	for i := range t.starts {
		for at < len(t.points) && t.points[at]>>t.shift < uint64(i) {
			at++
		}
		t.starts[i] = uint32(at)
	}
}

func (t *ringTable) pin(pins map[uint64][]string, byName map[string]uint16) {
	for key, names := range pins {
		var to []uint16
		for _, name := range names {
			if i, known := byName[name]; known && !slices.Contains(to, i) {
				to = append(to, i)
			}
		}
		if len(to) == 0 {
			continue
		}
		if t.pins == nil {
			t.pins = make(map[uint64][]uint16)
		}
		t.pins[key] = to
	}
}

// behind is the index of the first point behind a hash. REQUIRES: there are points.
func (t *ringTable) behind(hash uint64) int {
	i := int(t.starts[hash>>t.shift])
	for i < len(t.points) && t.points[i] <= hash {
		i++
	}
	if i == len(t.points) {
		return 0
	}
	return i
}

func (t *ringTable) index(key uint64) int {
	if len(t.pins) > 0 {
		if to := t.pins[key]; len(to) > 0 {
			return int(to[0])
		}
	}
	if len(t.points) == 0 {
		return -1
	}
	return int(t.owners[t.behind(hashID(key, t.seed))])
}

func (t *ringTable) find(key uint64) string {
	i := t.index(key)
	if i < 0 {
		return ""
	}
	return t.nodes[i].Name
}

// findN appends to dst, of which what is before first is somebody else's. It ends when it has been
// round the circle once, or has found every node that has a point.
func (t *ringTable) findN(dst []string, first int, key uint64, n int) []string {
	add := func(owner uint16) bool {
		name := t.nodes[owner].Name
		if slices.Contains(dst[first:], name) {
			return false
		}
		dst = append(dst, name)
		return true
	}
	for _, owner := range t.pins[key] {
		if len(dst)-first >= n {
			return dst
		}
		add(owner)
	}
	if len(t.points) == 0 {
		return dst
	}
	at, left := t.behind(hashID(key, t.seed)), t.live
	for _, owner := range t.pins[key] {
		if t.nodes[owner].Weight > 0 {
			left--
		}
	}
	for range t.points {
		if len(dst)-first >= n || left <= 0 {
			break
		}
		if add(t.owners[at]) {
			left--
		}
		if at++; at == len(t.points) {
			at = 0
		}
	}
	return dst
}
