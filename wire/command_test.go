package wire

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

func etfOf(t testing.TB, text string) []byte {
	t.Helper()
	term, err := AppendETF([]byte{etfVersion}, []byte(text))
	if err != nil {
		t.Fatalf("encode %s: %v", text, err)
	}
	return term
}

func TestCommandsInBothEncodings(t *testing.T) {
	deepest := `{"op":3,"d":` + strings.Repeat("[", 31) + strings.Repeat("]", 31) + `}`
	tests := []struct {
		name, text string
		op         Op
		data       string
		code       CloseCode
	}{
		{"heartbeat", `{"op":1,"d":251}`, OpHeartbeat, `251`, 0},
		{"heartbeat of none", `{"op":1,"d":null}`, OpHeartbeat, `null`, 0},
		{"no d", `{"op":1}`, OpHeartbeat, ``, 0},
		{"s and t too", ` {"t":null,"s":null,"op":1,"d":3} `, OpHeartbeat, `3`, 0},
		{"d first", `{"d":{"seq":3},"op":40}`, OpQoSHeartbeat, `{"seq":3}`, 0},
		{"keys twice", `{"op":1,"d":5,"op":77,"d":{}}`, OpHeartbeat, `5`, 0},
		{"a user op", `{"op":41,"d":{}}`, OpTimeSpentSession, `{}`, 0},
		{"deepest", deepest, OpPresenceUpdate, deepest[12 : len(deepest)-1], 0},
		{"too deep", `[` + deepest + `]`, 0, ``, CloseDecode},
		{"op missing", `{"d":1}`, 0, ``, CloseDecode},
		{"op null", `{"op":null}`, 0, ``, CloseDecode},
		{"op a string", `{"op":"1"}`, 0, ``, CloseDecode},
		{"op a fraction", `{"op":1.5}`, 0, ``, CloseDecode},
		{"op a boolean", `{"op":true}`, 0, ``, CloseDecode},
		{"an array", `[1]`, 0, ``, CloseDecode},
		{"a number", `1`, 0, ``, CloseDecode},
		{"null", `null`, 0, ``, CloseDecode},
		{"unknown op", `{"op":99}`, 0, ``, CloseUnknownOpcode},
		{"negative op", `{"op":-1}`, 0, ``, CloseUnknownOpcode},
		{"a huge op", `{"op":9007199254740000}`, 0, ``, CloseUnknownOpcode},
		{"an op of the server", `{"op":0,"d":{}}`, 0, ``, CloseUnknownOpcode},
		{"hello from a client", `{"op":10,"d":{}}`, 0, ``, CloseUnknownOpcode},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			scratch := []byte("what was there before")
			for _, enc := range []Encoding{EncodingJSON, EncodingETF} {
				payload := []byte(test.text)
				if enc == EncodingETF {
					payload = etfOf(t, test.text)
				}
				cmd, _, err := ParseCommand(enc, payload, scratch)
				checkRefusal(t, err, test.code)
				if err == nil && (cmd.Op != test.op || string(cmd.Data) != test.data) {
					t.Errorf("%v: got %v %s, want %v %s", enc, cmd.Op, cmd.Data, test.op, test.data)
				}
			}
		})
	}
}

// checkRefusal wants a close code, or none for 0, and a reason that is one short sentence.
func checkRefusal(t *testing.T, err *CloseError, code CloseCode) {
	t.Helper()
	switch {
	case err == nil && code == 0:
	case err == nil:
		t.Errorf("got no error, want %v", code)
	case err.Code != code:
		t.Errorf("got %v, want %v", err, code)
	case len(err.Reason) == 0 || len(err.Reason) > reasonBytesMax || !utf8.ValidString(err.Reason):
		t.Errorf("got the reason %q, want one short sentence", err.Reason)
	}
}

func TestWhatIsNoCommand(t *testing.T) {
	for _, text := range []string{``, `{`, `{"op":1`, `{"op":1,}`, `{'op':1}`, "{\"op\":1,\"d\":\"\xff\"}", `{"op":01}`} {
		_, _, err := ParseCommand(EncodingJSON, []byte(text), nil)
		checkRefusal(t, err, CloseDecode)
	}
	atomKey := "\x83t\x00\x00\x00\x01s\x02opa\x01......"
	for _, term := range []string{"", "\x83", "{\"op\":1}", "\x82a\x01", atomKey, "\x83P\x00\x00\x00\x00"} {
		_, _, err := ParseCommand(EncodingETF, []byte(term), nil)
		checkRefusal(t, err, CloseDecode)
	}
}

