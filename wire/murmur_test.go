package wire

import (
	"strconv"
	"testing"
)

func TestMurmur3(t *testing.T) {
	for _, c := range []struct {
		text string
		want uint32
	}{
		{"", 0},
		{"hello", 613153351},
		{"deny:41771983423143936", 3571130906},
		{"allow:100000000000000002,deny:100000000000000001", 2971903971},
		{"allow:9,deny:10", 2377703014},
	} {
		if got := murmur3([]byte(c.text)); got != c.want {
			t.Errorf("%q: got %d, want %d", c.text, got, c.want)
		}
	}
}

func TestMemberListID(t *testing.T) {
	const view, send = PermissionViewChannel, PermissionSendMessages
	hash := func(text string) string { return strconv.Itoa(int(murmur3([]byte(text)))) }
	for _, c := range []struct {
		name       string
		everyone   Permissions
		overwrites []Overwrite
		want       string
	}{
		{"no overwrites", view, nil, "everyone"},
		{"none about viewing", view, []Overwrite{{ID: 1, Deny: send, Allow: send}}, "everyone"},
		{"one that allows", view, []Overwrite{{ID: 1, Allow: view}}, "everyone"},
		{"the guild is hidden", send, nil, "0"},
		{"the guild is hidden but for a role", send, []Overwrite{{ID: 9, Allow: view}},
			hash("allow:9")},
		{"one that denies", view, []Overwrite{{ID: 41771983423143936, Deny: view}}, "3571130906"},
		{"sorted as text", view, []Overwrite{{ID: 10, Deny: view}, {ID: 9, Allow: view | send}},
			"2377703014"},
		{"both: allow wins and yet it denies", view, []Overwrite{{ID: 3, Allow: view, Deny: view}},
			hash("allow:3")},
		{"a member's", view, []Overwrite{{ID: 7, Type: OverwriteMember, Deny: view}},
			hash("deny:7")},
		{"two", view, []Overwrite{{ID: 100000000000000001, Deny: view},
			{ID: 100000000000000002, Allow: view}}, "2971903971"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := MemberListID(c.everyone, c.overwrites); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}
