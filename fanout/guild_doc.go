package fanout

import (
	"fmt"
	"net"

	"throng/wire"
)

// document is a guild's whole state that outlives a restart, parsed and completed. Members are kept
// apart from it; presences and voice states are not kept.
type document struct {
	fields       []byte // The guild object without its lists.
	name         string
	owner        wire.Snowflake
	roles        []*role
	channels     []*channel
	threads      []*thread
	emojis       things
	stickers     things
	sounds       things
	stages       things
	scheduled    things
	voiceServers []string
}

const keyVoiceServers = "voice_servers"

// guildRules are the guild object's fields in the order of the protocol's sample, with the values
// of a new guild.
var guildRules = []rule{
	{key: "name", shape: shapeString, value: `"guild"`},
	{key: "icon", shape: shapeString, nullable: true, value: "null"},
	{key: "splash", shape: shapeString, nullable: true, value: "null"},
	{key: "discovery_splash", shape: shapeString, nullable: true, value: "null"},
	{key: "owner_id", shape: shapeID, value: `"0"`},
	{key: "region", shape: shapeString, nullable: true, value: `"deprecated"`},
	{key: "afk_channel_id", shape: shapeID, nullable: true, value: "null"},
	{key: "afk_timeout", shape: shapeInt, value: "300"},
	{key: "verification_level", shape: shapeInt, value: "0"},
	{key: "default_message_notifications", shape: shapeInt, value: "0"},
	{key: "explicit_content_filter", shape: shapeInt, value: "0"},
	{key: "features", shape: shapeArray, value: "[]"},
	{key: "mfa_level", shape: shapeInt, value: "0"},
	{key: "application_id", shape: shapeID, nullable: true, value: "null"},
	{key: "system_channel_id", shape: shapeID, nullable: true, value: "null"},
	{key: "system_channel_flags", shape: shapeInt, value: "0"},
	{key: "rules_channel_id", shape: shapeID, nullable: true, value: "null"},
	{key: "vanity_url_code", shape: shapeString, nullable: true, value: "null"},
	{key: "description", shape: shapeString, nullable: true, value: "null"},
	{key: "banner", shape: shapeString, nullable: true, value: "null"},
	{key: "premium_tier", shape: shapeInt, value: "0"},
	{key: "premium_subscription_count", shape: shapeInt, value: "0"},
	{key: "preferred_locale", shape: shapeString, value: `"en-US"`},
	{key: "public_updates_channel_id", shape: shapeID, nullable: true, value: "null"},
	{key: "max_members", shape: shapeInt, value: "500000"},
	{key: "nsfw_level", shape: shapeInt, value: "0"},
	{key: "nsfw", shape: shapeBool, value: "false"},
	{key: "premium_progress_bar_enabled", shape: shapeBool, value: "false"},
	{key: "safety_alerts_channel_id", shape: shapeID, nullable: true, value: "null"},
	{key: "incidents_data", shape: shapeObject, nullable: true, value: "null"},
	{key: "hub_type", shape: shapeInt, nullable: true, value: "null"},
	{key: "latest_onboarding_question_id", shape: shapeID, nullable: true, value: "null"},
	// Libraries fail on a null here, so there is no default and null means absent.
	{key: "welcome_screen", shape: shapeObject},
	{key: "incident_actions", shape: shapeObject},
	{key: "widget_enabled", shape: shapeBool},
	{key: "widget_channel_id", shape: shapeID, nullable: true},
	{key: "max_presences", shape: shapeInt, nullable: true},
	{key: "max_video_channel_users", shape: shapeInt},
	{key: "max_stage_video_channel_users", shape: shapeInt},
}

// guildListKeys are kept as lists of their own; guildLiveKeys are computed for each GUILD_CREATE.
var (
	guildListKeys = []string{"roles", "channels", "threads", "emojis", "stickers",
		"soundboard_sounds", "stage_instances", "guild_scheduled_events", keyVoiceServers}
	guildLiveKeys = []string{"members", "presences", "voice_states", "member_count", "joined_at",
		"large", "unavailable", "lazy", "guild_id", "session_count", "active_count",
		"passive_count", "event_index", "owner_node"}
)

