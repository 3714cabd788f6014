package fanout

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"throng/store"
	"throng/wire"
)

// stage is a board with sessions, and what each of them has been given.
type stage struct {
	t     testing.TB
	out   *store.Outbox
	board *Board
	gens  map[uint32]uint32
	ways  map[wire.Snowflake]*way // of the guilds; nil: steps come as they are
}

func newStage(t testing.TB) *stage {
	out := store.NewOutbox(8<<20, 1<<20,
		func(dst, frame []byte, hole int, kind uint8, seq uint32) []byte {
			dst = append(dst, frame...)
			wire.PutSeq(dst[len(dst)-len(frame):], hole, wire.Variant(kind), seq)
			return dst
		})
	s := &stage{t: t, out: out, board: NewBoard(out, 0, HistoryLimits{}), gens: map[uint32]uint32{}}
	if _, measured := t.(*testing.B); !measured {
		s.ways = map[wire.Snowflake]*way{}
	}
	return s
}

func (s *stage) open() Handle {
	slot, gen := s.out.Open()
	s.gens[slot] = gen
	return Handle{Slot: slot, Gen: gen}
}

// step does a step as it comes from another node.
func (s *stage) step(m *Msg) {
	if s.ways != nil {
		if s.ways[m.Guild] == nil {
			s.ways[m.Guild] = &way{}
		}
		m = s.ways[m.Guild].travel(s.t, m)
	}
	s.board.Handle(m, func(Handle, []*wire.Dispatch) {}, func(*Msg) {})
}

func (s *stage) work(limit int) int {
	return s.board.Work(limit, func(Handle, []*wire.Dispatch) {}, func(*Msg) {})
}

func (s *stage) join(guild wire.Snowflake, h Handle, class uint32) {
	s.step(&Msg{Kind: MsgAdmit, Guild: guild, To: h, Class: class,
		Receiver: Receiver{Handle: h, User: wire.Snowflake(h.Slot)}})
}

func (s *stage) publish(guild wire.Snowflake, visible Bitset) {
	s.step(&Msg{Kind: MsgPublish, Guild: guild, Event: &Event{
		Dispatch: wire.NewDispatch("TEST", []byte(`{}`), nil), Visible: visible}})
}

func (s *stage) given(h Handle) int {
	seq, _, _ := s.out.Seqs(h.Slot)
	return int(seq)
}

// TestBoardGivesEachReceiverEachEvent lets sessions join, leave, change class and end at random
// while events are handed out a few receivers at a time, and counts.
func TestBoardGivesEachReceiverEachEvent(t *testing.T) {
	for seed := range uint64(100) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { runBoard(t, seed) })
	}
}

func runBoard(t *testing.T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 2))
	s := newStage(t)
	type member struct {
		h     Handle
		class uint32
	}
	guilds := []wire.Snowflake{1, 2}
	in := map[wire.Snowflake][]*member{}
	count := map[Handle]*int{}
	for range 600 {
		g := guilds[r.IntN(2)]
		switch k := r.IntN(10); {
		case k < 3:
			h := s.open()
			class := uint32(r.IntN(3))
			in[g] = append(in[g], &member{h: h, class: class})
			count[h] = new(int)
			s.join(g, h, class)
		case k < 4 && len(in[g]) > 0:
			m := in[g][r.IntN(len(in[g]))]
			m.class = uint32(r.IntN(3))
			s.step(&Msg{Kind: MsgReclass, Guild: g, To: m.h, Class: m.class})
		case k < 5 && len(in[g]) > 0:
			i := r.IntN(len(in[g]))
			s.step(&Msg{Kind: MsgExpel, Guild: g, To: in[g][i].h})
			in[g] = slices.Delete(in[g], i, i+1)
		case k < 6 && len(in[g]) > 0 && r.IntN(3) == 0:
			// A session ends in the middle of whatever goes on; what it got is nobody's business.
			i := r.IntN(len(in[g]))
			h := in[g][i].h
			in[g] = slices.Delete(in[g], i, i+1)
			delete(count, h)
			s.board.Drop(h.Slot)
			s.out.Close(h.Slot)
		default:
			see := uint64(r.IntN(8))
			s.publish(g, Bitset{see})
			for _, m := range in[g] {
				if see>>m.class&1 != 0 {
					*count[m.h]++
				}
			}
		}
		if r.IntN(3) == 0 {
			s.work(1 + r.IntN(6))
		}
		if r.IntN(100) == 0 {
			s.move()
		}
		if err := s.board.Check(); err != nil {
			t.Fatal(err)
		}
	}
	for s.board.Busy() {
		s.work(3)
	}
	for h, want := range count {
		if got := s.given(h); got != *want {
			t.Errorf("session %d: got %d events, want %d", h.Slot, got, *want)
		}
	}
	if s.board.Queued() != 0 {
		t.Errorf("%d steps are left", s.board.Queued())
	}
}

// TestSmallGuildWaitsOneTurn floods a huge guild and then publishes in a small one.
func TestSmallGuildWaitsOneTurn(t *testing.T) {
	s := newStage(t)
	for range 1000 {
		s.join(1, s.open(), 0)
	}
	small := s.open()
	s.join(2, small, 0)
	for range 50 {
		s.publish(1, nil)
	}
	s.publish(2, nil)
	const turn = 1000 + 1 // The receivers, and taking the event out of the line.
	s.work(turn)
	s.work(2)
	if got := s.given(small); got != 1 {
		t.Errorf("after one turn of the huge guild the small one's session has %d events, want 1", got)
	}
}

