package cluster

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"throng/node/cluster/enginetest"
	"throng/store"
)

// member is a Membership with what it was told.
type member struct {
	*Membership
	mu     sync.Mutex
	views  []*View
	leases []bool
	told   uint64 // Its incarnation.
	onView func(*View)

	ttlWanted time.Duration // Zero is the default.
}

func (m *member) config(name string, endpoints ...string) MembershipConfig {
	return MembershipConfig{
		Etcd: EtcdConfig{Endpoints: endpoints}, Cluster: "test", Self: Node{Name: name},
		TTL: m.ttlWanted,
		Changed: func(v *View, incarnation uint64) {
			m.mu.Lock()
			m.views = append(m.views, v)
			m.told = incarnation
			m.mu.Unlock()
			if m.onView != nil {
				m.onView(v)
			}
		},
		LeaseChanged: func(held bool, _ uint64) {
			m.mu.Lock()
			m.leases = append(m.leases, held)
			m.mu.Unlock()
		},
	}
}

func join(t *testing.T, name string, endpoints ...string) *member {
	t.Helper()
	m := &member{}
	m.start(t, m.config(name, endpoints...))
	return m
}

// joinFor joins with a lease that a busy machine does not make a member miss.
func joinFor(t *testing.T, ttl time.Duration, name string, endpoints ...string) *member {
	t.Helper()
	m := &member{ttlWanted: ttl}
	m.start(t, m.config(name, endpoints...))
	return m
}

func (m *member) start(t *testing.T, cfg MembershipConfig) {
	t.Helper()
	var err error
	if m.Membership, err = Join(patient(t), cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// Whether etcd is there at the end of a test or not, leaving takes no time.
		ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		defer cancel()
		must(t, m.Leave(ctx))
	})
}

// checkViews: generations grow, and the last view is the one in force.
func (m *member) checkViews(t *testing.T) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, v := range m.views {
		if i > 0 && v.Generation < m.views[i-1].Generation {
			t.Errorf("generation %d comes after %d", v.Generation, m.views[i-1].Generation)
		}
	}
}

func (m *member) sees(names ...string) func() bool {
	return func() bool {
		var there []string
		for _, n := range m.View().Nodes {
			there = append(there, n.Name)
		}
		return slices.Equal(there, names)
	}
}

func (m *member) owning() bool { return m.Owning(time.Now()) }

func TestMembersComeAndGo(t *testing.T) {
	needEngines(t)
	etcd := enginetest.Etcd(t)
	const ttl = time.Minute // Nobody is to miss it.
	a := joinFor(t, ttl, "a", etcd.Address())
	if !a.sees("a")() || !a.owning() {
		t.Fatalf("after joining a sees %+v, owning %v", a.View(), a.owning())
	}
	b, c := joinFor(t, ttl, "b", etcd.Address()), joinFor(t, ttl, "c", etcd.Address())
	for _, m := range []*member{a, b, c} {
		until(t, "all see all", m.sees("a", "b", "c"))
	}
	until(t, "the same generation", func() bool {
		return a.View().Generation == c.View().Generation
	})
	for guild := range uint64(1000) {
		if owner := a.View().Owner(guild); owner != b.View().Owner(guild) ||
			owner != c.View().Owner(guild) {
			t.Fatalf("guild %d: the nodes disagree", guild)
		}
	}
	if n, _ := a.View().Node("c"); n.Incarnation != c.Incarnation() ||
		c.Incarnation() <= b.Incarnation() || n.Weight != store.RingWeight {
		t.Errorf("c is %+v, its incarnation %d", n, c.Incarnation())
	}

	ctx := patient(t)
	must(t, b.SetDraining(ctx, true))
	until(t, "b owns nothing", func() bool { return owners(a.View())["b"] == 0 })
	must(t, b.SetDraining(ctx, false))
	must(t, b.SetWeight(ctx, 2*store.RingWeight))
	until(t, "b owns half", func() bool { return owners(c.View())["b"] > 12_000 })
	must(t, a.Pin(ctx, 77, "c"))
	must(t, a.SetConfig(ctx, []byte("shared")))
	until(t, "the pin", func() bool {
		return b.View().Owner(77) == "c" && string(b.View().Config) == "shared"
	})
	must(t, c.Leave(ctx))
	until(t, "c is gone", a.sees("a", "b"))
	if c.owning() || a.View().Owner(77) == "c" {
		t.Error("c has left and owns")
	}
	if err := c.SetWeight(ctx, 1); !errors.Is(err, errLeft) {
		t.Errorf("c has left and may set its weight: %v", err)
	}
	must(t, b.Unpin(ctx, 77))
	until(t, "no pin", func() bool { return len(a.View().Pins) == 0 })
	for _, m := range []*member{a, b, c} {
		m.checkViews(t)
	}
}

