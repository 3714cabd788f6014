package main

import (
	"fmt"
	"time"

	"throng/bench/internal/crowd"
	"throng/bench/internal/server"
)

// Events as a backend publishes them. Those with a time bear the mark that clients look for.

func message(channel, author, mentioned, sequence int, now time.Time) []byte {
	return crowd.Message(bigGuild, channel, author, mentioned, sequence, now)
}

func typing(channel, member int, now time.Time) []byte {
	return fmt.Appendf(nil, `{"t":"TYPING_START","d":{"ts":%d,"channel_id":"%d","user_id":"%d",`+
		`"timestamp":%d}}`+"\n", now.UnixNano(), server.ChannelID(bigGuild, channel),
		server.UserID(member), now.Unix())
}

func rename(member int, nick string) []byte {
	return fmt.Appendf(nil, `{"t":"GUILD_MEMBER_UPDATE","d":{"user":{"id":"%d"},"nick":"%s"}}`+"\n",
		server.UserID(member), nick)
}

func join(member int) []byte {
	return fmt.Appendf(nil, `{"t":"GUILD_MEMBER_ADD","d":{"user":{"id":"%d"}}}`+"\n",
		server.UserID(member))
}

// reroll gives a member another of the roles that open nothing.
func reroll(member, other int) []byte {
	return fmt.Appendf(nil, `{"t":"GUILD_MEMBER_UPDATE","d":{"user":{"id":"%d"},"roles":["%d",`+
		`"%d"]}}`+"\n", server.UserID(member), roleID(rolesDeleted+levelOf(member)),
		roleID(rolesDeleted+levels+other))
}

// status is op 3.
func status(name string) string {
	return fmt.Sprintf(`{"op":3,"d":{"since":null,"activities":[],"status":"%s","afk":false}}`,
		name)
}
