package replica

import (
	"errors"
	"fmt"
	"testing"

	"throng/store"
)

// alone is the store of a node that had no others.
func alone(t *testing.T) store.Replica {
	t.Helper()
	s := store.NewMemory()
	ops := []store.Op{putGuild(1, "g", 10, 11), putGuild(2, "h"), putUser(4, "a"), putUser(5, "b"),
		putToken(4, "x"), putToken(5, "y")}
	for user := range uint64(60) {
		ops = append(ops, putMember(1, user+1, int64(user), user%3))
	}
	must(t, s.Apply(ops))
	return s
}

func TestImport(t *testing.T) {
	log, old := newFakeLog(), alone(t)
	a := startNode(t, log, "a", store.NewMemory())
	defer a.end(t)
	must(t, a.Join(patient(t), 1))
	must(t, a.Import(patient(t), old))
	same(t, "who has brought it in", a.Directory, old)
	// Again, with what it has by now: that is for the node that restarts.
	must(t, a.Apply([]store.Op{putGuild(3, "i")}))
	must(t, a.Import(patient(t), old))
	if doc, err := a.Guild(3); doc == nil || err != nil {
		t.Errorf("what came later is gone: %v", err)
	}
	b := startNode(t, log, "b", store.NewMemory())
	defer b.end(t)
	must(t, b.Join(patient(t), 1))
	same(t, "who comes later", b.Directory, a.Directory)
	if err := b.Import(patient(t), alone(t)); !errors.Is(err, ErrNotEmpty) {
		t.Errorf("a second import: %v", err)
	}
}

// TestImportIsResumed: a node dies over its import and comes back; nobody joins meanwhile.
func TestImportIsResumed(t *testing.T) {
	for batches := range 3 {
		t.Run(fmt.Sprint(batches), func(t *testing.T) {
			log, old, kept := newFakeLog(), alone(t), keptStore{store.NewMemory()}
			a := startNode(t, log, "a", kept)
			must(t, a.Join(patient(t), 1))
			left := 1 + batches
			log.setFate(func() fate {
				if left--; left < 0 {
					return fateRefused
				}
				return fateStored
			})
			if err := a.Import(patient(t), old); err == nil {
				t.Fatal("an import of which a part is missing is done")
			}
			log.setFate(nil)
			a.end(t)
			b := startNode(t, log, "b", store.NewMemory())
			defer b.end(t)
			if err := b.Join(patient(t), 1); !errors.Is(err, ErrImporting) {
				t.Errorf("who joins meanwhile: %v", err)
			}
			a = startNode(t, log, "a", kept)
			defer a.end(t)
			must(t, a.Join(patient(t), 2))
			must(t, a.Import(patient(t), old))
			same(t, "who has brought it in", a.Directory, old)
			must(t, b.Join(patient(t), 1))
			must(t, b.Sync(patient(t)))
			same(t, "who has waited", b.Directory, old)
		})
	}
}

func TestImportRefuses(t *testing.T) {
	t.Run("a cluster with data", func(t *testing.T) {
		log := newFakeLog()
		a := startNode(t, log, "a", store.NewMemory())
		defer a.end(t)
		must(t, a.Join(patient(t), 1))
		must(t, a.Apply([]store.Op{putUser(9, "x")}))
		if err := a.Import(patient(t), alone(t)); !errors.Is(err, ErrNotEmpty) {
			t.Error(err)
		}
	})
	t.Run("others that may have been given some", func(t *testing.T) {
		_, a, b := pair(t)
		if err := a.Import(patient(t), alone(t)); !errors.Is(err, ErrNotEmpty) {
			t.Error(err)
		}
		must(t, b.Seal(patient(t), "a", 1))
		must(t, b.Import(patient(t), alone(t)))
	})
	t.Run("two at once", func(t *testing.T) {
		log := newFakeLog()
		a := startNode(t, log, "a", store.NewMemory())
		defer a.end(t)
		b := startNode(t, log, "b", store.NewMemory())
		defer b.end(t)
		must(t, a.Join(patient(t), 1))
		a.reader.pause(true)
		must(t, b.Join(patient(t), 1))
		// The first does not know of the second yet, and finds out behind its claim.
		done := make(chan error, 1)
		go func() { done <- a.Import(patient(t), alone(t)) }()
		until(t, "the import is claimed", func() bool { return log.has(importSubject) })
		if err := b.Import(patient(t), alone(t)); err == nil {
			t.Error("both bring their data in")
		}
		a.reader.pause(false)
		if err := <-done; !errors.Is(err, ErrNotEmpty) {
			t.Error(err)
		}
		c := startNode(t, log, "c", store.NewMemory())
		defer c.end(t)
		must(t, c.Join(patient(t), 1)) // The claim is given up.
	})
	t.Run("a store of another log", func(t *testing.T) {
		s := keptStore{store.NewMemory()}
		startNode(t, newFakeLog(), "a", s).end(t)
		d, err := Open(Config{Node: "a", Store: s})
		must(t, err)
		if err := d.Start(newFakeLog(), "another"); !errors.Is(err, ErrOtherLog) {
			t.Error(err)
		}
	})
	t.Run("a store that is no replica", func(t *testing.T) {
		if _, err := Open(Config{Node: "a", Store: alone(t)}); !errors.Is(err, ErrAlone) {
			t.Error(err)
		}
	})
}
