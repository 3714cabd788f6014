package node

import (
	"encoding/json"
	"slices"

	"throng/wire"
)

// simList is what a client has of a member list: one flat array, "" where it knows nothing.
type simList struct {
	guild wire.Snowflake
	id    string
}

// takeList carries out the ops of a GUILD_MEMBER_LIST_UPDATE as a client does. Rows are compared
// with a model where lists are made (package fanout); here it counts that none is lost on the way,
// doubled or out of order, since the next op then meets an array that is too short, or a row twice.
func (s *simSession) takeList(p *simPipe, d []byte) {
	w := s.m.w
	s.count++
	w.count("member list updates")
	var ev struct {
		ID    string
		Guild wire.Snowflake `json:"guild_id"`
		Ops   []struct {
			Op    string
			Index int
			Range [2]int
			Item  json.RawMessage
			Items []json.RawMessage
		}
	}
	if err := json.Unmarshal(d, &ev); err != nil {
		w.fail("%v: %v in %s", p, err, d)
		return
	}
	if s.lists == nil {
		s.lists = map[simList][]string{}
	}
	rows := s.lists[simList{ev.Guild, ev.ID}]
	for _, op := range ev.Ops {
		limit := len(rows)
		switch op.Op {
		case "SYNC":
			rows = append(rows, make([]string, max(op.Range[0]+len(op.Items)-len(rows), 0))...)
			for i, item := range op.Items {
				rows[op.Range[0]+i] = simRow(item)
			}
			continue
		case "INVALIDATE":
			clear(rows[min(op.Range[0], len(rows)):min(op.Range[1]+1, len(rows))])
			continue
		case "INSERT":
			limit++
		}
		if op.Index < 0 || op.Index >= limit {
			w.fail("%v: list %s of guild %d: %s at %d of %d rows", p, ev.ID, ev.Guild, op.Op,
				op.Index, len(rows))
			return
		}
		switch op.Op {
		case "INSERT":
			rows = slices.Insert(rows, op.Index, simRow(op.Item))
		case "UPDATE":
			rows[op.Index] = simRow(op.Item)
		case "DELETE":
			rows = slices.Delete(rows, op.Index, op.Index+1)
		}
	}
	s.lists[simList{ev.Guild, ev.ID}] = rows
	known := slices.DeleteFunc(slices.Clone(rows), func(row string) bool { return row == "" })
	slices.Sort(known)
	if len(slices.Compact(slices.Clone(known))) != len(known) {
		w.fail("%v: list %s of guild %d has a row twice: %q", p, ev.ID, ev.Guild, rows)
	}
}

// simRow is a row by whom it shows.
func simRow(item json.RawMessage) string {
	if group, ok := wire.Field(item, "group"); ok {
		id, _ := wire.StringField(group, "id")
		return "group " + id
	}
	member, _ := wire.Field(item, "member")
	user, _ := wire.Field(member, "user")
	id, _ := wire.StringField(user, "id")
	return id
}

// leaveLists forgets the lists of a guild that the session is not in any more.
func (s *simSession) leaveLists(guild wire.Snowflake) {
	for list := range s.lists {
		if list.guild == guild {
			delete(s.lists, list)
		}
	}
}