func TestParsingAHeartbeatAllocatesNothing(t *testing.T) {
	payloads := map[Encoding][]byte{
		EncodingJSON: []byte(`{"op":1,"d":251}`),
		EncodingETF:  etfOf(t, `{"op":1,"d":251}`),
	}
	scratch := make([]byte, 0, 256)
	for enc, payload := range payloads {
		allocs := testing.AllocsPerRun(100, func() {
			var cmd Command
			cmd, scratch, _ = ParseCommand(enc, payload, scratch)
			if seq, ok := ParseHeartbeat(cmd.Data); !ok || seq != 251 {
				t.Fatalf("got %d, %v", seq, ok)
			}
		})
		if allocs != 0 {
			t.Errorf("%v: got %v allocations, want 0", enc, allocs)
		}
	}
}

func TestHeartbeats(t *testing.T) {
	tests := []struct {
		d   string
		seq uint32
		ok  bool
	}{
		{``, 0, true}, {`null`, 0, true}, {`0`, 0, true}, {`7`, 7, true}, {`4294967295`, 4294967295, true},
		{`4294967296`, 0, false}, {`-1`, 0, false}, {`"7"`, 0, false}, {`{}`, 0, false}, {`true`, 0, false},
	}
	for _, test := range tests {
		var d []byte
		qos := []byte(`{"qos":{"ver":27,"active":true,"reasons":["foregrounded"]}}`)
		if test.d != "" {
			d = []byte(test.d)
			qos = SetField(nil, qos, "seq", d)
		}
		if seq, ok := ParseHeartbeat(d); seq != test.seq || ok != test.ok {
			t.Errorf("op 1 %s: got %d, %v, want %d, %v", test.d, seq, ok, test.seq, test.ok)
		}
		if seq, ok := ParseQoSHeartbeat(qos); seq != test.seq || ok != test.ok {
			t.Errorf("op 40 %s: got %d, %v, want %d, %v", qos, seq, ok, test.seq, test.ok)
		}
	}
	if _, ok := ParseQoSHeartbeat([]byte(`7`)); ok {
		t.Error("op 40 with a number: got accepted")
	}
	if seq, ok := ParseQoSHeartbeat(nil); !ok || seq != 0 {
		t.Error("op 40 without d: got refused")
	}
}

