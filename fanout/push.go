package fanout

import (
	"slices"
	"strings"

	"throng/wire"
)

// Push is a message that mentions members who have no session to read it in, for whoever rings
// their phones.
//
// Who is mentioned by name is looked up at once. @everyone and a role may be a million members, for
// whom a worker looks; see pushmany.go.
type Push struct {
	Users   []wire.Snowflake
	Omitted int // Further mentions, which were not looked at.
	Channel wire.Snowflake
	Message wire.Snowflake
	Author  wire.Snowflake
	Name    string // The author's, as the guild knows it.
	Text    string // The beginning of the content.
}

// messageSilent is the flag of a message that is to ring no phone (SUPPRESS_NOTIFICATIONS).
const messageSilent = 1 << 12

// WantPushes has Changes of the guild carry pushes. Without it nobody is looked up.
func (g *Guild) WantPushes() { g.pushes = true }

// push finds out who is to be told of a new message.
func (t *turn) push(o object, channel, id wire.Snowflake) {
	if !t.g.pushes {
		return
	}
	if flags, ok := parseInt(o.get("flags")); ok && flags&messageSilent != 0 {
		return
	}
	p := Push{Channel: channel, Message: id}
	author := o.get("author")
	p.Author, _ = wire.SnowflakeField(author, "id")
	var named []wire.Snowflake
	wire.EachElement(o.get("mentions"), func(mention []byte) bool {
		if len(named) == pushUsersMax {
			p.Omitted++
			return true
		}
		user, ok := wire.SnowflakeField(mention, "id")
		if !ok || slices.Contains(named, user) {
			return true
		}
		named = append(named, user)
		if user != p.Author && t.g.away(user, channel, t.now) {
			p.Users = append(p.Users, user)
		}
		return true
	})
	roles, many := t.g.mentionsMany(o)
	if len(p.Users) == 0 && p.Omitted == 0 && !many {
		return
	}
	p.Name = authorName(author, o.get("member"))
	p.Text = textField(o.get("content"), pushTextRunesMax)
	if len(p.Users) > 0 || p.Omitted > 0 {
		t.c.Pushes = append(t.c.Pushes, p)
	}
	if many {
		p.Users, p.Omitted = nil, 0
		t.pushMany(p, roles, append(named, p.Author))
	}
}

// away reports whether a user who may read the channel has nothing here that shows it to him.
func (g *Guild) away(user, channel wire.Snowflake, now int64) bool {
	if g.receivers.active(user) {
		return false
	}
	if u := g.users.Get(uint64(user)); u != nil && u.Bot {
		return false
	}
	return g.Can(user, channel, wire.PermissionViewChannel, now)
}

// authorName is what the guild calls the author: nickname, display name, name.
func authorName(author, member []byte) string {
	for _, raw := range [][]byte{
		fieldOf(member, "nick"), fieldOf(author, "global_name"), fieldOf(author, "username"),
	} {
		if name := textField(raw, pushNameRunesMax); name != "" {
			return name
		}
	}
	return ""
}

func fieldOf(object []byte, key string) []byte {
	raw, _ := wire.Field(object, key)
	return raw
}

// textField is the first characters of a string. It shares no memory with the event.
func textField(raw []byte, runesMax int) string {
	text, _ := wire.DecodeString(raw)
	count := 0
	for at := range text {
		if count++; count > runesMax {
			return strings.Clone(text[:at])
		}
	}
	return text
}
