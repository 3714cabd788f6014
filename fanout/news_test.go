package fanout

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"throng/wire"
)

func TestUpdateIsOfWhatChanged(t *testing.T) {
	w := largeWorld(t)
	user, staff := w.joinUser(102, UpdateV2), w.joinUser(105, UpdateV2)
	v1, unread := w.joinUser(103, UpdateV1), w.joinUser(104, UpdateUnread)
	w.publish("MESSAGE_CREATE", message("10", `,"id":"500"`))
	w.publish("MESSAGE_CREATE", message("11", `,"id":"501"`))
	w.play(w.g.Tick(w.now))
	want(t, "V2", channelsOf(t, user, "updated_channels"), "10=500")
	want(t, "V2 of the staff", channelsOf(t, staff, "updated_channels"), "10=500 11=501")
	want(t, "V1 has all", channelsOf(t, v1, "channels"), "10=500 12=null")
	want(t, "without", channelsOf(t, unread, "channel_unread_updates"), "10=500")
	w.publish("MESSAGE_CREATE", message("11", `,"id":"502"`))
	w.now += 29_999
	w.play(w.g.Tick(w.now))
	want(t, "too early", staff.names(), "")
	w.now++
	w.play(w.g.Tick(w.now))
	want(t, "nothing for the others", user.names()+v1.names()+unread.names(), "")
	want(t, "only what is new", channelsOf(t, staff, "updated_channels"), "11=502")
	if at := w.g.NextTick(); at != 0 {
		t.Errorf("with nothing new the guild wants its tick at %d", at)
	}
}

func TestUpdateOfThreadsAndPins(t *testing.T) {
	w := largeWorld(t)
	w.publish("THREAD_CREATE", `{"id":"30","parent_id":"10","name":"t"}`)
	w.publish("THREAD_CREATE", `{"id":"31","parent_id":"10","type":12,"name":"private"}`)
	user := w.joinUser(102, UpdateV2)
	w.publish("MESSAGE_CREATE", message("30", `,"id":"500"`))
	w.publish("MESSAGE_CREATE", message("31", `,"id":"501"`))
	w.publish("CHANNEL_PINS_UPDATE",
		`{"channel_id":"10","last_pin_timestamp":"2024-01-01T00:00:00+00:00"}`)
	w.play(w.g.Tick(w.now))
	d := user.last(t, "PASSIVE_UPDATE_V2")
	want(t, "pin", at(t, d, "updated_channels", 0, "last_pin_timestamp"),
		"2024-01-01T00:00:00+00:00")
	want(t, "threads", channelsOf(t, user, "updated_channels"), "10=null 30=500")
	w.subscribe(user, `"typing":true`)
	want(t, "the pin is part of the channel", at(t, user.last(t, "GUILD_CREATE"), "channels", 0,
		"last_pin_timestamp"), "2024-01-01T00:00:00+00:00")
}

// voiceOf is the voice part of the newest update: states, who left, members.
func voiceOf(t testing.TB, s *heard) string {
	t.Helper()
	var d struct {
		States  []struct{ User_id, Channel_id string } `json:"updated_voice_states"`
		Removed []string                               `json:"removed_voice_states"`
		Members []struct {
			Nick *string
			User struct{ ID string }
		} `json:"updated_members"`
	}
	if len(s.events) == 0 {
		return "nothing"
	}
	if err := json.Unmarshal(s.events[len(s.events)-1].body, &d); err != nil {
		t.Fatal(err)
	}
	s.events = nil
	var text []string
	for _, v := range d.States {
		text = append(text, v.User_id+" in "+v.Channel_id)
	}
	for _, m := range d.Members {
		nick := ""
		if m.Nick != nil {
			nick = *m.Nick
		}
		text = append(text, "member "+m.User.ID+nick)
	}
	for _, u := range d.Removed {
		text = append(text, u+" left")
	}
	return strings.Join(text, ", ")
}

