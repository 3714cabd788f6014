package node

import (
	"fmt"
	"strings"
	"testing"

	"throng/fanout"
	"throng/wire"
)

// passiveRig is a node whose guilds are all large.
func passiveRig(t *testing.T) *rig {
	r := startRig(t, Config{}, func(c *core) {
		c.limits.guild.PassiveMembersMin, c.limits.guild.PassivePeriodMilli = 1, 100
	})
	r.user(1, true)
	r.user(2, false)
	return r
}

// loginUser opens a session of a user account that knows PASSIVE_UPDATE_V2.
func (r *rig) loginUser(user wire.Snowflake) *wsClient {
	r.t.Helper()
	c := r.dial("/?v=10&encoding=json")
	c.wantOp(wire.OpHello)
	c.identify(user, `,"capabilities":16384`)
	return c
}

// say publishes a message in a guild's channel.
func (r *rig) say(guild wire.Snowflake, id int) {
	r.t.Helper()
	r.publishEvent(guild, namedEvent("MESSAGE_CREATE", fmt.Sprintf(
		`{"id":"%d","channel_id":"%d","author":{"id":"9","username":"a"},"content":"x"}`, id,
		guild+1)))
}

// wantNews reads until a passive update names the message; no message itself may come before.
func (c *wsClient) wantNews(id int) {
	c.t.Helper()
	for {
		h := c.wantOp(wire.OpDispatch)
		if h.Type == "MESSAGE_CREATE" {
			c.t.Fatalf("a passive session got %v", h)
		}
		last := fmt.Sprintf(`"last_message_id":"%d"`, id)
		if h.Type == "PASSIVE_UPDATE_V2" && strings.Contains(string(h.Data), last) {
			return
		}
	}
}

// TestSubscriptionOutlivesTheSocket: a session is what it was when it resumes, passive or not.
func TestSubscriptionOutlivesTheSocket(t *testing.T) {
	r := passiveRig(t)
	r.guild(100, 1, 2)
	bot, c := r.login(1), r.loginUser(2)
	bot.joined(1)
	c.joined(1)
	counts := func(want string) {
		t.Helper()
		if status, body, err := r.get("admin", "/v1/guilds/100"); err != nil || status != 200 ||
			!strings.Contains(body, want) {
			t.Errorf("got %d %s %v, want %s", status, body, err, want)
		}
	}
	counts(`"session_count":2,"active_count":1,"passive_count":1`)
	r.say(100, 5000)
	bot.wantEvent("MESSAGE_CREATE")
	c.wantNews(5000)
	c.conn.Close()
	r.say(100, 5001)
	c = c.again()
	c.wantNews(5001)
	c.send(14, `{"guild_id":"100","typing":true}`)
	if h := c.wantEvent("GUILD_CREATE"); !strings.Contains(string(h.Data), `"5001"`) {
		t.Errorf("the snapshot is %s", h.Data)
	}
	r.say(100, 5002)
	c.wantEvent("MESSAGE_CREATE")
	counts(`"active_count":2,"passive_count":0`)
	c.conn.Close()
	r.say(100, 5003)
	c = c.again()
	c.wantEvent("MESSAGE_CREATE")
	c.wantEvent("RESUMED")
	c.send(14, `{"guild_id":"100","typing":false}`)
	r.until("passive again", func() bool {
		info, err := r.Guild(r.context(), 100)
		return err == nil && info.PassiveCount == 1
	})
	r.say(100, 5004)
	c.wantNews(5004)
	c.send(14, `{"guild_id":"100","typing":"yes"}`)
	c.wantClose(wire.CloseDecode)
}

// TestSubscriptionsBeforeTheGuildsAreThere: a client says what it looks at as soon as it is ready,
// and the guilds come by and by.
func TestSubscriptionsBeforeTheGuildsAreThere(t *testing.T) {
	r := startRig(t, Config{}, func(c *core) {
		c.limits.guild.PassiveMembersMin, c.limits.joinsInFlightMax = 1, 1
	})
	r.user(2, false)
	d := `{"subscriptions":{`
	const guilds = 30
	for i := range wire.Snowflake(guilds) {
		r.guild(100+10*i, 2)
		d += fmt.Sprintf(`"%d":{"typing":true},`, 100+10*i)
	}
	c := r.loginUser(2)
	c.send(37, strings.TrimSuffix(d, ",")+`}}`)
	c.joined(2 * guilds) // Each of them once when it is joined, and once when it is subscribed to.
	for i := range wire.Snowflake(guilds) {
		r.say(100+10*i, 5000)
		c.wantEvent("MESSAGE_CREATE")
	}
}

func TestGuildsHaveTheLimitsOfTuning(t *testing.T) {
	if got, want := fanout.DefaultLimits, settingsOf(Config{}).guild; got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
