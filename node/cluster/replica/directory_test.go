package replica

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"throng/store"
)

// TestOneReplicaEach gives batches to a directory and to a plain store, and reads the log with
// another that begins late.
func TestOneReplicaEach(t *testing.T) {
	many := []store.Op{putGuild(1, "g")}
	for user := range uint64(200) {
		many = append(many, putMember(1, 1+user*7%61, int64(user), user%5))
	}
	tests := []struct {
		name    string
		batches [][]store.Op
	}{
		{"users", [][]store.Op{{putUser(4, "a"), putUser(5, "b")}, {putUser(4, "c")},
			{addUser(4, "d"), addUser(6, "e"), putUser(6, "f"), addUser(6, "g")}}},
		{"tokens", [][]store.Op{{putToken(4, "a"), putToken(4, "b"), putToken(5, "c")},
			{revoke(4)}, {putToken(4, "b")}, {putToken(5, "b"), revoke(4)}}},
		{"tokens in one batch", [][]store.Op{
			{putToken(4, "a"), revoke(4), putToken(4, "b"), putToken(4, "a"), putToken(5, "c")},
			{putToken(4, "x"), revoke(4), putToken(4, "y"), revoke(4), putToken(4, "z")}}},
		{"a guild", [][]store.Op{{putGuild(1, "g", 50, 51), putMember(1, 7, 1, 3)},
			{putMember(1, 8, 1)}, {deleteMember(1, 7), deleteMember(1, 70)},
			{putGuild(1, "h", 51)}}},
		{"many members", [][]store.Op{many, {deleteMember(1, 5), putMember(1, 6, 99)}, many[150:]}},
		{"a long document", [][]store.Op{
			{putGuild(1, fmt.Sprintf("%0500d", 1), 1, 2, 3), putGuild(2, "x")},
			{putGuild(1, fmt.Sprintf("%0300d", 2), 1)}, {putGuild(1, "short")},
			{putGuild(1, fmt.Sprintf("%0100d", 3), 1)}}},
		{"a guild is deleted", [][]store.Op{many, {deleteGuild(1), deleteGuild(2)}}},
		{"a long guild is deleted", [][]store.Op{{putGuild(1, fmt.Sprintf("%0500d", 1))},
			{deleteGuild(1)}, {putGuild(1, fmt.Sprintf("%0500d", 1))}}},
		{"a guild is made again", [][]store.Op{many, {deleteGuild(1)},
			{putGuild(1, "again"), putMember(1, 30, 1)}}},
		{"a guild is made again at once", [][]store.Op{many,
			{putMember(1, 90, 1), deleteGuild(1), putGuild(1, "again"), putMember(1, 30, 1)}}},
		{"a guild is made again with as many", [][]store.Op{many,
			slices.Concat([]store.Op{deleteGuild(1)}, many[:60])}},
		{"a guild is made again twice", [][]store.Op{many,
			{deleteGuild(1), putGuild(1, "a"), putMember(1, 3, 1), deleteGuild(1),
				putGuild(1, "b"), putMember(1, 44, 1)}, {deleteGuild(1), putGuild(1, "c")}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			log, plain := newFakeLog(), store.NewMemory()
			a := startNode(t, log, "a", store.NewMemory())
			defer a.end(t)
			must(t, a.Join(patient(t), 1))
			for i, batch := range test.batches {
				must(t, a.Apply(batch))
				must(t, plain.Apply(batch))
				same(t, fmt.Sprintf("a after batch %d", i), a.Directory, plain)
				late := startNode(t, log, "b", store.NewMemory())
				must(t, late.Sync(patient(t)))
				same(t, fmt.Sprintf("who begins after batch %d", i), late.Directory, plain)
				late.end(t)
			}
		})
	}
}

func TestApplyRefuses(t *testing.T) {
	log := newFakeLog()
	a := startNode(t, log, "a", store.NewMemory())
	ops := []store.Op{putUser(4, "a")}
	if err := a.Apply(ops); !errors.Is(err, ErrFenced) {
		t.Errorf("before it joins: %v", err)
	}
	must(t, a.Join(patient(t), 1))
	if err := a.Apply([]store.Op{putUser(4, "a"), putMember(1, 7, 1)}); !errors.Is(err,
		store.ErrUnknownGuild) || err.Error()[:11] != "op 2 of 2: " {
		t.Errorf("a member of no guild: %v", err)
	}
	if err := a.Apply([]store.Op{{}}); err == nil {
		t.Error("an op without kind is taken")
	}
	if u, err := a.User(4); u != nil || err != nil {
		t.Errorf("of a refused batch stayed %v, %v", u, err)
	}
	a.end(t)
	if err := a.Apply(ops); !errors.Is(err, store.ErrClosed) {
		t.Errorf("after it was closed: %v", err)
	}
	for _, err := range []error{a.Sync(patient(t)), a.Join(patient(t), 2)} {
		if !errors.Is(err, store.ErrClosed) {
			t.Errorf("after it was closed: %v", err)
		}
	}
}
