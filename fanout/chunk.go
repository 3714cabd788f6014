package fanout

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"throng/store"
	"throng/wire"
)

// Query is the answer to a request for members, to be worked out away from the shard, over the
// members as they were when it was planned. Its first Next looks at every member of the guild when
// the request is for a name's beginning; call Next until Done.
//
// The list of everybody is never there as a whole: each chunk is read from the snapshot, which has
// the members in order, when it is made. Gathered first, a million members are 48 MB per request,
// and many may ask.
type Query struct {
	guild     wire.Snowflake
	members   store.MemberSnapshot
	presences *presences // nil when they were not asked for, or may not be had.
	view      memberView
	cmd       wire.MembersCommand

	listed   bool           // The answer is the first of all members, and found is unused.
	from     uint64         // The next user of it.
	found    []store.Member // Ascending.
	notFound []wire.Snowflake
	begun    bool
	first    int // Index of the chunk that it begins with.
	count    int // Of members in the answer.
	index    int // Of the next chunk.

	room *ChunkRoom // Where the next chunks are made.
}

// ChunkRoom is scratch for chunks. It is not the query's own: one that waits for its reader would
// keep a megabyte.
type ChunkRoom struct {
	page   []store.Member
	bodies [][]byte
}

// chunkKeptBytesMax of a body are kept: those of a thousand members are 300 KB.
const chunkKeptBytesMax = 1 << 20

// TakeBack takes chunks that were made in the room and that nobody looks at any more.
func (r *ChunkRoom) TakeBack(chunks []*wire.Dispatch) {
	for _, d := range chunks {
		if body := d.Body(); cap(body) <= chunkKeptBytesMax {
			r.bodies = append(r.bodies, body[:0])
		}
	}
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
	q := Query{guild: g.id, members: g.members.Snapshot(), view: g.view(), cmd: cmd}
	if cmd.Presences && intents.Has(wire.IntentGuildPresences) {
		q.presences = &g.presences
	}
	return q, nil
}

// Memory is what the query holds besides itself and the snapshot, which is the guild's. It must not
// be asked while Next runs.
func (q *Query) Memory(r *store.Ruler) int {
	return CommandMemory(r, &q.cmd) + store.Slice(r, q.found) + store.Slice(r, q.notFound)
}

// CommandMemory is what a request for members holds besides itself.
func CommandMemory(r *store.Ruler, c *wire.MembersCommand) int {
	bytes := store.Slice(r, c.UserIDs) + store.Slice(r, c.MoreGuildIDs) + r.Heap(len(c.Nonce))
	if c.Query != nil {
		bytes += r.Heap(len(*c.Query))
	}
	return bytes
}

// GoOn has the answer go on with the chunk at index, of members from a user on. For whoever asks
// chunk by chunk there is no one moment at which all of it is true: members come and go, and each
// chunk says how many there are as it looks then. A client that goes by the last one that it has
// got, or by one that is not full, has everybody in the end who was there all the time.
func (q *Query) GoOn(from uint64, index int) { q.from, q.first, q.index = from, index, index }

// Place is where GoOn would go on.
func (q *Query) Place() (from uint64, index int) { return q.from, q.index }

// Done reports whether all chunks have been handed out.
func (q *Query) Done() bool { return q.begun && q.index >= q.chunks() }

// chunks returns how many chunks the answer has: at least one, if only to say that nobody matches,
// or that nobody is left.
func (q *Query) chunks() int { return max(q.first+1, (q.count+chunkMembers-1)/chunkMembers) }

// Next returns the next chunks, at most max of them; none when done. It calls pause again and
// again, so that others may run. Afterwards the room is the caller's again.
func (q *Query) Next(max int, room *ChunkRoom, pause func()) (chunks []*wire.Dispatch) {
	q.room = room
	defer func() { q.room = nil }()
	if !q.begun {
		q.begun = true
		q.find(pause)
	}
	for len(chunks) < max && !q.Done() {
		pause()
		chunks = append(chunks, wire.NewDispatch("GUILD_MEMBERS_CHUNK", q.chunk(), nil))
		q.index++
	}
	return chunks
}

// find decides who is in the answer.
func (q *Query) find(pause func()) {
	switch {
	case q.cmd.UserIDs != nil:
		ids := slices.Clone(q.cmd.UserIDs)
		slices.Sort(ids)
		for _, id := range slices.Compact(ids) {
			if m, ok := q.members.Get(uint64(id)); ok {
				q.found = append(q.found, m)
			} else {
				q.notFound = append(q.notFound, id)
			}
		}
	case *q.cmd.Query == "":
		q.listed = true
		q.count = q.first*chunkMembers + q.members.Len() - q.members.Before(q.from)
		if q.cmd.Limit > 0 {
			q.count = min(q.count, q.cmd.Limit)
		}
		return
	default:
		q.findNamed(fold(*q.cmd.Query), pause)
	}
	q.count = len(q.found)
}

// findNamed finds those whose names begin so.
func (q *Query) findNamed(prefix string, pause func()) {
	limit := q.cmd.Limit
	if limit == 0 || limit > QueryLimitMax {
		limit = QueryLimitMax
	}
	seen := 0
	q.members.Range(func(m store.Member) bool {
		if seen++; seen%pauseMembers == 0 {
			pause()
		}
		if q.matches(m, prefix) {
			q.found = append(q.found, m)
		}
		return len(q.found) < limit
	})
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

// nextMembers returns the members of the chunk at index.
func (q *Query) nextMembers() []store.Member {
	first := q.index * chunkMembers
	count := min(chunkMembers, q.count-first)
	if !q.listed {
		return q.found[first : first+count]
	}
	members := slices.Grow(q.room.page[:0], count)
	for m := range q.members.From(q.from) {
		if len(members) == count {
			break
		}
		members = append(members, m)
	}
	if len(members) > 0 {
		q.from = members[len(members)-1].User + 1
	}
	q.room.page = members
	return members
}

// chunk returns the body of the chunk at index.
func (q *Query) chunk() []byte {
	members := q.nextMembers()
	var dst []byte
	if last := len(q.room.bodies) - 1; last >= 0 {
		dst, q.room.bodies = q.room.bodies[last], q.room.bodies[:last]
	}
	dst = q.guild.AppendJSON(append(slices.Grow(dst, 256+400*len(members)), `{"guild_id":`...))
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
