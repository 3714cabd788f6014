package cluster

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"throng/store"
	"throng/tuning"
)

// Membership is this node's place in the cluster, in etcd.
//
// Two goroutines, each with connections of its own. One renews the lease and does nothing else:
// when a renewal waited behind data, a busy node would lose its guilds for being busy. The other
// watches the cluster's keys and makes a View of each change.
//
// While etcd is away nobody's lease is renewed, so after its time no node acts as an owner, and
// nobody can become one. When etcd is back, and it was not for too long, it has the leases still,
// and everything goes on as it was: same incarnations, same owners. The election of a leader is
// such a time too: by etcd's defaults it takes about as long as a lease, and half of that with an
// election timeout of 500 ms.
type Membership struct {
	// Static after construction.
	cfg        MembershipConfig
	log        *slog.Logger
	prefix     string
	leases     *clientv3.Client // For what keeps the lease.
	data       *clientv3.Client // For everything else.
	lease      *lease
	stop       context.CancelFunc
	stopped    context.Context
	running    sync.WaitGroup
	expelled   chan struct{} // Rung by the watching goroutine, heard by the renewing one.
	entered    chan struct{} // The other way round.
	resigned   chan struct{} // Rung by Resign.
	outdated   chan struct{} // Rung by Refresh.
	leaveOnce  sync.Once
	leaveError error

	// Owned by the renewing goroutine.
	id   clientv3.LeaseID
	ttl  time.Duration
	held bool // What LeaseChanged was told last.

	// Atomic: written by Resign, read by the renewing goroutine. When this node is fit again.
	fit atomic.Pointer[func() bool]

	// Owned by the watching goroutine.
	state *state

	// Atomic: written by the renewing goroutine, read by anyone.
	incarnation atomic.Uint64

	// Atomic: written by the watching goroutine, read by anyone.
	view atomic.Pointer[View]

	// Guarded by mu.
	mu   sync.Mutex
	self Node
}

// MembershipConfig says who joins which cluster.
type MembershipConfig struct {
	Etcd    EtcdConfig
	Cluster string // Its name; nodes of other clusters may use the same etcd.
	Self    Node   // This node's record. A weight of zero is store.RingWeight, -1 is none.

	// TTL is how long the others wait for a node that says nothing, in full seconds. Zero is
	// tuning.LeaseTTL. etcd may grant more: no less than one and a half of its elections.
	TTL time.Duration

	// Changed is called with each new View, and when this node has another incarnation, which it
	// is given too: by one goroutine, in their order; when it takes long it misses some. The first
	// call is before Join returns. It may be nil.
	Changed func(v *View, incarnation uint64)
	// LeaseChanged is called when this node's lease holds again, and when it does not any more,
	// by one goroutine. A greater incarnation means that the others took this node for gone, and
	// that it owns nothing of what it owned. It may be nil.
	LeaseChanged func(held bool, incarnation uint64)

	Log *slog.Logger // Nil for none.
}

// EtcdConfig says where etcd is and how to be let in.
type EtcdConfig struct {
	Endpoints []string // URLs or host:port.
	TLS       *tls.Config
	User      string
	Password  string
}

var (
	errNameTaken = errors.New("the cluster has a node of that name")
	errNotMember = errors.New("this node is not in the cluster at present")
	errLeft      = errors.New("this node has left the cluster")
)

// Join makes this node a member and returns when it is one and has a View with itself in it. As
// long as a record of its name is there, such as that of a process that was killed, it waits, for
// as long as ctx says.
func Join(ctx context.Context, cfg MembershipConfig) (*Membership, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	m := &Membership{
		cfg: cfg, log: cfg.Log, prefix: keyPrefix(cfg.Cluster), self: cfg.Self,
		lease: newLease(time.Now()), state: newState(keyPrefix(cfg.Cluster)),
		expelled: make(chan struct{}, 1), entered: make(chan struct{}, 1),
		resigned: make(chan struct{}, 1), outdated: make(chan struct{}, 1),
	}
	m.stopped, m.stop = context.WithCancel(context.Background())
	if m.leases, err = cfg.Etcd.client(ctx); err == nil {
		m.data, err = cfg.Etcd.client(ctx)
	}
	if err == nil {
		err = m.enter(ctx)
	}
	if err == nil {
		err = m.load(ctx)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("join the cluster: %w", err), m.Leave(ctx))
	}
	<-m.entered // The first View was made after that.
	m.running.Go(m.renew)
	m.running.Go(m.watch)
	return m, nil
}

