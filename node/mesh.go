package node

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/puzpuzpuz/xsync/v3"

	"throng/node/cluster"
	"throng/wire"
	"throng/wire/pack"
)

// mesh is this node among others: who is there, who is to own a guild, and what goes to them and
// comes from them. A node that is alone has one without a view, and owns every guild.
//
// To a guild another node is one more loop, and to a loop a guild elsewhere is one more guild: both
// have their place on a shard (see link.go), and what would go from one to the other goes between
// shards, as items. So neither has a second way to do anything.
//
// Whoever drives it calls begin, end, show and receive, one at a time: the cluster's drivers in a
// process, the simulation in a test.
type mesh struct {
	// Static after construction.
	core *core
	self string // This node's name,
	tag  uint16 // and what sessions' ids say of it.

	// Effects. owning is the incarnation as which this node may act as an owner at this moment, 0
	// when it may not. catchUp calls done
	// when all that the log has up to a sequence, and of nodes that are lost by a view all that
	// they will ever have stored, is in the directory here. void ends what is between this node and
	// a remote that makes no sense. stored is the last sequence of this node's own writes.
	owning  func() uint64
	catchUp func(view *cluster.View, after uint64, done func(error))
	void    func(r *remote, why error)
	stored  func() uint64

	// Atomic: replaced by whoever drives it, read by anyone. No view: the node is alone.
	view  atomic.Pointer[cluster.View]
	table atomic.Pointer[remotes]

	users userCalls

	// Concurrent table: written by each guild's shard, read by anyone. See seek.
	serving *xsync.MapOf[wire.Snowflake, struct{}]

	// Atomic: the greatest generation that any node is known to have.
	heard atomic.Uint64

	// Guarded by mu.
	mu   sync.Mutex
	free []int // Numbers of remotes that every shard has forgotten.
}

// remote is another node for as long as nothing is lost between the two.
type remote struct {
	// Static after construction.
	number int // As that of a loop, behind the node's own loops.
	node   string
	send   func(item []byte) bool // It copies. False: this remote is over, and end is called.

	// Atomic: shards that have not forgotten it yet.
	known atomic.Int32
}

// remotes are those that there are. They are immutable.
type remotes struct {
	byNumber []*remote // Less the number of loops. Nil where there is none.
	byNode   map[string]*remote
}

func newMesh(c *core, self string) *mesh {
	m := &mesh{
		core: c, self: self, tag: nodeTag(self), owning: func() uint64 { return 0 },
		catchUp: func(_ *cluster.View, _ uint64, done func(error)) { done(nil) },
		void:    func(*remote, error) {}, stored: func() uint64 { return 0 },
		serving: xsync.NewMapOfWithHasher[wire.Snowflake, struct{}](hashSnowflake),
	}
	m.table.Store(&remotes{})
	return m
}

// many says whether there may be other nodes.
func (m *mesh) many() bool { return m.view.Load() != nil }

// owner is the node that is to own a guild, "" when none can. A node that is alone has no name for
// itself to say: here is all there is.
func (m *mesh) owner(guild wire.Snowflake) (node string, here bool) {
	v := m.view.Load()
	if v == nil {
		return "", true
	}
	node = v.Owner(uint64(guild))
	return node, node == m.self
}

// tagged are the other nodes where a session with this id may live. Those that drain are about to
// end with their sessions.
func (m *mesh) tagged(id sessionID) (all []cluster.Node) {
	v := m.view.Load()
	if v == nil {
		return nil
	}
	for _, n := range v.Nodes {
		if n.Name != m.self && !n.Draining && nodeTag(n.Name) == tagOf(id) {
			all = append(all, n)
		}
	}
	return all
}

// generation is that of the view.
func (m *mesh) generation() uint64 {
	if v := m.view.Load(); v != nil {
		return v.Generation
	}
	return 0
}

// hear takes note of a generation that another node has.
func (m *mesh) hear(generation uint64) {
	for {
		known := m.heard.Load()
		if generation <= known || m.heard.CompareAndSwap(known, generation) {
			return
		}
	}
}

// behind says that others know of a later view than this node.
func (m *mesh) behind() bool { return m.heard.Load() > m.generation() }

// remote is the node of a name as it can be reached now, or nil.
func (m *mesh) remote(node string) *remote { return m.table.Load().byNode[node] }

// numbered is the remote of a number, or nil when it is over.
func (m *mesh) numbered(number int) *remote {
	t, i := m.table.Load(), number-len(m.core.loops)
	if i < 0 || i >= len(t.byNumber) {
		return nil
	}
	return t.byNumber[i]
}

// begin makes a remote of a node that can be reached from now on.
func (m *mesh) begin(node string, send func(item []byte) bool) *remote {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.table.Load()
	next := &remotes{slices.Clone(t.byNumber), maps.Clone(t.byNode)}
	if next.byNode == nil {
		next.byNode = map[string]*remote{}
	}
	r := &remote{node: node, send: send}
	r.known.Store(int32(len(m.core.shards)))
	if last := len(m.free) - 1; last >= 0 {
		r.number, m.free = m.free[last], m.free[:last]
	} else {
		r.number = len(m.core.loops) + len(next.byNumber)
		next.byNumber = append(next.byNumber, nil)
	}
	next.byNumber[r.number-len(m.core.loops)] = r
	next.byNode[node] = r
	m.table.Store(next)
	for _, s := range m.core.shards {
		s.inbox.push(&remoteBegun{})
	}
	return r
}

// end says that nothing more comes from a remote, and that nothing that is sent to it arrives.
func (m *mesh) end(r *remote) {
	m.mu.Lock()
	t := m.table.Load()
	next := &remotes{slices.Clone(t.byNumber), maps.Clone(t.byNode)}
	next.byNumber[r.number-len(m.core.loops)] = nil
	if next.byNode[r.node] == r {
		delete(next.byNode, r.node)
	}
	m.table.Store(next)
	m.mu.Unlock()
	for _, s := range m.core.shards {
		s.inbox.push(&remoteLost{remote: r})
	}
}

// forgotten is called by each shard that has nothing left of a remote: then another may have its
// number.
func (m *mesh) forgotten(r *remote) {
	if r.known.Add(-1) > 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.free = append(m.free, r.number)
}

// show takes the next view. Its nodes' remotes have begun before.
func (m *mesh) show(v *cluster.View) {
	m.hear(v.Generation)
	m.view.Store(v)
	for _, s := range m.core.shards {
		s.inbox.push(&viewChanged{})
	}
}

// become says as which incarnation this node owns from now on. What it owned as another it has
// lost.
func (m *mesh) become(incarnation uint64) {
	for _, s := range m.core.shards {
		s.inbox.push(&reborn{incarnation: incarnation})
	}
}

// leaseBack says that owning says again what it said before.
func (m *mesh) leaseBack() {
	for _, s := range m.core.shards {
		s.inbox.push(&leaseBack{})
	}
}

// receive takes an item of a remote to the shard of its guild. It waits while that one is behind.
func (m *mesh) receive(r *remote, item []byte) {
	reader := pack.NewReader(item)
	kind := itemKind(reader.Byte())
	guild := reader.ID()
	if reader.Failed() || kind >= itemKinds {
		m.void(r, errItem)
		return
	}
	m.core.shardOf(guild).inbox.pushWait(&farItem{guildCall: guildCall{guild}, remote: r,
		what: kind, rest: reader})
}