// TestPassKeepsToItsLimit looks at no more receivers than allowed, whatever waits.
func TestPassKeepsToItsLimit(t *testing.T) {
	s := newStage(t)
	for range 1000 {
		s.join(1, s.open(), 0)
	}
	s.publish(1, nil)
	for i := range 10 {
		if !s.board.Busy() {
			t.Fatalf("done after %d turns of 100", i)
		}
		if looked := s.work(100); looked > 101 {
			t.Fatalf("looked at %d receivers, 100 were allowed", looked)
		}
	}
	for s.board.Busy() {
		s.work(100)
	}
}

// TestHandingOutAllocatesNothingPerReceiver compares an event for three hundred receivers with one
// for ten thousand. One for a few is handed out at once, and its place in a queue is not needed.
func TestHandingOutAllocatesNothingPerReceiver(t *testing.T) {
	var allocs [2]float64
	for i, receivers := range []int{300, 10_000} {
		s := newStage(t)
		s.ways = nil
		handles := make([]Handle, receivers)
		for k := range handles {
			handles[k] = s.open()
			s.join(1, handles[k], 0)
		}
		m := &Msg{Kind: MsgPublish, Guild: 1, Event: &Event{Visible: Bitset{1},
			Dispatch: wire.NewDispatch("TEST", []byte(`{}`), nil)}}
		buf := make([]byte, 0, 1<<16)
		deliver := func() {
			s.step(m)
			s.work(1 << 20)
			for s.out.HasDirty() {
				slot, ok := s.out.NextSoon()
				if !ok {
					slot, _ = s.out.NextLate()
				}
				b, _ := s.out.Collect(slot, buf[:0], cap(buf))
				s.out.Advance(slot, len(b))
				seq, _, _ := s.out.Seqs(slot)
				s.out.Ack(slot, seq)
			}
		}
		deliver()
		allocs[i] = testing.AllocsPerRun(20, deliver)
	}
	if allocs[1] > allocs[0] || allocs[0] > 2 {
		t.Errorf("got %v allocations an event for 300 receivers and %v for 10,000", allocs[0], allocs[1])
	}
}

// TestFewWaitForNoTurn: an event for as many receivers as count as few is handed out when it comes,
// and they are written before those of a larger guild, whose event waits for its turn. Its own order
// holds, also when a receiver more makes it a large one.
func TestFewWaitForNoTurn(t *testing.T) {
	s := newStage(t)
	s.board.smallMax = 2
	many, few := []Handle{s.open(), s.open(), s.open()}, []Handle{s.open(), s.open()}
	for _, h := range many {
		s.join(1, h, 0)
	}
	for _, h := range few {
		s.join(2, h, 0)
	}
	event := func(guild wire.Snowflake) *Msg {
		return &Msg{Kind: MsgPublish, Guild: guild, Event: &Event{Visible: Bitset{1},
			Dispatch: wire.NewDispatch("TEST", []byte(`{}`), nil)}}
	}
	s.step(event(1))
	s.step(event(2))
	if got := s.board.Deliveries(); got != 2 {
		t.Errorf("%d deliveries before any turn, want 2", got)
	}
	s.work(1 << 20)
	for _, h := range few {
		if slot, ok := s.out.NextSoon(); !ok || slot != h.Slot {
			t.Errorf("slot %d, %v is next, want %d", slot, ok, h.Slot)
		}
	}
	if _, ok := s.out.NextSoon(); ok || s.out.Late() != len(many) {
		t.Errorf("%d are late and soon has more: %v", s.out.Late(), ok)
	}
	s.join(2, s.open(), 0)
	s.step(event(2))
	if got := s.board.Deliveries(); got != 5 || !s.board.Busy() {
		t.Errorf("%d deliveries, want 5, and the rest at its turn", got)
	}
}

// TestEventAfterAPassThatEndedInItsMiddle takes up what is left of the event before it.
func TestEventAfterAPassThatEndedInItsMiddle(t *testing.T) {
	s := newStage(t)
	s.board.smallMax = 2
	for range 2 {
		s.join(1, s.open(), 0)
	}
	event := func() *Event {
		return &Event{Visible: Bitset{1}, Dispatch: wire.NewDispatch("TEST", []byte(`{}`), nil)}
	}
	r := s.board.relays[s.board.numbers[1]]
	r.begin(event())
	r.next = 1 // The first has it.
	s.step(&Msg{Kind: MsgPublish, Guild: 1, Event: event()})
	s.work(1 << 20)
	if got := s.board.Deliveries(); got != 3 {
		t.Errorf("%d deliveries, want the one that was left and two", got)
	}
}

// BenchmarkPass is what a receiver costs in the inner loop: the look, and the position given.
func BenchmarkPass(b *testing.B) {
	const receivers = 10_000
	s := newStage(b)
	for range receivers {
		s.join(1, s.open(), 0)
	}
	e := &Event{Dispatch: wire.NewDispatch("TEST", []byte(`{}`), nil), Visible: Bitset{1}}
	b.ReportAllocs()
	for b.Loop() {
		s.step(&Msg{Kind: MsgPublish, Guild: 1, Event: e})
		s.work(1 << 20)
		b.StopTimer()
		for slot := range uint32(receivers) {
			out, _ := s.out.Collect(slot, nil, 1<<20)
			s.out.Advance(slot, len(out))
			seq, _, _ := s.out.Seqs(slot)
			s.out.Ack(slot, seq)
		}
		b.StartTimer()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/receivers, "ns/receiver")
}
