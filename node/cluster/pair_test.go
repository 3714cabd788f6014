package cluster

import (
	"math/rand/v2"
	"testing"
)

// wireMessage is a header on its way, and which batch of its sender it stands for.
type wireMessage struct {
	header
	label uint64
}

// pairEnd is one side with what it has sent and accepted, by round.
type pairEnd struct {
	t     *testing.T
	seed  uint64
	name  string
	pair  pair
	other *pairEnd
	out   []wireMessage // On its way to the other side.
	label uint64
	// sent[incarnations and round] are labels in the order in which they were sent.
	sent   map[[3]uint64][]uint64
	resets int
	last   [3]uint64 // Incarnations and round of what was accepted last.
	taken  int       // Batches accepted in it.
}

func (e *pairEnd) key() [3]uint64 { return [3]uint64{e.pair.self, e.pair.peer, e.pair.round} }

func (e *pairEnd) send() {
	e.label++
	e.sent[e.key()] = append(e.sent[e.key()], e.label)
	e.out = append(e.out, wireMessage{e.pair.next(), e.label})
}

func (e *pairEnd) beat() { e.out = append(e.out, wireMessage{e.pair.beat(), 0}) }

// receive takes a message and compares what is accepted with what the other side sent.
func (e *pairEnd) receive(m wireMessage) {
	accept, _, reset := e.pair.receive(m.header)
	if reset != 0 {
		e.resets++
	}
	if m.ask || !e.pair.agreed {
		e.beat()
	}
	if !accept {
		return
	}
	from := [3]uint64{m.fromInc, m.toInc, m.round}
	if from != e.last {
		if from[0] < e.last[0] || from[1] < e.last[1] ||
			from[0] == e.last[0] && from[1] == e.last[1] && from[2] < e.last[2] {
			e.t.Fatalf("seed %d: %s accepts %v after %v", e.seed, e.name, from, e.last)
		}
		if e.last != [3]uint64{} && reset == 0 && e.resets == 0 {
			e.t.Fatalf("seed %d: %s was not told of the change to %v", e.seed, e.name, from)
		}
		e.last, e.taken = from, 0
	}
	sent := e.other.sent[from]
	if e.taken >= len(sent) || sent[e.taken] != m.label {
		e.t.Fatalf("seed %d: %s accepts batch %d as number %d of %v; sent were %v", e.seed,
			e.name, m.label, e.taken+1, from, sent)
	}
	e.taken++
	e.resets = 0
}

// rejoin gives the side a new incarnation; the other one hears of it from etcd, or from this side.
func (e *pairEnd) rejoin(told bool, incarnation uint64) {
	e.pair = newPair(incarnation, e.pair.peer)
	e.resets++
	if told {
		e.other.pair = newPair(e.other.pair.self, incarnation)
		e.other.resets++
	}
}

// TestPairOverABadNetwork: whatever is lost, doubled or overtaken, what a side accepts in a round
// is the beginning of what the other sent in it; and when the network is good again, both agree.
func TestPairOverABadNetwork(t *testing.T) {
	for seed := range uint64(2000) {
		random := rand.New(rand.NewPCG(seed, 7))
		a := &pairEnd{t: t, seed: seed, name: "a", pair: newPair(1, 2)}
		b := &pairEnd{t: t, seed: seed, name: "b", pair: newPair(2, 1)}
		incarnation := uint64(2)
		for _, e := range []*pairEnd{a, b} {
			e.sent = map[[3]uint64][]uint64{}
		}
		a.other, b.other = b, a
		for range 300 {
			e := a
			if random.IntN(2) == 0 {
				e = b
			}
			switch at := random.IntN(100); {
			case at < 35:
				e.send()
			case at < 45:
				e.beat()
			case at < 47:
				e.pair.end()
				e.resets++
			case at < 48:
				incarnation++
				e.rejoin(random.IntN(2) == 0, incarnation)
			default:
				carry(random, e)
			}
		}
		settle(t, seed, a, b)
	}
}

// carry takes a message that is on its way and delivers it, or loses it, or delivers it twice.
func carry(random *rand.Rand, e *pairEnd) {
	if len(e.out) == 0 {
		return
	}
	i := 0
	if random.IntN(5) == 0 {
		i = random.IntN(len(e.out))
	}
	m := e.out[i]
	switch random.IntN(12) {
	case 0: // Lost.
	case 1:
		e.other.receive(m)
		return // It stays on its way, and comes again.
	default:
		defer e.other.receive(m)
	}
	e.out = append(e.out[:i:i], e.out[i+1:]...)
}

