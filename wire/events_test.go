package wire

import (
	"strings"
	"testing"
)

// The intents table of the protocol, written down the way its documentation prints it: by
// intent, not by event, so that it is no copy of the table it checks.
func TestEventTableIsThatOfTheProtocol(t *testing.T) {
	guild := map[Intents]string{
		IntentGuilds: `GUILD_CREATE GUILD_UPDATE GUILD_DELETE GUILD_ROLE_CREATE GUILD_ROLE_UPDATE
			GUILD_ROLE_DELETE CHANNEL_CREATE CHANNEL_UPDATE CHANNEL_DELETE CHANNEL_PINS_UPDATE
			THREAD_CREATE THREAD_UPDATE THREAD_DELETE THREAD_LIST_SYNC THREAD_MEMBER_UPDATE
			THREAD_MEMBERS_UPDATE STAGE_INSTANCE_CREATE STAGE_INSTANCE_UPDATE
			STAGE_INSTANCE_DELETE VOICE_CHANNEL_STATUS_UPDATE VOICE_CHANNEL_START_TIME_UPDATE`,
		IntentGuildMembers: `GUILD_MEMBER_ADD GUILD_MEMBER_UPDATE GUILD_MEMBER_REMOVE
			THREAD_MEMBERS_UPDATE`,
		IntentGuildModeration: `GUILD_AUDIT_LOG_ENTRY_CREATE GUILD_BAN_ADD GUILD_BAN_REMOVE`,
		IntentGuildExpressions: `GUILD_EMOJIS_UPDATE GUILD_STICKERS_UPDATE
			GUILD_SOUNDBOARD_SOUND_CREATE GUILD_SOUNDBOARD_SOUND_UPDATE
			GUILD_SOUNDBOARD_SOUND_DELETE GUILD_SOUNDBOARD_SOUNDS_UPDATE`,
		IntentGuildIntegrations: `GUILD_INTEGRATIONS_UPDATE INTEGRATION_CREATE INTEGRATION_UPDATE
			INTEGRATION_DELETE`,
		IntentGuildWebhooks:    `WEBHOOKS_UPDATE`,
		IntentGuildInvites:     `INVITE_CREATE INVITE_DELETE`,
		IntentGuildVoiceStates: `VOICE_STATE_UPDATE VOICE_CHANNEL_EFFECT_SEND`,
		IntentGuildPresences:   `PRESENCE_UPDATE`,
		IntentGuildMessages:    `MESSAGE_CREATE MESSAGE_UPDATE MESSAGE_DELETE MESSAGE_DELETE_BULK`,
		IntentGuildMessageReactions: `MESSAGE_REACTION_ADD MESSAGE_REACTION_REMOVE
			MESSAGE_REACTION_REMOVE_ALL MESSAGE_REACTION_REMOVE_EMOJI MESSAGE_REACTION_ADD_MANY`,
		IntentGuildMessageTyping: `TYPING_START`,
		IntentGuildScheduledEvents: `GUILD_SCHEDULED_EVENT_CREATE GUILD_SCHEDULED_EVENT_UPDATE
			GUILD_SCHEDULED_EVENT_DELETE GUILD_SCHEDULED_EVENT_USER_ADD
			GUILD_SCHEDULED_EVENT_USER_REMOVE`,
		IntentAutoModConfiguration: `AUTO_MODERATION_RULE_CREATE AUTO_MODERATION_RULE_UPDATE
			AUTO_MODERATION_RULE_DELETE`,
		IntentAutoModExecution:   `AUTO_MODERATION_ACTION_EXECUTION`,
		IntentGuildMessagePolls:  `MESSAGE_POLL_VOTE_ADD MESSAGE_POLL_VOTE_REMOVE`,
		IntentDirectMessages:     ``,
		IntentDirectMessagePolls: ``,
	}
	direct := map[Intents]string{
		IntentDirectMessages:         guild[IntentGuildMessages] + ` CHANNEL_PINS_UPDATE`,
		IntentDirectMessageReactions: guild[IntentGuildMessageReactions],
		IntentDirectMessageTyping:    guild[IntentGuildMessageTyping],
		IntentDirectMessagePolls:     guild[IntentGuildMessagePolls],
	}
	free := `READY RESUMED USER_UPDATE VOICE_SERVER_UPDATE INTERACTION_CREATE
		APPLICATION_COMMAND_PERMISSIONS_UPDATE ENTITLEMENT_CREATE ENTITLEMENT_UPDATE
		ENTITLEMENT_DELETE SUBSCRIPTION_CREATE SUBSCRIPTION_UPDATE SUBSCRIPTION_DELETE
		GUILD_MEMBERS_CHUNK SOUNDBOARD_SOUNDS CHANNEL_INFO RATE_LIMITED`

	want := map[string][2]Intents{}
	for intent, names := range guild {
		for _, name := range strings.Fields(names) {
			want[name] = [2]Intents{want[name][0] | intent, 0}
		}
	}
	for intent, names := range direct {
		for _, name := range strings.Fields(names) {
			want[name] = [2]Intents{want[name][0], want[name][1] | intent}
		}
	}
	for _, name := range strings.Fields(free) {
		want[name] = [2]Intents{}
	}
	for name, intents := range want {
		info, ok := LookupEvent(name)
		if !ok || info.Name != name || !ValidEventName(name) {
			t.Errorf("%s: got %+v, %v, want it in the table", name, info, ok)
		}
		if got := [2]Intents{info.Guild, info.Direct}; got != intents {
			t.Errorf("%s: got intents %v, want %v", name, got, intents)
		}
	}
	for name := range eventsByName {
		if _, ok := want[name]; !ok {
			t.Errorf("%s is in the table and not in the protocol", name)
		}
	}
}

