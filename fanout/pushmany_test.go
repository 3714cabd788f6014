package fanout

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"throng/wire"
)

// walkAll takes the walks that are due to their end and returns whom they push to, ascending.
// between is called between any two turns.
func (w *world) walkAll(max int, between func()) (users []wire.Snowflake) {
	w.t.Helper()
	for walk := w.g.Walk(); walk != nil; walk = w.g.Walk() {
		for more := true; more; {
			found := walk.Next(max)
			between()
			c := w.play(w.g.Walked(walk, found, w.now))
			users = append(users, pushed(c)...)
			more = len(found) > 0
		}
	}
	slices.Sort(users)
	return users
}

func TestPushToMany(t *testing.T) {
	w := pushWorld(t)
	w.user(9, "stranger")
	for _, test := range []struct{ name, channel, message, want string }{
		{"everyone", "10", `"mention_everyone":true`, "[202 204 205]"},
		{"a role", "10", `"mention_roles":["5"]`, "[204]"},
		{"a role and everyone", "10", `"mention_roles":["5"],"mention_everyone":true`, "[202 204 205]"},
		{"a role that is not there", "10", `"mention_roles":["6"]`, "[]"},
		{"everyone where few may read", "11", `"mention_everyone":true`, "[204]"},
		{"silently", "10", `"mention_everyone":true,"flags":4096`, "[]"},
		{"nobody", "10", `"mention_everyone":false,"mention_roles":[]`, "[]"},
	} {
		w.publish("MESSAGE_CREATE", `{"channel_id":"`+test.channel+`","author":{"id":"200"},`+
			test.message+`}`)
		want(t, test.name, w.walkAll(2, func() {}), test.want)
	}
	c := w.publish("MESSAGE_CREATE", `{"id":"78","channel_id":"10","author":{"id":"200"},
		"content":"all","mentions":["205"],"mention_everyone":true}`)
	want(t, "by name", pushed(c), "[205]")
	walk := w.g.Walk()
	c = w.g.Walked(walk, walk.Next(10), w.now)
	want(t, "and the others", pushed(c), "[202 204]")
	p := c.Pushes[0]
	want(t, "with the message", fmt.Sprint(p.Channel, p.Message, p.Author, p.Name, p.Text),
		"10 78 200annall")
}

func TestPushToManyInAThread(t *testing.T) {
	w := pushWorld(t)
	w.publish("THREAD_CREATE", `{"id":"50","parent_id":"10","type":12,"name":"private"}`)
	w.publish("THREAD_MEMBERS_UPDATE",
		`{"id":"50","added_members":[{"user_id":"200"},{"user_id":"201"},{"user_id":"202"},
		{"user_id":"204"}]}`)
	message := func(more string) Change {
		return w.publish("MESSAGE_CREATE", `{"channel_id":"50","author":{"id":"200"},`+more+`}`)
	}
	want(t, "everyone", pushed(message(`"mention_everyone":true`)), "[202 204]")
	want(t, "a role", pushed(message(`"mention_roles":["5"]`)), "[204]")
	if w.g.Walk() != nil {
		t.Error("the members of a thread are searched for")
	}
}

