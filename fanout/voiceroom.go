package fanout

import (
	"fmt"
	"hash/fnv"

	"throng/wire"
)

// voiceRoom is a voice channel that somebody is in, and the media server of all who are.
type voiceRoom struct {
	// users are in the order in which they came, but for the last one, who takes the place of one
	// that leaves. voiceState.at says where each is.
	users  []wire.Snowflake
	server *VoiceServer // nil while there is none
	region string       // the server was chosen for
	// users[behind:] have been told of the server, or need not be.
	// Invariant: 0 <= behind <= len(users).
	behind int
}

// UseVoiceServers gives the guild the media servers that its channels may be on.
func (g *Guild) UseVoiceServers(vs *VoiceServers) { g.servers = vs }

// voiceRegion is where a channel wants its server: its own region, or the guild's; "" is anywhere.
func (g *Guild) voiceRegion(channel wire.Snowflake) string {
	if c := g.channelByID[channel]; c != nil {
		if region, _ := wire.StringField(c.raw, "rtc_region"); region != "" {
			return region
		}
	}
	if region, _ := wire.StringField(g.fields, "region"); region != guildRegionNone {
		return region
	}
	return ""
}

// guildRegionNone is what Discord has in the place of a guild's region since channels have theirs.
const guildRegionNone = "deprecated"

// roomOf is the room of a channel that somebody is in or is about to be.
func (g *Guild) roomOf(channel wire.Snowflake) *voiceRoom {
	room := g.rooms[channel]
	if room == nil {
		room = &voiceRoom{region: g.voiceRegion(channel)}
		g.rooms[channel] = room
	}
	return room
}

// arrive puts the user into the room of its voice state, where there is a server if there is any.
func (g *Guild) arrive(user wire.Snowflake, v *voiceState) {
	room := g.roomOf(v.channel)
	v.at = len(room.users)
	room.users = append(room.users, user)
	if len(room.users) > 1 {
		g.servers.count(room.server, 1)
		if g.servers.alive(room.server) {
			return
		}
	}
	g.house(v.channel, room)
}

// depart takes the user out of the room of its voice state.
func (g *Guild) depart(v *voiceState) {
	room := g.rooms[v.channel]
	last := len(room.users) - 1
	moved := room.users[last]
	room.users[v.at] = moved
	g.voices[moved].at = v.at
	room.users = room.users[:last]
	room.behind = min(room.behind, last)
	if last > 0 {
		g.servers.count(room.server, -1)
		return
	}
	g.servers.vacate(VoiceRoom{g.id, v.channel}, room.server, 1)
	delete(g.rooms, v.channel)
}

// house finds a server for all who are in the room. A guild that has servers of its own uses these.
func (g *Guild) house(channel wire.Snowflake, room *voiceRoom) {
	id := VoiceRoom{g.id, channel}
	g.servers.vacate(id, room.server, len(room.users))
	room.region, room.behind = g.voiceRegion(channel), len(room.users)
	if g.carry != nil {
		for _, user := range room.users {
			g.mark(user) // Told of another server, each of them.
		}
	}
	if len(g.voiceServers) == 0 {
		room.server = g.servers.place(id, room.region, len(room.users))
		return
	}
	hash := fnv.New32a()
	hash.Write(channel.Append(g.id.Append(nil)))
	address := g.voiceServers[hash.Sum32()%uint32(len(g.voiceServers))]
	if s := room.server; s != nil && s.own && s.endpoint == address {
		return
	}
	room.server = &VoiceServer{name: address, endpoint: address, own: true}
}

// tellServer tells the session of a voice state where its media server is.
func (t *turn) tellServer(user wire.Snowflake, v *voiceState) {
	t.g.mark(user)
	room := t.g.rooms[v.channel]
	v.told = room.server
	t.private(v.handle, wire.NewDispatch("VOICE_SERVER_UPDATE", t.serverBody(user, v), nil))
}

