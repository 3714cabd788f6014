package store

import (
	"reflect"
	"slices"
	"testing"
)

func TestRoleSets(t *testing.T) {
	sets := NewRoleSets()
	if sets.Intern(nil) != 0 || sets.Roles(0) != nil || sets.Len() != 1 {
		t.Error("id 0 is not the empty set")
	}
	given := []uint64{30, 10, 20, 10}
	a := sets.Intern(given)
	if !slices.Equal(given, []uint64{30, 10, 20, 10}) {
		t.Error("Intern changed its argument")
	}
	b := sets.Intern([]uint64{20})
	if again := sets.Intern([]uint64{10, 20, 30}); again != a || a == b || a == 0 || b == 0 {
		t.Errorf("got ids %d, %d and %d", a, again, b)
	}
	given[0] = 99
	if got, want := sets.Roles(a), []uint64{10, 20, 30}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if !sets.Has(a, 20) || sets.Has(b, 10) || sets.Has(0, 10) || sets.Has(1000, 10) {
		t.Error("Has is wrong about a set")
	}
	moved := sets.Without(20)
	want := map[uint32]uint32{a: sets.Intern([]uint64{10, 30}), b: 0}
	if !reflect.DeepEqual(moved, want) {
		t.Errorf("got %v, want %v", moved, want)
	}
	if got := sets.Without(77); len(got) != 0 {
		t.Errorf("without a role that nobody has: got %v", got)
	}
}

func TestRoleSetsReadingDoesNotAllocate(t *testing.T) {
	sets := NewRoleSets()
	roles := []uint64{1, 2, 3}
	id := sets.Intern(roles)
	allocs := testing.AllocsPerRun(1000, func() {
		if sets.Intern(roles) != id || !sets.Has(id, 2) {
			t.Error("the set is gone")
		}
	})
	if allocs != 0 {
		t.Errorf("finding a known set allocates %v times", allocs)
	}
}

func TestUsers(t *testing.T) {
	users := NewUsers()
	if users.Get(1) != nil {
		t.Error("an unknown user is there")
	}
	a, b := &User{ID: 1, Name: "a"}, &User{ID: 1, Name: "b"}
	users.Put(a)
	users.Put(&User{ID: 2})
	users.Put(b)
	if users.Add(a) != b || users.Add(&User{ID: 3}).ID != 3 {
		t.Error("Add replaced a user, or did not add one")
	}
	if users.Get(1) != b || users.Len() != 3 {
		t.Errorf("got %v of %d", users.Get(1), users.Len())
	}
}
