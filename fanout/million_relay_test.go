package fanout

import (
	"fmt"
	"testing"

	"throng/wire"
)

// TestRelayKnowsItsReceiversOnly counts what relays are told by guilds of 2,000 and of 20,000
// members with three sessions on two loops: the size of the guild must not show in it.
func TestRelayKnowsItsReceiversOnly(t *testing.T) {
	var admitBytes [2]int
	for k, members := range []int{2_000, 20_000} {
		g := newMillion(t, members)
		stages := []*stage{newStage(t), newStage(t)}
		told := map[MsgKind]int{}
		tell := func(c Change, err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
			for i := range c.Msgs {
				m := &c.Msgs[i]
				told[m.Kind]++
				for loop, s := range stages {
					if m.Loop == AllLoops || m.Loop == loop {
						s.step(m)
						s.work(1000)
					}
				}
				for _, d := range m.Dispatches {
					admitBytes[k] += len(d.Body())
				}
			}
		}
		for i, loop := range []int{0, 0, 1} {
			h := stages[loop].open()
			h.Loop = uint16(loop)
			tell(g.Join(Receiver{Handle: h, User: millionUser(i), LargeThreshold: 250,
				Intents: wire.IntentsBot &^ wire.IntentGuildPresences}, testNow))
		}
		for i := range 100 {
			body := fmt.Appendf(nil, `{"user":{"id":"%d"},"roles":["%d"]}`, millionUser(1000+i),
				millionRole(i%millionRoles))
			tell(g.Publish("GUILD_MEMBER_UPDATE", body, testNow))
		}
		if told[MsgAdmit] != 3 || told[MsgReclass] != 0 || told[MsgPublish] != 100 {
			t.Errorf("%d members: relays were told %v", members, told)
		}
		tell(g.Publish("GUILD_MEMBER_UPDATE", fmt.Appendf(nil,
			`{"user":{"id":"%d"},"roles":[]}`, millionUser(2)), testNow))
		if told[MsgReclass] != 1 {
			t.Errorf("a change of a member with a session was told %d times", told[MsgReclass])
		}
		for loop, want := range []int{2, 1} {
			r := stages[loop].board.relays[stages[loop].board.numbers[g.id]]
			got := r.active.len() + r.passive.len()
			room := cap(r.active.users) + cap(r.passive.users)
			if got != want || room > 8 {
				t.Errorf("loop %d: the relay has %d receivers, want %d, and room for %d", loop, got,
					want, room)
			}
		}
	}
	// The number of members is in GUILD_CREATE, one digit longer each time.
	if admitBytes[1] > admitBytes[0]+50 {
		t.Errorf("joining took %d bytes with 2,000 members, %d with 20,000", admitBytes[0],
			admitBytes[1])
	}
}

// BenchmarkMillionRelay is the first session of a loop in a guild of a million members: what the
// guild does, and what the loop does to make the relay.
func BenchmarkMillionRelay(b *testing.B) {
	g := newMillion(b, millionMembers)
	s := newStage(b)
	h := s.open()
	receiver := Receiver{Handle: h, User: millionUser(1), LargeThreshold: 250,
		Intents: wire.IntentsBot}
	b.ReportAllocs()
	for b.Loop() {
		c, err := g.Join(receiver, testNow)
		if err != nil {
			b.Fatal(err)
		}
		for i := range c.Msgs {
			s.step(&c.Msgs[i])
		}
		s.board.Drop(h.Slot)
		g.Leave(h, testNow)
	}
}