func TestUpdateOfVoice(t *testing.T) {
	w := largeWorld(t)
	w.publish("CHANNEL_CREATE", `{"id":"13","type":2,"name":"staff voice","permission_overwrites":[
		{"id":"2000000000000000001","type":0,"deny":"1024"},{"id":"5","type":0,"allow":"1024"}]}`)
	user, staff := w.joinUser(102, UpdateV2), w.joinUser(105, UpdateV2)
	enter := func(user, channel string) {
		w.publish("VOICE_STATE_UPDATE", fmt.Sprintf(`{"user_id":"%s","channel_id":%s}`, user, channel))
	}
	enter("103", `"12"`)
	enter("104", `"13"`)
	w.tick()
	want(t, "coming", voiceOf(t, user), "103 in 12, member 103")
	want(t, "coming, to the staff", voiceOf(t, staff),
		"103 in 12, 104 in 13, member 103, member 104")
	enter("103", `"13"`)
	enter("104", "null")
	w.tick()
	want(t, "going out of sight", voiceOf(t, user), "103 left")
	want(t, "moving", voiceOf(t, staff), "103 in 13, member 103, 104 left")
	w.publish("GUILD_MEMBER_UPDATE", `{"user":{"id":"103"},"nick":"x"}`)
	w.publish("GUILD_MEMBER_UPDATE", `{"user":{"id":"106"},"nick":"y"}`)
	w.tick()
	want(t, "a member out of sight", voiceOf(t, user), "nothing")
	want(t, "a member in voice", voiceOf(t, staff), "member 103x")
	enter("103", "null")
	enter("106", `"12"`)
	enter("106", "null")
	w.tick()
	want(t, "who came and went", voiceOf(t, user), "106 left")
	unread := w.joinUser(107, UpdateUnread)
	v1 := w.joinUser(108, UpdateV1)
	enter("103", `"12"`)
	w.tick()
	want(t, "without summaries", unread.names(), "VOICE_STATE_UPDATE")
	want(t, "V1", at(t, v1.last(t, "PASSIVE_UPDATE_V1"), "voice_states", 0, "user_id"), "103")
	v1.events = nil
	enter("103", "null")
	w.tick()
	want(t, "left", at(t, unread.last(t, "VOICE_STATE_UPDATE"), "channel_id"), nil)
	want(t, "V1 is empty", len(v1.last(t, "PASSIVE_UPDATE_V1")["voice_states"].([]any)), 0)
}

// TestUpdateOfVoiceOutOfSightSince: who went while the channel could be seen is gone, also when it
// went there once more since.
func TestUpdateOfVoiceOutOfSightSince(t *testing.T) {
	w := largeWorld(t)
	user := w.joinUser(102, UpdateV2)
	w.publish("VOICE_STATE_UPDATE", `{"user_id":"103","channel_id":"12"}`)
	w.tick()
	want(t, "coming", voiceOf(t, user), "103 in 12, member 103")
	w.publish("VOICE_STATE_UPDATE", `{"user_id":"103","channel_id":null}`)
	w.publish("CHANNEL_UPDATE", `{"id":"12","permission_overwrites":[
		{"id":"2000000000000000001","type":0,"deny":"1024"}]}`)
	w.publish("VOICE_STATE_UPDATE", `{"user_id":"103","channel_id":"12"}`)
	w.publish("VOICE_STATE_UPDATE", `{"user_id":"103","channel_id":null}`)
	user.events = nil
	w.tick()
	want(t, "going", voiceOf(t, user), "103 left")
}

