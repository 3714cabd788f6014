package node

import (
	"fmt"
	"strings"

	"throng/wire"
)

// What clients say of subscriptions, and what they make of passive updates.

// draw is what a client makes of what it hears: which message is a channel's newest.
func (s *simSession) draw(guild wire.Snowflake, name string, d []byte) {
	if s.pictures == nil {
		s.pictures = map[wire.Snowflake]map[wire.Snowflake]wire.Snowflake{}
	}
	picture := s.pictures[guild]
	if picture == nil {
		picture = map[wire.Snowflake]wire.Snowflake{}
		s.pictures[guild] = picture
	}
	paint := func(raw []byte) bool {
		id, _ := wire.SnowflakeField(raw, "id")
		picture[id], _ = wire.SnowflakeField(raw, "last_message_id")
		return true
	}
	key := map[string]string{"GUILD_CREATE": "channels", "PASSIVE_UPDATE_V1": "channels",
		"PASSIVE_UPDATE_V2": "updated_channels", "CHANNEL_UNREAD_UPDATE": "channel_unread_updates"}
	switch name {
	case "CHANNEL_CREATE", "CHANNEL_UPDATE":
		paint(d)
	case "MESSAGE_CREATE":
		channel, _ := wire.SnowflakeField(d, "channel_id")
		id, _ := wire.SnowflakeField(d, "id")
		picture[channel] = max(picture[channel], id)
	default:
		if list := key[name]; list != "" {
			raw, _ := wire.Field(d, list)
			wire.EachElement(raw, paint)
		}
	}
}

// comparePictures holds that a client that was passive all the time has, of the channels that it
// may see, the picture of who listens.
func (w *world) comparePictures() {
	for _, g := range w.model.guilds {
		for _, r := range g.joined {
			l := g.news.of[r]
			if r.client == nil || r.client.record != r {
				continue
			}
			s := r.client.home().byID(mustParseID(r.id))
			if got := r.client.home().board.Passive(s.slot, g.id); got != l.passive {
				w.fail("session %s is passive in guild %d: %t, and should be: %t", r.id, g.id, got,
					l.passive)
			}
			if l.ever || !l.passive || !r.has(0) {
				continue
			}
			w.count("pictures compared")
			for i := range g.channels {
				c := &g.channels[i]
				if got := r.pictures[g.id][c.id]; g.in(r.user, c)&simView != 0 &&
					got != g.news.last[c.id] {
					w.fail("session %s: channel %d has message %d, and the client has %d", r.id,
						c.id, g.news.last[c.id], got)
				}
			}
		}
	}
}

// subscribe says what the client wants of a guild, or of two.
func (c *simClient) subscribe(p *simPipe, g *simGuild) {
	r := c.w.rng
	some := func() string {
		var keys []string
		for _, key := range []string{"typing", "threads", "activities", "member_updates"} {
			if key == "typing" && r.IntN(3) > 0 || r.IntN(3) == 0 {
				keys = append(keys, fmt.Sprintf(`"%s":%t`, key, r.IntN(3) > 0))
			}
		}
		if r.IntN(3) == 0 {
			var ids []string
			for range r.IntN(4) {
				ids = append(ids, fmt.Sprintf(`"%d"`, c.w.users[r.IntN(len(c.w.users))].id))
			}
			keys = append(keys, `"members":[`+strings.Join(ids, ",")+`]`)
		}
		if ch := g.someChannel(); ch != nil && r.IntN(4) == 0 {
			keys = append(keys, fmt.Sprintf(`"channels":{"%d":[[0,99],[100,199]]}`, ch.id))
		}
		return strings.Join(keys, ",")
	}
	if r.IntN(3) > 0 {
		keys := some()
		if keys != "" {
			keys = "," + keys
		}
		c.send(p, wire.OpGuildSubscriptions, fmt.Sprintf(`{"guild_id":"%d"%s}`, g.id, keys))
		return
	}
	other := c.w.model.guilds[r.IntN(len(c.w.model.guilds))]
	d := fmt.Sprintf(`{"subscriptions":{"%d":{%s}`, g.id, some())
	if other != g {
		d += fmt.Sprintf(`,"%d":{%s}`, other.id, some())
	}
	c.send(p, wire.OpGuildSubscriptionsBulk, d+"}}")
}

// passive is the digest of a passive update.
func (b *simBody) passive(name string) string {
	var channels, states, members []string
	for _, list := range [][]simBody{b.Unreads, b.UpdatedChannels, b.Channels} {
		for _, c := range list {
			last := c.Last
			if last == "" {
				last = "0"
			}
			channels = append(channels, c.ID+"="+last)
		}
	}
	if name == "CHANNEL_UNREAD_UPDATE" {
		return strings.Join(channels, " ")
	}
	for _, v := range append(b.Voices, b.UpdatedVoices...) {
		states = append(states, v.digest("VOICE_STATE_UPDATE"))
	}
	for _, m := range append(b.Members, b.UpdatedMembers...) {
		members = append(members, m.member())
	}
	text := fmt.Sprintf("channels %v voice %v members %v", channels, states, members)
	if name == "PASSIVE_UPDATE_V2" {
		text += fmt.Sprintf(" gone %v", b.RemovedVoices)
	}
	return text
}
