package node

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"throng/fanout"
	"throng/node/cluster"
	"throng/store"
	"throng/tuning"
	"throng/wire"
)

// handMesh is hand nodes among each other: what they send lies in pipes until the test has it
// delivered, and what they keep in a log until the test has each of them apply it.
type handMesh struct {
	t          testing.TB
	rng        *rand.Rand
	all        []*meshNode
	log        []logged
	generation uint64
	births     uint64
	weights    map[string]int
	items      int // that were delivered
	slowest    int // how much slower than others a pipe, or a node's way to the log, may be
	requests   []*handRequest
	count      requestCount // of those that are over
	brief      bool
}

// meshNode is one of them.
type meshNode struct {
	*handNode
	name        string
	lost        bool   // Nothing of it runs any more.
	held        bool   // Nothing of it runs for now.
	zombie      bool   // The others take it for gone, and it does not know.
	incarnation uint64 // 0 while its lease is gone
	born        uint64 // the last one
	applied     int
	stored      int
	unlogged    []logged                // It is on its way to the log.
	slow        int                     // How slow that is.
	pipes       map[*meshNode]*handPipe // to the others
	waits       []catchingUp
	rung, late  bool // The courier has something to do, now or when some time has gone by.
}

// handPipe is what is on its way from one to another in one epoch.
type handPipe struct {
	to    *meshNode
	items [][]byte
	over  bool
	slow  int
	from  *remote // The sender, as the receiver has it.
}

type logged struct {
	node *meshNode
	ops  []store.Op
	done func(error)
}

type catchingUp struct {
	until int
	done  func(error)
}

func newHandMesh(t testing.TB, seed uint64, nodes int, users int) *handMesh {
	return (&handMesh{}).begin(t, seed, nodes, users)
}

// newBriefMesh is one whose sessions are sent little: of what a run with a few nodes took, a fifth
// was to clear their journals.
func newBriefMesh(t testing.TB, seed uint64, nodes int, users int) *handMesh {
	return (&handMesh{brief: true}).begin(t, seed, nodes, users)
}

func (m *handMesh) begin(t testing.TB, seed uint64, nodes int, users int) *handMesh {
	m.t, m.rng, m.weights = t, rand.New(rand.NewPCG(seed, 5)), map[string]int{}
	for i := range nodes {
		m.join(fmt.Sprint("node-", i), users)
	}
	return m
}

// join adds a node, which has all that was kept before.
func (m *handMesh) join(name string, users int) *meshNode {
	dir := store.NewMemory()
	people(m.t, dir, users)
	n := &meshNode{name: name, pipes: map[*meshNode]*handPipe{}}
	n.handNode = newHandNode(m.t, dir, func(s *settings) {
		s.node = name
		s.shardInboxMax = 1 << 30
		s.sweepLooksMax = 1 + m.rng.IntN(50)
		s.relinksMax = 2
		s.identifyRate, s.resumeRate, s.acceptRate = 0, 0, 0
		s.guild = fanout.DefaultLimits
		if m.brief {
			s.journalBytes = tuning.JournalBytesMin
		}
	})
	c := n.core
	c.courier.ring = func() { n.rung = true }
	c.keep = func(ops []store.Op, done func(error)) {
		if n.zombie && len(ops) > 0 {
			done(errInternal) // The log is closed to what it was.
			return
		}
		n.unlogged = append(n.unlogged, logged{n, ops, done})
	}
	c.mesh.owning = func() uint64 { return n.incarnation }
	c.mesh.stored = func() uint64 { return uint64(n.stored) }
	c.mesh.catchUp = func(_ *cluster.View, after uint64, done func(error)) {
		// A seal of who is lost goes to the end of the log.
		n.waits = append(n.waits, catchingUp{max(int(after), len(m.log)), done})
	}
	c.mesh.void = func(r *remote, why error) {
		m.t.Errorf("%s ends what is between it and %s: %v", n.name, r.node, why)
	}
	for _, o := range m.all {
		if !o.lost && !o.zombie {
			m.connect(n, o)
		}
	}
	m.all = append(m.all, n)
	m.weights[name] = store.RingWeight
	m.bear(n)
	return n
}

// bear gives a node a new incarnation.
func (m *handMesh) bear(n *meshNode) {
	m.births++
	n.born, n.incarnation = m.births, m.births
	n.mesh.become(n.born)
}

