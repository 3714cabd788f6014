package wire

// eventGroup is a row of the event table: dispatches that share their rules.
type eventGroup struct {
	rule  EventInfo
	names []string
}

// eventsByName is the event table by name. It is never written to after it was made.
var eventsByName = indexEvents(guildEvents(), channelEvents(), messageEvents(), freeEvents())

func indexEvents(tables ...[]eventGroup) map[string]EventInfo {
	index := make(map[string]EventInfo)
	for _, table := range tables {
		for _, group := range table {
			for _, name := range group.names {
				info := group.rule
				info.Name = name
				index[name] = info
			}
		}
	}
	return index
}

// onChannel is the rule of dispatches that only those get who can view the channel.
func onChannel(guild, direct Intents, key string) EventInfo {
	return EventInfo{
		Guild: guild, Direct: direct,
		Gate: PermissionViewChannel, Channel: true, ChannelKey: key,
	}
}

func structure(e EventInfo) EventInfo {
	e.Structure = true
	return e
}

// freeEvents are those that no intent holds back.
func freeEvents() []eventGroup {
	return []eventGroup{{EventInfo{}, []string{
		"READY", "RESUMED", "USER_UPDATE", "VOICE_SERVER_UPDATE", "INTERACTION_CREATE",
		"APPLICATION_COMMAND_PERMISSIONS_UPDATE",
		"ENTITLEMENT_CREATE", "ENTITLEMENT_UPDATE", "ENTITLEMENT_DELETE",
		"SUBSCRIPTION_CREATE", "SUBSCRIPTION_UPDATE", "SUBSCRIPTION_DELETE",
		"GUILD_MEMBERS_CHUNK", "SOUNDBOARD_SOUNDS", "CHANNEL_INFO", "RATE_LIMITED",
	}}}
}

// guildEvents are those about a guild as a whole or about its members.
func guildEvents() []eventGroup {
	return []eventGroup{
		{EventInfo{Guild: IntentGuilds, Structure: true}, []string{
			"GUILD_CREATE", "GUILD_UPDATE", "GUILD_DELETE",
			"GUILD_ROLE_CREATE", "GUILD_ROLE_UPDATE", "GUILD_ROLE_DELETE",
		}},
		{EventInfo{Guild: IntentGuildMembers}, []string{
			"GUILD_MEMBER_ADD", "GUILD_MEMBER_REMOVE",
		}},
		{EventInfo{Guild: IntentGuildMembers, Self: SelfAlways}, []string{
			"GUILD_MEMBER_UPDATE",
		}},
		{EventInfo{Guild: IntentGuildPresences, Self: SelfNever}, []string{
			"PRESENCE_UPDATE",
		}},
		{EventInfo{Guild: IntentGuildModeration, Gate: PermissionViewAuditLog}, []string{
			"GUILD_AUDIT_LOG_ENTRY_CREATE",
		}},
		{EventInfo{
			Guild: IntentGuildModeration,
			Gate:  PermissionBanMembers | PermissionViewAuditLog, GateAny: true,
		}, []string{
			"GUILD_BAN_ADD", "GUILD_BAN_REMOVE",
		}},
		{EventInfo{Guild: IntentGuildExpressions, Structure: true}, []string{
			"GUILD_EMOJIS_UPDATE", "GUILD_STICKERS_UPDATE",
			"GUILD_SOUNDBOARD_SOUND_CREATE", "GUILD_SOUNDBOARD_SOUND_UPDATE",
			"GUILD_SOUNDBOARD_SOUND_DELETE", "GUILD_SOUNDBOARD_SOUNDS_UPDATE",
		}},
		{EventInfo{Guild: IntentGuildIntegrations}, []string{
			"GUILD_INTEGRATIONS_UPDATE",
			"INTEGRATION_CREATE", "INTEGRATION_UPDATE", "INTEGRATION_DELETE",
		}},
		{EventInfo{Guild: IntentGuildScheduledEvents}, []string{
			"GUILD_SCHEDULED_EVENT_USER_ADD", "GUILD_SCHEDULED_EVENT_USER_REMOVE",
		}},
		{EventInfo{Guild: IntentAutoModConfiguration, Gate: PermissionManageGuild}, []string{
			"AUTO_MODERATION_RULE_CREATE", "AUTO_MODERATION_RULE_UPDATE",
			"AUTO_MODERATION_RULE_DELETE",
		}},
		{EventInfo{Guild: IntentAutoModExecution, Gate: PermissionManageGuild}, []string{
			"AUTO_MODERATION_ACTION_EXECUTION",
		}},
	}
}

