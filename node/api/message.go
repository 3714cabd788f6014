package api

import (
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
	Reference   []byte // message_reference, an object.
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

// Append appends the message object to dst: every field that client libraries need, optional
// objects only where there is something in them.
func (m MessageInput) Append(dst []byte, meta MessageMeta) []byte {
	return dst
}
