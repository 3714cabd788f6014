package main

import (
	"bufio"
	"context"
	"fmt"
	"time"

	"throng/bench/internal/server"
)

// Ids of the guild's roles.
const roleBase = 400_000_000_000_000_000

func roleID(role int) int { return roleBase + role }

// document is the guild: roles, and a channel.
func document() []byte {
	doc := fmt.Appendf(nil, `{"name":"the guild","owner_id":"%d","channels":[{"id":"%d",`+
		`"type":0,"name":"general"}],"roles":[`, server.UserID(0), server.ChannelID(bigGuild, 0))
	for role := range roles {
		if role > 0 {
			doc = append(doc, ',')
		}
		doc = fmt.Appendf(doc, `{"id":"%d","name":"role %d"}`, roleID(role), role)
	}
	return append(doc, "]}"...)
}

// load makes the guild with its members: each has three roles, of which the first is one of those
// that are deleted later, and every third has a nick.
func (b *bench) load(ctx context.Context, node *server.Throng) error {
	began := time.Now()
	if err := node.PutDocument(ctx, bigGuild, document()); err != nil {
		return err
	}
	err := node.PutMemberLines(ctx, bigGuild, func(w *bufio.Writer) {
		const rest = roles - rolesDeleted
		for i := range b.members {
			fmt.Fprintf(w, `{"user_id":"%d","roles":["%d","%d","%d"]`, server.UserID(i),
				roleID(i%rolesDeleted), roleID(rolesDeleted+i%rest),
				roleID(rolesDeleted+i/rest%rest))
			if i%3 == 0 {
				fmt.Fprintf(w, `,"nick":"nick of %d"`, i)
			}
			fmt.Fprintln(w, "}")
		}
	})
	took := time.Since(began)
	b.Samples.Add("load s", took.Seconds())
	b.Note("%d members are there after %.1f s", b.members, took.Seconds())
	return err
}
