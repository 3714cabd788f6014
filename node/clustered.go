package node

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"throng/node/cluster"
	"throng/node/cluster/replica"
	"throng/tuning"
)

// clustered drives the mesh by the engines: it tells it of views and incarnations out of etcd, of
// remotes and items out of NATS, and has the log hold what its guilds change.
//
// A new incarnation owns only when the log takes its writes and no longer those of the one before,
// and it is told to the shards before the view that has it. So on the goroutine of run everything
// is done in that order, and what etcd reports meanwhile waits, the last of it.
type clustered struct {
	// Static after construction.
	node    *Node
	dir     *replica.Directory
	log     *cluster.Log
	bus     *cluster.Bus
	members *cluster.Membership
	ingest  *cluster.Ingest
	running sync.WaitGroup
	stop    context.CancelFunc
	stopped context.Context
	bell    chan struct{} // Rung when there is a view to take,
	ring    func()        // by this.
	waits   chan struct{} // Rung when somebody waits for the directory,
	ringFor func()        // by this.

	// Atomic: written by run. As which incarnation this node may write to the log.
	joined atomic.Uint64

	// Guarded by mu.
	mu      sync.Mutex
	view    *cluster.View // Not taken yet, or nil.
	as      uint64        // The incarnation that it came with.
	remotes map[*cluster.Peer]*peerRemote
	waiting []waitingClaim
}

// peerRemote is a remote with the epoch that it stands for.
type peerRemote struct {
	*remote
	epoch uint64
}

// waitingClaim waits for the directory to have what a guild's former owners have stored.
type waitingClaim struct {
	view  *cluster.View
	after uint64
	done  func(error)
}

// joinCluster makes this node a member. It returns when the node has a view with itself in it and
// may own what that says. Whoever waits in ctx for etcd or NATS waits as long as ctx does.
func (n *Node) joinCluster(ctx context.Context, d *doors) (c *clustered, err error) {
	c = &clustered{
		node: n, dir: n.replica, remotes: map[*cluster.Peer]*peerRemote{},
	}
	c.bell, c.ring = bell()
	c.waits, c.ringFor = bell()
	c.stopped, c.stop = context.WithCancel(context.Background())
	m := n.core.mesh
	m.owning, m.stored, m.void = c.owning, c.dir.Applied, c.void
	m.catchUp = c.catchUp
	defer func() {
		if err != nil {
			c.leave()
		}
	}()
	if c.log, err = cluster.OpenLog(ctx, cluster.LogConfig{
		NATS: n.cfg.natsConfig(), Cluster: n.cfg.Cluster, Replicas: n.cfg.NATSReplicas,
		From: c.dir.Applied(), Apply: c.dir.Take, Log: n.log,
	}); err != nil {
		return c, fmt.Errorf("-nats: %w", err)
	}
	if err = c.dir.Start(c.log, c.log.Identity()); err != nil {
		return c, fmt.Errorf("-data: %w", err)
	}
	if c.bus, err = cluster.NewBus(cluster.BusConfig{
		NATS: n.cfg.natsConfig(), Cluster: n.cfg.Cluster, Node: n.cfg.Node,
		Receive: c.receive, OnReset: c.reset, Log: n.log,
	}); err != nil {
		return c, fmt.Errorf("-nats: %w", err)
	}
	c.running.Go(c.runWaits)
	n.core.newest = newNewest(c.stopped, c.dir.Sync)
	c.running.Go(n.core.newest.run)
	if c.members, err = cluster.Join(ctx, cluster.MembershipConfig{
		Etcd: n.cfg.etcdConfig(), Cluster: n.cfg.Cluster,
		Self: cluster.Node{
			Name: n.cfg.Node, Gateway: n.cfg.PublicURL, Door: d.advertised, Key: d.key,
			Version: n.cfg.Version, Weight: n.cfg.weight(),
		},
		Changed: c.changed, LeaseChanged: c.leaseChanged, Log: n.log,
	}); err != nil {
		return c, fmt.Errorf("-etcd: %w", err)
	}
	n.core.starts.cool(n.core.clock(), tuning.ColdSpan.Milliseconds())
	n.core.returns.cool(n.core.clock(), tuning.ColdSpan.Milliseconds())
	// Not before: what these do needs all of the above.
	c.running.Go(c.run)
	c.running.Go(c.listen)
	if err = c.begun(ctx); err != nil {
		return c, err
	}
	if err = c.importData(ctx); err != nil {
		return c, fmt.Errorf("-import: %w", err)
	}
	if c.ingest, err = n.startIngest(c, d.config); err != nil {
		return c, fmt.Errorf("-nats: %w", err)
	}
	return c, nil
}

