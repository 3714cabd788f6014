package fanout

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"throng/store"
	"throng/wire"
)

func TestDefaultsAreTheProtocolsSample(t *testing.T) {
	w := newWorld(t, `{"name":"g","owner_id":"1000000000000000002",
		"channels":[{"id":3000000000000000001,"name":"general"}]}`)
	w.user(1000000000000000001, "bot")
	w.member(1000000000000000001, `"joined_at":"2024-01-01T00:00:00.000000+00:00"`)
	s := w.join(1000000000000000001, wire.IntentGuilds)
	got := s.last(t, "GUILD_CREATE")
	raw, err := os.ReadFile("testdata/guild_create.json")
	if err != nil {
		t.Fatal(err)
	}
	var sample map[string]any
	if err := json.Unmarshal(raw, &sample); err != nil {
		t.Fatal(err)
	}
	compareSample(t, "guild", got, sample)
}

// compareSample demands that everything in sample is in got, with the same value.
func compareSample(t *testing.T, path string, got, sample any) {
	t.Helper()
	switch s := sample.(type) {
	case map[string]any:
		m, ok := got.(map[string]any)
		if !ok {
			t.Errorf("%s: got %v, want an object", path, got)
			return
		}
		for key, value := range s {
			if _, there := m[key]; !there {
				t.Errorf("%s.%s is missing", path, key)
				continue
			}
			compareSample(t, path+"."+key, m[key], value)
		}
	case []any:
		list, ok := got.([]any)
		if !ok || len(list) != len(s) {
			t.Errorf("%s: got %v, want %v", path, got, sample)
			return
		}
		for i := range s {
			compareSample(t, path, list[i], s[i])
		}
	default:
		if got != sample {
			t.Errorf("%s: got %v, want %v", path, got, sample)
		}
	}
}

func TestWrongShapesNameTheirField(t *testing.T) {
	tests := []struct{ name, doc, field string }{
		{"name", `{"name":5}`, "name"},
		{"owner", `{"owner_id":"x"}`, "owner_id"},
		{"list", `{"roles":{}}`, "roles"},
		{"element", `{"channels":[5]}`, "channels[0]"},
		{"id", `{"channels":[{"name":"a"}]}`, "channels[0].id"},
		{"id zero", `{"channels":[{"id":"0"}]}`, "channels[0].id"},
		{"type", `{"channels":[{"id":"1"},{"id":"2","type":99}]}`, "channels[1].type"},
		{"thread as channel", `{"channels":[{"id":"1","type":11}]}`, "channels[0].type"},
		{"overwrites", `{"channels":[{"id":"1","permission_overwrites":5}]}`,
			"channels[0].permission_overwrites"},
		{"allow", `{"channels":[{"id":"1"},{"id":"2"},{"id":"3"},
			{"id":"4","permission_overwrites":[{"id":"5","type":0,"allow":"x"}]}]}`,
			"channels[3].permission_overwrites[0].allow"},
		{"overwrite type",
			`{"channels":[{"id":"1","permission_overwrites":[{"id":"5","type":7}]}]}`,
			"channels[0].permission_overwrites[0].type"},
		{"twice", `{"channels":[{"id":"1"},{"id":"1"}]}`, "channels[1].id"},
		{"role permissions", `{"roles":[{"id":"5","permissions":true}]}`, "roles[0].permissions"},
		{"thread parent", `{"threads":[{"id":"9","parent_id":"8"}]}`, "threads[0].parent_id"},
		{"thread metadata", `{"channels":[{"id":"8"}],
			"threads":[{"id":"9","parent_id":"8","thread_metadata":{"archived":1}}]}`,
			"threads[0].thread_metadata.archived"},
		{"thread member", `{"channels":[{"id":"8"}],
			"threads":[{"id":"9","parent_id":"8","thread_members":[{}]}]}`,
			"threads[0].thread_members[0]"},
		{"same id", `{"channels":[{"id":"8"}],"threads":[{"id":"8","parent_id":"8"}]}`,
			"threads[0].id"},
		{"emoji", `{"emojis":[{"id":"1","animated":"yes"}]}`, "emojis[0].animated"},
		{"voice server", `{"voice_servers":["nowhere"]}`, "voice_servers[0]"},
		{"members", `{"members":[{"user":{"id":"1"}}]}`, "members"},
		{"other guild", `{"id":"7"}`, "id"},
		{"no object", `[]`, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			g := NewGuild(guildID, store.NewUsers())
			before := string(g.Doc())
			_, err := g.Replace([]byte(test.doc), testNow)
			got, ok := err.(*Error)
			if !ok || got.Kind != Invalid || got.Field != test.field || got.Reason == "" {
				t.Errorf("got %#v, want field %q", err, test.field)
			}
			if after := string(g.Doc()); after != before {
				t.Errorf("a refused document changed the guild to %s", after)
			}
		})
	}
}

