package api

import (
	"net/http"
	"unicode/utf8"

	"throng/wire"
)

// MessageInput is a message as a client posted it, checked and taken apart. Raw fields are JSON
// and nil when they were absent.
type MessageInput struct {
	Content     string
	Nonce       []byte // A string or a number.
	TTS         bool
	Flags       uint64
	Embeds      []byte // An array.
	Components  []byte // An array.
	Attachments []byte // An array: name and size of what a multipart body carried.
	ReplyTo     wire.Snowflake
	// Who the content mentions and allowed_mentions lets be mentioned. Whether the author may
	// mention everyone is the node's to decide.
	MentionUsers, MentionRoles []wire.Snowflake
	MentionEveryone            bool
}

// MessageMeta is what the node adds to make a message of a MessageInput.
type MessageMeta struct {
	ID, Channel wire.Snowflake
	Guild       wire.Snowflake // 0 leaves guild_id out, as Discord's REST does.
	At          int64          // Unix milliseconds.
	Author      []byte         // The user object.
	Member      []byte         // The author's member object without "user", or nil.
	Mentions    [][]byte       // User objects of those in MentionUsers that exist.
}

const (
	contentRunesMax = 2000
	nonceBytesMax   = 25
	embedsMax       = 10
	componentsMax   = 40
	// Flags that an author may set: SUPPRESS_EMBEDS, SUPPRESS_NOTIFICATIONS, IS_COMPONENTS_V2.
	messageFlags = 1<<2 | 1<<12 | 1<<15

	messageTypeDefault = 0
	messageTypeReply   = 19
)

// parseMessage checks a message. What the node has no use for, such as stickers, is left out.
func parseMessage(doc, attachments []byte) (MessageInput, error) {
	m := MessageInput{Attachments: attachments}
	var mentions []byte
	var err error
	wire.EachField(doc, func(key string, raw []byte) bool {
		if wire.IsNull(raw) {
			return true
		}
		if key == "allowed_mentions" {
			mentions = raw
			return true
		}
		err = m.field(key, raw)
		return err == nil
	})
	if err != nil {
		return m, err
	}
	if m.Content == "" && isEmptyList(m.Embeds) && isEmptyList(m.Components) &&
		isEmptyList(m.Attachments) {
		return m, &Error{Status: http.StatusBadRequest, Code: codeEmptyMessage,
			Message: "Cannot send an empty message"}
	}
	return m, m.mention(mentions)
}

func (m *MessageInput) field(key string, raw []byte) (err error) {
	ok := true
	switch key {
	case "content":
		if m.Content, ok = wire.DecodeString(raw); !ok {
			return Invalid(key, "Could not interpret as string.")
		}
		if utf8.RuneCountInString(m.Content) > contentRunesMax {
			return Invalid(key, "Must be %d or fewer in length.", contentRunesMax)
		}
	case "tts":
		if m.TTS = string(raw) == "true"; !m.TTS && string(raw) != "false" {
			return Invalid(key, "Must be either true or false.")
		}
	case "flags":
		flags, ok := wire.DecodeInt(raw)
		if !ok || flags < 0 {
			return Invalid(key, "Value is not int.")
		}
		m.Flags = uint64(flags) & messageFlags
	case "nonce":
		_, isInt := wire.DecodeInt(raw)
		text, isText := wire.DecodeString(raw)
		if !isInt && !isText || len(text) > nonceBytesMax {
			return Invalid(key, "Must be a number, or %d or fewer in length.", nonceBytesMax)
		}
		m.Nonce = raw
	case "embeds":
		m.Embeds, err = objects(key, raw, embedsMax)
	case "components":
		m.Components, err = objects(key, raw, componentsMax)
	case "message_reference":
		if m.ReplyTo, ok = wire.SnowflakeField(raw, "message_id"); !ok {
			return Invalid(key+".message_id", "This field is required")
		}
		if kind, _ := wire.IntField(raw, "type"); kind != 0 {
			return Invalid(key+".type", "Only replies are supported.")
		}
	}
	return err
}

