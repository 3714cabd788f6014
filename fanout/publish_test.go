package fanout

import (
	"fmt"
	"strings"
	"testing"

	"throng/store"
	"throng/wire"
)

func TestRefusals(t *testing.T) {
	w := newWorld(t, plainDoc)
	w.member(200, "")
	tests := []struct {
		name, d string
		kind    ErrorKind
		field   string
	}{
		{"", `{}`, Invalid, "t"},
		{"lower", `{}`, Invalid, "t"},
		{"READY", `{}`, Invalid, "t"},
		{"RESUMED", `{}`, Invalid, "t"},
		{"GUILD_CREATE", `{}`, Invalid, "t"},
		{"GUILD_DELETE", `{}`, Invalid, "t"},
		{"GUILD_MEMBERS_CHUNK", `{}`, Invalid, "t"},
		{"ANYTHING", `[]`, Invalid, "d"},
		{"ANYTHING", `{"guild_id":"7"}`, Invalid, "d.guild_id"},
		{"ANYTHING", `{"channel_id":"7"}`, NotFound, "d.channel_id"},
		{"ANYTHING", `{"channel_id":{}}`, Invalid, "d.channel_id"},
		{"MESSAGE_CREATE", `{"author":{"id":"200"}}`, Invalid, "d.channel_id"},
		{"MESSAGE_CREATE", `{"channel_id":"99","author":{"id":"200"}}`, NotFound, "d.channel_id"},
		{"MESSAGE_CREATE", `{"channel_id":"10"}`, Invalid, "d.author"},
		{"MESSAGE_CREATE", `{"channel_id":"10","author":{"id":"9"}}`, Invalid, "d.author.id"},
		{"MESSAGE_CREATE", `{"channel_id":"10","author":{"id":"200"},"content":5}`,
			Invalid, "d.content"},
		{"MESSAGE_CREATE", `{"channel_id":"10","author":{"id":"200"},"mentions":["200","9"]}`,
			Invalid, "d.mentions[1]"},
		{"MESSAGE_UPDATE", `{"channel_id":"10"}`, Invalid, "d.id"},
		{"MESSAGE_DELETE", `{"id":"1"}`, Invalid, "d.channel_id"},
		{"TYPING_START", `{"channel_id":"10"}`, Invalid, "d.user_id"},
		{"GUILD_UPDATE", `{"name":5}`, Invalid, "d.name"},
		{"GUILD_UPDATE", `{"id":"7"}`, Invalid, "d.id"},
		{"GUILD_ROLE_CREATE", `{}`, Invalid, "d.role"},
		{"GUILD_ROLE_CREATE", `{"role":{}}`, Invalid, "d.role.id"},
		{"GUILD_ROLE_UPDATE", `{"role":{"id":"77"}}`, NotFound, "d.role.id"},
		{"GUILD_ROLE_DELETE", `{"role_id":"77"}`, NotFound, "d.role_id"},
		{"GUILD_ROLE_DELETE", `{"role_id":"2000000000000000001"}`, Invalid, "d.role_id"},
		{"CHANNEL_CREATE", `{"id":"50","type":77}`, Invalid, "d.type"},
		{"CHANNEL_UPDATE", `{"id":"50"}`, NotFound, "d.id"},
		{"CHANNEL_UPDATE", `{"id":"10","permission_overwrites":[{}]}`,
			Invalid, "d.permission_overwrites[0].id"},
		{"CHANNEL_DELETE", `{"id":"50"}`, NotFound, "d.id"},
		{"THREAD_CREATE", `{"id":"50","parent_id":"9"}`, Invalid, "d.parent_id"},
		{"THREAD_CREATE", `{"id":"10","parent_id":"10"}`, Conflict, "d.id"},
		{"THREAD_DELETE", `{"id":"50"}`, NotFound, "d.id"},
		{"THREAD_MEMBERS_UPDATE", `{"id":"50"}`, NotFound, "d.id"},
		{"GUILD_MEMBER_ADD", `{}`, Invalid, "d.user_id"},
		{"GUILD_MEMBER_ADD", `{"user":{"id":"7"},"roles":["77"]}`, Invalid, "d.roles[0]"},
		{"GUILD_MEMBER_UPDATE", `{"user":{"id":"7"}}`, NotFound, "d.user.id"},
		{"GUILD_MEMBER_REMOVE", `{"user":{"id":"7"}}`, NotFound, "d.user.id"},
		{"PRESENCE_UPDATE", `{"user":{"id":"7"}}`, NotFound, "d.user.id"},
		{"PRESENCE_UPDATE", `{"user":{"id":"200"},"status":"asleep"}`, Invalid, "d.status"},
		{"VOICE_STATE_UPDATE", `{"channel_id":"12"}`, Invalid, "d.user_id"},
		{"VOICE_STATE_UPDATE", `{"channel_id":"10","user_id":"200"}`, Invalid, "d.channel_id"},
		{"VOICE_STATE_UPDATE", `{"channel_id":"99","user_id":"200"}`, NotFound, "d.channel_id"},
		{"GUILD_EMOJIS_UPDATE", `{}`, Invalid, "d.emojis"},
		{"GUILD_EMOJIS_UPDATE", `{"emojis":[{}]}`, Invalid, "d.emojis[0].id"},
		{"GUILD_SOUNDBOARD_SOUND_DELETE", `{"sound_id":"5"}`, NotFound, "d.sound_id"},
	}
	for _, test := range tests {
		w.refused(test.name, test.d, test.kind, test.field)
	}
}

