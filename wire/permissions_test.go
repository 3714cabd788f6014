package wire

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestChannelPermissions(t *testing.T) {
	const (
		guild    Snowflake = 1
		user     Snowflake = 50
		red      Snowflake = 10
		blue     Snowflake = 20
		everyone           = PermissionViewChannel | PermissionSendMessages
	)
	roles := map[Snowflake]Permissions{
		red: PermissionManageMessages, blue: PermissionBanMembers, 30: PermissionAdministrator,
	}
	view := PermissionViewChannel
	deny := func(id Snowflake, kind int, p Permissions) Overwrite {
		return Overwrite{ID: id, Type: kind, Deny: p}
	}
	allow := func(id Snowflake, kind int, p Permissions) Overwrite {
		return Overwrite{ID: id, Type: kind, Allow: p}
	}
	tests := []struct {
		name       string
		sub        PermissionSubject
		overwrites []Overwrite
		want       Permissions
	}{
		{"no role, no overwrite", PermissionSubject{}, nil, everyone},
		{"roles add up", PermissionSubject{Roles: []Snowflake{red, blue}}, nil,
			everyone | PermissionManageMessages | PermissionBanMembers},
		{"an unknown role adds nothing", PermissionSubject{Roles: []Snowflake{99}}, nil, everyone},
		{"owner passes every deny", PermissionSubject{Owner: true, TimedOut: true},
			[]Overwrite{deny(guild, 0, view), deny(user, 1, view)}, PermissionsAll},
		{"administrator passes every deny", PermissionSubject{Roles: []Snowflake{30}, TimedOut: true},
			[]Overwrite{deny(30, 0, view), deny(user, 1, view)}, PermissionsAll},
		{"everyone denied", PermissionSubject{},
			[]Overwrite{deny(guild, 0, view)}, PermissionSendMessages},
		{"everyone denied, role allowed", PermissionSubject{Roles: []Snowflake{red}},
			[]Overwrite{allow(red, 0, view), deny(guild, 0, view)},
			everyone | PermissionManageMessages},
		{"one role denies, another allows", PermissionSubject{Roles: []Snowflake{red, blue}},
			[]Overwrite{allow(red, 0, view), deny(blue, 0, view)},
			everyone | PermissionManageMessages | PermissionBanMembers},
		{"a role that is not held", PermissionSubject{Roles: []Snowflake{red}},
			[]Overwrite{deny(blue, 0, view)}, everyone | PermissionManageMessages},
		{"member denied over its roles", PermissionSubject{Roles: []Snowflake{red}},
			[]Overwrite{deny(user, 1, view), allow(red, 0, view)},
			PermissionSendMessages | PermissionManageMessages},
		{"member allowed over everyone", PermissionSubject{},
			[]Overwrite{allow(user, 1, view), deny(guild, 0, view|PermissionSendMessages)}, view},
		{"overwrite of another member", PermissionSubject{},
			[]Overwrite{deny(51, 1, view)}, everyone},
		{"a member overwrite with a role's id", PermissionSubject{Roles: []Snowflake{red}},
			[]Overwrite{deny(red, 1, view)}, everyone | PermissionManageMessages},
		{"a role overwrite with the member's id", PermissionSubject{},
			[]Overwrite{deny(user, 0, view)}, everyone},
		{"timed out", PermissionSubject{Roles: []Snowflake{red}, TimedOut: true},
			[]Overwrite{allow(guild, 0, PermissionReadMessageHistory)}, permissionsTimedOut},
		{"timed out and denied", PermissionSubject{TimedOut: true},
			[]Overwrite{deny(guild, 0, view)}, 0},
		{"an overwrite that allows what it denies",
			PermissionSubject{}, []Overwrite{{ID: guild, Deny: view, Allow: view}}, everyone},
		{"administrator by overwrite is no administrator", PermissionSubject{},
			[]Overwrite{allow(guild, 0, PermissionAdministrator), deny(user, 1, view)},
			PermissionSendMessages | PermissionAdministrator},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			test.sub.User = user
			role := func(id Snowflake) Permissions { return roles[id] }
			base := BasePermissions(test.sub, everyone, role)
			if got := ChannelPermissions(base, guild, test.sub, test.overwrites); got != test.want {
				t.Errorf("got %b, want %b", got, test.want)
			}
		})
	}
}

