package node

import (
	"io"
	"net"
	"reflect"
	"slices"
	"testing"

	"throng/store"
	"throng/wire"
	"throng/wire/pack"
)

// notLeft are fields of a session that another process makes anew, or that belong to its socket.
var notLeft = []string{"began", "broken", "timed", "awaited", "resumedSeq", "socket", "joining",
	"expires", "habits"}

// TestSessionIsLeftWhole: whatever a session has is there in another process, or is named above.
func TestSessionIsLeftWhole(t *testing.T) {
	old, next := newHandNode(t, store.NewMemory()), newHandNode(t, store.NewMemory())
	l, since := old.loops[1], int64(7)
	s := &session{token: tokenHash("t"), user: 3, shard: [2]int32{2, 5}, intents: 7, large: 60,
		variant: 1, version: 9, compression: wire.CompressionZstd, bot: true, sharded: true,
		payload: true, updates: 1, platform: 2, guilds: []wire.Snowflake{10, 20}, asked: 2,
		sentBytes: 99, presence: &wire.PresenceCommand{Since: &since, Status: wire.StatusIdle,
			AFK: true, Activities: []byte(`[{"name":"x","type":0}]`)}}
	l.out.Open()
	s.slot, s.gen = l.out.Open()
	l.newID(&s.id, s.slot)
	h := s.habit()
	h.presences, h.presentAt, h.lists[10] = 3, l.time-400, l.time-900
	s.began, s.expires = old.clock()-500, l.time+700

	part := l.appendSession(nil, s)
	fields := reflect.ValueOf(*s)
	for i := range fields.NumField() {
		name := fields.Type().Field(i).Name
		if fields.Field(i).IsZero() && !slices.Contains(notLeft, name) {
			t.Errorf("%s is not tried", name)
		}
	}
	to := next.loops[1]
	next.now, to.time = 5000, 3000
	var slot store.SlotState
	for i := range l.out.Slots() {
		l.out.ReadSlot(uint32(i), &slot)
		if err := to.out.RestoreSlot(&slot); err != nil {
			t.Fatal(err)
		}
	}
	for cut := range len(part) {
		if to.inherit(legacySessions, pack.NewReader(part[:cut])) == nil && cut > 0 {
			t.Fatalf("%d of %d bytes were taken", cut, len(part))
		}
	}
	if err := to.inherit(legacySessions, pack.NewReader(part)); err != nil {
		t.Fatal(err)
	}
	got := to.sessions[s.slot]
	if ago := next.now - got.began; ago != 500 {
		t.Errorf("it began %d ms ago, want 500", ago)
	}
	if left := got.expires - to.time; left != 700 || !got.timed {
		t.Errorf("it ends in %d ms, want 700", left)
	}
	if g := got.habits; g.presences != 3 || to.time-g.presentAt != 400 ||
		to.time-g.lists[10] != 900 || len(g.lists) != 1 {
		t.Errorf("its habits are %+v", g)
	}
	was, is := *s, *got
	for _, o := range []*session{&was, &is} {
		o.began, o.timed, o.expires, o.habits = 0, false, 0, nil
	}
	if !reflect.DeepEqual(was, is) {
		t.Errorf("it is\n%+v, was\n%+v", is, was)
	}
	if err := to.inherit(legacySessions, pack.NewReader(part)); err == nil {
		t.Error("the same session was taken twice")
	}
}

// TestPipeRefusesNonsense: what is no part, or more than any part, ends the reading.
func TestPipeRefusesNonsense(t *testing.T) {
	for name, head := range map[string][]byte{
		"an unknown part": {99, 0, 0, 0, 0, 0, 0, 0, 0},
		"a part too long": {0, 0, 0, 0, 0, 0, 0, 0, 1},
		"half of a head":  {0, 0, 0},
		"half of a part":  {0, 9, 0, 0, 0, 0, 0, 0, 0, 1},
	} {
		from, to := net.Pipe()
		go func() {
			_, _ = from.Write(head)
			_ = from.Close()
		}()
		if _, _, err := newLegacyPipe(to).next(); err == nil || err == io.EOF {
			t.Errorf("%s: %v", name, err)
		}
		_ = to.Close()
	}
}