func newKey() string {
	key := make([]byte, 16)
	_, _ = rand.Read(key)
	return hex.EncodeToString(key)
}

// begun waits until the first view has been taken.
func (c *clustered) begun(ctx context.Context) error {
	for c.joined.Load() == 0 || c.node.core.mesh.view.Load() == nil {
		select {
		case <-time.After(tuning.EtcdRetryPause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// leave leaves the cluster. Without this the others would wait for the lease to end.
func (c *clustered) leave() {
	ctx, cancel := context.WithTimeout(context.Background(), tuning.EtcdTimeout)
	defer cancel()
	if c.ingest != nil {
		c.ingest.Close()
	}
	if c.members != nil {
		_ = c.members.Leave(ctx)
	}
	c.stop()
	c.running.Wait()
	if c.bus != nil {
		c.bus.Close()
	}
}

// owning is the incarnation as which this node may act as an owner now; see mesh.
func (c *clustered) owning() uint64 {
	as := c.joined.Load()
	if as == 0 || c.members.Incarnation() != as || !c.members.Owning(time.Now()) {
		return 0
	}
	return as
}

// changed is called by the membership with each view.
func (c *clustered) changed(v *cluster.View, incarnation uint64) {
	c.mu.Lock()
	c.view, c.as = v, incarnation
	c.mu.Unlock()
	c.ring()
}

// leaseChanged is called by the membership when the lease ends, and when it holds again.
func (c *clustered) leaseChanged(held bool, incarnation uint64) {
	if held && incarnation == c.joined.Load() {
		c.node.core.mesh.leaseBack()
	}
}

// run takes views, until the end.
func (c *clustered) run() {
	for {
		select {
		case <-c.bell:
		case <-c.stopped.Done():
			return
		}
		c.mu.Lock()
		v, as := c.view, c.as
		c.view = nil
		c.mu.Unlock()
		if v == nil {
			continue
		}
		if err := c.take(v, as); err != nil {
			c.node.log.Warn("cluster: a view is tried again", "generation", v.Generation,
				"error", err)
			c.again(v, as)
		}
	}
}

// again has a view tried again, unless a later one has come.
func (c *clustered) again(v *cluster.View, as uint64) {
	select {
	case <-time.After(tuning.EtcdRetryPause):
	case <-c.stopped.Done():
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.view == nil {
		c.view, c.as = v, as
		c.ring()
	}
}

// take takes a view.
func (c *clustered) take(v *cluster.View, as uint64) error {
	m := c.node.core.mesh
	if as != c.joined.Load() {
		ctx, cancel := context.WithTimeout(c.stopped, tuning.LogWriteTimeout)
		defer cancel()
		if err := c.dir.Join(ctx, as); err != nil {
			return fmt.Errorf("join the log: %w", err)
		}
		c.joined.Store(as)
		m.become(as)
	}
	c.bus.Update(v, as)
	for _, n := range v.Nodes {
		if n.Name != c.node.cfg.Node {
			c.beginPeer(c.bus.Peer(n.Name))
		}
	}
	m.show(v)
	c.ringFor()
	return nil
}

// beginPeer makes the remote of a peer, unless there is one.
func (c *clustered) beginPeer(p *cluster.Peer) {
	if p == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.remotes[p] == nil {
		c.beginEpoch(p, p.Epoch())
	}
}

// beginEpoch makes the remote of a peer for an epoch. REQUIRES: mu is held.
func (c *clustered) beginEpoch(p *cluster.Peer, epoch uint64) *peerRemote {
	if epoch == 0 {
		delete(c.remotes, p)
		return nil
	}
	r := &peerRemote{epoch: epoch}
	r.remote = c.node.core.mesh.begin(p.Name(),
		func(item []byte) bool { return p.Send(epoch, item) })
	c.remotes[p] = r
	p.Hold()
	return r
}

// reset follows the end of an epoch.
func (c *clustered) reset(p *cluster.Peer, epoch uint64, _ cluster.ResetReason) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r := c.remotes[p]; r != nil {
		c.node.core.mesh.end(r.remote)
		p.Release()
	}
	c.beginEpoch(p, epoch)
}

// receive takes items of a peer to the shards.
func (c *clustered) receive(p *cluster.Peer, epoch uint64, items [][]byte) {
	c.mu.Lock()
	r := c.remotes[p]
	if r == nil {
		r = c.beginEpoch(p, epoch)
	}
	c.mu.Unlock()
	if r == nil {
		return
	}
	if c.node.core.mesh.view.Load() == nil {
		p.End(epoch) // The others know of this node before it knows what to make of them.
		return
	}
	for _, item := range items {
		c.node.core.mesh.receive(r.remote, item)
	}
}

// void ends what is between this node and a remote whose items make no sense.
func (c *clustered) void(r *remote, why error) {
	c.node.log.Error("cluster: a node sends what makes no sense", "node", r.node, "error", why)
	c.mu.Lock()
	defer c.mu.Unlock()
	for p, known := range c.remotes {
		if known.remote == r {
			p.End(known.epoch)
		}
	}
}

// catchUp has a claim wait for the directory.
func (c *clustered) catchUp(v *cluster.View, after uint64, done func(error)) {
	c.mu.Lock()
	c.waiting = append(c.waiting, waitingClaim{v, after, done})
	c.mu.Unlock()
	c.ringFor()
}

// runWaits serves those who wait for the directory, all that have gathered at once: a thousand
// guilds of a lost node wait for one seal.
func (c *clustered) runWaits() {
	for {
		select {
		case <-c.waits:
		case <-c.stopped.Done():
			return
		}
		c.mu.Lock()
		batch := c.waiting
		c.waiting = nil
		c.mu.Unlock()
		if len(batch) == 0 {
			continue
		}
		for !c.caughtUp(batch) {
			select {
			case <-time.After(tuning.EtcdRetryPause):
			case <-c.stopped.Done():
				return
			}
		}
		for _, w := range batch {
			w.done(nil)
		}
	}
}

// caughtUp says whether the directory has what all of these wait for.
func (c *clustered) caughtUp(batch []waitingClaim) bool {
	ctx, cancel := context.WithTimeout(c.stopped, tuning.LogWriteTimeout)
	defer cancel()
	last, after := batch[0].view, uint64(0)
	for _, w := range batch {
		after = max(after, w.after)
		if w.view.Generation > last.Generation {
			last = w.view
		}
	}
	err := c.sealOthers(ctx, last)
	if err == nil {
		err = c.dir.Wait(ctx, after)
	}
	if err != nil {
		c.node.log.Warn("cluster: the directory is behind", "guilds", len(batch), "error", err)
	}
	return err == nil
}

// sealOthers ends what nodes may write that are not in a view any more.
func (c *clustered) sealOthers(ctx context.Context, v *cluster.View) error {
	live := make(map[string]uint64, len(v.Nodes))
	for _, n := range v.Nodes {
		live[n.Name] = n.Incarnation
	}
	return c.dir.SealOthers(ctx, live, v.Generation)
}
