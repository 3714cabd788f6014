package node

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"throng/node/api"
	"throng/store"
	"throng/wire"
)

// TestTablesForget: what is in the node's tables because of a guild's channels and members leaves
// them with these.
func TestTablesForget(t *testing.T) {
	r := startRig(t, Config{})
	r.user(1, true)
	r.guild(100, 1)
	r.guild(200, 1)
	const before, more = 4, 50
	for n := range more {
		r.publishEvent(100, namedEvent("CHANNEL_CREATE", fmt.Sprintf(
			`{"id":"%d","type":0,"name":"c"}`, 1000+n)))
	}
	if got := r.core.channels.Size(); got != before+more {
		t.Errorf("%d channels are known, want %d", got, before+more)
	}
	for n := range more {
		r.publishEvent(100, namedEvent("CHANNEL_DELETE", fmt.Sprintf(`{"id":"%d"}`, 1000+n)))
	}
	if got := r.core.channels.Size(); got != before {
		t.Errorf("%d channels are known after their deletion, want %d", got, before)
	}
	if err := r.DeleteGuild(r.context(), 100); err != nil {
		t.Fatal(err)
	}
	if got := r.core.channels.Size(); got != before/2 {
		t.Errorf("%d channels are known after their guild's deletion, want %d", got, before/2)
	}
	if got := r.core.members.Load(); got != 1 {
		t.Errorf("%d members are counted, want those of the other guild", got)
	}
}

// TestManyChangesKeepOneDocument: a request that changes a guild many times has its last state
// written, not one document for each change.
func TestManyChangesKeepOneDocument(t *testing.T) {
	var kept [][]byte
	r := startRig(t, Config{}, func(c *core) {
		keep := c.keep
		c.keep = func(ops []store.Op, done func(error)) {
			for _, op := range ops {
				if op.Kind == store.OpPutGuild {
					kept = append(kept, op.Doc)
				}
			}
			keep(ops, done)
		}
	})
	r.guild(100)
	kept = nil
	var events []api.EventInput
	for n := range 50 {
		events = append(events, namedEvent("GUILD_UPDATE", fmt.Sprintf(`{"name":"name%d"}`, n)))
	}
	if _, rejected, err := r.Publish(r.context(), 100, events); err != nil || rejected[49] != nil {
		t.Fatal(rejected, err)
	}
	if len(kept) != 1 || !bytes.Contains(kept[0], []byte(`"name49"`)) {
		t.Errorf("%d documents were kept, want the last", len(kept))
	}
}

// TestUserWhoseCallerLeft: a user that was kept is the one that sessions get, though whoever put it
// did not wait.
func TestUserWhoseCallerLeft(t *testing.T) {
	hold := make(chan struct{}, 1)
	r := startRig(t, Config{}, func(c *core) {
		keep := c.keep
		c.keep = func(ops []store.Op, done func(error)) {
			keep(ops, func(err error) {
				if len(ops) > 0 { // The courier waits with nothing of its own to keep.
					<-hold
				}
				done(err)
			})
		}
	})
	hold <- struct{}{}
	r.user(1, true)
	gone, leave := context.WithCancel(context.Background())
	leave()
	doc := []byte(`{"id":"1","username":"renamed","bot":true}`)
	_, err := r.PutUsers(gone, []api.UserInput{{ID: 1, Doc: doc}})
	if err == nil {
		t.Fatal("the caller waited")
	}
	hold <- struct{}{}
	r.until("the user is the new one", func() bool {
		u, err := r.core.user(wire.Snowflake(1))
		return err == nil && u.Name == "renamed"
	})
}
