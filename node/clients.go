package node

import (
	"context"
	"errors"
	"time"

	"throng/fanout"
	"throng/node/api"
	"throng/node/auth"
	"throng/store"
	"throng/tuning"
	"throng/wire"
)

// Authenticate resolves a token for the client-facing HTTP.
func (n *Node) Authenticate(ctx context.Context, token string) (api.User, error) {
	u, err := n.userOf(token)
	if err == nil && u == nil && n.core.newest != nil {
		if err = n.core.newest.catchUp(ctx); err == nil {
			u, err = n.userOf(token)
		}
	}
	switch {
	case errors.Is(err, auth.ErrUnavailable), errors.Is(err, errBehindLog):
		return api.User{}, api.Unavailable(busyRetry, "The token cannot be checked now.")
	case err != nil:
		return api.User{}, err
	case u == nil:
		return api.User{}, api.Unauthorized
	}
	return api.User{ID: wire.Snowflake(u.ID), Bot: u.Bot, Doc: appendSelf(nil, u)}, nil
}

// userOf is nil for a token of nobody.
func (n *Node) userOf(token string) (*store.User, error) {
	id, err := n.core.authenticate(token)
	if err != nil || id == 0 {
		return nil, err
	}
	return n.core.user(id)
}

// guildsPerShardWanted is how many guilds GET gateway/bot puts on a shard, as Discord does.
const guildsPerShardWanted = 1000

// startTotal is the number of session starts a day that GET gateway/bot speaks of; the node itself
// counts none.
const startTotal = 1000

// StartLimits is what GET gateway/bot tells a bot.
func (n *Node) StartLimits(_ context.Context, as wire.Snowflake) (api.StartLimits, error) {
	guilds, err := n.core.dir.GuildsOf(uint64(as))
	if err != nil {
		return api.StartLimits{}, err
	}
	shards := 1
	if len(guilds) > n.core.limits.shardGuildsMax {
		shards = (len(guilds) + guildsPerShardWanted - 1) / guildsPerShardWanted
	}
	left, wait := n.core.starts.left(n.core.clock())
	if n.core.pressure() >= tuning.PressureNew {
		left, wait = 0, max(wait, milli(shortRetry))
	}
	return api.StartLimits{
		Shards: shards, Total: startTotal, Remaining: int(min(left, startTotal)),
		ResetAfter:     time.Duration(wait) * time.Millisecond,
		MaxConcurrency: max(n.core.limits.identifyBuckets, 1),
	}, nil
}

// GuildDoc is the guild's object, for its members.
func (n *Node) GuildDoc(ctx context.Context, guild, as wire.Snowflake) (doc []byte, err error) {
	err = n.look(ctx, guild, func(g *fanout.Guild, _ int64) error {
		if g == nil || !g.HasMember(as) {
			return api.UnknownGuild
		}
		doc = g.Object()
		return nil
	})
	return doc, err
}

// guildOf finds the guild of a channel: among those loaded, or in the directory.
func (n *Node) guildOf(channel wire.Snowflake) (wire.Snowflake, error) {
	if g, ok := n.core.channels.Load(channel); ok {
		return g, nil
	}
	g, err := n.core.dir.ChannelGuild(uint64(channel))
	if err == nil && g == 0 {
		err = api.UnknownChannel
	}
	return wire.Snowflake(g), err
}

// inChannel runs a look at a channel that the user can view.
func (n *Node) inChannel(ctx context.Context, channel, as wire.Snowflake,
	run func(g *fanout.Guild, now int64) error) (guild wire.Snowflake, err error) {
	if guild, err = n.guildOf(channel); err != nil {
		return 0, err
	}
	return guild, n.look(ctx, guild, func(g *fanout.Guild, now int64) error {
		switch {
		case g == nil || g.Channel(channel) == nil:
			return api.UnknownChannel
		case !g.Can(as, channel, wire.PermissionViewChannel, now):
			return api.MissingAccess
		}
		return run(g, now)
	})
}

// ChannelDoc is the channel's object, for those who can view it.
func (n *Node) ChannelDoc(ctx context.Context, channel, as wire.Snowflake) (doc []byte, err error) {
	_, err = n.inChannel(ctx, channel, as, func(g *fanout.Guild, _ int64) error {
		doc = g.Channel(channel)
		return nil
	})
	return doc, err
}

// PostMessage publishes MESSAGE_CREATE for a message that a client posted, and returns the message
// as Discord's API does.
func (n *Node) PostMessage(ctx context.Context, channel, as wire.Snowflake,
	in api.MessageInput) ([]byte, error) {
	meta := api.MessageMeta{Channel: channel}
	everyone := false
	guild, err := n.inChannel(ctx, channel, as, func(g *fanout.Guild, now int64) error {
		if !g.Can(as, channel, wire.PermissionSendMessages, now) {
			return api.MissingPermissions
		}
		everyone = g.Can(as, channel, wire.PermissionMentionEveryone, now)
		meta.At, meta.ID = now, g.NextMessageID(now)
		meta.Member = wire.DropField(nil, g.Member(as), "user")
		return nil
	})
	if err != nil {
		return nil, err
	}
	author, err := n.core.user(as)
	if err != nil || author == nil {
		return nil, err
	}
	meta.Author = []byte(author.Doc)
	in.MentionEveryone = in.MentionEveryone && everyone
	// In the event users are ids. The guild makes users of them when the event has its place there:
	// taken from here, an older name could come behind a newer one.
	inGuild := meta
	inGuild.Guild, inGuild.Author = guild, as.AppendJSON(nil)
	for _, id := range in.MentionUsers {
		if u, err := n.core.user(id); err == nil && u != nil {
			meta.Mentions = append(meta.Mentions, []byte(u.Doc))
			inGuild.Mentions = append(inGuild.Mentions, id.AppendJSON(nil))
		}
	}
	message := in.Append(nil, meta)
	event := api.EventInput{Type: "MESSAGE_CREATE", Data: in.Append(nil, inGuild)}
	_, rejected, err := n.Publish(ctx, guild, []api.EventInput{event})
	if err == nil && rejected[0] != nil {
		err = rejected[0]
	}
	return message, err
}

// Typing publishes TYPING_START.
func (n *Node) Typing(ctx context.Context, channel, as wire.Snowflake) error {
	var data []byte
	guild, err := n.inChannel(ctx, channel, as, func(g *fanout.Guild, now int64) error {
		if !g.Can(as, channel, wire.PermissionSendMessages, now) {
			return api.MissingPermissions
		}
		data = channel.AppendJSON([]byte(`{"channel_id":`))
		data = as.AppendJSON(append(data, `,"user_id":`...))
		data = wire.AppendInt(append(data, `,"timestamp":`...), now/1000)
		data = append(data, '}')
		return nil
	})
	if err != nil {
		return err
	}
	_, rejected, err := n.Publish(ctx, guild, []api.EventInput{{Type: "TYPING_START", Data: data}})
	if err == nil {
		err = rejected[0]
	}
	return err
}
