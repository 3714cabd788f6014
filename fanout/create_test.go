package fanout

import (
	"fmt"
	"testing"

	"throng/wire"
)

// memberIDs returns the ids of the members that a GUILD_CREATE or a chunk shows.
func memberIDs(t *testing.T, m map[string]any) (ids []any) {
	t.Helper()
	for i := range m["members"].([]any) {
		ids = append(ids, at(t, m, "members", i, "user", "id"))
	}
	return ids
}

func TestGuildCreateShowsTheRightMembers(t *testing.T) {
	w := newWorld(t, plainDoc)
	for user := wire.Snowflake(200); user < 206; user++ {
		w.member(user, "")
	}
	w.member(206, `"roles":["5"]`)
	w.member(207, `"nick":"n"`)
	w.publish("VOICE_STATE_UPDATE", `{"user_id":"202","channel_id":"12"}`)
	w.publish("PRESENCE_UPDATE", `{"user":{"id":"203"},"status":"online"}`)
	const none = wire.IntentGuilds
	const some = wire.IntentGuilds | wire.IntentGuildPresences
	tests := []struct {
		name             string
		intents          wire.Intents
		threshold        int
		large            bool
		members, present string
	}{
		{"no presences", none, 50, false, "[200 202]", "[]"},
		{"small", some, 50, false, "[200 201 202 203 204 205 206 207]", "[203]"},
		{"at the threshold", some, 8, false, "[200 201 202 203 204 205 206 207]", "[203]"},
		{"large", some, 7, true, "[200 202 203 206 207]", "[203]"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w.slot++
			r := Receiver{Handle: Handle{Slot: w.slot}, User: 200, Intents: test.intents,
				LargeThreshold: test.threshold}
			w.must(w.g.Join(r, w.now))
			m := w.sessions[r.Handle].last(t, "GUILD_CREATE")
			want(t, "large", m["large"], test.large)
			want(t, "unavailable", m["unavailable"], false)
			want(t, "member_count", m["member_count"], 8)
			want(t, "members", memberIDs(t, m), test.members)
			var present []any
			for i := range m["presences"].([]any) {
				present = append(present, at(t, m, "presences", i, "user", "id"))
			}
			want(t, "presences", present, test.present)
			want(t, "voice", at(t, m, "voice_states", 0, "user_id"), "202")
			if _, there := at(t, m, "voice_states", 0).(map[string]any)["guild_id"]; there {
				t.Error("the voice state names the guild")
			}
		})
	}
}

func TestGuildCreateShowsWhatOneMaySee(t *testing.T) {
	w := newWorld(t, `{"roles":[{"id":"5","permissions":"0"}],"channels":[{"id":"10"},
		{"id":"11","type":2,"permission_overwrites":[
			{"id":"2000000000000000001","type":0,"deny":"1024"},
			{"id":"5","type":0,"allow":"1024"}]}],
		"threads":[{"id":"20","parent_id":"10"},
			{"id":"21","parent_id":"10","type":12,"thread_members":["201"]},
			{"id":"22","parent_id":"11"},
			{"id":"23","parent_id":"10","thread_metadata":{"archived":true}}]}`)
	w.member(200, `"roles":["5"]`)
	w.member(201, "")
	w.publish("VOICE_STATE_UPDATE", `{"user_id":"200","channel_id":"11"}`)
	threads := func(m map[string]any) (ids []any) {
		for i := range m["threads"].([]any) {
			ids = append(ids, at(t, m, "threads", i, "id"))
		}
		return ids
	}
	ann := w.join(200, wire.IntentGuilds).last(t, "GUILD_CREATE")
	ben := w.join(201, wire.IntentGuilds).last(t, "GUILD_CREATE")
	want(t, "all channels", len(ben["channels"].([]any)), 2)
	want(t, "threads", threads(ann), "[20 22]")
	want(t, "threads", threads(ben), "[20 21]")
	want(t, "own membership", at(t, ben, "threads", 1, "member", "user_id"), "201")
	want(t, "voice", len(ann["voice_states"].([]any)), 1)
	want(t, "hidden voice", len(ben["voice_states"].([]any)), 0)
	if _, there := at(t, ben, "threads", 1).(map[string]any)[keyThreadMembers]; there {
		t.Error("the thread's members went out")
	}
}

func TestJoinRefusals(t *testing.T) {
	w := newWorld(t, plainDoc)
	w.member(200, "")
	s := w.join(200, allOfThem)
	for _, test := range []struct {
		name string
		r    Receiver
		kind ErrorKind
	}{
		{"no member", Receiver{Handle: Handle{Slot: 9}, User: 999}, NotFound},
		{"twice", s.Receiver, Conflict},
	} {
		_, err := w.g.Join(test.r, w.now)
		if got, ok := err.(*Error); !ok || got.Kind != test.kind {
			t.Errorf("%s: got %v", test.name, err)
		}
	}
	want(t, "sessions", w.g.Info().SessionCount, 1)
	w.play(w.g.Leave(s.Handle, w.now))
	want(t, "leaving twice", len(w.play(w.g.Leave(s.Handle, w.now)).Msgs), 0)
	want(t, "no loops", len(w.g.Loops()), 0)
}

// A member whose timeout ended is moved by the next call, also when that call is refused.
func TestRefusalLosesNoMessage(t *testing.T) {
	w := newWorld(t, plainDoc)
	w.member(200, `"communication_disabled_until":"2024-01-01T00:00:10Z"`)
	w.join(200, allOfThem)
	w.now += 20000
	if _, err := w.g.Publish("READY", []byte(`{}`), w.now); err == nil {
		t.Fatal("not refused")
	}
	if _, err := w.g.Publish("CHANNEL_DELETE", []byte(`{"id":"99"}`), w.now); err == nil {
		t.Fatal("not refused")
	}
	c := w.publish("ANYTHING", `{}`)
	want(t, "messages", fmt.Sprint(c.Msgs[0].Kind, c.Msgs[1].Kind), "reclass publish")
}

func TestInfo(t *testing.T) {
	w := newWorld(t, plainDoc)
	w.member(200, "")
	w.member(201, "")
	w.join(200, allOfThem)
	w.join(200, allOfThem)
	w.publish("ANYTHING", `{}`)
	info := w.g.Info()
	want(t, "name", info.Name, "g")
	want(t, "members", info.MemberCount, 2)
	want(t, "sessions", info.SessionCount, 2)
	want(t, "index", info.EventIndex, 1)
	want(t, "loops", info.Loops, "[0 1]")
}
