package fanout

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"throng/store"
	"throng/wire"
)

// sweepWorld is a guild, what the directory has kept of it, and a model that takes a deleted role
// from its members there and then.
type sweepWorld struct {
	*world
	r       *rand.Rand
	dir     store.Directory
	users   int
	roles   map[wire.Snowflake]bool
	gone    []wire.Snowflake
	members map[wire.Snowflake][]wire.Snowflake
	under   *Sweep
	turn    bool     // It is swept's.
	found   []uint64 // By Next, then.
}

func newSweepWorld(t *testing.T, seed uint64, users int) *sweepWorld {
	w := &sweepWorld{
		world: newWorld(t, "{}"), r: rand.New(rand.NewPCG(seed, 1)), dir: store.NewMemory(),
		users: users, roles: map[wire.Snowflake]bool{},
		members: map[wire.Snowflake][]wire.Snowflake{},
	}
	w.keep(Change{Ops: []store.Op{w.g.keep()}})
	return w
}

func (w *sweepWorld) keep(c Change) {
	w.t.Helper()
	if err := w.dir.Apply(c.Ops); err != nil {
		w.t.Fatal(err)
	}
	w.play(c)
}

// say publishes an event that may be refused, and reports whether it was not.
func (w *sweepWorld) say(name, format string, args ...any) bool {
	w.t.Helper()
	c, err := w.g.Publish(name, fmt.Appendf(nil, format, args...), w.now)
	if err == nil {
		w.keep(c)
	}
	return err == nil
}

func (w *sweepWorld) step() {
	user := wire.Snowflake(1 + w.r.IntN(w.users))
	switch at := w.r.IntN(20); {
	case at < 2:
		w.createRole()
	case at < 4 && len(w.roles) > 0:
		w.deleteRole()
	case at < 5:
		if w.say("GUILD_MEMBER_REMOVE", `{"user":{"id":"%d"}}`, user) {
			delete(w.members, user)
		}
	case at < 7:
		if w.say("GUILD_MEMBER_UPDATE", `{"user":{"id":"%d"},"nick":"%d"}`, user, at) !=
			(w.members[user] != nil) {
			w.t.Fatal("the guild and the model disagree about who is a member")
		}
	case at < 14:
		w.putMember(user)
	case at == 19 && w.r.IntN(10) == 0:
		w.restart()
	case at == 18 && w.members[user] != nil && len(w.sessions) < 200:
		w.join(user, allOfThem)
	default:
		w.sweepOn()
	}
}

// putMember gives a member some of the roles.
func (w *sweepWorld) putMember(user wire.Snowflake) {
	roles := []wire.Snowflake{}
	for role := range w.roles {
		if w.r.IntN(2) == 0 {
			roles = append(roles, role)
		}
	}
	slices.Sort(roles)
	text := strings.ReplaceAll(fmt.Sprint(roles), " ", `","`)
	text = strings.ReplaceAll(strings.ReplaceAll(text, "[", `["`), "]", `"]`)
	if len(roles) == 0 {
		text = "[]"
	}
	if !w.say("GUILD_MEMBER_ADD", `{"user":{"id":"%d"},"roles":%s}`, user, text) {
		w.t.Fatal("a member was refused")
	}
	w.members[user] = roles
}

// createRole makes a role, half of the time with the id of one that was deleted.
func (w *sweepWorld) createRole() {
	role := wire.Snowflake(10_000 + w.r.IntN(1000))
	again := len(w.gone) > 0 && w.r.IntN(2) == 0
	if again {
		role = w.gone[w.r.IntN(len(w.gone))]
	}
	if w.roles[role] {
		return
	}
	allow := 8 * w.r.IntN(2)
	made := w.say("GUILD_ROLE_CREATE", `{"role":{"id":"%d","permissions":"%d"}}`, role, allow)
	switch pending := w.g.gone.has(uint64(role)); {
	case made && pending:
		w.t.Fatal("a role came back while records name it")
	case !made && (!pending || w.g.members.Len() <= sweepAtOnceMax):
		w.t.Fatal("a role was refused")
	case made:
		w.roles[role] = true
	}
}

// deleteRole deletes a role, or two by a new document.
func (w *sweepWorld) deleteRole() {
	var ids []wire.Snowflake
	for role := range w.roles {
		ids = append(ids, role)
	}
	slices.Sort(ids)
	w.r.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	going := ids[:1]
	if w.r.IntN(3) == 0 {
		going = ids[:min(2, len(ids))]
		doc := `{"roles":[`
		for i, role := range ids[len(going):] {
			if i > 0 {
				doc += ","
			}
			doc += fmt.Sprintf(`{"id":"%d"}`, role)
		}
		c, err := w.g.Replace([]byte(doc+"]}"), w.now)
		if err != nil {
			w.t.Fatal(err)
		}
		w.keep(c)
	} else if !w.say("GUILD_ROLE_DELETE", `{"role_id":"%d"}`, going[0]) {
		w.t.Fatal("a role was not deleted")
	}
	for _, role := range going {
		delete(w.roles, role)
		w.gone = append(w.gone, role)
		for user, roles := range w.members {
			w.members[user] = slices.DeleteFunc(slices.Clone(roles),
				func(other wire.Snowflake) bool { return other == role })
		}
	}
}

