package node

import (
	"fmt"
	"slices"

	"throng/fanout"
	"throng/wire"
)

// Media servers come and go while everything else goes on. When whom a lost server's users are told
// of the next depends on the pace, so the model does not say that; it says what a client must know
// when all has been told: the server that its channel is on, which is one that is up if any is.

// voiceServer changes the table of media servers.
func (w *world) voiceServer() {
	name := string(rune('a' + w.rng.IntN(2)))
	switch w.rng.IntN(3) {
	case 0:
		if w.core.voice.Remove(name) {
			w.count("voice servers removed")
		}
	case 1:
		if w.core.voice.Report(name, w.rng.IntN(20), w.now+int64(w.rng.IntN(3000))) {
			w.count("voice reports")
		}
	default:
		err := w.core.voice.Put(fanout.VoiceServerConfig{Name: name, Region: "r",
			Endpoint: name + ":1", Capacity: 1 + w.rng.IntN(20), Load: -1}, 10)
		if err != nil {
			w.fail("a voice server: %v", err)
		}
	}
}

// takeVoice notes what a session was told.
func (s *simSession) takeVoice(guild wire.Snowflake, d []byte) {
	before := s.servers[guild]
	s.servers[guild], _ = wire.StringField(d, "endpoint")
	if before != "" && s.servers[guild] == "" {
		s.m.w.count("voice servers lost")
	}
	s.count++
}

// wrongServer names a session in voice that does not know where, "" when there is none.
func (w *world) wrongServer() string {
	up := []string{}
	for _, i := range w.core.voice.List(w.now) {
		if i.Up {
			up = append(up, i.Endpoint)
		}
	}
	for _, g := range w.model.guilds {
		rooms := map[wire.Snowflake]string{}
		for user, v := range g.voices {
			if v.holder == nil || v.holder.client == nil || v.holder.client.record != v.holder {
				continue
			}
			server := v.holder.servers[g.id]
			other, known := rooms[v.channel]
			if slices.Contains(up, server) != (len(up) > 0) || known && other != server {
				return fmt.Sprintf("user %d takes %q for its voice server; another %q, up: %v",
					user, server, other, up)
			}
			rooms[v.channel] = server
		}
	}
	return ""
}
