package fanout

import "throng/wire"

// applier changes the guild by one event and sends it, complete, to its audience.
type applier func(t *turn, info wire.EventInfo, o object) *Error

// appliers are the events that change a guild, or are completed on their way.
var appliers = map[string]applier{
	"GUILD_UPDATE": applyGuildUpdate,

	"GUILD_ROLE_CREATE": applyRolePut,
	"GUILD_ROLE_UPDATE": applyRolePut,
	"GUILD_ROLE_DELETE": applyRoleDelete,

	"CHANNEL_CREATE": applyChannelPut,
	"CHANNEL_UPDATE": applyChannelPut,
	"CHANNEL_DELETE": applyChannelDelete,

	"THREAD_CREATE":         applyThreadPut,
	"THREAD_UPDATE":         applyThreadPut,
	"THREAD_DELETE":         applyThreadDelete,
	"THREAD_MEMBER_UPDATE":  applyThreadMember,
	"THREAD_MEMBERS_UPDATE": applyThreadMembers,

	"GUILD_MEMBER_ADD":    applyMemberPut,
	"GUILD_MEMBER_UPDATE": applyMemberPut,
	"GUILD_MEMBER_REMOVE": applyMemberRemove,

	"PRESENCE_UPDATE":     applyPresence,
	"VOICE_STATE_UPDATE":  applyVoiceState,
	"VOICE_SERVER_UPDATE": applyVoiceServer,

	"GUILD_EMOJIS_UPDATE":            applyThings(&emojiKind),
	"GUILD_STICKERS_UPDATE":          applyThings(&stickerKind),
	"GUILD_SOUNDBOARD_SOUNDS_UPDATE": applyThings(&soundKind),
	"GUILD_SOUNDBOARD_SOUND_CREATE":  applyThingPut(&soundKind),
	"GUILD_SOUNDBOARD_SOUND_UPDATE":  applyThingPut(&soundKind),
	"GUILD_SOUNDBOARD_SOUND_DELETE":  applyThingDelete(&soundKind),
	"STAGE_INSTANCE_CREATE":          applyThingPut(&stageKind),
	"STAGE_INSTANCE_UPDATE":          applyThingPut(&stageKind),
	"STAGE_INSTANCE_DELETE":          applyThingDelete(&stageKind),
	"GUILD_SCHEDULED_EVENT_CREATE":   applyThingPut(&scheduledKind),
	"GUILD_SCHEDULED_EVENT_UPDATE":   applyThingPut(&scheduledKind),
	"GUILD_SCHEDULED_EVENT_DELETE":   applyThingDelete(&scheduledKind),

	"MESSAGE_CREATE":                  applyMessageCreate,
	"MESSAGE_UPDATE":                  applyMessageUpdate,
	"MESSAGE_REACTION_ADD":            applyReaction,
	"CHANNEL_PINS_UPDATE":             applyPins,
	"TYPING_START":                    applyTyping,
	"VOICE_CHANNEL_STATUS_UPDATE":     applyVoiceChannel,
	"VOICE_CHANNEL_START_TIME_UPDATE": applyVoiceChannel,
}

// ownEvents are the node's to send: they follow from connecting, or answer a command.
var ownEvents = map[string]bool{
	"READY": true, "RESUMED": true, "READY_SUPPLEMENTAL": true,
	"GUILD_CREATE": true, "GUILD_DELETE": true, "GUILD_MEMBERS_CHUNK": true,
}

// Publish takes one event of the guild: t and d. It applies it when it changes the guild, completes
// it, and decides who hears it. A name that the protocol does not know goes to every session of the
// guild, or to those who can view the channel that it names.
// REQUIRES: d is valid JSON.
func (g *Guild) Publish(name string, d []byte, now int64) (Change, error) {
	if !wire.ValidEventName(name) {
		return Change{Index: g.index}, invalid("t", "It must be 1 to 64 of A-Z, 0-9 and _.")
	}
	if ownEvents[name] {
		return Change{Index: g.index}, invalid("t", "The node sends "+name+" by itself.")
	}
	if !wire.IsObject(d) {
		return Change{Index: g.index}, invalid("d", "It must be an object.")
	}
	o := parseObject(normalizeIDs(d))
	o.normalizeTop()
	if id, ok := o.id("guild_id"); ok && id != g.id {
		return Change{Index: g.index}, invalid("d.guild_id", "It is another guild's id.")
	}
	o.setID("guild_id", g.id)
	info, known := wire.LookupEvent(name)
	info.Name = name
	t := g.turn(now)
	apply := appliers[name]
	if apply == nil || !known {
		apply = applyNothing
	}
	if err := apply(t, info, o); err != nil {
		return t.refuse(err)
	}
	return t.done(), nil
}

// applyNothing passes on an event that leaves the guild as it is.
func applyNothing(t *turn, info wire.EventInfo, o object) *Error {
	ev, err := t.g.audience(info, o)
	if err != nil {
		return err
	}
	if user := o.get("user"); user != nil && wire.IsObject(user) {
		if full, _, err := t.g.completeUser(user); err == nil {
			o.set("user", full)
		}
	}
	t.publish(info.Name, o.bytes(), nil, ev)
	return nil
}
