package fanout

import (
	"cmp"
	"fmt"
	"slices"

	"throng/wire"
)

// Info is what an operator may know of a guild.
type Info struct {
	ID           wire.Snowflake
	Name         string
	MemberCount  int
	SessionCount int
	ActiveCount  int
	PassiveCount int
	ClassCount   int
	ClassesFreed int // Their numbers are given to no class at present.
	OnlineCount  int
	EventIndex   uint64
	Loops        []int // Loops with sessions. Not to be changed.
}

// Info returns the guild's figures.
func (g *Guild) Info() Info {
	return Info{
		ID: g.id, Name: g.name, MemberCount: g.members.Len(),
		SessionCount: g.receivers.len(), ActiveCount: g.receivers.len() - g.receivers.passive,
		PassiveCount: g.receivers.passive,
		ClassCount:   len(g.classes.born), ClassesFreed: len(g.classes.free),
		OnlineCount: g.presences.online,
		EventIndex:  g.index, Loops: g.receivers.loops.all,
	}
}

// Member returns the whole member object, or nil when there is no such member.
func (g *Guild) Member(user wire.Snowflake) []byte {
	m, ok := g.members.Get(uint64(user))
	if !ok {
		return nil
	}
	view := g.view()
	return view.append(nil, m, 0)
}

// Object returns the guild object as clients know it, without members: for GET guilds/{id}.
func (g *Guild) Object() []byte { return g.updateBody() }

// Channel returns a channel's or thread's object, or nil when the guild has none of that id.
func (g *Guild) Channel(id wire.Snowflake) []byte {
	if c := g.channelByID[id]; c != nil {
		return c.append(nil, g.id)
	}
	if th := g.threadByID[id]; th != nil {
		return th.append(nil, 0)
	}
	return nil
}

// HasMember reports whether the user is a member.
func (g *Guild) HasMember(user wire.Snowflake) bool {
	_, ok := g.members.Get(uint64(user))
	return ok
}

// Channels returns the ids of the guild's channels and threads, ascending.
func (g *Guild) Channels() []wire.Snowflake {
	ids := make([]wire.Snowflake, 0, len(g.channels)+len(g.threads))
	for _, c := range g.channels {
		ids = append(ids, c.id)
	}
	for _, th := range g.threads {
		ids = append(ids, th.id)
	}
	slices.Sort(ids)
	return ids
}

// Soundboard returns the answer to a request for the guild's sounds.
func (g *Guild) Soundboard() *wire.Dispatch {
	return wire.NewDispatch("SOUNDBOARD_SOUNDS", g.thingsBody(&soundKind), nil)
}

// channelInfoKeys are what CHANNEL_INFO can tell of a channel.
var channelInfoKeys = []string{"status", "voice_start_time"}

// ChannelInfo returns the answer to a request for channel info: of the channels that the user can
// view, those of which there is something to tell.
func (g *Guild) ChannelInfo(
	cmd wire.ChannelInfoCommand, user wire.Snowflake, now int64,
) *wire.Dispatch {
	dst := g.id.AppendJSON([]byte(`{"guild_id":`))
	dst = append(wire.AppendKey(dst, "channels"), '[')
	for _, c := range g.channels {
		if len(c.info) == 0 || !g.Can(user, c.id, wire.PermissionViewChannel, now) {
			continue
		}
		o := object{{"id", quotedID(c.id)}}
		for _, key := range channelInfoKeys {
			if raw := c.info.get(key); raw != nil && slices.Contains(cmd.Fields, key) {
				o.set(key, raw)
			}
		}
		if len(o) > 1 {
			dst = append(wire.AppendComma(dst), o.bytes()...)
		}
	}
	return wire.NewDispatch("CHANNEL_INFO", append(dst, ']', '}'), nil)
}

// Check returns the first invariant that does not hold, for an operator to look at a live node.
func (g *Guild) Check() error {
	if g.roleByID[g.id] == nil {
		return fmt.Errorf("guild %s has no @everyone", g.id)
	}
	if err := g.checkReceivers(); err != nil {
		return err
	}
	for _, th := range g.threads {
		if g.channelByID[th.parent] == nil {
			return fmt.Errorf("guild %s: thread %s has no parent", g.id, th.id)
		}
		if !slices.IsSortedFunc(th.members, func(a, b threadMember) int {
			return cmp.Compare(a.user, b.user)
		}) {
			return fmt.Errorf("guild %s: members of thread %s are out of order", g.id, th.id)
		}
	}
	if err := g.checkVoice(); err != nil {
		return err
	}
	if g.lists != nil {
		if err := g.lists.check(); err != nil {
			return err
		}
	}
	for q, m := range g.classes.memos {
		if m.known > len(g.classes.born) {
			return fmt.Errorf("guild %s: unborn classes see channel %s", g.id, q.channel)
		}
	}
	return nil
}

// checkReceivers compares the records of sessions with the members and classes they belong to.
func (g *Guild) checkReceivers() error {
	held := make([]int, len(g.classes.list))
	for h, at := range g.receivers.byHandle {
		r := g.receivers.at(at)
		if r.Handle != h {
			return fmt.Errorf("guild %s: session %v is filed under %v", g.id, r.Handle, h)
		}
		member, ok := g.members.Get(uint64(r.User))
		if !ok {
			return fmt.Errorf("guild %s: session %v is of no member", g.id, h)
		}
		if int(r.class) >= len(held) {
			return fmt.Errorf("guild %s: session %v is of no class", g.id, h)
		}
		held[r.class]++
		key := g.classes.list[r.class].key
		// A timeout ends with time, and the class follows at the next event.
		now := member.TimeoutAt
		if key.timedOut {
			now--
		}
		if want := g.keyOf(member, now); key != want {
			return fmt.Errorf("guild %s: session %v is of class %+v, not %+v", g.id, h, key, want)
		}
	}
	live := 0
	for id, count := range held {
		if g.classes.list[id].receivers != count {
			return fmt.Errorf("guild %s: class %d has %d sessions, not %d",
				g.id, id, count, g.classes.list[id].receivers)
		}
		if count > 0 {
			live++
		}
	}
	if numbers := len(g.classes.born) + len(g.classes.free); numbers != len(g.classes.list) ||
		len(g.classes.byKey) != len(g.classes.born) {
		return fmt.Errorf("guild %s: %d classes have %d numbers and %d keys", g.id,
			len(g.classes.born), len(g.classes.list), len(g.classes.byKey))
	}
	if live != g.classes.live {
		return fmt.Errorf("guild %s: %d classes are live, not %d", g.id, live, g.classes.live)
	}
	return nil
}
