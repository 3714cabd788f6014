package cluster

import (
	"encoding/binary"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"throng/node/cluster/enginetest"
	"throng/tuning"
)

// station is a bus whose items are numbered in each epoch, with what came checked.
type station struct {
	*Bus
	t    *testing.T
	name string

	mu     sync.Mutex
	block  sync.Mutex // Held to keep Receive from returning.
	sent   map[string]*tally
	heard  map[string]*tally
	resets map[string][]ResetReason
	sizes  map[int]int // Of items, that are large.
}

// tally is how far the numbers of an epoch are.
type tally struct{ epoch, count, total uint64 }

func newStation(t *testing.T, name string, c NATSConfig, outboxBytesMax int) *station {
	t.Helper()
	s := &station{
		t: t, name: name, sent: map[string]*tally{}, heard: map[string]*tally{},
		resets: map[string][]ResetReason{}, sizes: map[int]int{},
	}
	var err error
	s.Bus, err = NewBus(BusConfig{
		NATS: c, Cluster: "test", Node: name, OutboxBytesMax: outboxBytesMax,
		Receive: s.receive, OnReset: s.reset,
	})
	must(t, err)
	t.Cleanup(s.Close)
	return s
}

func (s *station) receive(p *Peer, _ uint64, items [][]byte) {
	s.block.Lock()
	defer s.block.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.heard[p.Name()]
	if h == nil {
		h = &tally{}
		s.heard[p.Name()] = h
	}
	for _, item := range items {
		epoch, number := binary.BigEndian.Uint64(item), binary.BigEndian.Uint64(item[8:])
		if h.epoch == 0 && number == 0 {
			h.epoch = epoch
		}
		if epoch != h.epoch || number != h.count {
			s.t.Errorf("%s: item %d of epoch %d of %s comes, and %d of %d was next", s.name,
				number, epoch, p.Name(), h.count, h.epoch)
		}
		h.count++
		h.total++
		if len(item) > 16 {
			s.sizes[len(item)]++
		}
	}
}

func (s *station) reset(p *Peer, epoch uint64, reason ResetReason) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.resets[p.Name()] = append(s.resets[p.Name()], reason)
	if h := s.heard[p.Name()]; h != nil {
		h.epoch, h.count = 0, 0
	}
	delete(s.sent, p.Name())
	if epoch != 0 {
		s.sent[p.Name()] = &tally{epoch: epoch}
	}
}

// send sends the next item of the epoch, of at least so many bytes; false when it was refused.
func (s *station) send(to string, bytes int) bool {
	p := s.Peer(to)
	if p == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	sent := s.sent[to]
	if sent == nil {
		sent = &tally{epoch: p.Epoch()}
		s.sent[to] = sent
	}
	item := binary.BigEndian.AppendUint64(nil, sent.epoch)
	item = binary.BigEndian.AppendUint64(item, sent.count)
	item = append(item, make([]byte, max(bytes-len(item), 0))...)
	if !p.Send(sent.epoch, item) {
		return false
	}
	sent.count++
	sent.total++
	return true
}

// has says whether as many items of a peer have come, in all.
func (s *station) has(from string, total uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.heard[from] != nil && s.heard[from].total >= total
}

func (s *station) total(from string) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.heard[from] == nil {
		return 0
	}
	return s.heard[from].total
}

// was says whether it was told of a reset for a reason.
func (s *station) was(peer string, reason ResetReason) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.resets[peer] {
		if r == reason {
			return true
		}
	}
	return false
}

func (s *station) resetCount() (count int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, all := range s.resets {
		count += len(all)
	}
	return count
}

// update tells stations of each other: number i has the incarnation 10+i.
func update(stations ...*station) {
	v := &View{Generation: 100}
	for i, s := range stations {
		v.Nodes = append(v.Nodes, Node{Name: s.name, Incarnation: uint64(10 + i)})
	}
	for i, s := range stations {
		s.Update(v, uint64(10+i))
	}
}

