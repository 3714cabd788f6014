package fanout

import "throng/wire"

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
	for _, group := range ls.groups.order {
		if l.count(group) > 0 {
			dst = ls.appendGroup(wire.AppendComma(dst), l, group)
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
	dst = ls.groups.appendID(append(dst, `{"id":`...), group)
	dst = wire.AppendInt(wire.AppendKey(dst, "count"), int64(l.count(group)))
	return append(dst, '}')
}

// appendItem appends what a row holds. A member is encoded once for all lists and windows.
func (ls *memberLists) appendItem(dst []byte, l *memberList, row listRow) []byte {
	if row.ref == 0 {
		dst = ls.appendGroup(append(dst, `{"group":`...), l, row.group)
		return append(dst, '}')
	}
	item, known := ls.items[row.ref]
	if !known {
		item = ls.source.appendMember(nil, wire.Snowflake(ls.roster.User(row.ref)))
		ls.items[row.ref] = item
	}
	dst = append(append(dst, `{"member":`...), item...)
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

// appendSync appends the SYNC of one block.
func (ls *memberLists) appendSync(dst []byte, l *memberList, block uint32) []byte {
	dst = appendRange(append(wire.AppendComma(dst), `{"op":"SYNC"`...), block)
	dst = append(wire.AppendKey(dst, "items"), '[')
	first := int(block) * ListRangeRows
	l.each(ls, first, first+ListRangeRows, func(row listRow) {
		dst = ls.appendItem(wire.AppendComma(dst), l, row)
	})
	return append(dst, ']', '}')
}

// appendSyncs appends the SYNCs of the span's blocks that the list reaches with so many rows.
func (ls *memberLists) appendSyncs(dst []byte, l *memberList, s listSpan, rows int) []byte {
	for block := s.first; block <= s.last && int(block)*ListRangeRows < rows; block++ {
		dst = ls.appendSync(dst, l, block)
	}
	return dst
}

// appendInvalidate appends the INVALIDATE of one block.
func appendInvalidate(dst []byte, block uint32) []byte {
	return append(appendRange(append(wire.AppendComma(dst), `{"op":"INVALIDATE"`...), block), '}')
}

// appendInvalidates appends the INVALIDATEs of the span's blocks that had rows, of so many.
func appendInvalidates(dst []byte, s listSpan, sent int) []byte {
	for block := s.first; block <= s.last && int(block)*ListRangeRows < sent; block++ {
		dst = appendInvalidate(dst, block)
	}
	return dst
}
