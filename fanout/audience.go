package fanout

import (
	"strings"

	"throng/wire"
)

const keyChannelID = "channel_id"

// toAll is the audience of an event that has no gate.
func toAll(info wire.EventInfo) Event { return Event{Intents: info.Guild} }

// audience decides who hears an event that changes no state: those with one of its intents who
// pass its gate, and, when it names a channel, only those who can view it, whatever it is called.
func (g *Guild) audience(info wire.EventInfo, o object) (Event, *Error) {
	ev := toAll(info)
	key := info.ChannelKey
	if key == "" {
		key = keyChannelID
	}
	if !o.present(key) {
		if info.Channel && !channelOptional(info.Name) {
			return ev, invalid("d."+key, "It must be the id of a channel.")
		}
		if info.Gate != 0 && !info.Channel {
			ev.Visible = g.sight(gate{need: info.Gate, any: info.GateAny})
		}
		return ev, nil
	}
	id, ok := o.id(key)
	if !ok {
		return ev, invalid("d."+key, "It must be the id of a channel.")
	}
	if !g.see(&ev, id, info.Gate) {
		return ev, notFound("d."+key, "The guild has no such channel.")
	}
	return ev, nil
}

// channelOptional reports whether the event may happen outside any channel.
func channelOptional(name string) bool {
	return strings.HasPrefix(name, "GUILD_SCHEDULED_EVENT_")
}

// see limits the event to those who view the channel or thread, and hold the further permissions
// there. It returns false when the guild has no channel of that id.
//
// A private thread is seen by those who manage threads in its parent, as a class like any other,
// and by its members: these are named one by one, since there are few and no class tells them.
func (g *Guild) see(ev *Event, id wire.Snowflake, need wire.Permissions) bool {
	need |= wire.PermissionViewChannel
	if g.channelByID[id] != nil {
		ev.Visible = g.sight(gate{channel: id, need: need})
		return true
	}
	t := g.threadByID[id]
	if t == nil {
		return false
	}
	g.seeThread(ev, t, need)
	return true
}

func (g *Guild) seeThread(ev *Event, t *thread, need wire.Permissions) {
	if !t.private() {
		ev.Visible = g.sight(gate{channel: t.parent, need: need})
		return
	}
	ev.Visible = g.sight(gate{channel: t.parent, need: need | wire.PermissionManageThreads})
	ev.Also = nil
	viewers := g.sight(gate{channel: t.parent, need: need})
	for _, m := range t.members {
		at := g.receivers.first(m.user)
		if at != noReceiver && viewers.Has(g.receivers.at(at).class) {
			ev.Also = append(ev.Also, m.user)
		}
	}
}

// seesThread reports whether a user of the class may see the thread.
func (g *Guild) seesThread(t *thread, user wire.Snowflake, class uint32) bool {
	if !g.seesChannel(class, t.parent) {
		return false
	}
	if !t.private() {
		return true
	}
	if _, joined := t.member(user); joined {
		return true
	}
	need := wire.PermissionViewChannel | wire.PermissionManageThreads
	return g.sight(gate{channel: t.parent, need: need}).Has(class)
}

// Can reports whether the user holds all of the permissions in the channel, or in the guild when
// channel is 0. In a thread the parent decides, sending counts as sending in threads, and a private
// one must be visible at all.
func (g *Guild) Can(user, channel wire.Snowflake, want wire.Permissions, now int64) bool {
	member, ok := g.members.Get(uint64(user))
	if !ok {
		return false
	}
	subject := g.subjectOf(g.keyOf(member, now))
	subject.User = user
	base := g.basePermissions(subject)
	if channel == 0 {
		return base.Has(want)
	}
	c := g.channelByID[channel]
	t := g.threadByID[channel]
	if t != nil {
		c = g.channelByID[t.parent]
		if want.Has(wire.PermissionSendMessages) {
			want = want&^wire.PermissionSendMessages | wire.PermissionSendMessagesInThreads
		}
		if _, joined := t.member(user); t.private() && !joined {
			want |= wire.PermissionManageThreads
		}
	}
	if c == nil {
		return false
	}
	return wire.ChannelPermissions(base, g.id, subject, c.overwrites).Has(
		want | wire.PermissionViewChannel)
}
