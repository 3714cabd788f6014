package node

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"throng/node/auth"
	"throng/node/cluster/replica"
	"throng/node/push"
	"throng/node/tracing"
	"throng/store"
	"throng/store/disk"
	"throng/tuning"
	"throng/wire"
)

// Node is one running host.
type Node struct {
	// Static after construction.
	cfg     Config
	log     *slog.Logger
	core    *core
	engine  *engine
	workers *workers
	keeper  *keeper
	dir     *heldDirectory
	replica *replica.Directory // Nil for a node that is alone.
	began   time.Time
	panel   panel
	opened  func(door, address string) // is told of each door but the gateway; nil: nobody
	drained chan struct{}              // closed when the engine may stop
	left    chan struct{}              // closed when another process has taken over

	// Set by New, and owned by Run. Nil: there is no process to take over from.
	inherited *inheritance

	// Set by Run before anything else runs, or while it ends.
	flight *flight
	pushes *push.Pipeline // nil: pushes go nowhere
	others *clustered     // nil: the node is alone
	away   *forwarder     // nil: the same
	endBy  time.Time      // the end of a drain

	// Atomic: written once by Drain, read by the doors.
	state atomic.Int32

	// Atomic: written by Run.
	doors atomic.Pointer[doors]

	// leaving is held by whoever ends what the node does: a drain, or a takeover.
	leaving sync.Mutex

	// Guarded by leaving: the process that has taken over.
	heir *successor

	// Guarded by parting: whether endAsked is closed, by Run when the node is to end, and whether
	// the sessions have become another process's. Which comes first decides who ends.
	parting  sync.Mutex
	endAsked chan struct{}
	parted   bool

	drainOnce sync.Once
	drainNow  chan struct{}
	abort     chan struct{}
	abortOnce sync.Once
}

// States of a node.
const (
	stateStarting = iota
	stateReady
	stateDraining
)

var stateNames = [...]string{"starting", "ready", "draining"}

// New checks the configuration and opens the store. Nothing is listened to yet.
func New(cfg Config, log *slog.Logger) (*Node, error) {
	var from *inheritance
	if cfg.Inherits > 0 {
		var err error
		if from, err = openInheritance(cfg.Inherits); err != nil {
			return nil, err
		}
		cfg.Loops = cmp.Or(cfg.Loops, from.loops())
	}
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	n := &Node{
		cfg: cfg, log: log, began: time.Now(), inherited: from, left: make(chan struct{}),
		drained: make(chan struct{}), drainNow: make(chan struct{}), abort: make(chan struct{}),
		endAsked: make(chan struct{}),
	}
	dir, err := n.openDirectory()
	if err != nil {
		return nil, err
	}
	n.dir = &heldDirectory{dir}
	c := newCore(settingsOf(cfg), log, n.dir)
	n.core = c
	c.stalls.limit.Store(int64(cfg.StallLimit))
	c.clock = func() int64 { return time.Since(n.began).Milliseconds() + 1 }
	c.calendar = newCalendar(func() int64 { return time.Now().UnixMilli() }, c.clock)
	c.wall = c.calendar.now
	c.random = func(b []byte) { _, _ = rand.Read(b) }
	c.giveUp = func() { os.Exit(1) }
	c.heapMost.Store(int64(cfg.MemoryLimit))
	c.readMemory = c.memoryUse()
	voiceKey := make([]byte, voiceKeyBytes)
	c.random(voiceKey)
	c.useVoice(voiceKey)
	if c.authenticate, err = authenticator(cfg, n.dir, log); err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	n.workers, n.keeper = newWorkers(c, tuning.WorkerQueueMax), newKeeper(c, tuning.KeeperQueueMax)
	c.submit, c.keep, c.keepFull = n.workers.submit, n.keeper.keep, n.keeper.full
	if n.engine, err = newEngine(c, cfg); err != nil {
		return nil, errors.Join(fmt.Errorf("-tls-cert: %w", err), dir.Close())
	}
	for i := range cfg.Loops {
		c.loops = append(c.loops, n.engine.addLoop(i, cfg))
	}
	if from != nil {
		if err := from.suits(n); err != nil {
			return nil, errors.Join(err, dir.Close())
		}
	}
	if cfg.OTLP == "" {
		return n, nil
	}
	if c.tracer, err = tracing.New(cfg.OTLP, c.limits.node, cfg.Version); err != nil {
		return nil, errors.Join(fmt.Errorf("-otlp: %w", err), dir.Close())
	}
	for _, l := range c.loops {
		l.follow(c.tracer)
	}
	return n, nil
}

