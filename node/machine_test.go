package node

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"throng/wire"
)

func TestHelloComesAtOnce(t *testing.T) {
	r := startRig(t, Config{})
	c := r.dial("/?v=10&encoding=json")
	h := c.next()
	hello := object(t, h.Data)
	if h.Op != int(wire.OpHello) || hello["heartbeat_interval"] != 41250.0 {
		t.Errorf("the first frame is %v", h)
	}
	if trace, ok := hello["_trace"].([]any); !ok || len(trace) != 1 {
		t.Errorf("_trace is %v", hello["_trace"])
	}
}

func TestReadySaysEverything(t *testing.T) {
	r := startRig(t, Config{})
	r.user(1, true)
	r.guild(100, 1)
	r.guild(200, 1)
	c := r.dial("/?v=9&encoding=json")
	c.wantOp(wire.OpHello)
	h := c.identify(1, `,"shard":[0,1]`)
	if *h.Seq != 1 {
		t.Errorf("READY is number %d", *h.Seq)
	}
	got := object(t, h.Data)
	if id, _ := got["session_id"].(string); len(id) != 32 {
		t.Errorf("session_id is %q", id)
	}
	delete(got, "session_id")
	if trace, _ := got["_trace"].([]any); len(trace) != 1 {
		t.Errorf("_trace is %v", got["_trace"])
	}
	delete(got, "_trace")
	want := object(t, []byte(`{"v":9,"user":{"id":"1","username":"u1","discriminator":"0",
		"global_name":null,"avatar":null,"bot":true,"verified":true,"mfa_enabled":false,
		"email":null,"flags":0},"guilds":[{"id":"100","unavailable":true},
		{"id":"200","unavailable":true}],"session_type":"normal",
		"resume_gateway_url":"ws://gateway.test","shard":[0,1],
		"application":{"id":"1","flags":565248},"private_channels":[],"relationships":[],
		"presences":[],"user_settings":{},"geo_ordered_rtc_regions":[],
		"guild_join_requests":[],"auth":{}}`))
	for key := range want {
		if !reflect.DeepEqual(got[key], want[key]) {
			t.Errorf("%s is %v, want %v", key, got[key], want[key])
		}
		delete(got, key)
	}
	if len(got) > 0 {
		t.Errorf("READY has also %v", got)
	}
}

func TestPublicURLIsTheResumeURL(t *testing.T) {
	r := startRig(t, Config{PublicURL: "wss://gateway.example/"})
	r.user(1, true)
	c := r.dial("/?v=10")
	c.wantOp(wire.OpHello)
	if got := object(t, c.identify(1, "").Data)["resume_gateway_url"]; got != "wss://gateway.example" {
		t.Errorf("resume_gateway_url is %v", got)
	}
}

// TestGuildComesBeforeItsEvents connects while events are being published as fast as they go.
func TestGuildComesBeforeItsEvents(t *testing.T) {
	r := startRig(t, Config{})
	guilds := []wire.Snowflake{100, 200, 300, 400}
	r.user(1, true)
	for _, g := range guilds {
		r.guild(g, 1)
	}
	var over atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		for n := 0; !over.Load(); n++ {
			// A guild that is not joined yet gets its events too; these must not come.
			r.publish(guilds[n%len(guilds)], n)
		}
	}()
	defer func() {
		over.Store(true)
		<-done
	}()
	for range 25 {
		c := r.login(1)
		var known []string
		last := map[string]int64{}
		for len(known) < len(guilds) || len(last) < len(guilds) {
			h := c.wantOp(wire.OpDispatch)
			switch h.Type {
			case "GUILD_CREATE":
				id, _ := wire.StringField(h.Data, "id")
				known = append(known, id)
			case "TEST_EVENT":
				id, _ := wire.StringField(h.Data, "guild_id")
				n, _ := wire.IntField(h.Data, "n")
				if !slices.Contains(known, id) {
					t.Fatalf("an event of guild %s came before its GUILD_CREATE", id)
				}
				if before, ok := last[id]; ok && n != before+int64(len(guilds)) {
					t.Fatalf("guild %s: event %d came after %d", id, n, before)
				}
				last[id] = n
			}
		}
		c.conn.Close()
	}
}

