package fanout

import (
	"strings"
	"testing"

	"throng/wire"
)

func TestParseUser(t *testing.T) {
	for _, c := range []struct{ name, raw, doc string }{
		{"nothing is said", `{}`, `{"id":"5","username":"user-5","discriminator":"0",` +
			`"global_name":null,"avatar":null}`},
		{"what is unknown stays, a token goes", `{"id":"9","token":"secret","username":"a",` +
			`"bot":true,"flags":4,"x":[1, 2]}`, `{"id":"5","username":"a","bot":true,"flags":4,` +
			`"x":[1, 2],"discriminator":"0","global_name":null,"avatar":null}`},
		{"null where there is a default", `{"username":null,"discriminator":null,"bot":null}`,
			`{"id":"5","discriminator":"0","global_name":null,"avatar":null,` +
				`"username":"user-5"}`},
		{"an id that is a number", `{"username":"a","primary":{"guild_id":2000000000000000001}}`,
			`{"id":"5","username":"a","primary":{"guild_id":"2000000000000000001"},` +
				`"discriminator":"0","global_name":null,"avatar":null}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			u, err := ParseUser(5, []byte(c.raw))
			if err != nil {
				t.Fatal(err)
			}
			want(t, "fields", len(decode(t, []byte(u.Doc))), len(decode(t, []byte(c.doc))))
			for key, value := range decode(t, []byte(c.doc)) {
				want(t, key, at(t, decode(t, []byte(u.Doc)), key), value)
			}
		})
	}
	u, err := ParseUser(5, []byte(`{"username":"a\"b","global_name":"A","bot":true,"flags":4}`))
	if err != nil {
		t.Fatal(err)
	}
	want(t, "record", []any{u.ID, u.Bot, u.Flags, u.Name, u.GlobalName},
		[]any{5, true, 4, `a"b`, "A"})
}

func TestParseUserRefuses(t *testing.T) {
	long := `"` + strings.Repeat("é", nameRunesMax+1) + `"`
	for raw, field := range map[string]string{
		`[]`: "", `{"username":5}`: "username", `{"username":""}`: "username",
		`{"username":` + long + `}`: "username", `{"global_name":` + long + `}`: "global_name",
		`{"global_name":7}`: "global_name", `{"avatar":true}`: "avatar", `{"bot":"yes"}`: "bot",
		`{"discriminator":1}`: "discriminator", `{"flags":-1}`: "flags",
		`{"public_flags":1.5}`: "public_flags",
	} {
		_, err := ParseUser(5, []byte(raw))
		if e, ok := err.(*Error); !ok || e.Field != field || e.Reason == "" {
			t.Errorf("%s: got %v, want a refusal of %q", raw, err, field)
		}
	}
	longest := `{"username":"` + strings.Repeat("é", nameRunesMax) + `"}`
	if _, err := ParseUser(5, []byte(longest)); err != nil {
		t.Errorf("the longest name: %v", err)
	}
}

// A user that comes with a member is read by the same rules as one that is put.
func TestUserOfAMemberIsReadAlike(t *testing.T) {
	const doc = `{"id":"200","username":"ann","global_name":"Ann","avatar":"a","flags":64,"x":1}`
	put, err := ParseUser(200, []byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	in, err := ParseMember([]byte(`{"user":` + doc + `}`))
	if err != nil {
		t.Fatal(err)
	}
	want(t, "user", *in.Account, *put)
	if _, err := ParseMember([]byte(`{"user":{"id":"1","username":""}}`)); err == nil ||
		err.(*Error).Field != "user.username" {
		t.Errorf("a user without a name: %v", err)
	}
}

// TestUserChanged: who may know of members or of presences hears of the new name, each as it may,
// and the user's own sessions hear of it without GUILD_MEMBERS too.
func TestUserChanged(t *testing.T) {
	w := newWorld(t, plainDoc)
	w.user(200, "ann")
	for id := wire.Snowflake(200); id < 205; id++ {
		w.member(id, "")
	}
	self := w.join(200, 0)
	members := w.join(201, wire.IntentGuildMembers)
	presences := w.join(202, wire.IntentGuildPresences)
	both := w.join(203, wire.IntentGuildMembers|wire.IntentGuildPresences)
	neither := w.join(204, wire.IntentGuilds|wire.IntentGuildMessages)
	for _, s := range w.ordered() {
		s.events = nil
	}
	w.user(200, "anna")
	w.play(w.g.UserChanged(200, w.now))
	name := at(t, both.last(t, "PRESENCE_UPDATE"), "user", "username")
	want(t, "the name in PRESENCE_UPDATE", name, "anna")
	want(t, "the status", at(t, both.last(t, "PRESENCE_UPDATE"), "status"), "offline")
	name = at(t, self.last(t, "GUILD_MEMBER_UPDATE"), "user", "username")
	want(t, "the name in GUILD_MEMBER_UPDATE", name, "anna")
	want(t, "self", self.names(), "GUILD_MEMBER_UPDATE")
	want(t, "members", members.names(), "GUILD_MEMBER_UPDATE")
	want(t, "presences", presences.names(), "PRESENCE_UPDATE")
	want(t, "both", both.names(), "GUILD_MEMBER_UPDATE PRESENCE_UPDATE")
	want(t, "neither", neither.names(), "")

	w.user(300, "nobody")
	if c := w.play(w.g.UserChanged(300, w.now)); len(c.Msgs) > 0 {
		t.Errorf("somebody who is no member: %d messages", len(c.Msgs))
	}
}

// TestMemberDoesNotReplaceUser: what comes with a member makes a user only where there is none.
func TestMemberDoesNotReplaceUser(t *testing.T) {
	w := newWorld(t, plainDoc)
	c := w.publish("GUILD_MEMBER_ADD", `{"user":{"id":"200","username":"first"}}`)
	want(t, "kept", len(c.Ops), 2)
	c = w.publish("GUILD_MEMBER_ADD", `{"user":{"id":"200","username":"second"}}`)
	want(t, "kept again", len(c.Ops), 1)
	want(t, "name", w.users.Get(200).Name, "first")
}
