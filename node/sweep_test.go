package node

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"

	"throng/fanout"
	"throng/store"
	"throng/wire"
)

// TestDeletedRoleIsTakenFromAllRecords deletes the role of 500 members, a few at a time, and waits
// until none of the records on the disk names it.
func TestDeletedRoleIsTakenFromAllRecords(t *testing.T) {
	deleteRoleOfMany(t, func(c *core) { c.limits.membersPassMax = 30 })
}

// stumbling is a directory that does not take many changes at once while fail is above zero, which
// each attempt lowers.
type stumbling struct {
	store.Directory
	fail *atomic.Int32
}

func (d stumbling) Apply(ops []store.Op) error {
	if len(ops) >= 30 && d.fail.Add(-1) >= 0 {
		return errors.New("a test's disk fails")
	}
	return d.Directory.Apply(ops)
}

// TestSweepSurvives a disk that fails and workers that have too much to do: in the end no record
// names the role.
func TestSweepSurvives(t *testing.T) {
	var fail, refuse atomic.Int32
	for name, trouble := range map[string]*atomic.Int32{"the disk": &fail, "no room": &refuse} {
		t.Run(name, func(t *testing.T) {
			deleteRoleOfMany(t, func(c *core) {
				c.limits.membersPassMax = 30
				c.dir = stumbling{c.dir, &fail}
				submit := c.submit
				c.submit = func(what messageKind, job func()) bool {
					return refuse.Add(-1) < 0 && submit(what, job)
				}
				// Ten seconds pass before what has failed is tried again.
				wall, began := c.wall, c.wall()
				c.wall = func() int64 { return began + 100*(wall()-began) }
			}, func() { trouble.Store(2) })
			if trouble.Load() >= 0 {
				t.Error("there was no trouble")
			}
		})
	}
}

// badWalk is a walk that cannot go on.
type badWalk struct{}

func (badWalk) Next(int) []uint64 { panic("a test's") }

// TestWalkThatPanicsIsGivenUp: its guild hears of that, and goes on.
func TestWalkThatPanicsIsGivenUp(t *testing.T) {
	r := startRig(t, Config{})
	r.user(1, true)
	r.guild(100, 1)
	c := r.login(1)
	c.joined(1)
	steps := func() int64 {
		return r.timed(r.core.shardOf(100), kindWalk).count
	}
	err := r.look(r.context(), 100, func(g *fanout.Guild, _ int64) error {
		if !r.core.shardOf(100).walkNext(g, badWalk{}) {
			t.Error("the workers have no room")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	r.until("the guild hears", func() bool { return steps() == 1 })
	r.panics = 1
	r.publish(100, 1)
	c.wantNumber(1)
}

// deleteRoleOfMany deletes a role of 500 members and waits until no record names it.
func deleteRoleOfMany(t *testing.T, tweak func(*core), before ...func()) {
	r := startRig(t, Config{Data: t.TempDir()}, tweak)
	users := make([]wire.Snowflake, 500)
	for i := range users {
		users[i] = wire.Snowflake(i + 1)
	}
	r.guild(100, users...)
	for _, role := range []string{"150", "151"} {
		r.publishEvent(100, namedEvent("GUILD_ROLE_CREATE", `{"role":{"id":"`+role+`"}}`))
	}
	var lines [][]byte
	for _, user := range users {
		lines = append(lines, []byte(`{"user_id":"`+user.String()+`","roles":["150","151"]}`))
	}
	if _, err := r.PutMembers(r.context(), 100, lines, false); err != nil {
		t.Fatal(err)
	}
	for _, f := range before {
		f()
	}
	r.publishEvent(100, namedEvent("GUILD_ROLE_DELETE", `{"role_id":"150"}`))
	r.until("the records to change", func() bool {
		left := 0
		err := r.core.dir.GuildMembers(100, func(m store.MemberRecord) error {
			if !slices.Contains(m.Roles, 151) {
				t.Errorf("user %d has lost another role", m.User)
			}
			if slices.Contains(m.Roles, 150) {
				left++
			}
			return nil
		})
		return err == nil && left == 0
	})
}

// TestShardDoesNotWaitForTheDisk holds the keeper up and has more to keep than may wait: the doors
// refuse, and the shard answers all the same.
func TestShardDoesNotWaitForTheDisk(t *testing.T) {
	r := startRig(t, Config{})
	r.guild(100, 1)
	held := make(chan struct{})
	entered := make(chan struct{})
	r.core.keep(nil, func(error) { close(entered); <-held })
	<-entered
	defer close(held)
	ctx, cancel := context.WithCancel(r.context())
	cancel()
	for !r.core.keepFull() {
		// The keeper's answer is not waited for.
		_, _ = r.PutMembers(ctx, 100, [][]byte{[]byte(`{"user_id":"2","nick":"n"}`)}, false)
		err := r.look(r.context(), 100, func(*fanout.Guild, int64) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := r.PutMembers(r.context(), 100, [][]byte{[]byte(`{"user_id":"2"}`)}, false)
	if err != error(errBehind) {
		t.Errorf("a write behind too many others: %v", err)
	}
	if err := r.look(r.context(), 100, func(*fanout.Guild, int64) error { return nil }); err != nil {
		t.Error(err)
	}
}