func TestEventGates(t *testing.T) {
	view := EventInfo{Gate: PermissionViewChannel, Channel: true, ChannelKey: "channel_id"}
	viewID, viewParent := view, view
	viewID.ChannelKey, viewParent.ChannelKey = "id", "parent_id"
	manage := EventInfo{Gate: PermissionManageChannels, Channel: true, ChannelKey: "channel_id"}
	gates := map[string]EventInfo{
		"CHANNEL_CREATE CHANNEL_UPDATE CHANNEL_DELETE": {ChannelKey: "id"},
		`MESSAGE_CREATE MESSAGE_UPDATE MESSAGE_DELETE MESSAGE_DELETE_BULK MESSAGE_REACTION_ADD
		 MESSAGE_REACTION_REMOVE MESSAGE_REACTION_REMOVE_ALL MESSAGE_REACTION_REMOVE_EMOJI
		 MESSAGE_REACTION_ADD_MANY TYPING_START MESSAGE_POLL_VOTE_ADD MESSAGE_POLL_VOTE_REMOVE
		 CHANNEL_PINS_UPDATE VOICE_STATE_UPDATE VOICE_CHANNEL_EFFECT_SEND WEBHOOKS_UPDATE
		 STAGE_INSTANCE_CREATE STAGE_INSTANCE_UPDATE STAGE_INSTANCE_DELETE
		 GUILD_SCHEDULED_EVENT_CREATE GUILD_SCHEDULED_EVENT_UPDATE
		 GUILD_SCHEDULED_EVENT_DELETE`: view,
		`VOICE_CHANNEL_STATUS_UPDATE VOICE_CHANNEL_START_TIME_UPDATE THREAD_MEMBER_UPDATE
		 THREAD_MEMBERS_UPDATE`: viewID,
		"THREAD_CREATE THREAD_UPDATE THREAD_DELETE": viewParent,
		"INVITE_CREATE INVITE_DELETE":               manage,
		"GUILD_AUDIT_LOG_ENTRY_CREATE":              {Gate: PermissionViewAuditLog},
		"GUILD_BAN_ADD GUILD_BAN_REMOVE": {
			Gate: PermissionBanMembers | PermissionViewAuditLog, GateAny: true,
		},
		`AUTO_MODERATION_RULE_CREATE AUTO_MODERATION_RULE_UPDATE AUTO_MODERATION_RULE_DELETE
		 AUTO_MODERATION_ACTION_EXECUTION`: {Gate: PermissionManageGuild},
	}
	want := map[string]EventInfo{}
	for names, gate := range gates {
		for _, name := range strings.Fields(names) {
			want[name] = gate
		}
	}
	for name, got := range eventsByName {
		gate := want[name]
		if got.Gate != gate.Gate || got.GateAny != gate.GateAny || got.Channel != gate.Channel ||
			got.ChannelKey != gate.ChannelKey {
			t.Errorf("%s: got %+v, want the gate %+v", name, got, gate)
		}
	}
	selfRules := map[string]SelfRule{
		"PRESENCE_UPDATE": SelfNever, "GUILD_MEMBER_UPDATE": SelfAlways,
		"THREAD_MEMBERS_UPDATE": SelfOnlyGuilds, "THREAD_MEMBER_UPDATE": SelfOnly,
	}
	for name, got := range eventsByName {
		if got.Self != selfRules[name] {
			t.Errorf("%s: got self rule %d, want %d", name, got.Self, selfRules[name])
		}
	}
}

