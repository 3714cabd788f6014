package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"throng/tuning"
)

// Bus carries items between the nodes of a cluster, on NATS: one subject for each node, from which
// all that is for it comes.
//
// Each peer has a queue bounded in bytes and a goroutine that publishes what is in it, in batches.
// Items come out in the order in which they were sent, or OnReset is called on both sides and they
// begin anew; see pair. Nodes that have nothing to say to each other exchange nothing: the mesh is
// as dense as the guilds that they share.
type Bus struct {
	// Static after construction.
	cfg    BusConfig
	log    *slog.Logger
	nats   *nats.Conn
	sub    *nats.Subscription
	resets chan struct{} // Rung when a peer has a reset to tell.
	stop   chan struct{}
	ended  sync.WaitGroup
	once   sync.Once
	pool   sync.Pool

	// deliver is held while Receive or OnReset is called, and before any mu is taken.
	deliver sync.Mutex

	// Guarded by mu.
	mu         sync.Mutex
	self       uint64 // This node's incarnation.
	generation uint64 // Of the latest view.
	nodes      map[string]uint64
	peers      map[string]*Peer
	closed     bool

	// Atomic: written by many.
	epochs     atomic.Uint64
	delivering atomic.Bool
	stats      busCounters
}

// BusConfig says who sends and receives.
type BusConfig struct {
	NATS    NATSConfig
	Cluster string
	Node    string

	// Receive is given items of a peer, in order. The slice is the callee's until it returns, the
	// items are for good. epoch is the one in which the peer may be answered.
	Receive func(p *Peer, epoch uint64, items [][]byte)
	// OnReset says that whatever this node and the peer had between them is void, that nothing sent
	// in earlier epochs will arrive any more, and which epoch is next; zero when there is none.
	OnReset func(p *Peer, epoch uint64, reason ResetReason)
	// Both are called by one goroutine at a time. They must not call Update or Close, and while
	// they take long nothing is received.

	OutboxBytesMax int          // For each peer; zero is tuning.BusOutboxBytesMax.
	Log            *slog.Logger // Nil for none.
}

var errBusClosed = errors.New("the bus is closed")

// NewBus connects to NATS. Before the first Update it knows nobody.
func NewBus(cfg BusConfig) (*Bus, error) {
	if !ValidName(cfg.Cluster) || !ValidName(cfg.Node) {
		return nil, fmt.Errorf("bus: %q in %q is no name of a node", cfg.Node, cfg.Cluster)
	}
	if cfg.OutboxBytesMax == 0 {
		cfg.OutboxBytesMax = tuning.BusOutboxBytesMax
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	b := &Bus{
		cfg: cfg, log: cfg.Log, resets: make(chan struct{}, 1), stop: make(chan struct{}),
		nodes: map[string]uint64{}, peers: map[string]*Peer{},
	}
	var err error
	b.nats, err = cfg.NATS.connect("throng bus "+cfg.Node,
		nats.ReconnectHandler(func(*nats.Conn) { b.ringAll() }), nats.ErrorHandler(b.failed))
	if err == nil {
		err = b.subscribe()
	}
	if err != nil {
		b.Close()
		return nil, fmt.Errorf("bus: %w", err)
	}
	b.ended.Go(b.tick)
	b.ended.Go(b.tellResets)
	return b, nil
}

func (b *Bus) subject(node string) string { return "throng." + b.cfg.Cluster + ".node." + node }

func (b *Bus) subscribe() (err error) {
	if have := b.nats.MaxPayload(); have < tuning.BusBatchBytesMax {
		return fmt.Errorf("the server's max_payload is %d bytes, and batches have up to %d", have,
			tuning.BusBatchBytesMax)
	}
	if b.sub, err = b.nats.Subscribe(b.subject(b.cfg.Node), b.received); err != nil {
		return err
	}
	if err = b.sub.SetPendingLimits(-1, tuning.BusPendingBytesMax); err != nil {
		return err
	}
	return b.nats.FlushTimeout(tuning.NATSTimeout)
}

// failed hears of what no call can return, such as that this node does not read fast enough.
func (b *Bus) failed(_ *nats.Conn, _ *nats.Subscription, err error) {
	if errors.Is(err, nats.ErrSlowConsumer) {
		b.stats.slow.Add(1)
	}
	b.log.Warn("bus: NATS reports", "error", err)
}

// Update takes who is there and which incarnation this node is of: what MembershipConfig.Changed
// is given, in the same order.
func (b *Bus) Update(v *View, incarnation uint64) {
	b.deliver.Lock()
	defer b.deliver.Unlock()
	b.mu.Lock()
	rejoined := b.self != incarnation
	b.self, b.generation = incarnation, v.Generation
	clear(b.nodes)
	for _, n := range v.Nodes {
		if n.Name != b.cfg.Node {
			b.nodes[n.Name] = n.Incarnation
		}
	}
	all := b.list()
	for _, p := range all {
		b.updatePeer(p, rejoined)
	}
	b.mu.Unlock()
	b.tell(all)
}

// updatePeer compares a peer with the view. REQUIRES: mu is held.
func (b *Bus) updatePeer(p *Peer, rejoined bool) {
	known, there := b.nodes[p.name]
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case !there && p.pair.peer <= b.generation:
		p.reset(ResetPeerGone)
		close(p.gone)
		delete(b.peers, p.name)
	case rejoined:
		p.pair = newPair(b.self, max(known, p.pair.peer))
		p.reset(ResetSelfJoined)
	case known > p.pair.peer:
		p.pair = newPair(b.self, known)
		p.reset(ResetPeerJoined)
	}
}