// TestPushSearchesAgainstModel compares with a look at each member, while sessions come and go.
func TestPushSearchesAgainstModel(t *testing.T) {
	for seed := range uint64(30) {
		random := rand.New(rand.NewPCG(seed, 1))
		w := newWorld(t, `{"name":"g","owner_id":"1000","roles":[{"id":"5","name":"a"},
			{"id":"6","name":"b","permissions":"8"}],"channels":[{"id":"10","type":0,
			"permission_overwrites":[{"id":"2000000000000000001","type":0,"deny":"1024"},
			{"id":"5","type":0,"allow":"1024"},{"id":"1003","type":1,"allow":"1024"},
			{"id":"1004","type":1,"deny":"1024"}]}]}`)
		w.g.WantPushes()
		sessions := map[wire.Snowflake]*heard{}
		some := func() wire.Snowflake { return 1000 + wire.Snowflake(random.IntN(40)) }
		for user := wire.Snowflake(1000); user < 1040; user++ {
			roles := []string{"[]", `["5"]`, `["6"]`, `["5","6"]`}[random.IntN(4)]
			w.member(user, `"roles":`+roles)
		}
		ids := []string{`"mention_everyone":true`, `"mention_roles":["5"]`, `"mention_roles":["6"]`}
		mention := ids[random.IntN(3)]
		author := some()
		here := map[wire.Snowflake]bool{} // At some moment of the search.
		toggle := func() {
			user := some()
			if s := sessions[user]; s != nil {
				delete(sessions, user)
				w.play(w.g.Leave(s.Handle, w.now))
				s.in = false
			} else {
				sessions[user] = w.join(user, allOfThem)
				here[user] = true
			}
		}
		for range 10 {
			toggle()
		}
		stayed := map[wire.Snowflake]bool{}
		clear(here)
		for user := range sessions {
			here[user], stayed[user] = true, true
		}
		w.publish("MESSAGE_CREATE", fmt.Sprintf(`{"channel_id":"10","author":{"id":"%d"},%s}`,
			author, mention))
		got := w.walkAll(1+random.IntN(5), func() {
			if random.IntN(2) == 0 {
				toggle()
			}
			for user := range stayed {
				if sessions[user] == nil {
					delete(stayed, user)
				}
			}
		})
		for user := wire.Snowflake(1000); user < 1040; user++ {
			m, _ := w.g.members.Get(uint64(user))
			due := user != author && w.g.Can(user, 10, wire.PermissionViewChannel, w.now)
			if role := mention[len(mention)-3 : len(mention)-2]; mention[1:14] == "mention_roles" {
				due = due && slices.Contains(w.g.roleSets.Roles(m.RoleSet), uint64(role[0]-'0'))
			}
			_, is := slices.BinarySearch(got, user)
			// Whoever was here for a part of the search may be told or not.
			if is && (!due || stayed[user]) || !is && due && !here[user] {
				t.Fatalf("seed %d: %s pushes to %d: %v, due %v, here all the time %v, never %v",
					seed, mention, user, is, due, stayed[user], !here[user])
			}
		}
		if unique := slices.Compact(slices.Clone(got)); len(unique) != len(got) {
			t.Fatalf("seed %d: somebody is told twice: %v", seed, got)
		}
	}
}

// TestPushSearchesWait: one at a time, a bounded number of them, and later when there is no room.
func TestPushSearchesWait(t *testing.T) {
	w := pushWorld(t)
	omitted := 0
	for range pushSearchesMax + 2 {
		c := w.publish("MESSAGE_CREATE",
			`{"channel_id":"10","author":{"id":"200"},"mention_everyone":true}`)
		for _, p := range c.Pushes {
			omitted += p.Omitted
		}
	}
	want(t, "members omitted", omitted, "12")
	walk := w.g.Walk()
	if w.g.Walk() != nil {
		t.Fatal("two searches at a time")
	}
	w.g.WalkLater(walk, w.now)
	if w.g.Walk() != nil || w.g.NextTick() == 0 {
		t.Fatal("a search that found no room does not wait for its time")
	}
	w.now = w.g.NextTick()
	w.play(w.g.Tick(w.now))
	if again := w.g.Walk(); again != walk {
		t.Fatal("a search that found no room does not go on")
	}
	w.g.WalkFailed(walk, nil, w.now)
	want(t, "the others", len(w.walkAll(2, func() {})), fmt.Sprint(3*(pushSearchesMax-1)))
	if n := len(w.g.searches); n != 0 || w.g.Walk() != nil {
		t.Errorf("%d searches are left", n)
	}
}

// BenchmarkPushSearch is a worker's way through a guild of a million for @everyone, and one of the
// shard's turns.
func BenchmarkPushSearch(b *testing.B) {
	g := newMillion(b, millionMembers)
	g.WantPushes()
	search := func() *pushSearch {
		_, err := g.Publish("MESSAGE_CREATE",
			[]byte(`{"channel_id":"7001","author":{"id":"1","username":"ann"},"mention_everyone":true}`), testNow)
		if err != nil {
			b.Fatal(err)
		}
		return g.nextSearch()
	}
	b.Run("worker", func(b *testing.B) {
		for b.Loop() {
			s := search()
			found := 0
			for users := s.Next(MembersPassMax); len(users) > 0; users = s.Next(MembersPassMax) {
				found += len(users)
			}
			if found != millionMembers {
				b.Fatalf("%d found", found)
			}
			g.searchOver(s)
		}
	})
	b.Run("turn", func(b *testing.B) {
		s := search()
		users := s.Next(MembersPassMax)
		for b.Loop() {
			if c := g.searched(s, users, testNow); len(c.Pushes) == 0 {
				b.Fatal("nobody is away")
			}
		}
	})
}