// TestUpdateAfterGainingSight: who sees a channel that was hidden before has never been told of its
// messages, and is, once.
func TestUpdateAfterGainingSight(t *testing.T) {
	for _, test := range []struct{ name, event, d string }{
		{"by a role of its own", "GUILD_MEMBER_UPDATE", `{"user":{"id":"102"},"roles":["5"]}`},
		{"by an overwrite", "CHANNEL_UPDATE", `{"id":"11","permission_overwrites":[]}`},
		{"by a role's permissions", "GUILD_ROLE_UPDATE",
			`{"role":{"id":"2000000000000000001","permissions":"8"}}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := largeWorld(t)
			w.publish("MESSAGE_CREATE", message("11", `,"id":"500"`))
			user := w.joinUser(102, UpdateV2)
			w.tick()
			want(t, "before", user.names(), "")
			w.publish(test.event, test.d)
			user.events = nil
			w.tick()
			if got := channelsOf(t, user, "updated_channels"); !strings.Contains(got, "11=500") {
				t.Errorf("got %q", got)
			}
			w.publish("MESSAGE_CREATE", message("10", `,"id":"501"`))
			w.tick()
			want(t, "afterwards", channelsOf(t, user, "updated_channels"), "10=501")
		})
	}
}

// TestUpdateNamesNoHiddenChannel: losing sight before the tick is losing it for the tick.
func TestUpdateNamesNoHiddenChannel(t *testing.T) {
	w := largeWorld(t)
	user := w.joinUser(105, UpdateV2)
	w.publish("MESSAGE_CREATE", message("11", `,"id":"500"`))
	w.publish("GUILD_MEMBER_UPDATE", `{"user":{"id":"105"},"roles":[]}`)
	user.events = nil
	w.tick()
	want(t, "after the loss", channelsOf(t, user, "updated_channels"), "10=null 12=null")
}

// TestUpdateIsEncodedOnce counts the dispatches that a thousand passive sessions of two classes and
// two arrivals are told by.
func TestUpdateIsEncodedOnce(t *testing.T) {
	w := largeWorld(t)
	for i := range 500 {
		w.joinUser(102+3*wire.Snowflake(i%2), UpdateV2)
	}
	w.publish("MESSAGE_CREATE", message("10", ""))
	for i := range 500 {
		w.joinUser(102+3*wire.Snowflake(i%2), UpdateV2)
	}
	w.publish("MESSAGE_CREATE", message("10", ""))
	c := w.g.Tick(w.now)
	m := w.travel(&c.Msgs[0])
	u := m.Event.Update
	w.deliver(m)
	if len(c.Msgs) != 1 || len(u.made) != 4 {
		t.Errorf("%d messages, %d dispatches, want 1 and 4", len(c.Msgs), len(u.made))
	}
	if n := len(w.g.news.channels); n != 0 {
		t.Errorf("the log still has %d channels", n)
	}
}

func TestGuildWithoutPassiveSessionsKeepsNoNews(t *testing.T) {
	w := largeWorld(t)
	w.publish("MESSAGE_CREATE", message("10", ""))
	if w.g.news.any() || w.g.NextTick() != 0 {
		t.Errorf("got %+v", w.g.news)
	}
}

// BenchmarkTick is a tick of a guild of 500 channels with messages in 100 of them and 16,000 passive
// sessions of 60 classes: what it takes of the shard, and what of a loop that tells them all.
func BenchmarkTick(b *testing.B) {
	var roles, channels []string
	for i := range 60 {
		roles = append(roles, fmt.Sprintf(`{"id":"%d","name":"r"}`, 100+i))
	}
	for i := range 500 {
		channels = append(channels, fmt.Sprintf(`{"id":"%d","name":"c","permission_overwrites":[`+
			`{"id":"%d","type":0,"deny":"1024"}]}`, 1000+i, 100+i%60))
	}
	w := newWorld(b, fmt.Sprintf(`{"name":"g","owner_id":"1","roles":[%s],"channels":[%s]}`,
		strings.Join(roles, ","), strings.Join(channels, ",")))
	w.limit(1)
	s := newStage(b)
	const sessions = 16_000
	for i := range wire.Snowflake(60) {
		w.member(10_000+i, fmt.Sprintf(`"roles":["%d"]`, 100+i))
	}
	for i := range sessions {
		r := Receiver{Handle: s.open(), User: 10_000 + wire.Snowflake(i%60),
			Intents: wire.IntentsUser, Updates: UpdateV2}
		c, err := w.g.Join(r, w.now)
		if err != nil {
			b.Fatal(err)
		}
		s.step(&c.Msgs[0])
	}
	var changes []Change
	tick := func() {
		for i := range wire.Snowflake(100) {
			w.g.noteChannel(1000 + 5*i)
		}
		w.now += DefaultLimits.PassivePeriodMilli
		changes = append(changes[:0], w.g.Tick(w.now))
	}
	b.Run("shard", func(b *testing.B) {
		for b.Loop() {
			tick()
			b.StopTimer()
			s.step(&changes[0].Msgs[0])
			s.work(1 << 20)
			s.drain(sessions)
			b.StartTimer()
		}
	})
	b.Run("loop", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			tick()
			s.drain(sessions)
			b.StartTimer()
			s.step(&changes[0].Msgs[0])
			s.work(1 << 20)
		}
	})
}