func TestMessageIsCompleted(t *testing.T) {
	w := newWorld(t, plainDoc)
	for id, name := range map[wire.Snowflake]string{200: "ann", 201: "ben", 202: "cat"} {
		w.user(id, name)
	}
	w.member(200, `"nick":"A","roles":["5"]`)
	w.member(201, "")
	w.member(202, "")
	const some = wire.IntentGuilds | wire.IntentGuildMessages
	full, author := w.join(201, allOfThem), w.join(200, some)
	other, mute := w.join(202, some), w.join(202, wire.IntentGuilds)
	w.publish("MESSAGE_CREATE", `{"channel_id":10,"author":{"id":200},"content":"hi","x":{"y":1}}`)
	m := full.last(t, "MESSAGE_CREATE")
	want(t, "content", m["content"], "hi")
	want(t, "unknown field", at(t, m, "x", "y"), 1)
	want(t, "author", at(t, m, "author", "username"), "ann")
	want(t, "member", at(t, m, "member", "nick"), "A")
	if _, there := at(t, m, "member").(map[string]any)["user"]; there {
		t.Error("the partial member has a user")
	}
	want(t, "channel", m["channel_id"], "10")
	want(t, "guild", m["guild_id"], guildID)
	want(t, "timestamp", m["timestamp"], "2024-01-01T00:00:00.000000+00:00")
	for key := range strings.FieldsSeq("mentions mention_roles attachments embeds components") {
		want(t, key, m[key], "[]")
	}
	for key := range strings.FieldsSeq("tts mention_everyone pinned type flags edited_timestamp") {
		if _, ok := m[key]; !ok {
			t.Errorf("%s is missing", key)
		}
	}
	want(t, "author reads the content", author.last(t, "MESSAGE_CREATE")["content"], "hi")
	want(t, "others do not", other.last(t, "MESSAGE_CREATE")["content"], "")
	want(t, "no intent, no message", mute.names(), "GUILD_CREATE")
	w.publish("MESSAGE_CREATE", `{"channel_id":"10","author":{"id":"201"},"content":"you",
		"mentions":["202",{"id":"200"}],"mention_roles":[5]}`)
	m = other.last(t, "MESSAGE_CREATE")
	want(t, "mentioned reads the content", m["content"], "you")
	want(t, "mention in whole", at(t, m, "mentions", 0, "username"), "cat")
	want(t, "mention's member", at(t, m, "mentions", 1, "member", "nick"), "A")
	want(t, "role mention", at(t, m, "mention_roles", 0), "5")
	w.publish("MESSAGE_CREATE", `{"channel_id":"10","webhook_id":"77",
		"author":{"id":"77","username":"hook"},"content":"x","poll":null}`)
	m = full.last(t, "MESSAGE_CREATE")
	if _, there := m["member"]; there {
		t.Error("a webhook's message has a member")
	}
	if _, there := m["poll"]; there {
		t.Error("a null poll went out")
	}
}

