package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"throng/bench/internal/server"
)

// nodesCount nodes are the least that outvote one that is lost.
const nodesCount = 3

// adminToken opens the admin doors, which are beyond loopback when a node is in a namespace.
const adminToken = "bench"

// trio is three nodes and their engines, all on this machine.
type trio struct {
	// Static after construction.
	folder  string // Of the programs and of what engines keep.
	places  *places
	members []*member
	etcd    *engine
	nats    *engine
}

// member is a node's name and place, and its process if there is one.
type member struct {
	// Static after construction.
	name  string
	place place

	// Guarded by mu.
	mu   sync.Mutex
	node *server.Throng
}

// engine is etcd or nats-server, which comes back at its address.
type engine struct {
	program string
	kind    string
	args    []string
	process *server.Engine
}

// build compiles both programs into a folder, the node with the race detector if that is wanted.
func build(ctx context.Context, root, folder string, race bool) error {
	compile := server.Build
	if race {
		compile = server.BuildRace
	}
	if err := compile(ctx, root, ".", filepath.Join(folder, "throng")); err != nil {
		return err
	}
	return buildEngines(ctx, root, folder)
}

func buildEngines(ctx context.Context, root, folder string) error {
	return server.Build(ctx, filepath.Join(root, "node", "cluster", "engines"), ".",
		filepath.Join(folder, "engines"))
}

// startTrio starts engines and nodes. Whoever calls it calls stop, whether it failed or not.
func startTrio(ctx context.Context, folder string, namespaces bool) (t *trio, err error) {
	t = &trio{folder: folder}
	if t.places, err = makePlaces(nodesCount, namespaces); err != nil {
		return t, err
	}
	// etcd's leases are no shorter than one and a half elections.
	t.etcd = t.engine("etcd", "-election", "500", "-heartbeat", "50", "-peer",
		freeAddress("127.0.0.1"))
	t.nats = t.engine("nats")
	for _, e := range []*engine{t.etcd, t.nats} {
		if err := e.start(ctx); err != nil {
			return t, err
		}
	}
	for i := range nodesCount {
		t.members = append(t.members, &member{name: string(rune('a' + i)),
			place: t.places.nodes[i]})
	}
	for i := range t.members {
		if err := t.start(ctx, i); err != nil {
			return t, err
		}
	}
	return t, t.whole(ctx)
}

func (t *trio) engine(kind string, args ...string) *engine {
	return &engine{program: filepath.Join(t.folder, "engines"), kind: kind, args: append([]string{
		"-data", filepath.Join(t.folder, "data-"+kind), "-client",
		freeAddress(t.places.engines)}, args...)}
}

func (e *engine) start(ctx context.Context) (err error) {
	e.process, err = server.StartEngine(ctx, e.program, e.kind, e.args...)
	return err
}

// freeAddress is an address that nobody listens at, outside of the ports that the kernel gives to
// outgoing connections: an engine must be able to come back to it.
func freeAddress(host string) string {
	const portMin, portMax = 20_000, 32_000
	for {
		address := net.JoinHostPort(host, strconv.Itoa(portMin+rand.IntN(portMax-portMin)))
		if l, err := net.Listen("tcp", address); err == nil {
			_ = l.Close()
			return address
		}
	}
}

// start starts a node and waits until it serves.
func (t *trio) start(ctx context.Context, i int, flags ...string) error {
	m := t.members[i]
	door := net.JoinHostPort(m.place.door, "0")
	n, err := server.StartThrongIn(ctx, m.place.namespace, adminToken,
		filepath.Join(t.folder, "throng"), append(flags,
			"-listen", door, "-api", door, "-admin", door, "-node", m.name, "-cluster", "bench",
			"-etcd", t.etcd.process.Client, "-nats", t.nats.process.Client,
			"-advertise", m.place.cluster, "-nats-replicas", "1",
			"-drain-grace", "100ms", "-drain-spread", "1s")...)
	if err != nil {
		return fmt.Errorf("node %s: %w", m.name, err)
	}
	m.mu.Lock()
	m.node = n
	m.mu.Unlock()
	return nil
}

// process is the node, or nil while there is none.
func (m *member) process() *server.Throng {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.node
}

// kill ends a node as kill -9 does.
func (t *trio) kill(i int) error { return t.members[i].process().Stop() }

// freeze stops a node where it is, or lets it go on.
func (t *trio) freeze(i int, frozen bool) error {
	if frozen {
		return t.members[i].process().Signal(syscall.SIGSTOP)
	}
	return t.members[i].process().Signal(syscall.SIGCONT)
}

// whole waits until every node sees all of them as members that own.
func (t *trio) whole(ctx context.Context) error {
	return until(ctx, "a cluster of three", func() error {
		for _, m := range t.members {
			c, err := m.process().Cluster(ctx)
			if err != nil {
				return err
			}
			ready := 0
			for _, n := range c.Nodes {
				if !n.Draining && n.Error == "" {
					ready++
				}
			}
			if ready != nodesCount {
				return fmt.Errorf("%s sees %d of %d", m.name, ready, nodesCount)
			}
		}
		return nil
	})
}

// stop ends all processes and removes all namespaces.
func (t *trio) stop() {
	for _, m := range t.members {
		if n := m.process(); n != nil {
			_ = n.Stop()
		}
	}
	for _, e := range []*engine{t.nats, t.etcd} {
		if e != nil && e.process != nil {
			_ = e.process.Stop()
		}
	}
	if t.places != nil {
		t.places.remove()
	}
	for _, kind := range []string{"etcd", "nats"} {
		_ = os.RemoveAll(filepath.Join(t.folder, "data-"+kind))
	}
}

const (
	// untilTimeout is for a machine that does much else.
	untilTimeout = time.Minute
	untilPoll    = 10 * time.Millisecond
)

// until waits until done finds nothing wrong.
func until(ctx context.Context, what string, done func() error) error {
	for end := time.Now().Add(untilTimeout); ; {
		err := done()
		if err == nil {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("no %s after %v: %w", what, untilTimeout, err)
		}
		select {
		case <-time.After(untilPoll):
		case <-ctx.Done():
			return fmt.Errorf("no %s: %w", what, err)
		}
	}
}
