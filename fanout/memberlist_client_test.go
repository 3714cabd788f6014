package fanout

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"throng/wire"
)

// listClient applies the ops as client libraries do: one flat array for a list, holes where nothing
// is known. A strict one is as ningen is: rows that are not known at the end are cut off after each
// event, and a DELETE that is the n-th op of its event needs n rows.
type listClient struct {
	t      testing.TB
	handle Handle
	user   wire.Snowflake
	strict bool
	wants  []listChannel
	lists  map[string]*clientList
}

type clientList struct {
	rows    []string // "" is a hole.
	groups  string
	members int
	online  int
	events  int
	ops     []string // Of the last event, without items: "INSERT 3".
}

type listEvent struct {
	ID          string
	GuildID     string `json:"guild_id"`
	MemberCount int    `json:"member_count"`
	OnlineCount int    `json:"online_count"`
	Groups      []listEventGroup
	Ops         []struct {
		Op    string
		Index int
		Range [2]int
		Item  listEventItem
		Items []listEventItem
	}
}

type listEventGroup struct {
	ID    string
	Count int
}

type listEventItem struct {
	Group  *listEventGroup
	Member *struct {
		User    struct{ ID string }
		Version int
	}
}

func (i listEventItem) text(t testing.TB) string {
	switch {
	case i.Group != nil && i.Member == nil:
		return "group " + i.Group.ID
	case i.Member != nil && i.Group == nil:
		return fmt.Sprintf("%s %d", i.Member.User.ID, i.Member.Version)
	}
	t.Fatalf("item of neither kind: %+v", i)
	return ""
}

func (c *listClient) hear(d *wire.Dispatch) {
	c.t.Helper()
	if d.Name() != "GUILD_MEMBER_LIST_UPDATE" {
		c.t.Fatalf("heard %s", d.Name())
	}
	if !wire.ValidJSON(d.Body(), 32) {
		c.t.Fatalf("invalid JSON: %s", d.Body())
	}
	var ev listEvent
	if err := json.Unmarshal(d.Body(), &ev); err != nil {
		c.t.Fatalf("%v in %s", err, d.Body())
	}
	l := c.lists[ev.ID]
	if l == nil {
		l = &clientList{}
		c.lists[ev.ID] = l
	}
	var groups []string
	for _, g := range ev.Groups {
		groups = append(groups, fmt.Sprintf("%s:%d", g.ID, g.Count))
	}
	l.groups, l.members, l.online = strings.Join(groups, " "), ev.MemberCount, ev.OnlineCount
	l.events++
	l.ops = nil
	for k, op := range ev.Ops {
		switch op.Op {
		case "SYNC":
			l.ops = append(l.ops,
				fmt.Sprintf("SYNC %d-%d:%d", op.Range[0], op.Range[1], len(op.Items)))
			l.grow(op.Range[0] + len(op.Items))
			if c.strict {
				l.grow(op.Range[1] + 1)
			}
			for i, item := range op.Items {
				l.rows[op.Range[0]+i] = item.text(c.t)
			}
		case "INVALIDATE":
			l.ops = append(l.ops, fmt.Sprintf("INVALIDATE %d-%d", op.Range[0], op.Range[1]))
			for i := op.Range[0]; i <= op.Range[1] && i < len(l.rows); i++ {
				l.rows[i] = ""
			}
		default:
			l.ops = append(l.ops, fmt.Sprintf("%s %d", op.Op, op.Index))
			c.splice(l, k, op.Op, op.Index, op.Item)
		}
	}
	for n := len(l.rows); c.strict && n > 0 && l.rows[n-1] == ""; n-- {
		l.rows = l.rows[:n-1]
	}
}

func (c *listClient) splice(l *clientList, k int, op string, index int, item listEventItem) {
	c.t.Helper()
	limit := len(l.rows)
	if op == "INSERT" {
		limit++
	}
	if index >= limit || index < 0 {
		c.t.Fatalf("%s at %d of %d rows", op, index, len(l.rows))
	}
	switch op {
	case "INSERT":
		l.rows = append(l.rows, "")
		copy(l.rows[index+1:], l.rows[index:])
		l.rows[index] = item.text(c.t)
	case "UPDATE":
		l.rows[index] = item.text(c.t)
	case "DELETE":
		if c.strict && k >= len(l.rows) {
			c.t.Fatalf("DELETE as op %d of a client that has %d rows", k, len(l.rows))
		}
		l.rows = append(l.rows[:index], l.rows[index+1:]...)
	default:
		c.t.Fatalf("unknown op %q", op)
	}
}

func (l *clientList) grow(rows int) {
	for len(l.rows) < rows {
		l.rows = append(l.rows, "")
	}
}

// check compares what the client has of a list with the rows that it should have in the blocks, and
// with holes everywhere else.
func (c *listClient) check(id string, blocks []uint32, rows []string) {
	c.t.Helper()
	c.compare(id, blocks, rows, func(row string) string { return row })
}

// checkUsers does the same, whatever the versions.
func (c *listClient) checkUsers(id string, blocks []uint32, rows []string) {
	c.t.Helper()
	c.compare(id, blocks, rows, func(row string) string {
		user, version, _ := strings.Cut(row, " ")
		if user == "group" {
			return user + " " + version
		}
		return user
	})
}

func (c *listClient) compare(id string, blocks []uint32, rows []string, of func(string) string) {
	c.t.Helper()
	l := c.lists[id]
	if l == nil {
		c.t.Fatalf("client %d was not told of list %s", c.handle.Slot, id)
	}
	want := make([]string, max(len(rows), len(l.rows)))
	for _, block := range blocks {
		first := int(block) * 100
		for i := first; i < min(first+100, len(rows)); i++ {
			want[i] = rows[i]
		}
	}
	for i := range want {
		got := ""
		if i < len(l.rows) {
			got = of(l.rows[i])
		}
		if got != want[i] {
			c.t.Fatalf("client %d, list %s of %d rows, blocks %v, ops %q: row %d: got %q, want %q",
				c.handle.Slot, id, len(rows), blocks, l.ops, i, got, want[i])
		}
	}
}