// converse sends items both ways until one that was sent in the end arrives.
func converse(t *testing.T, a, b *station) {
	t.Helper()
	for _, way := range []struct{ from, to *station }{{a, b}, {b, a}} {
		before := way.to.total(way.from.name)
		until(t, way.to.name+" hears of "+way.from.name, func() bool {
			way.from.send(way.to.name, 0)
			return way.to.has(way.from.name, before+1)
		})
	}
}

func TestBusKeepsOrder(t *testing.T) {
	needEngines(t)
	c := NATSConfig{Servers: enginetest.NATS(t).Address()}
	all := []*station{
		newStation(t, "a", c, 0), newStation(t, "b", c, 0), newStation(t, "c", c, 0),
	}
	update(all...)
	const items = 20_000
	var sending sync.WaitGroup
	for _, from := range all {
		for _, to := range all {
			if from != to {
				sending.Go(func() {
					for range items {
						if !from.send(to.name, 100) {
							t.Errorf("%s to %s: an item is refused", from.name, to.name)
							return
						}
					}
				})
			}
		}
	}
	sending.Wait()
	for _, s := range all {
		must(t, s.Flush(patient(t)))
	}
	for _, from := range all {
		for _, to := range all {
			if from != to {
				until(t, "all items", func() bool { return to.has(from.name, items) })
			}
		}
	}
	for _, s := range all {
		stats := s.Stats()
		if s.resetCount() != 0 || stats.ItemsReceived != 2*items || stats.OutboxBytes != 0 ||
			stats.BatchesSent > stats.ItemsSent || stats.Peers != 2 {
			t.Errorf("%s: %+v", s.name, stats)
		}
		t.Logf("%s: %d items in %d batches", s.name, stats.ItemsSent, stats.BatchesSent)
	}
}

func TestBusCarriesLargeItems(t *testing.T) {
	needEngines(t)
	c := NATSConfig{Servers: enginetest.NATS(t).Address()}
	a, b := newStation(t, "a", c, 0), newStation(t, "b", c, 0)
	update(a, b)
	for _, size := range []int{17, tuning.BusItemBytesMax, 100, tuning.BusBatchBytesMax, 1000} {
		if !a.send("b", size) {
			t.Fatalf("an item of %d bytes is refused", size)
		}
		until(t, "the item", func() bool {
			b.mu.Lock()
			defer b.mu.Unlock()
			return b.sizes[size] == 1
		})
	}
}

// TestBusIsPartial: two nodes that hold each other exchange beats, the third hears and says
// nothing, and a node that is asked answers.
func TestBusIsPartial(t *testing.T) {
	needEngines(t)
	c := NATSConfig{Servers: enginetest.NATS(t).Address()}
	spy, err := c.connect("spy")
	must(t, err)
	defer spy.Close()
	var mu sync.Mutex
	seen := map[string]int{}
	_, err = spy.Subscribe("throng.test.node.*", func(m *nats.Msg) {
		if h, _, err := parseHeader(m.Data); err == nil {
			mu.Lock()
			seen[h.from+" to "+m.Subject]++
			mu.Unlock()
		}
	})
	must(t, err)
	must(t, spy.Flush())
	a, b, third := newStation(t, "a", c, 0), newStation(t, "b", c, 0), newStation(t, "c", c, 0)
	update(a, b, third)
	a.Peer("b").Hold()
	until(t, "beats", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return seen["a to throng.test.node.b"] >= 4 && seen["b to throng.test.node.a"] >= 4
	})
	a.Peer("b").Release()
	mu.Lock()
	defer mu.Unlock()
	if len(seen) != 2 || a.resetCount()+b.resetCount()+third.resetCount() != 0 {
		t.Errorf("seen was %v", seen)
	}
}