func TestHeartbeats(t *testing.T) {
	r := startRig(t, Config{})
	r.user(1, true)
	for _, target := range []string{"/?encoding=json", "/?encoding=etf"} {
		c := r.dial(target)
		c.wantOp(wire.OpHello)
		beats := [][2]string{{"1", "null"}, {"1", "0"}, {"1", "7"}, {"40", `{"seq":3,"qos":{}}`},
			{"40", `{"seq":null}`}, {"1", `"x"`}, {"1", "-1"}, {"1", "1.5"}}
		for _, when := range []string{"before IDENTIFY", "after READY"} {
			for _, beat := range beats {
				var op int
				fmt.Sscan(beat[0], &op)
				c.send(op, beat[1])
				if h := c.wantOp(wire.OpHeartbeatAck); h.Seq != nil || h.Type != "" {
					t.Errorf("%s, %v: got %v", when, beat, h)
				}
			}
			if when == "before IDENTIFY" {
				c.identify(1, "")
			}
		}
		if c.enc == wire.EncodingJSON {
			c.write(frame(wire.OpcodeText, `{"op":1}`))
			c.write(frame(wire.OpcodeBinary, `{"op":1,"d":1,"s":null,"t":null}`))
			c.wantOp(wire.OpHeartbeatAck)
			c.wantOp(wire.OpHeartbeatAck)
		}
	}
}

func TestSilenceEndsTheConnectionNotTheSession(t *testing.T) {
	r := startRig(t, Config{}, func(c *core) { c.limits.deadMilli = 500 })
	r.user(1, true)
	r.guild(100, 1)
	c := r.login(1)
	c.joined(1)
	c.wantClose(wire.CloseUnknown)
	if got := r.closes(HeartbeatMissed); got != 1 {
		t.Errorf("%d heartbeats were missed, want 1", got)
	}
	r.publish(100, 1)
	next := c.again()
	next.wantNumber(1)
	next.wantEvent("RESUMED")
	if h := next.wantClose(wire.CloseUnknown); !strings.Contains(h.reason, "eartbeat") {
		t.Errorf("the reason is %q", h.reason)
	}
}

func TestSilenceBeforeIdentify(t *testing.T) {
	r := startRig(t, Config{}, func(c *core) { c.limits.identifyMilli = 50 })
	c := r.dial("/")
	c.wantOp(wire.OpHello)
	c.wantClose(wire.CloseSessionTimedOut)
	if got := r.closes(IdentifyTimeout); got != 1 {
		t.Errorf("%d identify timeouts, want 1", got)
	}
}