// objects checks an array of objects.
func objects(key string, raw []byte, countMax int) ([]byte, error) {
	if !wire.IsArray(raw) {
		return nil, Invalid(key, "Only iterables may be used in a ListType.")
	}
	count, valid := 0, true
	wire.EachElement(raw, func(element []byte) bool {
		count++
		valid = wire.IsObject(element)
		return valid
	})
	if !valid {
		return nil, Invalid(key, "Only dictionaries may be used in a DictType.")
	}
	if count > countMax {
		return nil, Invalid(key, "Must be %d or fewer in length.", countMax)
	}
	return raw, nil
}

// isEmptyList looks at a raw array that may be nil.
func isEmptyList(raw []byte) bool {
	empty := true
	wire.EachElement(raw, func([]byte) bool {
		empty = false
		return false
	})
	return empty
}

// Append appends the message object to dst: every field that client libraries need, optional
// objects only where there is something in them.
func (m MessageInput) Append(dst []byte, meta MessageMeta) []byte {
	b := append(dst, '{')
	b = meta.ID.AppendJSON(wire.AppendKey(b, "id"))
	b = meta.Channel.AppendJSON(wire.AppendKey(b, "channel_id"))
	if meta.Guild != 0 {
		b = meta.Guild.AppendJSON(wire.AppendKey(b, "guild_id"))
	}
	b = wire.AppendInt(wire.AppendKey(b, "type"), int64(m.kind()))
	b = wire.AppendString(wire.AppendKey(b, "content"), m.Content)
	b = append(wire.AppendKey(b, "timestamp"), '"')
	b = append(wire.AppendTime(b, meta.At), '"')
	b = append(wire.AppendKey(b, "edited_timestamp"), "null"...)
	b = wire.AppendBool(wire.AppendKey(b, "tts"), m.TTS)
	b = wire.AppendBool(wire.AppendKey(b, "mention_everyone"), m.MentionEveryone)
	b = append(wire.AppendKey(b, "mentions"), '[')
	for _, user := range meta.Mentions {
		b = append(wire.AppendComma(b), user...)
	}
	b = append(b, ']')
	b = wire.AppendSnowflakes(wire.AppendKey(b, "mention_roles"), m.MentionRoles)
	b = appendList(b, "attachments", m.Attachments)
	b = appendList(b, "embeds", m.Embeds)
	b = appendList(b, "components", m.Components)
	b = wire.AppendBool(wire.AppendKey(b, "pinned"), false)
	b = wire.AppendInt(wire.AppendKey(b, "flags"), int64(m.Flags))
	if m.Nonce != nil {
		b = append(wire.AppendKey(b, "nonce"), m.Nonce...)
	}
	b = append(wire.AppendKey(b, "author"), meta.Author...)
	if meta.Member != nil {
		b = append(wire.AppendKey(b, "member"), meta.Member...)
	}
	if m.ReplyTo != 0 {
		b = m.appendReference(wire.AppendKey(b, "message_reference"), meta)
	}
	return append(b, '}')
}

func (m MessageInput) kind() int {
	if m.ReplyTo != 0 {
		return messageTypeReply
	}
	return messageTypeDefault
}

func (m MessageInput) appendReference(b []byte, meta MessageMeta) []byte {
	b = append(b, `{"type":0`...)
	b = m.ReplyTo.AppendJSON(wire.AppendKey(b, "message_id"))
	b = meta.Channel.AppendJSON(wire.AppendKey(b, "channel_id"))
	if meta.Guild != 0 {
		b = meta.Guild.AppendJSON(wire.AppendKey(b, "guild_id"))
	}
	return append(b, '}')
}

// appendList appends a key and an array, which is never left out: libraries iterate over it.
func appendList(b []byte, key string, raw []byte) []byte {
	b = wire.AppendKey(b, key)
	if raw == nil {
		return append(b, "[]"...)
	}
	return append(b, raw...)
}
