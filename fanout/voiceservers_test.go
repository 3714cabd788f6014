package fanout

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"throng/wire"
)

func putServer(t testing.TB, vs *VoiceServers, name, region string, capacity int) {
	t.Helper()
	c := VoiceServerConfig{Name: name, Region: region, Endpoint: name + ".test:443",
		Capacity: capacity, Secret: []byte("secret of " + name), Load: -1}
	if err := vs.Put(c, 2000); err != nil {
		t.Fatal(err)
	}
}

func TestVoiceServerIsChosenByRegionAndLoad(t *testing.T) {
	type server struct {
		name, region   string
		capacity, load int
	}
	for _, c := range []struct {
		name    string
		servers []server
		region  string
		users   int
		want    string
	}{
		{"none", nil, "", 1, ""},
		{"the only one", []server{{"a", "x", 10, 5}}, "x", 1, "a"},
		{"the less loaded", []server{{"a", "x", 10, 5}, {"b", "x", 10, 4}}, "x", 1, "b"},
		{"by its part of the capacity", []server{{"a", "x", 100, 30}, {"b", "x", 10, 4}}, "x", 1,
			"a"},
		{"the first by name of equals", []server{{"b", "x", 10, 0}, {"a", "x", 10, 0}}, "x", 1,
			"a"},
		{"the region before the load", []server{{"a", "y", 10, 0}, {"b", "x", 10, 8}}, "x", 1,
			"b"},
		{"any region when none is wanted", []server{{"a", "x", 10, 5}, {"b", "y", 10, 4}}, "", 1,
			"b"},
		{"another region when there is none", []server{{"a", "y", 10, 5}}, "x", 1, "a"},
		{"another region when it is full", []server{{"a", "x", 10, 10}, {"b", "y", 10, 9}}, "x", 1,
			"b"},
		{"where all of them fit", []server{{"a", "x", 10, 4}, {"b", "x", 100, 50}}, "x", 7, "b"},
		{"the region when all are full", []server{{"a", "y", 10, 10}, {"b", "x", 10, 15}}, "x", 1,
			"b"},
	} {
		t.Run(c.name, func(t *testing.T) {
			vs := NewVoiceServers([]byte("key"), func() {})
			for _, s := range c.servers {
				putServer(t, vs, s.name, s.region, s.capacity)
				vs.Report(s.name, s.load, 0)
			}
			got := ""
			if s := vs.place(VoiceRoom{1, 2}, c.region, c.users); s != nil {
				got = s.name
			}
			want(t, "server", got, c.want)
		})
	}
}

// Between two reports the node counts who comes and goes itself.
func TestVoiceLoadIsReportAndWhatCameSince(t *testing.T) {
	vs := NewVoiceServers(nil, func() {})
	putServer(t, vs, "a", "", 100)
	load := func() int { return vs.List(0)[0].Load }
	s := vs.place(VoiceRoom{1, 1}, "", 3)
	want(t, "without a report", load(), 3)
	vs.Report("a", 50, 0)
	want(t, "a report", load(), 50)
	vs.count(s, 2)
	want(t, "two more", load(), 52)
	vs.vacate(VoiceRoom{1, 1}, s, 5)
	want(t, "all gone", load(), 47)
	vs.Report("a", 0, 0)
	vs.place(VoiceRoom{1, 2}, "", 4)
	want(t, "after another report", load(), 4)
}

