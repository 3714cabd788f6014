package fanout

import (
	"cmp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"throng/store"
	"throng/wire"
)

// Query is the answer to a request for members, to be worked out away from the shard: it reads
// tables that anyone may read at any time. Its first Next looks at every member of the guild
// unless the request names users; call Next until Done.
type Query struct {
	guild     wire.Snowflake
	members   *store.Members
	presences *presences // nil when they were not asked for, or may not be had.
	view      memberView
	cmd       wire.MembersCommand

	found    []store.Member
	notFound []wire.Snowflake
	begun    bool
	index    int // Of the next chunk.
}

// MembersQuery plans the answer to a request of a member with these intents. A request that the
// requester may not make is refused as Forbidden, and the protocol then answers nothing.
func (g *Guild) MembersQuery(
	cmd wire.MembersCommand, requester wire.Snowflake, intents wire.Intents, now int64,
) (Query, error) {
	if _, ok := g.members.Get(uint64(requester)); !ok {
		return Query{}, &Error{Kind: Forbidden, Reason: "The user is no member of the guild."}
	}
	switch {
	case len(cmd.UserIDs) > queryUsersMax:
		return Query{}, invalid("user_ids", "It holds more than 100.")
	case cmd.UserIDs != nil:
	case cmd.Query == nil:
		// Nobody is named: one empty chunk, so that the client need not wait for its own timeout.
		cmd.UserIDs = []wire.Snowflake{}
	case *cmd.Query == "" && !intents.Has(wire.IntentGuildMembers):
		return Query{}, &Error{Kind: Forbidden, Field: "query",
			Reason: "All members are for those with the GUILD_MEMBERS intent."}
	}
	q := Query{guild: g.id, members: g.members, view: g.view(), cmd: cmd}
	if cmd.Presences && intents.Has(wire.IntentGuildPresences) {
		q.presences = &g.presences
	}
	return q, nil
}

// Done reports whether all chunks have been handed out.
func (q *Query) Done() bool { return q.begun && q.index >= q.chunks() }

// chunks returns how many chunks the answer has: at least one, if only to say that nobody matches.
func (q *Query) chunks() int { return max(1, (len(q.found)+chunkMembers-1)/chunkMembers) }

// Next returns the next chunks, at most max of them; none when done.
func (q *Query) Next(max int) (chunks []*wire.Dispatch) {
	if !q.begun {
		q.begun = true
		q.find()
	}
	for len(chunks) < max && !q.Done() {
		chunks = append(chunks, wire.NewDispatch("GUILD_MEMBERS_CHUNK", q.chunk(), nil))
		q.index++
	}
	return chunks
}

// find collects who matches, ascending. The records themselves are kept rather than the ids: every
// chunk but the last must be full, also when somebody leaves meanwhile.
func (q *Query) find() {
	if q.cmd.UserIDs != nil {
		ids := slices.Clone(q.cmd.UserIDs)
		slices.Sort(ids)
		for _, id := range slices.Compact(ids) {
			if m, ok := q.members.Get(uint64(id)); ok {
				q.found = append(q.found, m)
			} else {
				q.notFound = append(q.notFound, id)
			}
		}
		return
	}
	prefix, limit := fold(*q.cmd.Query), q.cmd.Limit
	if prefix != "" && (limit == 0 || limit > QueryLimitMax) {
		limit = QueryLimitMax
	}
	if limit == 0 {
		limit = q.members.Len() + chunkMembers // Everybody, whoever joins meanwhile.
	}
	q.found = make([]store.Member, 0, min(2*limit, q.members.Len()))
	q.members.Range(func(m store.Member) bool {
		if prefix != "" && !q.matches(m, prefix) {
			return true
		}
		if len(q.found) >= 2*limit {
			q.cut(limit)
		}
		q.found = append(q.found, m)
		return true
	})
	q.cut(limit)
}

// cut sorts what was found and keeps the first. Who asks for a few of a million has the few
// remembered, not the million.
func (q *Query) cut(limit int) {
	slices.SortFunc(q.found, func(a, b store.Member) int { return cmp.Compare(a.User, b.User) })
	q.found = q.found[:min(limit, len(q.found))]
}

// matches reports whether the member's nickname, username or display name begins with prefix.
func (q *Query) matches(m store.Member, prefix string) bool {
	if m.Extra != "" && hasFoldedPrefix(nick(m), prefix) {
		return true
	}
	user := q.view.users.Get(m.User)
	if user == nil {
		return strings.HasPrefix(placeholderName(wire.Snowflake(m.User)), prefix)
	}
	return hasFoldedPrefix(user.Name, prefix) || hasFoldedPrefix(user.GlobalName, prefix)
}

func fold(s string) string { return strings.Map(unicode.ToLower, s) }

// hasFoldedPrefix compares without regard to case and without making a string of each name.
func hasFoldedPrefix(name, prefix string) bool {
	for _, want := range prefix {
		got, size := utf8.DecodeRuneInString(name)
		if size == 0 || unicode.ToLower(got) != want {
			return false
		}
		name = name[size:]
	}
	return true
}

// chunk returns the body of the chunk at index.
func (q *Query) chunk() []byte {
	from := q.index * chunkMembers
	members := q.found[from:min(from+chunkMembers, len(q.found))]
	dst := q.guild.AppendJSON(append(make([]byte, 0, 256+400*len(members)), `{"guild_id":`...))
	dst = append(wire.AppendKey(dst, "members"), '[')
	for _, m := range members {
		dst = q.view.append(wire.AppendComma(dst), m, 0)
	}
	dst = wire.AppendInt(wire.AppendKey(append(dst, ']'), "chunk_index"), int64(q.index))
	dst = wire.AppendInt(wire.AppendKey(dst, "chunk_count"), int64(q.chunks()))
	if q.cmd.UserIDs != nil {
		dst = wire.AppendSnowflakes(wire.AppendKey(dst, "not_found"), q.notFound)
	}
	if q.presences != nil {
		dst = append(wire.AppendKey(dst, "presences"), '[')
		for _, m := range members {
			user := wire.Snowflake(m.User)
			if p := q.presences.get(user); p != nil {
				dst = p.append(wire.AppendComma(dst), user, q.guild)
			}
		}
		dst = append(dst, ']')
	}
	if q.cmd.Nonce != "" {
		dst = wire.AppendString(wire.AppendKey(dst, "nonce"), q.cmd.Nonce)
	}
	return append(dst, '}')
}
