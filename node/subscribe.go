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
			if l.core.mesh.many() {
				s.remember(w)
			}
			l.ask(s, w.GuildID, &subscribeGuild{guildCall{w.GuildID}, s.handle(l), w.Subscription})
		case s.willAsk(w.GuildID):
			// Clients say what they look at as soon as they are ready; see joinMore.
			s.remember(w)
		default:
			l.core.drop(UnknownGuildCommand)
		}
	}
}

// remember adds to what the session wants of a guild.
func (s *session) remember(w wire.GuildSubscription) {
	h := s.habit()
	if h.wants == nil {
		h.wants = map[wire.Snowflake]*wire.Subscription{}
	}
	if h.wants[w.GuildID] == nil {
		h.wants[w.GuildID] = &wire.Subscription{}
	}
	h.wants[w.GuildID].Overlay(w.Subscription)
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

// wantsOf is what the session has said that it wants of a guild that it asks to be taken in. A node
// that is alone has no more use for it.
func (l *loop) wantsOf(s *session, guild wire.Snowflake) (w *wire.Subscription) {
	if s.habits == nil || s.habits.wants == nil {
		return nil
	}
	w = s.habits.wants[guild]
	if !l.core.mesh.many() {
		delete(s.habits.wants, guild)
	}
	return w
}

// voiceIn is where the session has said that it is in voice.
func (s *session) voiceIn(guild wire.Snowflake) (v wire.VoiceStateCommand, ok bool) {
	if s.habits != nil {
		v, ok = s.habits.voice[guild]
	}
	return v, ok
}

// rememberVoice takes note of where the session is in voice.
func (s *session) rememberVoice(v wire.VoiceStateCommand) {
	h := s.habit()
	if h.voice == nil {
		h.voice = map[wire.Snowflake]wire.VoiceStateCommand{}
	}
	if h.voice[v.GuildID] = v; v.ChannelID == 0 {
		delete(h.voice, v.GuildID)
	}
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
