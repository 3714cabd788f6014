package fanout

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"throng/wire"
)

// joinPassive lets a session join that does not listen.
func (s *stage) joinPassive(guild wire.Snowflake, h Handle, class uint32) {
	s.step(&Msg{Kind: MsgAdmit, Guild: guild, To: h, Class: class, Passive: true, Version: 1,
		Receiver: Receiver{Handle: h, User: wire.Snowflake(h.Slot)}})
}

// TestPassiveReceiversAreNotLookedAt counts at whom passes look.
func TestPassiveReceiversAreNotLookedAt(t *testing.T) {
	s := newStage(t)
	for i := range 1000 {
		if i%10 == 0 {
			s.join(1, s.open(), 0)
		} else {
			s.joinPassive(1, s.open(), 0)
		}
	}
	for range 7 {
		s.publish(1, nil)
	}
	for s.board.Busy() {
		s.work(64)
	}
	if active, passive := s.board.Looked(); active != 700 || passive != 0 {
		t.Errorf("events looked at %d active and %d passive receivers, want 700 and 0", active, passive)
	}
	s.step(&Msg{Kind: MsgPublish, Guild: 1, Event: &Event{Passive: true,
		Dispatch: wire.NewDispatch("GUILD_UPDATE", []byte(`{}`), nil)}})
	for s.board.Busy() {
		s.work(64)
	}
	if active, passive := s.board.Looked(); active != 800 || passive != 900 {
		t.Errorf("structure looked at %d and %d more, want 100 and 900", active-700, passive)
	}
	if got := s.board.Deliveries(); got != 7*100+1000 {
		t.Errorf("%d deliveries, want 1700", got)
	}
}

// TestRelayWithPassiveReceivers lets sessions join, wake, rest, change class and end at random
// while events are handed out a few receivers at a time, and counts what each is given.
func TestRelayWithPassiveReceivers(t *testing.T) {
	for seed := range uint64(100) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { runPassiveBoard(t, seed) })
	}
}

type restless struct {
	h       Handle
	class   uint32
	passive bool
	want    int
}

func runPassiveBoard(t *testing.T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 3))
	s := newStage(t)
	var in, all []*restless
	someone := func() *restless { return in[r.IntN(len(in))] }
	for range 600 {
		k := r.IntN(10)
		if len(in) == 0 {
			k = 0
		}
		switch k {
		case 0, 1:
			m := &restless{h: s.open(), class: uint32(r.IntN(3)), passive: r.IntN(2) == 0}
			in, all = append(in, m), append(all, m)
			if m.passive {
				s.joinPassive(1, m.h, m.class)
			} else {
				s.join(1, m.h, m.class)
			}
		case 2:
			m := someone()
			m.class = uint32(r.IntN(3))
			s.step(&Msg{Kind: MsgReclass, Guild: 1, To: m.h, Class: m.class})
		case 3:
			m := someone()
			m.passive = !m.passive
			kind := MsgActivate
			if m.passive {
				kind = MsgDeactivate
			}
			s.step(&Msg{Kind: kind, Guild: 1, To: m.h, Version: 1})
		case 4:
			i := r.IntN(len(in))
			m := in[i]
			in = slices.Delete(in, i, i+1)
			if r.IntN(2) == 0 {
				s.step(&Msg{Kind: MsgExpel, Guild: 1, To: m.h})
				break
			}
			// It ends in the middle of whatever goes on; what it got is nobody's business.
			all = slices.DeleteFunc(all, func(o *restless) bool { return o == m })
			s.board.Drop(m.h.Slot)
			s.out.Close(m.h.Slot)
		case 5:
			m := someone()
			m.want++
			s.step(&Msg{Kind: MsgDirect, Guild: 1, To: m.h, Event: &Event{
				Dispatch: wire.NewDispatch("TEST", []byte(`{}`), nil)}})
		default:
			e := &Event{Dispatch: wire.NewDispatch("TEST", []byte(`{}`), nil),
				Visible: Bitset{uint64(r.IntN(8))}, Passive: r.IntN(2) == 0}
			s.step(&Msg{Kind: MsgPublish, Guild: 1, Event: e})
			for _, m := range in {
				if e.Visible.Has(m.class) && (!m.passive || e.Passive) {
					m.want++
				}
			}
		}
		if r.IntN(3) == 0 {
			s.work(1 + r.IntN(6))
		}
		if err := s.board.Check(); err != nil {
			t.Fatal(err)
		}
	}
	for s.board.Busy() {
		s.work(3)
	}
	for _, m := range all {
		if got := s.given(m.h); got != m.want {
			t.Errorf("session %d: got %d events, want %d", m.h.Slot, got, m.want)
		}
	}
	for _, m := range in {
		if got := s.board.Passive(m.h.Slot, 1); got != m.passive {
			t.Errorf("session %d is passive: %t", m.h.Slot, got)
		}
	}
}

