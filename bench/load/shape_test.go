package load

import (
	"fmt"
	"slices"
	"testing"

	"throng/wire"
)

func shapeOf(t *testing.T, c Config) *shape {
	t.Helper()
	s, err := newShape(new(c.withDefaults()))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestShapes(t *testing.T) {
	for _, c := range []struct {
		name         string
		config       Config
		guilds       int
		first, total int // Members.
	}{
		{"one", Config{Users: 10}, 1, 10, 10},
		{"one, several", Config{Users: 10, Guilds: 3}, 3, 10, 30},
		{"small", Config{Users: 100, Shape: "small:10"}, 10, 10, 100},
		{"small, three each", Config{Users: 100, Shape: "small:10", PerUser: 3}, 30, 10, 300},
		{"small, uneven", Config{Users: 7, Shape: "small:4", PerUser: 2}, 4, 4, 0},
		{"small, more than all", Config{Users: 5, Shape: "small:10"}, 1, 5, 5},
		{"zipf", Config{Users: 1000, Shape: "zipf:1", Guilds: 10}, 10, 341, 0},
		{"zipf, flat", Config{Users: 1000, Shape: "zipf:0", Guilds: 10}, 10, 100, 1000},
		{"zipf, capped", Config{Users: 10, Shape: "zipf:3", Guilds: 4, PerUser: 9}, 4, 10, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := shapeOf(t, c.config)
			if got := s.guilds(); got != c.guilds {
				t.Fatalf("%d guilds, want %d", got, c.guilds)
			}
			total, counted := 0, make([]int, s.users)
			for g := range s.guilds() {
				members := s.members(g)
				total += len(members)
				if len(members) == 0 || members[0] < 0 || members[len(members)-1] >= s.users {
					t.Fatalf("guild %d has %v", g, members)
				}
				if !slices.IsSorted(members) || len(slices.Compact(slices.Clone(members))) !=
					len(members) {
					t.Errorf("guild %d has somebody twice: %v", g, members)
				}
				for _, user := range members {
					counted[user]++
				}
			}
			if got := len(s.members(0)); got != c.first {
				t.Errorf("the first guild has %d members, want %d", got, c.first)
			}
			if c.total != 0 && total != c.total {
				t.Errorf("%d memberships, want %d", total, c.total)
			}
			for user, guilds := range s.guildsOf() {
				if len(guilds) != counted[user] {
					t.Errorf("user %d is in %v, want %d", user, guilds, counted[user])
				}
			}
		})
	}
}

// TestRoundsDiffer holds that a user meets other people in each guild.
func TestRoundsDiffer(t *testing.T) {
	s := shapeOf(t, Config{Users: 1000, Shape: "small:10", PerUser: 2})
	met := 0
	for _, user := range s.members(0) {
		for g := 100; g < 200; g++ {
			if members := s.members(g); slices.Contains(members, user) && slices.Contains(members, 0) {
				met++
			}
		}
	}
	if met > 2 { // User 0 is one of them.
		t.Errorf("%d of the first guild meet in the second round", met)
	}
}

func TestShapeRefuses(t *testing.T) {
	for _, name := range []string{"two", "small", "small:0", "small:x", "zipf", "zipf:-1"} {
		if _, err := newShape(new(Config{Shape: name}.withDefaults())); err == nil {
			t.Errorf("%q is a shape", name)
		}
	}
}

func TestIDs(t *testing.T) {
	s, other := shapeOf(t, Config{Users: 5}), shapeOf(t, Config{Users: 6})
	seen := map[wire.Snowflake]string{}
	for _, s := range []*shape{s, other} {
		for kind := range 3 {
			for _, index := range []int{0, 1, 2, 50_000_000} {
				id, name := s.id(kind, index), fmt.Sprint(s.users, kind, index)
				if seen[id] != "" {
					t.Errorf("%s and %s are both %v", seen[id], name, id)
				}
				seen[id] = name
				if id>>63 != 0 {
					t.Errorf("%s is %v, which is negative to many", name, id)
				}
			}
		}
	}
	if s.id(kindGuild, 5).Shard(4) != (s.id(kindGuild, 4).Shard(4)+1)%4 {
		t.Error("guilds next to each other are not on shards next to each other")
	}
	if again := shapeOf(t, Config{Users: 5}); again.id(kindUser, 3) != s.id(kindUser, 3) {
		t.Error("ids are not the same for the same flags")
	}
}

func TestPicker(t *testing.T) {
	s := shapeOf(t, Config{Users: 100, Shape: "zipf:1", Guilds: 3})
	for _, c := range []struct {
		weight string
		share  float64
		want   int
	}{
		{weightUniform, 0, 0}, {weightUniform, 0.34, 1}, {weightUniform, 0.999, 2},
		{weightMembers, 0, 0}, {weightMembers, 0.5, 0}, {weightMembers, 0.6, 1},
		{weightMembers, 0.999, 2},
	} {
		if got := newPicker(s, c.weight).pick(c.share); got != c.want {
			t.Errorf("%s %v: got %d, want %d", c.weight, c.share, got, c.want)
		}
	}
}

func TestFraction(t *testing.T) {
	const n = 10_000
	below, both := 0, 0
	for id := range n {
		if fraction(id, saltSample) < 0.1 {
			below++
			if fraction(id, saltImpair) < 0.1 {
				both++
			}
		}
	}
	if below < n/10-150 || below > n/10+150 || both < 60 || both > 140 {
		t.Errorf("%d of %d are below 0.1, %d of them twice", below, n, both)
	}
}

func TestMix(t *testing.T) {
	kinds, err := parseMix("MESSAGE_CREATE=3,TYPING_START,FOO=0", wire.IntentGuildMessages)
	if err != nil {
		t.Fatal(err)
	}
	want := []kind{{"MESSAGE_CREATE", 0.75, true}, {"TYPING_START", 1, false}, {"FOO", 1, true}}
	if !slices.Equal(kinds, want) {
		t.Errorf("got %v, want %v", kinds, want)
	}
	for _, text := range []string{"", "message", "A=-1", "A=x", "A=0", "A,,B"} {
		if _, err := parseMix(text, 0); err == nil {
			t.Errorf("%q is a mix", text)
		}
	}
}

func TestEvents(t *testing.T) {
	c := Config{Users: 3, Body: 300, Mix: "MESSAGE_CREATE"}.withDefaults()
	r := &run{config: c, shape: shapeOf(t, c)}
	a := newAuthor(r, 0)
	const mark = 1_790_000_000_123_456_789
	for _, name := range []string{"MESSAGE_CREATE", "TYPING_START", "FOO"} {
		event := a.gateway(0, &kind{name: name}, mark)
		body, ok := wire.Field(event, "d")
		if !wire.ValidJSON(event, 8) || !ok || len(body) != c.Body {
			t.Errorf("%s is %d bytes: %s", name, len(body), event)
		}
		if got := (&marker{}).find(event); got != mark {
			t.Errorf("%s has the mark %d", name, got)
		}
	}
	plain := a.plain(0, nil, mark)
	if !wire.ValidJSON(plain, 8) || len(plain) != c.Body || (&marker{}).find(plain) != mark {
		t.Errorf("a plain event is %d bytes: %s", len(plain), plain)
	}
	// A body too small for what an event must have is as small as can be.
	a.config.Body = 1
	if event := a.gateway(0, &kind{name: "FOO"}, mark); !wire.ValidJSON(event, 8) {
		t.Errorf("the smallest event is %s", event)
	}
}