func TestMessageIDsRise(t *testing.T) {
	w := newWorld(t, plainDoc)
	var last wire.Snowflake
	for i := range 5000 {
		id := w.g.NextMessageID(w.now + int64(i/4000))
		if id <= last {
			t.Fatalf("id %d after %d", id, last)
		}
		last = id
	}
	if got := last.Milli() - w.now; got < 0 || got > 5 {
		t.Errorf("the ids ran %d ms ahead", got)
	}
}

func TestNewestMessageIsKept(t *testing.T) {
	w := newWorld(t, plainDoc)
	w.member(200, "")
	c := w.publish("MESSAGE_CREATE", `{"id":"777","channel_id":"10","author":{"id":"200"}}`)
	want(t, "nothing to store", len(c.Ops), 0)
	view := w.join(200, allOfThem).last(t, "GUILD_CREATE")
	want(t, "last message", at(t, view, "channels", 0, "last_message_id"), "777")
	s := w.join(200, allOfThem)
	w.publish("CHANNEL_UPDATE", `{"id":"10","topic":"t"}`)
	m := s.last(t, "CHANNEL_UPDATE")
	want(t, "whole channel", m["name"], "general")
	want(t, "with its guild", m["guild_id"], guildID)
	want(t, "and last message", m["last_message_id"], "777")
}

func TestUnknownEventGoesToEverySession(t *testing.T) {
	w := newWorld(t, plainDoc)
	w.member(200, `"roles":["5"]`)
	w.member(201, "")
	staff, plain := w.join(200, 0), w.join(201, 0)
	want(t, "index", w.publish("GAME_MOVE", `{"x":1}`).Index, 1)
	want(t, "staff", staff.names(), "GAME_MOVE")
	want(t, "plain", plain.names(), "GAME_MOVE")
	want(t, "index", w.publish("GAME_MOVE", `{"channel_id":11}`).Index, 2)
	m := staff.last(t, "GAME_MOVE")
	want(t, "channel as string", m["channel_id"], "11")
	want(t, "guild added", m["guild_id"], guildID)
	want(t, "hidden channel", plain.names(), "")
}

func TestGatesOfTheGuild(t *testing.T) {
	w := newWorld(t, `{"owner_id":"100",
		"roles":[{"id":"5","permissions":"4"},{"id":"6","permissions":"128"}],
		"channels":[{"id":"10"}]}`)
	w.member(100, "")
	w.member(201, `"roles":["5"]`)
	w.member(202, `"roles":["6"]`)
	w.member(203, "")
	var all []*heard
	for _, user := range []wire.Snowflake{100, 201, 202, 203} {
		s := w.join(user, allOfThem)
		s.names()
		all = append(all, s)
	}
	tests := []struct{ name, d, users string }{
		{"GUILD_BAN_ADD", `{"user":{"id":"9","username":"x"}}`, "1110"},
		{"GUILD_AUDIT_LOG_ENTRY_CREATE", `{"id":"9"}`, "1010"},
		{"INVITE_CREATE", `{"channel_id":"10","code":"x"}`, "1000"},
		{"AUTO_MODERATION_RULE_CREATE", `{"id":"9"}`, "1000"},
		{"GUILD_INTEGRATIONS_UPDATE", `{}`, "1111"},
	}
	for _, test := range tests {
		w.publish(test.name, test.d)
		got := ""
		for _, s := range all {
			got += fmt.Sprint(len(s.events))
			s.names()
		}
		want(t, test.name, got, test.users)
	}
}