// TestMembershipOutlivesEtcd: a killed etcd takes ownership from everybody until it is back, and
// then nobody has lost anything.
func TestMembershipOutlivesEtcd(t *testing.T) {
	needEngines(t)
	etcd := enginetest.Etcd(t)
	const ttl = 5 * time.Second
	a, b := joinFor(t, ttl, "a", etcd.Address()), joinFor(t, ttl, "b", etcd.Address())
	until(t, "a sees b", a.sees("a", "b"))
	incarnation := a.Incarnation()
	etcd.Kill()
	until(t, "nobody owns", func() bool { return !a.owning() && !b.owning() })
	etcd.Start()
	until(t, "both own again", func() bool { return a.owning() && b.owning() })
	c := join(t, "c", etcd.Address())
	for _, m := range []*member{a, b, c} {
		until(t, "the watches go on", m.sees("a", "b", "c"))
		m.checkViews(t)
	}
	if a.Incarnation() != incarnation {
		t.Errorf("a was incarnation %d and is %d", incarnation, a.Incarnation())
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if count := len(a.leases); count < 3 || !a.leases[count-1] || a.leases[1] {
		t.Errorf("a was told of its lease: %v", a.leases)
	}
	for _, v := range a.views[1:] {
		if _, there := v.Node("b"); !there {
			t.Errorf("b was gone in generation %d", v.Generation)
		}
	}
}

// TestPausedMemberKnowsFirst: a member that cannot renew is gone for the others after its lease,
// and has stopped to own before that, by its own clock.
func TestPausedMemberKnowsFirst(t *testing.T) {
	needEngines(t)
	etcd := enginetest.Etcd(t)
	proxy := enginetest.NewProxy(t, etcd.Host())
	paused := join(t, "paused", proxy.Address())
	before := paused.Incarnation()

	gone := make(chan bool, 1)
	other := &member{onView: func(v *View) {
		if _, there := v.Node("paused"); !there {
			select {
			case gone <- paused.owning():
			default:
			}
		}
	}}
	other.start(t, other.config("other", etcd.Address()))
	proxy.Freeze()
	start := time.Now()
	until(t, "the paused member knows", func() bool { return !paused.owning() })
	knows := time.Since(start)
	select {
	case owning := <-gone:
		t.Logf("paused knows after %v, the other after %v", knows, time.Since(start))
		if owning {
			t.Error("the others take the member for gone, and it owns")
		}
	case <-time.After(patience):
		t.Fatal("the paused member is not gone")
	}
	proxy.Thaw()
	until(t, "it is back", other.sees("other", "paused"))
	until(t, "it owns", paused.owning)
	if paused.Incarnation() <= before {
		t.Errorf("incarnation %d comes after %d", paused.Incarnation(), before)
	}
	until(t, "it sees itself", func() bool {
		n, _ := paused.View().Node("paused")
		return n.Incarnation == paused.Incarnation()
	})
}

// TestDeletedRecordJoinsAgain: whose record somebody deletes is gone for the others although its
// lease is there, and must not own until they have it back.
func TestDeletedRecordJoinsAgain(t *testing.T) {
	needEngines(t)
	etcd := enginetest.Etcd(t)
	const ttl = time.Minute // Nothing that waits for it would be seen.
	a, b := joinFor(t, ttl, "a", etcd.Address()), joinFor(t, ttl, "b", etcd.Address())
	must(t, b.SetWeight(patient(t), 7))
	before := b.Incarnation()
	_, err := a.data.Delete(patient(t), b.nodeKey())
	must(t, err)
	until(t, "b is back", func() bool {
		n, _ := a.View().Node("b")
		return n.Incarnation > before && n.Weight == 7
	})
	until(t, "b owns, and is told which it is", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.owning() && b.told == b.Incarnation() && b.told > before
	})
	b.mu.Lock()
	defer b.mu.Unlock()
	if !slices.Equal(b.leases, []bool{true, false, true}) {
		t.Errorf("b was told of its lease: %v", b.leases)
	}
}

