package fanout

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"throng/wire"
)

// listStage is a guild with clients that look at the list of channel 11, which is for all.
type listStage struct {
	t  *testing.T
	w  *listWorld
	ls *memberLists
	listRun
}

// newListStage makes a guild of these members: "NAME", "NAME offline", or "NAME ROLE". Ids count
// from 1001. Roles 1 and 2 are hoisted, 2 above 1.
func newListStage(t *testing.T, members ...string) *listStage {
	w := &listWorld{
		members: make(map[wire.Snowflake]*listMember),
		roles: map[wire.Snowflake]*listRole{
			1: {position: 1, hoist: true}, 2: {position: 2, hoist: true},
		},
		blind:    7,
		channels: map[wire.Snowflake]*listPlace{11: {}, 12: {}, 13: {only: []wire.Snowflake{2}}},
	}
	for i, member := range members {
		name, rest, _ := strings.Cut(member, " ")
		m := &listMember{name: name, online: rest != "offline"}
		if rest == "1" || rest == "2" {
			m.roles = []wire.Snowflake{wire.Snowflake(rest[0] - '0')}
		}
		w.members[wire.Snowflake(1001+i)] = m
	}
	s := &listStage{t: t, w: w, ls: newMemberLists(guildID, w)}
	s.listRun.t, s.listRun.w, s.listRun.ls = t, w, s.ls
	return s
}

// look adds a client that looks at these hundreds of rows.
func (s *listStage) look(blocks ...uint32) *listClient {
	s.slot++
	c := &listClient{
		t: s.t, user: 1001, handle: Handle{Slot: s.slot}, strict: true,
		lists: make(map[string]*clientList),
	}
	s.clients = append(s.clients, c)
	s.wants(c, []listChannel{{11, blocks}})
	s.settle()
	return c
}

// change changes a member and returns the ops that the client then hears; "" is no event.
func (s *listStage) change(c *listClient, user wire.Snowflake, f func(m *listMember)) string {
	s.t.Helper()
	f(s.w.members[user])
	return s.touched(c, user)
}

func (s *listStage) touched(c *listClient, users ...wire.Snowflake) string {
	s.t.Helper()
	l := c.lists["everyone"]
	l.ops = nil
	for _, user := range users {
		s.ls.touch(user)
	}
	s.settle()
	rows, _ := s.w.rows(11)
	c.check("everyone", c.wants[0].blocks, rows)
	return strings.Join(l.ops, ", ")
}

func rename(name string) func(*listMember) { return func(m *listMember) { m.name = name } }

func goOnline(m *listMember)  { m.online = true }
func goOffline(m *listMember) { m.online = false }

// TestMemberListOps holds the ops of single changes, as the protocol has them.
func TestMemberListOps(t *testing.T) {
	// Rows: 0 group 1, 1 ann, 2 online, 3 bob, 4 cid, 5 offline, 6 dan, 7 eve.
	for _, c := range []struct {
		name   string
		user   wire.Snowflake
		change func(m *listMember)
		want   string
		groups string
	}{
		{"nothing but what is shown", 1002, func(m *listMember) { m.version++ },
			"UPDATE 3", "1:1 online:2 offline:2"},
		{"a name in the same place", 1002, rename("Bo"), "UPDATE 3", "1:1 online:2 offline:2"},
		{"a name elsewhere", 1002, rename("zed"), "DELETE 3, INSERT 4", "1:1 online:2 offline:2"},
		{"online", 1004, goOnline, "DELETE 6, INSERT 5", "1:1 online:3 offline:1"},
		{"offline", 1003, goOffline, "DELETE 4, INSERT 5", "1:1 online:1 offline:3"},
		{"the last of a group", 1001, goOffline,
			"DELETE 1, DELETE 0, INSERT 4", "online:2 offline:3"},
		{"the first of a group", 1003, func(m *listMember) { m.roles = []wire.Snowflake{2} },
			"DELETE 4, INSERT 0, INSERT 1", "2:1 1:1 online:1 offline:2"},
		{"a role below the highest", 1001, func(m *listMember) { m.roles = []wire.Snowflake{1, 2} },
			"DELETE 1, DELETE 0, INSERT 0, INSERT 1", "2:1 online:2 offline:2"},
		{"a role of someone offline", 1005, func(m *listMember) { m.roles = []wire.Snowflake{2} },
			"UPDATE 7", "1:1 online:2 offline:2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newListStage(t, "Ann 1", "bob", "Cid", "dan offline", "Eve offline")
			client := s.look(0)
			want(t, "ops", s.change(client, c.user, c.change), c.want)
			want(t, "groups", client.lists["everyone"].groups, c.groups)
		})
	}
}

