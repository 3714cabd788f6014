package node

import (
	"fmt"
	"testing"

	"throng/node/api"
	"throng/wire"
)

func TestCommandFlood(t *testing.T) {
	r := startRig(t, Config{})
	r.user(1, true)
	c := r.login(1)
	for range 119 { // IDENTIFY was the first.
		c.send(1, "null")
		c.wantOp(wire.OpHeartbeatAck)
	}
	c.send(1, "null")
	c.wantClose(wire.CloseRateLimited)
	if got := r.closes(CommandFlood); got != 1 {
		t.Errorf("%d floods, want 1", got)
	}
	// The session stays, and the next window is a new one.
	next := c.again()
	next.wantEvent("RESUMED")
}

func TestCommandsAreCountedByTheMinute(t *testing.T) {
	r := startRig(t, Config{}, func(c *core) { c.limits.commandsMilli = 1 })
	r.user(1, true)
	c := r.login(1)
	for range 300 {
		c.send(1, "null")
		c.wantOp(wire.OpHeartbeatAck)
		var now, next int64
		r.onLoop(c.home(), func(l *loop) { now = l.time })
		// The clock moves by ticks; without them this would be one window.
		r.onLoop(c.home(), func(l *loop) {
			l.time++
			next = l.time
		})
		if next <= now {
			t.Fatal("the clock stands still")
		}
	}
}

func TestPingFlood(t *testing.T) {
	r := startRig(t, Config{})
	c := r.dial("/")
	c.wantOp(wire.OpHello)
	for n := range 5 {
		c.write(frame(wire.OpcodePing, fmt.Sprint(n)))
		if h := c.next(); h.opcode != wire.OpcodePong || string(h.raw) != fmt.Sprint(n) {
			t.Fatalf("ping %d: got %v", n, h)
		}
	}
	var flood []byte
	for range 6 {
		flood = append(flood, frame(wire.OpcodePing, "")...)
	}
	c.write(flood)
	c.wantClose(wire.CloseRateLimited)
	if got := r.closes(PingFlood); got != 1 {
		t.Errorf("%d floods, want 1", got)
	}
}

// watched has user 1 in the test's hands, and user 2 who sees presences and voice states.
func watched(t *testing.T, doc string) (r *rig, c, witness *wsClient) {
	t.Helper()
	r = startRig(t, Config{})
	r.user(1, true)
	r.user(2, true)
	r.guildDoc(100, doc, 1, 2)
	witness = r.dial("/")
	witness.wantOp(wire.OpHello)
	witness.send(2, fmt.Sprintf(`{"token":"%s","intents":%d}`, tokenOf(2),
		testIntents|wire.IntentGuildPresences|wire.IntentGuildVoiceStates))
	witness.ready(2)
	witness.joined(1)
	c = r.dial("/")
	c.wantOp(wire.OpHello)
	c.send(2, fmt.Sprintf(`{"token":"%s","intents":%d}`, tokenOf(1),
		testIntents|wire.IntentGuildVoiceStates|wire.IntentGuildMembers))
	c.ready(1)
	c.joined(1)
	return r, c, witness
}

// wantPresence reads user 1's next presence.
func (c *wsClient) wantPresence(status string, activities int) {
	c.t.Helper()
	p := object(c.t, c.wantEvent("PRESENCE_UPDATE").Data)
	user := p["user"].(map[string]any)
	list, _ := p["activities"].([]any)
	if user["id"] != "1" || p["status"] != status || len(list) != activities {
		c.t.Errorf("got presence %v, want %s with %d activities", p, status, activities)
	}
}