// naivePermissions is the documentation's pseudo code, line by line.
func naivePermissions(
	guild Snowflake, sub PermissionSubject, roles map[Snowflake]Permissions, overwrites []Overwrite,
) Permissions {
	find := func(id Snowflake, kind int) (Overwrite, bool) {
		i := slices.IndexFunc(overwrites, func(o Overwrite) bool { return o.ID == id && o.Type == kind })
		if i < 0 {
			return Overwrite{}, false
		}
		return overwrites[i], true
	}
	if sub.Owner {
		return PermissionsAll
	}
	p := roles[guild]
	for _, id := range sub.Roles {
		p |= roles[id]
	}
	if p&PermissionAdministrator != 0 {
		return PermissionsAll
	}
	if o, ok := find(guild, OverwriteRole); ok {
		p &^= o.Deny
		p |= o.Allow
	}
	var allow, deny Permissions
	for _, id := range sub.Roles {
		if o, ok := find(id, OverwriteRole); ok {
			allow |= o.Allow
			deny |= o.Deny
		}
	}
	p &^= deny
	p |= allow
	if o, ok := find(sub.User, OverwriteMember); ok {
		p &^= o.Deny
		p |= o.Allow
	}
	if sub.TimedOut {
		p &= PermissionViewChannel | PermissionReadMessageHistory
	}
	return p
}

func TestChannelPermissionsAgreeWithThePseudoCode(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	bits := func() Permissions {
		p := Permissions(rng.Uint64()) & PermissionsAll
		if rng.IntN(4) > 0 {
			p &^= PermissionAdministrator
		}
		return p
	}
	const guild Snowflake = 7
	for round := range 20000 {
		// Ids from a small range, so that roles, users and the guild meet.
		roles := map[Snowflake]Permissions{guild: bits() &^ PermissionAdministrator}
		sub := PermissionSubject{
			Owner: rng.IntN(20) == 0, User: Snowflake(rng.IntN(12)), TimedOut: rng.IntN(4) == 0,
		}
		for id := range Snowflake(12) {
			if id == guild || rng.IntN(2) == 0 {
				continue
			}
			roles[id] = bits() &^ PermissionAdministrator
			if rng.IntN(30) == 0 {
				roles[id] |= PermissionAdministrator
			}
			if rng.IntN(2) == 0 {
				sub.Roles = append(sub.Roles, id)
			}
		}
		var overwrites []Overwrite
		for id := range Snowflake(12) {
			for kind := range 2 {
				if rng.IntN(3) == 0 {
					overwrites = append(overwrites, Overwrite{id, kind, bits(), bits()})
				}
			}
		}
		rng.Shuffle(len(overwrites), func(i, j int) {
			overwrites[i], overwrites[j] = overwrites[j], overwrites[i]
		})
		role := func(id Snowflake) Permissions { return roles[id] }
		base := BasePermissions(sub, roles[guild], role)
		got := ChannelPermissions(base, guild, sub, overwrites)
		if want := naivePermissions(guild, sub, roles, overwrites); got != want {
			t.Fatalf("round %d: got %b, want %b\n%+v\n%+v\n%+v", round, got, want, sub, roles, overwrites)
		}
	}
}

func TestPermissionsInJSON(t *testing.T) {
	var o Overwrite
	text := `{"id":"5","type":1,"allow":"9007199254740991","deny":1024}`
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		t.Fatal(err)
	}
	want := Overwrite{ID: 5, Type: 1, Allow: 1<<53 - 1, Deny: PermissionViewChannel}
	if o != want {
		t.Errorf("got %+v, want %+v", o, want)
	}
	out, _ := json.Marshal(o)
	if got, want := string(out), `{"id":"5","type":1,"allow":"9007199254740991","deny":"1024"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if err := json.Unmarshal([]byte(`{"allow":-1}`), &o); err == nil {
		t.Error("negative permissions: got no error")
	}
	if PermissionsAll.Has(1<<47) || !PermissionsAll.Has(PermissionBypassSlowmode|PermissionSendVoiceMessages) {
		t.Errorf("PermissionsAll: got %b", PermissionsAll)
	}
}

func TestPermissionsAllocateNothing(t *testing.T) {
	sub := PermissionSubject{User: 5, Roles: []Snowflake{2, 3, 4}}
	overwrites := []Overwrite{{ID: 1, Deny: 1024}, {ID: 3, Allow: 1024}, {ID: 5, Type: 1}}
	role := func(Snowflake) Permissions { return PermissionSpeak }
	allocs := testing.AllocsPerRun(100, func() {
		base := BasePermissions(sub, PermissionsDefault, role)
		ChannelPermissions(base, 1, sub, overwrites)
	})
	if allocs != 0 {
		t.Errorf("got %v allocations, want 0", allocs)
	}
}
