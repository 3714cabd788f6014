package fanout

import (
	"throng/store"
	"throng/wire"
)

// Export is all members as they were at one moment, to be written out away from the shard.
type Export struct {
	members store.MemberSnapshot
	view    memberView

	// Owned by whoever calls Next.
	from uint64
	left int
}

// Export returns all members.
func (g *Guild) Export() *Export {
	return &Export{members: g.members.Snapshot(), view: g.view(), left: g.members.Len()}
}

// Next appends the next members, at most max of them, ascending by user and a line each: the
// objects that PutMembers takes. It appends nothing at the end.
func (e *Export) Next(dst []byte, max int) []byte {
	count := min(max, e.left)
	if count == 0 {
		return dst
	}
	for m := range e.members.From(e.from) {
		if count == 0 {
			e.from = m.User
			break
		}
		dst = append(e.view.append(dst, m, wire.Snowflake(0)), '\n')
		count--
		e.left--
	}
	return dst
}
