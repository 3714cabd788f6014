package fanout

import (
	"fmt"
	"strings"
	"testing"

	"throng/store"
	"throng/wire"
)

// band is a board whose sessions have JSON zstd streams, and how what they get is packed.
type band struct {
	*stage
	at    map[uint32]*wire.Stream
	modes map[uint32][wire.ModeCount]int
	slot  uint32 // whose frames are collected
}

func newBand(t *testing.T, limits HistoryLimits) *band {
	b := &band{at: map[uint32]*wire.Stream{}, modes: map[uint32][wire.ModeCount]int{}}
	out := store.NewOutbox(8<<20, 1<<20,
		func(dst, frame []byte, _ int, _ uint8, seq uint32) []byte {
			dst, p := wire.AppendStreamed(dst, frame, seq, b.at[b.slot], 1<<20)
			modes := b.modes[b.slot]
			modes[p.Mode]++
			b.modes[b.slot] = modes
			return dst
		})
	b.stage = &stage{t: t, out: out, board: NewBoard(out, 0, limits), gens: map[uint32]uint32{}}
	return b
}

func (b *band) joins(guild wire.Snowflake, class uint32) (h Handle) {
	h = b.open()
	b.at[h.Slot] = &wire.Stream{}
	b.at[h.Slot].Say(wire.Said{Text: 13_000, Taught: 12_500}, 1<<20) // As HELLO does.
	b.step(&Msg{Kind: MsgAdmit, Guild: guild, To: h, Class: class, Receiver: Receiver{Handle: h,
		User: wire.Snowflake(h.Slot), Variant: historyVariant}})
	return h
}

// say publishes an event, and has everybody sent it.
func (b *band) say(guild wire.Snowflake, visible Bitset) {
	b.step(&Msg{Kind: MsgPublish, Guild: guild, Event: &Event{Visible: visible,
		Dispatch: wire.NewDispatch("TEST", []byte(`{"text":"`+strings.Repeat("x", 100)+`"}`), nil)}})
	for b.board.Busy() {
		b.work(5)
	}
	for slot := range b.at {
		b.slot = slot
		out, ok := b.out.Collect(slot, nil, 1<<20)
		if !ok {
			b.t.Fatal("a session is lost")
		}
		b.out.Advance(slot, len(out))
	}
}

// TestWhatFewHearIsNotInTheHistory: events that only some may see do not end the agreement of all
// others with what they were sent.
func TestWhatFewHearIsNotInTheHistory(t *testing.T) {
	b := newBand(t, HistoryLimits{Max: 1, ReceiversMin: 4})
	var many []Handle
	for range 9 {
		many = append(many, b.joins(1, 0))
	}
	few := b.joins(1, 1)
	everybody, some := Bitset{0b11}, Bitset{0b10}
	b.say(1, everybody) // After that there is a history,
	b.say(1, everybody) // of which this is the first.
	for range 10 {
		b.say(1, some)
		b.say(1, everybody)
	}
	for _, h := range many {
		if got := b.modes[h.Slot]; got[wire.ModeHistory] != 10 {
			t.Errorf("one of the many: %v", got)
		}
	}
	if got := b.modes[few.Slot]; got[wire.ModeHistory] != 0 || b.given(few) != 22 {
		t.Errorf("one of the few: %v", got)
	}
	if count, bytes := b.board.HistoryMemory(); count != 1 || bytes != wire.HistoryBytes {
		t.Errorf("%d histories of %d bytes", count, bytes)
	}
}

// TestHistoryEndsWithItsReceivers: when nobody with a zstd stream is left the room is another's, also
// where others still listen.
func TestHistoryEndsWithItsReceivers(t *testing.T) {
	b := newBand(t, HistoryLimits{Max: 1, ReceiversMin: 2})
	plain := b.open()
	b.step(&Msg{Kind: MsgAdmit, Guild: 1, To: plain, Receiver: Receiver{Handle: plain, User: 99}})
	many := []Handle{b.joins(1, 0), b.joins(1, 0)}
	b.say(1, nil)
	if count, _ := b.board.HistoryMemory(); count != 1 {
		t.Fatalf("%d histories with two receivers", count)
	}
	for _, h := range many {
		b.board.Drop(h.Slot)
		b.out.Close(h.Slot)
		delete(b.at, h.Slot)
	}
	b.say(1, nil)
	if count, _ := b.board.HistoryMemory(); count != 0 {
		t.Errorf("%d histories with none", count)
	}
}

// TestHistoriesOfTwoProcesses: a session that was taken over has been sent the frames of the process
// before, and the history of this one is another although it has the same events at the same places.
func TestHistoriesOfTwoProcesses(t *testing.T) {
	const events = 30
	modes := func(before, now uint64) wire.Mode {
		old := newBand(t, HistoryLimits{Max: 1, ReceiversMin: 1, Seed: before})
		h := old.joins(1, 0)
		for range events {
			old.say(1, nil)
		}
		next := newBand(t, HistoryLimits{Max: 1, ReceiversMin: 1, Seed: now})
		next.joins(1, 0)
		for range events {
			next.say(1, nil)
		}
		taken := next.joins(1, 0)
		*next.at[taken.Slot] = *old.at[h.Slot]
		next.say(1, nil)
		for m, n := range next.modes[taken.Slot] {
			if n > 0 {
				return wire.Mode(m)
			}
		}
		return wire.ModeCount
	}
	const seed = 7<<32 | 5
	if m := modes(seed, seed); m != wire.ModeHistory {
		t.Errorf("with one history the first event is packed against %v", m)
	}
	if m := modes(seed, 9<<32|5); m != wire.ModeTemplate {
		t.Errorf("with another's history the first event is packed against %v", m)
	}
}

// TestHistoriesStayWhereTheyAre: more guilds than may have one do not take it from each other, and
// one that is not used for long goes to who needs it; with its receivers it ends.
func TestHistoriesStayWhereTheyAre(t *testing.T) {
	b := newBand(t, HistoryLimits{Max: 2, ReceiversMin: 2})
	handles := map[wire.Snowflake][]Handle{}
	for guild := wire.Snowflake(1); guild <= 3; guild++ {
		for range 2 {
			handles[guild] = append(handles[guild], b.joins(guild, 0))
		}
	}
	has := func() (all string) {
		for guild := wire.Snowflake(1); guild <= 3; guild++ {
			if n, ok := b.board.numbers[guild]; ok && b.board.relays[n].history != nil {
				all += fmt.Sprint(guild)
			}
		}
		return all
	}
	for range 20 {
		b.say(1, nil)
		b.say(2, nil)
		b.say(3, nil)
	}
	if has() != "12" {
		t.Errorf("guilds with a history: %s", has())
	}
	for range historyRest/2 + 1 {
		b.say(2, nil)
		b.say(3, nil)
	}
	if has() != "23" {
		t.Errorf("when one has said nothing for long: %s", has())
	}
	for _, h := range handles[2] {
		b.board.Drop(h.Slot)
		b.out.Close(h.Slot)
		delete(b.at, h.Slot)
	}
	b.board.Drop(handles[3][0].Slot)
	b.out.Close(handles[3][0].Slot)
	delete(b.at, handles[3][0].Slot)
	if has() != "3" {
		t.Errorf("when one guild has gone: %s", has())
	}
	b.board.histories.limits.ReceiversMin = 4
	b.say(3, nil)
	if count, _ := b.board.HistoryMemory(); has() != "" || count != 0 {
		t.Errorf("when nearly everybody has gone: %s, %d", has(), count)
	}
}
