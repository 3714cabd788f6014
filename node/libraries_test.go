package node

import (
	"testing"

	"throng/wire"
)

// libraryIdentifies are IDENTIFYs as client libraries send them, oddities and all. The token is
// user 1's, a bot, or 2's, a person.
var libraryIdentifies = []struct {
	name, target, payload string
	user                  wire.Snowflake
	sharded               bool
}{
	{"discordgo 0.29.0", "/?v=9&encoding=json", `{"op":2,"d":{"token":"Bot token.of.1",` +
		`"properties":{"$os":"linux","$browser":"DiscordGo v0.29.0","$device":"","$referer":"",` +
		`"$referring_domain":""},"compress":true,"large_threshold":250,"presence":{"since":0,` +
		`"game":{"name":"","type":0,"url":"","created_at":-62135596800000,"details":"",` +
		`"state":"","timestamps":{},"assets":{},"secrets":{},"party":{},"instance":false,` +
		`"flags":0,"emoji":{}},"status":"","afk":false},"intents":32767}}`, 1, false},
	{"disgo 0.19", "/?v=10&encoding=json", `{"op":2,"d":{"token":"token.of.1","properties":` +
		`{"os":"linux","browser":"disgo","device":"disgo"},"large_threshold":50,"shard":[0,1],` +
		`"intents":513}}`, 1, true},
	{"disgo 0.18, compressed payloads", "//?v=10&encoding=json", `{"op":2,"d":{"token":` +
		`"token.of.1","properties":{"os":"linux","browser":"disgo","device":"disgo"},` +
		`"compress":true,"large_threshold":50,"shard":[0,1],"intents":513,"presence":` +
		`{"since":null,"activities":[{"name":"x","type":0}],"status":"online","afk":false}},` +
		`"s":0,"t":""}`, 1, true},
	{"arikawa 3.5.0", "/?encoding=json&v=9", `{"op":2,"d":{"token":"Bot token.of.1",` +
		`"properties":{"os":"linux","browser":"Arikawa","device":"Arikawa"},"compress":true,` +
		`"large_threshold":50,"shard":[0,1],"intents":1}}`, 1, true},
	{"arikawa 3.5.0, not sharded", "/?encoding=json&v=9", `{"op":2,"d":{"token":` +
		`"Bot token.of.1","properties":{"os":"linux","browser":"Arikawa","device":"Arikawa"},` +
		`"compress":true,"large_threshold":50,"shard":null,"intents":1}}`, 1, false},
	{"discord.js 14.27", "/?v=10&encoding=json", `{"op":2,"d":{"token":"token.of.1",` +
		`"properties":{"os":"linux","browser":"@discordjs/ws 1.2.4","device":` +
		`"@discordjs/ws 1.2.4"},"intents":33281,"compress":false,"shard":[0,1],"presence":` +
		`{"status":"online","afk":false,"since":null,"activities":[{"name":"a","type":3,` +
		`"state":null,"url":null}]}}}`, 1, true},
	{"eris 0.18.0", "/?v=10&encoding=json", `{"op":2,"d":{"token":"Bot token.of.1","v":10,` +
		`"compress":false,"large_threshold":250,"intents":53575421,"properties":{"os":"linux",` +
		`"browser":"Eris","device":"Eris"},"presence":{"activities":null,"afk":false,` +
		`"since":null,"status":"online"}}}`, 1, false},
	{"oceanic 1.10", "/?v=10&encoding=json", `{"op":2,"d":{"token":"Bot token.of.1",` +
		`"properties":{"browser":"Oceanic","device":"Oceanic","os":"linux"},"shard":[0,1],` +
		`"presence":{"status":"online","activities":[],"afk":false,"since":null},` +
		`"compress":false,"large_threshold":250,"intents":3243773}}`, 1, true},
	{"discord.py-self", "/?encoding=json&v=9", `{"op":2,"d":{"token":"token.of.2",` +
		`"capabilities":16381,"properties":{"os":"Windows","browser":"Chrome","device":"",` +
		`"system_locale":"en-US","client_build_number":12345,"client_event_source":null},` +
		`"presence":{"status":"unknown","since":0,"activities":[],"afk":false},` +
		`"compress":false,"client_state":{"guild_versions":{}}}}`, 2, false},
	{"a first attempt with curl and a loop", "", `{"d":{"intents":1,"token":"Bot token.of.1"},` +
		`"op":2}`, 1, false},
}

// TestEveryLibrarysIdentifyIsTaken also has IDENTIFY go out before HELLO is read, and a heartbeat
// right behind it, as some of them do.
func TestEveryLibrarysIdentifyIsTaken(t *testing.T) {
	r := startRig(t, Config{})
	r.user(1, true)
	r.user(2, false)
	r.guild(100, 1, 2)
	for _, library := range libraryIdentifies {
		t.Run(library.name, func(t *testing.T) {
			c := r.connect()
			c.t = t
			target := library.target
			if target == "" {
				target = "/"
			}
			c.upgrade(target)
			c.write(append(frame(wire.OpcodeText, library.payload),
				frame(wire.OpcodeText, `{"op":1,"d":0}`)...))
			c.wantOp(wire.OpHello)
			c.wantOp(wire.OpHeartbeatAck)
			ready := object(t, c.ready(library.user).Data)
			if _, has := ready["shard"]; has != library.sharded {
				t.Errorf("shard is there: %v, want %v", has, library.sharded)
			}
			c.joined(1)
			c.write(closeFrame(1000))
			if h := c.next(); h.code != 1000 {
				t.Errorf("a close with 1000 was answered with %v", h)
			}
			c.wantEnd()
		})
	}
}

func TestVersionsAndPaths(t *testing.T) {
	r := startRig(t, Config{})
	r.user(1, true)
	for target, version := range map[string]float64{
		"/?v=9&encoding=json": 9, "/?v=10": 10, "/": 10, "/?encoding=json": 10,
		"/gateway?v=9": 9, "//?v=10&encoding=json&x=%20": 10, "?v=9": 9, "/?v=9&encoding=etf": 9,
	} {
		if target[0] == '?' {
			target = "http://gateway.test" + target
		}
		c := r.loginAt(target, 1)
		c.conn.Close()
		c = r.dial(target)
		c.wantOp(wire.OpHello)
		if got := object(t, c.identify(1, "").Data)["v"]; got != version {
			t.Errorf("%s: READY has v %v, want %v", target, got, version)
		}
	}
	for target, code := range map[string]wire.CloseCode{
		"/?v=8": wire.CloseInvalidVersion, "/?v=11": wire.CloseInvalidVersion,
		"/?v=x": wire.CloseInvalidVersion, "/?v=-9": wire.CloseInvalidVersion,
		"/?v=99999999999999999999": wire.CloseInvalidVersion,
		"/?v=10&encoding=xml":      wire.CloseDecode,
		"/?v=10&compress=br":       wire.CloseDecode,
	} {
		r.dial(target).wantClose(code)
	}
}
