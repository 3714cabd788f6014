package wire

import (
	"reflect"
	"strings"
	"testing"
)

const sampleIdentify = `{"op":2,"d":{"token":"Bot a.b.c","properties":{"os":"linux","browser":"x",` +
	`"device":"y"},"compress":true,"large_threshold":100,"shard":[1,4],"intents":513,` +
	`"presence":{"since":null,"activities":[],"status":"idle","afk":false},"capabilities":3}}`

func TestIdentifyAsLibrariesSendIt(t *testing.T) {
	tests := []struct {
		name, d string
		want    Identify
	}{
		{"least", `{"token":"t"}`, Identify{Token: "t", LargeThreshold: 250}},
		{"nulls", `{"token":"t","properties":null,"compress":null,"shard":null,"intents":null,
			"presence":null,"large_threshold":null,"capabilities":null}`,
			Identify{Token: "t", LargeThreshold: 250}},
		{"discordgo", `{"token":"Bot t","properties":{"$os":"linux","$browser":"DiscordGo v0.29.0",
			"$device":"","$referer":"","$referring_domain":""},"compress":true,"large_threshold":250,
			"presence":{"since":0,"game":{"name":"","type":0},"status":"","afk":false},"intents":53608447}`,
			Identify{
				Token: "t", HadPrefix: true, Compress: true, LargeThreshold: 250,
				Properties: Properties{OS: "linux", Browser: "DiscordGo v0.29.0"},
				Intents:    IntentsBot, HasIntents: true,
				Presence: &PresenceCommand{Since: new(int64), Activities: []byte(`[]`), Status: "online"},
			}},
		{"disgo", `{"token":"t","properties":{"os":"linux","browser":"disgo","device":"disgo"},
			"compress":false,"large_threshold":50,"shard":[0,1],"intents":0}`,
			Identify{
				Token: "t", LargeThreshold: 50, HasShard: true, Shard: [2]int{0, 1}, HasIntents: true,
				Properties: Properties{OS: "linux", Browser: "disgo", Device: "disgo"},
			}},
		{"discord.py-self", `{"token":"t","capabilities":16381,"properties":{"os":"Linux","client_build_number":5,
			"browser":"Chrome","device":""},"presence":{"status":"unknown","since":0,"activities":[],"afk":false},
			"compress":false,"client_state":{"guild_versions":{}}}`,
			Identify{
				Token: "t", LargeThreshold: 250, Capabilities: 16381,
				Properties: Properties{OS: "Linux", Browser: "Chrome"},
				Presence:   &PresenceCommand{Since: new(int64), Activities: []byte(`[]`), Status: "online"},
			}},
		{"a presence of no use", `{"token":"t","intents":1,"presence":{"status":"asleep"}}`,
			Identify{Token: "t", LargeThreshold: 50, Intents: 1, HasIntents: true}},
		{"a presence that is no object", `{"token":"t","intents":1,"presence":[]}`,
			Identify{Token: "t", LargeThreshold: 50, Intents: 1, HasIntents: true}},
		{"odd properties", `{"token":"t","intents":1,"properties":{"os":5,"$os":"x","browser":null}}`,
			Identify{Token: "t", LargeThreshold: 50, Intents: 1, HasIntents: true, Properties: Properties{OS: "x"}}},
		{"threshold below a bot's", `{"token":"t","intents":1,"large_threshold":0}`,
			Identify{Token: "t", LargeThreshold: 50, Intents: 1, HasIntents: true}},
		{"threshold below a user's", `{"token":"t","large_threshold":1}`,
			Identify{Token: "t", LargeThreshold: 25}},
		{"threshold above", `{"token":"t","large_threshold":1000}`,
			Identify{Token: "t", LargeThreshold: 250}},
		{"the prefix twice", `{"token":"Bot Bot t"}`,
			Identify{Token: "Bot t", HadPrefix: true, LargeThreshold: 250}},
		{"user intents", `{"token":"t","intents":536870911}`,
			Identify{Token: "t", LargeThreshold: 50, Intents: IntentsUser, HasIntents: true}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := ParseIdentify([]byte(test.d))
			checkRefusal(t, err, 0)
			if !reflect.DeepEqual(got, test.want) {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

func TestIdentifyThatIsRefused(t *testing.T) {
	tests := []struct {
		d    string
		code CloseCode
		word string
	}{
		{``, CloseDecode, "d"},
		{`null`, CloseDecode, "d"},
		{`[]`, CloseDecode, "d"},
		{`{}`, CloseDecode, "token"},
		{`{"token":null}`, CloseDecode, "token"},
		{`{"token":5}`, CloseDecode, "token"},
		{`{"token":"t","properties":"x"}`, CloseDecode, "properties"},
		{`{"token":"t","compress":1}`, CloseDecode, "compress"},
		{`{"token":"t","large_threshold":"50"}`, CloseDecode, "large_threshold"},
		{`{"token":"t","capabilities":"x"}`, CloseDecode, "capabilities"},
		{`{"token":"t","shard":5}`, CloseInvalidShard, "shard"},
		{`{"token":"t","shard":"0"}`, CloseInvalidShard, "shard"},
		{`{"token":"t","shard":[]}`, CloseInvalidShard, "shard"},
		{`{"token":"t","shard":[0]}`, CloseInvalidShard, "shard"},
		{`{"token":"t","shard":[0,1,2]}`, CloseInvalidShard, "shard"},
		{`{"token":"t","shard":["0","1"]}`, CloseInvalidShard, "shard"},
		{`{"token":"t","shard":[1,1]}`, CloseInvalidShard, "shard"},
		{`{"token":"t","shard":[0,0]}`, CloseInvalidShard, "shard"},
		{`{"token":"t","shard":[-1,1]}`, CloseInvalidShard, "shard"},
		{`{"token":"t","shard":[0,-1]}`, CloseInvalidShard, "shard"},
		{`{"token":"t","shard":[0,4294967296]}`, CloseInvalidShard, "shard"},
		{`{"token":"t","shard":{}}`, CloseInvalidShard, "shard"},
		{`{"token":"t","intents":-1}`, CloseInvalidIntents, "intents"},
		{`{"token":"t","intents":"513"}`, CloseInvalidIntents, "intents"},
		{`{"token":"t","intents":1.5}`, CloseInvalidIntents, "intents"},
		{`{"token":"t","intents":536870912}`, CloseInvalidIntents, "intents"},
		{`{"token":"t","intents":4294967296}`, CloseInvalidIntents, "intents"},
		{`{"token":"t","intents":[]}`, CloseInvalidIntents, "intents"},
	}
	for _, test := range tests {
		t.Run(test.d, func(t *testing.T) {
			_, err := ParseIdentify([]byte(test.d))
			checkRefusal(t, err, test.code)
			if err != nil && !strings.Contains(err.Reason, test.word) {
				t.Errorf("got %q, want it to name %s", err.Reason, test.word)
			}
		})
	}
}

func TestResume(t *testing.T) {
	tests := []struct {
		d    string
		want Resume
		code CloseCode
	}{
		{`{"token":"Bot t","session_id":"s","seq":5}`, Resume{"t", "s", 5}, 0},
		{`{"token":"t","session_id":"s","seq":0}`, Resume{"t", "s", 0}, 0},
		{`{"token":"t","session_id":"s","seq":null}`, Resume{"t", "s", 0}, 0},
		{`{"token":"t","session_id":"s"}`, Resume{"t", "s", 0}, 0},
		{`{"token":"t","session_id":"s","seq":4294967295}`, Resume{"t", "s", 4294967295}, 0},
		{`{"token":"t","session_id":"s","seq":4294967296}`, Resume{}, CloseInvalidSeq},
		{`{"token":"t","session_id":"s","seq":-1}`, Resume{}, CloseInvalidSeq},
		{`{"token":"t","session_id":"s","seq":"5"}`, Resume{}, CloseDecode},
		{`{"token":"t","session_id":5}`, Resume{}, CloseDecode},
		{`{"token":"t"}`, Resume{}, CloseDecode},
		{`{"session_id":"s","seq":5}`, Resume{}, CloseDecode},
		{`5`, Resume{}, CloseDecode},
	}
	for _, test := range tests {
		got, err := ParseResume([]byte(test.d))
		checkRefusal(t, err, test.code)
		if got != test.want {
			t.Errorf("%s: got %+v, want %+v", test.d, got, test.want)
		}
	}
}

const samplePresence = `{"since":1700000000000,"status":"dnd","afk":true,"activities":[` +
	`{"name":"n","type":0,"url":"u","created_at":5,"timestamps":{"start":1,"end":2},` +
	`"application_id":"3","details":"d","state":"s","emoji":{"name":"e","id":"4","animated":true},` +
	`"party":{"id":"p","size":[1,2]},"assets":{"large_image":"a","large_text":"b","small_image":"c",` +
	`"small_text":"d"},"instance":true,"flags":1,"buttons":["one","two"]}]}`

func TestPresence(t *testing.T) {
	since := int64(1700000000000)
	whole := samplePresence[strings.Index(samplePresence, "[") : len(samplePresence)-1]
	tests := []struct {
		name, d           string
		since             *int64
		status, activites string
		afk               bool
		code              CloseCode
	}{
		{"all there is", samplePresence, &since, "dnd", whole, true, 0},
		{"empty", `{}`, nil, "online", `[]`, false, 0},
		{"nulls", `{"since":null,"activities":null,"status":null,"afk":null}`, nil, "online", `[]`, false, 0},
		{"since as a float", `{"since":1.7e12,"status":"idle"}`, &since, "idle", `[]`, false, 0},
		{"invisible", `{"status":"invisible"}`, nil, "invisible", `[]`, false, 0},
		{"offline", `{"status":"offline"}`, nil, "offline", `[]`, false, 0},
		{"a lone game", `{"game":{"name":"g","type":2}}`, nil, "online", `[{"name":"g","type":2}]`, false, 0},
		{"a game without a name", `{"game":{"name":""}}`, nil, "online", `[]`, false, 0},
		{"activities before game", `{"game":{"name":"g"},"activities":[]}`, nil, "online", `[]`, false, 0},
		{"what does not fit is left out", `{"activities":[{"name":"n","type":4,"url":5,"created_at":"x",
			"timestamps":"x","application_id":"x","details":null,"state":"s","emoji":{"name":"e","id":7,"animated":1},
			"party":{"size":[1]},"assets":[],"secrets":{"join":"j"},"flags":1.5,"buttons":["a",1],"x":1}]}`,
			nil, "online",
			`[{"name":"n","type":4,"state":"s","emoji":{"name":"e","id":"7"},"party":{}}]`, false, 0},
		{"some are of no use", `{"activities":[1,null,{},{"name":5},{"name":"n","type":9},{"name":"ok"}]}`,
			nil, "online", `[{"name":"ok","type":0}]`, false, 0},
		{"status unknown to all", `{"status":"asleep"}`, nil, "", ``, false, CloseDecode},
		{"status a number", `{"status":1}`, nil, "", ``, false, CloseDecode},
		{"since a string", `{"since":"now"}`, nil, "", ``, false, CloseDecode},
		{"afk a string", `{"afk":"no"}`, nil, "", ``, false, CloseDecode},
		{"activities an object", `{"activities":{}}`, nil, "", ``, false, CloseDecode},
		{"no object", `"online"`, nil, "", ``, false, CloseDecode},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := ParsePresence([]byte(test.d))
			checkRefusal(t, err, test.code)
			if got.Status != test.status || string(got.Activities) != test.activites || got.AFK != test.afk ||
				!reflect.DeepEqual(got.Since, test.since) {
				t.Errorf("got %+v with %s", got, got.Activities)
			}
		})
	}
}

func TestActivitiesAreBounded(t *testing.T) {
	long := `{"name":"` + strings.Repeat("x", 1500) + `"}`
	got, err := ParsePresence([]byte(`{"activities":[` + long + `,` + long + `,` + long + `,{"name":"small"}]}`))
	checkRefusal(t, err, 0)
	if len(got.Activities) > ActivitiesBytesMax || !strings.HasSuffix(string(got.Activities), `},{"name":"small","type":0}]`) {
		t.Errorf("got %d bytes ending with %.40s", len(got.Activities), got.Activities[len(got.Activities)-40:])
	}
	if !ValidJSON(got.Activities, CommandDepthMax) {
		t.Errorf("got %s", got.Activities)
	}
}

func TestPresenceSharesNoMemoryWithItsPayload(t *testing.T) {
	payload := []byte(samplePresence)
	got, _ := ParsePresence(payload)
	before := string(got.Activities) + got.Status
	clear(payload)
	if after := string(got.Activities) + got.Status; after != before {
		t.Errorf("got %s after the payload was overwritten", after)
	}
}

func BenchmarkParseIdentify(b *testing.B) {
	payload := []byte(sampleIdentify)
	b.ReportAllocs()
	for b.Loop() {
		cmd, _, _ := ParseCommand(EncodingJSON, payload, nil)
		if _, err := ParseIdentify(cmd.Data); err != nil {
			b.Fatal(err)
		}
	}
}
