package replica

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"throng/node/cluster"
	"throng/store"
)

// pair is two nodes of one log that have joined.
func pair(t *testing.T) (log *fakeLog, a, b *node) {
	log = newFakeLog()
	a, b = startNode(t, log, "a", store.NewMemory()), startNode(t, log, "b", store.NewMemory())
	t.Cleanup(func() {
		a.end(t)
		b.end(t)
	})
	must(t, a.Join(patient(t), 1))
	must(t, b.Join(patient(t), 1))
	return log, a, b
}

// once is a fate for the next batch only.
func (l *fakeLog) once(f fate) {
	first := true
	l.setFate(func() fate {
		if first {
			first = false
			return f
		}
		return fateStored
	})
}

// has says whether a subject has a message.
func (l *fakeLog) has(subject string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last[subject] != 0
}

func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s did not happen", what)
		}
	}
}

// TestAddedUserDoesNotReplace: who adds a user that another node has put, and does not know of it
// yet, leaves it as it is.
func TestAddedUserDoesNotReplace(t *testing.T) {
	log, a, b := pair(t)
	must(t, b.Sync(patient(t)))
	b.reader.pause(true)
	must(t, a.Apply([]store.Op{putUser(4, "put")}))
	done, before := make(chan error, 1), log.lastOf("s.b")
	go func() {
		done <- b.Apply([]store.Op{addUser(4, "added"), addUser(5, "added"), putGuild(1, "g"),
			putMember(1, 4, 1)})
	}()
	until(t, "b finds a conflict", func() bool { return log.lastOf("s.b") != before })
	b.reader.pause(false)
	must(t, <-done)
	must(t, a.Sync(patient(t)))
	for _, n := range []*node{a, b} {
		for id, name := range map[uint64]string{4: "put", 5: "added"} {
			if u, err := n.User(id); err != nil || u == nil || u.Name != name {
				t.Errorf("user %d is %+v, %v", id, u, err)
			}
		}
	}
}

func (l *fakeLog) lastOf(subject string) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last[subject]
}

// TestRevocationOfWhatIsNotThereYet: a token that was put elsewhere, before it was revoked by a
// node that did not know of it, is void everywhere.
func TestRevocationOfWhatIsNotThereYet(t *testing.T) {
	log, a, b := pair(t)
	b.reader.pause(true)
	must(t, a.Apply([]store.Op{putToken(4, "early")}))
	done := make(chan error, 1)
	go func() { done <- b.Apply([]store.Op{revoke(4)}) }()
	until(t, "the revocation is stored", func() bool { return log.has("r.4") })
	must(t, a.Apply([]store.Op{putToken(4, "late")}))
	b.reader.pause(false)
	must(t, <-done)
	late := startNode(t, log, "c", store.NewMemory())
	defer late.end(t)
	for _, n := range []*node{a, b, late} {
		must(t, n.Sync(patient(t)))
		if user, err := n.TokenUser("early"); user != 0 || err != nil {
			t.Errorf("a token that was revoked is of %d, %v", user, err)
		}
		if user, err := n.TokenUser("late"); user != 4 || err != nil {
			t.Errorf("a token that was put later is of %d, %v", user, err)
		}
	}
	log.mu.Lock()
	defer log.mu.Unlock()
	for _, e := range log.kept {
		if strings.Contains(string(e.Data)+e.Subject, "early") {
			t.Errorf("the log has a token itself: %s", e.Subject)
		}
	}
}

// TestUnknownIsFoundOut: what the log does not answer for is done once it is found done, even if
// that can be done once only.
func TestUnknownIsFoundOut(t *testing.T) {
	for _, f := range []fate{fateUnknown, fateUnknownGone, fateUnknownLate} {
		log, a, b := pair(t)
		must(t, a.Apply([]store.Op{putGuild(1, "g"), putMember(1, 7, 1)}))
		log.once(f)
		must(t, a.Apply([]store.Op{putMember(1, 8, 1), deleteGuild(1)}))
		log.release(nil)
		for _, n := range []*node{a, b} {
			must(t, n.Sync(patient(t)))
			if doc, err := n.Guild(1); doc != nil || err != nil {
				t.Errorf("fate %d: the guild is there: %q, %v", f, doc, err)
			}
		}
	}
}

// TestUnknownIsReported: when the log stays away nothing is acknowledged; and when it is back, what
// may have been stored is settled before anything else is written.
func TestUnknownIsReported(t *testing.T) {
	log, a, b := pair(t)
	must(t, a.Apply([]store.Op{putGuild(1, "g"), putMember(1, 7, 1)}))
	log.setFate(func() fate { return fateUnknownLate })
	if err := a.Apply([]store.Op{putMember(1, 8, 1)}); !errors.Is(err, cluster.ErrLogUnknown) {
		t.Errorf("got %v, want %v", err, cluster.ErrLogUnknown)
	}
	log.setFate(func() fate { return fateRefused })
	err := a.Apply([]store.Op{putMember(1, 9, 1)})
	if !errors.Is(err, ErrUnavailable) || errors.Is(err, cluster.ErrLogUnknown) {
		t.Errorf("got %v, want %v", err, ErrUnavailable)
	}
	log.setFate(func() fate { return fateRefusedAtOnce })
	if err := a.Apply([]store.Op{putUser(9, "x")}); !errors.Is(err, ErrUnavailable) {
		t.Errorf("got %v, want %v", err, ErrUnavailable)
	}
	log.setFate(nil)
	must(t, a.Apply([]store.Op{putMember(1, 10, 1)}))
	log.release(nil) // The first one comes too late.
	seq, err := a.Settle(patient(t))
	must(t, err)
	must(t, b.Wait(patient(t), seq))
	must(t, b.Sync(patient(t)))
	for _, n := range []*node{a, b} {
		if got := users(t, n, 1); got != "7 10" {
			t.Errorf("the members are %s", got)
		}
	}
}

