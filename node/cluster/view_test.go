package cluster

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"throng/store"
	"throng/tuning"
)

const testPrefix = keyRoot + "test/"

// putNode puts a record as the node would have written it.
func putNode(t *testing.T, s *state, revision uint64, n Node) {
	t.Helper()
	value, err := json.Marshal(n)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.put(testPrefix+keyNodes+n.Name, value, revision); err != nil {
		t.Fatal(err)
	}
	s.revision = revision
}

func owners(v *View) map[string]int {
	count := map[string]int{}
	for guild := range uint64(30_000) {
		count[v.Owner(guild)]++
	}
	return count
}

func TestViewPlacesGuilds(t *testing.T) {
	s := newState(testPrefix)
	empty := nextView(nil, s)
	if empty.Owner(1) != "" || len(empty.Nodes) != 0 {
		t.Errorf("nobody is there, and %q owns guild 1", empty.Owner(1))
	}
	for i, name := range []string{"b", "a", "c"} {
		putNode(t, s, uint64(10+i), Node{Name: name, Weight: store.RingWeight})
	}
	three := nextView(empty, s)
	if three.Generation != 12 || three.Nodes[0].Name != "a" || three.Nodes[0].Incarnation != 11 {
		t.Errorf("the view is %+v", three)
	}
	for name, count := range owners(three) {
		if count < 8000 || count > 12_000 {
			t.Errorf("%s owns %d of 30,000 guilds", name, count)
		}
	}
	n, known := three.Node("c")
	if _, unknown := three.Node("d"); !known || unknown || n.Incarnation != 12 {
		t.Errorf("c is %+v, %v", n, known)
	}

	putNode(t, s, 20, Node{Name: "b", Weight: store.RingWeight, Draining: true})
	drained := nextView(three, s)
	if got := owners(drained); got["b"] != 0 || len(got) != 2 {
		t.Errorf("b drains, and guilds are owned so: %v", got)
	}
	if drained.Ring.Generation() != three.Ring.Generation()+1 {
		t.Errorf("the ring is of generation %d after %d", drained.Ring.Generation(),
			three.Ring.Generation())
	}
	for guild := range uint64(1000) {
		if was := three.Owner(guild); was != "b" && drained.Owner(guild) != was {
			t.Errorf("guild %d went from %s to %s", guild, was, drained.Owner(guild))
		}
	}
}

func TestViewPins(t *testing.T) {
	s := newState(testPrefix)
	putNode(t, s, 1, Node{Name: "a", Weight: store.RingWeight})
	putNode(t, s, 2, Node{Name: "big", Weight: 0})
	if err := s.put(testPrefix+keyPins+"77", []byte("big"), 3); err != nil {
		t.Fatal(err)
	}
	v := nextView(nil, s)
	if got := owners(v); got["big"] != 1 || v.Owner(77) != "big" {
		t.Errorf("a pinned guild is with %s; all: %v", v.Owner(77), got)
	}
	putNode(t, s, 4, Node{Name: "big", Draining: true})
	if v = nextView(v, s); v.Owner(77) != "a" {
		t.Errorf("its node drains, and the guild is with %q", v.Owner(77))
	}
	putNode(t, s, 5, Node{Name: "big"})
	s.delete(testPrefix + keyPins + "77")
	if v = nextView(v, s); v.Owner(77) != "a" || len(v.Pins) != 0 {
		t.Errorf("nothing is pinned, and the guild is with %q", v.Owner(77))
	}
}

// TestViewKeepsTheRing: a change that moves no guild is no new generation of the ring, so that
// what the ring knows of earlier owners stays.
func TestViewKeepsTheRing(t *testing.T) {
	s := newState(testPrefix)
	putNode(t, s, 1, Node{Name: "a", Weight: 5})
	before := nextView(nil, s)
	if err := s.put(testPrefix+keyConfig, []byte("x"), 2); err != nil {
		t.Fatal(err)
	}
	putNode(t, s, 3, Node{Name: "a", Weight: 5, Version: "2"})
	after := nextView(before, s)
	if after.Ring != before.Ring || after.Generation != 3 || string(after.Config) != "x" {
		t.Errorf("after is %+v", after)
	}
	if before.Config != nil || before.Nodes[0].Version != "" {
		t.Error("the earlier view has changed")
	}
	s.delete(testPrefix + keyConfig)
	if nextView(after, s).Config != nil {
		t.Error("the configuration is still there")
	}
}

