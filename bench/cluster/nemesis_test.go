package main

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"syscall"
	"testing"
	"time"
)

var (
	nemesisSpan = flag.Duration("nemesis", 0, "how long TestNemesis does harm; 0: not at all")
	raceNodes   = flag.Bool("race-nodes", false, "build the nodes with the race detector")
	nemesisSeed = flag.Uint64("nemesis-seed", 0, "what it does; 0: another each time")
)

// harm is one thing that is done to the cluster for a while, to node n if it is to a node.
type harm struct {
	name string
	root bool // It needs namespaces.
	do   func(c *testCluster, n int, span time.Duration)
}

// The clock of a process cannot be set back or forth without a library under it, and that of the
// machine is not a test's to set: a clock that jumps is the simulation's part. What a lease is
// taken by is the monotonic one, which does not jump. A disk that is slow is an engine that stands
// still, which is what its clients see of it.
var harms = []harm{
	{name: "kill -9", do: func(c *testCluster, n int, span time.Duration) {
		c.must(c.trio.kill(n))
		c.last(span)
		c.must(c.trio.start(c.ctx, n))
	}},
	{name: "SIGSTOP", do: func(c *testCluster, n int, span time.Duration) {
		c.must(c.trio.freeze(n, true))
		c.last(span)
		c.must(c.trio.freeze(n, false))
	}},
	{name: "partition", root: true, do: func(c *testCluster, n int, span time.Duration) {
		c.must(c.trio.places.cut(n, true))
		c.last(span)
		c.must(c.trio.places.cut(n, false))
	}},
	{name: "drain", do: func(c *testCluster, n int, span time.Duration) {
		c.must(drain(c.ctx, &bench{trio: c.trio}, n))
		c.must(c.trio.start(c.ctx, n))
	}},
	{name: "slow disk of nats-server", do: func(c *testCluster, _ int, span time.Duration) {
		c.stall(c.trio.nats, span)
	}},
	{name: "slow disk of etcd", do: func(c *testCluster, _ int, span time.Duration) {
		c.stall(c.trio.etcd, span)
	}},
	{name: "nats-server killed", do: func(c *testCluster, _ int, span time.Duration) {
		c.must(c.trio.nats.process.Stop())
		c.last(span / 4)
		c.must(c.trio.nats.start(c.ctx))
	}},
	{name: "etcd killed", do: func(c *testCluster, _ int, span time.Duration) {
		c.must(c.trio.etcd.process.Stop())
		c.last(span / 4)
		c.must(c.trio.etcd.start(c.ctx))
	}},
}

// last is for how long a harm lasts.
func (c *testCluster) last(span time.Duration) {
	select {
	case <-time.After(span):
	case <-c.ctx.Done():
	}
}

func (c *testCluster) stall(e *engine, span time.Duration) {
	c.must(e.process.Signal(syscall.SIGSTOP))
	c.last(span / 4)
	c.must(e.process.Signal(syscall.SIGCONT))
}

// TestNemesis does harm at random, and checks after each that everything is heard again and that
// what was heard is as the model has it. It needs -nemesis, and root for partitions.
func TestNemesis(t *testing.T) {
	if *nemesisSpan == 0 {
		t.Skip("-nemesis 5m")
	}
	seed := *nemesisSeed
	for seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("-nemesis-seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	root := os.Getuid() == 0
	c := newTestCluster(t, *nemesisSpan+testTimeout, root)
	began := time.Now()
	for round := 0; time.Since(began) < *nemesisSpan; round++ {
		h, node := harms[random.IntN(len(harms))], random.IntN(nodesCount)
		span := time.Duration(random.Int64N(int64(6 * time.Second)))
		if h.root && !root {
			continue
		}
		what := fmt.Sprintf("round %d, %s, node %d, %v", round, h.name, node,
			span.Round(time.Millisecond))
		t.Logf("%6.1f s  %s", time.Since(began).Seconds(), what)
		h.do(c, node, span)
		c.whole(what)
	}
}
