package replica

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"throng/node/cluster"
	"throng/node/cluster/enginetest"
	"throng/store"
	"throng/store/disk"
)

func TestMain(m *testing.M) { os.Exit(enginetest.Main(m)) }

// needEngines is asked by each test that starts real servers.
func needEngines(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("starts real servers")
	}
	enginetest.Parallel(t)
}

// realNode is a node on real servers.
type realNode struct {
	*Directory
	log *cluster.Log
}

// realLimits are small but for the times, which servers that are killed need.
func realLimits() limits {
	l := smallLimits
	l.applyTimeout, l.syncTimeout = defaultLimits.applyTimeout, defaultLimits.syncTimeout
	return l
}

func startReal(t testing.TB, name string, s store.Replica, replicas int, servers string) *realNode {
	t.Helper()
	return startRealWith(t, realLimits(), name, s, replicas, servers)
}

func startRealWith(t testing.TB, limits limits, name string, s store.Replica, replicas int,
	servers string) *realNode {
	t.Helper()
	d, err := Open(Config{Node: name, Store: s, OnApplied: func(*Applied) {}})
	must(t, err)
	d.limits = limits
	log, err := cluster.OpenLog(patient(t), cluster.LogConfig{
		NATS: cluster.NATSConfig{Servers: servers}, Cluster: "test", Replicas: replicas,
		From: d.Applied(), Apply: d.Take,
	})
	must(t, err)
	must(t, d.Start(log, log.Identity()))
	r := &realNode{d, log}
	t.Cleanup(r.end)
	return r
}

func (r *realNode) end() {
	_ = r.Close()
	r.log.Close()
}

func openDisk(t testing.TB, folder string) store.Replica {
	t.Helper()
	s, err := disk.Open(folder)
	must(t, err)
	return s
}

// insist applies ops until they are done.
func (r *realNode) insist(t *testing.T, ops []store.Op) {
	t.Helper()
	for range 100 {
		err := r.Apply(ops)
		if err == nil {
			return
		}
		if !errors.Is(err, cluster.ErrLogUnknown) && !errors.Is(err, ErrUnavailable) &&
			!errors.Is(err, ErrNotApplied) {
			t.Fatal(err)
		}
	}
	t.Fatal("the log takes nothing any more")
}

// TestOnJetStream: servers are killed while a node writes. What it was told is done is there: on a
// node that follows, on one that restarts on its disk and on one that begins.
func TestOnJetStream(t *testing.T) {
	t.Parallel()
	for _, count := range []int{1, 3} {
		t.Run(fmt.Sprint(count), func(t *testing.T) {
			needEngines(t)
			servers := []*enginetest.Engine{}
			if count == 1 {
				servers = append(servers, enginetest.NATS(t))
			} else {
				servers = enginetest.NATSCluster(t, count)
			}
			addresses := strings.Join(enginetest.Addresses(servers), ",")
			folder, plain := t.TempDir(), store.NewMemory()
			a := startReal(t, "a", openDisk(t, folder), count, addresses)
			b := startReal(t, "b", store.NewMemory(), count, addresses)
			must(t, a.Join(patient(t), 1))
			w := &world{t: t, random: rand.New(rand.NewPCG(7, 7)), plain: plain,
				owners: map[uint64]int{}}
			for round := range 4 {
				for range 25 {
					ops := w.batch(0)
					a.insist(t, ops)
					must(t, plain.Apply(ops))
				}
				if round < 3 {
					server := servers[round%count]
					server.Kill()
					if count > 1 {
						ops := w.batch(0)
						a.insist(t, ops)
						must(t, plain.Apply(ops))
					}
					server.Start()
				}
			}
			same(t, "a", a.Directory, plain)
			must(t, b.Sync(patient(t)))
			same(t, "b, which follows,", b.Directory, plain)
			a.end()
			must(t, b.Seal(patient(t), "a", 1))
			must(t, b.Join(patient(t), 1))
			ops := w.batch(0)
			b.insist(t, ops)
			must(t, plain.Apply(ops))
			a = startReal(t, "a", openDisk(t, folder), count, addresses)
			must(t, a.Join(patient(t), 2))
			same(t, "a on its disk", a.Directory, plain)
			c := startReal(t, "c", store.NewMemory(), count, addresses)
			must(t, c.Sync(patient(t)))
			same(t, "c, which begins,", c.Directory, plain)
		})
	}
}

