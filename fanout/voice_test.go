package fanout

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"throng/wire"
)

const voiceDoc = `{"name":"g","owner_id":"100","region":"%s","voice_servers":[%s],
 "roles":[{"id":"6","name":"mover","permissions":"16777216"}],
 "channels":[{"id":"10"},{"id":"12","type":2},{"id":"13","type":2,"user_limit":2},
  {"id":"14","type":2,"rtc_region":"x"},{"id":"15","type":2,"permission_overwrites":[
   {"id":"2000000000000000001","type":0,"allow":"0","deny":"1048576"}]}]}`

func voiceWorld(t testing.TB, region, own string) (*world, *VoiceServers) {
	t.Helper()
	w := newWorld(t, fmt.Sprintf(voiceDoc, region, own))
	vs := NewVoiceServers([]byte("the node's own"), func() {})
	w.g.UseVoiceServers(vs)
	return w, vs
}

func (w *world) voice(s *heard, channel wire.Snowflake) {
	w.t.Helper()
	cmd := wire.VoiceStateCommand{GuildID: guildID, ChannelID: channel}
	w.play(w.g.SetVoice(s.Handle, cmd, w.now))
}

// moveVoice moves everybody who is in line, a few at a time.
func (w *world) moveVoice(vs *VoiceServers, budget int) (steps int) {
	w.t.Helper()
	for room, ok := vs.Next(); ok; room, ok = vs.Next() {
		for more := true; more; steps++ {
			var c Change
			var told int
			if c, told, more = w.g.MoveVoice(room.Channel, budget, w.now); told > budget {
				w.t.Fatalf("%d were told, and %d may be", told, budget)
			}
			w.play(c)
		}
	}
	return steps
}

// endpoints returns and forgets the endpoints that the session was told, "-" for null.
func (s *heard) endpoints(t testing.TB) string {
	t.Helper()
	var all []string
	for _, e := range s.events {
		if e.name != "VOICE_SERVER_UPDATE" {
			continue
		}
		endpoint, ok := wire.StringField(e.body, "endpoint")
		if !ok {
			endpoint = "-"
		}
		all = append(all, strings.TrimSuffix(endpoint, ".test:443"))
	}
	s.events = nil
	return strings.Join(all, " ")
}

func TestVoiceServerOfAChannel(t *testing.T) {
	w, vs := voiceWorld(t, "y", "")
	putServer(t, vs, "x", "x", 10)
	putServer(t, vs, "y", "y", 10)
	for id := wire.Snowflake(200); id < 205; id++ {
		w.member(id, "")
	}
	ann, ben := w.join(200, allOfThem), w.join(201, allOfThem)
	w.voice(ann, 12)
	body := ann.last(t, "VOICE_SERVER_UPDATE")
	want(t, "guild", at(t, body, "guild_id"), guildID)
	if token := at(t, body, "token").(string); strings.Count(token, ".") != 2 {
		t.Errorf("the token is %q", token)
	}
	want(t, "the guild's region", ann.endpoints(t), "y")
	w.voice(ben, 14)
	want(t, "the channel's region", ben.endpoints(t), "x")
	w.voice(ben, 14)
	want(t, "nothing new", ben.endpoints(t), "")
	w.voice(ben, 12)
	want(t, "moved", ben.endpoints(t), "y")
	w.publish("VOICE_STATE_UPDATE", `{"user_id":"201","channel_id":"14"}`)
	want(t, "moved by the backend", ben.endpoints(t), "x")
	w.publish("VOICE_STATE_UPDATE", `{"user_id":"201","channel_id":"14","mute":true}`)
	want(t, "muted by the backend", ben.endpoints(t), "")
	w.publish("CHANNEL_UPDATE", `{"id":"14","rtc_region":"y"}`)
	w.moveVoice(vs, 1)
	want(t, "the channel in another region", ben.endpoints(t), "- y")
	w.publish("GUILD_UPDATE", `{"region":"x"}`)
	w.moveVoice(vs, 1)
	want(t, "the guild in another region", ann.endpoints(t), "- x")
	info := vs.List(0)
	want(t, "users", []int{info[0].Users, info[1].Users}, []int{1, 1})
	w.voice(ann, 0)
	w.play(w.g.Leave(ben.Handle, w.now))
	info = vs.List(0)
	want(t, "users in the end", []int{info[0].Users, info[1].Users}, []int{0, 0})
}

