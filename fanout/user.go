package fanout

import (
	"fmt"
	"unicode/utf8"

	"throng/store"
	"throng/wire"
)

var userRules = []rule{
	{key: "username", shape: shapeString},
	{key: "discriminator", shape: shapeString, value: `"0"`},
	{key: "global_name", shape: shapeString, nullable: true, value: "null"},
	{key: "avatar", shape: shapeString, nullable: true, value: "null"},
	{key: "bot", shape: shapeBool},
	{key: "system", shape: shapeBool},
	{key: "flags", shape: shapeInt},
	{key: "public_flags", shape: shapeInt},
}

// ParseUser makes a user of the JSON object that a backend wrote for id, filling in the defaults
// that client libraries need. What the node does not know stays in the user's object, but for a
// token, which is no part of it. It is the one reader of users: of those that are put, and of those
// that come with a member.
// REQUIRES: raw is valid JSON. The result does not hold on to raw.
func ParseUser(id wire.Snowflake, raw []byte) (*store.User, error) {
	if !wire.IsObject(raw) {
		return nil, invalid("", "A user must be an object.")
	}
	user, err := parseUser(id, parseObject(normalizeIDs(raw)))
	if err != nil {
		return nil, err
	}
	return user, nil
}

func parseUser(id wire.Snowflake, fields object) (*store.User, *Error) {
	fields.drop("id", "token")
	o := append(make(object, 0, len(fields)+5), field{"id", quotedID(id)})
	o = append(o, fields...)
	if err := applyRules(&o, userRules); err != nil {
		return nil, err
	}
	o.setDefault("username", string(jsonString(placeholderName(id))))
	user := &store.User{ID: uint64(id), Bot: isTrue(o.get("bot"))}
	user.Name, _ = wire.DecodeString(o.get("username"))
	user.GlobalName, _ = wire.DecodeString(o.get("global_name"))
	for _, key := range []string{"flags", "public_flags"} {
		if flags, _ := parseInt(o.get(key)); flags < 0 {
			return nil, invalid(key, "It must not be negative.")
		} else if key == "flags" {
			user.Flags = uint64(flags)
		}
	}
	switch {
	case user.Name == "" || utf8.RuneCountInString(user.Name) > nameRunesMax:
		return nil, invalid("username",
			fmt.Sprintf("It must be a string of 1 to %d characters.", nameRunesMax))
	case utf8.RuneCountInString(user.GlobalName) > nameRunesMax:
		return nil, invalid("global_name",
			fmt.Sprintf("It must be null or a string of at most %d characters.", nameRunesMax))
	}
	user.Doc = string(o.bytes())
	return user, nil
}

// placeholderName is the username of someone of whom only the id is known.
func placeholderName(id wire.Snowflake) string { return "user-" + id.String() }

// appendUser appends the user's object. A member may be loaded before its user is: then there is
// an object that every library takes, with a name made of the id.
func appendUser(dst []byte, users *store.Users, id wire.Snowflake) []byte {
	if user := users.Get(uint64(id)); user != nil {
		return append(dst, user.Doc...)
	}
	dst = id.AppendJSON(append(dst, `{"id":`...))
	dst = append(dst, `,"username":`...)
	dst = wire.AppendString(dst, placeholderName(id))
	return append(dst, `,"discriminator":"0","global_name":null,"avatar":null}`...)
}

// completeUser returns the whole object of a user that is written as an id or as an object
// without a name. An object with a name is left as it is: a webhook's author has no account.
func (g *Guild) completeUser(raw []byte) (full []byte, id wire.Snowflake, err *Error) {
	if wire.IsObject(raw) {
		o := parseObject(raw)
		id, ok := o.id("id")
		if !ok {
			return nil, 0, invalid("id", "It must be an id.")
		}
		if o.get("username") != nil {
			o.normalizeTop()
			o.setDefault("discriminator", `"0"`)
			o.setDefault("global_name", "null")
			o.setDefault("avatar", "null")
			return o.bytes(), id, nil
		}
		return g.knownUser(id, "id")
	}
	id, ok := parseID(raw)
	if !ok {
		return nil, 0, invalid("", "It must be a user: an object with an id, or an id.")
	}
	return g.knownUser(id, "")
}

func (g *Guild) knownUser(id wire.Snowflake, path string) ([]byte, wire.Snowflake, *Error) {
	if g.users.Get(uint64(id)) == nil {
		if _, member := g.members.Get(uint64(id)); !member {
			return nil, 0, invalid(path, "The user is unknown and has no username here.")
		}
	}
	return appendUser(nil, g.users, id), id, nil
}

// UserChanged tells the guild that a member's account has a new name or picture. Members hear of it
// as GUILD_MEMBER_UPDATE, and who follows presences as PRESENCE_UPDATE too, which is all that a
// session without GUILD_MEMBERS gets to know of others.
func (g *Guild) UserChanged(user wire.Snowflake, now int64) Change {
	t := g.turn(now)
	m, ok := g.members.Get(uint64(user))
	if !ok {
		return t.done()
	}
	g.renamed(user)
	info, _ := wire.LookupEvent("GUILD_MEMBER_UPDATE")
	t.announceMember(info, m)
	t.announceAccount(user)
	return t.done()
}

// renamed is called when a member has another name to be sorted by.
func (g *Guild) renamed(user wire.Snowflake) { g.relist(user) }

// announceAccount publishes the member's presence as it is, with the whole user.
func (t *turn) announceAccount(user wire.Snowflake) {
	body := t.g.presences.get(user).append(nil, user, t.g.id)
	t.publishPresence(user, wire.SetField(nil, body, "user", appendUser(nil, t.g.users, user)))
}