// channelEvents are those about a channel, a thread or who is in a voice channel.
func channelEvents() []eventGroup {
	threadMembers := onChannel(IntentGuilds|IntentGuildMembers, 0, channelKeyID)
	threadMembers.Self = SelfOnlyGuilds
	threadMember := onChannel(IntentGuilds, 0, channelKeyID)
	threadMember.Self = SelfOnly
	invites := onChannel(IntentGuildInvites, 0, channelKeyChannel)
	invites.Gate = PermissionManageChannels
	return []eventGroup{
		{EventInfo{Guild: IntentGuilds, ChannelKey: channelKeyID, Structure: true}, []string{
			"CHANNEL_CREATE", "CHANNEL_UPDATE", "CHANNEL_DELETE",
		}},
		{onChannel(IntentGuilds, IntentDirectMessages, channelKeyChannel), []string{
			"CHANNEL_PINS_UPDATE",
		}},
		{structure(onChannel(IntentGuilds, 0, channelKeyParent)), []string{
			"THREAD_CREATE", "THREAD_UPDATE", "THREAD_DELETE",
		}},
		// It is made for one session, of what that one can view.
		{EventInfo{Guild: IntentGuilds, Structure: true}, []string{"THREAD_LIST_SYNC"}},
		{threadMember, []string{"THREAD_MEMBER_UPDATE"}},
		{threadMembers, []string{"THREAD_MEMBERS_UPDATE"}},
		{structure(onChannel(IntentGuilds, 0, channelKeyChannel)), []string{
			"STAGE_INSTANCE_CREATE", "STAGE_INSTANCE_UPDATE", "STAGE_INSTANCE_DELETE",
		}},
		{onChannel(IntentGuilds, 0, channelKeyID), []string{
			"VOICE_CHANNEL_STATUS_UPDATE", "VOICE_CHANNEL_START_TIME_UPDATE",
		}},
		{onChannel(IntentGuildVoiceStates, 0, channelKeyChannel), []string{
			"VOICE_STATE_UPDATE", "VOICE_CHANNEL_EFFECT_SEND",
		}},
		{onChannel(IntentGuildWebhooks, 0, channelKeyChannel), []string{"WEBHOOKS_UPDATE"}},
		{invites, []string{"INVITE_CREATE", "INVITE_DELETE"}},
		{structure(onChannel(IntentGuildScheduledEvents, 0, channelKeyChannel)), []string{
			"GUILD_SCHEDULED_EVENT_CREATE", "GUILD_SCHEDULED_EVENT_UPDATE",
			"GUILD_SCHEDULED_EVENT_DELETE",
		}},
	}
}

// messageEvents are those about messages, which guilds and direct messages share.
func messageEvents() []eventGroup {
	return []eventGroup{
		{onChannel(IntentGuildMessages, IntentDirectMessages, channelKeyChannel), []string{
			"MESSAGE_CREATE", "MESSAGE_UPDATE", "MESSAGE_DELETE", "MESSAGE_DELETE_BULK",
		}},
		{onChannel(IntentGuildMessageReactions, IntentDirectMessageReactions,
			channelKeyChannel), []string{
			"MESSAGE_REACTION_ADD", "MESSAGE_REACTION_REMOVE", "MESSAGE_REACTION_REMOVE_ALL",
			"MESSAGE_REACTION_REMOVE_EMOJI", "MESSAGE_REACTION_ADD_MANY",
		}},
		{onChannel(IntentGuildMessageTyping, IntentDirectMessageTyping,
			channelKeyChannel), []string{
			"TYPING_START",
		}},
		{onChannel(IntentGuildMessagePolls, IntentDirectMessagePolls,
			channelKeyChannel), []string{
			"MESSAGE_POLL_VOTE_ADD", "MESSAGE_POLL_VOTE_REMOVE",
		}},
	}
}
