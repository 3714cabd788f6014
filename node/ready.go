package node

import (
	"strconv"

	"throng/store"
	"throng/wire"
)

// readyFacts is what READY says.
type readyFacts struct {
	version   int
	user      *store.User
	guilds    []wire.Snowflake
	session   string
	resumeURL string
	shard     [2]int
	sharded   bool
	trace     string
}

// applicationFlagsDefault are those of an application with the limited grant of all three
// privileged intents: presences, members and message content (bits 13, 15 and 19).
const applicationFlagsDefault = wire.ApplicationPresenceLimited |
	wire.ApplicationMembersLimited | wire.ApplicationMessageContentLimited

// applicationFlags are the user's, when its document says any.
func applicationFlags(u *store.User) uint64 {
	if n, ok := wire.IntField([]byte(u.Doc), "application_flags"); ok && n >= 0 {
		return uint64(n)
	}
	return applicationFlagsDefault
}

// selfFields are what a user sees of itself and others do not, with the values that every client
// library takes.
var selfFields = []struct{ key, value string }{
	{"verified", "true"}, {"mfa_enabled", "false"}, {"email", "null"}, {"flags", "0"},
}

// appendReady appends READY's d. What is beyond the documented fields is there because a library
// does not become ready without it (private_channels for eris) or because Discord really sends it.
func appendReady(dst []byte, f readyFacts) []byte {
	dst = append(dst, `{"v":`...)
	dst = strconv.AppendInt(dst, int64(f.version), 10)
	dst = append(dst, `,"user":`...)
	dst = appendSelf(dst, f.user)
	dst = append(dst, `,"guilds":[`...)
	for i, g := range f.guilds {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"id":"`...)
		dst = g.Append(dst)
		dst = append(dst, `","unavailable":true}`...)
	}
	dst = append(dst, `],"session_id":"`...)
	dst = append(dst, f.session...)
	dst = append(dst, `","session_type":"normal","resume_gateway_url":`...)
	dst = wire.AppendString(dst, f.resumeURL)
	if f.sharded {
		dst = append(dst, `,"shard":[`...)
		dst = strconv.AppendInt(dst, int64(f.shard[0]), 10)
		dst = append(dst, ',')
		dst = strconv.AppendInt(dst, int64(f.shard[1]), 10)
		dst = append(dst, ']')
	}
	dst = append(dst, `,"application":{"id":"`...)
	dst = wire.Snowflake(f.user.ID).Append(dst)
	dst = append(dst, `","flags":`...)
	dst = strconv.AppendUint(dst, applicationFlags(f.user), 10)
	dst = append(dst, `},"private_channels":[],"relationships":[],"presences":[],`...)
	dst = append(dst, `"user_settings":{},"geo_ordered_rtc_regions":[],`...)
	dst = append(dst, `"guild_join_requests":[],"auth":{},"_trace":[`...)
	dst = wire.AppendString(dst, f.trace)
	return append(dst, `]}`...)
}

// appendSelf appends the user as it sees itself.
func appendSelf(dst []byte, u *store.User) []byte {
	doc := []byte(u.Doc)
	dst = append(dst, doc[:len(doc)-1]...)
	for _, f := range selfFields {
		if _, has := wire.Field(doc, f.key); !has {
			dst = append(dst, `,"`...)
			dst = append(dst, f.key...)
			dst = append(dst, `":`...)
			dst = append(dst, f.value...)
		}
	}
	if _, has := wire.Field(doc, "bot"); !has {
		dst = append(dst, `,"bot":`...)
		dst = strconv.AppendBool(dst, u.Bot)
	}
	return append(dst, '}')
}
