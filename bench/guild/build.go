package main

import (
	"bufio"
	"context"
	"fmt"
	"math/bits"
	"time"

	"throng/bench/internal/server"
	"throng/wire"
)

// Ids of the guild's roles.
const roleBase = 400_000_000_000_000_000

func roleID(role int) wire.Snowflake { return wire.Snowflake(roleBase + role) }

// The guild's roles: those that are deleted on the way, levels, of which each is half as frequent
// as the one before, and the others, which one member in fifty has.
const (
	rolesDeleted = 4
	levels       = 20
	others       = 26
	roles        = rolesDeleted + levels + others
	otherEvery   = 50
)

// The guild's channels. One is hidden from all but one level; and there are some that all see, each
// with overwrites of its own.
const (
	openChannel   = 0
	hiddenChannel = 1
	hiddenLevel   = 3 // One member in sixteen.
	ownChannel    = 2 // The first of ownChannels.
	ownChannels   = 100
)

// hoistedLevels are shown apart in the member list.
const hoistedLevels = 3

func levelOf(member int) int { return min(bits.TrailingZeros(uint(member+1)), levels-1) }

// seesHidden says whether a member sees the hidden channel.
func seesHidden(member int) bool { return levelOf(member) == hiddenLevel }

// rolesOf are a member's roles, as numbers.
func rolesOf(member int) []int {
	has := []int{member % rolesDeleted, rolesDeleted + levelOf(member)}
	if member%otherEvery == 0 {
		has = append(has, rolesDeleted+levels+member/otherEvery%others)
	}
	return has
}

// overwritesOf are the overwrites of a channel. Those of a channel of its own keep somebody out who
// is no member: they change nothing but the id of its member list.
func overwritesOf(channel int) []wire.Overwrite {
	const view = wire.PermissionViewChannel
	switch channel {
	case openChannel:
		return nil
	case hiddenChannel:
		return []wire.Overwrite{{ID: server.GuildID(bigGuild), Deny: view},
			{ID: roleID(rolesDeleted + hiddenLevel), Allow: view}}
	default:
		return []wire.Overwrite{{ID: server.UserID(nobody + channel),
			Type: wire.OverwriteMember, Deny: view}}
	}
}

// nobody is the number from which on there are no users.
const nobody = 1 << 40

// document is the guild: roles and channels. Its owner has no session.
func (b *bench) document() []byte {
	doc := fmt.Appendf(nil, `{"name":"the guild","owner_id":"%d","channels":[`,
		server.UserID(b.members-1))
	for channel := range ownChannel + ownChannels {
		doc = wire.AppendComma(doc)
		doc = fmt.Appendf(doc, `{"id":"%d","type":0,"name":"channel %d","permission_overwrites":[`,
			server.ChannelID(bigGuild, channel), channel)
		for _, o := range overwritesOf(channel) {
			doc = fmt.Appendf(wire.AppendComma(doc),
				`{"id":"%d","type":%d,"allow":"%d","deny":"%d"}`, o.ID, o.Type, o.Allow, o.Deny)
		}
		doc = append(doc, "]}"...)
	}
	doc = append(doc, `],"roles":[`...)
	for role := range roles {
		hoist := role >= rolesDeleted && role < rolesDeleted+hoistedLevels
		doc = fmt.Appendf(wire.AppendComma(doc), `{"id":"%d","name":"role %d","hoist":%t}`,
			roleID(role), role, hoist)
	}
	return append(doc, "]}"...)
}

// load makes the guild with its members, of whom every third has a nick.
func (b *bench) load(ctx context.Context, node *server.Throng) error {
	began := time.Now()
	if err := node.PutDocument(ctx, bigGuild, b.document()); err != nil {
		return err
	}
	err := node.PutMemberLines(ctx, bigGuild, func(w *bufio.Writer) {
		var line []byte
		for i := range b.members {
			line = fmt.Appendf(line[:0], `{"user_id":"%d","roles":[`, server.UserID(i))
			for _, role := range rolesOf(i) {
				line = fmt.Appendf(wire.AppendComma(line), `"%d"`, roleID(role))
			}
			line = append(line, ']')
			if i%3 == 0 {
				line = fmt.Appendf(line, `,"nick":"nick of %d"`, i)
			}
			_, _ = w.Write(append(line, "}\n"...))
		}
	})
	took := time.Since(began)
	b.Samples.Add("load s", took.Seconds())
	b.Note("%d members are there after %.1f s", b.members, took.Seconds())
	return err
}