const fullDoc = `{"name":"g","owner_id":100,"x_unknown":{"kept":[1, 2]},"icon":"abc",
 "welcome_screen":null,
 "roles":[{"id":"5","name":"staff","permissions":8,"color":255,"x":1},
  {"id":2000000000000000001,"permissions":"1024"}],
 "channels":[{"id":"8","type":4,"name":"cat"},{"id":"9","parent_id":8,"x":"y"},{"id":"12","type":2},
  {"id":"13","type":13},{"id":"15","type":15},{"id":"16","type":16},{"id":"17","type":5}],
 "threads":[{"id":"20","parent_id":"9","type":12,
   "thread_members":["100",{"user_id":"101","flags":1}]},
  {"id":"21","parent_id":"9","thread_metadata":{"archived":true,"z":1}}],
 "emojis":[{"id":"30","name":"e"}],"stickers":[{"id":31}],
 "soundboard_sounds":[{"sound_id":"32","name":"s"}],
 "stage_instances":[{"id":"33","channel_id":"13"}],"guild_scheduled_events":[{"id":"34"}],
 "voice_servers":["voice.example:443"]}`

func TestDocumentSurvivesRestore(t *testing.T) {
	w := newWorld(t, fullDoc)
	doc := w.g.Doc()
	again := NewGuild(guildID, w.users)
	if err := again.Restore(doc); err != nil {
		t.Fatal(err)
	}
	if got := again.Doc(); string(got) != string(doc) {
		t.Errorf("got  %s\nwant %s", got, doc)
	}
	m := decode(t, doc)
	want(t, "unknown guild field", at(t, m, "x_unknown", "kept", 1), 2)
	want(t, "unknown channel field", at(t, m, "channels", 1, "x"), "y")
	want(t, "unknown role field", at(t, m, "roles", 0, "x"), 1)
	want(t, "number to permission string", at(t, m, "roles", 0, "permissions"), "8")
	want(t, "colors follow color", at(t, m, "roles", 0, "colors", "primary_color"), 255)
	want(t, "number to id", at(t, m, "owner_id"), "100")
	want(t, "parent to string", at(t, m, "channels", 1, "parent_id"), "8")
	want(t, "thread member", at(t, m, "threads", 0, "thread_members", 1, "flags"), 1)
	want(t, "thread owner", at(t, m, "threads", 0, "owner_id"), "100")
	want(t, "voice server", at(t, m, "voice_servers", 0), "voice.example:443")
	if _, there := m["welcome_screen"]; there {
		t.Error("a null that libraries fail on was kept")
	}
	if err := w.g.Check(); err != nil {
		t.Error(err)
	}
}

func TestEveryChannelTypeHasItsDefaults(t *testing.T) {
	w := newWorld(t, fullDoc)
	for _, test := range []struct {
		id   wire.Snowflake
		keys string
	}{
		{9, "topic nsfw last_message_id rate_limit_per_user"},
		{12, "bitrate user_limit rtc_region"},
		{13, "bitrate user_limit rtc_region"},
		{15, "available_tags default_reaction_emoji default_sort_order default_forum_layout"},
		{8, "permission_overwrites parent_id flags position name guild_id"},
		{20, "owner_id thread_metadata message_count member_count total_message_sent guild_id"},
	} {
		m := decode(t, w.g.Channel(test.id))
		for key := range strings.FieldsSeq(test.keys) {
			if _, ok := m[key]; !ok {
				t.Errorf("channel %d has no %s: %v", test.id, key, m)
			}
		}
	}
}

func TestReplaceSaysTheDifferences(t *testing.T) {
	w := newWorld(t, plainDoc)
	w.member(200, `"roles":["5"]`)
	s := w.join(200, wire.IntentGuilds|wire.IntentGuildExpressions)
	s.names()
	w.must(w.g.Replace([]byte(plainDoc), w.now))
	want(t, "the same again", s.names(), "")
	w.must(w.g.Replace([]byte(`{"name":"h","owner_id":"100","roles":[{"id":"6","permissions":"0"}],
		"channels":[{"id":"10","name":"other"},{"id":"14"}],"emojis":[{"id":"30"}]}`), w.now))
	want(t, "differences", s.names(), "CHANNEL_DELETE CHANNEL_DELETE GUILD_ROLE_DELETE "+
		"GUILD_ROLE_CREATE GUILD_UPDATE CHANNEL_UPDATE CHANNEL_CREATE GUILD_EMOJIS_UPDATE")
	w.member(201, "")
	view := w.join(200, wire.IntentGuilds).last(t, "GUILD_CREATE")
	want(t, "deleted roles are not shown", at(t, view, "members", 0, "roles"), "[]")
}
