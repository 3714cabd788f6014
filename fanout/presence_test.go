package fanout

import (
	"fmt"
	"strings"
	"testing"

	"throng/wire"
)

// presences returns and forgets what the session has heard of presences: users and statuses.
func (s *heard) presences(t *testing.T) string {
	t.Helper()
	var all []string
	for _, e := range s.events {
		if e.name == "PRESENCE_UPDATE" {
			d := decode(t, e.body)
			all = append(all, fmt.Sprint(at(t, d, "user", "id"), " ", at(t, d, "status")))
		}
	}
	s.events = nil
	return strings.Join(all, ", ")
}

func (w *world) presence(s *heard, status string) Change {
	w.t.Helper()
	return w.play(w.g.SetPresence(s.Handle, wire.PresenceCommand{Status: status}, w.now))
}

// joinOn joins a session that runs on a platform.
func (w *world) joinOn(user wire.Snowflake, on wire.Platform) *heard {
	w.t.Helper()
	s := w.join(user, allOfThem)
	w.g.receivers.get(s.Handle).platform = on
	return s
}

// TestPresenceOfSeveralSessions: what others see of a user with several sessions.
func TestPresenceOfSeveralSessions(t *testing.T) {
	const web, desktop, phone = wire.PlatformWeb, wire.PlatformDesktop, wire.PlatformMobile
	type said struct {
		on     wire.Platform
		status string
		doing  string
	}
	for _, test := range []struct {
		sessions []said // In the order in which they joined.
		want     string
	}{
		{nil, `offline [] {}`},
		{[]said{{web, "online", ""}}, `online [] {"web":"online"}`},
		{[]said{{phone, "idle", "a"}}, `idle [a] {"mobile":"idle"}`},
		{[]said{{desktop, "idle", ""}, {phone, "online", ""}},
			`online [] {"desktop":"idle","mobile":"online"}`},
		{[]said{{phone, "online", ""}, {desktop, "dnd", ""}},
			`dnd [] {"desktop":"dnd","mobile":"online"}`},
		{[]said{{web, "idle", ""}, {web, "online", ""}, {web, "idle", ""}},
			`online [] {"web":"online"}`},
		{[]said{{web, "invisible", "hidden"}, {phone, "idle", ""}}, `idle [] {"mobile":"idle"}`},
		{[]said{{web, "invisible", ""}, {phone, "offline", ""}}, `offline [] {}`},
		{[]said{{web, "online", "a"}, {desktop, "online", "b"}, {phone, "online", "a"}},
			`online [a b] {"web":"online","desktop":"online","mobile":"online"}`},
	} {
		w := newWorld(t, `{"owner_id":"1"}`)
		w.member(1, "")
		w.member(2, "")
		other := w.join(1, allOfThem)
		for _, s := range test.sessions {
			cmd := wire.PresenceCommand{Status: s.status}
			if s.doing != "" {
				cmd.Activities = fmt.Appendf(nil, `[{"name":"%s","type":0}]`, s.doing)
			}
			w.play(w.g.SetPresence(w.joinOn(2, s.on).Handle, cmd, w.now))
		}
		w.tell()
		got := `offline [] {}`
		if p := w.g.presences.get(2); p != nil {
			d := other.last(t, "PRESENCE_UPDATE")
			var names []string
			for _, a := range d["activities"].([]any) {
				names = append(names, at(t, a, "name").(string))
			}
			got = fmt.Sprint(d["status"], " ", names, " ", string(p.client))
		}
		want(t, fmt.Sprint(test.sessions), got, test.want)
	}
}

// TestPresencesGoAFewAtATime: no more at once than the bound, the oldest first, each as it is then.
func TestPresencesGoAFewAtATime(t *testing.T) {
	perRound := DefaultLimits.PresencesMax
	users := perRound + 50
	w := newWorld(t, `{"owner_id":"1"}`)
	var sessions []*heard
	for u := range wire.Snowflake(users) {
		w.member(u+1, "")
		sessions = append(sessions, w.join(u+1, wire.IntentGuilds))
	}
	w.member(9000, "")
	other := w.join(9000, allOfThem)
	other.events = nil
	for _, s := range sessions {
		w.presence(s, "idle")
	}
	want(t, "at once", other.presences(t), "")
	w.now += w.g.limits.PresencePeriodMilli
	w.play(w.g.Tick(w.now))
	first := strings.Split(other.presences(t), ", ")
	want(t, "in the first round", len(first), perRound)
	want(t, "the first", first[0], "1 idle")
	for _, s := range sessions {
		w.presence(s, "dnd")
	}
	w.now += w.g.limits.PresencePeriodMilli - 1
	w.play(w.g.Tick(w.now))
	want(t, "too early", other.presences(t), "")
	want(t, "when the guild wants to be called", w.g.NextTick(), w.now+1)
	w.now++
	w.play(w.g.Tick(w.now))
	second := strings.Split(other.presences(t), ", ")
	want(t, "those who waited come first", second[0], fmt.Sprint(perRound+1, " dnd"))
	w.tell()
	want(t, "and the others after them", len(strings.Split(other.presences(t), ", ")), 50)
	w.tell()
	want(t, "in the end", other.presences(t), "")
	want(t, "nothing is left", w.g.NextTick(), 0)
}