// TestVoiceOfAGuildWithItsOwnServers: what a guild's document names comes before the table.
func TestVoiceOfAGuildWithItsOwnServers(t *testing.T) {
	w, vs := voiceWorld(t, "y", `"own.test:443"`)
	putServer(t, vs, "y", "y", 10)
	w.member(200, "")
	ann := w.join(200, allOfThem)
	w.voice(ann, 12)
	want(t, "server", ann.endpoints(t), "own")
	want(t, "in the table", vs.List(0)[0].Users, 0)
	w.publish("GUILD_UPDATE", `{"region":"x"}`)
	w.moveVoice(vs, 1)
	want(t, "in another region", ann.endpoints(t), "")
}

func TestVoiceChannelIsEnteredByPermissionAndRoom(t *testing.T) {
	w, vs := voiceWorld(t, "", "")
	putServer(t, vs, "a", "", 10)
	var all []*heard
	for i := range 4 {
		roles := ""
		if i == 3 {
			roles = `"roles":["6"]`
		}
		w.member(wire.Snowflake(200+i), roles)
		all = append(all, w.join(wire.Snowflake(200+i), allOfThem))
	}
	inside := func(s *heard) bool {
		v := w.g.voices[s.User]
		return v != nil
	}
	w.voice(all[0], 15)
	want(t, "without CONNECT", inside(all[0]), false)
	for _, s := range all {
		w.voice(s, 13)
	}
	want(t, "the third is one too many, who moves others is not",
		fmt.Sprint(inside(all[0]), inside(all[1]), inside(all[2]), inside(all[3])),
		"true true false true")
	w.voice(all[0], 13)
	want(t, "who is inside may mute itself", inside(all[0]), true)
	w.publish("VOICE_STATE_UPDATE", `{"user_id":"202","channel_id":"13"}`)
	want(t, "by the backend", inside(all[2]), true)
}

// TestLostVoiceServer: everybody hears that the server is gone and then of the next, which is the
// same for all of a channel; the channels spread over what is left.
func TestLostVoiceServer(t *testing.T) {
	const users = 40
	w, vs := voiceWorld(t, "", "")
	putServer(t, vs, "a", "", 1000)
	var all []*heard
	for i := range users {
		w.member(wire.Snowflake(200+i), "")
		s := w.join(wire.Snowflake(200+i), wire.IntentGuilds)
		w.voice(s, wire.Snowflake(12+i%2*2)) // 12 and 14
		want(t, "at first", s.endpoints(t), "a")
		all = append(all, s)
	}
	putServer(t, vs, "b", "", 1000)
	putServer(t, vs, "c", "", 1000)
	vs.Remove("a")
	if steps := w.moveVoice(vs, 3); steps < users/3 {
		t.Errorf("%d steps", steps)
	}
	for i, s := range all {
		want(t, fmt.Sprint("user ", i), s.endpoints(t), [2]string{"- b", "- c"}[i%2])
	}
	vs.Remove("b")
	vs.Remove("c")
	w.moveVoice(vs, 7)
	late := w.join(200, wire.IntentGuilds)
	w.voice(late, 12) // Another session takes the place of user 200's.
	want(t, "who comes now", late.endpoints(t), "-")
	for _, s := range all {
		want(t, "no server left", s.endpoints(t), "-")
	}
	putServer(t, vs, "d", "", 10)
	w.moveVoice(vs, 100)
	want(t, "one that comes back", late.endpoints(t), "d")
	for _, s := range all[1:] {
		want(t, "one that comes back", s.endpoints(t), "d")
	}
	want(t, "the session that was replaced", all[0].endpoints(t), "")
	w.play(w.g.Delete(w.now))
	want(t, "after the guild", vs.List(0)[0].Users, 0)
}

// TestVoiceModel does what comes to mind in any order and holds that, whenever nobody is in line,
// each session in voice knows the server of its channel, that the table counts them right, and that
// whoever changes the server without moving was told that the old one is gone.
func TestVoiceModel(t *testing.T) {
	seeds := uint64(200)
	if testing.Short() {
		seeds = 20
	}
	for seed := range seeds {
		w, vs := voiceWorld(t, "", "")
		m := &voiceModel{
			world: w, vs: vs, rng: rand.New(rand.NewPCG(seed, 1)), knows: map[*heard]string{},
		}
		for i := range wire.Snowflake(8) {
			w.member(200+i, "")
			m.all = append(m.all, w.join(200+i, wire.IntentGuilds))
		}
		for range 300 {
			m.step()
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		}
	}
}

type voiceModel struct {
	*world
	vs    *VoiceServers
	rng   *rand.Rand
	all   []*heard
	knows map[*heard]string // The endpoint that a session was told last.
}

