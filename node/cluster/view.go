package cluster

import (
	"maps"
	"slices"
	"strings"

	"throng/store"
)

// View is the cluster as of one moment. It is immutable: whoever has one may go on using it, and
// all that is asked of it comes out of the same moment.
//
// Two nodes with views of the same changes agree on the owner of every guild.
type View struct {
	// Generation grows with each change, and is what fences: whoever owns a guild by this view
	// has a greater one than whoever owned it before. It is a revision of etcd: that of the last
	// change, or, in a view that was read whole, the one that it was read at. The latter may be
	// later than the last change, which is gone with its key when it was a deletion. The greatest
	// revision of the keys that are left would be the same for all nodes, and wrong: after a
	// deletion it is less than what an earlier owner may have taken its guilds at.
	Generation uint64
	Nodes      []Node      // Ascending by name.
	Ring       *store.Ring // Of the nodes that are not draining.
	Pins       map[uint64]string
	// Config is what all nodes share, as somebody has set it. Nil when nobody has.
	Config []byte
}

// Node is a node's record, as it wrote it itself.
type Node struct {
	Name string `json:"name"`
	// Incarnation tells a node from the one of the same name before it, and is greater. It is the
	// revision that created the record, which nobody has to write into it.
	Incarnation uint64 `json:"-"`
	Gateway     string `json:"gateway,omitempty"` // URL for clients, of this node alone.
	Door        string `json:"door,omitempty"`    // host:port, for other nodes.
	Key         string `json:"key,omitempty"`     // What they show there.
	Version     string `json:"version,omitempty"`
	Weight      int    `json:"weight"` // store.RingWeight is a node like any other.
	// Draining: it owns nothing any more, and what it owned is on its way elsewhere.
	Draining bool `json:"draining,omitempty"`
	// Deaf: it has no connection to NATS.
	Deaf bool `json:"deaf,omitempty"`
}

// Node is the record of a node.
func (v *View) Node(name string) (n Node, known bool) {
	at, known := slices.BinarySearchFunc(v.Nodes, name, func(n Node, name string) int {
		return strings.Compare(n.Name, name)
	})
	if !known {
		return Node{}, false
	}
	return v.Nodes[at], true
}

// Hears says whether any node but this one hears others.
func (v *View) Hears(but string) bool {
	return slices.ContainsFunc(v.Nodes, func(n Node) bool { return n.Name != but && !n.Deaf })
}

// Owner is the node that owns a guild, or "" when none can.
func (v *View) Owner(guild uint64) string { return v.Ring.Find(guild) }

// nextView is the view after before, which may be nil, of what etcd holds.
func nextView(before *View, s *state) *View {
	v := &View{Generation: s.revision, Pins: maps.Clone(s.pins), Config: slices.Clone(s.config)}
	v.Nodes = slices.SortedFunc(maps.Values(s.nodes), func(a, b Node) int {
		return strings.Compare(a.Name, b.Name)
	})
	v.Nodes = v.Nodes[:min(len(v.Nodes), store.RingNodesMax)]
	if before != nil && slices.Equal(ringNodes(before.Nodes), ringNodes(v.Nodes)) &&
		maps.Equal(before.Pins, v.Pins) {
		v.Ring = before.Ring
		return v
	}
	v.Ring = nextRing(before, ringNodes(v.Nodes), v.Pins)
	return v
}

// ringNodes are the nodes that may own. One that drains is left out whole, and not there with a
// weight of zero, so that pins to it are passed over too. What a record says is cut to what a
// ring can be made of, which is what all nodes come to alike.
func ringNodes(nodes []Node) (all []store.RingNode) {
	left := store.RingPointsMax
	for _, n := range nodes {
		if n.Draining {
			continue
		}
		weight := min(max(n.Weight, 0), store.RingWeightMax, left)
		left -= weight
		all = append(all, store.RingNode{Name: n.Name, Weight: weight})
	}
	return all
}

// nextRing makes the next generation of the ring.
func nextRing(before *View, nodes []store.RingNode, pins map[uint64]string) *store.Ring {
	c := store.RingConfig{Nodes: nodes, Pins: make(map[uint64][]string, len(pins))}
	for guild, name := range pins {
		c.Pins[guild] = []string{name}
	}
	next := store.NewRing
	if before != nil {
		next = before.Ring.Next
	}
	ring, err := next(c)
	if err != nil {
		panic("cluster: " + err.Error()) // NB: names, weights and their number have been checked.
	}
	return ring
}