func TestPresenceFloodIsDropped(t *testing.T) {
	r, c, witness := watched(t, `{}`)
	witness.wantPresence("online", 0)
	for range 2 { // The fifth is idle, and nothing is heard of the sixth to the eighth.
		for _, status := range []string{"dnd", "idle"} {
			c.send(3, `{"since":null,"afk":false,"status":"`+status+
				`","activities":[{"name":"x","type":0}]}`)
			witness.wantPresence(status, 1)
		}
	}
	c.send(3, `{"since":0,"game":{"name":"y","type":0},"status":"","afk":false}`)
	witness.wantPresence("online", 1)
	for range 3 {
		c.send(3, `{"status":"dnd","activities":[],"since":null,"afk":false}`)
	}
	r.until("three dropped", func() bool { return r.core.drops[PresenceFlood].Load() == 3 })
	r.publish(100, 1)
	for {
		h := witness.wantOp(wire.OpDispatch)
		if h.Type == "PRESENCE_UPDATE" {
			t.Errorf("a dropped presence came: %v", h)
		}
		if h.Type == "TEST_EVENT" {
			break
		}
	}
	c.write(closeFrame(1000)) // Done for good, so offline at once.
	witness.wantPresence("offline", 0)
}

func TestVoice(t *testing.T) {
	for servers, endpoint := range map[string]any{`[]`: nil, `["voice.test:443"]`: "voice.test:443"} {
		_, c, witness := watched(t, `{"voice_servers":`+servers+`,"channels":[
			{"id":"101","type":0,"name":"text"},{"id":"102","type":2,"name":"talk"}]}`)
		c.send(4, `{"guild_id":null,"channel_id":null,"self_mute":true,"self_deaf":false}`)
		c.send(4, `{"guild_id":"100","channel_id":"101","self_mute":true,"self_deaf":false}`)
		c.send(4, `{"guild_id":"100","channel_id":"102","self_mute":true,"self_deaf":false}`)
		for _, who := range []*wsClient{c, witness} {
			state := object(t, who.wantEvent("VOICE_STATE_UPDATE").Data)
			if state["channel_id"] != "102" || state["user_id"] != "1" ||
				state["session_id"] != c.session || state["self_mute"] != true {
				t.Errorf("the voice state is %v", state)
			}
		}
		server := object(t, c.wantEvent("VOICE_SERVER_UPDATE").Data)
		if token, _ := server["token"].(string); token == "" || server["guild_id"] != "100" ||
			server["endpoint"] != endpoint {
			t.Errorf("the voice server is %v, want endpoint %v", server, endpoint)
		}
		c.send(4, `{"guild_id":"100","channel_id":null,"self_mute":false,"self_deaf":false}`)
		state := object(t, witness.wantEvent("VOICE_STATE_UPDATE").Data)
		if state["channel_id"] != nil {
			t.Errorf("after leaving: %v", state)
		}
	}
}

func TestSoundsAndChannelInfo(t *testing.T) {
	r, c, _ := watched(t, `{"channels":[{"id":"102","type":2,"name":"talk"}]}`)
	c.send(31, `{"guild_ids":["100"]}`)
	sounds := object(t, c.wantEvent("SOUNDBOARD_SOUNDS").Data)
	if list, ok := sounds["soundboard_sounds"].([]any); !ok || len(list) != 0 ||
		sounds["guild_id"] != "100" {
		t.Errorf("sounds are %v", sounds)
	}
	r.publishEvent(100, api.EventInput{Type: "VOICE_CHANNEL_STATUS_UPDATE",
		Data: []byte(`{"id":"102","status":"quiet"}`)})
	c.send(43, `{"guild_id":"100","fields":["status"]}`)
	info := object(t, c.wantEvent("CHANNEL_INFO").Data)
	channels, _ := info["channels"].([]any)
	if len(channels) != 1 || info["guild_id"] != "100" ||
		channels[0].(map[string]any)["status"] != "quiet" {
		t.Errorf("channel info is %v", info)
	}
	// Of a guild that the session is not in nothing is said, and nothing is closed.
	c.send(31, `{"guild_ids":["999"]}`)
	c.send(43, `{"guild_id":"999","fields":[]}`)
	c.send(4, `{"guild_id":"999","channel_id":"1"}`)
	c.send(8, `{"guild_id":"999","query":"","limit":0}`)
	c.send(1, "null")
	for {
		h := c.next()
		if h.Op == int(wire.OpHeartbeatAck) {
			break
		}
		t.Errorf("got %v", h)
	}
	if got := r.core.drops[UnknownGuildCommand].Load(); got != 4 {
		t.Errorf("%d commands were dropped, want 4", got)
	}
}

