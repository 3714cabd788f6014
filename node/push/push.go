package push

import (
	"slices"
	"strconv"

	"throng/wire"
)

// Note is what a push says. All pushes of one message share it, and nobody changes it.
type Note struct {
	Guild   wire.Snowflake
	Channel wire.Snowflake
	Message wire.Snowflake
	Author  wire.Snowflake
	Name    string // The author's.
	Text    string // The beginning of the content.
}

// Push is a note for one user.
type Push struct {
	User  wire.Snowflake
	Note  *Note
	Count int // Messages that it stands for.

	offered int64 // When, in the pipeline's milliseconds.
}

// appendJSON appends one push of a batch.
func (p *Push) appendJSON(dst []byte) []byte {
	n := p.Note
	dst = p.User.AppendJSON(append(dst, `{"user_id":`...))
	dst = n.Guild.AppendJSON(append(dst, `,"guild_id":`...))
	dst = n.Channel.AppendJSON(append(dst, `,"channel_id":`...))
	dst = n.Message.AppendJSON(append(dst, `,"message_id":`...))
	dst = n.Author.AppendJSON(append(dst, `,"author_id":`...))
	dst = wire.AppendString(append(dst, `,"author_name":`...), n.Name)
	dst = wire.AppendString(append(dst, `,"content":`...), n.Text)
	dst = strconv.AppendInt(append(dst, `,"count":`...), int64(p.Count), 10)
	return append(dst, '}')
}

// appendBatch appends the document that the package comment shows.
func appendBatch(dst []byte, node string, batch []Push) []byte {
	const pushBytes = 320
	dst = slices.Grow(dst, 64+len(batch)*pushBytes)
	dst = wire.AppendString(append(dst, `{"node":`...), node)
	dst = append(dst, `,"pushes":[`...)
	for i := range batch {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = batch[i].appendJSON(dst)
	}
	return append(dst, `]}`...)
}
