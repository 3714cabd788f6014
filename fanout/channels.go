package fanout

import (
	"slices"
	"strconv"

	"throng/wire"
)

// Channel types of the protocol; a type that is not listed here ends disgo's connection, so no
// other gets into a guild.
const (
	channelText         = 0
	channelVoice        = 2
	channelCategory     = 4
	channelNews         = 5
	threadNews          = 10
	threadPublic        = 11
	threadPrivate       = 12
	channelStage        = 13
	channelForum        = 15
	channelMedia        = 16
	voiceBitrateDefault = "64000"
)

// channel is a channel's object with what decisions need of it parsed.
type channel struct {
	id         wire.Snowflake
	parent     wire.Snowflake
	kind       int64
	overwrites []wire.Overwrite
	place
	info object // What CHANNEL_INFO tells; not kept.
}

// place is what channels and threads have in common: an object in which messages are written.
type place struct {
	raw []byte
	// last is the newest message, and written the one that raw speaks of. When they differ last
	// is laid over raw as it goes out, so that a message costs no rewriting.
	last, written wire.Snowflake
	// pinned is when something was pinned last, and repinned whether raw does not speak of it yet.
	pinned   []byte
	repinned bool
}

const keyPinned = "last_pin_timestamp"

// carry takes over what messages have written into the old place, where this one does not speak of
// it.
func (p *place) carry(old *place) {
	if p.written == 0 {
		p.last = old.last
	}
	if p.pinned == nil && old.pinned != nil {
		p.pinned, p.repinned = old.pinned, true
	}
}

func (c *channel) voice() bool { return c.kind == channelVoice || c.kind == channelStage }

var channelRules = []rule{
	{key: "name", shape: shapeString, value: `"channel"`},
	{key: "position", shape: shapeInt},
	{key: "permission_overwrites", shape: shapeArray, value: "[]"},
	{key: "parent_id", shape: shapeID, nullable: true, value: "null"},
	{key: "flags", shape: shapeInt, value: "0"},
	{key: "last_message_id", shape: shapeID, nullable: true},
	{key: "owner_id", shape: shapeID},
	{key: "application_id", shape: shapeID},
	{key: "recipients", shape: shapeArray},
}

var textRules = []rule{
	{key: "topic", shape: shapeString, nullable: true, value: "null"},
	{key: "nsfw", shape: shapeBool, value: "false"},
	{key: "last_message_id", shape: shapeID, nullable: true, value: "null"},
	{key: "rate_limit_per_user", shape: shapeInt, value: "0"},
}

var voiceRules = []rule{
	{key: "bitrate", shape: shapeInt, value: voiceBitrateDefault},
	{key: "user_limit", shape: shapeInt, value: "0"},
	{key: "rtc_region", shape: shapeString, nullable: true, value: "null"},
	{key: "nsfw", shape: shapeBool, value: "false"},
	{key: "last_message_id", shape: shapeID, nullable: true, value: "null"},
	{key: "rate_limit_per_user", shape: shapeInt, value: "0"},
}

var forumRules = []rule{
	{key: "topic", shape: shapeString, nullable: true, value: "null"},
	{key: "nsfw", shape: shapeBool, value: "false"},
	{key: "last_message_id", shape: shapeID, nullable: true, value: "null"},
	{key: "rate_limit_per_user", shape: shapeInt, value: "0"},
	{key: "available_tags", shape: shapeArray, value: "[]"},
	{key: "default_reaction_emoji", shape: shapeObject, nullable: true, value: "null"},
	{key: "default_sort_order", shape: shapeInt, nullable: true, value: "null"},
	{key: "default_forum_layout", shape: shapeInt, value: "0"},
}

// kindRules returns the rules of a channel of that type; false when a guild has no such channels.
func kindRules(kind int64) ([]rule, bool) {
	switch kind {
	case channelText, channelNews:
		return textRules, true
	case channelVoice, channelStage:
		return voiceRules, true
	case channelCategory:
		return nil, true
	case channelForum, channelMedia:
		return forumRules, true
	}
	return nil, false
}

