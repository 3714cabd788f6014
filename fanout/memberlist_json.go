package fanout

import (
	"bytes"
	"slices"

	"throng/wire"
)

const memberListUpdate = "GUILD_MEMBER_LIST_UPDATE"

var listOpNames = [...]string{listInsert: "INSERT", listDelete: "DELETE", listUpdate: "UPDATE"}

// appendHead appends the beginning of the list's events, up to the ops: the counts.
func (ls *memberLists) appendHead(dst []byte, l *memberList) []byte {
	dst = wire.AppendString(append(dst, `{"id":`...), l.id)
	dst = ls.guild.AppendJSON(wire.AppendKey(dst, "guild_id"))
	members, online := ls.source.totals()
	dst = wire.AppendInt(wire.AppendKey(dst, "member_count"), int64(members))
	dst = wire.AppendInt(wire.AppendKey(dst, "online_count"), int64(online))
	dst = append(wire.AppendKey(dst, "groups"), '[')
	for group := range l.trees {
		if l.trees[group].Len() > 0 {
			dst = ls.appendGroup(wire.AppendComma(dst), l, uint16(group))
		}
	}
	return append(dst, `],"ops":[`...)
}

// listDispatch makes an event of the list as of its head.
func (l *memberList) dispatch(ops ...[]byte) *wire.Dispatch {
	size := len(l.head) + 2
	for _, part := range ops {
		size += len(part) + 1
	}
	body := append(make([]byte, 0, size), l.head...)
	for _, part := range ops {
		if len(part) > 0 {
			body = append(wire.AppendComma(body), part...)
		}
	}
	return wire.NewDispatch(memberListUpdate, append(body, ']', '}'), nil)
}

func (ls *memberLists) appendGroup(dst []byte, l *memberList, group uint16) []byte {
	dst = ls.table.groups.appendID(append(dst, `{"id":`...), group)
	dst = wire.AppendInt(wire.AppendKey(dst, "count"), int64(l.trees[group].Len()))
	return append(dst, '}')
}

// prepare encodes the members in these rows, which is nearly all that telling of them costs, and
// reports whether all are: what is there is kept for the next slice. A member is encoded once for
// all lists and windows, as long as there is room. One that changes after that is told of again.
// Each call encodes one at least, so that any slice gets on.
func (ls *memberLists) prepare(rows []listRow) bool {
	if len(ls.items)+len(rows) > listItemsKeptMax {
		clear(ls.items)
	}
	encoded := 0
	for _, row := range rows {
		if row.ref == 0 || ls.items[row.ref] != nil {
			continue
		}
		if ls.left <= 0 && encoded > 0 {
			return false
		}
		encoded++
		ls.spend(listItemCost)
		user := wire.Snowflake(ls.table.roster.User(row.ref))
		ls.member = ls.source.appendMember(ls.member[:0], user)
		ls.items[row.ref] = bytes.Clone(ls.member)
	}
	ls.spend(len(rows) / listRowsPerMicro)
	return true
}

// appendItem appends what a row holds. REQUIRES: it is prepared.
func (ls *memberLists) appendItem(dst []byte, l *memberList, row listRow) []byte {
	if row.ref == 0 {
		dst = ls.appendGroup(append(dst, `{"group":`...), l, row.group)
		return append(dst, '}')
	}
	dst = append(append(dst, `{"member":`...), ls.items[row.ref]...)
	return append(dst, '}')
}

func (ls *memberLists) appendOp(dst []byte, l *memberList, op listOp) []byte {
	dst = append(append(dst, `{"op":"`...), listOpNames[op.kind]...)
	dst = wire.AppendInt(append(dst, `","index":`...), int64(op.index))
	if op.kind != listDelete {
		dst = ls.appendItem(wire.AppendKey(dst, "item"), l, op.row)
	}
	return append(dst, '}')
}

func appendRange(dst []byte, block uint32) []byte {
	first := int64(block) * ListRangeRows
	dst = wire.AppendInt(append(wire.AppendKey(dst, "range"), '['), first)
	return append(wire.AppendInt(append(dst, ','), first+ListRangeRows-1), ']')
}

// syncSize is about how long the SYNCs of these rows are, or a little less than that.
func (ls *memberLists) syncSize(rows []listRow) (size int) {
	for _, row := range rows {
		size += len(ls.items[row.ref]) + len(`{"member":},`)
	}
	const frame = len(`{"op":"SYNC","range":[100000,100099],"items":[]},`)
	return size + (1+len(rows)/ListRangeRows)*frame
}

// appendSync appends the SYNC of one block, which has these rows.
func (ls *memberLists) appendSync(dst []byte, l *memberList, block uint32, rows []listRow) []byte {
	dst = appendRange(append(wire.AppendComma(dst), `{"op":"SYNC"`...), block)
	dst = append(wire.AppendKey(dst, "items"), '[')
	for _, row := range rows {
		dst = ls.appendItem(wire.AppendComma(dst), l, row)
	}
	return append(dst, ']', '}')
}

// appendSyncs appends the SYNCs of the span's first blocks, which have these rows.
func (ls *memberLists) appendSyncs(dst []byte, l *memberList, s listSpan, rows []listRow) []byte {
	block := s.first
	for part := range slices.Chunk(rows, ListRangeRows) {
		dst = ls.appendSync(dst, l, block, part)
		block++
	}
	return dst
}

// appendInvalidate appends the INVALIDATE of one block.
func appendInvalidate(dst []byte, block uint32) []byte {
	return append(appendRange(append(wire.AppendComma(dst), `{"op":"INVALIDATE"`...), block), '}')
}

// appendInvalidates appends the INVALIDATEs of the span's first blocks, which had so many rows.
func appendInvalidates(dst []byte, s listSpan, rows int) []byte {
	for block := s.first; int(block-s.first)*ListRangeRows < rows; block++ {
		dst = appendInvalidate(dst, block)
	}
	return dst
}