// TestMemberListWindows holds what subscribers of parts of a list hear.
func TestMemberListWindows(t *testing.T) {
	var members []string
	for i := range 320 {
		members = append(members, fmt.Sprintf("m%03d", i)) // m000 is user 1001, in row 1.
	}
	const first, middle, last = 1002, 1151, 1315 // Rows 2, 151 and 315.
	for _, c := range []struct {
		name   string
		blocks []uint32
		user   wire.Snowflake
		change func(m *listMember)
		want   string
	}{
		{"behind the range", []uint32{0}, last, rename("m200x"), ""},
		{"within the range", []uint32{0}, first, rename("m050x"), "DELETE 2, INSERT 51"},
		{"out of the range", []uint32{0}, first, rename("zed"), "DELETE 2, INSERT 99"},
		{"into the range", []uint32{0}, last, rename("m050x"), "DELETE 99, INSERT 52"},
		{"before the range", []uint32{1}, first, rename("m050x"), ""},
		{"past the range", []uint32{1}, first, rename("zed"), "DELETE 100, INSERT 199"},
		{"past it the other way", []uint32{1}, last, rename("m050x"), "DELETE 199, INSERT 100"},
		{"between ranges", []uint32{0, 2}, middle, rename("m180x"), ""},
		{"over the gap between ranges", []uint32{0, 2}, first, rename("zed"),
			"DELETE 2, INSERT 99, DELETE 200, INSERT 299"},
		{"over adjacent ranges", []uint32{0, 1}, first, rename("m150x"), "DELETE 2, INSERT 151"},
		{"into the last range, which is not full", []uint32{0, 3}, first, rename("zed"),
			"DELETE 2, INSERT 99, DELETE 300, INSERT 320"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newListStage(t, members...)
			client := s.look(c.blocks...)
			got := s.change(client, c.user, c.change)
			if c.name == "past it the other way" || c.name == "into the range" {
				// Which end is seen to first is of no importance.
				got, c.want = sortedOps(got), sortedOps(c.want)
			}
			want(t, "ops", got, c.want)
		})
	}
}

func sortedOps(ops string) string {
	list := strings.Split(ops, ", ")
	slices.Sort(list)
	return strings.Join(list, ", ")
}

// TestMemberListManyChanges holds that a batch of few changes is told by them, and one of many by
// the rows as they are.
func TestMemberListManyChanges(t *testing.T) {
	members := make([]string, 3000)
	for i := range members {
		members[i] = fmt.Sprintf("m%04d", i)
	}
	for _, c := range []struct {
		count int
		want  string
	}{
		{1, "DELETE 2, INSERT 99"},
		{3, "DELETE 4, DELETE 3, DELETE 2, INSERT 97, INSERT 98, INSERT 99"},
		{60, "SYNC 0-99:100"},
		{2900, "SYNC 0-99:100"},
	} {
		t.Run(fmt.Sprint(c.count), func(t *testing.T) {
			s := newListStage(t, members...)
			client := s.look(0)
			var users []wire.Snowflake
			for i := range c.count {
				user := wire.Snowflake(1002 + i)
				s.w.members[user].name = fmt.Sprintf("z%04d", (i*7919)%3000)
				users = append(users, user, user)
			}
			want(t, "ops", s.touched(client, users...), c.want)
		})
	}
}

