package fanout

import (
	"math/rand/v2"
	"testing"

	"throng/store"
)

// carrying has a world's guild carried elsewhere at random moments: it becomes another guild, with
// what was carried, and all goes on with that one.
type carrying struct {
	rng   *rand.Rand
	to    *Guild // nil before it is read
	take  *Take
	done  int
	parts int
}

// carryWorlds, when it is set, is for every world that is made.
var carryWorlds *carrying

// step does something of the carrying.
func (y *carrying) step(w *world) {
	g := w.g
	switch y.rng.IntN(8) {
	case 0, 1:
		if g.carry == nil {
			g.Carry()
			y.to = nil
		} else if y.to == nil {
			y.to = reread(w.t, g)
			y.take = y.to.Take(func(h Handle) (Handle, bool) { return h, true })
		}
	case 2, 3, 4:
		if g.carry != nil && y.to != nil {
			y.next(w, g.carry.Next(nil, 1+y.rng.IntN(5), 1+y.rng.IntN(400)))
		}
	case 5:
		if g.carry != nil && y.to != nil && g.carry.through {
			y.finish(w)
		}
	case 6:
		if y.rng.IntN(10) == 0 {
			g.EndCarry()
		}
	}
}

// reread is the guild as another node reads it from the directory.
func reread(t testing.TB, g *Guild) *Guild {
	t.Helper()
	to := NewGuild(g.id, g.users)
	to.SetLimits(g.limits)
	to.UseVoiceServers(g.servers)
	to.pushes = g.pushes
	if err := to.Restore(g.Doc()); err != nil {
		t.Fatal(err)
	}
	g.members.Range(func(m store.Member) bool {
		to.RestoreMember(g.record(m))
		return true
	})
	return to
}

func (y *carrying) next(w *world, part []byte) {
	w.t.Helper()
	y.parts++
	if err := y.take.Next(part); err != nil {
		w.t.Fatalf("part %x: %v", part, err)
	}
}

func (y *carrying) finish(w *world) {
	w.t.Helper()
	from := w.g
	before, doc := from.Info(), string(from.Doc())
	due := from.NextTick()
	parts, last := from.carry.Last(1 + y.rng.IntN(400))
	from.Close()
	for i := range last.Msgs {
		w.deliver(w.travel(&last.Msgs[i]))
	}
	for _, part := range parts {
		y.next(w, part)
	}
	change, err := y.take.Done(w.now)
	if err != nil {
		w.t.Fatal(err)
	}
	w.g, y.to, y.take = y.to, nil, nil
	after := w.g.Info()
	before.Loops, after.Loops = nil, nil
	want(w.t, "what was carried", after, before)
	want(w.t, "the document", string(w.g.Doc()), doc)
	if due != 0 && w.g.NextTick() == 0 {
		w.t.Error("it wants no tick any more")
	}
	y.done++
	for i := range change.Msgs {
		w.deliver(w.travel(&change.Msgs[i]))
	}
}

// TestCarriedGuildsGoOnAsTheyWere: what the guild's other tests hold of it, they hold of one that
// is carried elsewhere between any two steps, again and again.
func TestCarriedGuildsGoOnAsTheyWere(t *testing.T) {
	seeds := uint64(2)
	if testing.Short() {
		seeds = 1
	}
	for seed := range seeds {
		y := &carrying{rng: rand.New(rand.NewPCG(seed, 11))}
		carryWorlds = y
		for _, test := range []struct {
			name string
			run  func(*testing.T)
		}{
			{"scenarios", TestScenarios},
			{"audience", TestAudienceIsWhoMayLook},
			{"voice", TestVoiceModel},
		} {
			t.Run(test.name, test.run)
		}
		carryWorlds = nil
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
		if y.done < 50 {
			t.Errorf("seed %d: carried %d times only", seed, y.done)
		}
	}
}

// FuzzTake: whatever another node says is a guild, it is read or refused.
func FuzzTake(f *testing.F) {
	w := newWorld(f, plainDoc)
	w.member(100, "")
	w.member(101, `"nick":"n"`)
	s := w.join(101, allOfThem)
	w.presence(s, "dnd")
	c := w.g.Carry()
	for c.Left() > 0 {
		f.Add(c.Next(nil, 10, 1000))
	}
	parts, _ := c.Last(1 << 20)
	f.Add(parts[0])
	f.Fuzz(func(t *testing.T, part []byte) {
		g := NewGuild(guildID, w.users)
		if err := g.Restore([]byte(plainDoc)); err != nil {
			t.Fatal(err)
		}
		take := g.Take(func(h Handle) (Handle, bool) { return h, true })
		if take.Next(part) == nil {
			take.Done(testNow)
		}
	})
}
