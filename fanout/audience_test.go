package fanout

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"throng/store"
	"throng/wire"
)

// naiveSees computes, for one receiver and from the guild's parts alone, whether it passes a gate.
func (w *world) naiveSees(s *heard, channel wire.Snowflake, need wire.Permissions) bool {
	g := w.g
	member, ok := g.members.Get(uint64(s.User))
	if !ok {
		return false
	}
	subject := wire.PermissionSubject{
		Owner: s.User == g.owner, User: s.User, TimedOut: member.TimeoutAt > w.now,
	}
	for _, id := range g.roleSets.Roles(member.RoleSet) {
		for _, r := range g.roles {
			if r.id == wire.Snowflake(id) && r.id != g.id {
				subject.Roles = append(subject.Roles, r.id)
			}
		}
	}
	permissions := func(id wire.Snowflake) wire.Permissions {
		for _, r := range g.roles {
			if r.id == id {
				return r.permissions
			}
		}
		return 0
	}
	base := wire.BasePermissions(subject, permissions(g.id), permissions)
	for _, c := range g.channels {
		if c.id == channel {
			return wire.ChannelPermissions(base, g.id, subject, c.overwrites).Has(need)
		}
	}
	return base.Has(need)
}

// TestAudienceIsWhoMayLook changes a guild at random and sends events on its channels: the audience
// by classes and bitsets is exactly those whose permissions allow it, each computed on its own.
func TestAudienceIsWhoMayLook(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			w := newWorld(t, `{"owner_id":"100"}`)
			for range 300 {
				w.randomStep(r)
				w.compareAudience(r)
			}
			if len(w.g.classes.list) < 4 {
				t.Errorf("the run saw %d classes only", len(w.g.classes.list))
			}
		})
	}
}

func pick(r *rand.Rand, from, count int) wire.Snowflake {
	return wire.Snowflake(from + r.IntN(count))
}

func randomPermissions(r *rand.Rand) wire.Permissions {
	options := []wire.Permissions{
		0, wire.PermissionViewChannel, wire.PermissionManageChannels,
		wire.PermissionViewChannel | wire.PermissionManageChannels, wire.PermissionAdministrator,
	}
	return options[r.IntN(len(options))]
}

// randomStep does one thing to the guild: roles are 5 to 9, channels 20 to 25, users 100 to 115.
func (w *world) randomStep(r *rand.Rand) {
	user := pick(r, 100, 16)
	switch r.IntN(12) {
	case 0:
		w.try("GUILD_ROLE_CREATE", `{"role":{"id":"%d","permissions":"%d"}}`,
			pick(r, 5, 5), randomPermissions(r))
	case 1:
		id := pick(r, 5, 5)
		if r.IntN(4) == 0 {
			id = guildID
		}
		w.try("GUILD_ROLE_UPDATE", `{"role":{"id":"%d","permissions":"%d"}}`,
			id, randomPermissions(r))
	case 2:
		w.try("GUILD_ROLE_DELETE", `{"role_id":"%d"}`, pick(r, 5, 5))
	case 3, 4:
		name := []string{"CHANNEL_CREATE", "CHANNEL_UPDATE"}[r.IntN(2)]
		w.try(name, `{"id":"%d","permission_overwrites":%s}`, pick(r, 20, 6), randomOverwrites(r))
	case 5:
		w.try("CHANNEL_DELETE", `{"id":"%d"}`, pick(r, 20, 6))
	case 6, 7:
		w.try([]string{"GUILD_MEMBER_ADD", "GUILD_MEMBER_UPDATE"}[r.IntN(2)],
			`{"user":{"id":"%d"},"roles":%s}`, user, w.randomRoles(r))
	case 8:
		if w.g.HasMember(user) {
			w.join(user, allOfThem)
		}
	case 9:
		until := string(wire.AppendTime(nil, w.now+int64(r.IntN(20000))))
		w.try("GUILD_MEMBER_UPDATE", `{"user":{"id":"%d"},"communication_disabled_until":"%s"}`,
			user, until)
	case 10:
		w.now += int64(r.IntN(5000))
		if sessions := w.ordered(); len(sessions) > 0 {
			s := sessions[r.IntN(len(sessions))]
			s.in = false
			w.play(w.g.Leave(s.Handle, w.now))
		}
	case 11:
		switch r.IntN(3) {
		case 0:
			w.try("GUILD_MEMBER_REMOVE", `{"user":{"id":"%d"}}`, user)
		case 1:
			w.try("GUILD_UPDATE", `{"owner_id":"%d"}`, user)
		default:
			w.member(user, `"roles":`+w.randomRoles(r))
		}
	}
}