// openDirectory opens the node's own store, and over it the directory that follows the cluster's
// log, if there is a cluster.
func (n *Node) openDirectory() (store.Directory, error) {
	if n.inherited != nil && !n.cfg.InMemory {
		return noDirectory(), nil
	}
	own, err := n.openOwn()
	if err != nil || !n.cfg.many() {
		return own, err
	}
	dir, err := replica.Open(replica.Config{
		Node: n.cfg.Node, Store: own, OnApplied: n.applied, Log: n.log,
	})
	if err != nil {
		err = fmt.Errorf("-data: %w", adviseImport(n.cfg.Data, err))
		return nil, errors.Join(err, own.Close())
	}
	n.replica = dir
	return dir, nil
}

// openOwn opens the node's own store.
func (n *Node) openOwn() (store.Replica, error) {
	if n.cfg.InMemory {
		return store.NewMemory(), nil
	}
	dir, err := disk.Open(n.cfg.Data)
	if err != nil {
		return nil, fmt.Errorf("-data: %w", err)
	}
	return dir, nil
}

// applied follows what the directory has applied, whichever node has changed it.
func (n *Node) applied(a *replica.Applied) {
	var known []*store.User
	n.core.userPuts.Add(1)
	for _, u := range a.Users {
		// Who nobody here has asked for is read when somebody does; see core.user.
		if n.core.users.Get(u.New.ID) != nil {
			known = append(known, u.New)
		}
	}
	n.core.usersReplaced(known)
	for _, j := range a.Joined {
		users := make([]wire.Snowflake, len(j.Users))
		for i, user := range j.Users {
			users[i] = wire.Snowflake(user)
		}
		n.core.membersJoined(wire.Snowflake(j.Guild), users)
	}
}

// authenticator is how tokens are checked: looked up in the directory, or verified.
func authenticator(cfg Config, dir store.Directory, log *slog.Logger) (
	func(string) (wire.Snowflake, error), error) {
	if cfg.Auth == AuthTokens {
		return func(token string) (wire.Snowflake, error) {
			id, err := dir.TokenUser(token)
			return wire.Snowflake(id), err
		}, nil
	}
	verifier, err := auth.New(auth.ModeJWT, cfg.AuthKey)
	if err != nil {
		return nil, err
	}
	// The node may serve while its issuer is away, since the next token asks again; but somebody
	// should know.
	if err := verifier.Warm(context.Background()); err != nil {
		log.Warn("-auth-key: tokens cannot be checked now", "error", err)
	}
	return func(token string) (wire.Snowflake, error) {
		user, err := verifier.User(context.Background(), token)
		if errors.Is(err, auth.ErrInvalid) {
			return 0, nil
		}
		return user, err
	}, nil
}

// Run serves until ctx ends and the node has drained. It returns nil after a drain, and an error
// that names the flag at fault when it cannot start.
func (n *Node) Run(ctx context.Context) error {
	defer n.close()
	doors, wakes, err := n.prepare()
	if err != nil {
		return err
	}
	stop := make(chan struct{})
	var owners, keepers sync.WaitGroup
	n.startOwners(wakes, stop, &owners)
	// The keeper stops last: the others may still have something to keep.
	stopKeeper := make(chan struct{})
	keepers.Go(func() { n.keeper.run(stopKeeper) })
	defer func() {
		close(stop)
		owners.Wait()
		n.stopPushes()
		close(stopKeeper)
		keepers.Wait()
	}()

	defer doors.close()
	if n.cfg.many() {
		if n.others, err = n.joinCluster(ctx, doors); err != nil {
			return err
		}
		defer n.others.leave()
	}
	if n.cfg.Demo && n.inherited == nil {
		if err := n.setUpDemo(ctx, doors); err != nil {
			return err
		}
	}
	failed := make(chan error, 4)
	go func() {
		err := n.engine.run(n.cfg, n.drained)
		if err != nil {
			err = fmt.Errorf("-listen: %w", err)
		}
		failed <- err
	}()
	doors.serve(failed)
	n.doors.Store(doors)
	n.state.CompareAndSwap(stateStarting, stateReady)

	select {
	case <-ctx.Done():
		n.askEnd()
	case <-n.drainNow:
		n.askEnd()
	case <-n.left:
	case <-n.abort:
		return nil
	case err := <-failed:
		if err == nil {
			err = errors.New("the gateway ended by itself")
		}
		return err
	}
	n.end()
	close(n.drained)
	select {
	case <-failed:
	case <-n.abort:
	}
	return nil
}