// TestViewIsTheSameForAll: two nodes that heard of the same changes, one of each change and one of
// what was left in the end, agree on every owner.
func TestViewIsTheSameForAll(t *testing.T) {
	for seed := range uint64(50) {
		random := rand.New(rand.NewPCG(seed, 1))
		each := newState(testPrefix)
		var v *View
		for revision := uint64(1); revision < 60; revision++ {
			name := fmt.Sprintf("n%d", random.IntN(8))
			pin := fmt.Sprintf("%s%s%d", testPrefix, keyPins, random.IntN(20))
			switch random.IntN(5) {
			case 0:
				each.delete(testPrefix + keyNodes + name)
			case 1:
				each.delete(pin)
			case 2:
				_ = each.put(pin, []byte(name), revision)
			default:
				putNode(t, each, revision, Node{
					Name: name, Weight: random.IntN(2 * store.RingWeight),
					Draining: random.IntN(4) == 0,
				})
			}
			each.revision = revision
			v = nextView(v, each)
		}
		whole := newState(testPrefix)
		for _, n := range slices.Backward(v.Nodes) {
			putNode(t, whole, n.Incarnation, n)
		}
		for guild, name := range v.Pins {
			_ = whole.put(fmt.Sprintf("%s%s%d", testPrefix, keyPins, guild), []byte(name), 1)
		}
		w := nextView(nil, whole)
		for guild := range uint64(500) {
			if v.Owner(guild) != w.Owner(guild) {
				t.Fatalf("seed %d: guild %d is with %s and with %s", seed, guild, v.Owner(guild),
					w.Owner(guild))
			}
		}
	}
}

func TestStatePassesOverWhatCannotBeMeant(t *testing.T) {
	s := newState(testPrefix)
	for key, value := range map[string]string{
		testPrefix + "x":                   "",
		testPrefix + keyNodes:              `{"name":""}`,
		testPrefix + keyNodes + "a":        `{"name":"b"}`,
		testPrefix + keyNodes + "b":        `{"name":`,
		testPrefix + keyNodes + "c/d":      `{"name":"c/d"}`,
		testPrefix + keyPins + "x":         "a",
		testPrefix + keyPins + "1":         "a b",
		keyRoot + "else/" + keyNodes + "a": `{"name":"a"}`,
	} {
		if err := s.put(key, []byte(value), 1); err == nil {
			t.Errorf("%s = %s is taken", key, value)
		}
	}
	if len(s.nodes) != 0 || len(s.pins) != 0 {
		t.Errorf("the state is %+v", s)
	}
	// A record that becomes nonsense is not there any more, rather than what it was.
	putNode(t, s, 1, Node{Name: "a"})
	if err := s.put(testPrefix+keyNodes+"a", []byte("{"), 1); err == nil || len(s.nodes) != 0 {
		t.Errorf("error %v, nodes %v", err, s.nodes)
	}
	s.delete(testPrefix + "x")
	// A ring can be made of any weights.
	for i, weight := range []int{-5, store.RingWeightMax + 1, store.RingPointsMax,
		store.RingWeightMax, store.RingWeightMax, store.RingWeightMax, store.RingWeightMax,
		store.RingWeightMax, store.RingWeightMax, store.RingWeightMax, store.RingWeightMax,
		store.RingWeightMax, store.RingWeightMax, store.RingWeightMax, store.RingWeightMax,
		store.RingWeightMax, store.RingWeightMax, store.RingWeightMax, store.RingWeightMax} {
		putNode(t, s, 2, Node{Name: fmt.Sprintf("n%02d", i), Weight: weight})
	}
	if nextView(nil, s).Owner(1) == "" {
		t.Error("nobody owns guild 1")
	}
}

func TestValidName(t *testing.T) {
	for name, want := range map[string]bool{
		"a": true, "node-1": true, "node_1.example.com": true, "A9": true,
		strings.Repeat("x", tuning.NodeNameBytesMax): true,
		"": false, ".a": false, "a.": false, "a..b": false, "a b": false, "a/b": false, "ä": false,
		"*": false, ">": false, "a\x00": false, strings.Repeat("x", tuning.NodeNameBytesMax+1): false,
	} {
		if ValidName(name) != want {
			t.Errorf("%q: want %v", name, want)
		}
	}
}