func TestJoinWaitsForItsName(t *testing.T) {
	needEngines(t)
	etcd := enginetest.Etcd(t)
	proxy := enginetest.NewProxy(t, etcd.Host())
	first := join(t, "a", proxy.Address())
	second := &member{}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_, err := Join(ctx, second.config("a", etcd.Address()))
	if !errors.Is(err, errNameTaken) {
		t.Fatalf("two members have a name: %v", err)
	}
	proxy.Freeze()
	second.start(t, second.config("a", etcd.Address()))
	if first.owning() {
		t.Error("the first owns, and the second has its name")
	}
	until(t, "the second owns", second.owning)
	// Back again the first one finds its name taken, and waits in its turn.
	proxy.Thaw()
	until(t, "the first sees the second", func() bool {
		n, _ := first.View().Node("a")
		return n.Incarnation == second.Incarnation()
	})
	must(t, second.Leave(patient(t)))
	until(t, "the first is back", first.owning)
}

// TestWatchOutlivesCompaction: what the watch would go on from is gone when it is back.
func TestWatchOutlivesCompaction(t *testing.T) {
	needEngines(t)
	etcd := enginetest.Etcd(t)
	proxy := enginetest.NewProxy(t, etcd.Host())
	const ttl = time.Minute // Only the watch is in question.
	slow := joinFor(t, ttl, "slow", proxy.Address())
	a := joinFor(t, ttl, "a", etcd.Address())
	until(t, "slow sees a", slow.sees("a", "slow"))
	proxy.Freeze()
	ctx := patient(t)
	must(t, a.Pin(ctx, 1, "a"))
	for range 20 {
		must(t, a.Pin(ctx, 2, "a"))
	}
	must(t, a.Unpin(ctx, 1))
	r, err := a.data.Get(ctx, "x")
	must(t, err)
	_, err = a.data.Compact(ctx, r.Header.Revision, clientv3.WithCompactPhysical())
	must(t, err)
	proxy.Cut()
	proxy.Thaw()
	until(t, "slow has caught up", func() bool {
		v := slow.View()
		return v.Pins[2] == "a" && v.Pins[1] == "" && v.Generation >= a.View().Generation
	})
	must(t, a.Pin(ctx, 3, "a"))
	until(t, "slow goes on", func() bool { return slow.View().Pins[3] == "a" })
	slow.checkViews(t)
}

// TestRefreshComesToLaterViews: a node that has read the cluster whole may have a later view than
// all others, because something else in etcd has changed. Those who hear of it come to it too.
func TestRefreshComesToLaterViews(t *testing.T) {
	needEngines(t)
	etcd := enginetest.Etcd(t)
	a := joinFor(t, time.Minute, "a", etcd.Address())
	b := joinFor(t, time.Minute, "b", etcd.Address())
	until(t, "a sees b", a.sees("a", "b"))
	ctx := patient(t)
	r, err := b.data.Put(ctx, "/somebody/elses", "x")
	must(t, err)
	a.Refresh()
	until(t, "a is as late as that", func() bool {
		return a.View().Generation >= uint64(r.Header.Revision)
	})
	must(t, b.Pin(ctx, 1, "b"))
	until(t, "a goes on", func() bool { return a.View().Pins[1] == "b" })
	a.checkViews(t)
}