// prepare does what comes before anything runs, a takeover among it.
func (n *Node) prepare() (d *doors, wakes []chan struct{}, err error) {
	if err := n.startFlight(); err != nil {
		return nil, nil, err
	}
	if err := n.startPushes(); err != nil {
		return nil, nil, err
	}
	wakes = n.makeShards()
	d, err = n.openDoors()
	if err == nil && n.inherited != nil {
		if err = n.inherited.take(n); err != nil {
			d.close()
		}
	}
	if err != nil {
		n.stopPushes()
	}
	return d, wakes, err
}

// end drains, or, when another process has taken over, sends everybody there, which drains itself
// when that was asked of this one before.
func (n *Node) end() {
	n.leaving.Lock()
	defer n.leaving.Unlock()
	select {
	case <-n.left:
		n.bequeathEnd()
		n.depart()
	default:
		n.drain()
	}
}

// close gives back what New and Run have opened.
func (n *Node) close() {
	n.flight.stop()
	ending, cancel := context.WithTimeout(context.Background(), tuning.TraceTimeout)
	defer cancel()
	n.core.tracer.Close(ending)
	_ = n.core.dir.Close()
	if n.others != nil && n.others.log != nil {
		n.others.log.Close()
	}
}

// bell is a doorbell and what rings it: rung while it rings it rings once.
func bell() (wake chan struct{}, ring func()) {
	wake = make(chan struct{}, 1)
	return wake, func() {
		select {
		case wake <- struct{}{}:
		default:
		}
	}
}

// makeShards makes the shards, and what wakes each of them.
func (n *Node) makeShards() (wakes []chan struct{}) {
	for i := range n.cfg.Loops {
		wake, ring := bell()
		wakes = append(wakes, wake)
		n.core.shards = append(n.core.shards, newShard(n.core, i, ring))
	}
	n.core.placeGuilds()
	n.setDials()
	return wakes
}

// startOwners starts the shards, the courier and the workers.
func (n *Node) startOwners(wakes []chan struct{}, stop <-chan struct{}, owners *sync.WaitGroup) {
	for i, s := range n.core.shards {
		owners.Go(func() { s.run(wakes[i], stop) })
	}
	wake, ring := bell()
	n.core.courier.ring = ring
	owners.Go(func() { n.core.courier.run(wake, stop) })
	owners.Go(func() { trim(stop) })
	owners.Go(func() { newMemoryGuard(n.core).run(stop) })
	owners.Go(func() {
		<-stop
		n.core.tunnels.close()
	})
	owners.Go(func() { n.tickShards(stop) })
	if n.engine.certificates != nil {
		owners.Go(func() { n.watchCertificates(stop) })
	}
	owners.Go(func() { newWatchdog(n.core, n.flight).run(stop) })
	for range n.cfg.Loops * tuning.WorkersPerProc {
		owners.Go(func() { n.workers.work(stop) })
	}
}

// run is a shard's goroutine.
func (s *shard) run(wake, stop <-chan struct{}) {
	s.stats.label()
	for {
		if s.pass() {
			continue
		}
		select {
		case <-wake:
		case <-stop:
			return
		}
	}
}

// Inherit has the gateway accept on what another process's Listeners returned, in place of -listen.
// It is to be called before Run.
func (n *Node) Inherit(listeners []*os.File) error { return n.engine.gate.inherit(listeners) }

// Listeners are duplicates of the gateway's listeners, for another process.
func (n *Node) Listeners() ([]*os.File, error) { return n.engine.gate.files() }

// Abort ends the node now: Run returns without a drain.
func (n *Node) Abort() { n.abortOnce.Do(func() { close(n.abort) }) }