func (m *voiceModel) step() {
	r := m.rng
	s := m.all[r.IntN(len(m.all))]
	channel := []wire.Snowflake{0, 12, 12, 13, 14}[r.IntN(5)]
	moved := (*heard)(nil) // Who gets another server by moving.
	name := string(rune('a' + r.IntN(4)))
	switch r.IntN(10) {
	case 0, 1, 2:
		m.voice(s, channel)
		moved = s
	case 3:
		id := fmt.Sprintf(`"%d"`, channel)
		if channel == 0 {
			id = "null"
		}
		m.publish("VOICE_STATE_UPDATE", fmt.Sprintf(`{"user_id":"%d","channel_id":%s}`, s.User, id))
		moved = s
	case 4, 5:
		putServer(m.t, m.vs, name, []string{"x", "y"}[r.IntN(2)], 1+r.IntN(10))
	case 6:
		m.vs.Remove(name)
	case 7:
		m.vs.Report(name, r.IntN(10), int64(r.IntN(2))*(m.now+int64(r.IntN(100))))
	case 8:
		m.now += int64(r.IntN(60))
		m.vs.Expire(m.now)
		region := []string{"null", `"x"`, `"y"`}[r.IntN(3)]
		m.publish("CHANNEL_UPDATE", fmt.Sprintf(`{"id":"12","rtc_region":%s}`, region))
	case 9:
		s.in = false
		m.play(m.g.Leave(s.Handle, m.now))
		at := 0
		for m.all[at] != s {
			at++
		}
		m.all[at] = m.join(s.User, wire.IntentGuilds)
	}
	m.take(moved)
	if r.IntN(3) == 0 {
		m.moveVoice(m.vs, 1+r.IntN(3))
		m.take(nil)
		m.settled()
	}
	if err := m.vs.Check(); err != nil {
		m.t.Error(err)
	}
}

// take reads what the sessions have heard.
func (m *voiceModel) take(moved *heard) {
	for _, s := range m.all {
		for _, now := range strings.Fields(s.endpoints(m.t)) {
			before := m.knows[s]
			if s != moved && now != "-" && before != "" && before != "-" {
				m.t.Errorf("user %d goes from %s to %s and was not told why", s.User, before, now)
			}
			m.knows[s] = now
		}
	}
}

func (m *voiceModel) settled() {
	up := map[string]bool{}
	for _, i := range m.vs.List(m.now) {
		up[i.Name] = i.Up
	}
	users, rooms := map[string]int{}, map[wire.Snowflake]string{}
	for user, v := range m.g.voices {
		server := "-"
		if s := m.g.rooms[v.channel].server; s != nil {
			server = s.name
			users[server]++
		}
		if other, ok := rooms[v.channel]; ok && other != server {
			m.t.Errorf("channel %d is on %s and on %s", v.channel, server, other)
		}
		rooms[v.channel] = server
		some := false
		for _, is := range up {
			some = some || is
		}
		if some != up[server] {
			m.t.Errorf("channel %d is on %s; servers: %v", v.channel, server, up)
		}
		for _, s := range m.all {
			if v.held && v.handle == s.Handle && m.knows[s] != server {
				m.t.Errorf("user %d is on %s and was told of %s", user, server, m.knows[s])
			}
		}
	}
	for _, i := range m.vs.List(m.now) {
		if i.Users != users[i.Name] {
			m.t.Errorf("server %s: %d users, want %d", i.Name, i.Users, users[i.Name])
		}
	}
}

// BenchmarkMoveVoice is what one user of a lost server costs the shard.
func BenchmarkMoveVoice(b *testing.B) {
	const users = 10_000
	w, vs := voiceWorld(b, "", "")
	putServer(b, vs, "s0", "", 1<<20)
	for i := range users {
		id := wire.Snowflake(1000 + i)
		in, err := ParseMember([]byte(fmt.Sprintf(`{"user_id":"%d"}`, id)))
		if err != nil {
			b.Fatal(err)
		}
		w.g.PutMembers([]MemberInput{in}, false, w.now)
		r := Receiver{Handle: Handle{Slot: uint32(i), Gen: 1}, User: id}
		if _, err := w.g.Join(r, w.now); err != nil {
			b.Fatal(err)
		}
		w.g.SetVoice(r.Handle, wire.VoiceStateCommand{GuildID: guildID, ChannelID: 12}, w.now)
	}
	n, left := 0, 0
	const batch = 50 // An iteration is so many.
	for b.Loop() {
		if left == 0 {
			n++
			putServer(b, vs, fmt.Sprint("s", n), "", 1<<20)
			vs.Remove(fmt.Sprint("s", n-1))
			vs.Next()
			left = users
		}
		_, told, _ := w.g.MoveVoice(12, batch, w.now)
		left -= told
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*batch), "ns/user")
}
