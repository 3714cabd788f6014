package main

import (
	"context"
	"fmt"

	"throng/bench/internal/client"
	"throng/bench/internal/crowd"
	"throng/bench/internal/server"
)

const (
	packetEvents = 200
	itemsSent    = `throng_bus_items_total{direction="sent"}`
)

// packets counts what the owner of a guild sends to other nodes for an event, with receivers on
// one, two and three nodes. The guilds and users of it are behind those of the load.
func (b *bench) packets(ctx context.Context, guilds int) error {
	users := nodesCount * watchersPerNode
	n := b.trio.members[0].process()
	if err := n.PutBots(ctx, "packets", users, users+nodesCount); err != nil {
		return err
	}
	var sessions []*client.Session
	defer func() {
		for _, s := range sessions {
			s.Close()
		}
	}()
	for with := range nodesCount {
		guild := guilds + with
		if err := n.PutGuild(ctx, guild, 1); err != nil {
			return err
		}
		if err := n.PutMembers(ctx, guild, users, users+with+1); err != nil {
			return err
		}
	}
	for i, m := range b.trio.members {
		s, err := client.Identify(ctx, m.process().Gateway, fmt.Sprintf("bench-packets.%d", i),
			crowd.IntentsQuiet)
		if err != nil {
			return err
		}
		sessions = append(sessions, s)
		for range nodesCount - i { // It is in so many of these guilds.
			if _, err := s.Await("GUILD_CREATE"); err != nil {
				return err
			}
		}
	}
	for with := range nodesCount {
		items, err := b.countItems(ctx, guilds+with, sessions[:with+1])
		if err != nil {
			return err
		}
		b.Samples.Add(fmt.Sprintf("items per event, receivers on %d nodes", with+1), items)
	}
	return nil
}

// countItems publishes events of a guild and returns what its owner has sent for each.
func (b *bench) countItems(ctx context.Context, guild int, sessions []*client.Session) (
	float64, error) {
	name, err := b.trio.members[0].process().Owner(ctx, guild)
	if err != nil {
		return 0, err
	}
	var owner *server.Throng
	for i, m := range b.trio.members {
		if m.name == name {
			owner = m.process()
			if i >= len(sessions) { // Pin it to a node that has receivers.
				return b.countPinned(ctx, guild, sessions)
			}
		}
	}
	before, err := owner.Metrics(ctx)
	if err != nil {
		return 0, err
	}
	for i := range packetEvents {
		event := fmt.Appendf(nil, `{"t":"%s","d":{"guild_id":"%d","number":%d}}`, eventName,
			server.GuildID(guild), i)
		if err := owner.Publish(ctx, guild, event); err != nil {
			return 0, err
		}
		for _, s := range sessions {
			if _, err := s.Await(eventName); err != nil {
				return 0, err
			}
		}
	}
	after, err := owner.Metrics(ctx)
	return after.Since(before)[itemsSent] / packetEvents, err
}

// countPinned does it with the guild on the first node.
func (b *bench) countPinned(ctx context.Context, guild int, sessions []*client.Session) (
	items float64, err error) {
	to := b.trio.members[0]
	if err := to.process().Move(ctx, guild, to.name); err != nil {
		return 0, err
	}
	err = until(ctx, "owner that has receivers", func() error {
		name, err := to.process().Owner(ctx, guild)
		if err == nil && name != to.name {
			err = fmt.Errorf("it is %s", name)
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	return b.countItems(ctx, guild, sessions)
}