// TestRefusals is about what ends a connection, each with its code.
func TestRefusals(t *testing.T) {
	r := startRig(t, Config{}, func(c *core) { c.limits.shardGuildsMax = 3 })
	for user := range wire.Snowflake(3) {
		r.user(user+1, user < 2)
	}
	for g := range wire.Snowflake(4) {
		r.guild(100*(g+1), 2)
	}
	id := func(fields string) string { return `{"op":2,"d":{` + fields + `}}` }
	const token = `"token":"token.of.1"`
	for _, test := range []struct {
		name   string
		live   bool
		send   string
		code   wire.CloseCode
		reason CloseReason
	}{
		{"IDENTIFY twice", true, id(token + `,"intents":1`), 4005, AlreadyIdentified},
		{"RESUME after IDENTIFY", true, `{"op":6,"d":{"token":"token.of.1","session_id":"x",` +
			`"seq":1}}`, 4005, AlreadyIdentified},
		{"presence first", false, `{"op":3,"d":{"status":"idle"}}`, 4003, NotIdentified},
		{"voice first", false, `{"op":4,"d":{"guild_id":"100"}}`, 4003, NotIdentified},
		{"members first", false, `{"op":8,"d":{"guild_id":"100","query":""}}`, 4003, NotIdentified},
		{"sounds first", false, `{"op":31,"d":{"guild_ids":["100"]}}`, 4003, NotIdentified},
		{"channel info first", false, `{"op":43,"d":{}}`, 4003, NotIdentified},
		{"guild subscriptions first", false, `{"op":14,"d":{}}`, 4003, NotIdentified},
		{"an op of the server", true, `{"op":0,"d":{}}`, 4001, UnknownOpcode},
		{"an op that is none", true, `{"op":99,"d":{}}`, 4001, UnknownOpcode},
		{"an op that is none, first", false, `{"op":-1}`, 4001, UnknownOpcode},
		{"a huge op", true, `{"op":1e3}`, 4001, UnknownOpcode},
		{"an op that is no whole number", true, `{"op":1.5}`, 4002, BadPayload},
		{"no op", true, `{"d":{}}`, 4002, BadPayload},
		{"an op that is a string", true, `{"op":"1"}`, 4002, BadPayload},
		{"no JSON", true, `hello`, 4002, BadPayload},
		{"nothing", true, ``, 4002, BadPayload},
		{"an array", false, `[]`, 4002, BadPayload},
		{"half an object", false, `{"op":1`, 4002, BadPayload},
		{"a presence that is none", true, `{"op":3,"d":5}`, 4002, BadPayload},
		{"a voice state that is none", true, `{"op":4,"d":{"guild_id":[]}}`, 4002, BadPayload},
		{"members of no guild", true, `{"op":8,"d":{"query":""}}`, 4002, BadPayload},
		{"sounds of no guild", true, `{"op":31,"d":{}}`, 4002, BadPayload},
		{"channel info of no guild", true, `{"op":43,"d":{"fields":[]}}`, 4002, BadPayload},
		{"IDENTIFY without d", false, `{"op":2}`, 4002, BadPayload},
		{"RESUME without d", false, `{"op":6}`, 4002, BadPayload},
		{"a token of nobody", false, id(`"token":"x","intents":1`), 4004, WrongToken},
		{"an empty token", false, id(`"token":"","intents":1`), 4004, WrongToken},
		{"a shard beyond the last", false, id(token + `,"intents":1,"shard":[1,1]`), 4010, WrongShard},
		{"a shard of none", false, id(token + `,"intents":1,"shard":[0,0]`), 4010, WrongShard},
		{"too many guilds", false, id(`"token":"token.of.2","intents":1`), 4011, TooManyGuilds},
		{"no intents", false, id(token), 4013, WrongIntents},
		{"intents in a string", false, id(token + `,"intents":"1"`), 4013, WrongIntents},
		{"a bit that is none", false, id(token + `,"intents":1073741824`), 4013, WrongIntents},
		{"a user's bit for a bot", false, id(token + `,"intents":262144`), 4013, WrongIntents},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := r.dial("/")
			c.t = t
			c.wantOp(wire.OpHello)
			if test.live {
				c.identify(1, "")
			}
			before := r.closes(test.reason)
			c.write(frame(wire.OpcodeText, test.send))
			c.wantClose(test.code)
			if got := r.closes(test.reason) - before; got != 1 {
				t.Errorf("%s was counted %d times, want once", test.reason, got)
			}
		})
	}
	// A person needs no intents, and shards make four guilds fit.
	c := r.dial("/")
	c.wantOp(wire.OpHello)
	c.write(frame(wire.OpcodeText, id(`"token":"token.of.3"`)))
	c.wantEvent("READY")
}

func TestPrivilegedIntentsAreGranted(t *testing.T) {
	r := startRig(t, Config{})
	r.user(1, true)
	if _, err := r.PutUsers(r.context(), withApplicationFlags(2, 0)); err != nil {
		t.Fatal(err)
	}
	for _, intent := range []wire.Intents{wire.IntentGuildMembers, wire.IntentGuildPresences,
		wire.IntentMessageContent} {
		for user, granted := range map[int]bool{1: true, 2: false} {
			c := r.dial("/")
			c.wantOp(wire.OpHello)
			c.send(2, fmt.Sprintf(`{"token":"token.of.%d","intents":%d}`, user, intent))
			if granted {
				c.wantEvent("READY")
			} else {
				c.wantClose(wire.CloseDisallowedIntents)
			}
		}
	}
	if got := r.closes(DeniedIntents); got != 3 {
		t.Errorf("%d denials were counted, want 3", got)
	}
}
