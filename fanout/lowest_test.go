package fanout

import (
	"math/rand/v2"
	"slices"
	"testing"

	"throng/wire"
)

// TestLowestUsersAreThoseOfASortedList has users come and go, and compares what is kept with the
// beginning of a sorted list of all.
func TestLowestUsersAreThoseOfASortedList(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	all := map[wire.Snowflake]bool{}
	var l lowestUsers
	counted := 0
	get := func(yield func(wire.Snowflake) bool) {
		counted++
		for user := range all {
			if !yield(user) {
				return
			}
		}
	}
	// Many come, then the lowest go, and then many come again.
	for step := range 60_000 {
		user, going := wire.Snowflake(r.IntN(30_000)), 3
		if step >= 20_000 && step < 45_000 {
			user, going = user/5, 10
		}
		if r.IntN(10) < going {
			if all[user] {
				delete(all, user)
				l.leave(user, len(all))
			}
		} else if !all[user] {
			all[user] = true
			l.come(user, len(all))
		}
		if step%97 != 0 {
			continue
		}
		sorted := make([]wire.Snowflake, 0, len(all))
		for user := range all {
			sorted = append(sorted, user)
		}
		slices.Sort(sorted)
		got := l.get(get)
		if len(got) < min(createMembersMax, len(all)) || len(got) > lowestMax ||
			!slices.Equal(got, sorted[:len(got)]) {
			t.Fatalf("step %d: %d of %d users are kept, and not the lowest", step, len(got),
				len(all))
		}
	}
	if counted == 1 || counted > 40 {
		t.Errorf("all were looked at %d times", counted)
	}
}
