package node

import (
	"fmt"
	"testing"

	"throng/wire"
)

// answersRig has two sessions in a guild of 2,500 who may ask for its members: of the first, client
// and kernel take little before they take nothing. The parts of answers that wait are a megabyte at
// most, as much as two lists of all members.
func answersRig(t *testing.T, hold int64) (r *rig, slow, other *wsClient) {
	t.Helper()
	r = startRig(t, Config{SocketSendBuffer: 4 << 10, Journal: 8 << 20, Loops: 1},
		func(c *core) { c.limits.answersHoldMilli, c.limits.lagMilli = hold, 3_600_000 })
	ids := make([]wire.Snowflake, 2500)
	for i := range ids {
		ids[i] = wire.Snowflake(i + 1)
	}
	r.user(1, true)
	r.user(2, true)
	r.guild(100, ids...)
	slow, err := r.tryConnect(2 << 10)
	if err != nil {
		t.Fatal(err)
	}
	slow.upgrade("/")
	other = r.dial("/")
	for i, c := range []*wsClient{slow, other} {
		c.wantOp(wire.OpHello)
		c.send(2, fmt.Sprintf(`{"token":"%s","intents":%d}`, tokenOf(wire.Snowflake(i+1)),
			testIntents|wire.IntentGuildMembers))
		c.ready(1)
		c.joined(1)
	}
	return r, slow, other
}

// askMuch has a session ask for more than the parts of answers that may wait.
func askMuch(c *wsClient) (answers int) {
	const asks = 100
	for range asks {
		c.send(8, `{"guild_id":"100","query":"u","limit":100}`)
	}
	return asks
}

// TestAnswersWaitForWhoIsHeldUp: a session that is not reading for a while does not lose its answer
// by what others ask for.
func TestAnswersWaitForWhoIsHeldUp(t *testing.T) {
	t.Parallel()
	r, slow, other := answersRig(t, 3_600_000)
	slow.send(8, `{"guild_id":"100","query":"","limit":0}`)
	r.until("its answer waits", func() bool {
		unsent := 0
		r.onLoop(slow.home(), func(l *loop) {
			for _, s := range l.sessions {
				if s != nil && s.user == 1 {
					unsent = l.out.Unsent(s.slot)
				}
			}
		})
		return unsent > 0
	})
	answers := askMuch(other)
	r.until("others wait", func() (held bool) {
		r.onLoop(slow.home(), func(l *loop) { held = l.heldSince != 0 && l.making == 0 })
		return held
	})
	for index := range 3 {
		slow.chunk(index, 3)
	}
	for range answers {
		other.chunk(0, 1)
	}
}

// TestAnswersDoNotWaitForLong: one who does not read at all holds nobody up for ever, and loses its
// connection.
func TestAnswersDoNotWaitForLong(t *testing.T) {
	t.Parallel()
	r, slow, other := answersRig(t, 20)
	slow.send(8, `{"guild_id":"100","query":"","limit":0}`)
	for range askMuch(other) {
		other.chunk(0, 1)
	}
	r.until("it is closed", func() bool { return r.closes(SlowReader) == 1 })
}
