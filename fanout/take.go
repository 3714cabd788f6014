package fanout

import (
	"errors"
	"slices"

	"throng/wire"
)

// Take is a guild on its way from another node, which carries it; see Carry. What this node has of
// it already is the document and the members, as of any moment after the carrying had begun.
type Take struct {
	// Static after construction.
	g    *Guild
	home func(there Handle) (here Handle, ok bool)

	// Owned by the shard goroutine.
	told  map[wire.Snowflake]byte // What who is in voice was told last of the server.
	ended bool
}

var errCarried = errors.New("what another node carries here is malformed")

// Take begins to take g over. home says what a session is called here. REQUIRES: nobody has joined.
func (g *Guild) Take(home func(Handle) (Handle, bool)) *Take {
	return &Take{g: g, home: home, told: map[wire.Snowflake]byte{}}
}

// Next takes the next part. After an error the guild is of no use.
func (k *Take) Next(part []byte) error {
	r := newCarryReader(k, part)
	for !r.Done() && !r.Failed() && !k.ended {
		if err := r.part(); err != nil {
			return err
		}
	}
	if !r.Done() {
		return errCarried
	}
	return nil
}

// Done ends the taking: the guild is this node's, and goes on. The Change is what follows.
func (k *Take) Done(now int64) (Change, error) {
	g := k.g
	if !k.ended {
		return Change{}, errCarried
	}
	cs := &g.classes
	for i := range cs.list {
		c := &cs.list[i]
		if c.receivers == 0 {
			continue
		}
		if id, born := cs.byKey[c.key]; !born || id != uint32(i) {
			return Change{}, errCarried
		}
		cs.live++
	}
	g.sweepDue = len(g.gone)+len(g.sweepAgain) > 0
	g.head = nil
	t := g.turn(now)
	for i := range g.receivers.places() {
		r := g.receivers.at(i)
		if r.Handle != (Handle{}) && !r.passive && r.wants != nil && len(r.wants.lists) > 0 {
			t.subscribeLists(r)
		}
	}
	return t.done(), nil
}

// drop forgets what was carried of a user before.
func (k *Take) drop(user wire.Snowflake) {
	g := k.g
	for at := g.receivers.first(user); at != noReceiver; at = g.receivers.first(user) {
		r, _ := g.receivers.remove(g.receivers.at(at).Handle)
		g.classes.list[r.class].receivers--
		if r.wants != nil && !r.passive {
			g.unwatch(r.Handle, r.wants.members, nil)
		}
	}
	g.presences.set(user, nil)
	delete(g.voices, user)
	delete(g.timeouts, user)
	delete(k.told, user)
}

// add takes a session in that has been one of the guild's elsewhere.
func (k *Take) add(in receiver, r Receiver) {
	g := k.g
	kept := g.receivers.add(r, in.class, in.lazy)
	g.receivers.count(kept, -1)
	kept.spoke, kept.passive = in.spoke, in.passive
	kept.presence, kept.wants = in.presence, in.wants
	g.receivers.count(kept, 1)
	for int(in.class) >= len(g.classes.list) {
		g.classes.list = append(g.classes.list, class{})
	}
	g.classes.list[in.class].receivers++
	if in.wants == nil || in.passive {
		return
	}
	for _, member := range in.wants.members {
		if g.watchers == nil {
			g.watchers = map[wire.Snowflake][]Handle{}
		}
		g.watchers[member] = append(g.watchers[member], r.Handle)
	}
}

// room takes a voice channel in, with its media server if this node knows the same. If not, or if
// users are still to be told of one, the channel is moved as one whose server is lost.
func (k *Take) room(channel wire.Snowflake, room *voiceRoom, server *VoiceServer) bool {
	g := k.g
	if len(room.users) == 0 || room.behind > len(room.users) || g.rooms[channel] != nil {
		return false
	}
	id := VoiceRoom{g.id, channel}
	room.server = server
	if server != nil && !server.own {
		if g.servers == nil {
			room.server = nil
		} else if s := g.servers.settle(id, server, len(room.users)); s != nil {
			room.server = s
		}
	}
	if !g.servers.alive(room.server) || room.behind > 0 {
		g.servers.move(id)
	}
	for at, user := range room.users {
		v := g.voices[user]
		if v == nil || v.channel != channel {
			return false
		}
		v.at = at
		switch k.told[user] {
		case toldThis:
			v.told = room.server
		case toldOther:
			v.told = &VoiceServer{}
		}
	}
	g.rooms[channel] = room
	return true
}

// settle gives a room the server of that name and address, if it is there and alive: the room has
// been on it by way of another node.
func (vs *VoiceServers) settle(room VoiceRoom, as *VoiceServer, users int) *VoiceServer {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	s := vs.byName[as.name]
	if s == nil || !s.up || s.endpoint != as.endpoint {
		return nil
	}
	s.rooms[room] = struct{}{}
	s.users += users
	return s
}

// place takes what a channel or thread has beside what the document says.
func (k *Take) place(id, last wire.Snowflake, pinned []byte, info object) {
	p := (*place)(nil)
	if c := k.g.channelByID[id]; c != nil {
		p, c.info = &c.place, info
	} else if th := k.g.threadByID[id]; th != nil {
		p = &th.place
	} else {
		return
	}
	p.last = last
	if pinned != nil && !slices.Equal(p.pinned, pinned) {
		p.pinned, p.repinned = pinned, true
	}
}

// search takes a search for whom a message mentions, to go on behind the member it had got to.
func (k *Take) search(s *pushSearch) {
	g := k.g
	c := g.channelByID[s.push.Channel]
	if c == nil || len(g.searches) >= pushSearchesMax {
		return
	}
	apart := make(map[wire.Snowflake]bool)
	s.channel = c.forEyes(apart)
	s.eyes, s.meant = g.eyes(apart), make(map[uint32]bool)
	s.members, s.from = g.members.Snapshot(), s.seen
	g.searches = append(g.searches, s)
}
