package node

import (
	"errors"
	"testing"

	"throng/node/api"
	"throng/wire"
)

// TestNodeComesBackWithItsState restarts a node on its folder, again and again, each time after a
// change, and looks at what a member is shown.
func TestNodeComesBackWithItsState(t *testing.T) {
	cfg := Config{Data: t.TempDir()}
	r := startRig(t, cfg)
	for user := range wire.Snowflake(5) {
		r.user(user+1, true)
	}
	r.guild(100, 1, 2, 3)
	r.guild(200, 2)
	r.stop()

	// shown logs user 1 in and returns what it is shown of guild 100.
	shown := func() map[string]any {
		t.Helper()
		if got := r.totals().guilds; got != 0 {
			t.Errorf("%d guilds were read before anybody asked", got)
		}
		c := r.login(1)
		g := object(t, c.wantEvent("GUILD_CREATE").Data)
		r.publish(100, 1)
		c.wantNumber(1)
		if got := r.totals().guilds; got != 1 {
			t.Errorf("%d guilds were read, want 1", got)
		}
		c.write(closeFrame(1000))
		c.drain()
		return g
	}
	r = startRig(t, cfg)
	if g := shown(); g["name"] != "g100" || g["member_count"] != 3.0 {
		t.Errorf("after the first restart: %v with %v", g["name"], g["member_count"])
	}
	r.publishEvent(100, namedEvent("GUILD_ROLE_CREATE",
		`{"role":{"id":"150","name":"r","permissions":"8"}}`))
	r.publishEvent(100, namedEvent("CHANNEL_CREATE", `{"id":"151","type":0,"name":"new"}`))
	r.publishEvent(100, namedEvent("GUILD_MEMBER_UPDATE",
		`{"user":{"id":"1"},"roles":["150"],"nick":"one"}`))
	if err := r.RemoveMember(r.context(), 100, 3); err != nil {
		t.Fatal(err)
	}
	r.stop()

	r = startRig(t, cfg)
	g := shown()
	if len(g["roles"].([]any)) != 2 || len(g["channels"].([]any)) != 3 || g["member_count"] != 2.0 {
		t.Errorf("after the second: %v, %v, %v", g["roles"], g["channels"], g["member_count"])
	}
	self := g["members"].([]any)[0].(map[string]any)
	if self["nick"] != "one" || self["roles"].([]any)[0] != "150" {
		t.Errorf("the member is %v", self)
	}
	if err := r.DeleteGuild(r.context(), 200); err != nil {
		t.Fatal(err)
	}
	if err := r.RevokeTokens(r.context(), 2); err != nil {
		t.Fatal(err)
	}
	r.stop()

	r = startRig(t, cfg)
	if _, err := r.Guild(r.context(), 200); !errors.Is(err, api.UnknownGuild) {
		t.Errorf("the deleted guild: %v", err)
	}
	c := r.dial("/")
	c.wantOp(wire.OpHello)
	c.send(2, identifyBody(2, ""))
	c.wantClose(wire.CloseAuthenticationFailed)
	// A message by somebody whom nobody has named since the start, in a guild nobody has read.
	if _, err := r.PostMessage(r.context(), 101, 1, api.MessageInput{Content: "hi"}); err != nil {
		t.Errorf("a message in a guild that is not read yet: %v", err)
	}
}
