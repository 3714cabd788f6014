package fanout

import (
	"cmp"
	"slices"

	"throng/store"
	"throng/wire"
)

// Who gains sight of a channel must learn of its active threads, which GUILD_CREATE left out for
// them: that is THREAD_LIST_SYNC. When roles or overwrites change, whole classes gain sight, so the
// sync of a channel is one event to the classes that see it now and did not before. It lists the
// public threads. When one member changes, the sync is private, and lists the member's private
// threads too. Who loses sight is told nothing: clients work that out themselves.

// threadSight returns who sees each channel that has active public threads; nil when finding out
// again after the change would keep the shard too long (threadSyncWorkMax).
func (t *turn) threadSight() map[wire.Snowflake]Bitset { return t.threadSightOf(0) }

// threadSightOf does so for one channel, or for all when it is 0.
func (t *turn) threadSightOf(channel wire.Snowflake) map[wire.Snowflake]Bitset {
	g := t.g
	if g.receivers.len() == 0 {
		return nil
	}
	var before map[wire.Snowflake]Bitset
	for _, th := range g.threads {
		if th.archived || th.private() || channel != 0 && th.parent != channel {
			continue
		}
		if _, done := before[th.parent]; done {
			continue
		}
		if before == nil {
			before = make(map[wire.Snowflake]Bitset)
		}
		if (len(before)+1)*len(g.classes.born) > threadSyncWorkMax {
			return nil
		}
		before[th.parent] = g.sight(gate{channel: th.parent, need: wire.PermissionViewChannel})
	}
	return before
}

// syncThreads publishes THREAD_LIST_SYNC to those who see more than before.
func (t *turn) syncThreads(before map[wire.Snowflake]Bitset) {
	g := t.g
	channels := make([]wire.Snowflake, 0, len(before))
	for channel := range before {
		channels = append(channels, channel)
	}
	slices.Sort(channels)
	for _, channel := range channels {
		if g.channelByID[channel] == nil {
			continue
		}
		now := g.sight(gate{channel: channel, need: wire.PermissionViewChannel})
		gained := now.without(before[channel])
		if gained.empty() {
			continue
		}
		var threads []*thread
		for _, th := range g.threads {
			if th.parent == channel && !th.archived && !th.private() {
				threads = append(threads, th)
			}
		}
		body := g.threadListBody([]wire.Snowflake{channel}, threads, 0)
		t.publish("THREAD_LIST_SYNC", body, nil, Event{Intents: wire.IntentGuilds, Visible: gained})
	}
}

// syncMemberThreads sends THREAD_LIST_SYNC to a member that sees more than before its change.
func (t *turn) syncMemberThreads(old, m store.Member, was bool) {
	g := t.g
	user := wire.Snowflake(m.User)
	if !was || len(g.threads) == 0 || !g.receivers.connected(user) {
		return
	}
	before, now := g.keyOf(old, t.now), g.keyOf(m, t.now)
	if before == now {
		return
	}
	a, b := class{key: before}, class{key: now}
	var channels []wire.Snowflake
	var threads []*thread
	for _, th := range g.threads {
		c := g.channelByID[th.parent]
		if th.archived || c == nil {
			continue
		}
		const view = wire.PermissionViewChannel
		if g.permissions(&a, c).Has(view) || !g.permissions(&b, c).Has(view) {
			continue
		}
		if _, joined := th.member(user); th.private() && !joined &&
			!g.permissions(&b, c).Has(wire.PermissionManageThreads) {
			continue
		}
		channels = append(channels, th.parent)
		threads = append(threads, th)
	}
	if len(threads) == 0 {
		return
	}
	slices.SortFunc(channels, cmp.Compare)
	body := g.threadListBody(slices.Compact(channels), threads, user)
	t.privately(user, wire.IntentGuilds, "THREAD_LIST_SYNC", body)
}

// threadListBody is the body of THREAD_LIST_SYNC, with the memberships of the user when it is not
// 0.
func (g *Guild) threadListBody(
	channels []wire.Snowflake, threads []*thread, user wire.Snowflake,
) []byte {
	dst := g.id.AppendJSON([]byte(`{"guild_id":`))
	dst = wire.AppendSnowflakes(wire.AppendKey(dst, "channel_ids"), channels)
	dst = append(wire.AppendKey(dst, "threads"), '[')
	for _, th := range threads {
		dst = th.append(wire.AppendComma(dst), 0)
	}
	dst = append(wire.AppendKey(append(dst, ']'), "members"), '[')
	for _, th := range threads {
		if at, joined := th.member(user); joined {
			dst = append(wire.AppendComma(dst), th.members[at].raw...)
		}
	}
	return append(dst, ']', '}')
}
