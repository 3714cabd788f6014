package main

import (
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	testGuilds = 12
	testPeriod = 100 * time.Millisecond
	// testTimeout is for a machine that does much else; it takes a third of a minute.
	testTimeout = 5 * time.Minute
)

// testCluster is three nodes with real engines, as processes, under load.
type testCluster struct {
	*testing.T
	ctx  context.Context
	trio *trio
	load *load
}

func newTestCluster(t *testing.T, timeout time.Duration, namespaces bool) *testCluster {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	t.Cleanup(cancel)
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		t.Fatal(err)
	}
	c, folder := &testCluster{T: t, ctx: ctx}, t.TempDir()
	c.must(build(ctx, filepath.Dir(strings.TrimSpace(string(out))), folder, *raceNodes))
	c.trio, err = startTrio(ctx, folder, namespaces)
	t.Cleanup(c.trio.stop)
	c.must(err)
	c.must(provision(ctx, c.trio, testGuilds))
	c.load, err = startLoad(ctx, c.trio, testGuilds, testPeriod)
	t.Cleanup(c.load.end)
	c.must(err)
	return c
}

func (c *testCluster) must(err error) {
	c.Helper()
	if err != nil {
		if first := c.load; first != nil && first.firstError.Load() != nil {
			c.Logf("the first event that was not taken: %v", *first.firstError.Load())
		}
		c.Fatal(err)
	}
}

// owned are the guilds of a node; it is a failure when there are none.
func (c *testCluster) owned(node int) []int {
	c.Helper()
	guilds, err := (&bench{trio: c.trio, load: c.load}).owned(c.ctx, node)
	c.must(err)
	if len(guilds) == 0 {
		c.Fatalf("node %d owns no guild", node)
	}
	return guilds
}

// serveElsewhere waits until guilds are heard at all nodes but one.
func (c *testCluster) serveElsewhere(guilds []int, but int) {
	c.Helper()
	var nodes []int
	for _, n := range allNodes {
		if n != but {
			nodes = append(nodes, n)
		}
	}
	began := time.Now()
	c.must(until(c.ctx, "service elsewhere", func() error {
		return c.load.silent(guilds, nodes, began)
	}))
}

// whole waits until all nodes are members and every session hears every guild, and looks at what
// has been heard so far.
func (c *testCluster) whole(after string) {
	c.Helper()
	c.must(c.trio.whole(c.ctx))
	c.must(c.load.settled(c.ctx))
	f := c.load.model.take()
	if f.sum() > 0 {
		c.Fatalf("%s: %d lost, %d doubled, %d reordered, %d outages told:\n%s", after, f.lost,
			f.doubled, f.reordered, f.outages, strings.Join(f.words, "\n"))
	}
}

// allTaken has all doors take events of a guild while f runs. None may be refused.
func (c *testCluster) allTaken(guild int, f func()) {
	c.Helper()
	var posting sync.WaitGroup
	ended := make(chan struct{})
	defer posting.Wait()
	defer close(ended)
	for door := range doorsCount {
		posting.Go(func() {
			count, longest := 0, time.Duration(0)
			for pause := time.NewTicker(testPeriod / 20); ; count++ {
				select {
				case <-pause.C:
				case <-ended:
					c.Logf("door %d: %d events, taken after %v at most", door, count, longest)
					return
				}
				began := time.Now()
				err := c.load.postAt(c.ctx, guild, door, []byte(`{"t":"NOT_TIMED","d":{}}`))
				longest = max(longest, time.Since(began))
				if err != nil {
					c.Errorf("door %d: %v", door, err)
				}
			}
		})
	}
	f()
}

// TestThreeNodes takes each node away once, in another way, while events come through every door.
func TestThreeNodes(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and runs five processes")
	}
	c := newTestCluster(t, testTimeout, false)
	c.whole("start")
	for door := range c.load.closed {
		if c.load.takenAt[door].Load() == 0 {
			t.Errorf("nothing was taken at door %d", door)
		}
	}

	killed := c.owned(0)
	c.must(c.trio.kill(0))
	c.serveElsewhere(killed, 0)
	c.must(c.trio.start(c.ctx, 0))
	c.whole("kill")

	stopped := c.owned(1)
	c.must(c.trio.freeze(1, true))
	c.serveElsewhere(stopped, 1)
	c.must(c.trio.freeze(1, false))
	c.whole("stop")

	if cuts := c.load.model.cutsOf([]int{2}); cuts > 0 {
		t.Errorf("%d sessions of a node that nothing was done to were cut", cuts)
	}

	moved := c.owned(2)[0]
	c.allTaken(moved, func() {
		for _, to := range []int{0, 1, 2, 0} {
			c.must(c.trio.members[1].process().Move(c.ctx, moved, c.trio.members[to].name))
			c.serveElsewhere([]int{moved}, -1)
		}
	})
	c.whole("move")

	drained := c.owned(2)
	c.must(drain(c.ctx, &bench{trio: c.trio}, 2))
	c.serveElsewhere(drained, 2)
	c.must(c.trio.start(c.ctx, 2))
	c.whole("drain")
	for _, m := range c.trio.members {
		c.must(m.process().Check(c.ctx))
	}
}