func (c MembershipConfig) withDefaults() (MembershipConfig, error) {
	if c.TTL == 0 {
		c.TTL = tuning.LeaseTTL
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Changed == nil {
		c.Changed = func(*View, uint64) {}
	}
	if c.LeaseChanged == nil {
		c.LeaseChanged = func(bool, uint64) {}
	}
	switch {
	case len(c.Etcd.Endpoints) == 0:
		return c, errors.New("etcd: no endpoint")
	case !ValidName(c.Cluster):
		return c, fmt.Errorf("%q is no name of a cluster", c.Cluster)
	case !ValidName(c.Self.Name):
		return c, fmt.Errorf("%q is no name of a node", c.Self.Name)
	case c.TTL < time.Second || c.TTL%time.Second != 0:
		return c, fmt.Errorf("a lease of %v is not one of full seconds", c.TTL)
	}
	switch c.Self.Weight {
	case 0:
		c.Self.Weight = store.RingWeight
	case -1:
		c.Self.Weight = 0
	}
	return c, checkWeight(c.Self.Weight)
}

func checkWeight(weight int) error {
	if weight < 0 || weight > store.RingWeightMax {
		return fmt.Errorf("a weight of %d is not 0 to %d", weight, store.RingWeightMax)
	}
	return nil
}

// client makes a client of etcd with connections of its own.
func (c EtcdConfig) client(ctx context.Context) (*clientv3.Client, error) {
	return clientv3.New(clientv3.Config{
		Endpoints: c.Endpoints, TLS: c.TLS, Username: c.User, Password: c.Password,
		DialTimeout:       tuning.EtcdTimeout,
		DialKeepAliveTime: tuning.EtcdPingInterval, DialKeepAliveTimeout: tuning.EtcdTimeout,
		PermitWithoutStream: true,
		// The client logs every retry unless it has a logger that drops it. All of that is in the
		// errors as well; such a logger is had of it without another module to import.
		Logger: clientv3.NewCtxClient(ctx).GetLogger(),
	})
}

// View is the cluster as it was seen last. The node itself may not be in it any more.
func (m *Membership) View() *View { return m.view.Load() }

// Owning says whether this node's lease holds at a time, so that it may act as an owner. It reads
// one word; a shard may ask before each thing that it does.
func (m *Membership) Owning(now time.Time) bool { return m.lease.held(now) }

// LeaseLeft is how long the lease holds from a time on, if it is not renewed.
func (m *Membership) LeaseLeft(now time.Time) time.Duration { return m.lease.left(now) }

// Incarnation is this node's present one, or its last one while it has none.
func (m *Membership) Incarnation() uint64 { return m.incarnation.Load() }

func (m *Membership) nodeKey() string { return m.prefix + keyNodes + m.cfg.Self.Name }

// Leave takes this node out of the cluster at once: nobody waits for its lease. Afterwards it owns
// nothing. It returns nil also when etcd was not there to be told; the lease ends by itself then.
func (m *Membership) Leave(ctx context.Context) error {
	m.leaveOnce.Do(func() {
		m.stop()
		m.running.Wait()
		m.lease.end()
		if m.leases != nil {
			if m.id != 0 {
				ctx, cancel := context.WithTimeout(ctx, tuning.EtcdTimeout)
				_, err := m.leases.Revoke(ctx, m.id)
				cancel()
				if err != nil {
					m.log.Warn("cluster: the lease was not given back", "error", err)
				}
			}
			m.leaveError = m.leases.Close()
		}
		if m.data != nil {
			m.leaveError = errors.Join(m.leaveError, m.data.Close())
		}
	})
	return m.leaveError
}

// Resign gives the lease back, so that the others take over at once, and has this node join anew
// when fit says so. It is for a node that cannot do what an owner has to.
func (m *Membership) Resign(fit func() bool) {
	m.fit.Store(&fit)
	ringBell(m.resigned)
}

// Refresh has the cluster read whole, because another node is known to have a later view. That may
// be one that it has read whole itself, at a revision at which nothing of the cluster has changed,
// and of which no watch tells.
func (m *Membership) Refresh() { ringBell(m.outdated) }

// SetDeaf says whether this node hears the others.
func (m *Membership) SetDeaf(ctx context.Context, deaf bool) error {
	return m.setSelf(ctx, func(n *Node) { n.Deaf = deaf })
}

// SetDraining says whether the ring has this node in it.
func (m *Membership) SetDraining(ctx context.Context, draining bool) error {
	return m.setSelf(ctx, func(n *Node) { n.Draining = draining })
}

// SetWeight changes this node's share of the ring.
func (m *Membership) SetWeight(ctx context.Context, weight int) error {
	if err := checkWeight(weight); err != nil {
		return err
	}
	return m.setSelf(ctx, func(n *Node) { n.Weight = weight })
}

// setSelf changes this node's record. What it says stays said when the node has to join anew.
func (m *Membership) setSelf(ctx context.Context, change func(*Node)) error {
	m.mu.Lock()
	change(&m.self)
	record, err := json.Marshal(m.self)
	m.mu.Unlock()
	if err != nil {
		return err
	}
	key := m.nodeKey()
	created := clientv3.Compare(clientv3.CreateRevision(key), "=", int64(m.Incarnation()))
	return m.call(ctx, func(ctx context.Context) error {
		r, err := m.data.Txn(ctx).If(created).
			Then(clientv3.OpPut(key, string(record), clientv3.WithIgnoreLease())).Commit()
		if err == nil && !r.Succeeded {
			err = errNotMember
		}
		return err
	})
}

// Pin puts a guild on a node, whatever the ring says, for as long as that node is there and does
// not drain.
func (m *Membership) Pin(ctx context.Context, guild uint64, node string) error {
	if !ValidName(node) {
		return fmt.Errorf("%q is no name of a node", node)
	}
	if v := m.View(); v.Pins[guild] == "" && len(v.Pins) >= tuning.PinsMax {
		return fmt.Errorf("%d guilds are pinned, and no more may be", tuning.PinsMax)
	}
	return m.call(ctx, func(ctx context.Context) error {
		_, err := m.data.Put(ctx, m.pinKey(guild), node)
		return err
	})
}

// Unpin gives a guild back to the ring.
func (m *Membership) Unpin(ctx context.Context, guild uint64) error {
	return m.call(ctx, func(ctx context.Context) error {
		_, err := m.data.Delete(ctx, m.pinKey(guild))
		return err
	})
}

func (m *Membership) pinKey(guild uint64) string {
	return m.prefix + keyPins + strconv.FormatUint(guild, 10)
}

// SetConfig changes what all nodes share.
func (m *Membership) SetConfig(ctx context.Context, config []byte) error {
	if len(config) > tuning.SharedConfigBytesMax {
		return fmt.Errorf("a configuration of %d bytes is more than %d", len(config),
			tuning.SharedConfigBytesMax)
	}
	return m.call(ctx, func(ctx context.Context) error {
		_, err := m.data.Put(ctx, m.prefix+keyConfig, string(config))
		return err
	})
}

// call bounds a call of etcd in time.
func (m *Membership) call(ctx context.Context, f func(context.Context) error) error {
	if m.stopped.Err() != nil {
		return errLeft
	}
	ctx, cancel := context.WithTimeout(ctx, tuning.EtcdTimeout)
	defer cancel()
	return f(ctx)
}
