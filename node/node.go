package node

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"throng/node/api"
	"throng/node/auth"
	"throng/node/push"
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
	began   time.Time
	drained chan struct{} // closed when the engine may stop

	// Set by Run before anything else runs, or while it ends.
	pushes *push.Pipeline // nil: pushes go nowhere
	endBy  time.Time      // the end of a drain

	// Atomic: written once by Drain, read by the doors.
	state atomic.Int32

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
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	dir, err := openDirectory(cfg)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	c := newCore(settingsOf(cfg), log, dir)
	c.clock = func() int64 { return time.Since(began).Milliseconds() + 1 }
	c.wall = func() int64 { return time.Now().UnixMilli() }
	c.random = func(b []byte) { _, _ = rand.Read(b) }
	c.giveUp = func() { os.Exit(1) }
	voiceKey := make([]byte, voiceKeyBytes)
	c.random(voiceKey)
	c.useVoice(voiceKey)
	if c.authenticate, err = authenticator(cfg, dir, log); err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	n := &Node{
		cfg: cfg, log: log, core: c, began: began,
		workers: newWorkers(c, tuning.WorkerQueueMax), keeper: newKeeper(c, tuning.KeeperQueueMax),
		drained: make(chan struct{}), drainNow: make(chan struct{}), abort: make(chan struct{}),
	}
	c.submit, c.keep, c.keepFull = n.workers.submit, n.keeper.keep, n.keeper.full
	n.engine = newEngine(c, cfg.Listen)
	for i := range cfg.Loops {
		c.loops = append(c.loops, n.engine.addLoop(i))
	}
	return n, nil
}

func openDirectory(cfg Config) (store.Directory, error) {
	if cfg.InMemory {
		return store.NewMemory(), nil
	}
	dir, err := disk.Open(cfg.Data)
	if err != nil {
		return nil, fmt.Errorf("-data: %w", err)
	}
	return dir, nil
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
	defer n.core.dir.Close()
	if err := n.startPushes(); err != nil {
		return err
	}
	stop := make(chan struct{})
	var owners, keepers sync.WaitGroup
	n.startOwners(stop, &owners, &keepers)
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

	doors, err := n.openDoors()
	if err != nil {
		return err
	}
	defer doors.close()
	if n.cfg.Demo {
		if err := n.setUpDemo(ctx, doors); err != nil {
			return err
		}
	}
	failed := make(chan error, 3)
	go func() {
		err := n.engine.run(n.cfg, n.drained)
		if err != nil {
			err = fmt.Errorf("-listen: %w", err)
		}
		failed <- err
	}()
	doors.serve(failed)
	n.state.CompareAndSwap(stateStarting, stateReady)

	select {
	case <-ctx.Done():
	case <-n.drainNow:
	case <-n.abort:
		return nil
	case err := <-failed:
		if err == nil {
			err = errors.New("the gateway ended by itself")
		}
		return err
	}
	n.drain()
	close(n.drained)
	select {
	case <-failed:
	case <-n.abort:
	}
	return nil
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

// startOwners starts the shards, the courier and the workers.
func (n *Node) startOwners(stop <-chan struct{}, owners, _ *sync.WaitGroup) {
	var wakes []chan struct{}
	for i := range n.cfg.Loops {
		wake, ring := bell()
		wakes = append(wakes, wake)
		n.core.shards = append(n.core.shards, newShard(n.core, i, ring))
	}
	n.core.placeGuilds()
	for i, s := range n.core.shards {
		owners.Go(func() { s.run(wakes[i], stop) })
	}
	wake, ring := bell()
	n.core.courier.ring = ring
	owners.Go(func() { n.core.courier.run(wake, stop) })
	owners.Go(func() { trim(stop) })
	owners.Go(func() { n.tickShards(stop) })
	for range n.cfg.Loops * tuning.WorkersPerProc {
		owners.Go(func() { n.workers.work(stop) })
	}
}

// run is a shard's goroutine.
func (s *shard) run(wake, stop <-chan struct{}) {
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

// Abort ends the node now: Run returns without a drain.
func (n *Node) Abort() { n.abortOnce.Do(func() { close(n.abort) }) }

// doors are the three listeners with what serves the two of HTTP.
type doors struct {
	log     *slog.Logger
	release func()
	gateway string
	client  *capped
	admin   *capped
	servers [2]*http.Server
}

// openDoors takes the three addresses, so that a start fails before anything is served.
func (n *Node) openDoors() (*doors, error) {
	d := &doors{log: n.log}
	var err error
	if d.gateway, d.release, err = claim(n.cfg.Listen); err != nil {
		return nil, fmt.Errorf("-listen: %w", err)
	}
	n.engine.address = d.gateway
	// The backend and the operator get in when clients use all of theirs.
	admin := n.cfg.APIConnections / 2
	if d.client, err = listenCapped(n.cfg.API, n.cfg.APIConnections-admin); err != nil {
		return nil, fmt.Errorf("-api: %w", err)
	}
	if d.admin, err = listenCapped(n.cfg.Admin, admin); err != nil {
		return nil, fmt.Errorf("-admin: %w", err)
	}
	_, port, _ := net.SplitHostPort(d.gateway)
	number, _ := net.LookupPort("tcp", port)
	c := api.Config{
		AdminToken: n.cfg.AdminToken, Metrics: n.metrics(), Log: n.log,
		GatewayURL: n.cfg.PublicURL, GatewayPort: number,
		Limits: api.Limits{
			Guild: n.bodyMax(tuning.GuildBodyBytesMax),
			Event: n.bodyMax(tuning.EventBodyBytesMax),
		},
		Panicked: func() { n.core.panics.Add(1) },
	}
	d.servers[0] = api.NewServer(api.Client(n, c), c)
	d.servers[1] = api.NewServer(api.Admin(n, c), c)
	d.servers[0].ConnState, d.servers[1].ConnState = d.client.follow, d.admin.follow
	return d, nil
}

// bodyMax is a limit on a request's body, less when the journal could not hold what becomes of it.
func (n *Node) bodyMax(most int64) int64 {
	const framesPerJournal = 8 // Half of it is shared, a frame is half of that, ETF doubles a body.
	return min(most, int64(n.cfg.Journal)/framesPerJournal)
}

func (d *doors) serve(failed chan<- error) {
	for i, l := range []*capped{d.client, d.admin} {
		name := [...]string{"api", "admin"}[i]
		d.log.Info("listening", "door", name, "addr", l.Addr().String())
		go func() {
			if err := d.servers[i].Serve(l); !errors.Is(err, http.ErrServerClosed) {
				failed <- fmt.Errorf("-%s: %w", name, err)
			}
		}()
	}
}

func (d *doors) close() {
	for _, s := range d.servers {
		_ = s.Close()
	}
	_ = d.client.Close()
	_ = d.admin.Close()
	d.release()
}

// nodeName is what the node calls itself: the host's name, until a cluster gives it one.
func nodeName() string {
	name, err := os.Hostname()
	if err != nil || name == "" {
		return "throng"
	}
	name, _, _ = strings.Cut(name, ".")
	return name
}
