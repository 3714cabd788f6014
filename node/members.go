package node

import (
	"context"
	"errors"

	"throng/fanout"
	"throng/node/api"
	"throng/wire"
)

// PutMembers loads members.
func (n *Node) PutMembers(ctx context.Context, guild wire.Snowflake, lines [][]byte,
	announce bool) ([]error, error) {
	if err := n.roomForState(); err != nil {
		return nil, err
	}
	errs := make([]error, len(lines))
	inputs := make([]fanout.MemberInput, 0, len(lines))
	from := make([]int, 0, len(lines))
	for i, line := range lines {
		in, err := fanout.ParseMember(line)
		if err != nil {
			errs[i] = refusal(err)
			continue
		}
		// The user's record is read here, so that neither shard nor loop waits for the disk.
		if _, err := n.core.user(in.User); err != nil {
			return nil, err
		}
		inputs, from = append(inputs, in), append(from, i)
	}
	var parts []*guildWork
	for len(inputs) > 0 || len(parts) == 0 {
		count := min(len(inputs), n.core.limits.membersPassMax)
		parts = append(parts, putPart(guild, inputs[:count], announce, from[:count], errs))
		inputs, from = inputs[count:], from[count:]
	}
	if err := n.doAll(ctx, guild, parts); err != nil {
		return nil, err
	}
	return errs, nil
}

// putPart is the message that loads some of the members. Input k is line from[k], and that is where
// errs says why it was refused. It is done even if whoever asked has gone: see doAll.
func putPart(guild wire.Snowflake, inputs []fanout.MemberInput, announce bool, from []int,
	errs []error) *guildWork {
	change := func(s *shard, g *fanout.Guild, now int64) (fanout.Change, error) {
		before := g.Info().MemberCount
		change, refused := g.PutMembers(inputs, announce, now)
		s.core.members.Add(int64(g.Info().MemberCount - before))
		for k, err := range refused {
			errs[from[k]] = refusal(err)
		}
		return change, nil
	}
	return changeOf(context.Background(), guild, change)
}

// doAll hands a guild several messages, between which other guilds of the shard have their turns.
// The first is refused when the shard has too much to do, and the others are not: a batch of which
// a part was taken would be announced twice when it came again.
func (n *Node) doAll(ctx context.Context, guild wire.Snowflake, parts []*guildWork) error {
	if !n.hand(parts[0]) {
		return errBehind
	}
	for _, m := range parts[1:] {
		n.core.shardOf(guild).inbox.push(m)
	}
	for i, m := range parts {
		switch err := n.await(ctx, m.reply); {
		case i > 0 && errors.Is(err, api.Moved):
			return api.Unavailable(busyRetry, movingWords) // A part has been done.
		case err != nil:
			return err
		}
	}
	return nil
}
