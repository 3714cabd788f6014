package fanout

import (
	"bytes"
	"testing"

	"throng/wire"
)

// movedBoard makes a board anew as another process does, on the same outbox.
func movedBoard(t testing.TB, old *Board) *Board {
	t.Helper()
	next := NewBoard(old.out, old.smallMax, HistoryLimits{})
	for _, guild := range old.RelayGuilds() {
		part := old.AppendRelay(nil, guild)
		if err := next.RestoreRelay(part); err != nil {
			t.Fatal(err)
		}
		if again := next.AppendRelay(nil, guild); !bytes.Equal(part, again) {
			t.Fatalf("guild %d is\n%x, was\n%x", guild, again, part)
		}
	}
	if err := next.Check(); err != nil {
		t.Fatal(err)
	}
	return next
}

// move has the stage go on with another board, once nobody waits for a turn.
func (s *stage) move() {
	for s.board.Busy() {
		s.work(3)
	}
	s.board = movedBoard(s.t, s.board)
}

func TestRelayOfPassiveReceiversGoesOn(t *testing.T) {
	s := newStage(t)
	s.ways = nil
	for class := range uint32(5) {
		h := s.open()
		s.step(&Msg{Kind: MsgAdmit, Guild: 7, To: h, Class: class, Version: 3 + class,
			Passive: class%2 == 0, Receiver: Receiver{Handle: h, User: 9, Updates: UpdateMode(class % 2),
				Variant: wire.Variant(class)}})
	}
	s.move()
	for slot := range uint32(5) {
		if got := s.board.Passive(slot, 7); got != (slot%2 == 0) {
			t.Errorf("session %d: passive is %v", slot, got)
		}
	}
}

func TestRelayOfNobodysSessionsIsRefused(t *testing.T) {
	s := newStage(t)
	h := s.open()
	s.join(1, h, 0)
	part := s.board.AppendRelay(nil, 1)
	for cut := range len(part) {
		if NewBoard(s.out, 0, HistoryLimits{}).RestoreRelay(part[:cut]) == nil {
			t.Errorf("%d of %d bytes were taken", cut, len(part))
		}
	}
	s.out.Close(h.Slot)
	if NewBoard(s.out, 0, HistoryLimits{}).RestoreRelay(part) == nil {
		t.Error("a session that has ended was taken")
	}
}