// TestMembersOutliveAMemberOfEtcd: one of three members of etcd stops without a word, or is killed,
// be it the leader or not; who was connected to it renews elsewhere and hears of changes.
func TestMembersOutliveAMemberOfEtcd(t *testing.T) {
	needEngines(t)
	etcd := enginetest.EtcdCluster(t, 3, "-election", "500", "-heartbeat", "50")
	addresses := enginetest.Addresses(etcd)
	const ttl = 5 * time.Second
	a, b := joinFor(t, ttl, "a", addresses...), joinFor(t, ttl, "b", addresses...)
	incarnations := []uint64{a.Incarnation(), b.Incarnation()}
	for i, e := range etcd {
		e.Freeze()
		name := "c" + string(rune('0'+i))
		c := join(t, name, addresses...)
		until(t, "a sees who came", a.sees("a", "b", name))
		until(t, "b sees who came", b.sees("a", "b", name))
		must(t, c.Leave(patient(t)))
		until(t, "a sees who left", a.sees("a", "b"))
		until(t, "b sees who left", b.sees("a", "b"))
		e.Kill()
		e.Start()
		until(t, "both own", func() bool { return a.owning() && b.owning() })
	}
	if got := []uint64{a.Incarnation(), b.Incarnation()}; !slices.Equal(got, incarnations) {
		t.Errorf("incarnations were %v and are %v", incarnations, got)
	}
	t.Logf("leases of a: %v, of b: %v", a.leases, b.leases)
}

func TestEtcdWithTLSAndPassword(t *testing.T) {
	needEngines(t)
	authority := enginetest.NewAuthority(t)
	etcd := enginetest.Etcd(t, authority.Flags()...)
	ctx := patient(t)
	root, err := EtcdConfig{Endpoints: []string{etcd.Address()}, TLS: authority.Client}.client(ctx)
	must(t, err)
	defer root.Close()
	_, err = root.UserAdd(ctx, "root", "secret")
	must(t, err)
	_, err = root.UserGrantRole(ctx, "root", "root")
	must(t, err)
	_, err = root.UserAdd(ctx, "throng", "pass")
	must(t, err)
	_, err = root.RoleAdd(ctx, "nodes")
	must(t, err)
	prefix := keyPrefix("test")
	_, err = root.RoleGrantPermission(ctx, "nodes", prefix, clientv3.GetPrefixRangeEnd(prefix),
		clientv3.PermissionType(clientv3.PermReadWrite))
	must(t, err)
	_, err = root.UserGrantRole(ctx, "throng", "nodes")
	must(t, err)
	_, err = root.AuthEnable(ctx)
	must(t, err)

	m := &member{}
	cfg := m.config("a", etcd.Address())
	cfg.Etcd.TLS, cfg.Etcd.User, cfg.Etcd.Password = authority.Client, "throng", "pass"
	m.start(t, cfg)
	must(t, m.SetWeight(ctx, 3))
	until(t, "the weight", func() bool { return m.View().Nodes[0].Weight == 3 })

	cfg.Self.Name, cfg.Etcd.Password = "b", "wrong"
	short, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if _, err := Join(short, cfg); err == nil || !strings.Contains(err.Error(), "authentication") {
		t.Errorf("with a wrong password: %v", err)
	}
}

func TestJoinRefusesWhatCannotBeMeant(t *testing.T) {
	good := (&member{}).config("a", "127.0.0.1:1")
	for name, change := range map[string]func(*MembershipConfig){
		"endpoint": func(c *MembershipConfig) { c.Etcd.Endpoints = nil },
		"cluster":  func(c *MembershipConfig) { c.Cluster = "a/b" },
		"name":     func(c *MembershipConfig) { c.Self.Name = "" },
		"weight":   func(c *MembershipConfig) { c.Self.Weight = -2 },
		"TTL":      func(c *MembershipConfig) { c.TTL = 1500 * time.Millisecond },
	} {
		cfg := good
		change(&cfg)
		if _, err := Join(context.Background(), cfg); err == nil {
			t.Errorf("a wrong %s is taken", name)
		}
	}
}
