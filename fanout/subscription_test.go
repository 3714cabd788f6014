package fanout

import (
	"encoding/json"
	"strings"
	"testing"

	"throng/wire"
)

// largeWorld is plainDoc's guild with members 101 to 110, of whom 105 is staff, in which users'
// sessions are passive until they subscribe.
func largeWorld(t testing.TB) *world {
	t.Helper()
	w := newWorld(t, plainDoc)
	w.limit(10)
	for id := wire.Snowflake(101); id <= 110; id++ {
		fields := ""
		if id == 105 {
			fields = `"roles":["5"]`
		}
		w.member(id, fields)
	}
	return w
}

// joinUser lets a session of a user account join.
func (w *world) joinUser(user wire.Snowflake, mode UpdateMode) *heard {
	w.t.Helper()
	w.slot++
	r := Receiver{
		Handle: Handle{Loop: uint16(w.slot % 2), Slot: w.slot, Gen: 1}, User: user,
		Intents: wire.IntentsUser, LargeThreshold: 250, SessionID: SessionID{15: byte(w.slot)},
		Updates: mode,
	}
	w.must(w.g.Join(r, w.now))
	s := w.sessions[r.Handle]
	s.events = nil
	return s
}

func (w *world) subscribe(s *heard, d string) Change {
	w.t.Helper()
	got, fault := wire.ParseSubscription([]byte(`{"guild_id":"1",` + d + `}`))
	if fault != nil {
		w.t.Fatal(fault)
	}
	return w.play(w.g.Subscribe(s.Handle, got.Subscription, w.now))
}

// limit sets the size from which sessions are passive.
func (w *world) limit(members int) {
	l := DefaultLimits
	l.PassiveMembersMin = members
	w.g.SetLimits(l)
}

// tick lets the period pass.
func (w *world) tick() Change {
	w.t.Helper()
	w.now += w.g.limits.PassivePeriodMilli
	return w.play(w.g.Tick(w.now))
}

// tell lets presences be told.
func (w *world) tell() Change {
	w.t.Helper()
	w.now += w.g.limits.PresencePeriodMaxMilli
	return w.play(w.g.Tick(w.now))
}

func message(channel string, more string) string {
	return `{"channel_id":"` + channel + `","author":{"id":"900","username":"a"},"content":"x"` +
		more + `}`
}

func TestUserSessionsOfALargeGuildArePassive(t *testing.T) {
	w := largeWorld(t)
	bot := w.join(101, allOfThem)
	bot.events = nil
	user := w.joinUser(102, UpdateV2)
	want(t, "passive", user.passive, true)
	want(t, "the bot is passive", bot.passive, false)
	w.publish("MESSAGE_CREATE", message("10", ""))
	w.publish("MESSAGE_UPDATE", `{"id":"5","channel_id":"10"}`)
	w.publish("MESSAGE_DELETE", `{"id":"5","channel_id":"10"}`)
	w.publish("TYPING_START", `{"channel_id":"10","user_id":"103"}`)
	w.publish("PRESENCE_UPDATE", `{"user":{"id":"103"},"status":"online"}`)
	w.publish("VOICE_STATE_UPDATE", `{"user_id":"103","channel_id":"12"}`)
	w.publish("GUILD_MEMBER_UPDATE", `{"user":{"id":"103"},"nick":"n"}`)
	w.tell()
	want(t, "the passive session", user.names(), "PASSIVE_UPDATE_V2")
	if n := strings.Count(bot.names(), " "); n != 6 {
		t.Errorf("the bot has heard %d events", n+1)
	}
	rs := &w.g.receivers
	want(t, "who listens", []bool{rs.active(101), rs.active(102), rs.active(109)}, "[true false false]")
	i := w.g.Info()
	want(t, "active and passive", []int{i.SessionCount, i.ActiveCount, i.PassiveCount}, "[2 1 1]")
}

func TestSmallGuildsSubscribeByThemselves(t *testing.T) {
	w := largeWorld(t)
	w.limit(11)
	user := w.joinUser(102, UpdateV2)
	w.publish("MESSAGE_CREATE", message("10", ""))
	w.publish("PRESENCE_UPDATE", `{"user":{"id":"103"},"status":"online"}`)
	w.publish("GUILD_MEMBER_UPDATE", `{"user":{"id":"103"},"nick":"n"}`)
	w.tell()
	want(t, "heard", user.names(), "MESSAGE_CREATE GUILD_MEMBER_UPDATE PRESENCE_UPDATE")
}