// TestSoundsOncePerGuild: a guild that is named a hundred times in one command answers it once.
func TestSoundsOncePerGuild(t *testing.T) {
	_, c, _ := watched(t, `{"channels":[{"id":"102","type":2,"name":"talk"}]}`)
	c.send(31, `{"guild_ids":["100"`+repeat(`,"100"`, 99)+`]}`)
	c.send(43, `{"guild_id":"100","fields":["status"]}`)
	answers := 0
	for {
		switch h := c.wantOp(wire.OpDispatch); h.Type {
		case "SOUNDBOARD_SOUNDS":
			answers++
		case "CHANNEL_INFO":
			if answers != 1 {
				t.Errorf("%d answers, want 1", answers)
			}
			return
		}
	}
}

// TestETFSession speaks ETF in both directions.
func TestETFSession(t *testing.T) {
	r := startRig(t, Config{})
	r.user(1, true)
	r.guild(100, 1)
	c := r.loginAt("/?v=10&encoding=etf", 1)
	h := c.wantEvent("GUILD_CREATE")
	if o := object(t, h.Data); o["id"] != "100" || o["unavailable"] != false {
		t.Errorf("GUILD_CREATE is %v", o)
	}
	r.publishEvent(100, api.EventInput{Type: "TEST_EVENT",
		Data: []byte(`{"n":1,"text":"é\u0000𝄞","big":9007199254740993,"f":0.5,"l":[],"o":{},"b":[true,null]}`)})
	got := object(t, c.wantEvent("TEST_EVENT").Data)
	if got["text"] != "é\x00𝄞" || got["f"] != 0.5 || got["b"].([]any)[1] != nil {
		t.Errorf("the event is %v", got)
	}
	c.send(8, `{"guild_id":"100","user_ids":["1"],"nonce":"é"}`)
	if chunk := object(t, c.wantEvent("GUILD_MEMBERS_CHUNK").Data); chunk["nonce"] != "é" {
		t.Errorf("the chunk is %v", chunk)
	}
	r.publish(100, 2)
	c.wantNumber(2)
	c.conn.Close()
	r.publish(100, 3)
	next := c.again()
	next.wantNumber(3)
	next.wantEvent("RESUMED")
	next.write(frame(wire.OpcodeText, `{"op":1,"d":null}`))
	next.wantClose(wire.CloseDecode)
}

func TestETFCommandsThatAreRefused(t *testing.T) {
	r := startRig(t, Config{})
	for name, term := range map[string]string{
		"no version":   "t\x00\x00\x00\x00",
		"JSON":         `{"op":1}`,
		"atom keys":    "\x83t\x00\x00\x00\x01s\x02opa\x01",
		"cut short":    "\x83t\x00\x00\x00\x02m\x00\x00\x00\x02op",
		"a huge map":   "\x83t\xff\xff\xff\xffm",
		"a huge text":  "\x83m\xff\xff\xff\xff",
		"a huge list":  "\x83l\xff\xff\xff\xffa\x01",
		"nested lists": "\x83" + repeat("l\x00\x00\x00\x01", 3000),
		"nothing":      "",
	} {
		c := r.dial("/?encoding=etf")
		c.wantOp(wire.OpHello)
		c.write(frame(wire.OpcodeBinary, term))
		if h := c.wantClose(wire.CloseDecode); testing.Verbose() {
			t.Logf("%s: %s", name, h.reason)
		}
	}
}
