package node

import (
	"fmt"
	"strings"
	"testing"

	"throng/tuning"
	"throng/wire"
)

// TestZstdStreamsSharePackedEvents has sessions on zstd streams hear a guild, with heartbeats of
// their own, on a window that the template leaves again and again: what each decodes is what was
// said, and all ways of packing come to be used.
func TestZstdStreamsSharePackedEvents(t *testing.T) {
	t.Parallel()
	for _, encoding := range []string{"json", "etf"} {
		t.Run(encoding, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, Config{Loops: 1}, func(c *core) {
				c.limits.window = wire.WindowBytesMin
			})
			const sessions, count, rounds = tuning.HistoryReceiversMin, 30, 3
			var users []wire.Snowflake
			for i := range sessions {
				users = append(users, wire.Snowflake(10+i))
				r.user(users[i], true)
			}
			r.guild(100, users...)
			var clients []*wsClient
			for _, u := range users {
				c := r.loginAt("/?v=10&encoding="+encoding+"&compress=zstd-stream", u)
				c.joined(1)
				clients = append(clients, c)
			}
			for round := range rounds {
				for i := range count {
					say(r, fmt.Sprint(round*count+i, " ", strings.Repeat("more of the same ", 20*i)))
				}
				for _, c := range clients {
					for i := range count {
						d := c.wantEvent("MESSAGE_CREATE")
						want := fmt.Sprintf(`"content":"%d `, round*count+i)
						if !strings.Contains(string(d.Data), want) {
							t.Fatalf("got %.200s, want %s", d.Data, want)
						}
					}
				}
				c := clients[round%sessions]
				c.send(1, fmt.Sprint(c.seq))
				c.wantOp(wire.OpHeartbeatAck)
			}
			l := r.core.loops[0]
			r.until("the figures to be shown", func() bool {
				frames := uint64(0)
				for m := range l.streamed.shown {
					frames += l.streamed.shown[m].frames.Load()
				}
				return frames >= sessions*(count*rounds+2)
			})
			for m := range wire.ModeCount {
				shown := &l.streamed.shown[m]
				if m == wire.ModeHistory && encoding == "etf" {
					continue
				}
				if shown.frames.Load() == 0 || shown.packed.Load() >= shown.text.Load() {
					t.Errorf("%v: %d frames, %d bytes of %d", m, shown.frames.Load(),
						shown.packed.Load(), shown.text.Load())
				}
			}
			if l.streamed.again.Load() == 0 {
				t.Error("the template was never sent again")
			}
		})
	}
}