// parseDocument reads and completes what a backend, or the directory, says of a guild.
func parseDocument(id wire.Snowflake, raw []byte) (*document, *Error) {
	if !wire.IsObject(raw) {
		return nil, invalid("", "A guild must be an object.")
	}
	o := parseObject(raw)
	if members := o.get("members"); members != nil && len(members) > len("[]") {
		return nil, invalid("members", "Members are loaded apart from the guild.")
	}
	d := &document{}
	if err := d.parseFields(id, o.clone()); err != nil {
		return nil, err
	}
	var err *Error
	if d.roles, err = parseRoles(id, o.get("roles")); err != nil {
		return nil, err
	}
	if d.channels, err = parseChannels(o.get("channels")); err != nil {
		return nil, err
	}
	isChannel := make(map[wire.Snowflake]bool, len(d.channels))
	for _, c := range d.channels {
		isChannel[c.id] = true
	}
	d.threads, err = parseThreads(id, d.owner, o.get("threads"),
		func(id wire.Snowflake) bool { return isChannel[id] })
	if err != nil {
		return nil, err
	}
	for at, t := range d.threads {
		if isChannel[t.id] {
			return nil, invalid(indexed("threads", at)+".id", "A channel has the same id.")
		}
	}
	for _, list := range d.things() {
		if *list.things, err = list.kind.parseAll(id, o.get(list.kind.key)); err != nil {
			return nil, err
		}
	}
	if d.voiceServers, err = parseVoiceServers(o.get(keyVoiceServers)); err != nil {
		return nil, err
	}
	return d, nil
}

type thingList struct {
	kind   *thingKind
	things *things
}

// things returns the lists that are handed on only, in the order they are written.
func (d *document) things() []thingList {
	return []thingList{
		{&emojiKind, &d.emojis}, {&stickerKind, &d.stickers}, {&soundKind, &d.sounds},
		{&stageKind, &d.stages}, {&scheduledKind, &d.scheduled},
	}
}

// parseFields completes the guild object proper.
func (d *document) parseFields(id wire.Snowflake, fields object) *Error {
	fields.drop("id")
	fields.drop(guildListKeys...)
	fields.drop(guildLiveKeys...)
	o := append(make(object, 0, len(fields)+len(guildRules)), field{"id", quotedID(id)})
	o = append(o, fields...)
	if err := applyRules(&o, guildRules); err != nil {
		return err
	}
	d.fields = o.bytes()
	d.name, _ = wire.StringField(d.fields, "name")
	d.owner, _ = o.id("owner_id")
	return nil
}

// parseVoiceServers reads the addresses of the guild's voice servers. They are the node's own
// configuration: a client learns one only, from VOICE_SERVER_UPDATE.
func parseVoiceServers(raw []byte) (servers []string, err *Error) {
	if raw == nil || wire.IsNull(raw) {
		return nil, nil
	}
	if !wire.IsArray(raw) {
		return nil, invalid(keyVoiceServers, "It must be an array.")
	}
	wire.EachElement(raw, func(value []byte) bool {
		server, ok := wire.DecodeString(value)
		if _, _, split := net.SplitHostPort(server); !ok || split != nil {
			err = invalid(indexed(keyVoiceServers, len(servers)), "It must be host:port.")
			return false
		}
		if len(servers) == voiceServersMax {
			err = invalid(keyVoiceServers, fmt.Sprintf("It holds more than %d.", voiceServersMax))
			return false
		}
		servers = append(servers, server)
		return true
	})
	return servers, err
}

// Doc returns the guild's document as it is to be kept. Restore takes it back, and so does Replace.
func (g *Guild) Doc() []byte {
	dst := make([]byte, 0, g.docBytes)
	dst = g.appendGuild(dst)
	dst = append(wire.AppendKey(dst, "threads"), '[')
	for _, t := range g.threads {
		dst = t.appendDoc(wire.AppendComma(dst))
	}
	dst = append(dst, ']')
	dst = append(wire.AppendKey(dst, keyVoiceServers), '[')
	for _, server := range g.voiceServers {
		dst = wire.AppendString(wire.AppendComma(dst), server)
	}
	dst = append(dst, ']', '}')
	g.docBytes = len(dst) + 512
	return dst
}

// appendGuild appends the guild with the lists that everyone sees alike; the object is left open.
func (g *Guild) appendGuild(dst []byte) []byte {
	dst = append(dst, g.fields[:len(g.fields)-1]...)
	dst = g.appendRoles(wire.AppendKey(dst, "roles"))
	dst = append(wire.AppendKey(dst, "channels"), '[')
	for _, c := range g.channels {
		dst = c.append(wire.AppendComma(dst), 0)
	}
	dst = append(dst, ']')
	for _, list := range g.things() {
		dst = list.things.append(wire.AppendKey(dst, list.kind.key))
	}
	return dst
}

func (g *Guild) appendRoles(dst []byte) []byte {
	dst = append(dst, '[')
	for _, r := range g.roles {
		dst = append(wire.AppendComma(dst), r.raw...)
	}
	return append(dst, ']')
}

// updateBody returns the body of GUILD_UPDATE: the guild object with its roles, emojis, stickers.
func (g *Guild) updateBody() []byte {
	dst := append(make([]byte, 0, g.docBytes), g.fields[:len(g.fields)-1]...)
	dst = g.appendRoles(wire.AppendKey(dst, "roles"))
	dst = g.emojis.append(wire.AppendKey(dst, emojiKind.key))
	dst = g.stickers.append(wire.AppendKey(dst, stickerKind.key))
	return append(dst, '}')
}