// TestPresencesAreBoundedByDeliveries: the more listen, the fewer users are told of at once.
func TestPresencesAreBoundedByDeliveries(t *testing.T) {
	w := newWorld(t, `{"owner_id":"1"}`)
	for u := range wire.Snowflake(10) {
		w.member(u+1, "")
	}
	for _, test := range []struct{ listeners, most, wait int }{
		{presenceDeliveriesMax, 1, 250}, {2 * presenceDeliveriesMax, 1, 250},
		{presenceDeliveriesMax / 2, presenceShare, 162}, {1, 10, 50},
	} {
		w.g.receivers.following = test.listeners
		for u := range wire.Snowflake(10) {
			w.publish("PRESENCE_UPDATE", fmt.Sprintf(`{"user":{"id":"%d"},"status":"dnd"}`, u+1))
		}
		for left := 10; left > 0; left -= test.most {
			want(t, "events of a round", len(w.tell().Msgs), min(test.most, left))
		}
		want(t, "events after the last", len(w.tell().Msgs), 0)
		w.publish("PRESENCE_UPDATE", `{"user":{"id":"1"},"status":"dnd"}`)
		w.tell()
		want(t, "until the next round", w.g.unsaid.dueAt-w.now, test.wait)
	}
}

// TestPresencesWaitForTheLoops: no presence goes out behind events that have not been handed out,
// but for one round when that takes long.
func TestPresencesWaitForTheLoops(t *testing.T) {
	w := newWorld(t, `{"owner_id":"1"}`)
	w.member(1, "")
	w.member(2, "")
	s, other := w.join(1, allOfThem), w.join(2, allOfThem)
	other.events = nil
	w.g.behind.events.Add(1)
	w.presence(s, "idle")
	w.now += w.g.limits.PresencePeriodMilli
	w.play(w.g.Tick(w.now))
	want(t, "while an event is on its way", other.presences(t), "")
	w.g.behind.events.Add(-1)
	w.play(w.g.Tick(w.now))
	want(t, "when it has been handed out", other.presences(t), "1 idle")
	w.g.behind.events.Add(1)
	w.presence(s, "dnd")
	w.now += w.g.limits.PresencePeriodMaxMilli + w.g.limits.PresencePeriodMilli
	w.play(w.g.Tick(w.now))
	want(t, "when it takes long", other.presences(t), "1 dnd")
	w.g.behind.events.Add(-1)
}

// TestPresenceOfALargeGuildCostsNothing: where nobody follows presences none is even noted, and
// what is noted is forgotten with the last who did.
func TestPresenceOfALargeGuildCostsNothing(t *testing.T) {
	w := largeWorld(t)
	one, other := w.joinUser(102, UpdateV2), w.joinUser(103, UpdateV2)
	w.presence(one, "dnd")
	want(t, "noted for nobody", len(w.g.unsaid.of), 0)
	want(t, "the guild wants no tick", w.g.NextTick(), 0)
	w.subscribe(other, `"typing":true,"members":["102"]`)
	want(t, "who asks is told", other.presences(t), "102 dnd")
	w.presence(one, "idle")
	w.tell()
	want(t, "and told of changes", other.presences(t), "102 idle")
	w.presence(one, "online")
	w.subscribe(other, `"members":[]`)
	w.presence(one, "dnd")
	want(t, "forgotten", len(w.g.unsaid.of), 0)
	bot := w.join(101, allOfThem)
	bot.events = nil
	w.presence(one, "online")
	w.tell()
	want(t, "a bot", bot.presences(t), "102 online")
}

// TestPresenceChangesBackToWhatItWas: whoever came in between has seen it otherwise.
func TestPresenceChangesBackToWhatItWas(t *testing.T) {
	w := newWorld(t, `{"owner_id":"1"}`)
	w.member(1, "")
	w.member(2, "")
	s, _ := w.join(1, allOfThem), w.join(2, allOfThem)
	w.presence(s, "idle")
	w.tell()
	w.presence(s, "dnd")
	late := w.join(2, allOfThem)
	want(t, "GUILD_CREATE", at(t, late.last(t, "GUILD_CREATE"), "presences", 0, "status"), "dnd")
	w.presence(s, "idle")
	w.tell()
	want(t, "whoever came late", late.presences(t), "1 idle")
}