// TestUpdateReachesEachPassiveReceiverOnce cuts an update into turns while sessions end.
func TestUpdateReachesEachPassiveReceiverOnce(t *testing.T) {
	s := newStage(t)
	var passive []Handle
	for range 50 {
		s.join(1, s.open(), 0)
		h := s.open()
		s.joinPassive(1, h, 0)
		passive = append(passive, h)
	}
	u := &Update{guild: 1, version: 2, classes: make([]classView, 1),
		channels: []unread{{id: 10, last: 5, version: 2}},
		made:     map[updateKey][]*wire.Dispatch{}}
	u.classes[0].base = wire.PermissionViewChannel
	publish := func() {
		s.step(&Msg{Kind: MsgPublish, Guild: 1, Event: &Event{Passive: true, Update: u}})
	}
	publish()
	s.work(20)
	s.board.Drop(passive[3].Slot)
	s.board.Drop(passive[40].Slot)
	for s.board.Busy() {
		s.work(7)
	}
	publish() // They know it by now.
	for s.board.Busy() {
		s.work(7)
	}
	for i, h := range passive {
		if i != 3 && i != 40 && s.given(h) != 1 {
			t.Errorf("session %d was told %d times", i, s.given(h))
		}
	}
	if active, _ := s.board.Looked(); active != 0 {
		t.Errorf("the update looked at %d active receivers", active)
	}
	if err := s.board.Check(); err != nil {
		t.Error(err)
	}
}

// BenchmarkPassive is a message to 15,000 receivers of one loop, of whom so many per cent are
// passive. The frames themselves are not written; what is measured is what a fan-out costs.
func BenchmarkPassive(b *testing.B) {
	for _, share := range []int{0, 50, 90, 99} {
		b.Run(fmt.Sprintf("%d%%", share), func(b *testing.B) {
			s := newStage(b)
			for i := range 15_000 {
				if i%100 < share {
					s.joinPassive(1, s.open(), 0)
				} else {
					s.join(1, s.open(), 0)
				}
			}
			b.ReportAllocs()
			for b.Loop() {
				s.publish(1, nil)
				s.work(1 << 20)
				b.StopTimer()
				s.drain(15_000)
				b.StartTimer()
			}
		})
	}
}

// drain has the sessions read and acknowledge what they were given.
func (s *stage) drain(sessions uint32) {
	for slot := range sessions {
		out, _ := s.out.Collect(slot, nil, 1<<20)
		s.out.Advance(slot, len(out))
		seq, _, _ := s.out.Seqs(slot)
		s.out.Ack(slot, seq)
	}
}

// TestBoardShares holds that what several get alike is in the journal once, and that whoever has
// left meanwhile is passed over.
func TestBoardShares(t *testing.T) {
	s := newStage(t)
	var several []Handle
	for range 100 {
		h := s.open()
		s.join(1, h, 0)
		several = append(several, h)
	}
	stranger := s.open()
	gone := several[7]
	s.step(&Msg{Kind: MsgExpel, Guild: 1, To: gone})
	before := s.out.Stats().JournalBytes
	body := append(append([]byte(`{"x":"`), bytes.Repeat([]byte("x"), 1000)...), `"}`...)
	s.step(&Msg{Kind: MsgShare, Guild: 1, Several: append(several, stranger),
		Dispatches: []*wire.Dispatch{wire.NewDispatch("TEST", body, nil)}})
	for _, h := range several {
		want(t, "given", s.given(h), map[bool]int{true: 0, false: 1}[h == gone])
	}
	want(t, "given to a stranger", s.given(stranger), 0)
	if used := s.out.Stats().JournalBytes - before; used > 2000 {
		t.Errorf("got %d bytes of journal for one frame of 1,000", used)
	}
}