func randomOverwrites(r *rand.Rand) string {
	seen := make(map[string]bool)
	var list []string
	for range r.IntN(5) {
		id, kind := pick(r, 5, 5), 0
		switch r.IntN(3) {
		case 0:
			id = guildID
		case 1:
			id, kind = pick(r, 100, 16), 1
		}
		if key := fmt.Sprint(id, kind); !seen[key] {
			seen[key] = true
			list = append(list, fmt.Sprintf(`{"id":"%d","type":%d,"allow":"%d","deny":"%d"}`,
				id, kind, randomPermissions(r), randomPermissions(r)))
		}
	}
	return "[" + strings.Join(list, ",") + "]"
}

// randomRoles returns roles that the guild has.
func (w *world) randomRoles(r *rand.Rand) string {
	var list []string
	for _, id := range w.g.roleIDs {
		if r.IntN(2) == 0 {
			list = append(list, fmt.Sprintf("%q", fmt.Sprint(id)))
		}
	}
	return "[" + strings.Join(list, ",") + "]"
}

// try publishes what may be refused, as not every step fits the state.
func (w *world) try(name, format string, args ...any) {
	w.t.Helper()
	c, err := w.g.Publish(name, fmt.Appendf(nil, format, args...), w.now)
	if err == nil {
		w.play(c)
	}
}

func (w *world) compareAudience(r *rand.Rand) {
	w.t.Helper()
	for _, s := range w.sessions {
		s.events = nil
	}
	channel := pick(r, 20, 6)
	if w.g.channelByID[channel] == nil {
		return
	}
	events := []struct {
		name string
		need wire.Permissions
	}{
		{"ANYTHING", wire.PermissionViewChannel},
		{"INVITE_CREATE", wire.PermissionViewChannel | wire.PermissionManageChannels},
	}
	event := events[r.IntN(2)]
	w.publish(event.name, fmt.Sprintf(`{"channel_id":"%d"}`, channel))
	for _, s := range w.ordered() {
		got, want := len(s.events) > 0, s.in && w.naiveSees(s, channel, event.need)
		if got != want {
			w.t.Fatalf("%s on %d to user %d: got %v, want %v",
				event.name, channel, s.User, got, want)
		}
	}
}

func TestNumbersOfClassesAreGivenAnewWhenMostAreDead(t *testing.T) {
	var overwrites []string
	const users = 2 * deadClassesMax
	const blindUsers = 400
	for i := range users {
		overwrites = append(overwrites, fmt.Sprintf(`{"id":"%d","type":1,"allow":"1024"}`, 1000+i))
	}
	for i := range blindUsers {
		overwrites = append(overwrites, fmt.Sprintf(`{"id":"%d","type":1,"deny":"1024"}`, 5000+i))
	}
	doc := fmt.Sprintf(`{"channels":[{"id":"10","permission_overwrites":[
		{"id":"%d","type":0,"deny":"1024"},%s]}]}`, guildID, strings.Join(overwrites, ","))
	w := newWorld(t, doc)
	sessions := make([]*heard, users)
	for i := range sessions {
		user := wire.Snowflake(1000 + i)
		w.member(user, "")
		sessions[i] = w.join(user, allOfThem)
	}
	w.publish("ANYTHING", `{"channel_id":"10"}`)
	numbers := len(w.g.classes.list)
	for _, s := range sessions[:users-10] {
		s.in = false
		w.play(w.g.Leave(s.Handle, w.now))
	}
	if left := w.g.Info().ClassCount; left > deadClassesMax+2*10 {
		t.Errorf("%d classes are left", left)
	}
	// Others come who may not look, and get the numbers of those who could, and some of these again.
	for i := range blindUsers {
		user := wire.Snowflake(5000 + i)
		w.member(user, "")
		blind, sees := w.join(user, allOfThem), (*heard)(nil)
		if i%4 == 0 {
			sees = w.join(sessions[i].User, allOfThem)
		}
		w.publish("ANYTHING", `{"channel_id":"10"}`)
		want(t, "who may not look", blind.names(), "GUILD_CREATE")
		if sees != nil {
			want(t, "who comes again", sees.names(), "GUILD_CREATE ANYTHING")
		}
	}
	if got := len(w.g.classes.list); got >= numbers+blindUsers {
		t.Errorf("there are %d numbers, and were %d before %d came", got, numbers, blindUsers)
	}
}