// expel has the others take a node for gone that is not.
func (m *handMesh) expel(n *meshNode) {
	delete(m.weights, n.name)
	for _, o := range m.live() {
		if o != n && n.pipes[o] != nil && !n.pipes[o].over {
			m.disconnect(n, o)
		}
	}
	n.zombie = true
	for _, e := range n.unlogged {
		e.done(errInternal)
	}
	n.unlogged = nil
	m.show()
}

// takeBack has a node that was expelled come back: it notices, and begins anew.
func (m *handMesh) takeBack(n *meshNode) {
	n.incarnation = 0
	for range m.rng.IntN(30) {
		m.step()
	}
	n.zombie = false
	for _, o := range m.live() {
		if o != n && !o.zombie {
			m.connect(n, o)
		}
	}
	m.weights[n.name] = store.RingWeight
	m.bear(n)
	m.show()
}

// connect begins an epoch between two nodes.
func (m *handMesh) connect(a, b *meshNode) {
	ab, ba := &handPipe{to: b, slow: m.slowness()}, &handPipe{to: a, slow: m.slowness()}
	a.pipes[b], b.pipes[a] = ab, ba
	ba.from = a.mesh.begin(b.name, ab.send)
	ab.from = b.mesh.begin(a.name, ba.send)
}

// slowness is how slow something is, most often not at all.
func (m *handMesh) slowness() int {
	if m.slowest == 0 || m.rng.IntN(3) > 0 {
		return 0
	}
	return m.rng.IntN(m.slowest)
}

func (p *handPipe) send(item []byte) bool {
	if p.over {
		return false
	}
	p.items = append(p.items, slices.Clone(item))
	return true
}

// disconnect ends an epoch: what is on its way is lost.
func (m *handMesh) disconnect(a, b *meshNode) {
	for _, p := range []*handPipe{a.pipes[b], b.pipes[a]} {
		p.over, p.items = true, nil
		if !p.to.lost {
			p.to.mesh.end(p.from)
		}
	}
}

// live are the nodes that run.
func (m *handMesh) live() (all []*meshNode) {
	for _, n := range m.all {
		if !n.lost {
			all = append(all, n)
		}
	}
	return all
}

// lose ends a node without a word. The others hear of it with the next view.
func (m *handMesh) lose(n *meshNode) {
	n.lost = true
	delete(m.weights, n.name)
	for _, o := range m.live() {
		if n.pipes[o] != nil && !n.pipes[o].over {
			m.disconnect(n, o)
		}
	}
}

// view is the cluster as it is now.
func (m *handMesh) view() *cluster.View {
	m.generation += 1 + uint64(m.rng.IntN(3))
	v := &cluster.View{Generation: m.generation}
	var nodes []store.RingNode
	for _, n := range m.live() {
		if _, member := m.weights[n.name]; member {
			v.Nodes = append(v.Nodes, cluster.Node{Name: n.name, Weight: m.weights[n.name]})
			nodes = append(nodes, store.RingNode{Name: n.name, Weight: m.weights[n.name]})
		}
	}
	slices.SortFunc(v.Nodes, func(a, b cluster.Node) int { return compareStrings(a.Name, b.Name) })
	ring, err := store.NewRing(store.RingConfig{Nodes: nodes})
	if err != nil {
		m.t.Fatal(err)
	}
	v.Ring = ring
	return v
}