func users(t *testing.T, n *node, guild uint64) string {
	t.Helper()
	var all []string
	must(t, n.GuildMembers(guild, func(m store.MemberRecord) error {
		all = append(all, fmt.Sprint(m.User))
		return nil
	}))
	return strings.Join(all, " ")
}

// TestSeals: all survivors seal at once, nothing of the lost node is stored behind that, and it
// comes back as another incarnation.
func TestSeals(t *testing.T) {
	log, a, b := pair(t)
	c := startNode(t, log, "c", store.NewMemory())
	defer c.end(t)
	must(t, a.Apply([]store.Op{putGuild(1, "g")}))
	var sealing sync.WaitGroup
	for _, n := range []*node{b, c, b, c} {
		sealing.Go(func() {
			if err := n.Seal(patient(t), "a", 1); err != nil {
				t.Error(err)
			}
		})
	}
	sealing.Wait()
	if err := a.Apply([]store.Op{putGuild(1, "h")}); !errors.Is(err, ErrFenced) {
		t.Errorf("who was sealed writes: %v", err)
	}
	if err := a.Apply([]store.Op{putGuild(1, "g")}); !errors.Is(err, ErrFenced) {
		t.Errorf("who was sealed says what there is: %v", err)
	}
	if err := a.Join(patient(t), 1); !errors.Is(err, ErrFenced) {
		t.Errorf("who was sealed joins: %v", err)
	}
	must(t, a.Join(patient(t), 2))
	before := log.lastOf("n.a")
	must(t, b.Seal(patient(t), "a", 1))
	must(t, a.Apply([]store.Op{putGuild(1, "h")}))
	if log.lastOf("n.a") != before {
		t.Error("a seal of an earlier incarnation is written")
	}
	// One that has not joined yet can be sealed too.
	must(t, b.Seal(patient(t), "d", 3))
	d := startNode(t, log, "d", store.NewMemory())
	defer d.end(t)
	if err := d.Join(patient(t), 3); !errors.Is(err, ErrFenced) {
		t.Errorf("who was sealed before it joined joins: %v", err)
	}
	must(t, d.Join(patient(t), 4))
	same(t, "d", d.Directory, a.Directory)
}

// TestSyncsShare: of many who ask at once most share a message.
func TestSyncsShare(t *testing.T) {
	log, a, b := pair(t)
	must(t, b.Apply([]store.Op{putUser(4, "x")}))
	log.once(fateHeld)
	batches := func() (stored, held int) {
		log.mu.Lock()
		defer log.mu.Unlock()
		return log.batches, len(log.late)
	}
	before, _ := batches()
	var asking sync.WaitGroup
	for n := range 100 {
		if n == 1 {
			until(t, "the first is sent", func() bool { _, held := batches(); return held > 0 })
		}
		asking.Go(func() {
			if err := a.Sync(patient(t)); err != nil {
				t.Error(err)
			}
			if u, err := a.User(4); u == nil || err != nil {
				t.Errorf("who has synced does not know the user: %v", err)
			}
		})
	}
	until(t, "somebody waits", func() bool {
		a.lock().Lock()
		defer a.lock().Unlock()
		return a.next != nil
	})
	short, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	if err := a.Sync(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("who cannot wait is told %v", err)
	}
	log.release(nil)
	asking.Wait()
	if after, _ := batches(); after-before > 50 {
		t.Errorf("%d messages for 100", after-before)
	}
}

// lock is the directory's own lock.
func (n *node) lock() *sync.Mutex { return &n.Directory.mu }

// brokenStore refuses what it is given while it is broken.
type brokenStore struct {
	store.Replica
	mu     sync.Mutex
	broken bool
}

var errDisk = errors.New("the disk is full")

func (s *brokenStore) set(broken bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken = broken
}

func (s *brokenStore) Apply(ops []store.Op) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken {
		return errDisk
	}
	return s.Replica.Apply(ops)
}

// TestStoreThatFails: nobody is told that something is done which the node's own store does not
// have; nothing is skipped; and it goes on when the store does.
func TestStoreThatFails(t *testing.T) {
	log, broken := newFakeLog(), &brokenStore{Replica: store.NewMemory()}
	a := startNode(t, log, "a", broken)
	defer a.end(t)
	must(t, a.Join(patient(t), 1))
	broken.set(true)
	if err := a.Apply([]store.Op{putUser(4, "x")}); !errors.Is(err, ErrNotApplied) ||
		!errors.Is(err, errDisk) {
		t.Errorf("got %v, want %v", err, ErrNotApplied)
	}
	if err := a.Apply([]store.Op{putUser(5, "x")}); !errors.Is(err, ErrUnavailable) {
		t.Errorf("got %v, want %v", err, ErrUnavailable)
	}
	broken.set(false)
	until(t, "the store is tried again", func() bool { return a.Sync(patient(t)) == nil })
	if u, err := a.User(4); u == nil || err != nil {
		t.Errorf("what was stored is not there: %v", err)
	}
	must(t, a.Apply([]store.Op{putUser(5, "x")}))
}