// settle delivers everything, with beats as two nodes that share a guild send them.
func settle(t *testing.T, seed uint64, a, b *pairEnd) {
	t.Helper()
	// Both hear of each other's incarnations from etcd in the end.
	for _, e := range []*pairEnd{a, b} {
		if e.pair.peer < e.other.pair.self {
			e.pair = newPair(e.pair.self, e.other.pair.self)
			e.resets++
		}
	}
	for range 10 {
		a.beat()
		b.beat()
		for len(a.out)+len(b.out) > 0 {
			for _, e := range []*pairEnd{a, b} {
				if len(e.out) > 0 {
					m := e.out[0]
					e.out = e.out[1:]
					e.other.receive(m)
				}
			}
		}
	}
	if a.pair.round != b.pair.round || !a.pair.agreed || !b.pair.agreed ||
		a.pair.sent != b.pair.heard || b.pair.sent != a.pair.heard {
		t.Fatalf("seed %d: in the end a is %+v and b is %+v", seed, a.pair, b.pair)
	}
	for _, e := range []*pairEnd{a, b} {
		e.send()
		if accept, _, reset := e.other.pair.receive(e.out[0].header); !accept || reset != 0 {
			t.Fatalf("seed %d: a good network, and a batch of %s is not accepted", seed, e.name)
		}
		e.out = nil
	}
}

// TestPairByHand is the cases one by one.
func TestPairByHand(t *testing.T) {
	at := func(round, seq uint64) header {
		return header{fromInc: 2, toInc: 1, round: round, seq: seq}
	}
	beat := func(round, seq uint64) header {
		h := at(round, seq)
		h.beat = true
		return h
	}
	of := func(h header, from, to uint64) header {
		h.fromInc, h.toInc = from, to
		return h
	}
	for _, c := range []struct {
		name   string
		heard  []header // Before.
		h      header
		accept bool
		reset  ResetReason
		round  uint64 // Afterwards.
	}{
		{"the first", nil, at(1, 1), true, 0, 1},
		{"the next", []header{at(1, 1)}, at(1, 2), true, 0, 1},
		{"twice", []header{at(1, 1), at(1, 2)}, at(1, 1), false, 0, 1},
		{"one is missing", []header{at(1, 1)}, at(1, 3), false, ResetGap, 2},
		{"the first is missing", nil, at(1, 2), false, ResetGap, 2},
		{"a beat", []header{at(1, 1)}, beat(1, 1), false, 0, 1},
		{"a beat overtaken", []header{at(1, 1)}, beat(1, 0), false, 0, 1},
		{"a beat after a loss", []header{at(1, 1)}, beat(1, 2), false, ResetGap, 2},
		{"a later round", []header{at(1, 1)}, at(5, 1), true, ResetByPeer, 5},
		{"a later round by a beat", []header{at(1, 1)}, beat(5, 0), false, ResetByPeer, 5},
		{"a later round, later", []header{at(1, 1)}, at(5, 2), false, ResetGap, 6},
		{"an earlier round", []header{at(5, 1)}, at(4, 1), false, 0, 5},
		{"the peer before", nil, of(at(1, 1), 1, 1), false, 0, 1},
		{"this node before", nil, of(at(1, 1), 2, 0), false, 0, 1},
		{"a new peer", []header{at(3, 1)}, of(at(1, 1), 3, 1), true, ResetPeerJoined, 1},
		{"a new peer, later", []header{at(3, 1)}, of(at(1, 2), 3, 1), false, ResetGap, 2},
	} {
		p := newPair(1, 2)
		for _, h := range c.heard {
			p.receive(h)
		}
		accept, _, reset := p.receive(c.h)
		if accept != c.accept || reset != c.reset || p.round != c.round {
			t.Errorf("%s: accept %v, reset %v, round %d; want %v, %v, %d", c.name, accept,
				reset, p.round, c.accept, c.reset, c.round)
		}
	}
}

func TestResetReasonsHaveNames(t *testing.T) {
	seen := map[string]bool{}
	for r := ResetReason(1); r < resetReasonCount; r++ {
		if r.String() == "" || seen[r.String()] {
			t.Errorf("reason %d is called %q", r, r)
		}
		seen[r.String()] = true
	}
}
