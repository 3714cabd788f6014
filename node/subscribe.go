package node

import (
	"throng/fanout"
	"throng/wire"
)

// subscriptions is op 14, or op 37, which says the same of several guilds.
func (l *loop) subscriptions(k *socket, s *session, cmd wire.Command) {
	var wants []wire.GuildSubscription
	var fault *wire.CloseError
	if cmd.Op == wire.OpGuildSubscriptionsBulk {
		wants, fault = wire.ParseSubscriptions(cmd.Data)
	} else {
		var one wire.GuildSubscription
		one, fault = wire.ParseSubscription(cmd.Data)
		wants = append(wants, one)
	}
	if fault != nil {
		l.fail(k, fault)
		return
	}
	l.subscribe(s, wants)
}

// subscribe passes on what a session wants of its guilds.
func (l *loop) subscribe(s *session, wants []wire.GuildSubscription) {
	for _, w := range wants {
		switch {
		case s.bot:
			// It hears everything as it is.
		case s.has(w.GuildID):
			l.ask(s, w.GuildID, &subscribeGuild{guildCall{w.GuildID}, s.handle(l), w.Subscription})
		case s.willAsk(w.GuildID):
			// Clients say what they look at as soon as they are ready; see joinMore.
			h := s.habit()
			if h.wants == nil {
				h.wants = map[wire.Snowflake]*wire.Subscription{}
			}
			if h.wants[w.GuildID] == nil {
				h.wants[w.GuildID] = &wire.Subscription{}
			}
			h.wants[w.GuildID].Overlay(w.Subscription)
		default:
			l.core.drop(UnknownGuildCommand)
		}
	}
}

// willAsk says whether the session is going to ask the guild to take it in.
func (s *session) willAsk(guild wire.Snowflake) bool {
	for _, g := range s.guilds[s.asked:] {
		if g == guild {
			return true
		}
	}
	return false
}

// wantsOf takes out what the session has said of a guild before it asked to be taken in.
func (s *session) wantsOf(guild wire.Snowflake) (w *wire.Subscription) {
	if s.habits == nil || s.habits.wants == nil {
		return nil
	}
	w = s.habits.wants[guild]
	delete(s.habits.wants, guild)
	return w
}

// subscribeGuild is op 14, or one guild of op 37.
type subscribeGuild struct {
	guildCall
	handle fanout.Handle
	wants  wire.Subscription
}

func (m *subscribeGuild) from() fanout.Handle      { return m.handle }
func (m *subscribeGuild) kind() messageKind        { return kindSubscribe }
func (m *subscribeGuild) refuse(s *shard, _ error) { s.core.drop(RefusedCommand) }

func (m *subscribeGuild) apply(s *shard, g *fanout.Guild) {
	if g == nil {
		m.refuse(s, nil)
		return
	}
	change := g.Subscribe(m.handle, m.wants, s.core.wall())
	s.emit(g, &change)
}

// updateModeOf is what a session wants to be told while it is passive.
func updateModeOf(capabilities uint32) fanout.UpdateMode {
	switch {
	case capabilities&wire.CapabilityPassiveUpdateV2 != 0:
		return fanout.UpdateV2
	case capabilities&wire.CapabilityPassiveUpdate != 0:
		return fanout.UpdateV1
	}
	return fanout.UpdateUnread
}