func compareStrings(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// show shows everybody the cluster as it is.
func (m *handMesh) show() {
	v := m.view()
	for _, n := range m.live() {
		if !n.zombie {
			n.mesh.show(v)
		}
	}
}

// apply has a node's next batch get to the log, and the node apply the next one there.
func (m *handMesh) apply(n *meshNode) (busy bool) {
	switch {
	case len(n.unlogged) == 0:
	case n.slow > 0 && m.rng.IntN(1+n.slow) > 0:
		busy = true
	default:
		m.log = append(m.log, n.unlogged[0])
		n.unlogged = n.unlogged[1:]
		busy = true
	}
	if n.applied < len(m.log) {
		e := &m.log[n.applied]
		n.applied++
		if err := n.dir.Apply(e.ops); err != nil {
			m.t.Fatal(err)
		}
		n.tellOf(e.ops)
		if e.node == n {
			n.stored = n.applied
			e.done(nil)
		}
		busy = true
	}
	for i := 0; i < len(n.waits); i++ {
		if w := n.waits[i]; w.until <= n.applied {
			n.waits = slices.Delete(n.waits, i, i+1)
			w.done(nil)
			return true
		}
	}
	return busy
}

// tellOf is what a directory tells its node when it has applied something.
func (n *meshNode) tellOf(ops []store.Op) {
	var users []*store.User
	for _, op := range ops {
		switch op.Kind {
		case store.OpPutMember:
			n.membersJoined(wire.Snowflake(op.Guild), []wire.Snowflake{
				wire.Snowflake(op.Member.User)})
		case store.OpPutUser:
			users = append(users, op.UserRecord)
		}
	}
	n.usersReplaced(users)
}

// deliver delivers one item from a node, to whom chance says.
func (m *handMesh) deliver(from *meshNode) (busy bool) {
	for _, to := range m.live() {
		p := from.pipes[to]
		if p == nil || len(p.items) == 0 {
			continue
		}
		busy = true
		if m.rng.IntN(2+p.slow) < 1+p.slow {
			continue
		}
		item := p.items[0]
		p.items = p.items[1:]
		m.items++
		to.mesh.receive(p.from, item)
	}
	return busy
}

// step lets somebody do something. It reports whether anybody has something to do.
func (m *handMesh) step() (busy bool) {
	nodes := m.live()
	for _, i := range m.rng.Perm(len(nodes)) {
		n := nodes[i]
		if busy = m.deliver(n) || busy; n.held {
			continue
		}
		switch m.rng.IntN(3) {
		case 0:
			busy = m.apply(n) || busy
		case 1:
			if len(n.jobs) > 0 {
				n.work(1)
			}
		}
		if n.rung {
			n.rung = false
			n.late = n.courier.pass()
			busy = true
		}
		busy = n.turn() || busy || len(n.jobs) > 0 || len(n.waits) > 0 ||
			len(n.unlogged) > 0 || n.applied < len(m.log)
	}
	return m.stepRequests() || busy
}

// settle lets everybody run until nobody has anything to do.
func (m *handMesh) settle() {
	for range 1_000_000 {
		if m.step() {
			continue
		}
		for _, n := range m.live() {
			if !n.held {
				n.handNode.settle()
			}
		}
		if !m.step() {
			return
		}
	}
	m.t.Fatal("the nodes do not come to rest")
}

// calm lets time pass until nobody has anything left for later.
func (m *handMesh) calm() {
	for range 3 {
		m.settle()
		for _, n := range m.live() {
			n.elapse(n.limits.tickMilli)
			n.rung = n.rung || n.late
		}
	}
	m.settle()
}

// putAway puts a guild into every directory.
func (m *handMesh) putAway(guild wire.Snowflake, members ...wire.Snowflake) {
	for _, n := range m.all {
		putAway(m.t, n.dir.Directory, n.users, guild, members...)
	}
}

// owner is who has the guild loaded; two are a failure.
func (m *handMesh) owner(guild wire.Snowflake) (owner *meshNode) {
	for _, n := range m.live() {
		s := n.shardOf(guild)
		if p := s.guilds[guild]; p != nil && p.guild != nil && !n.zombie && !s.parks(p) {
			if owner != nil {
				m.t.Fatalf("%s and %s both own guild %d", owner.name, n.name, guild)
			}
			owner = n
		}
	}
	return owner
}

// publish has a guild's owner publish a message; it says whether somebody took it.
func (m *handMesh) publish(guild wire.Snowflake, number int) bool {
	n := m.owner(guild)
	if n == nil {
		return false
	}
	taken := false
	w := &guildWork{guildCall{guild}, callerOf(context.Background()), kindPublish,
		func(s *shard, g *fanout.Guild, now int64) (*fanout.Guild, fanout.Change, error) {
			change, err := g.Publish("MESSAGE_CREATE", markOf(guild, number), now)
			if err != nil {
				m.t.Errorf("publish: %v", err)
			}
			taken = true
			return g, change, err
		}, make(chan error, 1)}
	s := n.shardOf(guild)
	if p := s.guilds[guild]; !s.parks(p) {
		s.apply(w, p.guild)
	}
	return taken
}
