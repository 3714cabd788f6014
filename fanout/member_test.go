package fanout

import (
	"testing"

	"throng/store"
	"throng/wire"
)

func TestMemberShapes(t *testing.T) {
	tests := []struct{ name, line, field string }{
		{"no object", `5`, ""},
		{"nobody", `{}`, "user_id"},
		{"user is no object", `{"user":"5"}`, "user"},
		{"user without id", `{"user":{}}`, "user.id"},
		{"account", `{"user":{"id":"5","username":7}}`, "user.username"},
		{"nick", `{"user_id":"5","nick":7}`, "nick"},
		{"roles", `{"user_id":"5","roles":"7"}`, "roles"},
		{"role", `{"user_id":"5","roles":["x"]}`, "roles"},
		{"time", `{"user_id":"5","joined_at":"yesterday"}`, "joined_at"},
	}
	for _, test := range tests {
		_, err := ParseMember([]byte(test.line))
		if got, ok := err.(*Error); !ok || got.Field != test.field {
			t.Errorf("%s: got %#v, want field %q", test.name, err, test.field)
		}
	}
}

func TestMemberIsWrittenInWhole(t *testing.T) {
	w := newWorld(t, plainDoc)
	w.user(200, "ann")
	w.member(200, `"nick":"A \"q\"","roles":[5,"2000000000000000001"],
		"joined_at":"2024-02-03T04:05:06Z","deaf":true,"flags":3,"avatar":null,
		"premium_since":"2024-01-01T00:00:00Z","x":{"y":1},
		"communication_disabled_until":"2024-02-03T04:05:06Z"`)
	m := decode(t, w.g.Member(200))
	want(t, "user", at(t, m, "user", "username"), "ann")
	want(t, "nick", m["nick"], `A "q"`)
	want(t, "roles", m["roles"], "[5]")
	want(t, "joined_at", m["joined_at"], "2024-02-03T04:05:06.000000+00:00")
	want(t, "deaf", m["deaf"], true)
	want(t, "mute", m["mute"], false)
	want(t, "flags", m["flags"], 3)
	want(t, "unknown field", at(t, m, "x", "y"), 1)
	want(t, "avatar", m["avatar"], nil)
	want(t, "banner", m["banner"], nil)
	want(t, "timeout", m["communication_disabled_until"], "2024-02-03T04:05:06.000000+00:00")
	// An update changes what it names.
	w.publish("GUILD_MEMBER_UPDATE", `{"user":{"id":"200"},"nick":null,"deaf":false}`)
	m = decode(t, w.g.Member(200))
	want(t, "nick is gone", m["nick"], nil)
	want(t, "deaf is gone", m["deaf"], false)
	want(t, "roles stay", m["roles"], "[5]")
	want(t, "flags stay", m["flags"], 3)
	want(t, "unknown stays", at(t, m, "x", "y"), 1)
}

func TestMemberSurvivesItsRecord(t *testing.T) {
	w := newWorld(t, plainDoc)
	c := w.member(200, `"nick":"n","roles":["5"],"mute":true`)
	want(t, "joined", c.Joined, "[200]")
	want(t, "ops", len(c.Ops), 1)
	again := NewGuild(guildID, w.users)
	if err := again.Restore(w.g.Doc()); err != nil {
		t.Fatal(err)
	}
	record := c.Ops[0].Member
	again.RestoreMember(record)
	want(t, "member", string(again.Member(200)), string(w.g.Member(200)))
	again.RestoreMembers([]store.MemberRecord{record})
	want(t, "members", again.Info().MemberCount, 1)
}

func TestPutMembersByLine(t *testing.T) {
	w := newWorld(t, plainDoc)
	var in []MemberInput
	for _, line := range []string{
		`{"user_id":"200","roles":["5"]}`, `{"user_id":"201","roles":["77"]}`,
		`{"user":{"id":"202","username":"new"}}`, `{"user_id":"200","nick":"n"}`,
	} {
		m, err := ParseMember([]byte(line))
		if err != nil {
			t.Fatal(err)
		}
		in = append(in, m)
	}
	c, errs := w.g.PutMembers(append(in, MemberInput{}), false, w.now)
	w.play(c)
	for i, bad := range []bool{false, true, false, false, true} {
		want(t, "line", errs[i] != nil, bad)
	}
	want(t, "joined", c.Joined, "[200 202]")
	want(t, "no word of it", len(c.Msgs), 0)
	m := decode(t, w.g.Member(200))
	want(t, "later lines add to earlier", m["nick"], "n")
	want(t, "and keep the rest", m["roles"], "[5]")
	if w.users.Get(202) == nil {
		t.Error("the account was not taken note of")
	}
	s := w.join(200, wire.IntentGuildMembers)
	in = in[:1]
	c, _ = w.g.PutMembers(in, true, w.now)
	w.play(c)
	want(t, "announced", s.names(), "GUILD_MEMBER_UPDATE")
	w.play(w.g.UserChanged(202, w.now))
	want(t, "account changed", s.names(), "GUILD_MEMBER_UPDATE")
	w.play(w.g.UserChanged(999, w.now))
	want(t, "of no member", s.names(), "")
}

// About itself a member hears without GUILD_MEMBERS.
func TestMemberUpdateAboutOneself(t *testing.T) {
	w := newWorld(t, plainDoc)
	w.member(200, "")
	w.member(201, "")
	ann, ben := w.join(200, 0), w.join(201, 0)
	w.publish("GUILD_MEMBER_UPDATE", `{"user":{"id":"200"},"nick":"n"}`)
	want(t, "ann", ann.names(), "GUILD_MEMBER_UPDATE")
	want(t, "ben", ben.names(), "")
}