func TestWhatAlwaysPasses(t *testing.T) {
	w := largeWorld(t)
	user := w.joinUser(102, UpdateV2)
	other := w.joinUser(103, UpdateV2)
	for _, test := range []struct{ name, d string }{
		{"MESSAGE_CREATE", `{"channel_id":"10","author":{"id":"102","username":"me"}}`},
		{"MESSAGE_CREATE", message("10", `,"mentions":[{"id":"102","username":"me"}]`)},
		{"MESSAGE_UPDATE", `{"id":"7","channel_id":"10","mentions":[{"id":"102","username":"me"}]}`},
		{"VOICE_STATE_UPDATE", `{"user_id":"102","channel_id":"12"}`},
		{"VOICE_STATE_UPDATE", `{"user_id":"102","channel_id":null}`},
		{"GUILD_MEMBER_UPDATE", `{"user":{"id":"102"},"nick":"mine"}`},
	} {
		w.publish(test.name, test.d)
		want(t, test.name+" to the user", user.names(), test.name)
		want(t, test.name+" to another", other.names(), "")
	}
	// A mention in a channel that the user cannot see is none.
	w.publish("MESSAGE_CREATE", message("11", `,"mentions":[{"id":"102","username":"me"}]`))
	want(t, "a mention out of sight", user.names(), "")
	for _, test := range []struct{ name, d string }{
		{"GUILD_UPDATE", `{"name":"new"}`},
		{"GUILD_ROLE_CREATE", `{"role":{"id":"6","name":"r"}}`},
		{"GUILD_ROLE_UPDATE", `{"role":{"id":"6","name":"s"}}`},
		{"GUILD_ROLE_DELETE", `{"role_id":"6"}`},
		{"CHANNEL_CREATE", `{"id":"20","name":"c"}`},
		{"CHANNEL_UPDATE", `{"id":"20","name":"d"}`},
		{"CHANNEL_DELETE", `{"id":"20"}`},
		{"THREAD_CREATE", `{"id":"30","parent_id":"10","name":"t"}`},
		{"THREAD_UPDATE", `{"id":"30","parent_id":"10","name":"u"}`},
		{"THREAD_DELETE", `{"id":"30"}`},
		{"GUILD_EMOJIS_UPDATE", `{"emojis":[]}`},
		{"GUILD_SCHEDULED_EVENT_CREATE", `{"id":"40","name":"e"}`},
		{"APPLICATION_OF_ITS_OWN", `{"x":1}`},
	} {
		w.publish(test.name, test.d)
		want(t, test.name, user.names()+","+other.names(), test.name+","+test.name)
	}
	change, err := w.g.RemoveMember(102, w.now)
	w.must(change, err)
	want(t, "leaving", user.names()+","+other.names(), "GUILD_DELETE,")
	w.play(w.g.Delete(w.now))
	want(t, "the end", other.names(), "GUILD_DELETE")
}

// TestGoingActive: the snapshot comes first and then the stream, and back again.
func TestGoingActive(t *testing.T) {
	w := largeWorld(t)
	user := w.joinUser(102, UpdateV2)
	w.publish("MESSAGE_CREATE", message("10", `,"id":"500"`))
	w.subscribe(user, `"typing":true`)
	created := user.last(t, "GUILD_CREATE")
	want(t, "the snapshot", at(t, created, "channels", 0, "last_message_id"), "500")
	w.publish("MESSAGE_CREATE", message("10", `,"id":"501"`))
	w.publish("TYPING_START", `{"channel_id":"10","user_id":"103"}`)
	want(t, "the stream", user.names(), "GUILD_CREATE MESSAGE_CREATE TYPING_START")
	w.subscribe(user, `"typing":true`)
	want(t, "asked twice", user.names(), "")
	w.tick()
	want(t, "nobody is passive", user.names(), "")
	w.subscribe(user, `"typing":false`)
	w.publish("MESSAGE_CREATE", message("10", `,"id":"502"`))
	want(t, "passive again", user.names(), "")
	w.tick()
	want(t, "the summary", channelsOf(t, user, "updated_channels"), "10=502")
}

func TestSubscriptionHasNoEffectOnBots(t *testing.T) {
	w := largeWorld(t)
	bot := w.join(101, allOfThem)
	bot.events = nil
	w.subscribe(bot, `"typing":false,"threads":true`)
	w.publish("MESSAGE_CREATE", message("10", ""))
	want(t, "the bot", bot.names(), "MESSAGE_CREATE")
}

