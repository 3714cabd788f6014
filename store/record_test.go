package store

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

var sampleMembers = []MemberRecord{
	{Member: Member{User: 1}},
	{Member: Member{User: 1, JoinedAt: 1_700_000_000_000, TimeoutAt: -1,
		Flags: 1<<32 - 1, Extra: `"nick":"x"`}, Roles: []uint64{0, 1, 300, 1<<64 - 1}},
	{Member: Member{User: 1, Extra: strings.Repeat("e", 200)}, Roles: []uint64{7}},
}

var sampleUsers = []*User{
	{ID: 1},
	{ID: 1, Flags: 1<<64 - 1, Name: "a", GlobalName: "A", Doc: `{"id":"1"}`, Bot: true},
}

func FuzzMemberRecord(f *testing.F) {
	for _, member := range sampleMembers {
		f.Add(AppendMember(nil, member))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		member, err := ParseMember(1, body)
		if err != nil {
			return
		}
		if !slices.IsSorted(member.Roles) {
			t.Fatalf("roles out of order: %v", member.Roles)
		}
		again, err := ParseMember(1, AppendMember(nil, member))
		if err != nil || !reflect.DeepEqual(again, member) {
			t.Fatalf("got %+v, %v, want %+v", again, err, member)
		}
	})
}

func FuzzUserRecord(f *testing.F) {
	for _, user := range sampleUsers {
		f.Add(AppendUser(nil, user))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		user, err := ParseUser(1, body)
		if err != nil {
			return
		}
		again, err := ParseUser(1, AppendUser(nil, user))
		if err != nil || *again != *user {
			t.Fatalf("got %+v, %v, want %+v", again, err, user)
		}
	})
}

func samplePage() *Page {
	p := &Page{First: 1, Last: 1<<64 - 1}
	for i, m := range sampleMembers {
		m.User = uint64(1 + 10*i)
		p.Members = append(p.Members, m)
	}
	return p
}

func TestPageBytes(t *testing.T) {
	for _, page := range []*Page{
		samplePage(), {First: 5, Last: 5, Members: []MemberRecord{{Member: Member{User: 5}}}},
		{Members: []MemberRecord{}}, {Last: 1<<64 - 1, Members: []MemberRecord{}},
	} {
		body := AppendPage(nil, page)
		got, err := ParsePage(body)
		if err != nil || !reflect.DeepEqual(got, page) {
			t.Errorf("got %+v, %v, want %+v", got, err, page)
		}
		for length := range body {
			if _, err := ParsePage(body[:length]); err == nil {
				t.Errorf("cut to %d it is a page", length)
			}
		}
	}
}

func FuzzPageBytes(f *testing.F) {
	f.Add(AppendPage(nil, samplePage()))
	f.Add(AppendPage(nil, &Page{First: 3, Last: 9}))
	f.Fuzz(func(t *testing.T, body []byte) {
		page, err := ParsePage(body)
		if err != nil {
			return
		}
		if !page.valid() {
			t.Fatalf("the page cannot be: %+v", page)
		}
		again, err := ParsePage(AppendPage(nil, page))
		if err != nil || !reflect.DeepEqual(again, page) {
			t.Fatalf("got %+v, %v, want %+v", again, err, page)
		}
	})
}

func FuzzIDs(f *testing.F) {
	f.Add(AppendIDs(nil, []uint64{0, 7, 1<<64 - 1}))
	f.Fuzz(func(t *testing.T, body []byte) {
		ids, _, err := ParseIDs(body)
		if err != nil {
			return
		}
		again, rest, err := ParseIDs(append(AppendIDs(nil, ids), 1))
		if err != nil || len(rest) != 1 || !slices.Equal(again, ids) {
			t.Fatalf("got %v, %v, %v, want %v", again, rest, err, ids)
		}
	})
}
