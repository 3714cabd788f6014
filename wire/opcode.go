package wire

import "strconv"

// Op says what a payload is. Clients may send some, the server others, op 1 goes both ways.
type Op int

// Ops of the documented protocol, and those that only user clients send. The user ops are
// known here because an unknown op closes the connection, and no such client deserves that.
const (
	OpDispatch                Op = 0
	OpHeartbeat               Op = 1
	OpIdentify                Op = 2
	OpPresenceUpdate          Op = 3
	OpVoiceStateUpdate        Op = 4
	OpVoiceServerPing         Op = 5
	OpResume                  Op = 6
	OpReconnect               Op = 7
	OpRequestGuildMembers     Op = 8
	OpInvalidSession          Op = 9
	OpHello                   Op = 10
	OpHeartbeatAck            Op = 11
	OpGuildSync               Op = 12
	OpCallConnect             Op = 13
	OpGuildSubscriptions      Op = 14
	OpLobbyVoiceStates        Op = 17
	OpStreamCreate            Op = 18
	OpStreamDelete            Op = 19
	OpStreamWatch             Op = 20
	OpStreamPing              Op = 21
	OpStreamPause             Op = 22
	OpForumUnreads            Op = 28
	OpRemoteCommand           Op = 29
	OpDeletedEntityIDs        Op = 30
	OpRequestSoundboardSounds Op = 31
	OpSpeedTestCreate         Op = 32
	OpSpeedTestDelete         Op = 33
	OpLastMessages            Op = 34
	OpSearchRecentMembers     Op = 35
	OpChannelStatuses         Op = 36
	OpGuildSubscriptionsBulk  Op = 37
	OpGuildChannelsResync     Op = 38
	OpChannelMemberCount      Op = 39
	OpQoSHeartbeat            Op = 40
	OpTimeSpentSession        Op = 41
	OpLobbyVoiceServerPing    Op = 42
	OpRequestChannelInfo      Op = 43
)

type opDirection uint8

const (
	opServer  opDirection = 1 << iota // The server sends it.
	opClient                          // A client sends it, and the node acts on it.
	opIgnored                         // A client sends it, and nothing comes back.
)

type opInfo struct {
	name      string
	direction opDirection
}

var opTable = [...]opInfo{
	OpDispatch:                {"dispatch", opServer},
	OpHeartbeat:               {"heartbeat", opServer | opClient},
	OpIdentify:                {"identify", opClient},
	OpPresenceUpdate:          {"presence_update", opClient},
	OpVoiceStateUpdate:        {"voice_state_update", opClient},
	OpVoiceServerPing:         {"voice_server_ping", opIgnored},
	OpResume:                  {"resume", opClient},
	OpReconnect:               {"reconnect", opServer},
	OpRequestGuildMembers:     {"request_guild_members", opClient},
	OpInvalidSession:          {"invalid_session", opServer},
	OpHello:                   {"hello", opServer},
	OpHeartbeatAck:            {"heartbeat_ack", opServer},
	OpGuildSync:               {"guild_sync", opIgnored},
	OpCallConnect:             {"call_connect", opIgnored},
	OpGuildSubscriptions:      {"guild_subscriptions", opClient},
	OpLobbyVoiceStates:        {"lobby_voice_states", opIgnored},
	OpStreamCreate:            {"stream_create", opIgnored},
	OpStreamDelete:            {"stream_delete", opIgnored},
	OpStreamWatch:             {"stream_watch", opIgnored},
	OpStreamPing:              {"stream_ping", opIgnored},
	OpStreamPause:             {"stream_pause", opIgnored},
	OpForumUnreads:            {"forum_unreads", opIgnored},
	OpRemoteCommand:           {"remote_command", opIgnored},
	OpDeletedEntityIDs:        {"deleted_entity_ids", opIgnored},
	OpRequestSoundboardSounds: {"request_soundboard_sounds", opClient},
	OpSpeedTestCreate:         {"speed_test_create", opIgnored},
	OpSpeedTestDelete:         {"speed_test_delete", opIgnored},
	OpLastMessages:            {"last_messages", opIgnored},
	OpSearchRecentMembers:     {"search_recent_members", opIgnored},
	OpChannelStatuses:         {"channel_statuses", opIgnored},
	OpGuildSubscriptionsBulk:  {"guild_subscriptions_bulk", opClient},
	OpGuildChannelsResync:     {"guild_channels_resync", opIgnored},
	OpChannelMemberCount:      {"channel_member_count", opIgnored},
	OpQoSHeartbeat:            {"qos_heartbeat", opClient},
	OpTimeSpentSession:        {"time_spent_session", opIgnored},
	OpLobbyVoiceServerPing:    {"lobby_voice_server_ping", opIgnored},
	OpRequestChannelInfo:      {"request_channel_info", opClient},
}

func (o Op) info() opInfo {
	if o < 0 || int(o) >= len(opTable) {
		return opInfo{}
	}
	return opTable[o]
}

// Known reports whether the protocol has op o in either direction.
func (o Op) Known() bool { return o.info().direction != 0 }

// FromClient reports whether a client may send o. Anything else closes with 4001.
func (o Op) FromClient() bool { return o.info().direction&(opClient|opIgnored) != 0 }

// Ignored reports whether o is an op of user clients that is accepted and answered by nothing.
func (o Op) Ignored() bool { return o.info().direction&opIgnored != 0 }

func (o Op) String() string {
	if name := o.info().name; name != "" {
		return name
	}
	return "op_" + strconv.Itoa(int(o))
}