func TestCanIsWhatTheClassesSay(t *testing.T) {
	w := newWorld(t, plainDoc)
	w.member(200, `"roles":["5"]`)
	w.member(201, "")
	w.member(100, "")
	w.publish("THREAD_CREATE", `{"id":"20","parent_id":"10","type":12,"owner_id":"200"}`)
	const view, send = wire.PermissionViewChannel, wire.PermissionSendMessages
	tests := []struct {
		user, channel wire.Snowflake
		want          wire.Permissions
		can           bool
	}{
		{200, 10, send, true}, {200, 11, view, true}, {201, 11, view, false}, {100, 11, view, true},
		{200, 20, view, true}, {201, 20, view, false}, {100, 20, view, true},
		{200, 20, send, false}, // Not SEND_MESSAGES_IN_THREADS.
		{999, 10, view, false}, {200, 999, view, false},
		{200, 0, wire.PermissionManageGuild, false}, {100, 0, wire.PermissionManageGuild, true},
	}
	for _, test := range tests {
		got := w.g.Can(test.user, test.channel, test.want, w.now)
		want(t, fmt.Sprintf("user %d in %d", test.user, test.channel), got, test.can)
	}
}

func benchGuild(b *testing.B, receivers int) *Guild {
	g := NewGuild(guildID, store.NewUsers())
	if _, err := g.Replace([]byte(plainDoc), testNow); err != nil {
		b.Fatal(err)
	}
	for i := range max(receivers, 10) {
		g.RestoreMember(store.MemberRecord{Member: store.Member{User: uint64(1000 + i)}})
	}
	for i := range receivers {
		_, err := g.Join(Receiver{
			Handle: Handle{Slot: uint32(i + 1)}, User: wire.Snowflake(1000 + i),
			Intents: wire.IntentGuildMessages, LargeThreshold: 50,
		}, testNow)
		if err != nil {
			b.Fatal(err)
		}
	}
	return g
}

// BenchmarkPublish is what one message costs the shard; it must not grow with the receivers.
func BenchmarkPublish(b *testing.B) {
	body := []byte(`{"channel_id":"10","author":{"id":"1001","username":"ann"},"content":"hello"}`)
	for _, receivers := range []int{1, 20000} {
		b.Run(fmt.Sprint(receivers), func(b *testing.B) {
			g := benchGuild(b, receivers)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := g.Publish("MESSAGE_CREATE", body, testNow); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkNaiveAudience is what deciding by permissions pays for each receiver of each event: the
// member, its roles, and the overwrites of a channel of ordinary size.
func BenchmarkNaiveAudience(b *testing.B) {
	g := benchGuild(b, 20000)
	var roles []string
	var overwrites []string
	for id := 50; id < 60; id++ {
		roles = append(roles, fmt.Sprintf(`{"id":"%d","permissions":"0"}`, id))
		overwrites = append(overwrites, fmt.Sprintf(`{"id":"%d","type":0,"allow":"1024"}`, id))
	}
	doc := fmt.Sprintf(`{"roles":[%s],"channels":[{"id":"10","permission_overwrites":[%s]}]}`,
		strings.Join(roles, ","), strings.Join(overwrites, ","))
	if _, err := g.Replace([]byte(doc), testNow); err != nil {
		b.Fatal(err)
	}
	set := g.roleSets.Intern([]uint64{50, 52, 54, 56, 58})
	c := g.channelByID[10]
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		member, _ := g.members.Get(uint64(1000 + i*7919%20000))
		subject := wire.PermissionSubject{User: wire.Snowflake(member.User)}
		for _, id := range g.roleSets.Roles(set) {
			subject.Roles = append(subject.Roles, wire.Snowflake(id))
		}
		_ = wire.ChannelPermissions(g.basePermissions(subject), g.id, subject, c.overwrites)
	}
}

// BenchmarkJoin is what GUILD_CREATE costs the shard, for a guild of 100 channels.
func BenchmarkJoin(b *testing.B) {
	var channels []string
	for i := range 100 {
		channels = append(channels, fmt.Sprintf(`{"id":"%d","name":"channel-%d"}`, 5000+i, i))
	}
	g := NewGuild(guildID, store.NewUsers())
	doc := `{"channels":[` + strings.Join(channels, ",") + `]}`
	if _, err := g.Replace([]byte(doc), testNow); err != nil {
		b.Fatal(err)
	}
	g.RestoreMember(store.MemberRecord{Member: store.Member{User: 1000}})
	r := Receiver{User: 1000, Intents: wire.IntentsBot, LargeThreshold: 50}
	b.ReportAllocs()
	for b.Loop() {
		r.Slot++
		if _, err := g.Join(r, testNow); err != nil {
			b.Fatal(err)
		}
		g.Leave(r.Handle, testNow)
	}
}