// list is all peers. REQUIRES: mu is held.
func (b *Bus) list() []*Peer {
	all := make([]*Peer, 0, len(b.peers))
	for _, p := range b.peers {
		all = append(all, p)
	}
	return all
}

func (b *Bus) everyone() []*Peer {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.list()
}

// Peer is the node of a name, or nil when there is none. It is the same until it is gone.
func (b *Bus) Peer(name string) *Peer {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.peer(name, 0)
}

// peer finds a node, or makes it when the view has it, or when a message says that it is of an
// incarnation which is later than the view. REQUIRES: mu is held.
func (b *Bus) peer(name string, incarnation uint64) *Peer {
	if p := b.peers[name]; p != nil || b.closed {
		return p
	}
	known, there := b.nodes[name]
	if !there && incarnation <= b.generation || name == b.cfg.Node || b.self == 0 {
		return nil
	}
	p := &Peer{
		bus: b, name: name, subject: b.subject(name),
		wake: make(chan struct{}, 1), gone: make(chan struct{}),
		pair: newPair(b.self, max(known, incarnation)), epoch: b.epochs.Add(1),
		out: outbox{
			room: headerBytes(b.cfg.Node), bytesMax: b.cfg.OutboxBytesMax, buffers: &b.pool,
		},
	}
	b.peers[name] = p
	b.ended.Go(p.send)
	return p
}

// received is called by the subscription's goroutine with each message.
func (b *Bus) received(m *nats.Msg) {
	b.delivering.Store(true)
	defer b.delivering.Store(false)
	b.deliver.Lock()
	defer b.deliver.Unlock()
	h, rest, err := parseHeader(m.Data)
	if err != nil {
		b.log.Warn("bus: a message was passed over", "bytes", len(m.Data), "error", err)
		return
	}
	b.mu.Lock()
	p := b.peer(h.from, h.fromInc)
	b.mu.Unlock()
	if p == nil {
		return
	}
	accept, epoch, reset := p.receive(h, time.Now())
	if reset != 0 {
		p.items.clear()
		b.tellOne(p, epoch, reset)
	}
	if !accept {
		return
	}
	all, err := p.items.appendAll(nil, rest)
	if err != nil {
		b.log.Error("bus: a batch has no end", "peer", p.name, "error", err)
		p.mu.Lock()
		p.end(ResetGap)
		p.mu.Unlock()
		return
	}
	b.stats.batchesReceived.Add(1)
	b.stats.bytesReceived.Add(uint64(len(m.Data)))
	b.stats.itemsReceived.Add(uint64(len(all)))
	if len(all) > 0 {
		b.cfg.Receive(p, epoch, all)
	}
}

// tell calls OnReset for those peers that have one to tell. REQUIRES: deliver is held.
func (b *Bus) tell(peers []*Peer) {
	for _, p := range peers {
		p.mu.Lock()
		epoch, reset := p.epoch, p.void
		p.void = 0
		p.mu.Unlock()
		if reset != 0 {
			p.items.clear()
			b.tellOne(p, epoch, reset)
		}
	}
}

func (b *Bus) tellOne(p *Peer, epoch uint64, reset ResetReason) {
	b.stats.resets[reset].Add(1)
	b.log.Info("bus: begins anew", "peer", p.name, "reason", reset.String())
	b.cfg.OnReset(p, epoch, reset)
}

// tellResets tells the resets that did not come about while a message was received.
func (b *Bus) tellResets() {
	for {
		select {
		case <-b.resets:
			b.deliver.Lock()
			b.tell(b.everyone())
			b.deliver.Unlock()
		case <-b.stop:
			return
		}
	}
}

// tick has beats sent and notices who is silent.
func (b *Bus) tick() {
	ticker := time.NewTicker(tuning.BusBeatInterval)
	defer ticker.Stop()
	for {
		select {
		case now := <-ticker.C:
			waiting, _, err := b.sub.Pending()
			quiet := err == nil && waiting == 0 && !b.delivering.Load()
			for _, p := range b.everyone() {
				p.tick(now, quiet)
			}
		case <-b.stop:
			return
		}
	}
}

func (b *Bus) ringAll() {
	for _, p := range b.everyone() {
		p.ring()
	}
}

// Connected says whether NATS is there now.
func (b *Bus) Connected() bool { return b.nats.IsConnected() }

// Flush waits until NATS has everything that was sent before.
func (b *Bus) Flush(ctx context.Context) error {
	for _, p := range b.everyone() {
		done := make(chan struct{})
		p.mu.Lock()
		p.flushed = append(p.flushed, done)
		p.ring()
		p.mu.Unlock()
		select {
		case <-done:
		case <-p.gone:
		case <-b.stop:
			return errBusClosed
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return b.nats.FlushWithContext(ctx)
}

// Close ends the bus. What waits is dropped; the peers notice when they are told, by etcd.
func (b *Bus) Close() {
	b.once.Do(func() {
		b.mu.Lock()
		b.closed = true
		for _, p := range b.list() {
			close(p.gone)
		}
		clear(b.peers)
		b.mu.Unlock()
		close(b.stop)
		if b.nats != nil {
			b.nats.Close()
		}
		b.ended.Wait()
		// The last call of Receive or OnReset has returned.
		b.deliver.Lock()
		defer b.deliver.Unlock()
	})
}