// TestMemberListEndMovesOverWindows lets the end of the list go from the second window into the
// first by so few changes there that they are told one by one, and back.
func TestMemberListEndMovesOverWindows(t *testing.T) {
	var members []string
	for i := range 209 {
		members = append(members, fmt.Sprintf("m%03d", i))
	}
	s := newListStage(t, members...)
	client := s.look(0, 2)
	gone := make(map[wire.Snowflake]*listMember)
	var users []wire.Snowflake
	for user, m := range s.w.members {
		if user > 1060 {
			gone[user] = m
			users = append(users, user)
		}
	}
	slices.Sort(users)
	for _, user := range users {
		delete(s.w.members, user)
	}
	ops := s.touched(client, users...)
	want(t, "first op", ops[:18], "INVALIDATE 200-299")
	want(t, "ops", strings.Count(ops, "DELETE"), 39)
	for user, m := range gone {
		s.w.members[user] = m
	}
	ops = s.touched(client, users...)
	want(t, "ops", strings.Count(ops, "INSERT"), 39)
	want(t, "last op", ops[len(ops)-15:], "SYNC 200-299:10")
}

// TestMemberListIsEncodedOnce holds that all who look at the same rows get the same dispatch, when
// they come and when something changes, also when they look at other rows besides.
func TestMemberListIsEncodedOnce(t *testing.T) {
	var members []string
	for i := range 320 {
		members = append(members, fmt.Sprintf("m%03d", i))
	}
	s := newListStage(t, members...)
	s.look(0)
	seen := make(map[*wire.Dispatch]int)
	count := func() {
		news := s.ls.take()
		clear(seen)
		for _, n := range news {
			seen[n.dispatch] += len(n.to)
		}
	}
	for i := range 50 {
		channel := wire.Snowflake(11 + i%2) // Two channels of one list.
		s.ls.subscribe(Handle{Slot: uint32(100 + i)}, 1001, []listChannel{{channel, []uint32{0}}})
	}
	s.ls.work(true, 1<<30)
	count()
	want(t, "dispatches for 50 who come", fmt.Sprint(len(seen)), 1)
	for i := range 50 {
		h := Handle{Slot: uint32(200 + i)}
		s.ls.subscribe(h, 1001, []listChannel{{11, []uint32{0, 3}}})
	}
	s.ls.work(true, 1<<30)
	count()
	s.w.members[1002].name = "m0010" // In its place: no row passes a window's end.
	s.ls.touch(1002)
	s.ls.work(true, 1<<30)
	count()
	want(t, "dispatches for a change that 101 see", fmt.Sprint(len(seen)), 1)
	for _, to := range seen {
		want(t, "who", to, 101)
	}
}

// TestMemberListFollowsSight holds that whoever loses sight of a channel loses its list before
// anything else is said there, and gets it when the channel comes in sight.
func TestMemberListFollowsSight(t *testing.T) {
	s := newListStage(t, "ann 2", "bob 2", "cid")
	c := s.look(0)
	s.wants(c, []listChannel{{13, []uint32{0}}})
	s.settle()
	secret := c.lists["[2]"]
	want(t, "rows", fmt.Sprint(secret.rows), "[group 2 1001 0 1002 0]")
	s.w.members[1001].roles = nil
	s.w.members[1002].name = "ben"
	s.ls.touch(1002)
	s.ls.touch(1001)
	s.settle()
	want(t, "rows", fmt.Sprint(len(secret.rows), secret.ops), "0 [INVALIDATE 0-99]")
	want(t, "events", secret.events, 2)
	s.w.members[1001].roles = []wire.Snowflake{2}
	s.ls.touch(1001)
	s.settle()
	want(t, "rows", fmt.Sprint(secret.rows), "[group 2 1001 0 1002 0]")
}

func TestMemberListRanges(t *testing.T) {
	for _, c := range []struct {
		ranges [][2]int
		want   []uint32
	}{
		{nil, []uint32{}},
		{[][2]int{{0, 99}}, []uint32{0}},
		{[][2]int{{200, 299}, {0, 99}, {200, 299}}, []uint32{0, 2}},
		{[][2]int{{0, 99}, {100, 199}, {200, 299}, {300, 399}}, []uint32{0, 1, 2}},
		{[][2]int{{0, 98}, {50, 149}, {-100, -1}}, []uint32{}},
		{[][2]int{{0, 199}, {1 << 40, 1<<40 + 99}}, []uint32{}},
	} {
		var ranges []wire.ListRange
		for _, r := range c.ranges {
			ranges = append(ranges, wire.ListRange{First: r[0], Last: r[1]})
		}
		want(t, fmt.Sprint(c.ranges), listBlocks(ranges), c.want)
	}
}
