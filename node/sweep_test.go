package node

import (
	"context"
	"slices"
	"testing"

	"throng/fanout"
	"throng/store"
	"throng/wire"
)

// TestDeletedRoleIsTakenFromAllRecords deletes the role of 500 members, a few at a time, and waits
// until none of the records on the disk names it.
func TestDeletedRoleIsTakenFromAllRecords(t *testing.T) {
	r := startRig(t, Config{Data: t.TempDir()}, func(c *core) { c.limits.membersPassMax = 30 })
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
