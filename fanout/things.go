package fanout

import (
	"slices"

	"throng/wire"
)

// things is a list of objects that the guild hands on but never decides by: emojis, stickers,
// sounds, stages, scheduled events.
type things struct {
	list []thing
}

type thing struct {
	id  wire.Snowflake
	raw []byte
}

// thingKind says how one such list is written.
type thingKind struct {
	key   string // Of the list in a guild.
	id    string // Of the id in an object.
	guild bool   // Objects carry guild_id.
	rules []rule
}

var (
	emojiKind = thingKind{"emojis", "id", false, []rule{
		{key: "name", shape: shapeString, nullable: true, value: `"emoji"`},
		{key: "roles", shape: shapeIDs, value: "[]"},
		{key: "require_colons", shape: shapeBool, value: "true"},
		{key: "managed", shape: shapeBool, value: "false"},
		{key: "animated", shape: shapeBool, value: "false"},
		{key: "available", shape: shapeBool, value: "true"},
		{key: "user", shape: shapeObject},
	}}
	stickerKind = thingKind{"stickers", "id", true, []rule{
		{key: "name", shape: shapeString, value: `"sticker"`},
		{key: "description", shape: shapeString, nullable: true, value: "null"},
		{key: "tags", shape: shapeString, value: `""`},
		{key: "type", shape: shapeInt, value: "2"},
		{key: "format_type", shape: shapeInt, value: "1"},
		{key: "available", shape: shapeBool, value: "true"},
		{key: "user", shape: shapeObject},
	}}
	soundKind = thingKind{"soundboard_sounds", "sound_id", true, []rule{
		{key: "name", shape: shapeString, value: `"sound"`},
		{key: "volume", shape: shapeNumber, value: "1"},
		{key: "emoji_id", shape: shapeID, nullable: true, value: "null"},
		{key: "emoji_name", shape: shapeString, nullable: true, value: "null"},
		{key: "available", shape: shapeBool, value: "true"},
		{key: "user", shape: shapeObject},
	}}
	stageKind = thingKind{"stage_instances", "id", true, []rule{
		{key: "channel_id", shape: shapeID},
		{key: "topic", shape: shapeString, value: `""`},
		{key: "privacy_level", shape: shapeInt, value: "2"},
		{key: "discoverable_disabled", shape: shapeBool, value: "false"},
		{key: "guild_scheduled_event_id", shape: shapeID, nullable: true, value: "null"},
	}}
	scheduledKind = thingKind{"guild_scheduled_events", "id", true, []rule{
		{key: "channel_id", shape: shapeID, nullable: true, value: "null"},
		{key: "creator_id", shape: shapeID, nullable: true},
		{key: "name", shape: shapeString, value: `"event"`},
		{key: "scheduled_start_time", shape: shapeTime},
		{key: "scheduled_end_time", shape: shapeTime, nullable: true, value: "null"},
		{key: "privacy_level", shape: shapeInt, value: "2"},
		{key: "status", shape: shapeInt, value: "1"},
		{key: "entity_type", shape: shapeInt, value: "3"},
		{key: "entity_id", shape: shapeID, nullable: true, value: "null"},
		{key: "entity_metadata", shape: shapeObject, nullable: true, value: "null"},
	}}
)

// parse completes one object of the kind.
func (k *thingKind) parse(guild wire.Snowflake, o object) (thing, *Error) {
	id, ok := o.id(k.id)
	if !ok {
		return thing{}, invalid(k.id, "It must be an id.")
	}
	o.setID(k.id, id)
	if k.guild {
		o.setID("guild_id", guild)
	}
	if err := applyRules(&o, k.rules); err != nil {
		return thing{}, err
	}
	return thing{id: id, raw: o.bytes()}, nil
}

// parseAll reads a whole list.
func (k *thingKind) parseAll(guild wire.Snowflake, raw []byte) (things, *Error) {
	var all things
	err := eachObject(raw, k.key, thingsMax, func(_ int, o object) *Error {
		t, err := k.parse(guild, o)
		if err != nil {
			return err
		}
		if all.find(t.id) >= 0 {
			return invalid(k.id, "It is there twice.")
		}
		all.list = append(all.list, t)
		return nil
	})
	return all, err
}

func (t *things) find(id wire.Snowflake) int {
	return slices.IndexFunc(t.list, func(other thing) bool { return other.id == id })
}

// put adds the thing or replaces the one with its id.
func (t *things) put(one thing) {
	if at := t.find(one.id); at >= 0 {
		t.list[at] = one
		return
	}
	t.list = append(t.list, one)
}

func (t *things) append(dst []byte) []byte {
	dst = append(dst, '[')
	for _, one := range t.list {
		dst = append(wire.AppendComma(dst), one.raw...)
	}
	return append(dst, ']')
}
