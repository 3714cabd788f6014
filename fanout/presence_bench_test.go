package fanout

import (
	"testing"

	"throng/wire"
)

// BenchmarkPresence is what a change of presence costs the guild, with a tick for every hundred.
func BenchmarkPresence(b *testing.B) {
	const users = 1000
	for _, followers := range []int{0, 1} {
		b.Run(map[int]string{0: "nobody follows", 1: "followed"}[followers], func(b *testing.B) {
			w := newWorld(b, `{"owner_id":"1"}`)
			var handles []Handle
			for u := range wire.Snowflake(users) {
				w.member(u+1, "")
				handles = append(handles, w.join(u+1, wire.IntentGuilds).Handle)
			}
			w.g.receivers.following = followers
			statuses := []string{wire.StatusIdle, wire.StatusDND}
			for i := 0; b.Loop(); i++ {
				status := statuses[i/users%2]
				w.g.SetPresence(handles[i%users], wire.PresenceCommand{Status: status}, w.now)
				if i%100 == 99 {
					w.now += 1000
					w.g.Tick(w.now)
				}
			}
		})
	}
}