func TestThingsAreKept(t *testing.T) {
	w := newWorld(t, plainDoc)
	w.member(200, "")
	s := w.join(200, allOfThem)
	w.publish("GUILD_EMOJIS_UPDATE", `{"emojis":[{"id":30,"name":"e"}]}`)
	want(t, "emoji", at(t, s.last(t, "GUILD_EMOJIS_UPDATE"), "emojis", 0, "id"), "30")
	w.publish("GUILD_SOUNDBOARD_SOUND_CREATE", `{"sound_id":"40","name":"a"}`)
	w.publish("GUILD_SOUNDBOARD_SOUND_UPDATE", `{"sound_id":"40","volume":0.5}`)
	want(t, "sound", s.last(t, "GUILD_SOUNDBOARD_SOUND_UPDATE")["name"], "a")
	sounds := decode(t, w.g.Soundboard().Body())
	want(t, "volume", at(t, sounds, "soundboard_sounds", 0, "volume"), 0.5)
	w.publish("GUILD_SOUNDBOARD_SOUND_DELETE", `{"sound_id":"40"}`)
	w.publish("STAGE_INSTANCE_CREATE", `{"id":"41","channel_id":"12","topic":"x"}`)
	w.publish("GUILD_SCHEDULED_EVENT_CREATE", `{"id":"42","name":"y"}`)
	w.publish("STAGE_INSTANCE_DELETE", `{"id":"41","channel_id":"12"}`)
	want(t, "deleted stage in whole", s.last(t, "STAGE_INSTANCE_DELETE")["topic"], "x")
	view := w.join(200, allOfThem).last(t, "GUILD_CREATE")
	want(t, "emojis", len(view["emojis"].([]any)), 1)
	want(t, "sounds", len(view["soundboard_sounds"].([]any)), 0)
	want(t, "stages", len(view["stage_instances"].([]any)), 0)
	want(t, "events", len(view["guild_scheduled_events"].([]any)), 1)
}

func TestGuildUpdateMerges(t *testing.T) {
	w := newWorld(t, plainDoc)
	w.member(200, "")
	s := w.join(200, wire.IntentGuilds)
	c := w.publish("GUILD_UPDATE", `{"name":"new"}`)
	want(t, "stored", len(c.Ops), 1)
	m := s.last(t, "GUILD_UPDATE")
	want(t, "name", m["name"], "new")
	want(t, "owner stays", m["owner_id"], "100")
	want(t, "roles", len(m["roles"].([]any)), 2)
	if _, there := m["channels"]; there {
		t.Error("the update carries channels")
	}
}

func TestIDsGoOutAsStrings(t *testing.T) {
	tests := []struct{ in, out string }{
		{`{"a":1}`, `{"a":1}`},
		{`{"id":12345678901}`, `{"id":"12345678901"}`},
		{`{"id":123}`, `{"id":123}`},
		{`{"x":{"user_id":12345678901,"n":12345678901}}`,
			`{"x":{"user_id":"12345678901","n":12345678901}}`},
		{`{"ids":[12345678901,"2"]}`, `{"ids":["12345678901","2"]}`},
		{`{"s":"12345678901 \" 12345678901","t":1.2345678901234}`,
			`{"s":"12345678901 \" 12345678901","t":1.2345678901234}`},
		{`{"emoji":{"id":12345678901},"answer_id":12345678901}`,
			`{"emoji":{"id":"12345678901"},"answer_id":12345678901}`},
	}
	for _, test := range tests {
		want(t, test.in, string(normalizeIDs([]byte(test.in))), test.out)
	}
}

// FuzzPublish wants no more than that no event, however odd, breaks the guild.
func FuzzPublish(f *testing.F) {
	for name := range appliers {
		f.Add(name, `{"id":"10","user":{"id":"200"},"channel_id":"12","user_id":"200"}`)
		f.Add(name, `{"id":"50","parent_id":"10","type":12,"role":{"id":"5"},"role_id":"5"}`)
	}
	f.Add("MESSAGE_CREATE", `{"channel_id":"10","author":{"id":"200"},"mentions":[{"id":"200"}]}`)
	f.Fuzz(func(t *testing.T, name, d string) {
		if !wire.ValidJSON([]byte(d), 32) {
			return
		}
		w := newWorld(t, fullDoc)
		w.member(200, `"roles":["5"]`)
		w.join(200, allOfThem)
		c, err := w.g.Publish(name, []byte(d), w.now)
		if err != nil {
			return
		}
		w.play(c)
		doc := w.g.Doc()
		again := NewGuild(guildID, store.NewUsers())
		if err := again.Restore(doc); err != nil {
			t.Fatalf("%v in %s", err, doc)
		}
		if got := again.Doc(); string(got) != string(doc) {
			t.Fatalf("got  %s\nwant %s", got, doc)
		}
		for _, s := range w.sessions {
			for _, e := range s.events {
				if !wire.ValidJSON(e.body, 40) {
					t.Fatalf("%s: %s", e.name, e.body)
				}
			}
		}
	})
}
