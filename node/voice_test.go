package node

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"throng/fanout"
	"throng/node/auth"
	"throng/wire"
)

// admin makes a request of the admin door, which has to be accepted.
func (r *rig) admin(method, path, body string) string {
	r.t.Helper()
	req, err := http.NewRequest(method, "http://"+r.doors["admin"]+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode/100 != 2 {
		r.t.Fatalf("%s %s: %d %s %v", method, path, res.StatusCode, b, err)
	}
	return string(b)
}

func (r *rig) putVoice(name, more string) {
	r.t.Helper()
	r.admin("PUT", "/v1/voice/servers/"+name, fmt.Sprintf(`{"region":"eu",`+
		`"endpoint":"%s.test:443","capacity":100%s}`, name, more))
}

// wantServer reads the next VOICE_SERVER_UPDATE, "" standing for a null endpoint.
func (c *wsClient) wantServer(name string) (token string) {
	c.t.Helper()
	server := object(c.t, c.wantEvent("VOICE_SERVER_UPDATE").Data)
	endpoint, _ := server["endpoint"].(string)
	if endpoint != strings.TrimPrefix(name+".test:443", ".test:443") || server["guild_id"] != "100" {
		c.t.Fatalf("the voice server is %v, want %q", server, name)
	}
	token, _ = server["token"].(string)
	return token
}

// TestVoiceServersEndToEnd is a day of voice: servers come, users join, a server is removed, one
// falls silent, one comes back, and a media server can check what clients show it.
func TestVoiceServersEndToEnd(t *testing.T) {
	const secret = "0123456789abcdef0123456789abcdef"
	r := startRig(t, Config{})
	var all []*wsClient
	for id := range wire.Snowflake(4) {
		r.user(id+1, true)
	}
	r.guildDoc(100, `{"region":"eu","channels":[{"id":"102","type":2}]}`, 1, 2, 3, 4)
	r.putVoice("a", `,"secret":"`+secret+`"`)
	r.putVoice("far", "")
	r.admin("PUT", "/v1/voice/servers/far",
		`{"region":"us","endpoint":"far.test:443","capacity":100}`)
	const enter = `{"guild_id":"100","channel_id":"102","self_mute":false,"self_deaf":false}`
	for id := range wire.Snowflake(4) {
		c := r.login(id + 1)
		c.joined(1)
		c.send(4, enter)
		token := c.wantServer("a")
		verifier, err := auth.New(auth.ModeJWT, secret)
		if err != nil {
			t.Fatal(err)
		}
		if user, err := verifier.User(context.Background(), token); err != nil || user != id+1 {
			t.Errorf("the token is %d's: %v", user, err)
		}
		all = append(all, c)
	}
	list := r.admin("GET", "/v1/voice/servers", "")
	if !strings.Contains(list, `"name":"a","region":"eu","endpoint":"a.test:443","capacity":100,`+
		`"load":4,"users":4,"channels":1,"up":true`) || strings.Contains(list, secret) {
		t.Errorf("the servers are %s", list)
	}
	r.putVoice("b", "")
	r.admin("DELETE", "/v1/voice/servers/a", "")
	for _, c := range all {
		c.wantServer("")
		c.wantServer("b")
	}
	r.admin("POST", "/v1/voice/servers/b/load", `{"load":4,"expires_in":0.01}`)
	for _, c := range all {
		c.wantServer("")
		c.wantServer("far")
	}
	r.admin("DELETE", "/v1/voice/servers/far", "")
	for _, c := range all {
		c.wantServer("")
	}
	r.admin("POST", "/v1/voice/servers/b/load", `{"load":0}`)
	for _, c := range all {
		c.wantServer("b")
	}
	r.publishEvent(100, namedEvent("CHANNEL_DELETE", `{"id":"102"}`))
	list = r.admin("GET", "/v1/voice/servers", "")
	if !strings.Contains(list, `"load":0,"users":0,"channels":0`) {
		t.Errorf("in the end the servers are %s", list)
	}
	if err := r.Check(r.context()); err != nil {
		t.Error(err)
	}
}

// TestVoiceEndsWithItsSession: a socket that is cut leaves its user in voice, a session that ends
// does not.
func TestVoiceEndsWithItsSession(t *testing.T) {
	r, c, witness := watched(t, `{"channels":[{"id":"102","type":2,"name":"talk"}]}`)
	c.send(4, `{"guild_id":"100","channel_id":"102","self_mute":false,"self_deaf":false}`)
	witness.wantEvent("VOICE_STATE_UPDATE")
	old := c
	_ = old.conn.Close()
	c = old.again()
	c.send(4, `{"guild_id":"100","channel_id":"102","self_mute":true,"self_deaf":false}`)
	state := object(t, witness.wantEvent("VOICE_STATE_UPDATE").Data)
	if state["channel_id"] != "102" || state["self_mute"] != true {
		t.Errorf("after a resume: %v", state)
	}
	c.write(closeFrame(1000))
	state = object(t, witness.wantEvent("VOICE_STATE_UPDATE").Data)
	if state["channel_id"] != nil {
		t.Errorf("after the end: %v", state)
	}
	if err := r.Check(r.context()); err != nil {
		t.Error(err)
	}
}

// TestLossOfAVoiceServerIsPaced: ten thousand users of a lost server are told at the pace that the
// others can take, in batches that a shard does not feel, and spread by capacity.
func TestLossOfAVoiceServerIsPaced(t *testing.T) {
	const guilds, users, perSecond = 100, 100, 5000
	h := newHandLoop(t, func(s *settings) { s.loopInboxMax = 1 << 20 })
	c := h.core
	c.shards = []*shard{newShard(c, 0, func() {})}
	c.placeGuilds()
	put := func(name string, capacity int) {
		err := c.voice.Put(fanout.VoiceServerConfig{Name: name, Region: "r",
			Endpoint: name + ":1", Capacity: capacity, Load: -1}, 10)
		if err != nil {
			t.Fatal(err)
		}
	}
	put("lost", 1<<20)
	for i := range wire.Snowflake(guilds) {
		g := c.newGuild(100_000 * (i + 1))
		channel := g.ID() + 1
		_, err := g.Replace(fmt.Appendf(nil, `{"channels":[{"id":"%d","type":2}]}`, channel), 1)
		if err != nil {
			t.Fatal(err)
		}
		for u := range wire.Snowflake(users) {
			in, _ := fanout.ParseMember(fmt.Appendf(nil, `{"user_id":"%d"}`, g.ID()+u+10))
			g.PutMembers([]fanout.MemberInput{in}, false, 1)
			to := fanout.Handle{Slot: uint32(g.ID() + u), Gen: 1}
			if _, err := g.Join(fanout.Receiver{Handle: to, User: in.User}, 1); err != nil {
				t.Fatal(err)
			}
			g.SetVoice(to, wire.VoiceStateCommand{GuildID: g.ID(), ChannelID: channel}, 1)
		}
		c.shards[0].adopt(g)
	}
	put("large", 20_000)
	put("small", 10_000)
	c.voice.Remove("lost")
	h.now += 1000
	began, gone, next := h.now, 0, 0
	for next < guilds*users && h.now < began+60_000 {
		for c.courier.pass(); c.shards[0].inbox.depth() > 0; c.courier.pass() {
			before := next
			c.shards[0].pass()
			for _, m := range c.loops[0].inbox.take(nil) {
				for _, d := range m.(*relayStep).Dispatches {
					if endpoint, ok := wire.StringField(d.Body(), "endpoint"); ok && endpoint != "" {
						next++
					} else {
						gone++
					}
				}
			}
			if n := next - before; n > c.limits.errandBatchMax {
				t.Fatalf("%d users were told in one batch", n)
			}
		}
		if most := perSecond/voiceQuotaShare + int(h.now-began)*perSecond/1000; next > most {
			t.Fatalf("%d users were told after %d ms, want at most %d", next, h.now-began, most)
		}
		h.now += 50
	}
	if gone != guilds*users || next != gone {
		t.Errorf("%d heard of the loss and %d of the next server, want %d", gone, next,
			guilds*users)
	}
	if took := h.now - began; took > 2100 {
		t.Errorf("it took %d ms, want 2 s", took)
	}
	for _, s := range c.voice.List(h.now) {
		if want := map[string]int{"large": 6700, "small": 3300}[s.Name]; s.Users != want {
			t.Errorf("%d users are on %s, want %d", s.Users, s.Name, want)
		}
	}
	if err := c.voice.Check(); err != nil {
		t.Error(err)
	}
}