// TestBusOutlivesServer: a server that is killed while much is on its way loses some of it. What
// is heard in an epoch is nevertheless the beginning of what was sent in it.
func TestBusOutlivesServer(t *testing.T) {
	needEngines(t)
	server := enginetest.NATS(t)
	c := NATSConfig{Servers: server.Address()}
	a, b := newStation(t, "a", c, 0), newStation(t, "b", c, 0)
	update(a, b)
	a.Peer("b").Hold()
	b.Peer("a").Hold()
	stop := make(chan struct{})
	var sending sync.WaitGroup
	for _, way := range [][2]*station{{a, b}, {b, a}} {
		sending.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if !way[0].send(way[1].name, 200) {
					time.Sleep(time.Millisecond) // Full or in between, as a caller would find it.
				}
			}
		})
	}
	for range 3 {
		before := b.total("a")
		until(t, "traffic", func() bool { return b.has("a", before+1000) })
		server.Kill()
		server.Start()
	}
	close(stop)
	sending.Wait()
	converse(t, a, b)
	t.Logf("a: %v, b: %v", a.resets, b.resets)
}

// TestBusOverflow: when more waits than may, what waits is dropped and both sides are told.
func TestBusOverflow(t *testing.T) {
	needEngines(t)
	server := enginetest.NATS(t)
	c := NATSConfig{Servers: server.Address()}
	a, b := newStation(t, "a", c, 1<<20), newStation(t, "b", c, 0)
	update(a, b)
	converse(t, a, b)
	server.Freeze()
	until(t, "a full queue", func() bool { return !a.send("b", 10_000) })
	if got := a.Stats().OutboxBytes; got > 1<<20 {
		t.Errorf("%d bytes wait", got)
	}
	until(t, "a is told", func() bool { return a.was("b", ResetOverflow) })
	server.Thaw()
	until(t, "b is told", func() bool { return b.was("a", ResetByPeer) || b.was("a", ResetGap) })
	converse(t, a, b)
}

// TestBusSlowConsumer: who does not read fast enough loses messages, notices, and goes on.
func TestBusSlowConsumer(t *testing.T) {
	needEngines(t)
	c := NATSConfig{Servers: enginetest.NATS(t).Address()}
	a, b := newStation(t, "a", c, 0), newStation(t, "b", c, 0)
	update(a, b)
	converse(t, a, b)
	b.block.Lock()
	until(t, "b drops", func() bool {
		a.send("b", 100_000)
		if a.Stats().OutboxBytes > tuning.BusOutboxBytesMax/2 {
			must(t, a.Flush(patient(t)))
		}
		return b.Stats().SlowConsumer > 0
	})
	// What came before the loss is read; then something has to come, as beats would between nodes
	// that share a guild.
	b.block.Unlock()
	until(t, "both are told", func() bool {
		a.send("b", 0)
		return b.was("a", ResetGap) && a.was("b", ResetByPeer)
	})
	converse(t, a, b)
}

// TestBusSilence: a peer that is held and cut off is silent, and is heard again when it is back.
func TestBusSilence(t *testing.T) {
	needEngines(t)
	server := enginetest.NATS(t)
	proxy := enginetest.NewProxy(t, server.Host())
	a := newStation(t, "a", NATSConfig{Servers: server.Address()}, 0)
	b := newStation(t, "b", NATSConfig{Servers: "nats://" + proxy.Address()}, 0)
	update(a, b)
	a.Peer("b").Hold()
	converse(t, a, b)
	proxy.Freeze()
	until(t, "silence", func() bool { return a.was("b", ResetSilence) })
	proxy.Thaw()
	until(t, "b is told", func() bool { return b.resetCount() > 0 })
	converse(t, a, b)
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.resets["b"]) > 2 {
		t.Errorf("one silence, and a was told %v", a.resets)
	}
}