func TestVoiceStates(t *testing.T) {
	tests := []struct {
		name, d string
		want    VoiceStateCommand
		code    CloseCode
	}{
		{"join", `{"guild_id":"1","channel_id":"2","self_mute":true,"self_deaf":false}`,
			VoiceStateCommand{GuildID: 1, ChannelID: 2, SelfMute: true}, 0},
		{"leave", `{"guild_id":"1","channel_id":null,"self_mute":false,"self_deaf":true}`,
			VoiceStateCommand{GuildID: 1, SelfDeaf: true}, 0},
		{"a user after READY",
			`{"guild_id":null,"channel_id":null,"self_mute":true,"self_deaf":false,"self_video":true,"flags":2}`,
			VoiceStateCommand{SelfMute: true, SelfVideo: true}, 0},
		{"numeric ids", `{"guild_id":1,"channel_id":2}`, VoiceStateCommand{GuildID: 1, ChannelID: 2}, 0},
		{"a name for an id", `{"guild_id":"x","channel_id":null}`, VoiceStateCommand{}, CloseDecode},
		{"channel true", `{"guild_id":"1","channel_id":true}`, VoiceStateCommand{}, CloseDecode},
		{"mute a number", `{"guild_id":"1","self_mute":1}`, VoiceStateCommand{}, CloseDecode},
		{"deaf a string", `{"guild_id":"1","self_deaf":"no"}`, VoiceStateCommand{}, CloseDecode},
		{"video an object", `{"guild_id":"1","self_video":{}}`, VoiceStateCommand{}, CloseDecode},
		{"null", `null`, VoiceStateCommand{}, CloseDecode},
		{"absent", ``, VoiceStateCommand{}, CloseDecode},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := ParseVoiceState([]byte(test.d))
			checkRefusal(t, err, test.code)
			if got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

func TestMemberRequests(t *testing.T) {
	text := func(s string) *string { return &s }
	many := `["` + strings.Repeat(`1","`, 99) + `1"]`
	tests := []struct {
		name, d string
		want    MembersCommand
		code    CloseCode
	}{
		{"discord.js", `{"guild_id":"1","presences":true,"query":"","nonce":"n","limit":0}`,
			MembersCommand{GuildID: 1, Query: text(""), Presences: true, Nonce: "n"}, 0},
		{"discordgo", `{"guild_id":["1"],"query":"ab","limit":5,"nonce":"","presences":false}`,
			MembersCommand{GuildID: 1, Query: text("ab"), Limit: 5}, 0},
		{"arikawa", `{"guild_id":["1"],"user_ids":["2","3"],"limit":0,"presences":false}`,
			MembersCommand{GuildID: 1, UserIDs: []Snowflake{2, 3}}, 0},
		{"one user id", `{"guild_id":"1","user_ids":"2"}`,
			MembersCommand{GuildID: 1, UserIDs: []Snowflake{2}}, 0},
		{"eris", `{"guild_id":"1","user_ids":null,"query":"","limit":0,"presences":true,"nonce":"ab"}`,
			MembersCommand{GuildID: 1, Query: text(""), Presences: true, Nonce: "ab"}, 0},
		{"several guilds", `{"guild_id":["1","2"],"query":""}`,
			MembersCommand{GuildID: 1, MoreGuildIDs: []Snowflake{2}, Query: text("")}, 0},
		{"a nonce of 32 bytes", `{"guild_id":"1","nonce":"` + strings.Repeat("n", 32) + `"}`,
			MembersCommand{GuildID: 1, Nonce: strings.Repeat("n", 32)}, 0},
		{"a nonce of 33 bytes", `{"guild_id":"1","nonce":"` + strings.Repeat("n", 33) + `"}`,
			MembersCommand{GuildID: 1}, 0},
		{"a huge limit", `{"guild_id":"1","limit":9007199254740992}`,
			MembersCommand{GuildID: 1, Limit: 1<<31 - 1}, 0},
		{"no guild", `{"query":""}`, MembersCommand{}, CloseDecode},
		{"null guild", `{"guild_id":null}`, MembersCommand{}, CloseDecode},
		{"empty array of guilds", `{"guild_id":[]}`, MembersCommand{}, CloseDecode},
		{"guild an object", `{"guild_id":{}}`, MembersCommand{}, CloseDecode},
		{"query a number", `{"guild_id":"1","query":1}`, MembersCommand{}, CloseDecode},
		{"limit a string", `{"guild_id":"1","limit":"1"}`, MembersCommand{}, CloseDecode},
		{"negative limit", `{"guild_id":"1","limit":-1}`, MembersCommand{}, CloseDecode},
		{"presences a string", `{"guild_id":"1","presences":"yes"}`, MembersCommand{}, CloseDecode},
		{"nonce a number", `{"guild_id":"1","nonce":1}`, MembersCommand{}, CloseDecode},
		{"101 user ids", `{"guild_id":"1","user_ids":` + many[:len(many)-1] + `,"1"]}`,
			MembersCommand{}, CloseDecode},
		{"a bad user id", `{"guild_id":"1","user_ids":["1","x"]}`, MembersCommand{}, CloseDecode},
		{"not an object", `[]`, MembersCommand{}, CloseDecode},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := ParseMembers([]byte(test.d))
			checkRefusal(t, err, test.code)
			if len(got.MoreGuildIDs) == 0 {
				got.MoreGuildIDs = nil
			}
			if !reflect.DeepEqual(got, test.want) {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
	got, err := ParseMembers([]byte(`{"guild_id":"1","user_ids":` + many + `}`))
	if err != nil || len(got.UserIDs) != UserIDsMax {
		t.Errorf("100 user ids: got %d, %v", len(got.UserIDs), err)
	}
}

func TestSoundboardAndChannelInfo(t *testing.T) {
	sounds, err := ParseSoundboard([]byte(`{"guild_ids":["1",2]}`))
	checkRefusal(t, err, 0)
	if !reflect.DeepEqual(sounds.GuildIDs, []Snowflake{1, 2}) {
		t.Errorf("got %v", sounds.GuildIDs)
	}
	if sounds, err = ParseSoundboard([]byte(`{"guild_ids":[]}`)); err != nil || len(sounds.GuildIDs) != 0 {
		t.Errorf("no guilds: got %v, %v", sounds, err)
	}
	for _, d := range []string{`{}`, `{"guild_ids":null}`, `{"guild_ids":["x"]}`, `{"guild_ids":{}}`, `3`} {
		_, err := ParseSoundboard([]byte(d))
		checkRefusal(t, err, CloseDecode)
	}
	info, err := ParseChannelInfo([]byte(`{"guild_id":"1","fields":["status","voice_start_time"]}`))
	checkRefusal(t, err, 0)
	want := ChannelInfoCommand{GuildID: 1, Fields: []string{"status", "voice_start_time"}}
	if !reflect.DeepEqual(info, want) {
		t.Errorf("got %+v, want %+v", info, want)
	}
	for _, d := range []string{
		`{}`, `{"guild_id":"1"}`, `{"fields":["status"]}`, `{"guild_id":"1","fields":"status"}`,
		`{"guild_id":"1","fields":[1]}`, `{"guild_id":"x","fields":[]}`, `null`,
		`{"guild_id":"1","fields":["` + strings.Repeat(`a","`, 16) + `a"]}`,
	} {
		_, err := ParseChannelInfo([]byte(d))
		checkRefusal(t, err, CloseDecode)
	}
}

func FuzzCommand(f *testing.F) {
	for _, text := range []string{
		`{"op":1,"d":251}`, `{"op":40,"d":{"seq":1,"qos":{}}}`, sampleIdentify,
		`{"op":6,"d":{"token":"Bot t","session_id":"s","seq":5}}`,
		`{"op":3,"d":` + samplePresence + `}`,
		`{"op":4,"d":{"guild_id":"1","channel_id":null,"self_mute":true,"self_deaf":false}}`,
		`{"op":8,"d":{"guild_id":["1"],"query":"ab","limit":5,"nonce":"","presences":false}}`,
		`{"op":31,"d":{"guild_ids":["1"]}}`, `{"op":43,"d":{"guild_id":"1","fields":["status"]}}`,
		`{"op":14,"d":{"guild_id":"1",` + sampleSubscription + `}}`,
		`{"op":37,"d":{"subscriptions":{"1":{` + sampleSubscription + `},"2":{"typing":false}}}}`,
	} {
		f.Add(false, []byte(text))
		f.Add(true, etfOf(f, text))
	}
	f.Fuzz(func(t *testing.T, etf bool, payload []byte) {
		enc := EncodingJSON
		if etf {
			enc = EncodingETF
		}
		cmd, _, err := ParseCommand(enc, payload, nil)
		if err != nil {
			if err.Code != CloseDecode && err.Code != CloseUnknownOpcode {
				t.Fatalf("got %v", err)
			}
			return
		}
		if !cmd.Op.FromClient() || cmd.Data != nil && !json.Valid(cmd.Data) {
			t.Fatalf("got %v %q", cmd.Op, cmd.Data)
		}
		parseEvery(t, cmd.Data)
	})
}

// parseEvery reads d as every command, whichever it was sent for.
func parseEvery(t *testing.T, d []byte) {
	t.Helper()
	checkPresence := func(p PresenceCommand) {
		if !json.Valid(p.Activities) || len(p.Activities) > ActivitiesBytesMax+2 {
			t.Fatalf("got the activities %s", p.Activities)
		}
	}
	if id, err := ParseIdentify(d); err == nil {
		if id.HasShard && (id.Shard[0] < 0 || id.Shard[0] >= id.Shard[1]) || !ValidIntents(id.Intents, false) ||
			id.LargeThreshold < 25 || id.LargeThreshold > 250 {
			t.Fatalf("got %+v", id)
		}
		if id.Presence != nil {
			checkPresence(*id.Presence)
		}
	}
	if p, err := ParsePresence(d); err == nil {
		checkPresence(p)
	}
	if m, err := ParseMembers(d); err == nil && (len(m.UserIDs) > 100 || m.Limit < 0 || len(m.Nonce) > 32) {
		t.Fatalf("got %+v", m)
	}
	ParseResume(d)
	ParseHeartbeat(d)
	ParseQoSHeartbeat(d)
	ParseVoiceState(d)
	ParseSoundboard(d)
	ParseChannelInfo(d)
	checkSubscriptions(t, d)
}