func TestVoiceServersComeAndGo(t *testing.T) {
	vs := NewVoiceServers(nil, func() {})
	putServer(t, vs, "a", "", 10)
	putServer(t, vs, "b", "", 10)
	if err := vs.Put(VoiceServerConfig{Name: "c", Endpoint: "c:1", Capacity: 1}, 2); err == nil {
		t.Error("a server more than there may be")
	}
	a, room := vs.place(VoiceRoom{1, 1}, "", 1), VoiceRoom{1, 1}
	want(t, "known", []bool{vs.Report("a", 1, 100), vs.Report("z", 1, 100), vs.Remove("z")},
		[]bool{true, false, false})
	lost, awaited := vs.Expire(99)
	want(t, "before its time", []any{lost, awaited, vs.alive(a)}, []any{[]string{}, true, true})
	lost, awaited = vs.Expire(100)
	want(t, "overdue", []any{lost, awaited, vs.alive(a)}, []any{[]string{"a"}, false, false})
	next, ok := vs.Next()
	want(t, "in line", []any{next, ok}, []any{room, true})
	if _, ok = vs.Next(); ok {
		t.Error("the room is in line twice")
	}
	vs.Report("a", 0, 200)
	want(t, "back by a report", vs.alive(a), true)
	putServer(t, vs, "a", "elsewhere", 20)
	want(t, "changed in its place", vs.alive(a), true)
	if err := vs.Put(VoiceServerConfig{Name: "a", Endpoint: "other:1", Capacity: 1}, 2); err != nil {
		t.Fatal(err)
	}
	want(t, "the one with the old address", vs.alive(a), false)
	vs.Remove("a")
	vs.Remove("b")
	vs.vacate(room, a, 1)
	if s := vs.place(room, "", 1); s != nil {
		t.Errorf("%s was chosen and is gone", s.name)
	}
	for {
		if _, ok := vs.Next(); !ok {
			break
		}
	}
	putServer(t, vs, "d", "", 10)
	next, ok = vs.Next()
	want(t, "a room without a server, when there is one", []any{next, ok}, []any{room, true})
	if err := vs.Check(); err != nil {
		t.Error(err)
	}
}

// TestVoiceToken reads a token as a media server would.
func TestVoiceToken(t *testing.T) {
	secret := []byte("a secret of sixteen bytes or more")
	token := string(appendVoiceToken(nil, secret, &voiceClaims{server: `a"b`, user: 1,
		session: "s", guild: 2, channel: 3, now: testNow + 999}))
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("%d parts: %s", len(parts), token)
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(parts[0] + "." + parts[1]))
	want(t, "signature", parts[2], base64.RawURLEncoding.EncodeToString(mac.Sum(nil)))
	for i, text := range []string{`{"alg":"HS256","typ":"JWT"}`, fmt.Sprintf(`{"aud":"a\"b",`+
		`"sub":"1","sid":"s","guild_id":"2","channel_id":"3","iat":%d,"exp":%d}`,
		testNow/1000, testNow/1000+voiceTokenSeconds)} {
		raw, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil {
			t.Fatal(err)
		}
		want(t, "part", string(raw), text)
	}
	again := string(appendVoiceToken(nil, []byte("another"), &voiceClaims{server: `a"b`, user: 1,
		session: "s", guild: 2, channel: 3, now: testNow}))
	if strings.Split(again, ".")[2] == parts[2] {
		t.Error("another secret signs alike")
	}
}

func BenchmarkVoiceToken(b *testing.B) {
	secret, dst := []byte("a secret of sixteen bytes or more"), []byte(nil)
	c := voiceClaims{server: "eu-1", user: wire.Snowflake(guildID), guild: guildID,
		session: "0123456789abcdef0123456789abcdef", channel: guildID, now: testNow}
	b.ReportAllocs()
	for b.Loop() {
		dst = appendVoiceToken(dst[:0], secret, &c)
	}
}

// BenchmarkVoicePlace chooses among a thousand servers.
func BenchmarkVoicePlace(b *testing.B) {
	vs := NewVoiceServers(nil, func() {})
	for i := range 1000 {
		putServer(b, vs, fmt.Sprint("s", i), fmt.Sprint("r", i%10), 1000)
	}
	room := VoiceRoom{1, 1}
	for b.Loop() {
		vs.vacate(room, vs.place(room, "r5", 1), 1)
	}
}
