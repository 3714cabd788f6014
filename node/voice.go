package node

import (
	"context"
	"time"

	"throng/fanout"
	"throng/node/api"
	"throng/tuning"
	"throng/wire"
)

// voiceMoves are the voice channels whose media server was lost and that the courier has guilds
// move, at a pace that the other servers can take.
type voiceMoves struct {
	// Owned by the courier's goroutine.
	quota    int   // how many users may be moved now
	filledAt int64 // when quota was last added to, on the core's clock
	started  []fanout.VoiceRoom

	// Guarded by the courier's mu.
	unused int // of what moves under way were allowed
	more   []fanout.VoiceRoom
}

// voiceQuotaShare is the part of a second whose moves may come at once.
const voiceQuotaShare = 8

// fill adds the quota of the time that has gone by. What is less than one user stays to be added.
func (v *voiceMoves) fill(now, perSecond int64) {
	grown := (now - v.filledAt) * perSecond / 1000
	v.filledAt += grown * 1000 / perSecond
	if most := max(perSecond/voiceQuotaShare, 1); int64(v.quota)+grown >= most {
		v.quota, v.filledAt = int(most), now
	} else {
		v.quota += int(grown)
	}
}

// moveVoices loses media servers that are silent and has channels moved, as many as there is quota
// for. It says whether it has to look again when time has passed.
func (c *courier) moveVoices() (left bool) {
	lost, awaited := c.core.voice.Expire(c.core.clock())
	for _, name := range lost {
		c.core.log.Warn("voice: a server's report is overdue", "server", name)
	}
	v := &c.voices
	c.mu.Lock()
	v.quota += v.unused
	v.started = append(v.started, v.more...)
	v.unused, v.more = 0, nil
	c.mu.Unlock()
	v.fill(c.core.clock(), int64(c.core.limits.voiceMovesPerSecond))
	for v.quota > 0 {
		var room fanout.VoiceRoom
		if len(v.started) > 0 {
			room, v.started = v.started[0], v.started[1:]
		} else if next, ok := c.core.voice.Next(); ok {
			room = next
		} else {
			return awaited
		}
		quota := min(v.quota, c.core.limits.voiceMoveBatchMax)
		v.quota -= quota
		c.add(&moveVoice{room, quota})
	}
	return awaited || len(v.started) > 0 || c.core.voice.Waiting() > 0
}

// moveVoice moves a channel, and tells at most quota of its users.
type moveVoice struct {
	room  fanout.VoiceRoom
	quota int
}

func (e *moveVoice) to() wire.Snowflake { return e.room.Guild }

// run is done with the errand whatever is left: the rest is another one, as quota allows.
func (e *moveVoice) run(s *shard, g *fanout.Guild, budget int) (done int, more bool) {
	change, told, left := g.MoveVoice(e.room.Channel, min(budget, e.quota), s.core.wall())
	s.emit(g, &change)
	c := s.core.courier
	c.mu.Lock()
	c.voices.unused += e.quota - told
	if left {
		c.voices.more = append(c.voices.more, e.room)
	}
	c.mu.Unlock()
	return told, false
}

// voiceKeyBytes is the length of an HMAC-SHA256 key that cannot be guessed.
const voiceKeyBytes = 32

// useVoice makes the table of media servers. The key signs for those without a secret.
func (c *core) useVoice(key []byte) {
	c.voice = fanout.NewVoiceServers(key, func() { c.courier.ring() })
}

// PutVoiceServer adds a media server or changes one. It is not kept: a media server reports for as
// long as it lives, and who is in voice has a session on this process.
func (n *Node) PutVoiceServer(_ context.Context, name string, in api.VoiceServerInput) error {
	c := fanout.VoiceServerConfig{
		Name: name, Region: in.Region, Endpoint: in.Endpoint, Capacity: in.Capacity,
		Secret: []byte(in.Secret), Load: -1,
	}
	if in.Load != nil {
		c.Load = *in.Load
	}
	if in.ExpiresIn > 0 {
		c.Expires = n.core.clock() + in.ExpiresIn.Milliseconds()
	}
	if err := n.core.voice.Put(c, n.core.limits.voiceServersMax); err != nil {
		return refusal(err)
	}
	return nil
}

// ReportVoiceServer is a media server's word that it lives, and how many users it has.
func (n *Node) ReportVoiceServer(_ context.Context, name string, load int,
	expiresIn time.Duration) error {
	if expiresIn == 0 {
		expiresIn = tuning.VoiceReportTimeout
	}
	if !n.core.voice.Report(name, load, n.core.clock()+expiresIn.Milliseconds()) {
		return api.UnknownVoiceServer
	}
	return nil
}

// RemoveVoiceServer takes a media server away; who is on it is sent to another.
func (n *Node) RemoveVoiceServer(_ context.Context, name string) error {
	if !n.core.voice.Remove(name) {
		return api.UnknownVoiceServer
	}
	return nil
}

// VoiceServers is all media servers, by name.
func (n *Node) VoiceServers(context.Context) ([]api.VoiceServerInfo, error) {
	all := []api.VoiceServerInfo{}
	for _, i := range n.core.voice.List(n.core.clock()) {
		all = append(all, api.VoiceServerInfo{
			Name: i.Name, Region: i.Region, Endpoint: i.Endpoint, Capacity: i.Capacity,
			Load: i.Load, Users: i.Users, Channels: i.Rooms, Up: i.Up,
			ExpiresIn: float64(i.ExpiresMilli) / 1000,
		})
	}
	return all, nil
}