func TestBusFollowsTheView(t *testing.T) {
	needEngines(t)
	c := NATSConfig{Servers: enginetest.NATS(t).Address()}
	a, b := newStation(t, "a", c, 0), newStation(t, "b", c, 0)
	if a.Peer("b") != nil {
		t.Error("a knows b before any view")
	}
	update(a, b)
	converse(t, a, b)
	if a.Peer("a") != nil || a.Peer("x") != nil {
		t.Error("a has peers that are none")
	}

	// b joins again, and hears of it before a does.
	v := func(generation, incarnationA, incarnationB uint64) *View {
		return &View{Generation: generation, Nodes: []Node{
			{Name: "a", Incarnation: incarnationA}, {Name: "b", Incarnation: incarnationB},
		}}
	}
	b.Update(v(110, 10, 105), 105)
	if !b.was("a", ResetSelfJoined) {
		t.Error("b was not told of itself")
	}
	until(t, "a hears of it", func() bool {
		b.send("a", 0)
		return a.was("b", ResetPeerJoined)
	})
	converse(t, a, b)
	// The view that a had on its way is older than what it has heard, and changes nothing.
	resets := a.resetCount()
	a.Update(v(104, 10, 11), 10)
	converse(t, a, b)
	if a.resetCount() != resets {
		t.Errorf("an old view resets: %v", a.resets)
	}

	peer := a.Peer("b")
	a.Update(&View{Generation: 120, Nodes: []Node{{Name: "a", Incarnation: 10}}}, 10)
	if !a.was("b", ResetPeerGone) || peer.Epoch() != 0 || peer.Send(peer.Epoch(), nil) {
		t.Error("b is gone and can be sent to")
	}
	b.send("a", 0) // From somebody who does not know yet that it is gone.
	must(t, b.Flush(patient(t)))
	a.Update(v(130, 10, 125), 10)
	b.Update(v(130, 10, 125), 125)
	converse(t, a, b)
	if a.Peer("b") == peer {
		t.Error("the peer that has gone is there again")
	}
}

func TestBusWithTLSAndCredentials(t *testing.T) {
	needEngines(t)
	authority := enginetest.NewAuthority(t)
	for name, secret := range map[string]struct {
		flags []string
		good  NATSConfig
	}{
		"password": {[]string{"-user", "u", "-password", "p"}, NATSConfig{User: "u", Password: "p"}},
		"token":    {[]string{"-token", "t"}, NATSConfig{Token: "t"}},
	} {
		server := enginetest.NATS(t, append(authority.Flags(), secret.flags...)...)
		c := secret.good
		c.Servers, c.TLS = server.Address(), authority.Client
		a, b := newStation(t, "a", c, 0), newStation(t, "b", c, 0)
		update(a, b)
		converse(t, a, b)
		for what, bad := range map[string]NATSConfig{
			"no " + name: {Servers: c.Servers, TLS: c.TLS},
			"no TLS":     {Servers: c.Servers, User: c.User, Password: c.Password, Token: c.Token},
		} {
			if bus, err := NewBus(BusConfig{NATS: bad, Cluster: "test", Node: "x"}); err == nil {
				bus.Close()
				t.Errorf("%s, and it is let in", what)
			}
		}
	}
}

// TestBusEndsWhileBusy: Close returns whatever goes on, and nothing is called afterwards.
func TestBusEndsWhileBusy(t *testing.T) {
	needEngines(t)
	c := NATSConfig{Servers: enginetest.NATS(t).Address()}
	a, b := newStation(t, "a", c, 0), newStation(t, "b", c, 0)
	update(a, b)
	var sending sync.WaitGroup
	sending.Go(func() {
		for a.send("b", 100) {
		}
	})
	until(t, "traffic", func() bool { return b.has("a", 1000) })
	b.Close()
	after := fmt.Sprint(b.total("a"))
	a.Close()
	sending.Wait()
	if err := a.Flush(patient(t)); err == nil {
		t.Error("a closed bus is flushed")
	}
	if got := fmt.Sprint(b.total("a")); got != after {
		t.Errorf("%s items came before the end, %s afterwards", after, got)
	}
}