// parseChannel completes a channel's object.
func parseChannel(index int, o object) (*channel, *Error) {
	id, ok := o.id("id")
	if !ok {
		return nil, invalid("id", "It must be an id.")
	}
	o.setID("id", id)
	o.setDefault("type", "0")
	o.drop("guild_id")
	kind, ok := parseInt(o.get("type"))
	rules, known := kindRules(kind)
	if !ok || !known {
		return nil, invalid("type", "It must be a guild channel's type: 0, 2, 4, 5, 13, 15 or 16.")
	}
	if !o.present("position") {
		o.set("position", []byte(strconv.Itoa(index)))
	}
	if err := applyRules(&o, channelRules); err != nil {
		return nil, err
	}
	if err := applyRules(&o, rules); err != nil {
		return nil, err
	}
	c := &channel{id: id, kind: kind}
	c.parent, _ = o.id("parent_id")
	var err *Error
	if c.overwrites, err = parseOverwrites(o.get("permission_overwrites")); err != nil {
		return nil, err
	}
	o.set("permission_overwrites", appendOverwrites(nil, c.overwrites))
	c.place = newPlace(o)
	return c, nil
}

// parseOverwrites reads a channel's overwrites. The type may be written as the words of old.
func parseOverwrites(raw []byte) (list []wire.Overwrite, err *Error) {
	const key = "permission_overwrites"
	err = eachObject(raw, key, overwritesMax, func(_ int, o object) *Error {
		var ow wire.Overwrite
		var ok bool
		if ow.ID, ok = o.id("id"); !ok {
			return invalid("id", "It must be an id.")
		}
		switch kind := string(o.get("type")); kind {
		case "0", `"role"`, `"0"`, "":
			ow.Type = wire.OverwriteRole
		case "1", `"member"`, `"1"`:
			ow.Type = wire.OverwriteMember
		default:
			return invalid("type", "It must be 0 for a role or 1 for a member.")
		}
		for _, side := range []struct {
			key string
			set *wire.Permissions
		}{{"allow", &ow.Allow}, {"deny", &ow.Deny}} {
			if !o.present(side.key) {
				continue
			}
			if *side.set, ok = parsePermissions(o.get(side.key)); !ok {
				return invalid(side.key, "It must be a permission set: a decimal number.")
			}
		}
		for _, other := range list {
			if other.ID == ow.ID && other.Type == ow.Type {
				return invalid("id", "It is there twice.")
			}
		}
		list = append(list, ow)
		return nil
	})
	return list, err
}

func appendOverwrites(dst []byte, list []wire.Overwrite) []byte {
	dst = append(dst, '[')
	for i, ow := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = ow.ID.AppendJSON(append(dst, `{"id":`...))
		dst = strconv.AppendInt(append(dst, `,"type":`...), int64(ow.Type), 10)
		dst = append(ow.Allow.Append(append(dst, `,"allow":"`...)), '"')
		dst = append(ow.Deny.Append(append(dst, `,"deny":"`...)), '"', '}')
	}
	return append(dst, ']')
}

// parseChannels reads a guild's list of channels.
func parseChannels(raw []byte) (channels []*channel, err *Error) {
	seen := make(map[wire.Snowflake]bool)
	err = eachObject(raw, "channels", channelsMax, func(index int, o object) *Error {
		c, err := parseChannel(index, o)
		if err != nil {
			return err
		}
		if seen[c.id] {
			return invalid("id", "It is there twice.")
		}
		seen[c.id] = true
		channels = append(channels, c)
		return nil
	})
	return channels, err
}

func newPlace(o object) place {
	last, _ := o.id("last_message_id")
	p := place{raw: o.bytes(), last: last, written: last}
	if o.present(keyPinned) {
		p.pinned = slices.Clone(o.get(keyPinned))
	}
	return p
}

// append appends the place's object, with the guild's id in it when guild is not 0.
func (p *place) append(dst []byte, guild wire.Snowflake) []byte {
	raw := p.raw
	if p.repinned {
		raw = wire.SetField(nil, raw, keyPinned, p.pinned)
	}
	if p.last != p.written {
		dst = wire.SetField(dst, raw, "last_message_id", quotedID(p.last))
	} else {
		dst = append(dst, raw...)
	}
	if guild == 0 {
		return dst
	}
	dst = wire.AppendKey(dst[:len(dst)-1], "guild_id")
	return append(guild.AppendJSON(dst), '}')
}

// putChannel adds the channel or replaces the one with its id.
func (g *Guild) putChannel(c *channel) {
	if old := g.channelByID[c.id]; old != nil {
		c.info = old.info
		g.channels[slices.Index(g.channels, old)] = c
	} else {
		g.channels = append(g.channels, c)
	}
	g.channelByID[c.id] = c
}

func (g *Guild) setChannels(channels []*channel) {
	g.channels = channels
	g.channelByID = make(map[wire.Snowflake]*channel, len(channels))
	for _, c := range channels {
		g.channelByID[c.id] = c
	}
}