// TestOnJetStreamFenced: a node hears no answers, is declared gone, and another goes on with its
// guild. Nothing that it sends is stored any more.
func TestOnJetStreamFenced(t *testing.T) {
	needEngines(t)
	server := enginetest.NATS(t)
	proxy := enginetest.NewProxy(t, server.Host())
	a := startReal(t, "a", store.NewMemory(), 1, "nats://"+proxy.Address())
	b := startReal(t, "b", store.NewMemory(), 1, server.Address())
	must(t, a.Join(patient(t), 1))
	must(t, b.Join(patient(t), 1))
	must(t, a.Apply([]store.Op{putGuild(1, "g"), putMember(1, 7, 1)}))
	proxy.Mute()
	done := make(chan error, 1)
	go func() { done <- a.Apply([]store.Op{putMember(1, 8, 1)}) }()
	until(t, "the batch is stored", func() bool {
		guilds, err := b.GuildsOf(8)
		must(t, err)
		return len(guilds) == 1
	})
	must(t, b.Seal(patient(t), "a", 1))
	must(t, b.Apply([]store.Op{deleteMember(1, 7), putMember(1, 9, 1)}))
	proxy.Cut()
	proxy.Thaw()
	// It may still find out that the batch was stored, which it was.
	if err := <-done; err != nil && !errors.Is(err, ErrFenced) &&
		!errors.Is(err, cluster.ErrLogUnknown) {
		t.Errorf("whose batch was stored hears %v", err)
	}
	until(t, "who was declared gone finds out", func() bool {
		return errors.Is(a.Apply([]store.Op{putMember(1, 10, 1)}), ErrFenced)
	})
	c := startReal(t, "c", store.NewMemory(), 1, server.Address())
	for _, r := range []*realNode{a, b, c} {
		until(t, "the log can be read", func() bool { return r.Sync(patient(t)) == nil })
		if got := users(t, &node{Directory: r.Directory}, 1); got != "8 9" {
			t.Errorf("the members are %s", got)
		}
	}
}

// TestOnJetStreamAway: without an answer for long, a caller is told so and nothing is done.
func TestOnJetStreamAway(t *testing.T) {
	needEngines(t)
	server := enginetest.NATS(t)
	a := startReal(t, "a", store.NewMemory(), 1, server.Address())
	must(t, a.Join(patient(t), 1))
	server.Kill()
	err := a.Apply([]store.Op{putUser(4, "x")})
	if !errors.Is(err, cluster.ErrLogUnknown) && !errors.Is(err, ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	if u, err := a.User(4); u != nil || err != nil {
		t.Errorf("what is not stored is there: %v", err)
	}
	server.Start()
	a.insist(t, []store.Op{putUser(5, "x")})
}

// BenchmarkJetStream is what BenchmarkApply is, and BenchmarkLoad, on real servers.
func BenchmarkJetStream(b *testing.B) {
	for _, count := range []int{1, 3} {
		for _, ops := range []int{1, 10_000} {
			b.Run(fmt.Sprintf("servers=%d/ops=%d", count, ops), func(b *testing.B) {
				servers := []*enginetest.Engine{}
				if count == 1 {
					servers = append(servers, enginetest.NATS(b))
				} else {
					servers = enginetest.NATSCluster(b, count)
				}
				addresses := strings.Join(enginetest.Addresses(servers), ",")
				a := startRealWith(b, defaultLimits, "a", openDisk(b, b.TempDir()), count,
					addresses)
				must(b, a.Join(patient(b), 1))
				random := rand.New(rand.NewPCG(1, 2))
				must(b, a.Apply([]store.Op{putGuild(1, "g")}))
				for b.Loop() {
					all := make([]store.Op, ops)
					for i := range all {
						all[i] = sample(1, random)
					}
					must(b, a.Apply(all))
				}
				b.ReportMetric(float64(ops*b.N)/b.Elapsed().Seconds(), "members/s")
			})
		}
	}
}
