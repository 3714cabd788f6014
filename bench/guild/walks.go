package main

import (
	"context"
	"fmt"
	"time"

	"throng/bench/internal/client"
	"throng/bench/internal/server"
	"throng/bench/internal/trial"
	"throng/wire"
)

// lists has sessions ask for all members, at the same time.
func (b *bench) lists(ctx context.Context, node *server.Throng) error {
	if err := node.PutUsers(ctx, "asker", 0, lists); err != nil {
		return err
	}
	return atOnce(lists, func(i int) error {
		a, err := client.Identify(ctx, node.Gateway, fmt.Sprintf("bench-asker.%d", i),
			wire.IntentGuilds|wire.IntentGuildMembers)
		if err != nil {
			return err
		}
		defer a.Close()
		members, err := a.AskForAll(server.GuildID(bigGuild))
		if err == nil && members < b.members {
			err = fmt.Errorf("the list has %d members of %d", members, b.members)
		}
		return err
	})
}

// exports has all members written out over HTTP, at the same time.
func (b *bench) exports(ctx context.Context, node *server.Throng) error {
	return atOnce(exports, func(int) error {
		members, err := node.ExportMembers(ctx, bigGuild)
		if err == nil && members < b.members {
			err = fmt.Errorf("the export has %d members of %d", members, b.members)
		}
		return err
	})
}

// deleteRoles deletes roles that a part of the members have each, and waits until that is the
// records' truth too: a role may have the id of one that was deleted only then.
func (b *bench) deleteRoles(ctx context.Context, node *server.Throng) error {
	for role := range rolesDeleted {
		event := fmt.Appendf(nil, `{"t":"GUILD_ROLE_DELETE","d":{"role_id":"%d"}}`, roleID(role))
		if err := node.Publish(ctx, bigGuild, event); err != nil {
			return err
		}
	}
	for role := range rolesDeleted {
		event := fmt.Appendf(nil, `{"t":"GUILD_ROLE_CREATE","d":{"role":{"id":"%d"}}}`,
			roleID(role))
		what := fmt.Sprintf("the end of role %d", role)
		err := trial.Until(ctx, sweepTimeout, what, func() (bool, error) {
			if node.Publish(ctx, bigGuild, event) == nil {
				return true, nil
			}
			return false, trial.Pause(ctx, time.Second/10)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// atOnce runs f count times at the same time and returns the first error.
func atOnce(count int, f func(i int) error) (first error) {
	errs := make(chan error, count)
	for i := range count {
		go func() { errs <- f(i) }()
	}
	for range count {
		if err := <-errs; err != nil && first == nil {
			first = err
		}
	}
	return first
}