// sweepOn takes one turn of a sweep; now and then there is no worker for it, or the disk fails.
func (w *sweepWorld) sweepOn() {
	if next := w.g.nextSweep(); next != nil {
		w.under, w.turn = next, false
	}
	switch {
	case w.under == nil:
	case w.r.IntN(20) == 0:
		w.g.sweepLater(w.under, w.now)
		w.under = nil
	case !w.turn:
		w.found, w.turn = w.under.Next(1+w.r.IntN(50)), true
	case w.r.IntN(8) == 0:
		w.play(w.g.swept(w.under, w.found, w.now))
		if w.g.sweep == w.under {
			w.g.sweepFailed(w.under, w.found, w.now)
		}
		w.under, w.turn = nil, false
		w.now += sweepRetryMilli
		w.keep(w.g.Tick(w.now))
	default:
		w.keep(w.g.swept(w.under, w.found, w.now))
		w.turn = false
		if len(w.found) == 0 {
			w.under = nil
		}
	}
}

// restart makes the guild anew from what is kept.
func (w *sweepWorld) restart() {
	doc, err := w.dir.Guild(uint64(guildID))
	if err != nil {
		w.t.Fatal(err)
	}
	w.g = NewGuild(guildID, w.world.users)
	w.sessions, w.under = make(map[Handle]*heard), nil
	if err := w.g.Restore(doc); err != nil {
		w.t.Fatal(err)
	}
	w.g.RestoreMembers(w.kept())
}

func (w *sweepWorld) kept() (records []store.MemberRecord) {
	err := w.dir.GuildMembers(uint64(guildID), func(m store.MemberRecord) error {
		records = append(records, m)
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return records
}

// compare holds that every member shows the roles of the model.
func (w *sweepWorld) compare() {
	w.t.Helper()
	if w.g.members.Len() != len(w.members) {
		w.t.Fatalf("got %d members, want %d", w.g.members.Len(), len(w.members))
	}
	for user, roles := range w.members {
		texts := []any{}
		for _, role := range roles {
			texts = append(texts, role.String())
		}
		shown := at(w.t, decode(w.t, w.g.Member(user)), "roles").([]any)
		if !slices.Equal(shown, texts) {
			w.t.Fatalf("user %d has roles %v, want %v", user, shown, texts)
		}
	}
}

// TestSweepsAgreeWithTakingRolesAtOnce changes members and roles at random while sweeps are under
// way, with restarts. At any time every member has the roles that it would have if a deleted role
// were taken from all members there and then, and in the end the records say so too.
func TestSweepsAgreeWithTakingRolesAtOnce(t *testing.T) {
	for seed := range uint64(16) {
		if testing.Short() && seed%5 != 2 {
			continue
		}
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			users := 1 + int(seed)*20
			if seed >= 12 {
				users = sweepAtOnceMax + 200
			}
			w := newSweepWorld(t, seed, users)
			for user := range users {
				w.putMember(wire.Snowflake(1 + user))
			}
			for step := range 1500 {
				w.step()
				if step%100 == 0 {
					w.compare()
				}
			}
			for len(w.g.gone) > 0 || w.under != nil {
				w.sweepOn()
			}
			w.compare()
			for _, record := range w.kept() {
				want := w.members[wire.Snowflake(record.User)]
				same := slices.EqualFunc(record.Roles, want, func(a uint64, b wire.Snowflake) bool {
					return a == uint64(b)
				})
				if !same {
					t.Fatalf("user %d is kept with %v, want %v", record.User, record.Roles, want)
				}
			}
			w.restart()
			if w.compare(); len(w.g.gone) > 0 {
				t.Errorf("records name roles %v", w.g.gone)
			}
		})
	}
}

// TestSweepThatIsNoneAnyMoreDoesNothing: a worker may come back with a sweep that the guild has
// given up.
func TestSweepThatIsNoneAnyMoreDoesNothing(t *testing.T) {
	w := newWorld(t, `{"roles":[{"id":"5"}]}`)
	w.member(200, `"roles":["5"]`)
	w.publish("GUILD_ROLE_DELETE", `{"role_id":"5"}`)
	old := w.g.nextSweep()
	w.g.sweepLater(old, w.now)
	if c := w.g.swept(old, []uint64{200}, w.now); len(c.Ops) > 0 {
		t.Error("a sweep that was put off has changed something")
	}
	if next := w.g.nextSweep(); next == nil || next == old {
		t.Error("there is no other sweep")
	}
	if w.g.nextSweep() != nil {
		t.Error("there are two sweeps at a time")
	}
	w.g.sweepFailed(w.g.sweep, nil, w.now)
	if w.g.nextSweep() != nil {
		t.Error("a sweep that failed comes at once again")
	}
	if at := w.g.NextTick(); at <= w.now {
		t.Errorf("the guild wants its tick at %d, which is %d", at, w.now)
	} else {
		w.now = at
	}
	w.play(w.g.Tick(w.now))
	again := w.g.nextSweep()
	if again == nil || !slices.Equal(again.Next(10), []uint64{200}) {
		t.Error("a sweep that failed does not come again")
	}
	w.g.sweepFailed(again, nil, w.now)
	w.publish("GUILD_ROLE_CREATE", `{"role":{"id":"6"}}`)
	w.publish("GUILD_ROLE_DELETE", `{"role_id":"6"}`)
	next := w.g.nextSweep()
	if next == nil || !slices.Equal(next.Next(10), []uint64{200}) {
		t.Error("the next role does not bring it up again")
	}
}