func TestMembersAreWatched(t *testing.T) {
	w := largeWorld(t)
	w.publish("PRESENCE_UPDATE", `{"user":{"id":"104"},"status":"dnd"}`)
	user := w.joinUser(102, UpdateV2)
	talk := func(id string) {
		w.publish("PRESENCE_UPDATE", `{"user":{"id":"`+id+`"},"status":"online"}`)
		w.publish("GUILD_MEMBER_UPDATE", `{"user":{"id":"`+id+`"},"nick":"n"}`)
		w.tell()
	}
	w.subscribe(user, `"members":["103","104"]`)
	talk("103")
	want(t, "while passive", user.names(), "")
	w.subscribe(user, `"typing":true`)
	want(t, "how they are", user.names(), "GUILD_CREATE PRESENCE_UPDATE PRESENCE_UPDATE")
	talk("106")
	want(t, "somebody else", user.names(), "")
	w.publish("PRESENCE_UPDATE", `{"user":{"id":"103"},"status":"idle"}`)
	w.publish("GUILD_MEMBER_UPDATE", `{"user":{"id":"103"},"nick":"m"}`)
	w.tell()
	want(t, "a watched member", user.names(), "GUILD_MEMBER_UPDATE PRESENCE_UPDATE")
	w.publish("GUILD_MEMBER_UPDATE", `{"user":{"id":"102"},"nick":"me"}`)
	want(t, "oneself", user.names(), "GUILD_MEMBER_UPDATE")
	w.subscribe(user, `"member_updates":true`)
	talk("106")
	want(t, "with all updates", user.names(), "GUILD_MEMBER_UPDATE")
	w.publish("GUILD_MEMBER_UPDATE", `{"user":{"id":"103"},"nick":"o"}`)
	want(t, "not twice", user.names(), "GUILD_MEMBER_UPDATE")
	w.subscribe(user, `"member_updates":false,"members":[]`)
	talk("103")
	want(t, "no more", user.names(), "")
	w.subscribe(user, `"members":["103"]`)
	user.events = nil
	w.publish("GUILD_MEMBER_REMOVE", `{"user":{"id":"103"}}`)
	want(t, "who leaves", user.names(), "GUILD_MEMBER_REMOVE")
	w.play(w.g.Leave(user.Handle, w.now))
	want(t, "watchers left", len(w.g.watchers), 0)
}

func TestThreadsAreAnswered(t *testing.T) {
	w := largeWorld(t)
	w.publish("THREAD_CREATE", `{"id":"30","parent_id":"10","name":"t","owner_id":"103"}`)
	w.publish("THREAD_CREATE", `{"id":"31","parent_id":"11","name":"hidden"}`)
	user := w.joinUser(102, UpdateV2)
	w.subscribe(user, `"thread_member_lists":["30","31","99"]`)
	list := user.last(t, "THREAD_MEMBER_LIST_UPDATE")
	want(t, "thread", at(t, list, "thread_id"), "30")
	want(t, "member", at(t, list, "members", 0, "member", "user", "id"), "103")
	want(t, "to a passive session", user.names(), "THREAD_MEMBER_LIST_UPDATE")
	w.subscribe(user, `"threads":true`)
	want(t, "threads while passive", user.names(), "")
	w.subscribe(user, `"typing":true`)
	sync := user.last(t, "THREAD_LIST_SYNC")
	if _, there := sync["channel_ids"]; there || len(sync["threads"].([]any)) != 1 {
		t.Errorf("got %v", sync)
	}
	want(t, "on going active", user.names(), "GUILD_CREATE THREAD_LIST_SYNC")
	w.subscribe(user, `"threads":true`)
	want(t, "said again", user.names(), "")
}

// channelsOf returns the channels of the newest passive update as "id=last …", and forgets it.
func channelsOf(t testing.TB, s *heard, key string) string {
	t.Helper()
	var text []string
	for _, e := range s.events {
		var d map[string]json.RawMessage
		var channels []struct {
			ID   string
			Last *string `json:"last_message_id"`
		}
		if err := json.Unmarshal(e.body, &d); err != nil {
			t.Fatal(err)
		}
		if d[key] == nil {
			t.Fatalf("%s in the place of %s", e.name, key)
		}
		if err := json.Unmarshal(d[key], &channels); err != nil {
			t.Fatal(err)
		}
		for _, c := range channels {
			last := "null"
			if c.Last != nil {
				last = *c.Last
			}
			text = append(text, c.ID+"="+last)
		}
	}
	s.events = nil
	return strings.Join(text, " ")
}