func TestGateOfOneBitOrAll(t *testing.T) {
	ban, _ := LookupEvent("GUILD_BAN_ADD")
	for held, want := range map[Permissions]bool{
		0: false, PermissionViewChannel: false, PermissionBanMembers: true,
		PermissionViewAuditLog: true, PermissionsAll: true,
	} {
		if got := ban.Allows(held); got != want {
			t.Errorf("GUILD_BAN_ADD with %d: got %v, want %v", held, got, want)
		}
	}
	both := EventInfo{Gate: PermissionBanMembers | PermissionViewAuditLog}
	if both.Allows(PermissionBanMembers) || !both.Allows(PermissionsAll) {
		t.Error("a gate of two bits without GateAny: got passed by one of them")
	}
	if !(EventInfo{}).Allows(0) {
		t.Error("no gate: got closed")
	}
}

func TestEventNames(t *testing.T) {
	for name, want := range map[string]bool{
		"": false, "A": true, "GAME_STATE_2": true, "message": false, "A B": false, "A\"": false,
		strings.Repeat("X", 64): true, strings.Repeat("X", 65): false, "É": false, "A-B": false,
	} {
		if got := ValidEventName(name); got != want {
			t.Errorf("ValidEventName(%q): got %v, want %v", name, got, want)
		}
	}
	if info, ok := LookupEvent("GAME_STATE"); ok || info != (EventInfo{}) {
		t.Errorf("an unknown event: got %+v, %v", info, ok)
	}
}

func TestIntents(t *testing.T) {
	if IntentsBot != 53608447 {
		t.Errorf("IntentsBot: got %d, want 53608447", IntentsBot)
	}
	for bit := range 32 {
		i := Intents(1) << bit
		bot := bit <= 16 || bit == 20 || bit == 21 || bit == 24 || bit == 25
		if got := ValidIntents(i, true); got != bot {
			t.Errorf("bit %d for a bot: got %v, want %v", bit, got, bot)
		}
		if got, want := ValidIntents(i, false), bit <= 28; got != want {
			t.Errorf("bit %d for a user: got %v, want %v", bit, got, want)
		}
	}
	if IntentsPrivileged != 1<<1|1<<8|1<<15 {
		t.Errorf("IntentsPrivileged: got %b", IntentsPrivileged)
	}
	for flags, want := range map[uint64]Intents{
		0:       0,
		1 << 12: IntentGuildPresences, 1 << 13: IntentGuildPresences,
		1 << 14: IntentGuildMembers, 1 << 15: IntentGuildMembers,
		1 << 18: IntentMessageContent, 1 << 19: IntentMessageContent,
		565248: IntentsPrivileged,
	} {
		if got := GrantedIntents(flags) & IntentsPrivileged; got != want {
			t.Errorf("application flags %d: got %b, want %b", flags, got, want)
		}
	}
}

func TestStructurePassesAndTalkDoesNot(t *testing.T) {
	for _, name := range []string{
		"GUILD_UPDATE", "GUILD_DELETE", "GUILD_ROLE_CREATE", "GUILD_ROLE_UPDATE", "GUILD_ROLE_DELETE",
		"CHANNEL_CREATE", "CHANNEL_UPDATE", "CHANNEL_DELETE", "THREAD_CREATE", "THREAD_UPDATE",
		"THREAD_DELETE", "THREAD_LIST_SYNC", "GUILD_EMOJIS_UPDATE", "STAGE_INSTANCE_CREATE",
		"GUILD_SCHEDULED_EVENT_UPDATE", "INTERACTION_CREATE", "NO_SUCH_EVENT",
	} {
		if info, _ := LookupEvent(name); !info.Passes() {
			t.Errorf("%s does not pass", name)
		}
	}
	for _, name := range []string{
		"MESSAGE_CREATE", "MESSAGE_UPDATE", "MESSAGE_DELETE", "MESSAGE_REACTION_ADD", "TYPING_START",
		"PRESENCE_UPDATE", "VOICE_STATE_UPDATE", "CHANNEL_PINS_UPDATE", "GUILD_MEMBER_ADD",
		"GUILD_MEMBER_UPDATE", "GUILD_MEMBER_REMOVE", "GUILD_BAN_ADD", "INVITE_CREATE",
		"GUILD_SCHEDULED_EVENT_USER_ADD", "THREAD_MEMBERS_UPDATE",
	} {
		if info, _ := LookupEvent(name); info.Passes() {
			t.Errorf("%s passes", name)
		}
	}
}