// serverBody is the body of VOICE_SERVER_UPDATE: the server of the room, or none.
func (t *turn) serverBody(user wire.Snowflake, v *voiceState) []byte {
	g := t.g
	server := g.rooms[v.channel].server
	session, _ := wire.StringField(v.raw, "session_id")
	claims := voiceClaims{
		user: user, session: session, guild: g.id, channel: v.channel, now: t.now,
	}
	if server != nil {
		claims.server = server.name
	}
	dst := append(make([]byte, 0, 600), `{"token":"`...)
	dst = append(appendVoiceToken(dst, g.servers.secretOf(server), &claims), '"')
	dst = g.id.AppendJSON(wire.AppendKey(dst, "guild_id"))
	dst = wire.AppendKey(dst, "endpoint")
	if server == nil {
		return append(dst, "null}"...)
	}
	return append(wire.AppendString(dst, server.endpoint), '}')
}

// MoveVoice goes on with moving a channel to another server: it tells at most budget users, first
// that their server is gone and then of the next one. It returns how many it told, and whether
// there are more to tell.
func (g *Guild) MoveVoice(channel wire.Snowflake, budget int, now int64) (c Change, told int,
	more bool) {
	t := g.turn(now)
	room := g.rooms[channel]
	if room == nil {
		return t.done(), 0, false
	}
	if !g.servers.alive(room.server) || room.region != g.voiceRegion(channel) {
		g.house(channel, room)
	}
	gone := t.goneDispatch()
	for room.behind > 0 && told < budget {
		room.behind--
		user := room.users[room.behind]
		v := g.voices[user]
		if v.told == room.server || !v.held {
			continue
		}
		told++
		if v.told != nil {
			t.private(v.handle, gone)
		}
		v.told = nil
		g.mark(user)
		if room.server != nil {
			t.tellServer(user, v)
		}
	}
	return t.done(), told, room.behind > 0
}

// goneDispatch says that the voice server is gone: a client must not go back to it, and waits for
// the next.
func (t *turn) goneDispatch() *wire.Dispatch {
	dst := t.g.id.AppendJSON([]byte(`{"token":"","guild_id":`))
	return wire.NewDispatch("VOICE_SERVER_UPDATE", append(dst, `,"endpoint":null}`...), nil)
}

// checkRegions has rooms moved whose channels are to be elsewhere now.
func (g *Guild) checkRegions() {
	for channel, room := range g.rooms {
		if room.region != g.voiceRegion(channel) {
			g.servers.move(VoiceRoom{g.id, channel})
		}
	}
}

// closeRooms gives up all servers: the guild is gone.
func (g *Guild) closeRooms() {
	for channel, room := range g.rooms {
		g.servers.vacate(VoiceRoom{g.id, channel}, room.server, len(room.users))
	}
	clear(g.rooms)
	clear(g.voices)
}

// checkVoice compares the rooms with the voice states.
func (g *Guild) checkVoice() error {
	count := 0
	for channel, room := range g.rooms {
		if count += len(room.users); len(room.users) == 0 || room.behind > len(room.users) {
			return fmt.Errorf("guild %s: voice channel %s has %d users, %d to be told", g.id,
				channel, len(room.users), room.behind)
		}
	}
	if count != len(g.voices) {
		return fmt.Errorf("guild %s: %d users in voice, %d in rooms", g.id, len(g.voices), count)
	}
	for user, v := range g.voices {
		if g.channelByID[v.channel] == nil {
			return fmt.Errorf("guild %s: user %s is in an unknown voice channel", g.id, user)
		}
		if v.held && g.receivers.get(v.handle) == nil {
			return fmt.Errorf("guild %s: user %s is in voice without a session", g.id, user)
		}
		room := g.rooms[v.channel]
		if room == nil || v.at >= len(room.users) || room.users[v.at] != user {
			return fmt.Errorf("guild %s: user %s is not in the room of its channel", g.id, user)
		}
		if v.held && v.at >= room.behind && v.told != room.server {
			return fmt.Errorf("guild %s: user %s was told of another voice server", g.id, user)
		}
	}
	return nil
}
